import type { Clock } from './clock.ts'

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
  const cancellation: Cancelable & { canceled: boolean; reason: unknown } = {
    canceled: false,
    reason: undefined,
    listen(stop) {
      if (cancellation.canceled) stop(cancellation.reason)
      else stops.add(stop)
      return () => void stops.delete(stop)
    },
    cancel(why) {
      if (cancellation.canceled) return
      cancellation.canceled = true
      cancellation.reason = why
      for (const stop of [...stops]) stop(why)
      stops.clear()
    },
    release() {
      unlisten?.()
      leave?.()
    },
  }
  const unlisten = signal === undefined ? undefined : listenTo(signal, cancellation.cancel)
  const leave = parent?.listen(cancellation.cancel)
  return cancellation
}

/** Waits until the time has come or it is canceled. */
export function pause(clock: Clock, milliseconds: number, cancellation: Cancellation): Promise<void> {
  return new Promise((resolve) => {
    if (cancellation.canceled) return resolve()
    const end = () => {
      stopTimer()
      forget()
      resolve()
    }
    const stopTimer = clock.timer(milliseconds, end)
    const forget = cancellation.listen(end)
  })
}

/** Node warns of a leak from the eleventh listener on: all calls on a signal share one, which goes with the last. */
const shared = new WeakMap<AbortSignal, { readonly stops: Set<(reason: unknown) => void>; onAbort(): void }>()

function listenTo(signal: AbortSignal, stop: (reason: unknown) => void): () => void {
  if (signal.aborted) {
    stop(signal.reason)
    return () => {}
  }
  const stops = shared.get(signal)?.stops ?? new Set()
  if (stops.size === 0) {
    const onAbort = () => {
      for (const each of [...stops]) each(signal.reason)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    shared.set(signal, { stops, onAbort })
  }
  stops.add(stop)
  return () => {
    const onAbort = shared.get(signal)?.onAbort
    if (!stops.delete(stop) || stops.size > 0 || onAbort === undefined) return
    signal.removeEventListener('abort', onAbort)
    shared.delete(signal)
  }
}
