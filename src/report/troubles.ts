import type { UsageRecord } from '../usage.ts'
import { placeOf } from './names.ts'

/** One kind of failure. */
export interface Trouble {
  readonly kind: string
  /** Attempts that ended so. */
  readonly attempts: number
  /** Calls that had such an attempt and were answered all the same. */
  readonly rescued: number
  /** Calls that ended so. */
  readonly lost: number
}

/** Attempts at one place. */
export interface Place {
  readonly name: string
  readonly attempts: number
  readonly failed: number
  readonly kinds: readonly { readonly kind: string; readonly count: number }[]
}

/** Beyond this many places the rest is one. */
const MOST_PLACES = 500

/** Failures as attempts saw them, and what became of their calls. */
export function createTroubles(others: string): {
  add(record: UsageRecord): void
  kinds(): readonly Trouble[]
  places(): readonly Place[]
} {
  const kinds = new Map<string, { attempts: number; rescued: number; lost: number }>()
  const places = new Map<string, { attempts: number; failed: number; kinds: Map<string, number> }>()
  const troubleOf = (kind: string) => {
    const found = kinds.get(kind) ?? { attempts: 0, rescued: 0, lost: 0 }
    kinds.set(kind, found)
    return found
  }
  return {
    add({ outcome, attempts }) {
      const met = new Set<string>()
      for (const { provider, host, outcome: end } of attempts) {
        const name = placeOf(provider, host)
        const key = places.has(name) || places.size < MOST_PLACES ? name : others
        const place = places.get(key) ?? { attempts: 0, failed: 0, kinds: new Map<string, number>() }
        places.set(key, place)
        place.attempts += 1
        if (end === 'ok') continue
        met.add(end)
        troubleOf(end).attempts += 1
        place.failed += 1
        place.kinds.set(end, (place.kinds.get(end) ?? 0) + 1)
      }
      if (outcome !== 'ok') troubleOf(outcome).lost += 1
      else for (const kind of met) troubleOf(kind).rescued += 1
    },
    kinds: () =>
      [...kinds].map(([kind, sums]) => ({ kind, ...sums })).sort((a, b) => b.attempts + b.lost - a.attempts - a.lost),
    places: () =>
      [...places]
        .map(([name, { attempts, failed, kinds: met }]) => ({
          name,
          attempts,
          failed,
          kinds: [...met].map(([kind, count]) => ({ kind, count })).sort((a, b) => b.count - a.count),
        }))
        .sort((a, b) => b.failed - a.failed || b.attempts - a.attempts),
  }
}
