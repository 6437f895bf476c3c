import { ConfigError } from './errors.ts'
import { kindOf } from './options.ts'
import type { Place } from './pin.ts'
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
  /** A session lives somewhere else from now on. `dropped`: what of its history could not go with it. */
  | {
      readonly type: 'pin-moved'
      readonly call: string
      readonly session: string
      readonly from: Place
      readonly to: Place
      readonly because: string
      readonly dropped: readonly string[]
    }
  /** What one provider left in the history and another does not take was left out, or given another form. */
  | {
      readonly type: 'history-cleaned'
      readonly call: string
      readonly n: number
      readonly model: string
      readonly provider: string
      readonly dropped: readonly string[]
    }
  /** Caching has cost a session more than it has saved: told once for each. */
  | {
      readonly type: 'cache-loss'
      readonly call: string
      readonly session: string
      readonly savedUsd: number
      readonly paidUsd: number
      readonly profitUsd: number
      /** Calls of which nobody knows. */
      readonly unknownCalls: number
    }
  /** The store fails or is slow: until it is back, what it keeps is kept in this process. Told once for each time. */
  | { readonly type: 'store-trouble'; readonly state: 'down' | 'back'; readonly error: string | null }
  | { readonly type: 'drift'; readonly call: string; readonly drift: Drift }
  | { readonly type: 'call-end'; readonly call: string; readonly usage: UsageRecord }
  /** A provider's own look-up has narrowed a record. */
  | { readonly type: 'reconciled'; readonly call: string; readonly usage: UsageRecord }
  /** A sink is too slow, and records for it are dropped from now on (`drops: null`), or were until now. */
  | { readonly type: 'sink-dropped'; readonly sink: number; readonly drops: number | null }
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
