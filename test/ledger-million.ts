import { createLedger } from '../src/ledger.ts'
import { recordsLike } from './support/records.ts'

/** A process of its own that sums so many records, and tells what they take and what they came to. */
export interface Measured {
  readonly count: number
  /** For one record, of the ledger alone; of the batches, the one at a tenth: what else runs slows down the others. */
  readonly microseconds: number
  readonly median: number
  /** More than was taken before the first one. */
  readonly megabytes: number
  readonly summaryMs: number
  /** By dimension, in USD, and once from whole numbers of any size. */
  readonly lows: readonly number[]
  readonly highs: readonly number[]
  readonly low: number
  readonly high: number
  readonly discounts: readonly number[]
  readonly discount: number
}

const BATCH = 500

function taken(): number {
  for (let n = 0; n < 2; n += 1) globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const pico = (usd: number) => BigInt(Math.round(usd * 1e12))
/** Of the whole dollars and the rest, so that no digit is lost that a number can hold. */
const usd = (sum: bigint) => Number(sum / 10n ** 12n) + Number(sum % 10n ** 12n) / 1e12

function main(count: number): void {
  // Sessions come and go, and days pass: two days in a million calls.
  const next = recordsLike({ msBetween: 200, sessions: 500 })
  const ledger = createLedger({ metadata: ['customer'] })
  // What is only made when the first record comes is no growth.
  const before = taken()
  const each: number[] = []
  let [low, high, discount] = [0n, 0n, 0n]
  for (let done = 0; done < count; done += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, count - done) }, next)
    for (const { attempts, cache } of batch) {
      discount += pico(cache.discountUsd ?? 0)
      for (const { cost } of attempts) {
        low += pico(cost.low)
        high += pico(cost.high ?? cost.low)
      }
    }
    const start = performance.now()
    for (const record of batch) ledger.note(record)
    each.push(((performance.now() - start) * 1000) / batch.length)
  }
  each.sort((one, other) => one - other)
  const at = (share: number) => each[Math.floor(share * each.length)] ?? Number.NaN
  const megabytes = (taken() - before) / 1e6
  const start = performance.now()
  const summaries = (['task', 'model', 'provider', 'host', 'session', 'metadata.customer'] as const).map((by) =>
    ledger.summary({ by }),
  )
  const summaryMs = (performance.now() - start) / summaries.length
  process.stdout.write(
    JSON.stringify({
      count,
      microseconds: at(0.1),
      median: at(0.5),
      megabytes,
      summaryMs,
      lows: summaries.map(({ total }) => total.cost.low),
      highs: summaries.map(({ total }) => total.cost.knownHigh),
      low: usd(low),
      high: usd(high),
      discounts: summaries.map(({ total }) => total.cache.discountUsd),
      discount: usd(discount),
    } satisfies Measured),
  )
}

main(Number(process.argv[2] ?? 1_000_000))
