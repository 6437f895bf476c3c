import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Bill, billedCache, cacheOf, coldCost, costOf } from '../src/cost.ts'
import type { Billed } from '../src/failure.ts'
import { FREE, fromUsd } from '../src/money.ts'
import { type PriceList, tariff } from '../src/price.ts'
import { costRecord, costSum, NO_NOTES, NO_TOKENS, sumTokens, type Tokens, UNKNOWN_TOKENS } from '../src/usage.ts'
import { runs } from './support/runs.ts'

const MIDNIGHT = 0
const usd = fc.integer({ min: 0, max: 100_000_000 }).map((micros) => micros / 1e6)
const prices: fc.Arbitrary<PriceList> = fc.record(
  {
    input: usd,
    output: usd,
    cachedInput: usd,
    cacheWrite: usd,
    reasoning: usd,
    request: usd,
    tiers: fc.array(
      fc.record(
        {
          abovePromptTokens: fc.nat(300_000),
          fromUtc: fc.constantFrom(0, 1630, 2200),
          untilUtc: fc.constantFrom(30, 800, 2400),
          input: usd,
          output: usd,
          cachedInput: usd,
        },
        { requiredKeys: [] },
      ),
      { maxLength: 2 },
    ),
  },
  { requiredKeys: ['input', 'output'] },
)

/** Tokens as they really were. */
const used = fc
  .record({
    prompt: fc.nat(400_000),
    cached: fc.nat(100),
    written: fc.nat(100),
    completion: fc.nat(50_000),
    thought: fc.nat(100),
  })
  .map(({ prompt, cached, written, completion, thought }) => {
    const cachedPrompt = Math.floor((prompt * cached) / 100)
    const cacheWrite = Math.floor(((prompt - cachedPrompt) * written) / 100)
    const reasoning = Math.floor((completion * thought) / 100)
    return { prompt, cachedPrompt, cacheWrite, completion, reasoning, total: prompt + completion }
  })

/** Which of them the provider does not tell. */
const hidden = fc.record({
  prompt: fc.boolean(),
  cachedPrompt: fc.boolean(),
  cacheWrite: fc.boolean(),
  completion: fc.boolean(),
  reasoning: fc.boolean(),
})

function told(tokens: Tokens, hides: Readonly<Record<string, boolean>>): Tokens {
  const shown = Object.entries(tokens).map(([key, value]) => [key, hides[key] ? null : value])
  return { ...UNKNOWN_TOKENS, ...Object.fromEntries(shown) }
}

function billOf(over: Partial<Bill>): Bill {
  return {
    tokens: UNKNOWN_TOKENS,
    reported: null,
    billed: 'yes',
    tariff: null,
    most: { promptTokens: 1000, completionTokens: 100 },
    utcMinutes: MIDNIGHT,
    ...over,
  }
}

describe('a cost', () => {
  test('that the provider reports is kept to its last digit, before anything else is asked', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1000, noNaN: true }),
        fc.constantFrom<Billed>('yes', 'no', 'maybe'),
        (reported, billed) => {
          const record = costRecord(costOf(billOf({ reported, billed })))
          expect(record).toEqual({ usd: reported, low: reported, high: reported, source: 'reported' })
        },
      ),
      runs(),
    )
  })

  test('of what was not billed is nothing', () => {
    expect(costRecord(costOf(billOf({ billed: 'no' })))).toEqual({ usd: 0, low: 0, high: 0, source: 'computed' })
  })

  test('without a price is unknown, and unknown is not zero', () => {
    expect(costRecord(costOf(billOf({ tokens: NO_TOKENS })))).toEqual({
      usd: null,
      low: 0,
      high: null,
      source: 'unknown',
    })
  })

  test('lies where it really was, whatever the provider leaves out', () => {
    fc.assert(
      fc.property(prices, used, hidden, fc.nat(1439), fc.nat(1000), (list, tokens, hides, utcMinutes, more) => {
        const asked = tariff(list)
        const most = { promptTokens: tokens.prompt + more, completionTokens: tokens.completion + more }
        const real = costOf(billOf({ tokens, tariff: asked, utcMinutes, most }))
        const known = costOf(billOf({ tokens: told(tokens, hides), tariff: asked, utcMinutes, most }))
        expect(real.low).toBe(real.high)
        expect(known.low).toBeLessThanOrEqual(real.low)
        expect(known.high).toBeGreaterThanOrEqual(real.low)
      }),
      runs(),
    )
  })

  test('of what was perhaps billed starts at nothing', () => {
    fc.assert(
      fc.property(prices, used, (list, tokens) => {
        const cost = costOf(billOf({ tokens, tariff: tariff(list), billed: 'maybe' }))
        expect(cost.low).toBe(0)
        expect(cost.high).toBeGreaterThanOrEqual(costOf(billOf({ tokens, tariff: tariff(list) })).low)
      }),
      runs(),
    )
  })

  test('is a number or unknown, never anything else; low is not above high; exact only when they meet', () => {
    const reported = fc.option(fc.double({ min: 0, max: 1e6, noNaN: true }))
    const billed = fc.constantFrom<Billed>('yes', 'no', 'maybe')
    const limit = fc.option(fc.nat(100_000))
    fc.assert(
      fc.property(
        fc.option(prices),
        used,
        hidden,
        reported,
        billed,
        limit,
        (list, tokens, hides, given, paid, completionTokens) => {
          const record = costRecord(
            costOf({
              tokens: told(tokens, hides),
              reported: given,
              billed: paid,
              tariff: list === null ? null : tariff(list),
              most: { promptTokens: 500_000, completionTokens },
              utcMinutes: MIDNIGHT,
            }),
          )
          const { low, high } = record
          expect(Number.isFinite(low) && low >= 0).toBe(true)
          if (high !== null) expect(Number.isFinite(high) && high >= low).toBe(true)
          expect(record.usd).toBe(low === high ? low : null)
          expect(record.source === 'unknown').toBe(high === null)
        },
      ),
      runs(),
    )
  })

  test('is open where thinking or the cache has a price of its own and nobody says how much of it there was', () => {
    const tokens = { ...NO_TOKENS, prompt: 1000, completion: 100 }
    const cost = (list: Partial<PriceList>, unknown: Partial<Tokens>) =>
      costOf(billOf({ tokens: { ...tokens, ...unknown }, tariff: tariff({ input: 1, output: 2, ...list }) }))
    for (const [list, unknown] of [
      [{ reasoning: 3 }, { reasoning: null }],
      [{ cachedInput: 0.5 }, { cachedPrompt: null }],
      [{ cacheWrite: 1.25 }, { cacheWrite: null }],
    ] as const) {
      expect(cost(list, unknown).source).toBe('bounded')
      expect(cost({}, unknown)).toEqual({ low: fromUsd(0.0012), high: fromUsd(0.0012), source: 'computed' })
    }
  })
})

describe('a cost that is not told', () => {
  const tokens = { ...NO_TOKENS, prompt: 1000, completion: 100, total: 1100 }
  const asked = tariff({ input: 1, output: 2 })
  const at = (over: Partial<Bill>) => {
    const { low, high, source } = costRecord(costOf(billOf({ tokens, tariff: asked, ...over })))
    return [low, high, source]
  }

  test('is that of any endpoint that may have answered', () => {
    expect(at({})).toEqual([0.0012, 0.0012, 'computed'])
    expect(at({ others: [tariff({ input: 2, output: 2 }), asked] })).toEqual([0.0012, 0.0022, 'bounded'])
    expect(at({ others: [asked] })).toEqual([0.0012, 0.0012, 'computed'])
  })

  test('is nothing at the least where the prices are only the most that can have been asked', () => {
    expect(at({ atMost: true })).toEqual([0, 0.0012, 'bounded'])
    expect(at({ dearest: false })).toEqual([0, null, 'unknown'])
  })

  test('has in it what was done besides, and no upper bound where nobody says what that cost', () => {
    const searched = (low: number, high: number | null) => ({
      besides: { low: fromUsd(low), high: high === null ? null : fromUsd(high) },
    })
    expect(at(searched(0.02, 0.02))).toEqual([0.0212, 0.0212, 'computed'])
    expect(at(searched(0, null))).toEqual([0.0012, null, 'unknown'])
    // An insured answer is free; a search for it was made all the same.
    expect(at({ billed: 'no', ...searched(0.02, 0.02) })).toEqual([0.02, 0.02, 'computed'])
    expect(at({ billed: 'maybe', ...searched(0.02, 0.02) })).toEqual([0, 0.0212, 'bounded'])
  })

  test("is the fee and more, with the caller's own key: the host's bill is settled there", () => {
    expect(at({ fee: fromUsd(0.0001) })).toEqual([0.0001, null, 'unknown'])
  })

  test('has room both ways for a discount that a list speaks of', () => {
    expect(at({ tariff: tariff({ input: 1, output: 2, discount: 0.5 }) })).toEqual([0.0006, 0.0024, 'bounded'])
  })

  test('is open by as much as sound, pictures, and writing for an hour are dearer, when nobody says how much of it there was', () => {
    const pictures = tariff({ input: 1, output: 2, imageOutput: 30 })
    const media = { audioPrompt: 0, audioCompletion: 0, imageCompletion: null }
    expect(at({ tariff: pictures, media })).toEqual([0.0012, 0.004, 'bounded'])
    expect(at({ tariff: pictures, media: { ...media, imageCompletion: 50 } })).toEqual([0.0026, 0.0026, 'computed'])
    const hours = tariff({ input: 1, output: 2, cacheWrite: 1.25, cacheWrite1h: 2 })
    const written = { ...tokens, cacheWrite: 1000 }
    expect(at({ tariff: hours, tokens: written })).toEqual([0.00145, 0.00145, 'computed'])
    expect(at({ tariff: hours, tokens: written, mayKeepAnHour: true })).toEqual([0.00145, 0.0022, 'bounded'])
  })

  test('is open where tokens are counted as read and as written', () => {
    const cached = tariff({ input: 4, output: 2, cachedInput: 1, cacheWrite: 5 })
    const twice = { ...tokens, cachedPrompt: 1000, cacheWrite: 1000 }
    expect(at({ tariff: cached, tokens: twice })).toEqual([0.0012, 0.0062, 'bounded'])
  })

  test('is counted among the unknown parts of a sum when it has no upper bound', () => {
    const [known, open] = [costOf(billOf({ reported: 0.5 })), costOf(billOf({ tariff: null }))]
    expect(costSum([known, open, open])).toEqual({
      usd: null,
      low: 0.5,
      high: null,
      source: 'unknown',
      unknownParts: 2,
    })
    expect(costSum([known, known])).toEqual({ usd: 1, low: 1, high: 1, source: 'reported' })
    expect(costSum([open])).toEqual({ usd: null, low: 0, high: null, source: 'unknown' })
  })
})

describe('what the cache saved, beside a bill', () => {
  const tokens = { ...NO_TOKENS, prompt: 1000, cachedPrompt: 800, completion: 100, total: 1100 }
  const [cheap, dear] = [
    tariff({ input: 1, output: 2, cachedInput: 0.1 }),
    tariff({ input: 2, output: 4, cachedInput: 0.5 }),
  ]
  const saved = (reported: number | null, over: Partial<Parameters<typeof billedCache>[1]> = {}) => {
    const cost = costOf(billOf({ tokens, tariff: cheap, reported }))
    const charged = { tariffs: [cheap, dear], isSure: true, cost, notes: NO_NOTES, utcMinutes: 0, ...over }
    return billedCache(tokens, charged)
  }
  const UNKNOWN = { discountUsd: null, coldUsd: null, source: 'unknown' }

  test('is told at the prices that come to the bill', () => {
    expect(saved(0.00048)).toEqual({ discountUsd: 0.00072, coldUsd: 0.0012, source: 'computed' })
    expect(saved(0.0012)).toEqual({ discountUsd: 0.0012, coldUsd: 0.0024, source: 'computed' })
    // Searches and fees are no part of it.
    const notes = { ...NO_NOTES, besidesUsd: 0.02, feeUsd: 0.001 }
    expect(saved(0.02148, { notes })).toMatchObject({ discountUsd: 0.00072 })
  })

  test('is unknown where no list comes to the bill, but for what no cache had a part in', () => {
    expect(saved(0.0009)).toEqual(UNKNOWN)
    const cost = costOf(billOf({ reported: 0.0009 }))
    const cold = { ...tokens, cachedPrompt: 0 }
    const charged = { tariffs: [], isSure: false, cost, notes: NO_NOTES, utcMinutes: 0 }
    expect(billedCache(cold, charged)).toEqual({ discountUsd: 0, coldUsd: 0.0009, source: 'computed' })
  })

  test('is computed without a bill only where it is sure who asked what', () => {
    expect(saved(null)).toEqual(UNKNOWN)
    expect(saved(null, { tariffs: [cheap] })).toMatchObject({ discountUsd: 0.00072 })
    expect(saved(null, { tariffs: [cheap], isSure: false })).toEqual(UNKNOWN)
  })
})

describe('the cache', () => {
  test('never saves more than everything, and cold and discount make up the cost', () => {
    fc.assert(
      fc.property(prices, used, fc.nat(1439), (list, tokens, utcMinutes) => {
        const asked = tariff(list)
        const { discountUsd, coldUsd } = cacheOf(tokens, asked, utcMinutes)
        expect(discountUsd).not.toBeNull()
        if (discountUsd === null || coldUsd === null) return
        expect(discountUsd).toBeLessThanOrEqual(coldUsd)
        const cost = costOf(billOf({ tokens, tariff: asked, utcMinutes }))
        expect(fromUsd(coldUsd) - fromUsd(discountUsd)).toBe(cost.low)
        expect(coldCost(tokens, asked, utcMinutes)).toEqual({
          low: fromUsd(coldUsd),
          high: fromUsd(coldUsd),
          source: 'computed',
        })
      }),
      runs(),
    )
  })

  test('does not discount tokens twice that are counted as read and as written', () => {
    const twice = { ...NO_TOKENS, prompt: 1000, cachedPrompt: 1000, cacheWrite: 1000 }
    const { discountUsd, coldUsd } = cacheOf(twice, tariff({ input: 1, output: 1, cachedInput: 0.1, cacheWrite: 0 }), 0)
    expect(coldUsd).toBe(0.001)
    expect(discountUsd).toBe(0.0009)
  })

  test('has a discount with its sign: paid for by writing, saved by reading', () => {
    const asked = tariff({ input: 1, output: 1, cachedInput: 0.1, cacheWrite: 1.25 })
    expect(cacheOf({ ...NO_TOKENS, prompt: 1000, cacheWrite: 1000 }, asked, 0).discountUsd).toBe(-0.00025)
    expect(cacheOf({ ...NO_TOKENS, prompt: 1000, cachedPrompt: 1000 }, asked, 0).discountUsd).toBe(0.0009)
  })

  test('is unknown without a price or without counts, never zero', () => {
    const unknown = { discountUsd: null, coldUsd: null, source: 'unknown' }
    expect(cacheOf(NO_TOKENS, null, 0)).toEqual(unknown)
    expect(cacheOf(UNKNOWN_TOKENS, tariff({ input: 1, output: 1 }), 0)).toEqual(unknown)
    const priced = tariff({ input: 1, output: 1, reasoning: 2 })
    expect(coldCost(UNKNOWN_TOKENS, priced, 0).high).toBeNull()
    expect(coldCost({ ...NO_TOKENS, completion: 100, reasoning: null }, priced, 0)).toEqual({
      low: fromUsd(0.0001),
      high: fromUsd(0.0002),
      source: 'bounded',
    })
  })
})

describe('tokens', () => {
  test('add up, and one unknown makes the sum unknown', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(used, hidden), { maxLength: 5 }), (parts) => {
        const all = sumTokens(parts.map(([tokens, hides]) => told(tokens, hides)))
        for (const key of ['prompt', 'cachedPrompt', 'cacheWrite', 'completion', 'reasoning'] as const) {
          const unknown = parts.some(([, hides]) => hides[key])
          expect(all[key]).toBe(unknown ? null : parts.reduce((total, [tokens]) => total + tokens[key], 0))
        }
      }),
      runs(),
    )
    expect(sumTokens([])).toEqual(NO_TOKENS)
  })

  test('that are nothing cost nothing', () => {
    expect(costOf(billOf({ tokens: NO_TOKENS, tariff: tariff({ input: 1, output: 1 }) }))).toEqual(FREE)
  })
})

const path = fileURLToPath(new URL('../../shared/data/bills.jsonl', import.meta.url))
const there = existsSync(path)
const title = there ? 'real bills' : 'real bills (skipped: ../shared/data/bills.jsonl is not there)'

describe.skipIf(!there)(title, () => {
  const lines = there ? readFileSync(path, 'utf8').trim().split('\n') : []

  test('all 1,358 survive to the last digit of what was written down', () => {
    expect(lines).toHaveLength(1358)
    const survived = lines.filter((line) => {
      // The digits themselves, before any parser has seen them.
      const written = /"cost": ([^,}]+)/.exec(line)?.[1] ?? ''
      const { prompt, cached, cacheWrite, completion, reasoning } = JSON.parse(line)
      const tokens = { prompt, cachedPrompt: cached, cacheWrite, completion, reasoning, total: prompt + completion }
      const cost = costOf(billOf({ tokens, reported: Number(written), tariff: tariff({ input: 1, output: 1 }) }))
      const record = JSON.parse(JSON.stringify(costRecord(cost)))
      const same = [record.usd, record.low, record.high].every((value) => sameDigits(JSON.stringify(value), written))
      return same && record.source === 'reported'
    })
    expect(survived).toHaveLength(lines.length)
  })

  /** `1.5e-05` and `0.000015` are the same digits. */
  function sameDigits(one: string, other: string): boolean {
    return scaled(one) === scaled(other)
  }

  function scaled(text: string): string {
    const [mantissa = '', exponent = '0'] = text.toLowerCase().split('e')
    const [whole = '', fraction = ''] = mantissa.split('.')
    return (BigInt(whole + fraction) * 10n ** BigInt(40 - fraction.length + Number(exponent))).toString()
  }
})
