import fc from 'fast-check'
import {
  avoid,
  type CallOptions,
  cheapest,
  cheapestOffer,
  clears,
  compatible,
  createRouter,
  type FallbackRule,
  fastest,
  fastestOffer,
  firstOf,
  groq,
  type Input,
  inOrder,
  only,
  openrouter,
  type Plan,
  type ProviderRule,
  type TaskPolicy,
} from 'modelfirst'
import { fail, repeat, type Sandbox, virtualClock } from 'modelfirst/sandbox'
import { describe, expect, test } from 'vitest'
import { type Loose, start, WEATHER } from './sandbox/client.ts'
import { hasty } from './support/router.ts'
import { runs } from './support/runs.ts'

const SMALL = 'openai/gpt-oss-20b'
const LARGE = 'openai/gpt-oss-120b'
const CLAUDE = 'anthropic/claude-sonnet-4.5'
const MINI = 'openai/gpt-5-mini'
const TODAY = Date.UTC(2026, 10, 21)

const GROQ = groq({ apiKey: 'gsk-test-key' })
const OPENROUTER = openrouter({ apiKey: 'sk-or-test-key' })
const LOCAL = compatible({ name: 'local', baseURL: 'http://localhost:9/v1', models: ['own-model'] })

function routerFor(providers: Parameters<typeof createRouter>[0]['providers'] = [GROQ, OPENROUTER], date = TODAY) {
  return createRouter({ ...(providers && { providers }), tasks: {}, clock: virtualClock(date) })
}

function planOf(policy: Loose, input: Input = 'Hello', options: CallOptions = {}): Promise<Plan> {
  return routerFor().plan(policy as TaskPolicy, input, options)
}

/** `model@provider`, `model@provider/host`, a `+` behind it where others may step in. */
function stepsOf(plan: Plan): string[] {
  return plan.steps.map(({ model, provider, hosts, othersAllowed }) => {
    const host = hosts.length === 0 ? '' : `/${hosts.join(',')}${othersAllowed ? '+' : ''}`
    return `${model}@${provider}${host}`
  })
}

function rejectionOf(plan: Plan, model: string, provider: string) {
  return plan.rejected.find((rejection) => rejection.model === model && rejection.provider === provider)
}

function bodiesOf(sandbox: Sandbox): Loose[] {
  return sandbox.requests.filter(({ path }) => path === '/chat/completions').map(({ body }) => body)
}

describe('model first, provider second', () => {
  test('every place of the first model comes before any place of the second', async () => {
    const plan = await planOf({ model: [SMALL, LARGE], provider: ['groq', 'openrouter'] })
    expect(stepsOf(plan)).toEqual([`${SMALL}@groq`, `${SMALL}@openrouter`, `${LARGE}@groq`, `${LARGE}@openrouter`])
  })

  test('without a provider in the policy, the order of `providers` counts', async () => {
    const router = routerFor([OPENROUTER, GROQ])
    expect(stepsOf(await router.plan({ model: SMALL }, 'Hi'))).toEqual([`${SMALL}@openrouter`, `${SMALL}@groq`])
  })

  test('every step says why it stands where it stands, and who was left out and why', async () => {
    const plan = await planOf({ model: [CLAUDE, SMALL], provider: 'openrouter' })
    expect(plan.steps.map(({ because }) => because)).toEqual([
      ['the first choice', 'the first place'],
      ['choice 2', 'the first place'],
    ])
    expect(rejectionOf(plan, CLAUDE, 'groq')).toMatchObject({ code: 'not-sold' })
    expect(rejectionOf(plan, SMALL, 'groq')).toMatchObject({ code: 'avoided' })
  })

  test('one model by two of its names is one candidate', async () => {
    const plan = await planOf({ model: [SMALL, 'gpt-oss-20b', SMALL.toUpperCase()], provider: 'groq' })
    expect(stepsOf(plan)).toEqual([`${SMALL}@groq`])
  })

  test('a table for a person', async () => {
    const policy = {
      model: [CLAUDE, SMALL],
      provider: ['openrouter/anthropic', 'openrouter'],
      request: { max_tokens: 200 },
    }
    expect(String(await planOf(policy))).toMatchInlineSnapshot(`
      "plan for ad hoc: 2 steps, $0.0000018–$0.00304
        1.  anthropic/claude-sonnet-4.5  openrouter/anthropic, then others  $0.0000018–$0.00304     the first choice; the first place
        2.  openai/gpt-oss-20b           openrouter/anthropic, then others  $0.00000018–$0.0000262  choice 2; the first place
        ✗   anthropic/claude-sonnet-4.5  groq                               not-sold                groq does not list it
        ✗   openai/gpt-oss-20b           groq                               avoided                 the policy does not name this provider
      session: off (no session)"
    `)
  })
})

describe('rules for models', () => {
  test('firstOf keeps the order it is given', async () => {
    expect(stepsOf(await planOf({ model: firstOf(LARGE, SMALL), provider: 'groq' }))).toEqual([
      `${LARGE}@groq`,
      `${SMALL}@groq`,
    ])
  })

  test('cheapest goes by the price of this very request', async () => {
    // A long prompt and a short answer: what input costs decides.
    const among = [CLAUDE, LARGE, SMALL]
    const plan = await planOf({ model: cheapest({ among }), provider: 'openrouter', request: { max_tokens: 10 } })
    expect(plan.steps.map(({ model }) => model)).toEqual([SMALL, LARGE, CLAUDE])
    expect(plan.steps[0]?.because[0]).toBe('the cheapest')
  })

  test('cheapest looks at what the policy may use, not at what nobody may ask', async () => {
    const plan = await planOf({ model: cheapest(), provider: 'groq', request: { max_tokens: 10 } })
    expect(stepsOf(plan).slice(0, 2)).toEqual([`${SMALL}@groq`, `${LARGE}@groq`])
    const denied = await planOf({ model: cheapest(), data: { training: 'deny' }, provider: ['groq', 'openrouter'] })
    expect(denied.steps.length).toBeGreaterThan(0)
    expect(new Set(denied.steps.map(({ provider }) => provider))).toEqual(new Set(['openrouter']))
  })

  test('cheapest keeps to what the request and the rule need', async () => {
    const vision = await planOf({ model: cheapest({ needs: { vision: true } }), request: { max_tokens: 10 } })
    const router = routerFor()
    await router.ready()
    for (const { model } of vision.steps) expect(router.catalog.find(model).input.has('image')).toBe(true)
    const capped = await planOf({ model: cheapest({ needs: { maxPrice: 0.05 } }), request: { max_tokens: 10 } })
    expect(capped.steps.length).toBeGreaterThan(0)
    for (const { model } of capped.steps) {
      expect(Math.min(...router.catalog.offers(model).map(({ prices }) => prices?.output ?? 9))).toBeLessThanOrEqual(
        0.05,
      )
    }
  })

  test('fastest goes by what this router has seen, and keeps the order of the rest', async () => {
    const sandbox = await start({ latency: ({ model }) => ({ firstTokenMs: model.includes('120b') ? 1 : 60 }) })
    const router = createRouter({ providers: sandbox.providers(), tasks: {} })
    const rule = { model: fastest({ among: [SMALL, LARGE, CLAUDE] }), provider: ['groq', 'openrouter'] as const }
    expect((await router.plan(rule, 'Hi')).steps[0]?.because[0]).toBe('not measured yet')
    for (const model of [SMALL, LARGE]) await router.complete({ model, provider: 'groq' }, 'Hi')
    const plan = await router.plan(rule, 'Hi')
    expect([...new Set(plan.steps.map(({ model }) => model))]).toEqual([LARGE, SMALL, CLAUDE])
    expect(plan.steps[0]?.because[0]).toMatch(/^\d+ tokens a second of late$/)
  })

  test('clears: the cheapest above the bar, then the best below it, whichever name a score stands under', async () => {
    const bar = clears({ scores: { 'gpt-oss-20b': 0.92, [CLAUDE]: 0.99, [MINI]: 0.8, [LARGE]: 0.85 }, atLeast: 0.9 })
    const plan = await planOf({ model: bar, provider: 'openrouter', request: { max_tokens: 10 } })
    expect(plan.steps.map(({ model, because }) => [model, because[0]])).toEqual([
      [SMALL, 'clears 0.9 with 0.92; the cheapest'],
      [CLAUDE, 'clears 0.9 with 0.99; cheapest no. 2'],
      [LARGE, 'below the bar with 0.85'],
      [MINI, 'below the bar with 0.8'],
    ])
  })

  test('any function is a rule, and sees only what may be used', async () => {
    let seen: readonly string[] = []
    const plan = await planOf({
      model: (models: Loose, { needs }: Loose) => {
        seen = models.flatMap(({ offers }: Loose) => offers.map(({ provider }: Loose) => provider))
        return [{ model: needs.promptTokens > 5 ? LARGE : SMALL, because: 'by length' }]
      },
      provider: 'groq',
    })
    expect(new Set(seen)).toEqual(new Set(['groq']))
    expect(plan.steps[0]).toMatchObject({ model: LARGE, because: ['by length', 'the first place'] })
  })
})

describe('rules for places', () => {
  const places = async (provider: Loose, model: string = SMALL) => stepsOf(await planOf({ model, provider }))

  test('a pinned host followed by its aggregator is one request that keeps the others', async () => {
    const sandbox = await start()
    const router = createRouter({ providers: sandbox.providers(), tasks: {} })
    await router.complete({ model: CLAUDE, provider: ['openrouter/anthropic', 'openrouter'] }, 'Hi')
    await router.complete({ model: CLAUDE, provider: 'openrouter/anthropic' }, 'Hi')
    await router.complete({ model: CLAUDE, provider: ['openrouter/anthropic', 'openrouter/amazon-bedrock'] }, 'Hi')
    expect(bodiesOf(sandbox).map(({ provider }) => provider)).toEqual([
      { order: ['anthropic'], allow_fallbacks: true },
      { order: ['anthropic'], allow_fallbacks: false },
      { order: ['anthropic', 'amazon-bedrock'], allow_fallbacks: false },
    ])
  })

  test('what is not next to each other does not fold', async () => {
    expect(await places(['openrouter/deepinfra', 'groq', 'openrouter'])).toEqual([
      `${SMALL}@openrouter/deepinfra`,
      `${SMALL}@groq`,
      `${SMALL}@openrouter`,
    ])
  })

  test('cheapestOffer goes by price, fastestOffer keeps the order of what was not measured', async () => {
    expect(await places(cheapestOffer())).toEqual([`${SMALL}@openrouter`, `${SMALL}@groq`])
    expect(await places(fastestOffer())).toEqual([`${SMALL}@groq`, `${SMALL}@openrouter`])
  })

  test('only and avoid', async () => {
    expect(await places(only('openrouter'))).toEqual([`${SMALL}@openrouter`])
    expect(await places(only('openrouter/a', 'groq', 'openrouter/b'))).toEqual([
      `${SMALL}@groq`,
      `${SMALL}@openrouter/a,b`,
    ])
    expect(await places(avoid('groq'))).toEqual([`${SMALL}@openrouter`])
    const [, step] = (await planOf({ model: SMALL, provider: avoid('openrouter/deepinfra') })).steps
    expect(step).toMatchObject({ provider: 'openrouter', hosts: [], othersAllowed: true })
  })

  test.each([
    ['an order after `only` stays inside it', [only('openrouter/a'), 'openrouter', 'groq'], ['openrouter/a']],
    [
      '`only` after an order closes it',
      [inOrder('openrouter/a', 'openrouter'), only('openrouter/a')],
      ['openrouter/a'],
    ],
    ['two closed sets meet', [only('openrouter/a', 'openrouter/b'), only('openrouter/b')], ['openrouter/b']],
    ['two that do not meet leave nothing', [only('openrouter/a'), only('openrouter/b')], []],
    ['an endpoint is part of its host', [only('openrouter/a'), inOrder('openrouter/a/eu')], ['openrouter/a/eu']],
    ['a host that is named and avoided is nowhere', ['openrouter/a', avoid('openrouter/a')], []],
    [
      'avoiding a host leaves the others named',
      ['openrouter/a', 'openrouter/b', avoid('openrouter/a')],
      ['openrouter/b'],
    ],
    ['an avoided host cannot be named afterwards', [avoid('openrouter/a'), 'openrouter/a', 'groq'], ['groq']],
    ['a later order reorders', [inOrder('groq', 'openrouter'), 'openrouter', 'groq'], ['openrouter', 'groq']],
    ['a rule orders what names have chosen', ['groq', 'openrouter', cheapestOffer()], ['openrouter', 'groq']],
    [
      'parts of an order stay apart',
      ['openrouter/a', 'groq', 'openrouter', only('openrouter')],
      ['openrouter/a', 'openrouter'],
    ],
  ])('%s', async (_, provider, expected) => {
    expect(await places(provider)).toEqual(expected.map((place) => `${SMALL}@${place}`))
  })

  test('any function is a rule, and it can neither add an offer nor change one', async () => {
    const last: ProviderRule = (offers) => offers.slice(-1)
    expect(await places(last)).toEqual([`${SMALL}@openrouter`])
    const invented: ProviderRule = (offers) => offers.map((ranked) => ({ ...ranked, offer: { ...ranked.offer } }))
    await expect(places(invented)).rejects.toThrow(/some of the places it was given/)
    const unspeakable = (offers: Loose) => offers.map((ranked: Loose) => ({ ...ranked, hosts: [7] }))
    await expect(places(unspeakable)).rejects.toThrow(/some of the places it was given/)
  })

  test('hosts are asked of nobody who has none', async () => {
    const plan = await planOf({ model: SMALL, provider: inOrder('groq/somewhere', 'openrouter') })
    expect(rejectionOf(plan, SMALL, 'groq')).toMatchObject({ code: 'lacks:hosts' })
  })
})

describe('what the request needs', () => {
  const IMAGE = [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://example.com/a.png' } }] }]
  const AUDIO = [{ role: 'user', content: [{ type: 'input_audio', input_audio: { data: 'AA==', format: 'wav' } }] }]
  const FILE = [{ role: 'user', content: [{ type: 'file', file: { filename: 'a.pdf', file_data: 'data:' } }] }]
  const schema = { type: 'json_schema', json_schema: { name: 'tag', schema: { type: 'object' } } }

  test.each([
    ['tools', 'allam-2-7b', { messages: 'Hi', tools: [WEATHER] }, 'lacks:tools'],
    ['images', SMALL, { messages: IMAGE }, 'lacks:image'],
    ['audio', SMALL, { messages: AUDIO }, 'lacks:audio'],
    ['files', SMALL, { messages: FILE }, 'lacks:file'],
    ['a schema', 'allam-2-7b', { messages: 'Hi', response_format: schema }, 'lacks:schema'],
    [
      'a schema with tools',
      SMALL,
      { messages: 'Hi', tools: [WEATHER], response_format: schema },
      'lacks:format-with-tools',
    ],
  ])('%s are not sent to an offer known not to take them', async (_, model, { messages, ...settings }: Loose, code) => {
    const input = { messages: messages === 'Hi' ? [{ role: 'user', content: 'Hi' }] : messages, ...settings }
    const plan = await planOf({ model, provider: ['groq', 'openrouter'] }, input)
    expect(rejectionOf(plan, model, 'groq')).toMatchObject({ code })
    expect(plan.steps.some(({ provider }) => provider === 'groq')).toBe(false)
  })

  test('a plain JSON format goes to whoever can do it', async () => {
    const json = {
      messages: [{ role: 'user' as const, content: 'Hi' }],
      response_format: { type: 'json_object' as const },
    }
    expect(stepsOf(await planOf({ model: 'allam-2-7b', provider: 'groq' }, json))).toEqual(['allam-2-7b@groq'])
  })

  test('files go to an aggregator, which reads them for models that cannot', async () => {
    const plan = await planOf({ model: SMALL }, FILE as Loose)
    expect(stepsOf(plan)).toEqual([`${SMALL}@openrouter`])
  })

  test('an unknown ability keeps nothing away', async () => {
    const router = routerFor([LOCAL])
    const plan = await router.plan({ model: 'own-model' }, { messages: IMAGE as Loose, tools: [WEATHER as Loose] })
    expect(stepsOf(plan)).toEqual(['own-model@local'])
  })

  test('a prompt that does not fit is rejected with the limit and the length', async () => {
    const plan = await planOf({ model: [SMALL, CLAUDE] }, 'word '.repeat(150_000))
    const rejection = rejectionOf(plan, SMALL, 'groq')
    expect(rejection).toMatchObject({ code: 'context', limit: 131_072 })
    expect(rejection?.value).toBeGreaterThan(180_000)
    expect(rejection?.because).toContain('do not fit 131072')
    expect(plan.steps.map(({ model }) => model)).toEqual([CLAUDE])
  })

  test('an answer longer than an offer gives is rejected with both numbers', async () => {
    const plan = await planOf({ model: SMALL, provider: 'groq' }, 'Hi', { request: { max_tokens: 100_000 } })
    expect(rejectionOf(plan, SMALL, 'groq')).toMatchObject({ code: 'max-output', limit: 65_536, value: 100_000 })
  })
})

describe('the data rule', () => {
  test('a provider that guarantees nothing is not used, one that declares it is', async () => {
    const plan = await planOf({ model: SMALL, data: { training: 'deny' } })
    expect(rejectionOf(plan, SMALL, 'groq')).toMatchObject({ code: 'data-policy' })
    expect(stepsOf(plan)).toEqual([`${SMALL}@openrouter`])
    const declared = groq({ apiKey: 'gsk-test-key', dataTerms: { training: false, retention: 'zero' } })
    const router = routerFor([declared, OPENROUTER])
    const both = await router.plan({ model: SMALL, data: { training: 'deny', retention: 'zero' } }, 'Hi')
    expect(stepsOf(both)).toEqual([`${SMALL}@groq`, `${SMALL}@openrouter`])
  })

  test('training terms say nothing about retention', async () => {
    const router = routerFor([groq({ apiKey: 'gsk-test-key', dataTerms: { training: false } }), OPENROUTER])
    const plan = await router.plan({ model: SMALL, data: { retention: 'zero' } }, 'Hi')
    expect(stepsOf(plan)).toEqual([`${SMALL}@openrouter`])
  })

  test.each([
    [{ training: 'deny' as const }, { data_collection: 'deny' }],
    [{ retention: 'zero' as const }, { data_collection: 'deny', zdr: true }],
  ])('OpenRouter is told: %j', async (data, provider) => {
    const sandbox = await start()
    const router = createRouter({ providers: sandbox.providers(), tasks: {} })
    const request = { openrouter: { preferences: { data_collection: 'allow' as const, zdr: false } } }
    await router.complete({ model: SMALL, provider: 'openrouter', data, request }, 'Hi')
    expect(bodiesOf(sandbox)[0].provider).toMatchObject(provider)
  })
})

describe('limits of cost', () => {
  test('an offer that may cost more is too dear, by both numbers', async () => {
    const plan = await planOf({ model: [CLAUDE, SMALL], provider: 'openrouter', limits: { maxCostUsd: 0.001 } }, 'Hi', {
      request: { max_tokens: 1000 },
    })
    const rejection = rejectionOf(plan, CLAUDE, 'openrouter')
    expect(rejection).toMatchObject({ code: 'too-dear', limit: 0.001 })
    expect(rejection?.value).toBeGreaterThan(0.015)
    expect(plan.steps.map(({ model }) => model)).toEqual([SMALL])
  })

  test('an unknown price is not free: under a limit it is too dear, without one it is unknown', async () => {
    const router = routerFor([LOCAL])
    const capped = await router.plan({ model: 'own-model', limits: { maxCostUsd: 1 } }, 'Hi')
    expect(capped.rejected[0]).toMatchObject({ code: 'too-dear', because: expect.stringContaining('unknown') })
    const open = await router.plan({ model: 'own-model' }, 'Hi')
    expect(open.steps[0]?.estimate.usd).toEqual({ low: 0, high: null })
    expect(open.estimate).toEqual({ usd: { low: 0, high: null }, worstCaseUsd: null })
  })

  test('under a limit, OpenRouter is told the planned prices as the most that a host may ask', async () => {
    const sandbox = await start()
    const router = createRouter({ providers: sandbox.providers(), tasks: {} })
    const policy = { model: MINI, limits: { maxCostUsd: 1 }, request: { max_tokens: 100 } } as const
    await router.complete(policy, 'Hi')
    const lower = { openrouter: { preferences: { max_price: { prompt: 9, completion: '1.5', request: 0.1 } } } }
    await router.complete(policy, 'Hi', { request: lower }).catch(() => {})
    await router.complete({ ...policy, limits: {} }, 'Hi')
    expect(bodiesOf(sandbox).map(({ provider }) => provider?.max_price)).toEqual([
      { prompt: 0.25, completion: 2 },
      { prompt: 0.25, completion: 1.5, request: 0.1 },
      undefined,
    ])
  })

  test('the worst case is the sum of what may be tried', async () => {
    const plan = await planOf({ model: [SMALL, LARGE], limits: { attempts: 3 }, request: { max_tokens: 100 } })
    const [first, second, third] = plan.steps.map(({ estimate }) => estimate.usd.high ?? Number.NaN)
    expect(plan.estimate.worstCaseUsd).toBeCloseTo((first ?? 0) + (second ?? 0) + (third ?? 0), 15)
    expect(plan.estimate.usd).toEqual(plan.steps[0]?.estimate.usd)
  })

  test("a candidate's own length of answer counts in its price, and its own needs for its offers", async () => {
    const plan = await planOf({
      model: [
        { model: CLAUDE, request: { max_tokens: 10_000 } },
        { model: SMALL, request: { tools: [WEATHER], response_format: { type: 'json_object' } } },
      ],
      request: { max_tokens: 10 },
    })
    expect(plan.steps[0]?.estimate.usd.high).toBeGreaterThan(0.15)
    expect(rejectionOf(plan, SMALL, 'groq')).toMatchObject({ code: 'lacks:format-with-tools' })
  })
})

describe('models that go', () => {
  const NAME = 'llama-3.3-70b-versatile'
  const CANONICAL = 'meta-llama/llama-3.3-70b-instruct'

  test('after the day, its successor stands in, and both are told', async () => {
    const plan = await planOf({ model: NAME, provider: 'groq' })
    expect(stepsOf(plan)).toEqual([`${LARGE}@groq`])
    expect(plan.steps[0]?.because[0]).toBe(`the successor of ${NAME}`)
    expect(rejectionOf(plan, CANONICAL, 'groq')).toMatchObject({ code: 'retired' })
    expect(rejectionOf(plan, CANONICAL, 'groq')?.because).toContain('2026-08-16')
  })

  test('before the day, and on the day before it, the model itself is used', async () => {
    for (const date of [Date.UTC(2026, 3, 1), Date.UTC(2026, 7, 15, 23, 59)]) {
      const plan = await routerFor([GROQ], date).plan({ model: NAME }, 'Hi')
      expect(plan.steps[0]).toMatchObject({ model: CANONICAL, wireModel: NAME })
    }
    const plan = await routerFor([GROQ], Date.UTC(2026, 7, 16)).plan({ model: NAME }, 'Hi')
    expect(plan.steps[0]?.model).toBe(LARGE)
  })

  test('where another provider still has it, it is still used', async () => {
    expect(stepsOf(await planOf({ model: NAME }))).toEqual([`${CANONICAL}@openrouter`])
  })

  test('a successor that is in the policy anyway is there once', async () => {
    expect(stepsOf(await planOf({ model: [NAME, 'gpt-oss-120b'], provider: 'groq' }))).toEqual([`${LARGE}@groq`])
  })

  test('successors are followed as far as they go', async () => {
    const row = (id: string, successor?: string) => ({ id, retires: '2026-01-01', ...(successor && { successor }) })
    const chain = compatible({
      name: 'chain',
      baseURL: 'http://localhost:9/v1',
      models: [row('one', 'two'), row('two', 'three'), { id: 'three' }, row('a', 'b'), row('b', 'a')],
    })
    expect(stepsOf(await routerFor([chain]).plan({ model: 'one' }, 'Hi'))).toEqual(['three@chain'])
    expect(stepsOf(await routerFor([chain]).plan({ model: 'a' }, 'Hi'))).toEqual([])
  })
})

describe('references', () => {
  test('a model no list knows is asked of open providers, its price unknown and not zero', async () => {
    const plan = await routerFor([GROQ, OPENROUTER, LOCAL]).plan({ model: 'acme/unheard-of-1' }, 'Hi')
    expect(stepsOf(plan)).toEqual(['acme/unheard-of-1@openrouter', 'acme/unheard-of-1@local'])
    for (const { estimate } of plan.steps) expect(estimate.usd).toEqual({ low: 0, high: null })
    expect(rejectionOf(plan, 'acme/unheard-of-1', 'groq')).toMatchObject({ code: 'not-sold' })
  })

  test('the nearest name is told', async () => {
    const plan = await planOf({ model: 'openai/gpt-oss-21b', provider: 'groq' })
    expect(rejectionOf(plan, 'openai/gpt-oss-21b', 'groq')?.because).toContain(`did you mean "${SMALL}"`)
  })

  test('a reference that fits several models lists them and picks none', async () => {
    const twins = compatible({
      name: 'twins',
      baseURL: 'http://localhost:9/v1',
      models: ['left/same', 'right/same'],
    })
    const plan = await routerFor([twins]).plan({ model: 'same' }, 'Hi')
    expect(plan.steps).toEqual([])
    expect(plan.rejected[0]).toMatchObject({
      code: 'not-sold',
      because: '"same" fits several models: left/same, right/same',
    })
  })

  test.each([
    [`${SMALL}:nitro`, SMALL, `${SMALL}:nitro`],
    [`${CLAUDE}@preset/support`, CLAUDE, `${CLAUDE}@preset/support`],
    [`${SMALL}:floor@preset/support`, SMALL, `${SMALL}:floor@preset/support`],
  ])('%s is the model itself, asked for by that name', async (reference, model, wireModel) => {
    const plan = await planOf({ model: reference, provider: ['groq', 'openrouter'] })
    expect(plan.steps).toMatchObject([{ model, provider: 'openrouter', wireModel }])
    expect(rejectionOf(plan, model, 'groq')?.code).toBe('not-sold')
  })

  test('`:free` is a model of its own where it is listed', async () => {
    const router = routerFor()
    await router.ready()
    const free = router.catalog.models().find(({ id }) => id.endsWith(':free'))
    expect(free).toBeDefined()
    const plan = await router.plan({ model: free?.id ?? '' }, 'Hi')
    expect(plan.steps[0]).toMatchObject({
      model: free?.id,
      wireModel: free?.id,
      estimate: { usd: { low: 0, high: 0 } },
    })
  })
})

describe('settings', () => {
  test('the later wins: defaults, provider, task, candidate, input, options', async () => {
    const sandbox = await start()
    const [onGroq] = sandbox.providers()
    const layers = [
      { temperature: 0.1, top_p: 0.1, seed: 1, user: 'a', presence_penalty: 1 },
      { temperature: 0.3, top_p: 0.3, seed: 3, user: 'c' },
      { temperature: 0.4, top_p: 0.4, seed: 4 },
      { temperature: 0.5, top_p: 0.5 },
      { temperature: 0.6 },
    ] as const
    const [defaults, request, candidate, input, options] = layers
    const router = createRouter({ providers: [onGroq], tasks: {}, defaults })
    const messages = [{ role: 'user' as const, content: 'Hi' }]
    await router.complete(
      { model: [{ model: SMALL, request: candidate }], request },
      { messages, ...input },
      { request: options },
    )
    expect(bodiesOf(sandbox)[0]).toMatchObject({
      temperature: 0.6,
      top_p: 0.5,
      seed: 4,
      user: 'c',
      presence_penalty: 1,
    })
  })

  test("a provider's own settings stand between the router's and the task's", async () => {
    const sandbox = await start()
    const flex = groq({ apiKey: sandbox.groq.apiKey, baseURL: sandbox.groq.url, serviceTier: 'flex' })
    const router = createRouter({ providers: [flex], tasks: {}, defaults: { service_tier: 'on_demand' } })
    await router.complete({ model: SMALL }, 'Hi')
    await router.complete({ model: SMALL, request: { service_tier: 'performance' } }, 'Hi')
    expect(bodiesOf(sandbox).map(({ service_tier }) => service_tier)).toEqual(['flex', 'performance'])
  })

  test("a candidate's settings reach only that candidate", async () => {
    const sandbox = await start()
    sandbox.groq.script([fail(503)])
    const router = createRouter({ providers: sandbox.providers(), tasks: {} })
    const model = [{ model: SMALL, request: { reasoning_effort: 'low' as const, max_tokens: 77 } }, LARGE]
    await router.complete({ model, provider: 'groq', request: { max_tokens: 99 } }, 'Hi')
    const [first, second] = bodiesOf(sandbox)
    expect(first).toMatchObject({ model: SMALL, reasoning_effort: 'low', max_completion_tokens: 77 })
    expect(second).toMatchObject({ model: LARGE, max_completion_tokens: 99 })
    expect(second).not.toHaveProperty('reasoning_effort')
  })

  test('two names of one setting are one setting', async () => {
    const sandbox = await start()
    const router = createRouter({ providers: sandbox.providers(), tasks: {} })
    const policy = {
      model: SMALL,
      provider: 'groq',
      request: { max_completion_tokens: 500, reasoning: { effort: 'high', exclude: true } },
    } as const
    await router.complete(policy, 'Hi', { request: { max_tokens: 50, reasoning_effort: 'low' } })
    expect(bodiesOf(sandbox)[0]).toMatchObject({
      max_completion_tokens: 50,
      reasoning_effort: 'low',
      include_reasoning: false,
    })
  })

  test('what is undefined says nothing', async () => {
    const sandbox = await start()
    const router = createRouter({ providers: sandbox.providers(), tasks: {}, defaults: { temperature: 0.2 } })
    await router.complete({ model: SMALL, request: { max_tokens: 40 } }, 'Hi', {
      // As plain JavaScript may write it.
      request: { temperature: undefined, max_tokens: undefined } as Loose,
    })
    expect(bodiesOf(sandbox)[0]).toMatchObject({ temperature: 0.2, max_completion_tokens: 40 })
  })

  test("OpenRouter's preferences of provider, task and options come together", async () => {
    const sandbox = await start()
    const account = { apiKey: sandbox.openrouter.apiKey, baseURL: sandbox.openrouter.url }
    const router = createRouter({
      providers: [openrouter({ ...account, preferences: { sort: 'price', ignore: ['together'] } })],
      tasks: {},
    })
    const request = { openrouter: { preferences: { require_parameters: false, sort: 'latency' as const } } }
    await router.complete({ model: SMALL, request }, 'Hi', {
      request: { openrouter: { preferences: { data_collection: 'deny' } } },
    })
    expect(bodiesOf(sandbox)[0].provider).toEqual({
      sort: 'latency',
      ignore: ['together'],
      require_parameters: false,
      data_collection: 'deny',
    })
  })
})

describe('one plan', () => {
  const refs = fc.uniqueArray(
    fc.constantFrom(SMALL, LARGE, CLAUDE, MINI, 'acme/unheard-of-1', 'llama-3.3-70b-versatile'),
    {
      minLength: 1,
      maxLength: 4,
    },
  )
  const PLACES = ['groq', 'openrouter', 'openrouter/anthropic', 'openrouter/deepinfra', 'openrouter/openai'] as const
  const place = fc.constantFrom(...PLACES)
  const rule = fc.oneof(
    place,
    fc.constant(cheapestOffer()),
    fc.constant(fastestOffer()),
    fc.array(place, { minLength: 1, maxLength: 3 }).map((names) => only(...names)),
    fc.array(place, { minLength: 1, maxLength: 2 }).map((names) => avoid(...names)),
    fc.array(place, { minLength: 1, maxLength: 3 }).map((names) => inOrder(...names)),
  )
  const policies = fc.record(
    {
      model: fc.oneof(
        refs,
        refs.map((among) => cheapest({ among })),
        fc.constant(cheapest()),
      ),
      provider: fc.array(rule, { minLength: 1, maxLength: 4 }),
      data: fc.constantFrom({}, { training: 'deny' as const }, { retention: 'zero' as const }),
      limits: fc.record(
        { attempts: fc.integer({ min: 1, max: 6 }), maxCostUsd: fc.constantFrom(0.0001, 0.01, 1) },
        { requiredKeys: [] },
      ),
      request: fc.constantFrom({}, { max_tokens: 50 }, { max_tokens: 5000, temperature: 0 }),
    },
    { requiredKeys: ['model', 'provider'] },
  )
  // A data rule that no named account can keep is refused before there is a plan.
  const reachable = policies.filter(({ provider, data = {} }) => {
    const names = provider.filter((part) => typeof part === 'string')
    return Object.keys(data).length === 0 || names.length === 0 || names.some((name) => name !== 'groq')
  })

  test('the same planning gives the same plan, frozen to the bottom', async () => {
    const [one, other] = [routerFor(), routerFor()]
    await fc.assert(
      fc.asyncProperty(reachable, fc.string({ minLength: 1 }), async (policy, input) => {
        const plan = await one.plan(policy as TaskPolicy, input)
        expect(await one.plan(policy as TaskPolicy, input)).toEqual(plan)
        expect(await other.plan(policy as TaskPolicy, input)).toEqual(plan)
        expect(loose(plan)).toEqual([])
      }),
      // Three plans from the whole catalogue.
      runs(7),
    )
  })

  test('the plan is what runs, step by step', async () => {
    const sandbox = await start()
    // On, as long as there is a step left: what is asked again is another matter.
    const onward: FallbackRule = (_, { left }) => ({ move: left.length > 0 ? 'next' : 'stop' })
    let asked = 0
    await fc.assert(
      fc.asyncProperty(reachable, fc.integer({ min: 0, max: 6 }), fc.boolean(), async (policy, failures, inSession) => {
        const router = createRouter({ providers: sandbox.providers(), tasks: {}, clock: virtualClock(TODAY) })
        sandbox.reset()
        sandbox.groq.script([repeat(failures, fail(503))])
        sandbox.openrouter.script([repeat(failures, fail(503))])
        const options = inSession ? { session: 'one-and-the-same' } : {}
        const walked = { ...policy, fallback: [onward] } as TaskPolicy
        const planned = await router.plan(walked, 'Hello', options)
        const outcome = await router.complete(walked, 'Hello', options).then(
          (completion) => completion,
          (error: Loose) => error,
        )
        expect(outcome.plan).toEqual(planned)
        const sent = sandbox.requests
        expect(outcome.usage.attempts.length).toBe(sent.length)
        sent.forEach(({ provider, body }: Loose, index) => {
          asked += 1
          const step = planned.steps[index]
          expect([provider, body.model]).toEqual([step?.provider, step?.wireModel])
          const { order = [], allow_fallbacks: others = true } = body.provider ?? {}
          expect([order, others]).toEqual([step?.hosts, step?.othersAllowed])
        })
      }),
      // A router and its requests over sockets.
      runs(7),
    )
    expect(asked).toBeGreaterThan(20)
  })
})

describe('the wall of hosts', () => {
  const HOSTS = ['anthropic', 'amazon-bedrock', 'google-vertex'] as const
  const some = fc.uniqueArray(fc.constantFrom(...HOSTS), { minLength: 1, maxLength: 3 })

  test('whatever fails, whatever is pinned and preferred: nobody answers whom the policy does not allow', async () => {
    const sandbox = await start()
    const router = createRouter({ providers: sandbox.providers(), tasks: {}, random: hasty() })
    let answered = 0
    await fc.assert(
      fc.asyncProperty(
        fc.option(some, { nil: null }),
        fc.option(some, { nil: null }),
        fc.option(some, { nil: null }),
        fc.uniqueArray(fc.constantFrom(...HOSTS), { maxLength: 2 }),
        fc.array(fc.uniqueArray(fc.constantFrom(...HOSTS), { maxLength: 2 }), { minLength: 2, maxLength: 3 }),
        async (named, kept, preferred, avoided, outages) => {
          const place = (host: string) => `openrouter/${host}`
          const provider = [
            ...(named ?? []).map(place),
            ...(named === null ? ['openrouter'] : []),
            ...(kept === null ? [] : [only(...kept.map(place))]),
            ...(avoided.length === 0 ? [] : [avoid(...avoided.map(place))]),
          ]
          const preferences = preferred === null ? {} : { order: preferred, allow_fallbacks: false }
          const policy = { model: CLAUDE, provider, request: { openrouter: { preferences } } } as TaskPolicy
          const allowed = HOSTS.filter(
            (host) =>
              [named, kept, preferred].every((list) => list === null || list.includes(host)) && !avoided.includes(host),
          )
          sandbox.reset()
          const session = `session-${JSON.stringify([named, kept, preferred, avoided, outages])}`
          for (const down of outages) {
            const restore = down.map((host) => sandbox.openrouter.outage(host))
            await router.complete(policy, 'Hello', { session }).catch(() => {})
            for (const up of restore) up()
          }
          for (const { host } of sandbox.requests) {
            if (host === null) continue
            answered += 1
            expect(allowed).toContain(host)
          }
        },
      ),
      // Routers, sockets and pauses.
      runs(10),
    )
    expect(answered).toBeGreaterThan(5)
  })
})

/** Every object in it that could still be changed, by its path. */
function loose(value: unknown, path = 'plan'): string[] {
  if (typeof value !== 'object' || value === null) return []
  const inside = Object.entries(value).flatMap(([key, part]) => loose(part, `${path}.${key}`))
  return Object.isFrozen(value) ? inside : [path, ...inside]
}
