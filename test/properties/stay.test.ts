import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type PriceList, tariff } from '../../src/price.ts'
import {
  type Coming,
  lived,
  placeAt,
  type SeenCall,
  type SessionHistory,
  type SessionPlace,
  type Site,
  whilePaying,
  whileWarm,
} from '../../src/stay.ts'
import { runs } from '../support/runs.ts'

const tokens = fc.oneof(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 0, max: 10_000_000 }))
const usd = fc.oneof(fc.constant(0), fc.double({ min: 0, max: 200, noNaN: true }))
const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: null })

const histories: fc.Arbitrary<SessionHistory> = fc.record({
  turns: fc.integer({ min: 1, max: 100_000 }),
  gapMs: maybe(fc.double({ min: 0, max: 1e10, noNaN: true })),
  growth: maybe(tokens),
  completionTokens: maybe(fc.double({ min: 0, max: 1e6, noNaN: true })),
  share: maybe(fc.double({ min: 0, max: 1, noNaN: true })),
})
const comings: fc.Arbitrary<Coming> = fc.record({
  promptTokens: tokens,
  maxTokens: maybe(fc.integer({ min: 1, max: 1_000_000 })),
  utcMinutes: fc.integer({ min: 0, max: 1439 }),
})
const about = fc.record({ history: maybe(histories), coming: comings })

/** Where reading costs no more than input, and writing no less: no host is known that has it otherwise. */
const sane = fc
  .record({ input: usd, output: usd, read: fc.double({ min: 0, max: 1, noNaN: true }), write: maybe(usd) })
  .map(({ input, output, read, write }): PriceList => {
    const list = { input, output, cachedInput: input * read }
    return write === null ? list : { ...list, cacheWrite: input + write }
  })
const lists: fc.Arbitrary<PriceList> = fc.oneof(
  sane,
  fc.record({ input: usd, output: usd }),
  fc.record({ input: usd, output: usd, cachedInput: usd, cacheWrite: usd, request: usd }),
  fc.tuple(sane, sane, tokens).map(([list, tier, above]) => ({
    ...list,
    tiers: [
      { ...tier, abovePromptTokens: above },
      { fromUtc: 1600, untilUtc: 30, input: tier.input },
    ],
  })),
)
const cachings = fc.record({
  ttlMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 86_400_000 })),
  least: fc.constantFrom(0, 128, 1024, 4096),
  marked: fc.boolean(),
})
const sitesWith = (priced: fc.Arbitrary<PriceList | null>): fc.Arbitrary<Site> =>
  fc.record({
    model: fc.constantFrom('openai/gpt-oss-20b', 'openai/gpt-oss-120b'),
    provider: fc.constantFrom('groq', 'openrouter'),
    host: maybe(fc.constantFrom('groq', 'deepinfra', 'novita')),
    tariff: priced.map((list) => (list === null ? null : tariff(list))),
    caching: cachings,
    warmTokens: fc.oneof(fc.constant(0), tokens),
  })
const sites = sitesWith(maybe(lists))

const isMoney = (amount: number | null) => amount === null || (Number.isFinite(amount) && amount >= 0)

describe('what it costs to go on somewhere', () => {
  test('is money, or unknown where the price is, and the rest is no less than the call to come', () => {
    fc.assert(
      fc.property(sites, about, (site, given) => {
        const place = placeAt(site, given)
        expect(isMoney(place.usd) && isMoney(place.restUsd)).toBe(true)
        expect([place.usd === null, place.restUsd === null]).toEqual(Array(2).fill(site.tariff === null))
        expect(place.restUsd ?? 0).toBeGreaterThanOrEqual(place.usd ?? 0)
        expect(Number.isInteger(place.cachedTokens)).toBe(true)
        expect(place.cachedTokens).toBeGreaterThanOrEqual(0)
        expect(place.cachedTokens).toBeLessThanOrEqual(Math.min(given.coming.promptTokens, site.warmTokens))
        expect(placeAt(site, given)).toEqual(place)
      }),
      runs(),
    )
  })

  test('is never more where reading is cheaper', () => {
    fc.assert(
      fc.property(sane, fc.double({ min: 0, max: 1, noNaN: true }), sites, about, (list, part, site, given) => {
        const cheaper = { ...list, cachedInput: (list.cachedInput ?? list.input) * part }
        const one = placeAt({ ...site, tariff: tariff(list) }, given)
        const other = placeAt({ ...site, tariff: tariff(cheaper) }, given)
        expect(other.usd).toBeLessThanOrEqual(above(one.usd))
        expect(other.restUsd).toBeLessThanOrEqual(above(one.restUsd))
      }),
      runs(),
    )
  })

  test('is never more where more of it is warm, or for longer', () => {
    fc.assert(
      fc.property(sitesWith(sane), tokens, fc.integer({ min: 1, max: 1e9 }), about, (site, warmer, longerMs, given) => {
        const one = placeAt(site, given)
        const other = placeAt({ ...site, warmTokens: site.warmTokens + warmer }, given)
        expect(other.usd).toBeLessThanOrEqual(above(one.usd))
        expect(other.restUsd).toBeLessThanOrEqual(above(one.restUsd))
        // Where it is kept at all: that it begins to be kept has its price.
        if (site.caching.ttlMs === 0) return
        const caching = { ...site.caching, ttlMs: site.caching.ttlMs + longerMs }
        expect(placeAt({ ...site, caching }, given).restUsd).toBeLessThanOrEqual(above(one.restUsd))
      }),
      runs(),
    )
  })
})

/** Rounding to whole pico-dollars is of no account. */
function above(amount: number | null): number {
  return amount === null ? Number.NaN : amount * (1 + 1e-12) + 1e-11
}

const places: fc.Arbitrary<SessionPlace> = fc.record({
  model: fc.constantFrom('openai/gpt-oss-20b', 'openai/gpt-oss-120b'),
  provider: fc.constantFrom('groq', 'openrouter'),
  host: maybe(fc.constantFrom('deepinfra', 'novita')),
  warm: fc.boolean(),
  cachedTokens: tokens,
  usd: maybe(usd),
  // Few different amounts: ties are what rules differ by.
  restUsd: maybe(fc.oneof(usd, fc.constantFrom(0, 0.001, 0.01))),
})
const lots = fc.array(places, { minLength: 1, maxLength: 8 })
const rules = fc.oneof(
  fc.constant(whileWarm()),
  fc.double({ min: 0, max: 0.99, noNaN: true }).map((margin) => whilePaying({ margin })),
)

describe('stay or move', () => {
  test('is decided for one of the places, each time the same, with a reason in words', () => {
    fc.assert(
      fc.property(rules, lots, maybe(histories), (rule, given, history) => {
        const before = structuredClone(given)
        const first = rule(given, history)
        expect(given.includes(first.place)).toBe(true)
        expect(rule(given, history)).toEqual(first)
        expect(first.because).toMatch(/^[^\n]{5,200}$/)
        expect(first.because).not.toMatch(/NaN|Infinity|undefined|null/)
        expect(given).toEqual(before)
      }),
      runs(),
    )
  })

  test('the home is kept unless another place is cheaper by more than the margin', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 0.99, noNaN: true }), places, lots, (margin, standing, rest) => {
        const home = { ...standing, warm: true }
        const { place } = whilePaying({ margin })([home, ...rest], null)
        if (place === home) return
        expect(home.restUsd).not.toBeNull()
        expect(place.restUsd).not.toBeNull()
        expect(place.restUsd).toBeLessThan((home.restUsd ?? 0) * (1 - margin))
        for (const { restUsd, model } of rest) {
          if (restUsd !== null && model === home.model) expect(restUsd).toBeGreaterThanOrEqual(place.restUsd ?? 0)
        }
      }),
      runs(),
    )
  })

  test('a place that becomes cheaper is still taken', () => {
    fc.assert(
      fc.property(lots, usd, (given, less) => {
        const rule = whilePaying()
        const { place } = rule(given, null)
        if (place.restUsd === null) return
        const cheaper = { ...place, restUsd: Math.max(0, place.restUsd - less) }
        const again = rule(
          given.map((each) => (each === place ? cheaper : each)),
          null,
        )
        expect(again.place).toBe(cheaper)
      }),
      runs(),
    )
  })
})

test('what a session has been like stays within what was seen of it', () => {
  const seen: fc.Arbitrary<SeenCall> = fc.record({
    gapMs: maybe(fc.double()),
    promptTokens: tokens,
    previousPromptTokens: maybe(tokens),
    completionTokens: maybe(fc.oneof(tokens, fc.double())),
    readable: maybe(tokens),
    cachedTokens: maybe(tokens),
  })
  fc.assert(
    fc.property(fc.array(seen, { minLength: 1, maxLength: 30 }), (calls) => {
      const history = calls.reduce<SessionHistory | null>(lived, null)
      expect(history?.turns).toBe(calls.length)
      const within = (value: number | null | undefined, all: readonly (number | null)[]) => {
        const figures = all.filter((each) => each !== null && Number.isFinite(each) && each >= 0).map(Number)
        if (value == null) return expect(figures).toEqual([])
        expect(value).toBeGreaterThanOrEqual(Math.min(...figures) * (1 - 1e-9))
        expect(value).toBeLessThanOrEqual(Math.max(...figures) * (1 + 1e-9))
      }
      within(
        history?.gapMs,
        calls.map(({ gapMs }) => gapMs),
      )
      within(
        history?.completionTokens,
        calls.map(({ completionTokens }) => completionTokens),
      )
      for (const figure of [history?.growth, history?.share]) {
        if (figure != null) expect(Number.isFinite(figure) && figure >= 0).toBe(true)
      }
      expect(history?.share ?? 0).toBeLessThanOrEqual(1)
    }),
    runs(),
  )
})
