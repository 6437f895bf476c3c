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
  /** A provider does not have a model any more: it is not asked for it for a while. */
  | {
      readonly type: 'model-retired'
      readonly call: string
      readonly model: string
      readonly provider: string
      readonly successor: string | null
    }
  | { readonly type: 'drift'; readonly call: string; readonly drift: Drift }
  | { readonly type: 'call-end'; readonly call: string; readonly usage: UsageRecord }
  /** A listener, a sink or a rule threw or took too long: told once for each, and never in the way of a call. */
  | { readonly type: 'listener-failed'; readonly what: Hook; readonly error: string }

export type Hook = 'listener' | 'sink' | 'rule'

export type Listener = (event: RouterEvent) => void

export interface Events {
  /** Nothing is computed for events that nobody hears. */
  readonly heard: boolean
  on(listener: Listener): () => void
  emit(event: RouterEvent): void
  /** What a function of the user's did wrong. */
  report(what: Hook, hook: object, error: unknown): void
}

export function createEvents(): Events {
  const listeners = new Set<Listener>()
  const failed = new WeakSet<object>()
  const emit = (event: RouterEvent) => {
    // A copy: a listener may add others while it listens.
    for (const listener of [...listeners]) {
      try {
        const heard: unknown = listener(event)
        // TypeScript takes an async function for a listener; its rejection would end the process.
        if (heard instanceof Promise) heard.catch((error: unknown) => report('listener', listener, error))
      } catch (error) {
        report('listener', listener, error)
      }
    }
  }
  const report = (what: Hook, hook: object, error: unknown) => {
    if (failed.has(hook)) return
    failed.add(hook)
    // By its name alone: a message may quote what the hook was given.
    emit({ type: 'listener-failed', what, error: error instanceof Error ? error.name : typeof error })
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
    report,
  }
}
