import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { recordLines, reportOf } from 'modelfirst/report'
import { describe, expect, test } from 'vitest'
import { dateText, instantOf, timeText } from '../../src/report/calendar.ts'
import { createCollection } from '../../src/report/collection.ts'
import { durationText, shareText, spanText, usdText } from '../../src/report/figures.ts'
import { html } from '../../src/report/html.ts'
import { createLots, type Group } from '../../src/report/lots.ts'
import { shown } from '../../src/report/names.ts'
import { SCRIPT_HASH, STYLE_HASH } from '../../src/report/page.ts'
import { recordFrom } from '../../src/report/record.ts'
import { SCRIPT } from '../../src/report/script.ts'
import { createSeries } from '../../src/report/series.ts'
import { STYLE } from '../../src/report/style.ts'
import { measure } from '../../src/tally.ts'
import type { UsageRecord } from '../../src/usage.ts'
import { exactly, sample } from './sample.ts'
import { sumsOf } from './sums.ts'

const figure = (page: string, id: string) => {
  const [, value] = new RegExp(`id="${id}".*?<data value="([^"]*)">`, 's').exec(page) ?? []
  return value === undefined || value === '' ? null : Number(value)
}
const [plain] = sample(1)
const one = (changes: Partial<UsageRecord>): UsageRecord => {
  if (plain === undefined) throw new Error('no record')
  return { ...plain, ...changes }
}

describe('a page', () => {
  test('of 100,000 records is made within 2 seconds and weighs less than a megabyte', async () => {
    const some = [...sample(10_000)]
    const records = Array.from({ length: 10 }, (_, n) =>
      some.map((record) => ({ ...record, id: `${n} ${record.id}` })),
    ).flat()
    const began = { wall: performance.now(), cpu: process.cpuUsage() }
    const page = await reportOf(records)
    const wall = performance.now() - began.wall
    const { user, system } = process.cpuUsage(began.cpu)
    const took = Math.min(wall, (user + system) / 1000)
    const bytes = Buffer.byteLength(page)
    console.log(`100,000 records: ${(took / 1000).toFixed(2)} s, ${(bytes / 1000).toFixed(0)} kB`)
    expect(bytes).toBeLessThan(1_000_000)
    // With room for a machine that is busy with other tests.
    expect(took).toBeLessThan(4000)
    expect(figure(page, 'calls')).toBe(100_000)
    expect(figure(page, 'spend')).toBeCloseTo(sumsOf(records).low, 9)
  })

  test('of records that have nothing in common is bounded too, and loses nothing of the sum', async () => {
    const records = [...sample(6000, 3, 3000)].map((record, n) => {
      const own = `${n} ${'long '.repeat(50)}`
      const attempts = record.attempts.map((attempt) => ({ ...attempt, model: own, provider: own, host: own }))
      return { ...record, task: own, model: { asked: own, served: own }, provider: own, host: own, attempts }
    })
    const page = await reportOf(records)
    expect(Buffer.byteLength(page)).toBeLessThan(1_000_000)
    expect(figure(page, 'calls')).toBe(6000)
    expect(figure(page, 'spend')).toBeCloseTo(sumsOf(records).low, 9)
  })

  test('what is not known stays in sight', async () => {
    const unknown = { usd: null, low: 0, high: null, source: 'unknown' } as const
    const attempts = (cost: UsageRecord['cost']) =>
      one({})
        .attempts.slice(0, 1)
        .map((attempt) => ({ ...attempt, cost }))
    const open = [1, 2, 3].map((n) => one({ id: `open-${n}`, cost: unknown, attempts: attempts(unknown) }))
    const known = one({ id: 'known', cost: exactly(0.25), attempts: attempts(exactly(0.25)) })
    const page = await reportOf([...open, known])
    expect(page).toContain('3 calls of unknown cost')
    expect(page).toContain('≥ $0.250')
    expect(await reportOf(open)).toMatch(/id="spend".*?<span class="warn">–<\/span>/s)
    expect(await reportOf([known])).not.toContain('of unknown cost:')
  })

  test('a record that comes again, with the bill known by then, counts once', async () => {
    const cost = { usd: null, low: 0, high: 1, source: 'bounded' } as const
    const attempt = one({}).attempts[0]
    if (attempt === undefined) throw new Error('no attempt')
    const before = one({ id: 'again', cost, attempts: [{ ...attempt, cost }] })
    const after = one({ id: 'again', cost: exactly(0.125), attempts: [{ ...attempt, cost: exactly(0.125) }] })
    const page = await reportOf([before, ...sample(10), after])
    expect(figure(page, 'calls')).toBe(11)
    expect(figure(page, 'spend')).toBeCloseTo(sumsOf([after, ...sample(10)]).low, 12)
    expect(page).toContain('1 record had a later one of the same call')
  })

  test('what a failed attempt cost stands where it was spent, and the answer under the name that it bears', () => {
    const [attempt] = one({}).attempts
    if (attempt === undefined) throw new Error('no attempt')
    const attempts = [
      { ...attempt, model: 'a', provider: 'x', host: null, outcome: 'cut-off' as const, cost: exactly(0.25) },
      { ...attempt, n: 2, model: 'b', provider: 'y', host: 'z', role: 'failover' as const, cost: exactly(0.5) },
    ]
    const model = { asked: 'a', served: 'b-2026-11-01' }
    const collection = createCollection()
    collection.add(one({ attempts, model, provider: 'y', host: 'z', cost: exactly(0.75) }))
    const { groups, total, troubles, places } = collection.read()
    const spent = (rows: readonly Group[]) => rows.map(({ name, row }) => [name, row.calls, row.cost.usd])
    expect(spent(groups.model)).toEqual([
      ['b-2026-11-01', 1, 0.5],
      ['a', 0, 0.25],
    ])
    expect(spent(groups.host)).toEqual([
      ['y/z', 1, 0.5],
      ['x', 0, 0.25],
    ])
    expect(total.cost.usd).toBe(0.75)
    expect(troubles).toEqual([{ kind: 'cut-off', attempts: 1, rescued: 1, lost: 0 }])
    expect(places[0]).toMatchObject({ name: 'x', attempts: 1, failed: 1 })
  })

  test('from cold to paid, every step is told, and what nobody knows is left out', () => {
    const tokens = { prompt: 100, cachedPrompt: 50, cacheWrite: 0, completion: 5, reasoning: 0, total: 105 }
    const cache = (discountUsd: number) => ({ discountUsd, coldUsd: 0.5, source: 'computed' as const })
    const collection = createCollection()
    const all: readonly Partial<UsageRecord>[] = [
      { tokens, cache: cache(0.25), cost: exactly(0.25) },
      { tokens: { ...tokens, cachedPrompt: 0, cacheWrite: 50 }, cache: cache(-0.125), cost: exactly(0.625) },
      { tokens: { ...tokens, cacheWrite: 25 }, cache: cache(0.125), cost: exactly(0.375) },
      // Billed above the list.
      { tokens: { ...tokens, cachedPrompt: 0 }, cache: cache(0), cost: exactly(0.75) },
      { cache: { discountUsd: null, coldUsd: null, source: 'unknown' }, cost: exactly(9) },
    ]
    for (const [n, changes] of all.entries()) collection.add(one({ ...changes, id: `${n}` }))
    expect(collection.read().waterfall).toEqual({
      calls: 4,
      unknown: 1,
      cold: 2,
      read: { usd: -0.25, calls: 1 },
      written: { usd: 0.125, calls: 1 },
      both: { usd: -0.125, calls: 1 },
      rest: 0.25,
      paid: 2,
    })
  })

  test('what is kept apart is bounded, whichever names meet', () => {
    const lots = createLots()
    for (let n = 0; n < 4000; n += 1) lots.add(lots.of(`t${n % 200}`, `m${n % 199}`, 'p', null), measure(one({})))
    expect(lots.by('task').length).toBeLessThanOrEqual(201)
    expect(new Set(Array.from({ length: 4000 }, (_, n) => lots.of(`t${n % 200}`, `m${n % 199}`, 'p', null))).size).toBe(
      1000,
    )
    expect(lots.total().calls).toBe(4000)
  })

  test('a cached call that is dearer than a cold one elsewhere is told', async () => {
    const alternatives = [
      {
        model: 'cheap',
        provider: 'elsewhere',
        host: null,
        usd: { low: 0.01, high: 0.01 },
        premiumUsd: { low: 0.03, high: 0.03 },
      },
    ]
    const cache = { discountUsd: 0.02, coldUsd: 0.06, source: 'computed' } as const
    const page = await reportOf([one({ cost: exactly(0.04), cache, alternatives })])
    expect(page).toContain('1 call read from a cache and still cost $0.0300 more')
    expect(page).toContain('cheap at elsewhere')
  })

  test('it is the same for the same records, in one go or as they come', async () => {
    const records = [...sample(500)]
    async function* slowly() {
      for (const record of records) yield record
    }
    expect(await reportOf(slowly())).toBe(await reportOf(records))
  })

  test('its policy knows its style and its script', () => {
    const print = (text: string) => `sha256-${createHash('sha256').update(text).digest('base64')}`
    expect(STYLE_HASH).toBe(print(STYLE))
    expect(SCRIPT_HASH).toBe(print(SCRIPT))
  })

  test('it names no address', async () => {
    expect(await reportOf(sample(50))).not.toMatch(/https?:|\/\/[a-z]|url\(|@import/i)
  })

  test('whatever a text is, it ends no tag and no attribute', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'<>"\'`&/ =a') }), (text) => {
        expect(html`<b title="${text}">${text}</b>`.markup.replace(/^<b title="|">|<\/b>$/g, '')).not.toMatch(/[<>"'`]/)
      }),
    )
  })
})

describe('names', () => {
  test('are cut, and what cannot be seen or turns what follows is taken out', () => {
    expect(shown('tag')).toBe('tag')
    expect(shown('\u001b[31mred\u202egnp.exe\u0007')).toBe('\ufffd[31mred\ufffdgnp.exe\ufffd')
    expect(shown('a'.repeat(500))).toHaveLength(80)
    expect(shown(' ')).toBe('(no name)')
    expect(shown('日本語 🙂')).toBe('日本語 🙂')
  })
})

describe('figures', () => {
  test.each([
    [0, '$0'],
    [1234.5, '$1,235'],
    [12.345, '$12.35'],
    [0.301, '$0.301'],
    [0.000012345, '$0.0000123'],
    [-0.5, '−$0.500'],
  ])('%d USD is %s', (usd, text) => {
    expect(usdText(usd)).toBe(text)
  })
  test('an interval says what it is', () => {
    expect(spanText(1, 1)).toBe('$1.00')
    expect(spanText(1, 1.5)).toBe('$1.00 to $1.50')
    expect(spanText(1, null)).toBe('≥ $1.00')
    expect(spanText(0, null)).toBe('–')
  })
  test('nearly all is not all', () => {
    expect([1, 0.99999, 0.5, 0.00001, 0, null].map(shareText)).toEqual([
      '100 %',
      '> 99.9 %',
      '50 %',
      '< 0.1 %',
      '0 %',
      '–',
    ])
    expect([0.5, 999, 1500, 61_000, 600_000, null].map(durationText)).toEqual([
      '0.5 ms',
      '999 ms',
      '1.50 s',
      '61.0 s',
      '10 min',
      '–',
    ])
  })
})

describe('times', () => {
  const dates = fc.date({ min: new Date('1970-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
  test('are read and written as JavaScript does, with no clock and no time zone', () => {
    fc.assert(
      fc.property(dates, (date) => {
        const iso = date.toISOString()
        const instant = instantOf(iso)
        expect(instant).toBe(date.getTime())
        expect(timeText(date.getTime())).toBe(iso.slice(11, 16))
        expect(new Date(`${dateText(date.getTime())} UTC`).toISOString().slice(0, 10)).toBe(iso.slice(0, 10))
      }),
    )
  })
  test('that are none are none', () => {
    for (const text of [
      '',
      '2026-02-30T00:00:00Z',
      '2026-13-01T00:00:00Z',
      '2026-01-01',
      '2026-01-01T24:00:00Z',
      '2026-01-01T00:00:00+01:00',
    ])
      expect(instantOf(text), text).toBeNull()
  })
})

describe('spending over time', () => {
  test('adds up, however long it is and in whatever order it comes', () => {
    const names = ['a', 'b'].map((task) => ({ task, model: 'm', provider: 'p', host: 'h' }))
    const spent = fc.record({
      at: fc.integer({ min: 0, max: 2_000_000_000_000 }),
      which: fc.constantFrom(...names),
      usd: fc.integer({ min: 0, max: 1_000_000 }),
      open: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(spent, { minLength: 1, maxLength: 800 }), (all) => {
        const series = createSeries()
        for (const { at, which, usd, open } of all) series.add(at, which, { low: usd, high: open ? null : usd + 1 })
        const read = series.by('task')
        if (read === null) throw new Error('nothing')
        expect(read.slots.length).toBeLessThanOrEqual(72)
        for (const name of ['a', 'b']) {
          const own = all.filter(({ which }) => which.task === name)
          const cells = read.slots.flatMap((slot) => slot.get(name) ?? [])
          const sum = (key: 'low' | 'open' | 'attempts') => cells.reduce((total, cell) => total + cell[key], 0)
          expect(sum('low')).toBe(own.reduce((total, { usd }) => total + usd, 0))
          expect(sum('attempts')).toBe(own.length)
          expect(sum('open')).toBe(own.filter(({ open }) => open).length)
        }
        const first = Math.min(...all.map(({ at }) => at))
        expect(read.from).toBeLessThanOrEqual(first)
        expect(read.from + read.widthMs).toBeGreaterThan(first)
      }),
      { numRuns: 60 },
    )
  })
})

describe('records from lines', () => {
  const records = [...sample(40)]
  const lines = records.map((record) => JSON.stringify(record))
  const read = async (chunks: readonly (string | Uint8Array)[]) => {
    const source = recordLines(chunks)
    const found: UsageRecord[] = []
    for await (const record of source) found.push(record)
    return { found, unread: source.unread }
  }

  test('wherever the bytes are cut', async () => {
    const bytes = new TextEncoder().encode(`${lines.join('\r\n')}\n`.replaceAll('"task":"tag"', '"task":"täg 🙂"'))
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 30 }), async (cuts) => {
        const ends = [...cuts, bytes.length].sort((a, b) => a - b)
        const { found, unread } = await read(ends.map((end, index) => bytes.slice(ends[index - 1] ?? 0, end)))
        expect(found.map(({ id }) => id)).toEqual(records.map(({ id }) => id))
        expect(found.some(({ task }) => task === 'täg 🙂')).toBe(true)
        expect(unread).toEqual({ broken: 0, foreign: 0, version: 0, cut: false, first: null })
      }),
      { numRuns: 50 },
    )
  })

  test('what is no record is counted, passed over, and told on the page', async () => {
    const [line = ''] = lines
    const later = line.replace('"v":1', '"v":2')
    const source = recordLines([
      [line, '{"half', '', '[1]', '{"v":1}', 'null', later, '{"a":1}'].join('\n'),
      `\n${line.slice(0, 99)}`,
    ])
    const page = await reportOf(source)
    expect(source.unread).toEqual({ broken: 1, foreign: 4, version: 1, cut: true, first: 2 })
    expect(figure(page, 'calls')).toBe(1)
    expect(page).toContain(
      '6 lines could not be read and are in no sum: 1 no JSON, 4 no usage record, 1 of a later version, the first is line 2.',
    )
    expect(page).toContain('The last line is half a record')
  })

  test('a last line that is whole but for its end counts', async () => {
    expect((await read([lines.join('\n')])).found).toHaveLength(40)
  })

  test('a line without an end is not kept in memory', async () => {
    const chunk = 'x'.repeat(1_000_000)
    const { found, unread } = await read([...Array.from({ length: 600 }, () => chunk), `\n${lines[0]}\n`])
    expect(found).toHaveLength(1)
    expect(unread.broken).toBe(1)
  })

  test('only a record is taken for one', () => {
    const good = JSON.parse(lines[0] ?? '')
    expect(recordFrom(good)).toBe(good)
    expect(recordFrom({ ...good, more: 1 })).toMatchObject({ more: 1 })
    for (const key of Object.keys(good)) {
      if (['generationId', 'pinBecause'].includes(key)) continue
      const { [key]: _, ...rest } = good
      expect(recordFrom(rest), key).toBe('foreign')
    }
    for (const wrong of [
      { cost: { ...good.cost, low: -1 } },
      { cost: { ...good.cost, low: 1e300 } },
      { cost: { ...good.cost, source: 'constructor' } },
      { outcome: '__proto__' },
      { drift: [{ kind: 'constructor', planned: '', served: '' }] },
      { tokens: { ...good.tokens, prompt: '12' } },
      { attempts: [null] },
      { at: 'yesterday' },
    ]) {
      expect(recordFrom({ ...good, ...wrong }), JSON.stringify(wrong)).toBe('foreign')
    }
    expect(recordFrom({ ...good, v: 2 })).toBe('version')
  })

  test('damage of any kind costs no more than the damaged lines', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(lines.length - 1), fc.nat(200), fc.string(), async (index, at, junk) => {
        const damaged = lines.map((line, n) =>
          n === index ? line.slice(0, at) + junk.replaceAll('\n', '') + line.slice(at + 1) : line,
        )
        const { found } = await read([damaged.join('\n'), '\n'])
        expect(found.length).toBeGreaterThanOrEqual(39)
        expect(await reportOf(found)).toContain('</html>')
      }),
      { numRuns: 40 },
    )
  })
})
