import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bound, type PricedTokens, type PriceList, price, tariff } from '../src/price.ts'
import { type PartlyKnown, span } from '../src/span.ts'
import { runs } from './support/runs.ts'

const NONE: PricedTokens = { prompt: 0, cachedPrompt: 0, cacheWrite: 0, completion: 0 }
const sonnet = tariff({ input: 3, output: 15, cachedInput: 0.3, cacheWrite: 3.75 })

/** USD per million as price lists write it: at most six decimals. */
const usd = fc.integer({ min: 0, max: 200_000_000 }).map((micros) => micros / 1e6)
const keys = {
  cachedInput: usd,
  cacheWrite: usd,
  cacheWrite1h: usd,
  reasoning: usd,
  audioInput: usd,
  audioCachedInput: usd,
  audioOutput: usd,
  imageOutput: usd,
  request: fc.integer({ min: 0, max: 100 }).map((cents) => cents / 100),
}
const clockTime = fc.tuple(fc.nat(23), fc.nat(59)).map(([hours, minutes]) => hours * 100 + minutes)
const tier = fc.record(
  { ...keys, input: usd, output: usd, abovePromptTokens: fc.nat(300_000), fromUtc: clockTime, untilUtc: clockTime },
  { requiredKeys: [] },
)
const priceList: fc.Arbitrary<PriceList> = fc.record(
  { ...keys, input: usd, output: usd, tiers: fc.array(tier, { maxLength: 3 }) },
  { requiredKeys: ['input', 'output'] },
)
const count = fc.nat(2_000_000)
const counts: fc.Arbitrary<PricedTokens> = fc.record(
  { prompt: count, cachedPrompt: count, cacheWrite: count, completion: count, reasoning: count },
  { requiredKeys: ['prompt', 'cachedPrompt', 'cacheWrite', 'completion'] },
)
const minutes = fc.nat(1439)

describe('a price', () => {
  test('is exact where binary fractions are not', () => {
    const priced = price(tariff({ input: 0.0375, output: 0.3 }), { ...NONE, prompt: 1, completion: 3 })
    expect(priced.cost).toBe(37_500 + 900_000)
    expect(price(tariff({ input: 1.1, output: 0 }), { ...NONE, prompt: 3 }).cost).toBe(3_300_000)
    expect(price(tariff({ input: 1e-7, output: 0 }), { ...NONE, prompt: 100 }).cost).toBe(10)
  })

  test('counts fresh, read and written tokens each at its own price', () => {
    const tokens = { prompt: 10_000, cachedPrompt: 6_000, cacheWrite: 1_000, completion: 200 }
    const { cost, cold, discount } = price(sonnet, tokens)
    expect(cost).toBe(3_000 * 3e6 + 6_000 * 3e5 + 1_000 * 3.75e6 + 200 * 15e6)
    expect(cold).toBe(10_000 * 3e6 + 200 * 15e6)
    expect(discount).toBe(6_000 * (3e6 - 3e5) - 1_000 * (3.75e6 - 3e6))
  })

  test('charges what input costs for the cache where the cache has no price', () => {
    const priced = price(tariff({ input: 2, output: 8 }), { ...NONE, prompt: 100, cachedPrompt: 80, cacheWrite: 20 })
    expect(priced).toEqual({ cost: 2e8, cold: 2e8, discount: 0 })
  })

  test('is negative in its discount when writing was paid for and nothing was read', () => {
    expect(price(sonnet, { ...NONE, prompt: 1000, cacheWrite: 1000 }).discount).toBe(-750e6)
  })

  test('does not discount tokens twice that a host counts as read and as written', () => {
    const { cost, cold, discount } = price(sonnet, { ...NONE, prompt: 1000, cachedPrompt: 1000, cacheWrite: 1000 })
    expect(cost).toBe(1000 * 3e5 + 1000 * 3.75e6)
    expect(discount).toBe(cold - cost)
  })

  test('does not bill more read tokens than the prompt has', () => {
    expect(price(sonnet, { ...NONE, prompt: 10, cachedPrompt: 500 }).cost).toBe(10 * 3e5)
  })

  test('counts thinking apart only where it is priced apart', () => {
    const tokens = { ...NONE, completion: 100, reasoning: 60 }
    expect(price(tariff({ input: 2, output: 8 }), tokens).cost).toBe(800e6)
    expect(price(tariff({ input: 2, output: 8, reasoning: 3 }), tokens).cost).toBe(40 * 8e6 + 60 * 3e6)
  })

  test('counts sound and pictures apart only where they are priced apart, and sound that was read as such', () => {
    const gemini = { input: 0.3, output: 2.5, cachedInput: 0.03, audioInput: 1, audioCachedInput: 0.1, imageOutput: 30 }
    const heard = { ...NONE, prompt: 100, cachedPrompt: 40, audioPrompt: 70, audioCached: 30 }
    const { cost, cold, discount } = price(tariff(gemini), heard)
    expect(cost).toBe(20 * 0.3e6 + 40 * 1e6 + 10 * 0.03e6 + 30 * 0.1e6)
    expect(cold).toBe(30 * 0.3e6 + 70 * 1e6)
    expect(discount).toBe(cold - cost)
    const drawn = { ...NONE, prompt: 4, completion: 1300, imageCompletion: 1290 }
    expect(price(tariff(gemini), drawn).cost).toBe(4 * 0.3e6 + 10 * 2.5e6 + 1290 * 30e6)
    expect(price(tariff({ input: 1, output: 2 }), { ...heard, completion: 10, audioCompletion: 5 }).cost).toBe(120e6)
    expect(
      price(tariff({ input: 1, output: 2, audioOutput: 9 }), { ...NONE, completion: 10, audioCompletion: 5 }).cost,
    ).toBe(5 * 2e6 + 5 * 9e6)
  })

  test('counts what is kept for an hour at its own price', () => {
    const claude = tariff({ input: 3, output: 15, cacheWrite: 3.75, cacheWrite1h: 6 })
    const written = { ...NONE, prompt: 1000, cacheWrite: 800, cacheWrite1h: 500 }
    expect(price(claude, written).cost).toBe(200 * 3e6 + 300 * 3.75e6 + 500 * 6e6)
  })

  test('says whether sound and pictures have prices of their own: most lists repeat those of text', () => {
    const apart = (list: Partial<PriceList>) => {
      const { heard, shown, search } = tariff({ input: 1, output: 2, ...list })
      return [heard, shown, search]
    }
    expect(apart({ audioInput: 1, imageOutput: 2 })).toEqual([false, false, null])
    expect(apart({ audioInput: 3, webSearch: 0.01 })).toEqual([true, false, 1e10])
    expect(apart({ audioOutput: 3 })).toEqual([false, true, null])
    expect(apart({ audioInput: 1, tiers: [{ abovePromptTokens: 9, input: 2, audioInput: 2 }] })[0]).toBe(false)
    expect(apart({ audioInput: 1, tiers: [{ abovePromptTokens: 9, audioInput: 2 }] })[0]).toBe(true)
  })

  test('adds the price of a request once', () => {
    const perRequest = tariff({ input: 1, output: 1, request: 0.005 })
    expect(price(perRequest, { ...NONE, prompt: 1, completion: 1 }).cost).toBe(2e6 + 5e9)
  })

  test('takes the long-prompt price strictly above its limit', () => {
    const gemini = tariff({ input: 1.25, output: 10, tiers: [{ abovePromptTokens: 200_000, input: 2.5, output: 15 }] })
    expect(price(gemini, { ...NONE, prompt: 200_000 }).cost).toBe(200_000 * 1.25e6)
    expect(price(gemini, { ...NONE, prompt: 200_001, completion: 1 }).cost).toBe(200_001 * 2.5e6 + 15e6)
  })

  test('takes the price of the hour, past midnight too, the end excluded', () => {
    const night = tariff({ input: 4, output: 4, tiers: [{ fromUtc: 1630, untilUtc: 30, input: 1 }] })
    const at = (utcMinutes?: number) => price(night, { ...NONE, prompt: 1 }, utcMinutes).cost
    expect([at(16 * 60 + 29), at(16 * 60 + 30), at(0), at(29), at(30), at()]).toEqual([4e6, 1e6, 1e6, 1e6, 4e6, 4e6])
  })

  test('lets the last tier that holds win, key by key', () => {
    const tiers = [
      { abovePromptTokens: 10, input: 2, output: 20 },
      { abovePromptTokens: 20, input: 3 },
    ]
    const priced = price(tariff({ input: 1, output: 10, tiers }), { ...NONE, prompt: 100, completion: 1 })
    expect(priced.cost).toBe(300e6 + 20e6)
  })

  test('says whether the cache has prices of its own, in a tier too', () => {
    expect(sonnet).toMatchObject({ cached: true, written: true })
    expect(tariff({ input: 1, output: 1 })).toMatchObject({ cached: false, written: false })
    expect(tariff({ input: 1, output: 1, tiers: [{ abovePromptTokens: 1, cachedInput: 0 }] }).cached).toBe(true)
  })
})

describe('for any prices and tokens', () => {
  test('cost, cold price and discount are whole pico-dollars that fit together, and none is below zero', () => {
    fc.assert(
      fc.property(priceList, counts, minutes, (list, tokens, utcMinutes) => {
        const { cost, cold, discount } = price(tariff(list), tokens, utcMinutes)
        expect(Number.isInteger(cost) && Number.isInteger(cold)).toBe(true)
        expect(cost).toBeGreaterThanOrEqual(0)
        expect(cost + discount).toBe(cold)
        expect(discount).toBeLessThanOrEqual(cold)
      }),
      runs(),
    )
  })

  test('parts add up to the whole', () => {
    const flat = fc.record({ input: usd, output: usd, cachedInput: usd, cacheWrite: usd })
    const part = fc.record({ fresh: count, read: count, written: count, completion: count })
    fc.assert(
      fc.property(flat, part, part, (list, a, b) => {
        const cost = (parts: typeof a) =>
          price(tariff(list), {
            prompt: parts.fresh + parts.read + parts.written,
            cachedPrompt: parts.read,
            cacheWrite: parts.written,
            completion: parts.completion,
          }).cost
        const both = {
          fresh: a.fresh + b.fresh,
          read: a.read + b.read,
          written: a.written + b.written,
          completion: a.completion + b.completion,
        }
        expect(cost(both)).toBe(cost(a) + cost(b))
      }),
      runs(),
    )
  })

  test('no call that counts its tokens once costs less or more than its bounds', () => {
    fc.assert(
      fc.property(priceList, counts, minutes, fc.boolean(), (list, tokens, utcMinutes, knowsTime) => {
        const read = Math.min(tokens.cachedPrompt, tokens.prompt)
        const honest = { ...tokens, cachedPrompt: read, cacheWrite: Math.min(tokens.cacheWrite, tokens.prompt - read) }
        const { cost } = price(tariff(list), honest, utcMinutes)
        const { low, high } = bound(tariff(list), {
          promptTokens: tokens.prompt,
          maxCompletionTokens: tokens.completion,
          ...(knowsTime && { utcMinutes }),
        })
        // Three products of a prompt's parts are rounded apart: at most one pico-dollar and a half.
        expect(low).toBeLessThanOrEqual(cost + 2)
        expect(cost).toBeLessThanOrEqual((high ?? 0) + 2)
      }),
      runs(),
    )
  })

  test('a prompt that may be shorter has bounds that hold for every length of it', () => {
    fc.assert(
      fc.property(priceList, count, count, count, minutes, (list, a, b, actual, utcMinutes) => {
        const [fewestPromptTokens, promptTokens] = a < b ? [a, b] : [b, a]
        const prompt = Math.min(promptTokens, Math.max(fewestPromptTokens, actual))
        const { low, high } = bound(tariff(list), { promptTokens, fewestPromptTokens, maxCompletionTokens: 0 })
        const { cost } = price(tariff(list), { ...NONE, prompt }, utcMinutes)
        expect(low).toBeLessThanOrEqual(cost + 1)
        expect(cost).toBeLessThanOrEqual((high ?? 0) + 1)
      }),
      runs(),
    )
  })
})

describe('what is only partly known', () => {
  /** Tokens as they were, each counted once. */
  const share = fc.nat(100)
  const real = fc
    .record({
      ...{ prompt: count, read: share, written: share, hour: share, sound: share },
      ...{ completion: count, thought: share, picture: share, spoken: share, overlap: share },
    })
    .map(realTokens)
  const hides = fc.record({
    cachedPrompt: fc.boolean(),
    cacheWrite: fc.boolean(),
    completion: fc.boolean(),
    reasoning: fc.boolean(),
    audioPrompt: fc.boolean(),
    audioCompletion: fc.boolean(),
    imageCompletion: fc.boolean(),
  })

  test('lies between the least and the most, whatever is hidden', () => {
    fc.assert(
      fc.property(priceList, real, hides, minutes, count, (list, tokens, hidden, utcMinutes, more) => {
        const { cost } = price(tariff(list), tokens, utcMinutes)
        const { low, high } = span(tariff(list), hiding(tokens, hidden), {
          utcMinutes,
          maxCompletionTokens: tokens.completion + more,
        })
        // Each product is rounded apart.
        expect(low).toBeLessThanOrEqual(cost + 8)
        expect(cost).toBeLessThanOrEqual((high ?? 0) + 8)
      }),
      runs(),
    )
  })

  test('is known exactly when nothing that matters is hidden', () => {
    const told: PartlyKnown = {
      ...{ prompt: 100, cachedPrompt: 30, cacheWrite: 20, completion: 10, reasoning: 5, mayKeepAnHour: false },
      ...{ audioPrompt: 0, audioCompletion: 0, imageCompletion: 0 },
    }
    const at = (list: Partial<PriceList>, over: Partial<PartlyKnown>) => {
      const limits = { utcMinutes: 0, maxCompletionTokens: 10 }
      const { low, high } = span(tariff({ input: 2, output: 4, ...list }), { ...told, ...over }, limits)
      return [low / 1e6, (high ?? Number.NaN) / 1e6]
    }
    expect(at({}, {})).toEqual([240, 240])
    // No price of its own: it does not matter.
    expect(at({}, { cachedPrompt: null, cacheWrite: null, reasoning: null, mayKeepAnHour: true })).toEqual([240, 240])
    expect(at({ cachedInput: 1 }, {})).toEqual([210, 210])
    expect(at({ cachedInput: 1 }, { cachedPrompt: null })).toEqual([160, 240])
    expect(at({ cacheWrite: 3 }, { cacheWrite: null })).toEqual([240, 310])
    expect(at({ cacheWrite: 3, cacheWrite1h: 5 }, { mayKeepAnHour: true })).toEqual([260, 300])
    expect(at({ reasoning: 1 }, { reasoning: null })).toEqual([210, 240])
    expect(at({ imageOutput: 10 }, { imageCompletion: null })).toEqual([240, 270])
    expect(at({ audioInput: 10 }, { audioPrompt: null })).toEqual([240, 640])
    expect(at({}, { completion: null })).toEqual([200, 240])
  })

  test('has no upper bound when nothing limits the answer, unless it is free', () => {
    const open: PartlyKnown = {
      ...{ prompt: 100, cachedPrompt: 0, cacheWrite: 0, completion: null, reasoning: null, mayKeepAnHour: false },
      ...{ audioPrompt: 0, audioCompletion: 0, imageCompletion: 0 },
    }
    const limits = { utcMinutes: 0, maxCompletionTokens: null }
    expect(span(tariff({ input: 1, output: 1 }), open, limits)).toEqual({ low: 1e8, high: null })
    expect(span(tariff({ input: 1, output: 0 }), open, limits)).toEqual({ low: 1e8, high: 1e8 })
  })

  test('and counted twice may have been either, or both', () => {
    const twice: PartlyKnown = {
      ...{ prompt: 100, cachedPrompt: 100, cacheWrite: 100, completion: 0, reasoning: 0, mayKeepAnHour: false },
      ...{ audioPrompt: 0, audioCompletion: 0, imageCompletion: 0 },
    }
    const asked = tariff({ input: 4, output: 1, cachedInput: 1, cacheWrite: 5 })
    expect(span(asked, twice, { utcMinutes: 0, maxCompletionTokens: 0 })).toEqual({ low: 100e6, high: 600e6 })
  })
})

interface Shares {
  readonly prompt: number
  readonly read: number
  readonly written: number
  readonly hour: number
  readonly sound: number
  readonly completion: number
  readonly thought: number
  readonly picture: number
  readonly spoken: number
  readonly overlap: number
}

function realTokens(shares: Shares) {
  const part = (of: number, share: number) => Math.floor((of * share) / 100)
  const { prompt, completion } = shares
  const cachedPrompt = part(prompt, shares.read)
  const cacheWrite = part(prompt - cachedPrompt, shares.written)
  const fresh = prompt - cachedPrompt - cacheWrite
  // Sound is not written apart, so it is among what is fresh or read.
  const audioCached = part(cachedPrompt, shares.overlap)
  const audioPrompt = audioCached + part(fresh, shares.sound)
  const reasoning = part(completion, shares.thought)
  const imageCompletion = part(completion - reasoning, shares.picture)
  const audioCompletion = part(completion - reasoning - imageCompletion, shares.spoken)
  const cacheWrite1h = part(cacheWrite, shares.hour)
  return {
    ...{ prompt, cachedPrompt, cacheWrite, cacheWrite1h, audioPrompt, audioCached },
    ...{ completion, reasoning, imageCompletion, audioCompletion },
  }
}

function hiding(
  tokens: ReturnType<typeof realTokens>,
  hidden: Readonly<Record<Exclude<keyof PartlyKnown, 'prompt' | 'mayKeepAnHour'>, boolean>>,
): PartlyKnown {
  const shown = (key: keyof typeof hidden) => (hidden[key] ? null : tokens[key])
  return {
    prompt: tokens.prompt,
    cachedPrompt: shown('cachedPrompt'),
    cacheWrite: shown('cacheWrite'),
    completion: shown('completion'),
    reasoning: shown('reasoning'),
    mayKeepAnHour: true,
    audioPrompt: shown('audioPrompt'),
    audioCompletion: shown('audioCompletion'),
    imageCompletion: shown('imageCompletion'),
  }
}

describe('bounds', () => {
  test('run from all read and no answer to all written and the longest answer', () => {
    expect(bound(sonnet, { promptTokens: 1000, maxCompletionTokens: 100 })).toEqual({
      low: 1000 * 3e5,
      high: 1000 * 3.75e6 + 100 * 15e6,
    })
  })

  test('are open upwards when nothing limits the answer, unless it is free', () => {
    expect(bound(sonnet, { promptTokens: 1, maxCompletionTokens: null }).high).toBeNull()
    expect(bound(tariff({ input: 0, output: 0 }), { promptTokens: 1, maxCompletionTokens: null }).high).toBe(0)
  })

  test('do not reach for tiers that the prompt is too short for', () => {
    const tiered = tariff({ input: 1, output: 1, tiers: [{ abovePromptTokens: 1000, input: 9 }] })
    expect(bound(tiered, { promptTokens: 1000, maxCompletionTokens: 0 })).toEqual({ low: 1e9, high: 1e9 })
    expect(bound(tiered, { promptTokens: 1001, maxCompletionTokens: 0 })).toEqual({ low: 9009e6, high: 9009e6 })
  })
})
