import { createRouter, openrouter, type RouterEvent } from 'modelfirst'
import { ok, slowFirstToken, withHost } from 'modelfirst/sandbox'
import { describe, expect, test } from 'vitest'
import { type Loose, start } from './sandbox/client.ts'

const CLAUDE = 'anthropic/claude-sonnet-4.5'
const HAIKU = 'anthropic/claude-haiku-4.5'
const SMALL = 'openai/gpt-oss-20b'
const AT_HOME: Loose = {
  model: [CLAUDE, HAIKU],
  provider: ['openrouter/anthropic', 'openrouter'],
  request: { max_tokens: 40 },
}

async function setUp(change: (body: Loose, n: number) => Loose = (body) => body) {
  const sandbox = await start()
  const events: RouterEvent[] = []
  const { apiKey, url: baseURL } = sandbox.openrouter
  let n = 0
  // What really comes, with what a test makes of it: a host that steps in, another model, another price.
  const own = async (input: Loose, init: Loose) => {
    const reply = await fetch(input, init)
    if (!reply.ok || reply.headers.get('content-type')?.includes('event-stream')) return reply
    n += 1
    return new Response(JSON.stringify(change(await reply.json(), n)), {
      headers: { 'content-type': 'application/json' },
    })
  }
  const router = createRouter({
    providers: [openrouter({ apiKey, baseURL, fetch: own })],
    tasks: {},
    on: (event) => void events.push(event),
    random: () => 0.5,
  })
  await router.catalog.refresh({ hosts: [CLAUDE, HAIKU, SMALL] })
  n = 0
  return { sandbox, router, drifts: () => events.filter(({ type }) => type === 'drift') as Loose[] }
}

const first = (part: Loose) => (body: Loose, n: number) => (n === 1 ? { ...body, ...part } : body)

describe('an answer from elsewhere than planned', () => {
  const KINDS: readonly [kind: string, change: (body: Loose, n: number) => Loose, request: Loose, served: string][] = [
    ['model', first({ model: 'openai/gpt-5-mini' }), {}, 'openai/gpt-5-mini'],
    ['host', first({ provider: 'Amazon Bedrock' }), {}, 'amazon-bedrock'],
    [
      'tier',
      (body, n) => ({ ...body, service_tier: n === 1 ? 'default' : 'priority' }),
      { service_tier: 'priority' },
      'default',
    ],
    [
      'price',
      (body, n) => (n === 1 ? { ...body, usage: { ...body.usage, cost: 7, cost_details: null } } : body),
      {},
      '$7',
    ],
  ]

  test.each(KINDS)(
    '%s: is on the record and told, taken in silence, or not taken, as the policy says',
    async (kind, change, request, served) => {
      const policy = { ...AT_HOME, request: { ...AT_HOME.request, ...request } }
      const told = await setUp(change)
      const { usage } = await told.router.complete(policy, 'Hi')
      expect(usage.drift).toContainEqual({ kind, planned: expect.any(String), served })
      expect(told.drifts().map(({ drift }) => drift)).toEqual(usage.drift)

      const silent = await setUp(change)
      const taken = await silent.router.complete({ ...policy, drift: { [kind]: 'accept' } }, 'Hi')
      expect(taken.usage.drift.map((drift) => drift.kind)).toContain(kind)
      expect(silent.drifts().map(({ drift }) => drift.kind)).not.toContain(kind)

      const strict = await setUp(change)
      const moved = await strict.router.complete({ ...policy, drift: { [kind]: 'reject' } }, 'Hi')
      expect(moved.usage.attempts.map(({ outcome }) => outcome)).toEqual(['no-offer', 'ok'])
      expect(moved.usage.drift.map((drift) => drift.kind)).not.toContain(kind)
      // It was paid for all the same.
      expect(moved.usage.attempts[0]).toMatchObject({ billed: 'yes', cost: { source: 'reported' } })
    },
  )

  test('that nobody else can give is an error which says what came instead', async () => {
    const { router } = await setUp((body) => ({ ...body, model: 'openai/gpt-5-mini' }))
    const only: Loose = { ...AT_HOME, model: CLAUDE, drift: 'reject' }
    await expect(router.complete(only, 'Hi')).rejects.toThrow(
      `nobody offers the model under these conditions (drift:model): "planned ${CLAUDE}, served openai/gpt-5-mini"`,
    )
  })

  test('is not shown as a stream either: it moves on before anything was seen', async () => {
    const { sandbox, router } = await setUp()
    sandbox.openrouter.script([withHost('Amazon Bedrock', ok('From elsewhere')), ok('From home')])
    const stream = router.stream({ ...AT_HOME, drift: { host: 'reject' } } as Loose, 'Hi')
    let text = ''
    for await (const piece of stream.text) text += piece
    expect(text).toBe('From home')
    const { usage } = await stream.completion
    expect(usage.attempts.map(({ outcome }) => outcome)).toEqual(['no-offer', 'ok'])
  })

  test.each([
    ['refuse', /^policy\.drift: expected "accept", "warn", "reject" or \{/],
    [{ model: 'ignore' }, /^policy\.drift\.model: expected "accept", "warn" or "reject"/],
    [{ latency: 'reject' }, /^policy\.drift\.latency: expected "accept" or "warn": what came late is there/],
    [{ hosts: 'warn' }, /^policy\.drift\.hosts: unknown option "hosts".*did you mean "host"/],
  ])('under a rule that is none (%#) is a wrong question', async (drift: Loose, says) => {
    const { router } = await setUp()
    await expect(router.complete({ ...AT_HOME, drift }, 'Hi')).rejects.toThrow(says)
  })
})

test('an answer much slower than its offer has been of late is told, and one like the others is not', async () => {
  const { sandbox, router, drifts } = await setUp()
  const policy: Loose = { model: SMALL, provider: 'openrouter' }
  for (let n = 0; n < 25; n += 1) await router.complete(policy, 'Hi')
  expect(drifts()).toEqual([])
  sandbox.openrouter.script([slowFirstToken(1500)])
  const { usage } = await router.complete(policy, 'Hi')
  expect(usage.drift).toEqual([
    { kind: 'latency', planned: expect.stringMatching(/^\d+ ms$/), served: expect.stringMatching(/^1[5-9]\d\d ms$/) },
  ])
})
