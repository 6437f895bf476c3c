/**
 * A call's way to be stopped. It is not an `AbortSignal`: those are event targets, and a call would pay for three
 * listeners where it needs one.
 */
export interface Cancellation {
  readonly reason: unknown
  readonly canceled: boolean
  /** Runs `stop` when it comes to that, at once if it already has; returns what forgets it. */
  listen(stop: (reason: unknown) => void): () => void
}

export interface Cancelable extends Cancellation {
  cancel(reason: unknown): void
  /** Lets go of the signals it listens to. */
  release(): void
}

export function createCancellation(signal?: AbortSignal, parent?: Cancellation): Cancelable {
  const stops = new Set<(reason: unknown) => void>()
  let canceled = false
  let reason: unknown
  const cancel = (why: unknown) => {
    if (canceled) return
    canceled = true
    reason = why
    for (const stop of [...stops]) stop(why)
    stops.clear()
  }
  const onAbort = () => cancel(signal?.reason)
  if (signal?.aborted) onAbort()
  else signal?.addEventListener('abort', onAbort, { once: true })
  const leave = parent?.listen(cancel)
  return {
    get reason() {
      return reason
    },
    get canceled() {
      return canceled
    },
    listen(stop) {
      if (canceled) stop(reason)
      else stops.add(stop)
      return () => void stops.delete(stop)
    },
    cancel,
    release() {
      signal?.removeEventListener('abort', onAbort)
      leave?.()
    },
  }
}
