import type { UsageRecord } from '../usage.ts'

/** From what calls would have cost with no cache to what they did cost, over those where all of it is known. */
export interface Waterfall {
  readonly calls: number
  /** Calls that are left out: what they cost, or what the cache did, is not known. */
  readonly unknown: number
  readonly cold: number
  /** By calls that only read: below zero, as all that makes it cheaper. */
  readonly read: Step
  /** By calls that only wrote. */
  readonly written: Step
  /** By calls that did both, of which only the difference is known. */
  readonly both: Step
  /** Attempts beside the one that answered, and what was billed otherwise than listed. */
  readonly rest: number
  readonly paid: number
}

export interface Step {
  readonly usd: number
  readonly calls: number
}

export function createWaterfall(): { add(record: UsageRecord): void; read(): Waterfall } {
  const sums = { calls: 0, unknown: 0, cold: 0, paid: 0 }
  const read = { usd: 0, calls: 0 }
  const written = { usd: 0, calls: 0 }
  const both = { usd: 0, calls: 0 }
  return {
    add({ cost, cache, tokens, attempts }) {
      // Nothing was sent, or nothing came of it: there is nothing that a cache could have done.
      if (attempts.length === 0) return
      const { discountUsd, coldUsd } = cache
      if (cost.usd === null || discountUsd === null || coldUsd === null) {
        sums.unknown += 1
        return
      }
      sums.calls += 1
      sums.cold += coldUsd
      sums.paid += cost.usd
      if (discountUsd === 0) return
      const reads = tokens.cachedPrompt !== 0
      const writes = tokens.cacheWrite !== null && tokens.cacheWrite !== 0
      const step = reads && writes ? both : discountUsd > 0 ? read : written
      step.usd -= discountUsd
      step.calls += 1
    },
    read() {
      const { cold, paid } = sums
      const rest = paid - (cold + read.usd + written.usd + both.usd)
      // Floating point leaves dust where there is nothing.
      return {
        ...sums,
        read: { ...read },
        written: { ...written },
        both: { ...both },
        rest: Math.abs(rest) < 1e-9 ? 0 : rest,
      }
    },
  }
}
