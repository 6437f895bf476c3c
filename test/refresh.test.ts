import { compatible, createRouter, groq, openrouter, RouterError } from 'modelfirst'
import { fail, type SandboxOptions, virtualClock } from 'modelfirst/sandbox'
import { describe, expect, test } from 'vitest'
import { type Loose, start } from './sandbox/client.ts'

const SMALL = 'openai/gpt-oss-20b'
const CLAUDE = 'anthropic/claude-sonnet-4.5'
const TODAY = Date.UTC(2026, 10, 21)

async function setUp(models: SandboxOptions['models'] = {}, catalog: Loose = {}) {
  const sandbox = await start({ models })
  const router = createRouter({ providers: sandbox.providers(), tasks: {}, catalog, clock: virtualClock(TODAY) })
  await router.ready()
  const offer = (model: string, provider: string) =>
    router.catalog.offers(model).find((one) => one.provider === provider)
  return { sandbox, router, offer }
}

describe('a refresh', () => {
  test("puts live prices in the place of the snapshot's, and says from when they are", async () => {
    const { router, offer } = await setUp({ groq: [{ id: SMALL, prices: { input: 9, output: 99 } }] })
    expect(offer(SMALL, 'groq')).toMatchObject({ prices: { input: 0.075 }, priceSource: 'snapshot' })
    const dear = await router.plan({ model: SMALL, provider: 'groq' }, 'Hi', { request: { max_tokens: 1_000 } })
    const { providers } = await router.catalog.refresh()
    expect(providers).toMatchObject({
      groq: { models: expect.any(Number) },
      openrouter: { models: expect.any(Number) },
    })
    expect(offer(SMALL, 'groq')).toMatchObject({
      prices: { input: 9, output: 99 },
      priceSource: 'live',
      priceDate: '2026-11-21',
    })
    const plan = await router.plan({ model: SMALL, provider: 'groq' }, 'Hi', { request: { max_tokens: 1_000 } })
    expect(plan.steps[0]?.estimate.usd.high).toBeGreaterThan(300 * (dear.steps[0]?.estimate.usd.high ?? 1))
  })

  test('finds models that are new', async () => {
    const { router } = await setUp({ openrouter: [{ id: 'acme/brand-new', prices: { input: 1, output: 2 } }] })
    expect('model' in router.catalog.lookup('acme/brand-new')).toBe(false)
    await router.catalog.refresh()
    expect(router.catalog.find('acme/brand-new').offers).toMatchObject([
      { provider: 'openrouter', priceSource: 'live' },
    ])
  })

  test("leaves the user's own prices above it", async () => {
    const mine = { input: 0.01, output: 0.02 }
    const { router, offer } = await setUp({}, { prices: { [SMALL]: mine } })
    await router.catalog.refresh()
    for (const provider of ['groq', 'openrouter']) {
      expect(offer(SMALL, provider)).toMatchObject({ prices: mine, priceSource: 'user' })
    }
  })

  test('brings the prices of hosts, for a model by any of its names', async () => {
    const { router, sandbox, offer } = await setUp()
    expect(offer(CLAUDE, 'openrouter')?.hosts).toEqual([])
    await router.catalog.refresh({ hosts: ['claude-sonnet-4.5'] })
    const hosts = offer(CLAUDE, 'openrouter')?.hosts ?? []
    expect(hosts.map(({ host }) => host)).toEqual(['anthropic', 'amazon-bedrock', 'google-vertex'])
    expect(hosts[1]).toMatchObject({ priceSource: 'live', priceDate: '2026-11-21' })
    expect(hosts[1]?.prices?.output).toBeGreaterThan(hosts[0]?.prices?.output ?? Number.NaN)
    expect(sandbox.requests.map(({ path }) => path).sort()).toEqual([
      '/models',
      '/models',
      '/models/anthropic/claude-sonnet-4.5/endpoints',
    ])
    // A host that is asked for by name is planned at its own price.
    const planned = async (provider: Loose) =>
      (await router.plan({ model: CLAUDE, provider }, 'Hi', { request: { max_tokens: 100 } })).steps[0]?.estimate.usd
        .high
    expect(await planned('openrouter/google-vertex')).toBeGreaterThan((await planned('openrouter/anthropic')) ?? 1)
  })

  test('a bill is computed and drift is told by the prices of the host that answered', async () => {
    const { router } = await setUp()
    const policy = { model: CLAUDE, provider: 'openrouter/google-vertex', request: { max_tokens: 50 } } as const
    expect((await router.complete(policy, 'Hi')).usage.drift).toMatchObject([{ kind: 'price' }])
    await router.catalog.refresh({ hosts: [CLAUDE] })
    const { usage } = await router.complete(policy, 'Hi')
    expect(usage.drift).toEqual([])
    expect(usage.cache.coldUsd).toBeCloseTo(usage.cost.usd ?? Number.NaN, 12)
  })
})

describe('a provider that fails', () => {
  test('keeps the list it had and says so, and the other one is refreshed all the same', async () => {
    const { sandbox } = await setUp()
    const router = createRouter({
      providers: [
        groq({ apiKey: 'gsk-wrong-key', baseURL: sandbox.groq.url }),
        openrouter({ apiKey: sandbox.openrouter.apiKey, baseURL: sandbox.openrouter.url }),
      ],
      tasks: {},
    })
    const { groq: failed, openrouter: fine }: Loose = (await router.catalog.refresh()).providers
    expect(RouterError.is(failed.error)).toBe(true)
    expect(failed.error).toMatchObject({
      kind: 'unauthorized',
      message: expect.stringContaining('its list stays as it was'),
    })
    expect(failed.error.message).not.toContain('gsk-wrong-key')
    expect(fine.models).toBeGreaterThan(300)
    expect(router.catalog.find(SMALL).offers.find(({ provider }) => provider === 'groq')).toMatchObject({
      priceSource: 'snapshot',
      prices: { input: 0.075 },
    })
  })

  test.each([
    ['an empty list', () => Response.json({ data: [] }), 'bad-response', 'named no model'],
    ['a page', () => new Response('<html>'), 'bad-response', 'did not answer with JSON'],
    ['something else', () => Response.json({ hello: 1 }), 'bad-response', 'named no model'],
    ['an error', () => new Response('{}', { status: 503 }), 'overloaded', 'answered 503'],
  ])('%s is no list', async (_, answer, kind, says) => {
    const local = compatible({
      name: 'local',
      baseURL: 'http://localhost:9/v1',
      models: ['mine'],
      fetch: async () => answer(),
    })
    const router = createRouter({ providers: [local], tasks: {} })
    const { local: result }: Loose = (await router.catalog.refresh()).providers
    expect(result.error).toMatchObject({ kind, message: expect.stringContaining(says) })
    expect(router.catalog.models().map(({ id }) => id)).toEqual(['mine'])
  })

  test('in the middle of a refresh changes nothing: neither half of it is taken over', async () => {
    const { router, offer } = await setUp({ openrouter: [{ id: SMALL, prices: { input: 9, output: 99 } }] })
    const { openrouter: failed }: Loose = (await router.catalog.refresh({ hosts: [CLAUDE, 'nobody/has-it'] })).providers
    expect(failed.error).toMatchObject({ kind: 'model-gone' })
    expect(offer(SMALL, 'openrouter')?.priceSource).toBe('snapshot')
    expect(offer(CLAUDE, 'openrouter')?.hosts).toEqual([])
  })

  test('one that never answers is given up, by the signal or by the clock', async () => {
    const clock = virtualClock(TODAY)
    const local = compatible({
      name: 'local',
      baseURL: 'http://localhost:9/v1',
      models: ['mine'],
      fetch: () => new Promise(() => {}),
    })
    const router = createRouter({ providers: [local], tasks: {}, clock })
    await router.ready()
    const aborted = router.catalog.refresh({ signal: AbortSignal.abort() })
    expect((await aborted).providers.local).toMatchObject({ error: { kind: 'unreachable' } })
    const late = router.catalog.refresh()
    await clock.advance(30_000)
    expect((await late).providers.local).toMatchObject({ error: { kind: 'unreachable' } })
    expect(clock.pending).toBe(0)
  })
})

describe('prices by hand', () => {
  test('count for every provider that sells the model, by any of its names', async () => {
    const { offer, router } = await setUp({}, { prices: { 'gpt-oss-20b': { input: 1, output: 2, cachedInput: 0.5 } } })
    for (const provider of ['groq', 'openrouter']) {
      expect(offer(SMALL, provider)).toMatchObject({ prices: { input: 1, output: 2 }, priceSource: 'user' })
    }
    expect(offer(SMALL, 'groq')?.abilities?.has('tools')).toBe(true)
    const { usage } = await router.complete({ model: SMALL, provider: 'groq' }, 'Hi')
    const { prompt, completion } = usage.tokens
    expect(usage.cost.usd).toBeCloseTo(((prompt ?? Number.NaN) + 2 * (completion ?? Number.NaN)) / 1e6, 12)
  })

  test('declare a model that no list knows, where it would be asked for', async () => {
    const { router, offer } = await setUp({}, { prices: { 'acme/unheard-of': { input: 1, output: 2 } } })
    expect(offer('acme/unheard-of', 'openrouter')).toMatchObject({ priceSource: 'user' })
    expect(offer('acme/unheard-of', 'groq')).toBeUndefined()
    const plan = await router.plan({ model: 'acme/unheard-of' }, 'Hi', { request: { max_tokens: 1_000_000 } })
    expect(plan.steps[0]?.estimate.usd.high).toBeGreaterThan(2)
  })

  test('for a name that fits several models are an error that lists them', async () => {
    const twins = compatible({ name: 'twins', baseURL: 'http://localhost:9/v1', models: ['left/same', 'right/same'] })
    const router = createRouter({
      providers: [twins],
      tasks: {},
      catalog: { prices: { same: { input: 1, output: 1 } } },
    })
    await expect(router.ready()).rejects.toThrow('"same" fits several: left/same, right/same')
  })

  test('models by hand stand above every list, with their prices', async () => {
    const { offer, router } = await setUp(
      {},
      {
        models: [
          { provider: 'groq', id: SMALL, context: 1000 },
          { provider: 'openrouter', id: 'acme/own', prices: { input: 3, output: 4 } },
        ],
      },
    )
    await router.catalog.refresh()
    expect(offer(SMALL, 'groq')).toMatchObject({ context: 1000, priceSource: 'live' })
    expect(offer('acme/own', 'openrouter')).toMatchObject({ prices: { input: 3, output: 4 }, priceSource: 'user' })
  })
})

test('a failure of the list does not touch the calls', async () => {
  const { sandbox, router } = await setUp()
  const calls = Promise.all([0, 1, 2].map(() => router.complete({ model: SMALL }, 'Hi')))
  sandbox.openrouter.script([fail(500)])
  const refreshing = router.catalog.refresh()
  expect((await calls).map(({ usage }) => usage.outcome)).toEqual(['ok', 'ok', 'ok'])
  await refreshing
})
