import fc from 'fast-check'
import { avoid, cheapestOffer, createRouter, type RouterEvent, type RouterOptions, whileWarm } from 'modelfirst'
import { fail, hang, type VirtualClock, virtualClock } from 'modelfirst/sandbox'
import { describe, expect, test } from 'vitest'
import { FAILURE_KINDS, VERDICTS } from '../src/failure.ts'
import { isSamePlace, type Pin, pinned, type Served } from '../src/pin.ts'
import { pinOf, pinText } from '../src/pin-text.ts'
import { type Loose, start, tokens } from './sandbox/client.ts'
import { runs } from './support/runs.ts'

const SMALL = 'openai/gpt-oss-20b'
const LARGE = 'openai/gpt-oss-120b'
const CLAUDE = 'anthropic/claude-sonnet-4.5'
const MINUTE = 60_000
const TODAY = Date.UTC(2026, 10, 21)

async function setUp(options: Partial<RouterOptions<never, never>> = {}) {
  const clock: VirtualClock = virtualClock(TODAY)
  const sandbox = await start({ clock })
  const events: RouterEvent[] = []
  const router = createRouter({
    providers: sandbox.providers(),
    tasks: {},
    clock,
    random: () => 0.5,
    on: (event) => void events.push(event),
    ...options,
  })
  const heard = (type: RouterEvent['type']) => events.filter((event) => event.type === type)
  return { clock, sandbox, router, heard }
}

function turn(count: number, length = 2000): { role: 'system' | 'user'; content: string }[] {
  const said = Array.from({ length: count }, (_, index) => ({ role: 'user' as const, content: `Turn ${index}` }))
  return [{ role: 'system', content: tokens(length) }, ...said]
}

const BOTH: Loose = { model: SMALL, provider: ['groq', 'openrouter'], request: { max_tokens: 40 } }
/** Of two that are warm, the home: prices are another matter. */
const LOYAL: Loose = { ...BOTH, session: { rule: whileWarm() } }
const CHAT: Loose = { model: CLAUDE, provider: 'openrouter', request: { max_tokens: 40 } }

describe('what becomes of a pin when its home fails and another answers', () => {
  const CASES: readonly [kind: string, status: number, details: Loose, policy?: Loose][] = [
    ['rate-limited', 429, { code: 'rate_limit_exceeded', retryAfter: 20 }],
    ['overloaded', 503, {}],
    ['server-error', 500, {}],
    ['unauthorized', 401, { code: 'invalid_api_key' }],
    ['model-gone', 404, { code: 'model_not_found' }],
    ['too-large-for-limit', 413, { code: 'rate_limit_exceeded' }],
  ]

  test.each(CASES)('%s', async (kind, status, details) => {
    const { clock, sandbox, router, heard } = await setUp()
    const session = router.session('one')
    await session.complete(LOYAL, turn(1))
    sandbox.groq.script([fail(status, details)])
    const second = await session.complete(LOYAL, turn(2))
    expect(second.usage.attempts.map(({ outcome }) => outcome)).toEqual([kind, 'ok'])
    expect(second.provider).toBe('openrouter')
    const stays = VERDICTS[kind as keyof typeof VERDICTS].pin === 'stays'
    // Whatever was closed for a while is open again, and the cache at Groq is warm for two hours.
    await clock.advance(6 * MINUTE)
    const { home } = (await session.standing(LOYAL)) ?? {}
    expect(home?.provider).toBe(stays ? 'groq' : 'openrouter')
    expect(heard('pin-moved')).toHaveLength(stays ? 0 : 1)
    const third = await session.plan(LOYAL, turn(3))
    expect(third.session.pin).toBe('kept')
    expect(third.steps[0]?.provider).toBe(stays ? 'groq' : 'openrouter')
  })

  test('every kind has its row, and what waiting would not mend goes', () => {
    const going = FAILURE_KINDS.filter((kind) => VERDICTS[kind].pin === 'goes')
    expect(going).toEqual([
      'too-large-for-limit',
      'quota-exhausted',
      'out-of-credit',
      'unauthorized',
      'forbidden',
      'model-gone',
      'no-offer',
      'policy-refused',
      'context-too-long',
      'redirected',
    ])
  })

  test('a home that fails twice in a row is left, and it is told once, with why', async () => {
    const { sandbox, router, heard } = await setUp()
    const session = router.session('one')
    await session.complete(LOYAL, turn(1))
    const pins: string[] = []
    for (let count = 2; count < 5; count += 1) {
      sandbox.groq.script([fail(500)])
      pins.push((await session.complete(LOYAL, turn(count))).usage.pin)
    }
    expect(pins).toEqual(['kept', 'kept', 'kept'])
    expect(heard('pin-moved')).toMatchObject([
      {
        from: { provider: 'groq', model: SMALL },
        to: { provider: 'openrouter' },
        because: 'its home did not answer twice in a row',
      },
    ])
  })

  test('a home that is closed for a while is left alone for once, and the record says so', async () => {
    const { clock, sandbox, router, heard } = await setUp()
    const session = router.session('one')
    await session.complete(LOYAL, turn(1))
    sandbox.groq.script([fail(429, { code: 'rate_limit_exceeded', retryAfter: 20 })])
    await session.complete(LOYAL, turn(2))
    const meanwhile = await session.complete(LOYAL, turn(3))
    expect(meanwhile.usage).toMatchObject({ pin: 'moved', provider: 'openrouter' })
    expect(meanwhile.usage.pinBecause).toBe(`${SMALL} at groq is warm, but closed for a while`)
    await clock.advance(21_000)
    const after = await session.complete(LOYAL, turn(4))
    expect(after.usage).toMatchObject({ pin: 'kept', provider: 'groq' })
    expect(heard('pin-moved')).toEqual([])
  })

  test('a host that stepped in is asked for right after the home, and is not drawn anew', async () => {
    const { sandbox, router } = await setUp()
    const session = router.session('one')
    const { host } = await session.complete(CHAT, turn(1))
    sandbox.openrouter.outage(host ?? '')
    const second = await session.complete(CHAT, turn(2))
    const plan = await session.plan(CHAT, turn(3))
    expect(plan.steps[0]?.hosts).toEqual([host, second.host])
  })

  test('who was faster than a late home has not taken its place', async () => {
    const sandbox = await start()
    const events: RouterEvent[] = []
    const router = createRouter({ providers: sandbox.providers(), tasks: {}, on: (event) => void events.push(event) })
    const hedged = { ...LOYAL, hedge: { afterMs: 50 } }
    const session = router.session('one')
    await session.complete(hedged, turn(1))
    sandbox.groq.script([hang()])
    const second = await session.complete(hedged, turn(2))
    expect(second.usage.attempts.map(({ role, outcome }) => `${role} ${outcome}`)).toEqual([
      'first canceled',
      'hedge ok',
    ])
    expect(await session.standing(hedged)).toMatchObject({
      home: { provider: 'groq' },
      standIn: { provider: 'openrouter' },
    })
    expect(events.filter(({ type }) => type === 'pin-moved')).toEqual([])
    await router.close()
  })
})

describe('stay or move', () => {
  async function priced() {
    const set = await setUp()
    await set.router.ready()
    await set.router.catalog.refresh({ hosts: [SMALL] })
    return set
  }
  const OPEN: Loose = { model: SMALL, provider: 'openrouter', request: { max_tokens: 40 } }

  test('with known prices a new session goes where the rest is cheapest, and says so', async () => {
    const { router } = await priced()
    const plan = await router.plan(OPEN, turn(1), { session: 'one' })
    expect(plan.session.pin).toBe('new')
    expect(plan.session.because).toMatch(/^nothing is warm yet: .*\$/)
    expect(plan.steps[0]).toMatchObject({ hosts: [expect.any(String)], othersAllowed: true })
  })

  test.each([
    ['tools', { tools: [{ type: 'function', function: { name: 'look', parameters: {} } }] }],
    ['preferences of its own', { openrouter: { preferences: { sort: 'throughput' } } }],
  ])('a request with %s leaves the host to the aggregator', async (_, request: Loose) => {
    const { router } = await priced()
    const plan = await router.plan({ ...OPEN, request }, turn(1), { session: 'one' })
    expect(plan.steps[0]?.hosts).toEqual([])
  })

  test('a session that began at a dear host stays for a long cache and leaves for a short one', async () => {
    const { router, heard } = await priced()
    const hosts = router.catalog.offers(SMALL).find(({ provider }) => provider === 'openrouter')?.hosts ?? []
    const dear = [...hosts].sort((a, b) => (b.prices?.input ?? 0) - (a.prices?.input ?? 0))[0]
    const there = { ...OPEN, provider: `openrouter/${dear?.host}` }
    const session = router.session('one')
    await session.complete(there, turn(1, 50))
    const plan = await session.plan(OPEN, turn(2, 50))
    expect(plan.session.pin).toBe('moved')
    expect(plan.session.because).toMatch(/\$.* for the rest, \$.* at openrouter\//)
    await session.complete(OPEN, turn(2, 50))
    expect(heard('pin-moved')).toMatchObject([{ from: { host: dear?.host } }])
  })

  test('a rule of the policy takes its place', async () => {
    const { router } = await priced()
    const session = router.session('one')
    const hosts = router.catalog.offers(SMALL).find(({ provider }) => provider === 'openrouter')?.hosts ?? []
    const dear = [...hosts].sort((a, b) => (b.prices?.input ?? 0) - (a.prices?.input ?? 0))[0]
    await session.complete({ ...OPEN, provider: `openrouter/${dear?.host}` }, turn(1, 50))
    const loyal = await session.plan({ ...OPEN, session: { rule: whileWarm() } }, turn(2, 50))
    expect(loyal).toMatchObject({ session: { pin: 'kept' }, steps: [{ host: dear?.host }] })
    const own = await session.plan(
      { ...OPEN, session: { rule: (places: Loose) => ({ place: places.at(-1), because: 'the last' }) } },
      turn(2, 50),
    )
    expect(own.session).toEqual({ pin: 'moved', because: 'the last' })
    await expect(
      session.plan({ ...OPEN, session: { rule: () => ({ place: {}, because: '' }) as Loose } }, turn(2, 50)),
    ).rejects.toThrow(/policy\.session\.rule: expected the rule to give one of the places it was given/)
  })

  test('a warm offer is kept against one that is cheaper only when cold', async () => {
    const models = [
      { provider: 'groq', id: SMALL, prices: { input: 0.1, output: 0.3, cachedInput: 0.01 } },
      { provider: 'openrouter', id: SMALL, prices: { input: 0.08, output: 0.3 } },
    ]
    const { router } = await setUp({ catalog: { models } })
    const session = router.session('one')
    await session.complete({ ...BOTH, provider: 'groq' }, turn(1, 20_000))
    const plan = await session.plan({ ...BOTH, provider: cheapestOffer() }, turn(2, 20_000))
    expect(plan.session.pin).toBe('kept')
    expect(plan.steps[0]).toMatchObject({ provider: 'groq' })
    expect(plan.steps[0]?.estimate.cachedTokens).toBeGreaterThan(15_000)
    // Without the session it would go by the price of a cold call.
    expect((await router.plan({ ...BOTH, provider: cheapestOffer() }, turn(2, 20_000))).steps[0]?.provider).toBe(
      'openrouter',
    )
  })

  test('a model that the policy names first is gone back to when it can be had again', async () => {
    const { clock, sandbox, router } = await setUp()
    const policy: Loose = { model: [LARGE, SMALL], provider: 'groq', request: { max_tokens: 40 } }
    const session = router.session('one')
    sandbox.groq.script([fail(503, {})])
    const first = await session.complete(policy, turn(1))
    expect(first.usage.attempts.at(-1)?.model).toBe(SMALL)
    await clock.advance(6 * MINUTE)
    const second = await session.complete(policy, turn(2))
    expect(second.usage).toMatchObject({
      pin: 'moved',
      pinBecause: expect.stringContaining(`asks for ${LARGE} before`),
    })
    expect((await session.complete(policy, turn(3))).usage.pin).toBe('kept')
  })

  test('what waits for its tools is not moved, neither for a price nor for a cold cache', async () => {
    const { clock, router } = await setUp()
    const session = router.session('one')
    await session.complete({ ...BOTH, provider: 'openrouter' }, turn(1))
    const looped: Loose = [
      ...turn(1),
      { role: 'assistant', content: null, tool_calls: [call('a')] },
      { role: 'tool', tool_call_id: 'a', content: '42' },
    ]
    await clock.advance(60 * MINUTE)
    const plan = await session.plan(BOTH, looped)
    expect(plan).toMatchObject({ session: { pin: 'kept' }, steps: [{ provider: 'openrouter' }, { provider: 'groq' }] })
    expect(plan.session.because).toContain('waits for what its tools say')
    expect(plan.steps[0]?.because).toContain('the session waits for its tools here')
    expect((await session.plan(BOTH, turn(2))).session.pin).toBe('new')
    // Not past the policy either.
    const elsewhere = await session.plan({ ...BOTH, provider: ['groq', avoid('openrouter')] }, looped)
    expect(elsewhere.steps.map(({ provider }) => provider)).toEqual(['groq'])
  })
})

function call(id: string): Loose {
  return { id, type: 'function', function: { name: 'look', arguments: '{}' } }
}

describe('a session without an id', () => {
  const derived: Loose = { ...CHAT, session: 'derived' }

  test('is known by how it begins', async () => {
    const { router, sandbox } = await setUp()
    const first = await router.complete(derived, turn(1))
    const second = await router.complete(derived, [...turn(1), { role: 'user', content: 'More' }])
    const other = await router.complete(derived, [
      { role: 'system', content: tokens(2000) },
      { role: 'user', content: 'Else' },
    ])
    expect([first, second, other].map(({ usage }) => usage.pin)).toEqual(['new', 'kept', 'new'])
    expect(second.host).toBe(first.host)
    expect(first.usage.session).toMatch(/^[0-9a-f]{32}$/)
    expect(other.usage.session).not.toBe(first.usage.session)
    const [{ body }]: Loose = sandbox.requests
    expect(body.session_id).toBe(first.usage.session)
  })

  test('is none where the policy does not ask for it, and an id goes before it', async () => {
    const { router } = await setUp()
    expect((await router.complete(CHAT, turn(1))).usage).toMatchObject({ pin: 'off', session: null })
    const named = await router.complete(derived, turn(1), { session: 'named' })
    const unnamed = await router.complete(derived, turn(1))
    expect(named.usage.session).not.toBe(unnamed.usage.session)
  })
})

describe('two tasks of one session', () => {
  test('have a home each: neither takes the other from its cache', async () => {
    const clock = virtualClock(TODAY)
    const sandbox = await start({ clock })
    const router = createRouter({
      providers: sandbox.providers(),
      clock,
      tasks: { tag: { model: SMALL, provider: 'groq' }, reply: { model: CLAUDE, provider: 'openrouter' } },
    })
    const session = router.session('one')
    const pins: string[] = []
    const hashes = new Set<string | null>()
    for (let count = 1; count < 4; count += 1) {
      for (const task of ['tag', 'reply'] as const) {
        const { usage } = await session.complete(task, turn(count))
        pins.push(usage.pin)
        hashes.add(usage.session)
      }
    }
    expect(pins).toEqual(['new', 'new', 'kept', 'kept', 'kept', 'kept'])
    expect(hashes.size).toBe(1)
  })
})

describe('marks for a cache that wants them', () => {
  const marksOf = (body: Loose) => JSON.stringify(body).split('"cache_control"').length - 1

  /** Where the list says what is asked. */
  const AUTHOR: Loose = { ...CHAT, provider: 'openrouter/anthropic' }

  test('are set in a session, and the next turn reads what this one wrote', async () => {
    const { router, sandbox } = await setUp()
    const session = router.session('one')
    const first = await session.complete(AUTHOR, turn(1))
    const second = await session.complete(AUTHOR, turn(2))
    expect(sandbox.requests.map(({ body }) => marksOf(body) > 0)).toEqual([true, true])
    expect(first.usage.tokens.cacheWrite).toBeGreaterThan(1900)
    expect(second.usage.tokens.cachedPrompt).toBeGreaterThan(1900)
    const { cache } = (await session.standing(AUTHOR)) ?? {}
    expect(cache?.savedUsd).toBeGreaterThan(0)
    expect(cache?.paidUsd).toBeGreaterThan(0)
    const [one, two] = [first.usage.cache.discountUsd ?? Number.NaN, second.usage.cache.discountUsd ?? Number.NaN]
    expect(cache?.profitUsd).toBeCloseTo(one + two, 12)
  })

  test.each([
    ['without a session', {}, 2000, {}],
    ['where the policy wants none', { session: { marks: 'off' } }, 2000, { session: 'one' }],
    ['on a prompt too short to be kept', {}, 500, { session: 'one' }],
  ])('are not set %s', async (_, policy: Loose, length, options) => {
    const { router, sandbox } = await setUp()
    await router.complete({ ...CHAT, ...policy }, turn(1, length), options)
    expect(marksOf(sandbox.requests[0]?.body)).toBe(0)
  })

  test('are given up where what is written is never read, and the loss is told once', async () => {
    const { clock, router, sandbox, heard } = await setUp()
    const session = router.session('slow')
    for (let count = 1; count < 8; count += 1) {
      await session.complete(CHAT, turn(count))
      await clock.advance(20 * MINUTE)
    }
    const marked = sandbox.requests.map(({ body }) => marksOf(body) > 0)
    expect(marked[0]).toBe(true)
    expect(marked.slice(-3)).toEqual([false, false, false])
    const [loss, ...more] = heard('cache-loss') as Loose[]
    expect(more).toEqual([])
    expect(loss).toMatchObject({ session: router.ledger.records[0]?.session, savedUsd: 0, unknownCalls: 0 })
    expect(loss.profitUsd).toBeLessThan(0)
    expect(loss.profitUsd).toBe(-loss.paidUsd)
  })
})

test('where sessions hardly ever come back, the first call writes nothing any more', async () => {
  const { router, sandbox } = await setUp()
  const isMarked = () => JSON.stringify(sandbox.requests.at(-1)?.body).includes('"cache_control"')
  await router.complete(CHAT, turn(1), { session: 'first' })
  expect(isMarked()).toBe(true)
  for (let n = 0; n < 20; n += 1) await router.complete(CHAT, turn(1), { session: `once-${n}` })
  expect(isMarked()).toBe(false)
  // Whoever does come back is worth it.
  await router.complete(CHAT, turn(2), { session: 'first' })
  expect(isMarked()).toBe(true)
})

describe('a history that goes somewhere else', () => {
  const thought: Loose = [
    { role: 'user', content: 'Hi' },
    {
      role: 'assistant',
      content: 'Hello',
      reasoning: 'hm',
      reasoning_details: [{ type: 'reasoning.text', text: 'hm', signature: 'SIGNED', format: 'anthropic-claude-v1' }],
    },
    { role: 'user', content: 'More' },
  ]

  test('leaves behind what cannot go with it, and the events say what', async () => {
    const { router, sandbox, heard } = await setUp()
    const session = router.session('one')
    await session.complete(CHAT, 'Hi')
    await session.complete({ ...CHAT, model: SMALL, provider: 'groq' }, thought)
    expect(JSON.stringify(sandbox.requests.at(-1)?.body)).not.toContain('SIGNED')
    const [moved] = heard('pin-moved') as Loose[]
    expect(moved).toMatchObject({ to: { provider: 'groq' } })
    expect(moved.dropped.join()).toContain('reasoning_details')
    expect(heard('history-cleaned')).toMatchObject([{ provider: 'groq', n: 1, dropped: moved.dropped }])
    expect(JSON.stringify([moved, heard('history-cleaned')])).not.toContain('SIGNED')
  })

  test('that stays with its model keeps everything, and nothing is told', async () => {
    const { router, sandbox, heard } = await setUp()
    await router.session('one').complete(CHAT, thought)
    expect(JSON.stringify(sandbox.requests.at(-1)?.body)).toContain('SIGNED')
    expect(heard('history-cleaned')).toEqual([])
  })
})

describe('a pin', () => {
  const place = (n: number) => ({ model: 'm', provider: `p${n}`, host: n % 2 === 0 ? null : 'h' })
  const served = fc.record({
    place: fc.integer({ min: 0, max: 3 }).map(place),
    caching: fc.constant({ ttlMs: 10 * MINUTE, least: 100, marked: false }),
    gap: fc.integer({ min: 0, max: 20 * MINUTE }),
    tokens: fc
      .record({
        prompt: fc.option(fc.nat(200_000)),
        cachedPrompt: fc.option(fc.nat(200_000)),
        completion: fc.option(fc.nat(5000)),
      })
      .map((some) => ({ cacheWrite: null, reasoning: null, total: null, ...some })),
    estimated: fc.nat(200_000),
    cached: fc.option(fc.record({ saved: fc.nat(1e9), paid: fc.nat(1e9) })),
    leaves: fc.boolean(),
    wasAsked: fc.boolean(),
  })

  test('changes its home only when it is cold, given up, or missed twice in a row; and survives being kept', () => {
    fc.assert(
      fc.property(fc.array(served, { maxLength: 30 }), (calls) => {
        let pin: Pin | null = null
        let at = TODAY
        let misses = 0
        for (const { gap, ...call } of calls) {
          at += gap
          const before: Pin | null = pin
          pin = pinned(before, { ...call, at } satisfies Served)
          if (before !== null && !isSamePlace(before.home, call.place)) {
            misses += call.wasAsked ? 1 : 0
            const stays = before.home.until > at && !call.leaves && misses < 2
            expect(isSamePlace(pin.home, stays ? before.home : call.place)).toBe(true)
            if (!stays) misses = 0
            else expect(pin.standIn).toMatchObject({ provider: call.place.provider })
          } else misses = 0
          const text = pinText(pin)
          expect(text.length).toBeLessThan(1000)
          const read = pinOf(text)
          expect(read?.home).toEqual(pin.home)
          expect(read?.standIn).toEqual(pin.standIn)
          expect(read?.balance).toEqual(pin.balance)
          expect(read === null ? null : pinText(read)).toBe(text)
        }
      }),
      runs(),
    )
  })

  test('that is somebody else’s text is none', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(pinOf(text)).toBeNull()
      }),
      runs(),
    )
    for (const text of ['', '[]', '[2]', '[1,5]', '[1,5,["m","p",null,1,1],null,[],[]]', '{"v":1}', 'x'.repeat(1e6)]) {
      expect(pinOf(text)).toBeNull()
    }
    expect(pinOf(null)).toBeNull()
  })
})
