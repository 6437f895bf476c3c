import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { Caching } from '../src/caching.ts'
import { ConfigError } from '../src/errors.ts'
import { type PriceList, tariff } from '../src/price.ts'
import {
  chanceRead,
  lived,
  placeAt,
  ruledPlace,
  type SeenCall,
  type SessionHistory,
  type SessionPlace,
  type Site,
  whilePaying,
  whileWarm,
} from '../src/stay.ts'
import { always, anywhere, openrouters, ours } from './bench/replay-choosers.ts'
import { optimum } from './bench/replay-optimum.ts'
import { replay } from './bench/replay-run.ts'
import { scenes } from './bench/replay-scenes.ts'
import { turnsOf } from './bench/replay-trace.ts'

const CACHING: Caching = { ttlMs: 300_000, least: 1024, marked: false }

function site(prices: PriceList | null, about: Partial<Site> = {}): Site {
  return {
    model: 'openai/gpt-oss-120b',
    provider: 'openrouter',
    host: 'deepinfra',
    tariff: prices === null ? null : tariff(prices),
    caching: CACHING,
    warmTokens: 0,
    ...about,
  }
}

const coming = { promptTokens: 10_000, maxTokens: null, utcMinutes: 0 }
const history: SessionHistory = { turns: 3, gapMs: 60_000, growth: 500, completionTokens: 200, share: 1 }
const READS: PriceList = { input: 1, output: 4, cachedInput: 0.1 }

function place(about: Partial<SessionPlace> = {}): SessionPlace {
  return {
    model: 'openai/gpt-oss-120b',
    provider: 'groq',
    host: null,
    warm: false,
    cachedTokens: 0,
    usd: 0.001,
    restUsd: 0.01,
    ...about,
  }
}

describe('what a session has been like', () => {
  const seen: SeenCall = {
    gapMs: null,
    promptTokens: 1000,
    previousPromptTokens: null,
    completionTokens: 100,
    readable: null,
    cachedTokens: 0,
  }

  test('is nothing but one call and its answer after the first', () => {
    expect(lived(null, seen)).toEqual({ turns: 1, gapMs: null, growth: null, completionTokens: 100, share: null })
  })

  test('is told by the second: the gap, the growth, and what was read of what lay warm', () => {
    const second = lived(lived(null, seen), {
      gapMs: 30_000,
      promptTokens: 1600,
      previousPromptTokens: 1000,
      completionTokens: 200,
      readable: 1000,
      cachedTokens: 500,
    })
    expect(second).toMatchObject({ turns: 2, gapMs: 30_000, growth: 600, completionTokens: 150 })
    expect(second.share).toBeGreaterThan(0.5)
    expect(second.share).toBeLessThan(0.95)
  })

  test('follows a habit that changes, and forgets none at once', () => {
    let now = lived(null, seen)
    for (let n = 0; n < 5; n += 1) now = lived(now, { ...seen, gapMs: 10_000 })
    const changed = lived(now, { ...seen, gapMs: 600_000 })
    expect(changed.gapMs).toBeGreaterThan(100_000)
    expect(changed.gapMs).toBeLessThan(300_000)
    for (let n = 0; n < 12; n += 1) now = lived(now, { ...seen, gapMs: 600_000 })
    expect(now.gapMs).toBeGreaterThan(550_000)
  })

  test('is not changed by what nobody said, or what is no figure', () => {
    const nothing = { ...seen, gapMs: null, completionTokens: null, readable: null, cachedTokens: null }
    const odd = { ...seen, gapMs: Number.NaN, completionTokens: -5, readable: 0, cachedTokens: 7 }
    for (const each of [nothing, odd]) expect(lived(history, each)).toEqual({ ...history, turns: 4 })
  })

  test('a prompt that was cut says nothing of how much it grows', () => {
    const cut = lived(history, { ...seen, promptTokens: 800, previousPromptTokens: 9000 })
    expect(cut.growth).toBe(history.growth)
  })
})

describe('what it costs to go on at a place', () => {
  test('is what is read at the price of reading, the rest at that of input, and the usual answer', () => {
    const priced = placeAt(site(READS, { warmTokens: 9000 }), { history, coming })
    expect(priced).toMatchObject({ warm: true, cachedTokens: 9000 })
    expect(priced.usd).toBeCloseTo((1000 * 1 + 9000 * 0.1 + 200 * 4) / 1e6, 12)
    expect(placeAt(site(READS), { history, coming }).usd).toBeCloseTo((10_000 + 800) / 1e6, 12)
  })

  test('reckons with as much of the cache as this session was given before', () => {
    const of = (share: number | null) =>
      placeAt(site(READS, { warmTokens: 9000 }), { history: { ...history, share }, coming }).cachedTokens
    expect([of(1), of(0.5), of(0)]).toEqual([9000, 4500, 0])
    expect(of(null)).toBeGreaterThan(8000)
    expect(of(null)).toBeLessThan(9000)
  })

  test('never reads more than the prompt, nor what is too short or kept nowhere', () => {
    const cached = (about: Partial<Site>, promptTokens = 10_000) =>
      placeAt(site(READS, about), { history, coming: { ...coming, promptTokens } }).cachedTokens
    expect(cached({ warmTokens: 50_000 })).toBe(10_000)
    expect(cached({ warmTokens: 1000 })).toBe(0)
    expect(cached({ warmTokens: 5000 }, 1000)).toBe(0)
    expect(cached({ warmTokens: 5000, caching: { ...CACHING, ttlMs: 0 } })).toBe(0)
  })

  test('has what is new written, where writing has its price, and not where nothing is kept', () => {
    const claude = { input: 3, output: 15, cachedInput: 0.3, cacheWrite: 3.75 }
    const usd = (about: Partial<Site>) => placeAt(site(claude, about), { history, coming }).usd
    expect(usd({ warmTokens: 9000 })).toBeCloseTo((9000 * 0.3 + 1000 * 3.75 + 200 * 15) / 1e6, 12)
    expect(usd({})).toBeCloseTo((10_000 * 3.75 + 3000) / 1e6, 12)
    expect(usd({ caching: { ...CACHING, ttlMs: 0 } })).toBeCloseTo((10_000 * 3 + 3000) / 1e6, 12)
    expect(usd({ caching: { ...CACHING, least: 20_000 } })).toBeCloseTo((10_000 * 3 + 3000) / 1e6, 12)
  })

  test('a price for writing below that of input is one for keeping, and makes no prompt cheaper', () => {
    const gemini = { input: 0.3, output: 2.5, cachedInput: 0.03, cacheWrite: 0.0833 }
    expect(placeAt(site(gemini), { history, coming }).usd).toBeCloseTo((10_000 * 0.3 + 200 * 2.5) / 1e6, 12)
  })

  test('without a price for reading, reading costs what input costs', () => {
    const plain = { input: 1, output: 4 }
    const warm = placeAt(site(plain, { warmTokens: 9000 }), { history, coming })
    expect(warm.usd).toBe(placeAt(site(plain), { history, coming }).usd)
    expect(warm.restUsd).toBe(placeAt(site(plain), { history, coming }).restUsd)
  })

  test('follows the length of the prompt, the time of day, and the longest answer that is allowed', () => {
    const long = { ...READS, tiers: [{ abovePromptTokens: 9999, input: 2, output: 8 }] }
    expect(placeAt(site(long), { history, coming }).usd).toBeCloseTo((10_000 * 2 + 200 * 8) / 1e6, 12)
    const night = { ...READS, tiers: [{ fromUtc: 1630, untilUtc: 30, input: 0.5 }] }
    const at = (utcMinutes: number) => placeAt(site(night), { history, coming: { ...coming, utcMinutes } }).usd
    expect(at(0)).toBeCloseTo((10_000 * 0.5 + 800) / 1e6, 12)
    expect(at(600)).toBeCloseTo((10_000 + 800) / 1e6, 12)
    const short = placeAt(site(READS), { history, coming: { ...coming, maxTokens: 50 } })
    expect(short.usd).toBeCloseTo((10_000 + 50 * 4) / 1e6, 12)
    const roomy = placeAt(site(READS), { history, coming: { ...coming, maxTokens: 4000 } })
    expect(roomy.usd).toBeCloseTo((10_000 + 200 * 4) / 1e6, 12)
  })

  test('is unknown where the price is', () => {
    expect(placeAt(site(null, { warmTokens: 9000 }), { history, coming })).toMatchObject({
      warm: true,
      cachedTokens: 9000,
      usd: null,
      restUsd: null,
    })
  })

  test('the rest is longer for a session that has lasted, and dearer for one that comes back too late', () => {
    const rest = (about: Partial<SessionHistory>) =>
      placeAt(site(READS, { warmTokens: 9000 }), { history: { ...history, ...about }, coming }).restUsd ?? 0
    expect(rest({ turns: 8 })).toBeGreaterThan(rest({ turns: 3 }) * 1.5)
    expect(rest({ turns: 100_000 })).toBeLessThan(rest({ turns: 3 }) * 20)
    expect(rest({ gapMs: 900_000 })).toBeGreaterThan(rest({ gapMs: 10_000 }) * 1.2)
    expect(rest({ growth: 20_000 })).toBeGreaterThan(rest({ growth: 100 }) * 1.2)
  })
})

test('what is written is likelier to be read in a session that has lasted, and where it is kept for longer', () => {
  const never = chanceRead(null, 0)
  const [first, later] = [chanceRead(null, 300_000), chanceRead(history, 300_000)]
  expect(never).toBe(0)
  expect(first).toBeGreaterThan(0.15)
  expect(first).toBeLessThan(0.26)
  expect(later).toBeGreaterThan(first * 2)
  expect(chanceRead(history, 7_200_000)).toBeGreaterThan(later)
  expect(chanceRead({ ...history, turns: 1_000_000, gapMs: 1 }, 7_200_000)).toBeLessThanOrEqual(1)
})

describe('while it pays, a session', () => {
  const rule = whilePaying()
  const home = place({ warm: true, cachedTokens: 9200, restUsd: 0.0031 })
  const deepinfra = place({ provider: 'openrouter', host: 'deepinfra', restUsd: 0.0124 })

  test('stays where it is warm, and says what it saves', () => {
    expect(rule([home, deepinfra], history)).toEqual({
      place: home,
      because: 'reading 9,200 tokens from its cache: $0.0031 for the rest, $0.012 at openrouter/deepinfra',
    })
  })

  test('goes where the rest is cheaper by more than the margin, and says by how much', () => {
    const cheaper = { ...deepinfra, restUsd: 0.0027 }
    expect(rule([home, cheaper], history)).toEqual({
      place: cheaper,
      because: '$0.0027 for the rest, $0.0031 at groq',
    })
    expect(rule([home, { ...deepinfra, restUsd: 0.003 }], history).place).toBe(home)
    expect(whilePaying({ margin: 0.2 })([home, cheaper], history).place).toBe(home)
    expect(whilePaying({ margin: 0 })([home, { ...home }], history).place).toBe(home)
  })

  test('leaves a host that reads cheaply but asks so much that reading anew elsewhere costs less', () => {
    const dear = placeAt(site({ input: 4, output: 16, cachedInput: 3.6 }, { warmTokens: 9500 }), { history, coming })
    const cold = placeAt(site({ input: 0.4, output: 1.6 }, { host: 'novita' }), { history, coming })
    expect(rule([dear, cold], history).place).toBe(cold)
  })

  test('does not leave a warm cache for a list price that is a little lower', () => {
    const warm = placeAt(site(READS, { warmTokens: 9500 }), { history, coming })
    const cold = placeAt(site({ input: 0.6, output: 2 }, { host: 'novita' }), { history, coming })
    expect(rule([warm, cold], history).place).toBe(warm)
  })

  test('neither goes for an unknown price nor leaves one', () => {
    const unknown = place({ provider: 'other', usd: null, restUsd: null })
    expect(rule([home, unknown], history).place).toBe(home)
    const unpriced = { ...home, usd: null, restUsd: null }
    expect(rule([unpriced, { ...deepinfra, restUsd: 0 }], history)).toEqual({
      place: unpriced,
      because: 'reading 9,200 tokens from its cache; its price is unknown',
    })
    const own = place()
    expect(rule([place({ restUsd: 0 }), unknown, own], null)).toEqual({
      place: own,
      because: 'not all prices are known',
    })
  })

  test('with nothing warm goes where all of it is cheapest, the first of equals', () => {
    const [one, two, own] = [place({ provider: 'one', restUsd: 0.004 }), place({ restUsd: 0.004 }), place()]
    expect(rule([one, two, own], null)).toEqual({ place: one, because: '$0.0040 for the rest, $0.0040 at groq' })
    expect(rule([own], null)).toEqual({ place: own, because: 'there is no other place' })
  })

  test('changes the model for its price only to that which the policy would take', () => {
    const small = place({ model: 'openai/gpt-oss-20b', warm: true, restUsd: 0.0001 })
    expect(rule([home, small, deepinfra], history).place).toBe(home)
    const own = place({ model: 'openai/gpt-oss-20b', restUsd: 0.0001 })
    expect(rule([home, own], history).place).toBe(own)
    const cold = place({ restUsd: 0.5 })
    expect(rule([{ ...small, warm: false }, cold], null).place).toBe(cold)
  })

  test.each([-0.1, 1, Number.NaN])('a margin of %s is refused', (margin) => {
    expect(() => whilePaying({ margin })).toThrow(ConfigError)
  })
})

test('while it is warm, a session stays whatever it costs, and else goes where the policy goes', () => {
  const rule = whileWarm()
  const warm = place({ warm: true, cachedTokens: 1_234_567, restUsd: 9 })
  const own = place({ restUsd: 0 })
  expect(rule([place(), warm, own], history)).toEqual({
    place: warm,
    because: 'reading 1,234,567 tokens from its cache',
  })
  expect(rule([place(), own], history).place).toBe(own)
})

describe("a rule of the user's", () => {
  const [one, two] = [place(), place({ provider: 'other' })]
  const places = [one, two]

  test('decides, with the history at hand', () => {
    const asked: unknown[] = []
    const rule = (given: readonly SessionPlace[], of: SessionHistory | null) => {
      asked.push(of)
      return { place: given.at(-1) ?? two, because: 'the last one' }
    }
    expect(ruledPlace(rule, places, history, 'tasks.reply.session.rule')).toEqual({
      place: two,
      because: 'the last one',
    })
    expect(asked).toEqual([history])
  })

  test('may do with the list as it likes', () => {
    const rule = (given: readonly SessionPlace[]) => {
      const [first = two] = given
      Reflect.set(given, 'length', 0)
      return { place: first, because: 'the first one' }
    }
    expect(ruledPlace(rule, [one, two], null, 'tasks.reply.session.rule').place).toBe(one)
  })

  test.each([
    ['a place it was not given', () => ({ place: { ...one }, because: 'a copy' }), /one of the places it was given/],
    ['nothing', () => undefined, /one of the places it was given/],
    ['a promise', async () => ({ place: one, because: '' }), /one of the places it was given/],
    ['no reason', () => ({ place: one }), /because: a string, got nothing/],
    [
      'an error',
      () => {
        throw new TypeError('secret')
      },
      /threw TypeError/,
    ],
  ])('that gives %s is named', (_, answer, says) => {
    // From plain JavaScript, no type keeps it away.
    const rule = () => JSON.parse('null') ?? answer()
    const error = caught(() => ruledPlace(rule, places, null, 'tasks.reply.session.rule'))
    expect(error).toBeInstanceOf(ConfigError)
    expect(String(error)).toMatch(says)
    expect(String(error)).toContain('tasks.reply.session.rule')
    expect(String(error)).not.toContain('secret')
  })
})

function caught(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    return error
  }
}

const trace = fileURLToPath(new URL('../../shared/data/workloads/mooncake.conversation_trace.jsonl', import.meta.url))

describe.skipIf(!existsSync(trace))(
  'a quarter of an hour of real conversations (they are not part of the package)',
  () => {
    const turns = existsSync(trace) ? turnsOf(readFileSync(trace, 'utf8').split('\n').slice(0, 3000).join('\n')) : []
    // Where all hosts ask the same, which of them is out decides more than any rule.
    const different = scenes().filter(({ hosts }) => new Set(hosts.map(({ prices }) => prices.input)).size > 1)

    test.each(different.map((scene) => [scene.name, scene] as const))('%s: paying is cheapest', (_, scene) => {
      const least = optimum(turns, scene).usd
      const paying = replay(turns, scene, ours(scene, whilePaying())).usd
      const others = [anywhere, always, openrouters].map((chooser) => replay(turns, scene, chooser(scene)).usd)
      expect(paying).toBeLessThan(Math.min(...others))
      expect(paying).toBeLessThan(least * 1.1)
      expect(paying).toBeGreaterThanOrEqual(least)
      for (const usd of others) expect(usd).toBeGreaterThan(least)
    })

    test('what has to be marked is marked where it pays: cheaper than by any rule for the place alone', () => {
      const claude = scenes().find(({ model }) => model.startsWith('anthropic/'))
      if (claude === undefined) throw new Error('No scene has it.')
      const marked = [whilePaying(), whileWarm()].map((rule) => replay(turns, claude, ours(claude, rule)).usd)
      const stuck = replay(turns, claude, openrouters(claude)).usd
      const paying = replay(turns, claude, ours(claude, whilePaying(), { marking: 'paying' })).usd
      expect(paying).toBeLessThan(Math.min(stuck, ...marked) * 0.99)
      expect(optimum(turns, claude, 'freely').usd).toBeLessThan(Math.min(paying, optimum(turns, claude).usd))
    })

    test('conversations are found: each call begins with all whole blocks of the one before', () => {
      const going = turns.filter(({ before }) => before !== null)
      expect(going.length).toBeGreaterThan(500)
      for (const { before, blocks, prompt } of going) {
        const whole = before?.blocks.slice(0, Math.floor((before.prompt - 1) / 512)) ?? []
        expect(blocks.slice(0, whole.length)).toEqual(whole)
        expect(prompt).toBeGreaterThanOrEqual(before?.prompt ?? 0)
      }
    })
  },
)
