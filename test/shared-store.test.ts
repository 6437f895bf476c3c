import { spawn } from 'node:child_process'
import fc from 'fast-check'
import Keyv from 'keyv'
import { createRouter, keyvStore, memoryStore, type RouterEvent, type Store, type UsageRecord } from 'modelfirst'
import { fail } from 'modelfirst/sandbox'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pinOf } from '../src/pin-text.ts'
import { type Loose, start } from './sandbox/client.ts'
import { type NeighbourOptions, neighbour, spend } from './stores/neighbour.ts'
import { createRedis, type RedisServer, redisInstalled, withRedis } from './stores/redis-server.ts'
import { canaries, outputsOf } from './support/canaries.ts'
import { runs } from './support/runs.ts'
import { anyText } from './support/text.ts'

const CHAT: Loose = { model: 'openai/gpt-oss-20b', provider: 'groq', request: { max_tokens: 40 } }

/** A store of a user's own that remembers what it was given. */
function watched(inner: Store) {
  const seen: unknown[] = []
  const watch =
    <Given extends readonly unknown[], Answer>(ask: (...given: Given) => Promise<Answer>) =>
    (...given: Given) => {
      seen.push(given)
      return ask(...given)
    }
  const store: Store = {
    read: watch(inner.read),
    write: watch(inner.write),
    add: watch(inner.add),
    close: watch(inner.close),
    closed: watch(inner.closed),
  }
  return { store, seen }
}

async function over(store: Store, more: Loose = {}) {
  const sandbox = await start()
  const events: RouterEvent[] = []
  const router = createRouter({
    providers: sandbox.providers(),
    tasks: { chat: CHAT },
    store,
    secret: 'one secret for all',
    on: (event) => void events.push(event),
    ...more,
  })
  return { sandbox, router, events }
}

const own = (): Store => keyvStore(new Keyv())

describe('a router over a store', () => {
  test('leaves nothing there but hashes, names of offers and numbers', async () => {
    const { store, seen } = watched(own())
    const { router, sandbox } = await over(store, { budgets: [{ usd: 1, per: 'day', by: 'metadata.user' }] })
    const secret = canaries()
    sandbox.groq.script([fail(429, { retryAfter: 1 })])
    for (let count = 0; count < 3; count += 1) {
      const messages: Loose = [
        { role: 'system', content: secret.system },
        { role: 'user', content: secret.prompt },
      ]
      await router
        .complete('chat', messages, { session: secret.session, metadata: { user: secret.user } })
        .catch(() => {})
    }
    await router.close()
    const text = Object.values(outputsOf(seen)).join('\n')
    expect(text).toContain('gpt-oss-20b')
    for (const canary of [...Object.values(secret), sandbox.groq.apiKey]) expect(text).not.toContain(canary)
    for (const [key] of seen as Loose) expect(key).toMatch(/^[0-9a-f]{32}$/)
  })

  test('takes what is corrupt for nothing, and writes over it', async () => {
    const inner = own()
    const { store, seen } = watched(inner)
    const { router } = await over(store)
    await router.complete('chat', 'Hi', { session: 'one' })
    const [key]: Loose = seen.find((call: Loose) => call.length === 3)
    for (const text of ['', 'null', '[1]', '{"v":9}', '[1,5,["m","p",null,1,1],null,["x"],[]]', 'x'.repeat(900)]) {
      await inner.write(key, text, 60_000)
      const { usage } = await router.complete('chat', 'Hi', { session: 'one' })
      expect(usage).toMatchObject({ outcome: 'ok', pin: 'new' })
      await expect.poll(async () => pinOf(await inner.read(key))?.home.provider).toBe('groq')
    }
    await router.close()
  })

  test('is two routers under two secrets, whatever the ids', async () => {
    const store = own()
    const one = await over(store, { secret: 'one' })
    const two = await over(store, { secret: 'two' })
    await one.router.complete('chat', 'Hi', { session: 'same' })
    expect((await two.router.complete('chat', 'Hi', { session: 'same' })).usage.pin).toBe('new')
    expect((await one.router.complete('chat', 'Hi', { session: 'same' })).usage.pin).toBe('kept')
  })

  test('needs a secret, and a store that is one', () => {
    const options: Loose = { tasks: { chat: CHAT } }
    const groqKey = process.env.GROQ_API_KEY
    process.env.GROQ_API_KEY = 'gsk_0123456789'
    try {
      expect(() => createRouter({ ...options, store: own() })).toThrow(/^secret: expected a secret beside a store/)
      expect(() => createRouter({ ...options, store: {} })).toThrow(/^store: expected a store such as memoryStore/)
      expect(() => createRouter({ ...options, store: new Map() })).toThrow(/^store: expected a store/)
      expect(() => createRouter({ ...options, store: memoryStore() })).not.toThrow()
    } finally {
      process.env.GROQ_API_KEY = groqKey
      if (groqKey === undefined) delete process.env.GROQ_API_KEY
    }
  })

  test.each([
    ['that rejects', () => Promise.reject(new Error('down')), 'Error'],
    ['that never answers', () => new Promise<never>(() => {}), null],
    [
      'that throws',
      () => {
        throw new TypeError('down')
      },
      'TypeError',
    ],
  ])('%s costs no call its answer, its session or a tenth of a second; it is told once', async (_, ask, name) => {
    const broken: Store = { read: ask, write: ask, add: ask, close: ask, closed: ask }
    const { router, events } = await over(broken, { budgets: [{ usd: 1, per: 'hour' }] })
    const pins: string[] = []
    for (let count = 0; count < 5; count += 1) {
      const began = performance.now()
      const { usage } = await router.complete('chat', 'Hi', { session: 'one' })
      pins.push(usage.pin)
      // The first one waits fifty milliseconds at the most for each of two questions; nobody does after it.
      expect(performance.now() - began - usage.latency.totalMs).toBeLessThan(500)
    }
    expect(pins).toEqual(['new', 'kept', 'kept', 'kept', 'kept'])
    const told = () => events.filter(({ type }) => type === 'store-trouble') as Loose[]
    // One that has never answered may have yet to connect: it is asked once more, a second later, beside a call.
    const asked = async () => {
      await router.complete('chat', 'Hi', { session: 'one' })
      return told().length
    }
    await expect.poll(asked, { timeout: 8000, interval: 200 }).toBe(1)
    const troubles = told()
    expect(troubles[0].state).toBe('down')
    if (name !== null) expect(troubles[0].error).toBe(name)
    await router.close()
  })
})

describe('the id of a session', () => {
  const strange = fc.oneof(
    anyText({ minLength: 1, maxLength: 200 }),
    fc.constantFrom('__proto__', 'constructor', 'toString', '\u0000', '\r\n', '"', '\ud800', '\udc00', ' ', '{}'),
  )

  test('may be anything that is not empty or endless; two are never one', async () => {
    const { store, seen } = watched(memoryStore())
    const { router } = await over(store)
    const hashes = new Map<string, string>()
    const ids = new Set(fc.sample(strange, runs(2).numRuns))
    for (const id of ids) {
      await router.plan('chat', 'Hi', { session: id })
      const [key]: Loose = seen.at(-1)
      expect(key).toMatch(/^[0-9a-f]{32}$/)
      expect(hashes.get(key)).toBeUndefined()
      hashes.set(key, id)
    }
    expect(hashes.size).toBe(ids.size)
    for (const id of ['', 'x'.repeat(1_000_000), 5, null, {}, Symbol('id')] as Loose[]) {
      await expect(router.plan('chat', 'Hi', { session: id })).rejects.toThrow(/^options\.session: expected 1 to 4096/)
    }
  })
})

describe('budgets', () => {
  const spentBy = (records: readonly UsageRecord[]) =>
    records.reduce((sum, { cost }) => sum + (cost.high ?? Number.NaN), 0)

  test('stop what could break them, and say which and when it is over', async () => {
    const { router } = await over(memoryStore(), { budgets: [{ usd: 0.0001, per: 'hour', task: 'chat' }] })
    const paid = async () => {
      for (;;) await router.complete('chat', 'Hi')
    }
    const error: Loose = await paid().catch((error: unknown) => error)
    expect(error.name).toBe('BudgetError')
    expect(error.message).toMatch(
      /^task "chat" stopped after 0 attempts: the next one could break budgets\[0\] of \$0\.0001 per hour; raise it or set a smaller max_tokens$/,
    )
    expect(error.retryAfterMs).toBeGreaterThan(0)
    expect(error.retryAfterMs).toBeLessThanOrEqual(3_600_000)
    expect(spentBy(router.ledger.records)).toBeLessThanOrEqual(0.0001)
    // As much as could be spent was: the next attempt at its dearest would not have fitted.
    const worst = (await router.plan('chat', 'Hi')).estimate.usd.high ?? Number.NaN
    expect(spentBy(router.ledger.records)).toBeGreaterThan(0.0001 - worst)
  })

  test('begin anew with each period', async () => {
    const { virtualClock } = await import('modelfirst/sandbox')
    const clock = virtualClock(Date.UTC(2026, 10, 30, 23, 59))
    const sandbox = await start({ clock })
    for (const [per, minutes] of [
      ['minute', 1],
      ['hour', 1],
      ['day', 1],
      ['month', 1],
      [90_000, 2],
    ] as const) {
      const router = createRouter({
        providers: sandbox.providers(),
        tasks: { chat: CHAT },
        clock: virtualClock(Date.UTC(2026, 10, 30, 23, 59)),
        budgets: [{ usd: 1e-9, per }],
      })
      await expect(router.complete('chat', 'Hi')).rejects.toThrow(/budgets\[0\]/)
      const roomy = virtualClock(Date.UTC(2026, 10, 30, 23, 59))
      const worst = (await router.plan('chat', 'Hi')).estimate.usd.high ?? Number.NaN
      const tight = createRouter({
        providers: sandbox.providers(),
        tasks: { chat: CHAT },
        clock: roomy,
        budgets: [{ usd: worst * 1.01, per }],
      })
      await tight.complete('chat', 'Hi')
      await expect(tight.complete('chat', 'Hi')).rejects.toThrow(/budgets\[0\]/)
      await roomy.advance(minutes * 60_000 + 1)
      await tight.complete('chat', 'Hi')
    }
  })

  test('are one for each session, or each value of a key', async () => {
    const { router } = await over(memoryStore(), { budgets: [{ usd: 0.00003, per: 'day', by: 'metadata.user' }] })
    const spree = async (user: string) => {
      let calls = 0
      for (;;) {
        try {
          await router.complete('chat', 'Hi', { metadata: { user } })
          calls += 1
        } catch {
          return calls
        }
      }
    }
    const [anna, ben] = [await spree('anna'), await spree('ben')]
    expect(anna).toBeGreaterThan(0)
    expect(ben).toBe(anna)
    await expect(router.complete('chat', 'Hi', { metadata: { user: 'anna' } })).rejects.toThrow(/budgets\[0\]/)
  })

  test('are not overdrawn by calls that overlap', async () => {
    const usd = 0.00025
    const { router } = await over(memoryStore(), { budgets: [{ usd, per: 'day' }] })
    const done = await Promise.allSettled(Array.from({ length: 60 }, () => router.complete('chat', 'Hi')))
    const well = done.filter(({ status }) => status === 'fulfilled')
    expect(well.length).toBeGreaterThan(0)
    expect(well.length).toBeLessThan(60)
    expect(spentBy(router.ledger.records)).toBeLessThanOrEqual(usd)
  })

  test('that are short lead to a cheaper way, to a shorter answer, or nowhere', async () => {
    const both = {
      chat: { ...CHAT, model: ['openai/gpt-oss-120b', 'openai/gpt-oss-20b'], request: { max_tokens: 4000 } },
    }
    const priced = await over(memoryStore(), { tasks: both })
    const [dear, cheap] = (await priced.router.plan('chat', 'Hi')).steps.map(
      ({ estimate }) => estimate.usd.high ?? Number.NaN,
    )
    const usd = ((dear ?? 0) + (cheap ?? 0)) / 2
    const asked = async (whenShort?: string) => {
      const { router, sandbox } = await over(memoryStore(), {
        tasks: both,
        budgets: [{ usd, per: 'day', ...(whenShort && { whenShort }) }],
      })
      const { usage } = await router.complete('chat', 'Hi')
      const [request]: Loose = sandbox.requests
      return {
        model: usage.model.served,
        most: request.body.max_completion_tokens,
        paid: usage.cost.high ?? Number.NaN,
      }
    }
    expect(await asked()).toMatchObject({ model: 'openai/gpt-oss-20b', most: 4000 })
    const shorter = await asked('shorten')
    expect(shorter).toMatchObject({ model: 'openai/gpt-oss-120b' })
    expect(shorter.most).toBeGreaterThanOrEqual(64)
    expect(shorter.most).toBeLessThan(4000)
    expect(shorter.paid).toBeLessThanOrEqual(usd)
    await expect(asked('refuse')).rejects.toThrow(/budgets\[0\] of \$/)
    // Too little for an answer of any use, and for the other way as well.
    const { router } = await over(memoryStore(), {
      tasks: both,
      budgets: [{ usd: 1e-7, per: 'day', whenShort: 'shorten' }],
    })
    await expect(router.complete('chat', 'Hi')).rejects.toThrow(/budgets\[0\]/)
  })

  test('refuse while the store is down, where they are told to', async () => {
    const ask = () => Promise.reject(new Error('down'))
    const broken: Store = { read: ask, write: ask, add: ask, close: ask, closed: ask }
    const budget = { usd: 1, per: 'day' } as const
    const strict = await over(broken, { budgets: [{ ...budget, withoutStore: 'refuse' }] })
    await expect(strict.router.complete('chat', 'Hi')).rejects.toThrow(/budgets\[0\]/)
    const open = await over(broken, { budgets: [budget] })
    await open.router.complete('chat', 'Hi')
    await Promise.all([strict.router.close(), open.router.close()])
  })

  test.each([
    [[{ usd: 0, per: 'day' }], /^budgets\[0\]\.usd: expected USD above 0, got 0/],
    [[{ usd: 1 }], /^budgets\[0\]\.per: expected "minute", .* got nothing/],
    [[{ usd: 1, per: 'week' }], /^budgets\[0\]\.per: expected "minute"/],
    [[{ usd: 1, per: 'day', task: 'cht' }], /^budgets\[0\]\.task: unknown task "cht": .* did you mean "chat"\?/],
    [[{ usd: 1, per: 'day', by: 'customer' }], /^budgets\[0\]\.by: expected "task", "session" or "metadata\."/],
    [[{ usd: 1, per: 'day', limit: 1 }], /^budgets\[0\]\.limit: unknown option/],
    [[null], /^budgets\[0\]: expected \{ usd, per: 'day' \}/],
    [{ usd: 1 }, /^budgets: expected a list/],
  ])('that cannot be right are told at once (%#)', async (budgets: Loose, says) => {
    await expect(over(memoryStore(), { budgets })).rejects.toThrow(says)
  })
})

describe.skipIf(!redisInstalled)(withRedis('two processes on one Redis'), () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await createRedis()
  })
  afterAll(async () => server?.close())

  async function both(more: Partial<NeighbourOptions> = {}) {
    const sandbox = await start()
    const at = ({ url, apiKey }: { url: string; apiKey: string }) => ({ url, apiKey })
    const options: NeighbourOptions = {
      redis: server.port,
      secret: `secret-${Math.random()}`,
      groq: at(sandbox.groq),
      openrouter: at(sandbox.openrouter),
      ...more,
    }
    const here = neighbour(options)
    // While it still connects, calls go on without it.
    await here.client.ping()
    const there = (what: string) =>
      new Promise<Loose>((resolve, reject) => {
        const path = new URL('./stores/neighbour.ts', import.meta.url).pathname
        const child = spawn(process.execPath, ['--import', 'tsx', path, what, JSON.stringify(options)])
        let said = ''
        let wrong = ''
        child.stdout.on('data', (data) => (said += data))
        child.stderr.on('data', (data) => (wrong += data))
        child.on('exit', (code) => (code === 0 ? resolve(JSON.parse(said)) : reject(new Error(wrong))))
      })
    const end = async () => {
      await here.router.close()
      here.client.disconnect()
    }
    return { sandbox, ...here, there, end }
  }

  test('share a session: the other one goes on where this one left off, and back', async () => {
    const { router, there, end } = await both()
    const first = await router.complete('chat', [{ role: 'user', content: 'Once' }], { session: 'shared' })
    const second = await there('session')
    expect(second).toEqual({
      pin: 'kept',
      provider: 'openrouter',
      host: first.usage.host,
      session: first.usage.session,
    })
    await expect
      .poll(() => router.session('shared').standing('chat'), { timeout: 5000 })
      .toMatchObject({ calls: 2, home: { host: first.usage.host } })
    await end()
  })

  test('share a budget: together they spend no more than one, and nearly all of it', async () => {
    const usd = 0.0004
    const { sandbox, router, client, there, end } = await both({ usd })
    const neighbours = there('spend')
    await expect.poll(() => sandbox.requests.length, { timeout: 10_000, interval: 1 }).toBeGreaterThan(0)
    const [theirs, ours]: number[][] = await Promise.all([neighbours, spend({ router })])
    const paid = [...(theirs ?? []), ...(ours ?? [])].reduce((sum, each) => sum + each, 0)
    expect(theirs?.length).toBeGreaterThan(0)
    expect(ours?.length).toBeGreaterThan(0)
    expect(paid).toBeLessThanOrEqual(usd)
    const worst = (await router.plan('tag', 'Tag this')).estimate.usd.high ?? Number.NaN
    expect(paid).toBeGreaterThan(usd - 7 * worst)
    // To the pico-dollar: what Redis says was spent is what the records say.
    await router.close()
    const sums: number[] = []
    for (const key of await client.keys('*')) {
      if ((await client.type(key)) === 'string') sums.push(Number(await client.get(key)))
    }
    expect(sums).toContain(Math.round(paid * 1e12))
    await end()
  })

  test('share what they find out of rate limits', async () => {
    const { sandbox, router, there, end } = await both()
    sandbox.groq.script([fail(429, { retryAfter: 600, code: 'rate_limit_exceeded' })])
    await router.complete('tag', 'Hi').catch(() => {})
    const { because } = await there('gates')
    expect(because.join()).toMatch(/the rate limit was reached: open in (5\d\d|600) s/)
    await end()
  })
})
