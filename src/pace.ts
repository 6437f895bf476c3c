import { keep } from './bounded.ts'

/** How fast offers have been, from the calls of this process. */
export interface Paces {
  note(offer: string, seen: { readonly tokensPerSecond: number | null; readonly firstMs: number | null }): void
  /** Tokens per second, the newest calls counting most; `null` as long as nobody knows. */
  speed(offer: string): number | null
  /** Milliseconds to the first content that 19 of 20 calls did not exceed; `null` before enough were seen. */
  p95(offer: string): number | null
}

/** How much the newest call counts in a speed. */
const WEIGHT = 0.2
const KEPT = 100
const LEAST = 20
const MOST_OFFERS = 10_000

interface Pace {
  speed: number | null
  /** A ring: the newest in the place of the oldest. */
  readonly firsts: number[]
  seen: number
}

export function createPaces(): Paces {
  const paces = new Map<string, Pace>()
  function paceOf(offer: string): Pace {
    return paces.get(offer) ?? keep(paces, MOST_OFFERS, offer, { speed: null, firsts: [], seen: 0 })
  }
  return {
    note(offer, { tokensPerSecond, firstMs }) {
      const pace = paceOf(offer)
      if (tokensPerSecond !== null) {
        pace.speed = pace.speed === null ? tokensPerSecond : pace.speed + WEIGHT * (tokensPerSecond - pace.speed)
      }
      if (firstMs === null) return
      pace.firsts[pace.seen % KEPT] = firstMs
      pace.seen += 1
    },
    speed: (offer) => paces.get(offer)?.speed ?? null,
    p95(offer) {
      const firsts = paces.get(offer)?.firsts ?? []
      if (firsts.length < LEAST) return null
      const sorted = new Float64Array(firsts).sort()
      return sorted[Math.ceil(sorted.length * 0.95) - 1] ?? null
    },
  }
}
