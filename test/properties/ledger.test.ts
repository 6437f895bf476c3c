import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createLedger, type LedgerBy } from '../../src/ledger.ts'
import { createTally, type TallyRow } from '../../src/tally.ts'
import type { AttemptRecord, UsageRecord } from '../../src/usage.ts'
import { recordsLike } from '../support/records.ts'
import { runs } from '../support/runs.ts'

const MINUTE = 60_000
const BEGIN = Date.UTC(2026, 0, 5, 9, 30)

const pico = (usd: number) => BigInt(Math.round(usd * 1e12))

/** The same in the plainest words: every attempt under its name, whole numbers of any size. */
interface Plain {
  calls: number
  ok: number
  attempts: number
  low: bigint
  high: bigint
  open: number
  prompt: number
  discount: bigint
  durations: number[]
}

const BYS = ['task', 'session', 'model', 'provider', 'host', 'metadata.customer'] as const

function nameOf(by: (typeof BYS)[number], record: UsageRecord): string | null {
  const { provider, host } = record
  if (by === 'task') return record.task
  if (by === 'session') return record.session
  if (by === 'model') return record.model.served ?? record.model.asked
  if (by === 'provider') return provider
  if (by === 'host') return host === null ? provider : `${provider}/${host}`
  return record.metadata.customer ?? null
}

function nameOfAttempt(by: (typeof BYS)[number], attempt: AttemptRecord, record: UsageRecord): string | null {
  const { model, provider, host, outcome } = attempt
  const isAnswer = record.outcome === 'ok' && outcome === 'ok'
  if (isAnswer || record.attempts.length === 1) return nameOf(by, record)
  if (by === 'model') return model
  if (by === 'provider') return provider
  if (by === 'host') return host === null ? provider : `${provider}/${host}`
  return nameOf(by, record)
}

function plainly(by: (typeof BYS)[number], records: readonly UsageRecord[]): Map<string | null, Plain> {
  const found = new Map<string | null, Plain>()
  const at = (name: string | null): Plain => {
    const known = found.get(name) ?? {
      calls: 0,
      ok: 0,
      attempts: 0,
      low: 0n,
      high: 0n,
      open: 0,
      prompt: 0,
      discount: 0n,
      durations: [],
    }
    found.set(name, known)
    return known
  }
  for (const record of records) {
    const row = at(nameOf(by, record))
    row.calls += 1
    if (record.cache.discountUsd !== null) row.discount += pico(record.cache.discountUsd)
    if (record.outcome === 'ok') {
      row.ok += 1
      row.durations.push(record.latency.totalMs)
    }
    for (const attempt of record.attempts) {
      const { cost, tokens } = attempt
      const own = at(nameOfAttempt(by, attempt, record))
      own.attempts += 1
      own.low += pico(cost.low)
      own.high += pico(cost.high ?? cost.low)
      if (cost.high === null) own.open += 1
      if (tokens.prompt !== null) own.prompt += tokens.prompt
    }
  }
  return found
}

function expectSame(row: TallyRow, plain: Plain): void {
  expect([row.calls, row.ok, row.attempts.count, row.cost.unknownParts, row.tokens.prompt.sum]).toEqual([
    plain.calls,
    plain.ok,
    plain.attempts,
    plain.open,
    plain.prompt,
  ])
  expect(pico(row.cost.low)).toBe(plain.low)
  expect(pico(row.cost.knownHigh)).toBe(plain.high)
  expect(row.cost.high === null).toBe(plain.open > 0)
  expect(pico(row.cache.discountUsd)).toBe(plain.discount)
  const { p50, p95, count } = row.latency.totalMs
  expect(count).toBe(plain.durations.length)
  const sorted = plain.durations.sort((one, other) => one - other)
  for (const [share, told] of [
    [0.5, p50],
    [0.95, p95],
  ] as const) {
    const exact = sorted[Math.floor(share * (sorted.length - 1))]
    if (exact === undefined) expect(told).toBeNull()
    else expect(Math.abs((told ?? Number.NaN) - exact)).toBeLessThanOrEqual(exact * 0.010_001)
  }
}

/** A run is a life of up to two hundred calls, summed anew for six names. */
const LIVES = 25

/** Days in which calls come now by the second and now by the day. */
const life = fc.record({
  seed: fc.nat(),
  stretches: fc.array(
    fc.record({
      calls: fc.integer({ min: 1, max: 25 }),
      pause: fc.oneof(fc.nat(3 * MINUTE), fc.nat(5 * 3_600_000), fc.nat(40 * 86_400_000)),
    }),
    { minLength: 1, maxLength: 8 },
  ),
})

function lived({ seed, stretches }: { seed: number; stretches: readonly { calls: number; pause: number }[] }) {
  const records: UsageRecord[] = []
  let from = BEGIN
  for (const [index, { calls, pause }] of stretches.entries()) {
    const next = recordsLike({ seed: seed + index, from, msBetween: 3000, sessions: 5 })
    for (let n = 0; n < calls; n += 1) records.push({ ...next(), id: `call_${index}_${n}` })
    from = Date.parse(records.at(-1)?.at ?? '') + pause
  }
  return records
}

function ledgerOf(records: readonly UsageRecord[]) {
  const ledger = createLedger({ metadata: ['customer'] })
  for (const record of records) ledger.note(record)
  return ledger
}

function rowsOf(ledger: ReturnType<typeof ledgerOf>, by: LedgerBy, since?: number) {
  const { rows } = ledger.summary({ by, ...(since !== undefined && { since }) })
  return new Map(rows.map((row) => [row.key, row]))
}

describe('a ledger', () => {
  test('sums what the records say, by whatever it is asked, and nothing is lost between the rows and the total', () => {
    fc.assert(
      fc.property(life, (given) => {
        const records = lived(given)
        const ledger = ledgerOf(records)
        for (const by of BYS) {
          const rows = rowsOf(ledger, by)
          const plain = plainly(by, records)
          expect([...rows.keys()].sort()).toEqual([...plain.keys()].sort())
          for (const [key, row] of rows) {
            const own = plain.get(key)
            if (own !== undefined) expectSame(row, own)
          }
          const total = createTally()
          for (const record of records) total.add(record)
          expect(ledger.summary({ by }).total).toEqual(total.row())
        }
      }),
      runs(LIVES),
    )
  })

  test('tells since when it really sums, and sums exactly what came since then', () => {
    fc.assert(
      fc.property(life, fc.double({ min: -0.1, max: 1.1, noNaN: true }), (given, share) => {
        const records = lived(given)
        const ledger = ledgerOf(records)
        const dates = records.map(({ at }) => Date.parse(at))
        const [first, last] = [Math.min(...dates), Math.max(...dates)]
        const since = Math.round(first + share * (last - first))
        for (const by of BYS) {
          const { from, rows } = ledger.summary({ by, since })
          const began = Date.parse(from ?? '')
          expect(began).toBeLessThanOrEqual(Math.max(since, first))
          // Of the last three hours by the minute, where it is not by many keys.
          const isFine = by !== 'session' && by !== 'metadata.customer'
          if (isFine && since > last - 3 * 3_600_000 && since > first) expect(since - began).toBeLessThan(MINUTE)
          const plain = plainly(
            by,
            records.filter((_, index) => (dates[index] ?? 0) >= began),
          )
          expect(rows.map(({ key }) => key).sort()).toEqual([...plain.keys()].sort())
          for (const row of rows) {
            const own = plain.get(row.key)
            if (own !== undefined) expectSame(row, own)
          }
        }
      }),
      runs(LIVES),
    )
  })

  test('in which records were replaced, once or again, is one that never saw the old ones', () => {
    fc.assert(
      fc.property(life, fc.array(fc.tuple(fc.nat(), fc.nat(), fc.boolean()), { maxLength: 10 }), (given, changes) => {
        const records = lived(given)
        const ledger = ledgerOf(records)
        for (const [place, seed, twice] of changes) {
          const index = place % records.length
          const old = records[index]
          if (old === undefined) continue
          const changed = { ...recordsLike({ seed })(), id: old.id, at: old.at }
          records[index] = changed
          expect(ledger.replace(changed)).toBe(true)
          if (twice) expect(ledger.replace(changed)).toBe(true)
        }
        expect(ledger.records).toEqual(records)
        const fresh = ledgerOf(records)
        for (const by of BYS) {
          expect(rowsOf(ledger, by)).toEqual(rowsOf(fresh, by))
          expect(ledger.summary({ by }).total).toEqual(fresh.summary({ by }).total)
        }
      }),
      runs(LIVES),
    )
  })

  test('tallies of parts add up to the tally of all, and what is taken back leaves no trace', () => {
    fc.assert(
      fc.property(life, life, (one, other) => {
        const [kept, gone] = [lived(one), lived(other)]
        const [all, part, rest, disturbed] = [createTally(), createTally(), createTally(), createTally()]
        for (const [index, record] of kept.entries()) {
          all.add(record)
          ;(index % 2 === 0 ? part : rest).add(record)
          disturbed.add(record)
        }
        for (const record of gone) disturbed.add(record)
        for (const record of gone) disturbed.remove(record)
        part.merge(rest)
        expect(part.row()).toEqual(all.row())
        expect(disturbed.row()).toEqual(all.row())
      }),
      runs(LIVES),
    )
  })
})
