import { createRouter, openrouter, type RouterEvent, type RouterOptions, type UsageRecord } from 'modelfirst'
import { ok, type Sandbox, stallAfter } from 'modelfirst/sandbox'
import { describe, expect, test } from 'vitest'
import { type Loose, start } from './sandbox/client.ts'
import { sumOf } from './support/router.ts'

const CHAT: Loose = { model: 'anthropic/claude-sonnet-4.5', provider: 'openrouter', request: { max_tokens: 200 } }

async function setUp(options: Loose = {}, sandboxOptions: Loose = {}) {
  const sandbox: Sandbox = await start({ generationDelayMs: 30, ...sandboxOptions })
  const events: RouterEvent[] = []
  const records: UsageRecord[] = []
  const router = createRouter({
    providers: sandbox.providers(),
    tasks: { chat: CHAT },
    on: (event) => void events.push(event),
    sinks: [(record) => void records.push(record)],
    ...options,
  } as RouterOptions<never, never> & { tasks: Loose })
  return { sandbox, router: router as Loose, events, records }
}

/** A stream that is left after its first piece: OpenRouter never says what it has cost. */
async function leftEarly(router: Loose): Promise<UsageRecord> {
  const stream = router.stream('chat', 'Tell me a long story')
  for await (const _ of stream.text) break
  return (await stream.completion).usage
}

describe('reconcile', () => {
  test('narrows an aborted stream to what was billed for it, in the ledger and for the sinks, once', async () => {
    const { sandbox, router, events, records } = await setUp()
    sandbox.openrouter.script([ok('A story. '.repeat(50))])
    const before = await leftEarly(router)
    expect(before.cost.usd).toBeNull()
    expect(before.generationId).toMatch(/^gen-/)
    const narrowed: UsageRecord = await router.reconcile(before)
    expect(narrowed.cost).toMatchObject({ source: 'reported', usd: expect.any(Number) })
    expect(narrowed.cost.low).toBeGreaterThanOrEqual(before.cost.low)
    if (before.cost.high !== null) expect(narrowed.cost.high).toBeLessThanOrEqual(before.cost.high)
    expect(narrowed.cost.usd).toBe(Number(sandbox.bill().usd))
    expect(sumOf(narrowed.attempts)).toEqual({ low: narrowed.cost.low, high: narrowed.cost.high })
    expect(narrowed.reconciledAt).toMatch(/^\d{4}-/)
    expect(narrowed.id).toBe(before.id)
    expect(router.ledger.records).toEqual([narrowed])
    expect(router.ledger.summary().total.cost.low).toBe(narrowed.cost.low)
    expect(records).toEqual([before, narrowed])
    expect(events.filter(({ type }) => type === 'reconciled')).toHaveLength(1)
    // Again, by record or by id: nothing is asked, nothing changes.
    const asked = sandbox.requests.length
    expect(await router.reconcile(before)).toBe(narrowed)
    expect(await router.reconcile(narrowed.id)).toBe(narrowed)
    expect(sandbox.requests.length).toBe(asked)
    expect(records).toHaveLength(2)
  })

  test('takes the cache discount with its sign from the look-up', async () => {
    const { router } = await setUp({ tasks: { chat: { ...CHAT, provider: 'openrouter/anthropic' } } })
    const long = [
      { role: 'system', content: 'Be brief. '.repeat(2000) },
      { role: 'user', content: 'Hi' },
    ]
    const session = router.session('one')
    const first = (await session.complete('chat', long)).usage
    const second = (await session.complete('chat', [...long, { role: 'user', content: 'More' }])).usage
    const [paid, saved] = await Promise.all([router.reconcile(first), router.reconcile(second)])
    expect(paid.cache.source).toBe('reported')
    expect(paid.cache.discountUsd).toBeLessThan(0)
    expect(saved.cache.discountUsd).toBeGreaterThan(0)
    expect(saved.cache.discountUsd).toBeCloseTo(second.cache.discountUsd, 9)
    expect(saved.cache.coldUsd).toBeCloseTo(saved.cost.usd + saved.cache.discountUsd, 12)
  })

  test('waits for a record that comes late, and asks once for two who want it at the same time', async () => {
    const { router } = await setUp({}, { generationDelayMs: 1500 })
    const usage = await leftEarly(router)
    const [one, two] = await Promise.all([router.reconcile(usage), router.reconcile(usage.id)])
    expect(one.cost.source).toBe('reported')
    expect(two).toBe(one)
  })

  test('gives up when its patience ends or its signal says so, and the record stays as it was', async () => {
    const { router } = await setUp({}, { generationDelayMs: 60_000 })
    const usage = await leftEarly(router)
    await expect(router.reconcile(usage, { patienceMs: 100 })).rejects.toThrow(
      /^openrouter has no record of the generation yet: the record stays as it was; try again later$/,
    )
    const controller = new AbortController()
    const asked = router.reconcile(usage, { signal: controller.signal })
    setTimeout(() => controller.abort(), 50)
    await expect(asked).rejects.toThrow(/the record stays as it was/)
    expect(router.ledger.records).toEqual([usage])
  })

  test('leaves alone what nobody keeps a record of', async () => {
    const { router, records } = await setUp({
      tasks: { chat: { ...CHAT, model: 'openai/gpt-oss-20b', provider: 'groq' } },
    })
    const { usage } = await router.complete('chat', 'Hi')
    expect(await router.reconcile(usage)).toBe(usage)
    expect(records).toEqual([usage])
  })

  test('goes over all attempts of a call', async () => {
    const { sandbox, router } = await setUp({
      tasks: {
        chat: {
          ...CHAT,
          model: ['anthropic/claude-sonnet-4.5', 'openai/gpt-oss-20b'],
          onBroken: 'restart',
          limits: { idleMs: 150 },
        },
      },
    })
    sandbox.openrouter.script([stallAfter(2)])
    const stream = router.stream('chat', 'Hi')
    for await (const _ of stream) void _
    const { usage } = await stream.completion
    expect(usage.attempts).toHaveLength(2)
    const narrowed = await router.reconcile(usage)
    expect(narrowed.attempts.map(({ cost }: Loose) => cost.source)).toEqual(['reported', 'reported'])
    expect(narrowed.cost.usd).toBeCloseTo(Number(sandbox.bill().usd), 12)
  })

  test('happens by itself where the router is told to, for what did not say what it cost', async () => {
    const { router, records } = await setUp({ reconcile: 'unknown' })
    const usage = await leftEarly(router)
    await expect.poll(() => records.length, { timeout: 5000 }).toBe(2)
    expect(records[1]).toMatchObject({ id: usage.id, cost: { source: 'reported' } })
    await router.complete('chat', 'Hi')
    await router.close()
    expect(records).toHaveLength(3)
  })

  test.each([
    ['an error', () => new Response('{}', { status: 500 }), /generation answered 500: the record stays as it was/],
    ['a page', () => new Response('<html>'), /generation did not answer with JSON: the record stays as it was/],
    ['nothing', () => Promise.reject(new TypeError('down')), /could not be asked: the record stays as it was; check/],
  ])('that is answered with %s says so in one line', async (_, answer, says) => {
    const sandbox = await start()
    const { apiKey, url: baseURL } = sandbox.openrouter
    // A fetch of the user's own, so that whatever may come back is tried.
    const own = async (input: Loose, init: Loose) =>
      String(input).includes('/generation') ? answer() : fetch(input, init)
    const router = createRouter({ providers: [openrouter({ apiKey, baseURL, fetch: own })], tasks: { chat: CHAT } })
    await expect(router.reconcile(await leftEarly(router))).rejects.toThrow(says)
  })

  test.each([
    ['gone', 'an id of none that is kept'],
    [5, 'a number'],
    [null, 'null'],
    [{}, 'an object'],
  ])('of what is no record (%#) is a wrong question', async (given: Loose, got) => {
    const { router } = await setUp()
    await expect(router.reconcile(given)).rejects.toThrow(`record: expected a usage record, or the id of one`)
    await expect(router.reconcile(given)).rejects.toThrow(got)
  })
})

test('a sink that is slow keeps nobody waiting; what it misses is counted and told', async () => {
  const slow: UsageRecord[] = []
  let release = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const { router, events } = await setUp({
    tasks: { chat: { model: 'openai/gpt-oss-20b', provider: 'groq' } },
    sinks: [
      async (record: UsageRecord) => {
        slow.push(record)
        await held
      },
    ],
  })
  for (let n = 0; n < 1003; n += 1) await router.complete('chat', 'Hi')
  expect(slow).toHaveLength(1)
  release()
  await router.close()
  expect(slow).toHaveLength(1001)
  expect(events.filter(({ type }) => type === 'sink-dropped')).toEqual([
    { type: 'sink-dropped', sink: 0, drops: null },
    { type: 'sink-dropped', sink: 0, drops: 2 },
  ])
})
