import { ConfigError } from './errors.ts'
import { kindOf } from './options.ts'
import type { Plan } from './plan.ts'
import type { AttemptRecord, Drift, UsageRecord } from './usage.ts'

/** What can be heard of a router. Events carry no content and no key. */
export type RouterEvent =
  | { readonly type: 'plan-made'; readonly call: string; readonly plan: Plan }
  | {
      readonly type: 'attempt-start'
      readonly call: string
      readonly n: number
      readonly role: AttemptRecord['role']
      readonly model: string
      readonly provider: string
    }
  | { readonly type: 'attempt-end'; readonly call: string; readonly attempt: AttemptRecord }
  | { readonly type: 'drift'; readonly call: string; readonly drift: Drift }
  | { readonly type: 'call-end'; readonly call: string; readonly usage: UsageRecord }
  /** A listener or a sink threw: told once for each, and never in the way of a call. */
  | { readonly type: 'listener-failed'; readonly what: 'listener' | 'sink'; readonly error: string }

export type Listener = (event: RouterEvent) => void

export interface Events {
  /** Nothing is computed for events that nobody hears. */
  readonly heard: boolean
  on(listener: Listener): () => void
  emit(event: RouterEvent): void
}

export function createEvents(): Events {
  const listeners = new Set<Listener>()
  const failed = new WeakSet<Listener>()
  const emit = (event: RouterEvent) => {
    // A copy: a listener may add others while it listens.
    for (const listener of [...listeners]) {
      try {
        const heard: unknown = listener(event)
        // TypeScript takes an async function for a listener; its rejection would end the process.
        if (heard instanceof Promise) heard.catch((error: unknown) => report(listener, error))
      } catch (error) {
        report(listener, error)
      }
    }
  }
  const report = (listener: Listener, error: unknown) => {
    if (failed.has(listener)) return
    failed.add(listener)
    emit({ type: 'listener-failed', what: 'listener', error: error instanceof Error ? error.name : typeof error })
  }
  return {
    get heard() {
      return listeners.size > 0
    },
    on(listener) {
      if (typeof listener !== 'function') {
        throw new ConfigError('on', `expected a function that takes an event, got ${kindOf(listener)}`)
      }
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    emit,
  }
}
