import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { ConfigError, createRouter, RouterError } from 'modelfirst'
import { fail, reset, seeded } from 'modelfirst/sandbox'
import { describe, expect, test } from 'vitest'
import { createLedger, type LedgerBy } from '../src/ledger.ts'
import { measure } from '../src/measures.ts'
import { createTimeline } from '../src/timeline.ts'
import type { UsageRecord } from '../src/usage.ts'
import type { Measured } from './ledger-million.ts'
import { start } from './sandbox/client.ts'
import { recordsLike } from './support/records.ts'
import { hasty } from './support/router.ts'

const DEEP = process.env.MODELFIRST_DEEP === '1'
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const NOON = Date.UTC(2026, 4, 6, 12)
const BYS = ['task', 'model', 'provider', 'host', 'session'] as const

const next = recordsLike()

function recordAt(date: number, more: Partial<UsageRecord> = {}): UsageRecord {
  return { ...next(), at: new Date(date).toISOString(), ...more }
}

function callsOf(ledger: ReturnType<typeof createLedger>, by: LedgerBy, since?: number | string | Date) {
  const { rows } = ledger.summary({ by, ...(since !== undefined && { since }) })
  return Object.fromEntries(rows.map(({ key, calls }) => [String(key), calls]))
}

function thrownBy(run: () => unknown): ConfigError {
  try {
    run()
  } catch (error) {
    if (ConfigError.is(error)) return error
  }
  throw new Error('expected a ConfigError')
}

test('the ledger of a few hundred calls comes to the bill of the sandbox', async () => {
  const sandbox = await start({ seed: 5, keep: 10_000 })
  const random = seeded(5)
  const faults = () => {
    const chance = random()
    if (chance < 0.06) return fail(503)
    if (chance < 0.1) return fail(429, { retryAfter: 0.01 })
    return chance < 0.12 ? reset() : undefined
  }
  sandbox.groq.script(faults)
  sandbox.openrouter.script(faults)
  const router = createRouter({
    random: hasty(),
    providers: sandbox.providers(),
    tasks: {
      fast: { model: 'openai/gpt-oss-20b', provider: ['groq', 'openrouter'], request: { max_tokens: 60 } },
      careful: { model: 'anthropic/claude-sonnet-4.5', provider: 'openrouter/anthropic', request: { max_tokens: 60 } },
    },
  })
  for (let n = 0; n < 300; n += 1) {
    const session = n % 3 === 0 ? { session: `session-${n % 5}` } : {}
    await router.complete(n % 4 === 0 ? 'careful' : 'fast', `call ${n}`, session).catch((error: unknown) => {
      if (!RouterError.is(error)) throw error
    })
  }
  const bill = sandbox.bill()
  const billed = Number(bill.usd)
  for (const by of BYS) {
    const { rows, total } = router.ledger.summary({ by })
    expect(total.calls).toBe(300)
    expect(total.attempts.count).toBe(sandbox.requests.length)
    expect(total.ok + Object.values(total.failures).reduce((sum, times) => sum + times, 0)).toBe(300)
    expect(total.cost.low).toBeLessThanOrEqual(billed + 1e-9)
    if (total.cost.high !== null) expect(total.cost.high).toBeGreaterThanOrEqual(billed - 1e-9)
    if (total.cost.usd !== null) expect(Math.abs(total.cost.usd - billed)).toBeLessThan(1e-9)
    expect(rows.reduce((sum, { cost }) => sum + cost.low, 0)).toBeCloseTo(total.cost.low, 9)
    expect(total.failovers).toBeGreaterThan(5)
  }
  // What each provider is said to have cost is what that one bills.
  const { rows } = router.ledger.summary({ by: 'provider' })
  for (const { key, cost } of rows) {
    const lines = bill.lines.filter((line) => line.provider === key)
    const own = lines.reduce((sum, line) => sum + Number(line.usd), 0)
    expect(lines.length).toBeGreaterThan(50)
    expect(cost.low).toBeLessThanOrEqual(own + 1e-9)
    if (cost.high !== null) expect(cost.high).toBeGreaterThanOrEqual(own - 1e-9)
  }
  console.info(`300 calls: the ledger says ${router.ledger.summary().total.cost.low}, the sandbox bills ${bill.usd}`)
  await router.close()
}, 30_000)

describe('a summary', () => {
  test('of no calls is empty', () => {
    const { by, from, rows, total } = createLedger().summary()
    expect({ by, from, rows, calls: total.calls, usd: total.cost.usd, share: total.cache.share }).toEqual({
      by: 'task',
      from: null,
      rows: [],
      calls: 0,
      usd: 0,
      share: null,
    })
  })

  test('is plain JSON that nobody can change', () => {
    const ledger = createLedger()
    for (let n = 0; n < 50; n += 1) ledger.note(next())
    const summary = ledger.summary({ by: 'model' })
    expect(JSON.parse(JSON.stringify(summary))).toEqual(summary)
    const isFrozen = (value: unknown): boolean =>
      typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(isFrozen))
    expect(isFrozen(summary)).toBe(true)
  })

  test('reaches over all calls, not only over the records kept', () => {
    const ledger = createLedger({ most: 10 })
    for (let n = 0; n < 500; n += 1) ledger.note(recordAt(NOON + n, { task: 'tag' }))
    expect(ledger.records).toHaveLength(10)
    expect(callsOf(ledger, 'task')).toEqual({ tag: 500 })
  })

  test('tells the dearest first, and those who have no session in a row of their own', () => {
    const ledger = createLedger()
    for (let n = 0; n < 100; n += 1) ledger.note(next())
    const rows = ledger.summary({ by: 'session' }).rows
    expect(rows.map(({ key }) => key)).toContain(null)
    const lows = rows.map(({ cost }) => cost.low)
    expect(lows).toEqual([...lows].sort((one, other) => other - one))
  })

  test('since a time takes Date, ISO and milliseconds, and says what minute it begins at', () => {
    const ledger = createLedger()
    for (const minutes of [-30, -20, -10, -1, 0])
      ledger.note(recordAt(NOON + minutes * MINUTE + 30_000, { task: 'tag' }))
    const since = NOON - 10 * MINUTE + 45_000
    for (const given of [since, new Date(since), new Date(since).toISOString(), '2026-05-06T11:50:45+00:00']) {
      const { from, rows } = ledger.summary({ since: given })
      expect([from, rows[0]?.calls]).toEqual(['2026-05-06T11:50:00.000Z', 3])
    }
    expect(ledger.summary({ since: NOON + HOUR })).toMatchObject({ rows: [], total: { calls: 0 } })
    expect(ledger.summary({ since: '2026-05-06' })).toMatchObject({
      from: '2026-05-06T11:30:30.000Z',
      total: { calls: 5 },
    })
  })

  test('tells times apart by the minute, then by the hour, then by the day, and beyond two months not at all', () => {
    const ledger = createLedger()
    const ages = [100 * DAY, 90 * DAY, 30 * DAY, 10 * DAY, 40 * HOUR, 20 * HOUR, 2 * HOUR, 5 * MINUTE, 0]
    for (const age of ages) ledger.note(recordAt(NOON - age, { task: 'tag' }))
    const from = (age: number) => {
      const summary = ledger.summary({ since: NOON - age + 1 })
      return [summary.from, summary.total.calls]
    }
    expect(from(5 * MINUTE)).toEqual(['2026-05-06T11:55:00.000Z', 2])
    expect(from(2 * HOUR - 30 * MINUTE)).toEqual(['2026-05-06T10:30:00.000Z', 2])
    expect(from(20 * HOUR - 30 * MINUTE)).toEqual(['2026-05-05T16:00:00.000Z', 4])
    expect(from(10 * DAY)).toEqual(['2026-04-26T00:00:00.000Z', 6])
    expect(from(95 * DAY)).toEqual([new Date(NOON - 100 * DAY).toISOString(), 9])
  })

  test('of a call that ended late stands at the time at which it began', () => {
    const ledger = createLedger()
    ledger.note(recordAt(NOON, { task: 'tag' }))
    ledger.note(recordAt(NOON - 20 * MINUTE, { task: 'slow' }))
    ledger.note(recordAt(NOON - 200 * DAY, { task: 'ancient' }))
    expect(callsOf(ledger, 'task', NOON - MINUTE)).toEqual({ tag: 1 })
    expect(callsOf(ledger, 'task', NOON - 30 * MINUTE)).toEqual({ tag: 1, slow: 1 })
    expect(callsOf(ledger, 'task')).toEqual({ tag: 1, slow: 1, ancient: 1 })
  })

  test('of a record without a date is in the whole and in nothing younger', () => {
    const ledger = createLedger()
    ledger.note(recordAt(NOON, { task: 'tag' }))
    ledger.note({ ...next(), task: 'lost', at: 'yesterday' })
    ledger.note(recordAt(NOON + MINUTE, { task: 'tag' }))
    expect(callsOf(ledger, 'task')).toEqual({ tag: 2, lost: 1 })
    expect(callsOf(ledger, 'task', NOON)).toEqual({ tag: 2 })
    expect(ledger.summary().from).toBe('2026-05-06T12:00:00.000Z')
  })

  test('keeps a thousand names apart, and folds those that were not used for longest into others', () => {
    const ledger = createLedger()
    for (let n = 0; n < 5000; n += 1) {
      ledger.note(recordAt(NOON + n * 100, { session: `session-${n}` }))
      if (n % 10 === 0) ledger.note(recordAt(NOON + n * 100, { session: 'always' }))
    }
    const { rows, total } = ledger.summary({ by: 'session' })
    expect(total.calls).toBe(5500)
    expect(rows.length).toBeLessThanOrEqual(1001)
    expect(rows.length).toBeGreaterThan(850)
    const others = rows.at(-1)
    expect([others?.key, others?.others, rows.filter((row) => row.others).length]).toEqual(['others', true, 1])
    expect(rows.find(({ key }) => key === 'always')?.calls).toBe(500)
    expect(rows.find(({ key }) => key === 'session-4999')?.calls).toBe(1)
    expect(rows.find(({ key }) => key === 'session-3')).toBeUndefined()
    // A name that is really so is none of them.
    ledger.note(recordAt(NOON + DAY, { session: 'others' }))
    const named = ledger.summary({ by: 'session' }).rows.filter(({ key }) => key === 'others')
    expect(named.map(({ others: isFolded }) => isFolded).sort()).toEqual([false, true])
  })

  test('counts an attempt where it was made, and a call where it was answered', () => {
    const ledger = createLedger()
    let two = next()
    while (two.attempts.length !== 2 || two.outcome !== 'ok' || two.attempts[0]?.provider === two.provider) two = next()
    ledger.note(two)
    const rows = ledger.summary({ by: 'provider' }).rows
    const answered = rows.find(({ key }) => key === two.provider)
    const failed = rows.find(({ key }) => key === two.attempts[0]?.provider)
    expect([answered?.calls, answered?.attempts.count, answered?.attempts.failures]).toEqual([1, 1, {}])
    expect([failed?.calls, failed?.attempts.count]).toEqual([0, 1])
    expect(Object.values(failed?.attempts.failures ?? {})).toEqual([1])
  })

  test('counts an answer of another model than the one planned with that model, its cost too', () => {
    const ledger = createLedger()
    let two = next()
    while (two.attempts.length !== 2 || two.outcome !== 'ok') two = next()
    ledger.note({ ...two, model: { asked: two.model.asked, served: 'another' } })
    const row = ledger.summary({ by: 'model' }).rows.find(({ key }) => key === 'another')
    expect([row?.calls, row?.attempts.count, row?.cost.low]).toEqual([1, 1, two.attempts[1]?.cost.low])
  })

  test('of millions of dollars is exact to the last pico-dollar that a number can hold', () => {
    const ledger = createLedger()
    let [exact, count] = [0n, 0]
    for (; count < 20_000; count += 1) {
      const pico = 900_000_000_000_001 + 7 * count
      const usd = pico / 1e12
      exact += BigInt(Math.round(usd * 1e12))
      ledger.note(recordAt(NOON, { task: 'tag', attempts: [], cost: { usd, low: usd, high: usd, source: 'reported' } }))
    }
    const { low, high, usd } = ledger.summary().total.cost
    expect([low, high, usd]).toEqual([usd, usd, usd])
    expect(exact / 10n ** 12n).toBe(18_000_000n)
    // As near as a number of eighteen millions can be.
    expect(Math.abs(low - Number(exact / 10n ** 12n) - Number(exact % 10n ** 12n) / 1e12)).toBeLessThan(4e-9)
    // A single call is still seen.
    ledger.note(recordAt(NOON, { attempts: [], cost: { usd: 1e-8, low: 1e-8, high: 1e-8, source: 'reported' } }))
    expect(ledger.summary().total.cost.low - low).toBeGreaterThan(5e-9)
  })

  test('asked by what it does not know names what it does', () => {
    const ledger = createLedger({ metadata: ['customer'] })
    for (const [options, field, says] of [
      [{ by: 'modle' }, 'summary.by', 'did you mean "model"?'],
      [{ by: 'metadata.client' }, 'summary.by', 'metadata is summed by the keys that were named beforehand'],
      [{ by: 7 }, 'summary.by', "expected a name such as 'task', got a number"],
      [
        { since: 'yesterday' },
        'summary.since',
        'expected milliseconds since 1970, a Date or an ISO time, got a string',
      ],
      [{ since: Number.NaN }, 'summary.since', 'expected milliseconds'],
      [{ since: new Date(Number.NaN) }, 'summary.since', 'expected milliseconds'],
      [{ since: 1e300 }, 'summary.since', 'expected milliseconds'],
      [{ sinse: 5 }, 'summary.sinse', 'did you mean "since"?'],
    ] as const) {
      const error = thrownBy(() => Reflect.apply(ledger.summary, ledger, [options]))
      expect(error.field).toBe(field)
      expect(error.message).toContain(says)
    }
    for (const options of [
      { most: 0 },
      { most: 1.5 },
      { metadata: 'customer' },
      { metadata: ['a', 'a'] },
      { mots: 5 },
    ]) {
      expect(thrownBy(() => Reflect.apply(createLedger, null, [options])).field).toMatch(/^ledger\./)
    }
  })
})

test('a name takes one sum for a minute, however many calls there are in it', () => {
  const timeline = createTimeline({ mostKeys: 10, finest: MINUTE })
  for (let n = 0; n < 1000; n += 1) timeline.take('tag', measure(next()), NOON + (n % 3) * MINUTE, n)
  expect(timeline.cells).toBe(3)
  while (timeline.coarsen());
  expect([timeline.cells, timeline.startOf(NOON)]).toEqual([1, Number.NEGATIVE_INFINITY])
})

describe('a record that is replaced', () => {
  test('is put in its place, and the sums are as if it had come so', () => {
    const ledger = createLedger()
    const open = recordAt(NOON, { cost: { usd: null, low: 0, high: 0.5, source: 'bounded' }, attempts: [] })
    ledger.note(open)
    ledger.note(recordAt(NOON))
    const exact: UsageRecord = { ...open, cost: { usd: 0.3, low: 0.3, high: 0.3, source: 'reported' } }
    const before = ledger.summary().total.cost
    expect([ledger.replace(exact), ledger.replace(exact)]).toEqual([true, true])
    const { cost, calls } = ledger.summary().total
    expect(calls).toBe(2)
    expect(cost.low).toBeCloseTo(before.low + 0.3, 12)
    expect(cost.inexactParts).toBe(before.inexactParts - 1)
    expect(ledger.records[0]).toBe(exact)
  })

  test('that is not kept any more changes nothing', () => {
    const ledger = createLedger({ most: 5 })
    const records = Array.from({ length: 20 }, next)
    for (const record of records) ledger.note(record)
    const before = ledger.summary()
    const [first] = records
    expect(first !== undefined && ledger.replace({ ...first, task: 'other' })).toBe(false)
    expect(ledger.summary()).toEqual(before)
  })

  test('is taken from the others when its name was folded meanwhile, also where the name has come again', () => {
    const ledger = createLedger({ most: 5000 })
    const old = recordAt(NOON, { session: 'again' })
    ledger.note(old)
    // With these the thousand is full, and the oldest are folded.
    for (let n = 0; n < 1000; n += 1) ledger.note(recordAt(NOON, { session: `session-${n}` }))
    const callsBy = (name: string) => ledger.summary({ by: 'session' }).rows.find(({ key }) => key === name)?.calls
    expect(callsBy('again')).toBeUndefined()
    ledger.note(recordAt(NOON, { session: 'again' }))
    const others = callsBy('others')
    expect(ledger.replace({ ...old, session: 'moved' })).toBe(true)
    expect([callsBy('again'), callsBy('moved'), callsBy('others')]).toEqual([1, 1, (others ?? Number.NaN) - 1])
    expect(ledger.summary({ by: 'session' }).total.calls).toBe(1002)
  })
})

const COUNT = DEEP ? 1_000_000 : 100_000
const MOST_MEGABYTES = 64
const MOST_MICROSECONDS = 3
/** Other tests run beside this one, and machines differ. */
const SLACK = 3

test(`${COUNT} records are summed exactly, in ${MOST_MEGABYTES} MB, in a few microseconds each`, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ledger-'))
  const outfile = join(folder, 'million.mjs')
  const source = (path: string) => fileURLToPath(new URL(path, import.meta.url))
  try {
    await build({
      entryPoints: [source('ledger-million.ts')],
      bundle: true,
      platform: 'node',
      format: 'esm',
      outfile,
      alias: { 'modelfirst/sandbox': source('../src/sandbox/sandbox.ts') },
    })
    const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', outfile, String(COUNT)])
    const measured: Measured = JSON.parse(stdout)
    const { microseconds, median, megabytes, summaryMs, low, high, discount } = measured
    console.info(
      `${COUNT} records: ${microseconds.toFixed(2)} µs each where nothing else ran (median ${median.toFixed(2)}), ${megabytes.toFixed(1)} MB, a summary in ${summaryMs.toFixed(0)} ms, ${low} to ${high} USD`,
    )
    for (const each of measured.lows) expect(Math.abs(each - low)).toBeLessThan(1e-9)
    for (const each of measured.highs) expect(Math.abs(each - high)).toBeLessThan(1e-9)
    for (const each of measured.discounts) expect(Math.abs(each - discount)).toBeLessThan(1e-9)
    expect(megabytes).toBeLessThanOrEqual(MOST_MEGABYTES)
    expect(microseconds).toBeLessThanOrEqual(SLACK * MOST_MICROSECONDS)
  } finally {
    rmSync(folder, { recursive: true })
  }
}, 300_000)
