import { inspect } from 'node:util'
import {
  compatible,
  createRouter,
  type OfferHealth,
  type RejectionCode,
  RouterError,
  type RouterEvent,
  type Wire,
} from 'modelfirst'
import { seeded, type VirtualClock, virtualClock } from 'modelfirst/sandbox'
import { describe, expect, test } from 'vitest'
import { hasty } from './support/router.ts'
import { answerOf } from './support/server.ts'

/** What all calls of a router know together, on a virtual clock: what it says, and what it does. */
const KEY = 'sk-health-0123456789abcdef'
const PROMPT = 'The prompt that nobody else may see.'
const HOUR = 3_600_000

interface Reply {
  readonly status: number
  readonly code?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Milliseconds that it takes. */
  readonly afterMs?: number
}

type Answering = (asked: { readonly provider: string; readonly model: string; readonly n: number }) => Reply

const WELL: Reply = { status: 200 }

/** A router over providers in memory, asked in this order; `asked` is what came to them. */
async function world(
  answering: Answering,
  more: {
    readonly providers?: readonly string[]
    readonly models?: readonly string[]
    readonly timeoutMs?: number
    /** Left out: next to none, so that every pause is as short as it may be. */
    readonly random?: () => number
    /** Models with the day they retire and what comes after them. */
    readonly listed?: readonly { readonly id: string; readonly successor: string }[]
  } = {},
) {
  const {
    providers = ['first', 'second'],
    models = ['small'],
    timeoutMs = 60_000,
    random = hasty(),
    listed = [],
  } = more
  const clock = virtualClock()
  const asked: string[] = []
  const events: RouterEvent[] = []
  const wireOf = (provider: string): Wire => ({
    async send({ body }) {
      const { model } = JSON.parse(body ?? '{}')
      asked.push(`${provider} ${model}`)
      const { status, code, headers = {}, afterMs } = answering({ provider, model, n: asked.length })
      await new Promise<void>((resolve) =>
        afterMs === undefined ? setImmediate(resolve) : clock.timer(afterMs, resolve),
      )
      const text = status === 200 ? answerOf('ok', { model }) : JSON.stringify({ error: { message: PROMPT, code } })
      return new Response(text, { status, headers: { 'content-type': 'application/json', ...headers } })
    },
  })
  const router = createRouter({
    providers: providers.map((name) =>
      compatible({
        name,
        baseURL: 'https://example.com/v1',
        apiKey: KEY,
        models: [...models, ...listed.map(({ id }) => id)],
        wire: wireOf(name),
      }),
    ),
    tasks: { say: { model: [...models], limits: { timeoutMs } } },
    catalog: {
      models: listed.flatMap(({ id, successor }) => providers.map((provider) => ({ provider, id, successor }))),
    },
    clock,
    random,
    on: (event) => void events.push(event),
  })
  await router.ready()
  return { router, clock, asked, events, retired: () => events.filter(({ type }) => type === 'model-retired') }
}

type World = Awaited<ReturnType<typeof world>>

/** Where a call went, with what came of it. */
async function went({ router }: Pick<World, 'router'>): Promise<string[]> {
  const attempts = await router.complete('say', PROMPT).then(
    ({ usage }) => usage.attempts,
    (error) => (RouterError.is(error) ? error.attempts : Promise.reject(error)),
  )
  return attempts.map(({ provider, outcome }) => `${provider}: ${outcome}`)
}

async function waited<T>(clock: VirtualClock, pending: Promise<T>, stepMs = 50): Promise<T> {
  let over = false
  const all = pending.finally(() => {
    over = true
  })
  while (!over) await clock.advance(stepMs)
  return all
}

function offerOf({ router }: Pick<World, 'router'>, provider: string): OfferHealth {
  const found = router.health().offers.find((offer) => offer.provider === provider)
  if (found === undefined) throw new Error(`nothing is known of ${provider}`)
  return found
}

describe('the snapshot', () => {
  test('nothing is known before anything was asked, and then it is well', async () => {
    const here = await world(() => WELL)
    expect(here.router.health()).toEqual({ offers: [] })
    await went(here)
    expect(here.router.health().offers).toEqual([
      {
        provider: 'first',
        model: 'small',
        hosts: [],
        state: 'well',
        because: null,
        forMs: null,
        headroom: { requests: null, tokens: null },
      },
    ])
  })

  const states: readonly (readonly [OfferHealth['state'] & RejectionCode, Reply, number, number, number])[] = [
    // What is answered, how often that takes, and how long it holds.
    ['breaker-open', { status: 503 }, 5, 2500, 5000],
    ['rate-limited', { status: 429, headers: { 'retry-after': '40' } }, 1, 40_000, 40_000],
    ['rate-limited', { status: 429 }, 1, 1000, 1000],
    ['account-out', { status: 401 }, 1, 300_000, 300_000],
    ['account-out', { status: 402 }, 1, 300_000, 300_000],
    ['retired', { status: 404, code: 'model_not_found' }, 1, HOUR, HOUR],
  ]
  test.each(states)(
    '%s after %o: it is said, planned around, and over in time',
    async (state, reply, times, ...bounds) => {
      const here = await world(({ provider }) => (provider === 'first' ? reply : WELL))
      const [least, most] = bounds
      for (let n = 0; n < times; n += 1) expect(await went(here)).toHaveLength(2)
      const { forMs, because, ...offer } = offerOf(here, 'first')
      expect(offer.state).toBe(state)
      expect(forMs).toBeGreaterThanOrEqual(least)
      expect(forMs).toBeLessThanOrEqual(most)
      expect(because).toMatch(/in \d+ (ms|s)$/)
      expect(offerOf(here, 'second')).toMatchObject({ state: 'well', because: null, forMs: null })
      expect(await went(here)).toEqual(['second: ok'])

      const plan = await here.router.plan('say', PROMPT)
      if (forMs !== null && state === 'rate-limited' && forMs <= 30_000) {
        // Soon enough to be waited for: last in the plan.
        expect(plan.steps.map(({ provider }) => provider)).toEqual(['second', 'first'])
      } else {
        expect(plan.steps.map(({ provider }) => provider)).toEqual(['second'])
        expect(plan.rejected).toMatchObject([{ provider: 'first', model: 'small', code: state, because, value: forMs }])
      }
      await here.clock.advance((forMs ?? 0) - 1)
      expect(offerOf(here, 'first').state).toBe(state)
      expect(await went(here)).toEqual(['second: ok'])
      await here.clock.advance(1)
      expect(offerOf(here, 'first')).toMatchObject({ state: 'well', forMs: null })
      expect((await went(here))[0]).toMatch(/^first/)
    },
  )

  test('what is left of the limits is what the last answer said', async () => {
    const headers = (left: number) => ({
      'x-ratelimit-limit-requests': '1000',
      'x-ratelimit-remaining-requests': String(left),
      'x-ratelimit-reset-requests': '2m59.56s',
      'x-ratelimit-remaining-tokens': '-1',
      'x-ratelimit-limit-tokens': '8000',
      'x-ratelimit-reset-tokens': '585ms',
    })
    const here = await world(({ n }) => ({ status: 200, headers: headers(1000 - n) }))
    await went(here)
    await went(here)
    expect(offerOf(here, 'first').headroom).toEqual({
      requests: { limit: 1000, remaining: 998, resetMs: 179_560 },
      // What makes no sense is not known.
      tokens: { limit: 8000, remaining: null, resetMs: 585 },
    })
  })

  test('it is plain, frozen, a copy, and holds no key and no word of anybody', async () => {
    const here = await world(({ provider }) => ({
      status: provider === 'first' ? 401 : 200,
      headers: { 'x-request-id': KEY, 'x-ratelimit-limit-tokens': KEY },
    }))
    await went(here)
    const report = here.router.health()
    expect(JSON.parse(JSON.stringify(report))).toEqual(report)
    const frozen = (value: unknown): boolean =>
      typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(frozen))
    expect(frozen(report)).toBe(true)
    const said = JSON.stringify(report) + inspect(report, { depth: 9, showHidden: true })
    expect(said).not.toContain(KEY)
    expect(said).not.toContain(PROMPT)
    await here.clock.advance(HOUR)
    expect(report.offers[0]?.state).toBe('account-out')
    expect(offerOf(here, 'first').state).toBe('well')
  })
})

describe('a model that is gone', () => {
  const GONE: Reply = { status: 404, code: 'model_not_found' }
  const listed = [
    { id: 'old', successor: 'new' },
    { id: 'new', successor: 'newest' },
  ]

  test('it is asked for elsewhere, then its successor, and not again for an hour; each is told once', async () => {
    const here = await world(({ model }) => (model === 'old' ? GONE : WELL), { models: ['old', 'other'], listed })
    expect(await went(here)).toEqual(['first: model-gone', 'second: model-gone', 'first: ok'])
    expect(here.asked).toEqual(['first old', 'second old', 'first new'])
    expect(here.retired()).toMatchObject([
      { model: 'old', provider: 'first', successor: 'new' },
      { model: 'old', provider: 'second', successor: 'new' },
    ])
    // Another call does not have to find out, and plans the successor.
    here.asked.length = 0
    const plan = await here.router.plan('say', PROMPT)
    expect(plan.steps.map(({ model, provider }) => `${provider} ${model}`)).toEqual([
      'first new',
      'second new',
      'first other',
      'second other',
    ])
    expect(plan.rejected.map(({ model, code }) => [model, code])).toEqual([
      ['old', 'retired'],
      ['old', 'retired'],
    ])
    expect(await went(here)).toEqual(['first: ok'])
    expect(here.retired()).toHaveLength(2)
    await here.clock.advance(HOUR - 1)
    await went(here)
    expect(here.asked).toEqual(['first new', 'first new'])
    await here.clock.advance(1)
    expect((await went(here))[0]).toBe('first: model-gone')
    expect(here.retired()).toHaveLength(4)
  })

  test("the provider's other models are as well as before", async () => {
    const here = await world(({ model }) => (model === 'old' ? GONE : WELL), { models: ['old', 'other'] })
    await went(here)
    const health = here.router.health().offers.map(({ provider, model, state }) => [provider, model, state])
    expect(health).toEqual([
      ['first', 'old', 'retired'],
      ['second', 'old', 'retired'],
      ['first', 'other', 'well'],
    ])
  })

  test('where it is the only one, it is asked for all the same', async () => {
    const here = await world(() => GONE, { providers: ['first'] })
    expect(await went(here)).toEqual(['first: model-gone'])
    expect(await went(here)).toEqual(['first: model-gone'])
  })
})

describe('calls that overlap', () => {
  test('of many at once, one finds out whether a breaker may close, and the others go elsewhere', async () => {
    let down = true
    const here = await world(({ provider }) =>
      provider === 'first' && down ? { status: 503 } : { ...WELL, afterMs: 10 },
    )
    for (let n = 0; n < 5; n += 1) await waited(here.clock, went(here))
    await here.clock.advance(offerOf(here, 'first').forMs ?? 0)
    down = false
    here.asked.length = 0
    const all = await waited(here.clock, Promise.all(Array.from({ length: 20 }, () => went(here))))
    expect(all.filter(([first]) => first === 'first: ok')).toHaveLength(1)
    expect(all.filter(([first]) => first === 'second: ok')).toHaveLength(19)
    expect(offerOf(here, 'first').state).toBe('well')
    expect(await waited(here.clock, went(here))).toEqual(['first: ok'])
  })

  test('one that finds out that it is not well makes the breaker wait twice as long', async () => {
    const here = await world(({ provider }) => (provider === 'first' ? { status: 503 } : WELL))
    for (let n = 0; n < 5; n += 1) await went(here)
    const waits: number[] = []
    for (let n = 0; n < 9; n += 1) {
      const forMs = offerOf(here, 'first').forMs ?? 0
      // To ten milliseconds: a wait is whole, and chance next to none.
      waits.push(Math.round(forMs / 10) * 10)
      await here.clock.advance(forMs)
      expect(await went(here)).toEqual(['first: overloaded', 'second: ok'])
    }
    // Half of it for certain, the other half is chance.
    expect(waits).toEqual([2500, 5000, 10_000, 20_000, 40_000, 80_000, 150_000, 150_000, 150_000])
  })

  test('a call that was given up says nothing about the provider', async () => {
    const here = await world(() => ({ ...WELL, afterMs: 1000 }))
    for (let n = 0; n < 12; n += 1) {
      const controller = new AbortController()
      const call = here.router.complete('say', PROMPT, { signal: controller.signal }).catch(() => {})
      await here.clock.advance(10)
      controller.abort()
      await call
    }
    expect(offerOf(here, 'first').state).toBe('well')
  })

  test('of two limits the later end counts, whichever is heard of first', async () => {
    for (const seconds of [
      ['5', '2'],
      ['2', '5'],
    ]) {
      const here = await world(({ provider, n }) =>
        provider === 'first'
          ? { status: 429, headers: { 'retry-after': seconds[n - 1] ?? '0' }, afterMs: n }
          : { ...WELL, afterMs: 1 },
      )
      const calls = [went(here), went(here)]
      await here.clock.advance(2)
      expect(offerOf(here, 'first').forMs).toBe(seconds[0] === '5' ? 4999 : 5000)
      await waited(here.clock, Promise.all(calls))
    }
  })

  test('a limit that was put off while a call waited for it is waited for to its new end', async () => {
    const at: number[] = []
    const here = await world(
      ({ n }) => {
        at.push(here.clock.now())
        return n <= 2 ? { status: 429, headers: { 'retry-after': n === 1 ? '1' : '5' } } : WELL
      },
      { providers: ['first'] },
    )
    const first = went(here)
    await here.clock.advance(500)
    const second = went(here)
    await waited(here.clock, Promise.all([first, second]), 100)
    // The first at once, one of the two a second later, and nobody before that one has heard when.
    expect(at[1]).toBeGreaterThanOrEqual(1000)
    expect(at[2]).toBeGreaterThanOrEqual(6000)
  })
})

describe('the last candidate', () => {
  test.each([
    ['a breaker', 503, 'overloaded'],
    ['an account', 401, 'unauthorized'],
    ['no credit', 402, 'out-of-credit'],
  ] as const)('is never locked out by %s', async (_, status, outcome) => {
    let down = true
    const here = await world(() => (down ? { status } : WELL), { providers: ['only'] })
    for (let n = 0; n < 12; n += 1) expect((await waited(here.clock, went(here), 1000))[0]).toBe(`only: ${outcome}`)
    expect(offerOf(here, 'only').state).not.toBe('well')
    down = false
    expect(await went(here)).toEqual(['only: ok'])
  })

  test('a limit that opens soon is waited for; one that does not ends the call at once and says when', async () => {
    const here = await world(({ n }) => (n === 1 ? { status: 429, headers: { 'retry-after': '45' } } : WELL), {
      providers: ['only'],
    })
    expect(await went(here)).toEqual(['only: rate-limited'])
    const error: unknown = await here.router.complete('say', PROMPT).catch((thrown: unknown) => thrown)
    if (!RouterError.is(error)) throw new Error(`not an error of ours: ${error}`)
    expect(error).toMatchObject({ kind: 'rate-limited', retryAfterMs: 45_000, attempts: [] })
    await here.clock.advance(20_000)
    const since = here.clock.now()
    expect(await waited(here.clock, went(here), 100)).toEqual(['only: ok'])
    expect(here.clock.now() - since).toBeGreaterThanOrEqual(25_000)
    expect(here.clock.now() - since).toBeLessThanOrEqual(27_500 + 200)
  })

  test('a limit that closes again and again is waited for half a minute in all', async () => {
    const here = await world(() => ({ status: 429, headers: { 'retry-after': '2' } }), {
      providers: ['only'],
      timeoutMs: 300_000,
      random: seeded(7),
    })
    const took: number[] = []
    const first = went(here)
    await here.clock.advance(10)
    const calls = Array.from({ length: 40 }, async () => {
      await went(here)
      took.push(here.clock.now())
    })
    await waited(here.clock, Promise.all([first, ...calls]), 1000)
    // Before the first attempt, and before the second.
    expect(Math.max(...took)).toBeLessThanOrEqual(2 * 33_000)
  })
})
