import { keep } from './bounded.ts'
import type { ChatRequest } from './chat.ts'
import type { Identity } from './identity.ts'
import { type Pin, pinned, type Served } from './pin.ts'
import { pinOf, pinText } from './pin-text.ts'
import type { Store } from './stores/store.ts'

/** A session as one task has it. */
export interface Session {
  /** A keyed hash of its id: what records and providers see. */
  readonly hash: string
  /** Where its pin is kept: two tasks do not share one, since their prompts begin differently. */
  readonly key: string
  readonly pin: Pin | null
  /** How many of the sessions that this task has begun have come back for a second call, from 0 to 1. */
  readonly returning: number
}

/** Where sessions are at home, over a store. */
export interface Sessions {
  find(task: string, name: SessionName): Promise<Session>
  /** A call of the session begins. */
  enter(task: string, session: Session): Visit
}

/** One call of a session. Calls that overlap build on each other; of several processes, the last one counts. */
export interface Visit {
  /** What its answer makes of the pin, kept for the next call. */
  serve(served: Served, judge: (pin: Pin) => Pin): { readonly before: Pin | null; readonly after: Pin }
  /** It is over, answered or not. */
  leave(): void
}

/** What tells one session from another: an id, or how its conversation begins. */
export type SessionName = { readonly id: string } | { readonly opening: string }

/** The pin of a cache that is cold for a day is of no use, and neither is what the session has cost. */
const KEPT_MS = 86_400_000
const MOST_TASKS = 1000
const MOST_SEEN = 1000

export function createSessions({ identity, store }: { identity: Identity; store: Store }): Sessions {
  /** Of sessions that are in use now: the latest there is. */
  const inUse = new Map<string, { calls: number; pin: Pin | null }>()
  const begun = new Map<string, { first: number; second: number }>()

  function count(task: string, before: Pin | null): void {
    const seen = begun.get(task) ?? keep(begun, MOST_TASKS, task, { first: 0, second: 0 })
    if (before === null) seen.first += 1
    else if (before.history.turns === 1) seen.second += 1
    if (seen.first <= MOST_SEEN) return
    // Half of it is forgotten, so that what has changed is noticed.
    seen.first /= 2
    seen.second /= 2
  }
  return {
    async find(task, name) {
      const [hash, key] =
        'id' in name
          ? [await identity('session', name.id), await identity('pin', name.id, task)]
          : [await identity('opening', name.opening), await identity('opened', name.opening, task)]
      const kept = pinOf(await store.read(key))
      const { first, second } = begun.get(task) ?? { first: 0, second: 0 }
      // Before anything was seen, whoever names a session may or may not come back.
      const returning = Math.min(1, (second + 1) / (first + 2))
      return { hash, key, pin: newer(inUse.get(key)?.pin ?? null, kept), returning }
    },
    enter(task, { key, pin }) {
      const shared = inUse.get(key) ?? { calls: 0, pin: null }
      shared.calls += 1
      shared.pin = newer(shared.pin, pin)
      inUse.set(key, shared)
      return {
        serve(served, judge) {
          const before = shared.pin
          const after = judge(pinned(before, served))
          shared.pin = after
          count(task, before)
          // Nobody waits for it, and nobody's answer fails for it.
          store.write(key, pinText(after), KEPT_MS).catch(() => {})
          return { before, after }
        },
        leave() {
          shared.calls -= 1
          if (shared.calls === 0) inUse.delete(key)
        },
      }
    },
  }
}

function newer(one: Pin | null, other: Pin | null): Pin | null {
  if (one === null || other === null) return one ?? other
  return other.at > one.at ? other : one
}

/** How a conversation begins, which it keeps for as long as it lasts; `null`: it says nothing, or nothing readable. */
export function openingOf({ messages }: ChatRequest): string | null {
  const isFrame = ({ role }: ChatRequest['messages'][number]) => role === 'system' || role === 'developer'
  const first = messages.find((message) => !isFrame(message))
  try {
    return first === undefined ? null : JSON.stringify([messages.find(isFrame)?.content ?? null, first.content ?? null])
  } catch {
    return null
  }
}
