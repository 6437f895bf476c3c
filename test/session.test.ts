import {
  avoid,
  createRouter,
  groq,
  openrouter,
  type RouterEvent,
  type RouterOptions,
  type UsageRecord,
} from 'modelfirst'
import { fail, repeat, type Sandbox, type VirtualClock, virtualClock } from 'modelfirst/sandbox'
import { describe, expect, test } from 'vitest'
import { type Loose, start, tokens } from './sandbox/client.ts'

const SMALL = 'openai/gpt-oss-20b'
const LARGE = 'openai/gpt-oss-120b'
const CLAUDE = 'anthropic/claude-sonnet-4.5'
const ID = 'customer-4711-anna@example.com'
const TODAY = Date.UTC(2026, 10, 21)
const MINUTE = 60_000
const CACHED = { max_tokens: 40, openrouter: { extra: { cache_control: { type: 'ephemeral' } } } } as const

/** A router on a sandbox; both live by one clock that stands still. */
async function setUp(options: Partial<RouterOptions<never, never>> = {}) {
  const clock = virtualClock(TODAY)
  const sandbox = await start({ clock })
  const events: RouterEvent[] = []
  const router = createRouter({
    providers: sandbox.providers(),
    tasks: {},
    clock,
    on: (event) => void events.push(event),
    ...options,
  })
  return { clock, sandbox, router, events }
}

const FALLING = { model: SMALL, provider: ['groq', 'openrouter'] } as const
const CHAT = { model: CLAUDE, provider: 'openrouter', request: CACHED } as const

function turn(count: number): { role: 'system' | 'user'; content: string }[] {
  const said = Array.from({ length: count }, (_, index) => ({ role: 'user' as const, content: `Turn ${index}` }))
  return [{ role: 'system', content: tokens(2000) }, ...said]
}

function hostsOf(sandbox: Sandbox): (string | null)[] {
  return sandbox.requests.map(({ host }) => host)
}

describe('a session', () => {
  test('goes back to the host where its cache is warm, and reads it', async () => {
    // Without a session OpenRouter draws the host anew each time; with one, every turn ends where the first one did.
    const { sandbox, router } = await setUp()
    for (let conversation = 0; conversation < 12; conversation += 1) {
      const session = router.session(`${ID}-${conversation}`)
      const first = await session.complete(CHAT, turn(1))
      const second = await session.complete(CHAT, turn(2))
      expect([first.usage.pin, second.usage.pin]).toEqual(['new', 'kept'])
      expect(second.host).toBe(first.host)
      expect(second.plan.steps[0]).toMatchObject({ host: first.host, hosts: [first.host], othersAllowed: true })
      expect(second.plan.session.because).toBe(`the cache is warm at openrouter/${first.host}`)
      expect(second.usage.tokens.cachedPrompt).toBeGreaterThan(1900)
    }
    expect(new Set(hostsOf(sandbox)).size).toBeGreaterThan(1)
  })

  test('keeps model and provider, also those of a fallback, as long as they are in the plan', async () => {
    const { sandbox, router } = await setUp()
    sandbox.groq.script([fail(503)])
    const session = router.session(ID)
    const first = await session.complete(FALLING, 'One')
    const second = await session.complete(FALLING, 'Two')
    expect([first.provider, second.provider]).toEqual(['openrouter', 'openrouter'])
    expect(second.plan.steps.map(({ provider }) => provider)).toEqual(['openrouter', 'groq'])
    expect(second.usage).toMatchObject({ pin: 'kept', attempts: [{ role: 'first', provider: 'openrouter' }] })
  })

  test('moves when the warm place is not in the plan any more', async () => {
    const { router } = await setUp()
    const session = router.session(ID)
    await session.complete({ model: SMALL, provider: 'openrouter' }, 'One')
    const moved = await session.complete({ model: LARGE, provider: 'groq' }, 'Two')
    expect(moved.usage.pin).toBe('moved')
    expect(moved.plan.session.because).toMatch(/gpt-oss-20b at openrouter.* is warm, but not in the plan/)
    // And from there on it is at home where it moved to.
    expect((await session.complete({ model: LARGE, provider: 'groq' }, 'Three')).usage.pin).toBe('kept')
  })

  test('moves when its host is down, and the host that stepped in is the next home', async () => {
    const { sandbox, router } = await setUp()
    const session = router.session(ID)
    const { host } = await session.complete(CHAT, turn(1))
    sandbox.openrouter.outage(host ?? '')
    const second = await session.complete(CHAT, turn(2))
    expect(second.host).not.toBe(host)
    expect(second.usage.drift).toContainEqual({ kind: 'host', planned: host, served: second.host })
    expect((await session.complete(CHAT, turn(3))).host).toBe(second.host)
  })

  test('is off without an id, and where the policy says so', async () => {
    const { sandbox, router } = await setUp()
    expect((await router.complete(CHAT, 'Hi')).usage).toMatchObject({ pin: 'off', session: null })
    const off = await router.complete({ ...CHAT, session: 'off' }, 'Hi', { session: ID })
    expect(off.usage).toMatchObject({ pin: 'off', session: null })
    expect(off.plan.session).toEqual({ pin: 'off', because: 'no session' })
    for (const { body } of sandbox.requests) expect(body).not.toHaveProperty('session_id')
    // What was off has warmed nothing.
    expect((await router.plan(CHAT, 'Hi', { session: ID })).session.pin).toBe('new')
  })

  test('two ids are two sessions', async () => {
    const { router } = await setUp()
    const one = await router.complete(CHAT, 'Hi', { session: 'one' })
    const two = await router.complete(CHAT, 'Hi', { session: 'two' })
    expect([one.usage.pin, two.usage.pin]).toEqual(['new', 'new'])
    expect(one.usage.session).not.toBe(two.usage.session)
  })
})

describe('a cache that is cold', () => {
  test.each([
    ['openrouter', 10 * MINUTE],
    ['groq', 120 * MINUTE],
  ])('is forgotten: at %s after %i ms without use', async (provider, ttl) => {
    const { clock, router } = await setUp()
    const policy = { model: SMALL, provider }
    const pin = async () => (await router.plan(policy as Loose, 'Hi', { session: ID })).session.pin
    await router.complete(policy as Loose, 'Hi', { session: ID })
    await clock.advance(ttl - 1)
    expect(await pin()).toBe('kept')
    // Every use keeps it warm for as long again.
    await router.complete(policy as Loose, 'Hi', { session: ID })
    await clock.advance(ttl - 1)
    expect(await pin()).toBe('kept')
    await clock.advance(1)
    expect(await pin()).toBe('new')
  })

  test('a plan alone keeps nothing warm', async () => {
    const { clock, router } = await setUp()
    await router.complete(CHAT, 'Hi', { session: ID })
    for (let minute = 0; minute < 10; minute += 1) {
      await clock.advance(MINUTE)
      await router.plan(CHAT, 'Hi', { session: ID })
    }
    expect((await router.plan(CHAT, 'Hi', { session: ID })).session.pin).toBe('new')
  })
})

describe('what fails', () => {
  test('does not pin', async () => {
    const { sandbox, router } = await setUp()
    sandbox.groq.script(repeat(4, fail(503)))
    sandbox.openrouter.script(repeat(4, fail(503)))
    const limits = { attempts: 2 }
    await expect(router.complete(FALLING, 'Hi', { session: ID, limits })).rejects.toThrow(/failed after/)
    expect((await router.plan(FALLING, 'Hi', { session: ID })).session.pin).toBe('new')
  })

  test('does not take a pin away either', async () => {
    const { sandbox, router } = await setUp()
    const { host } = await router.complete(CHAT, turn(1), { session: ID })
    sandbox.openrouter.script([fail(503)])
    const limits = { attempts: 1 }
    await expect(router.complete(CHAT, turn(2), { session: ID, limits })).rejects.toThrow(/failed after/)
    const plan = await router.plan(CHAT, turn(2), { session: ID })
    expect(plan).toMatchObject({ session: { pin: 'kept' }, steps: [{ host }] })
  })
})

describe('a pin stays inside', () => {
  const warmAt = async (host: string) => {
    const { sandbox, router } = await setUp()
    await router.complete({ ...CHAT, provider: `openrouter/${host}` }, turn(1), { session: ID })
    return { sandbox, router, next: (policy: Loose) => router.plan({ ...CHAT, ...policy }, turn(2), { session: ID }) }
  }

  test('the policy: a host that is not allowed any more is not asked, whatever is warm there', async () => {
    const { next } = await warmAt('amazon-bedrock')
    const closed = await next({ provider: 'openrouter/anthropic' })
    expect(closed).toMatchObject({
      session: { pin: 'moved' },
      steps: [{ hosts: ['anthropic'], othersAllowed: false }],
    })
    const avoided = await next({ provider: ['openrouter', avoid('openrouter/amazon-bedrock')] })
    expect(avoided).toMatchObject({ session: { pin: 'moved' }, steps: [{ hosts: [] }] })
  })

  test('the policy: hosts that it names stay in the order it names them, and the plan says so', async () => {
    const { next } = await warmAt('amazon-bedrock')
    const named = await next({ provider: ['openrouter/anthropic', 'openrouter'] })
    expect(named.steps[0]).toMatchObject({ hosts: ['anthropic'], othersAllowed: true })
    expect(named.session).toEqual({
      pin: 'kept',
      because: 'the cache is warm at openrouter/amazon-bedrock, and the policy asks for openrouter/anthropic before it',
    })
  })

  test('the policy: of two ways to one provider, the one that leads to the warm host comes first', async () => {
    const { next } = await warmAt('amazon-bedrock')
    const plan = await next({ model: [CLAUDE], provider: ['openrouter/anthropic', 'groq', 'openrouter'] })
    expect(plan.steps.map(({ hosts, othersAllowed }) => [hosts, othersAllowed])).toEqual([
      [['amazon-bedrock'], true],
      [['anthropic'], false],
    ])
  })

  test('the data rule: a provider that does not satisfy it is not gone back to', async () => {
    const { router } = await setUp()
    await router.complete(FALLING, 'One', { session: ID })
    const plan = await router.plan(FALLING, 'Two', { session: ID, data: { training: 'deny' } })
    expect(plan.session.pin).toBe('moved')
    expect(plan.steps.map(({ provider }) => provider)).toEqual(['openrouter'])
  })

  test('the data rule goes with a pinned request', async () => {
    const { sandbox, router } = await setUp()
    const strict = { ...CHAT, data: { retention: 'zero' } } as const
    await router.complete(strict, turn(1), { session: ID })
    await router.complete(strict, turn(2), { session: ID })
    const [, second]: Loose = sandbox.requests
    expect(second.body.provider).toMatchObject({ zdr: true, data_collection: 'deny' })
  })
})

describe('the id of a session', () => {
  test('is nowhere but with its owner: not in requests, records, events, plans or errors', async () => {
    const { sandbox, router, events } = await setUp()
    const seen: unknown[] = []
    seen.push(await router.complete(CHAT, turn(1), { session: ID }))
    seen.push(await router.plan(CHAT, turn(2), { session: ID }))
    sandbox.openrouter.script([fail(503)])
    const once = { session: ID, limits: { attempts: 1 } }
    seen.push(await router.complete(CHAT, turn(2), once).catch((error: Error) => [error.message, error]))
    seen.push(sandbox.requests, router.ledger.records, events)
    const text = JSON.stringify(seen)
    expect(text).not.toContain(ID)
    expect(text).not.toContain('4711')
    // What OpenRouter gets is the hash, and it is the same for the same session.
    const sent = sandbox.requests.map(({ body }) => (body as Loose).session_id)
    expect(new Set(sent).size).toBe(1)
    expect(sent[0]).toMatch(/^[0-9a-f]{32}$/)
    expect(router.ledger.records[0]?.session).toBe(sent[0])
  })

  test('has the same hash under the same secret, and another one under another', async () => {
    const hash = async (secret: string, id = ID): Promise<UsageRecord['session']> => {
      const { router } = await setUp({ secret })
      return (await router.complete(CHAT, 'Hi', { session: id })).usage.session
    }
    expect(await hash('one')).toBe(await hash('one'))
    expect(await hash('one')).not.toBe(await hash('two'))
    expect(await hash('one')).not.toBe(await hash('one', `${ID}x`))
  })

  test('without a secret, two routers have nothing in common', async () => {
    const hashes = await Promise.all(
      [0, 1].map(async () => {
        const { router } = await setUp()
        return (await router.complete(CHAT, 'Hi', { session: ID })).usage.session
      }),
    )
    expect(hashes[0]).not.toBe(hashes[1])
  })

  test.each([
    ['', 'an empty string'],
    ['x'.repeat(5000), '5000 characters'],
    [7, 'a number'],
  ])('is refused where it cannot be one (%#)', async (id, got) => {
    const { router } = await setUp()
    expect(() => router.session(id as string)).toThrow(got)
    await expect(router.complete(CHAT, 'Hi', { session: id as string })).rejects.toThrow(got)
  })
})

test('many sessions on one router do not mix', async () => {
  const clock: VirtualClock = virtualClock(TODAY)
  const sandbox = await start({ clock })
  const router = createRouter({
    providers: [
      groq({ apiKey: sandbox.groq.apiKey, baseURL: sandbox.groq.url }),
      openrouter({ apiKey: sandbox.openrouter.apiKey, baseURL: sandbox.openrouter.url }),
    ],
    tasks: { chat: CHAT },
    clock,
  })
  const homes = new Map<string, string | null>()
  const ids = Array.from({ length: 40 }, (_, index) => `session-${index}`)
  await Promise.all(
    ids.map(async (session) => homes.set(session, (await router.complete('chat', turn(1), { session })).host)),
  )
  expect(new Set(homes.values()).size).toBeGreaterThan(1)
  await Promise.all(
    ids.map(async (session) =>
      expect((await router.complete('chat', turn(2), { session })).host).toBe(homes.get(session)),
    ),
  )
})
