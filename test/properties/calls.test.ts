import fc from 'fast-check'
import type { AttemptRecord, Clock } from 'modelfirst'
import { seeded, virtualClock } from 'modelfirst/sandbox'
import { describe, expect, test } from 'vitest'
import { fromUsd } from '../../src/money.ts'
import { runs } from '../support/runs.ts'
import { accounts, acts, MODELS, policyOf, type Said, scripts, type Wanted, wanted } from './scenes.ts'
import { type Account, type Act, call, createWorld, type Ended, ended, type Scene, type World } from './world.ts'

/** A router, its wires and a whole call: a few milliseconds each. */
const WHOLE = 10
const SHORTEST = 5
const ROUNDING = 1e-6

const scenes = fc.record({ accounts, script: scripts, seed: fc.nat() })
type Given = { readonly accounts: Account[]; readonly script: Record<string, Act[]>; readonly seed: number }

const worldOf = ({ accounts, script, seed }: Given, more: Partial<Scene> = {}) =>
  createWorld({ accounts, script, random: seeded(seed), ...more })

/** Timers that rules set are theirs. */
function borrowed(world: World): Clock & { readonly pending: number } {
  let pending = 0
  return {
    now: world.clock.now,
    date: world.clock.date,
    timer(milliseconds, run) {
      pending += 1
      return world.clock.timer(milliseconds, () => {
        pending -= 1
        run()
      })
    },
    get pending() {
      return pending
    },
  }
}

async function made(
  given: Given,
  want: Wanted,
  signal?: AbortSignal,
): Promise<{ world: World; end: Ended; own: number }> {
  const world = await worldOf(given)
  const clock = borrowed(world)
  const { streamed } = want
  const [end] = await ended(world, [
    call(
      world,
      policyOf(want, () => clock),
      { streamed, ...(signal && { signal }) },
    ),
  ])
  if (end === undefined) throw new Error('no call')
  return { world, end, own: clock.pending }
}

const PLAIN: Wanted = {
  models: ['alpha'],
  rules: [],
  limits: {},
  hedgeMs: null,
  zero: false,
  streamed: false,
  onBroken: 'fail',
}

/** A rule that leads to a model, wherever it is sold or at one account. */
const use = fc
  .record({
    move: fc.constant('use'),
    model: fc.constantFrom(...MODELS),
    provider: fc.constantFrom(undefined, 'one', 'two'),
  })
  .map((move): Said => ({ moves: [move], thinksMs: null }))

const offers = fc.constantFrom('one alpha', 'one beta', 'two alpha', 'two gamma', 'three beta')

const refused = (act: Act, hint: number | null): Act => ({ ...act, status: 401, code: 'odd', hint })

function expectNoneAgain({ usage }: Ended): void {
  const out = new Set<string>()
  for (const { provider, outcome } of usage?.attempts ?? []) {
    expect(out).not.toContain(provider)
    if (outcome === 'unauthorized' || outcome === 'out-of-credit') out.add(provider)
  }
}

const endOf = ({ startedMs, durationMs }: AttemptRecord) => startedMs + durationMs

describe('whatever providers do, and whatever rules and limits say,', () => {
  test('a call is over in its time, with no more attempts than its limit, numbered as they were made', async () => {
    await fc.assert(
      fc.asyncProperty(scenes, wanted(), async (given, want) => {
        const { world, end } = await made(given, want)
        const { timeoutMs = 600_000, attempts: most = 4 } = want.limits
        expect(end.settledAt - end.startedAt).toBeLessThanOrEqual(timeoutMs + ROUNDING)
        const attempts = end.usage?.attempts ?? []
        expect(attempts.length).toBeLessThanOrEqual(most)
        expect(attempts.map(({ n }) => n)).toEqual(attempts.map((_, index) => index + 1))
        for (const { startedMs } of attempts) {
          expect(startedMs).toBeLessThanOrEqual(timeoutMs - SHORTEST + ROUNDING)
        }
        expect(world.seen.length).toBe(attempts.length)
      }),
      runs(WHOLE),
    )
  })

  test('nothing of a call is left when it is over: no timer, no request, no late event', async () => {
    await fc.assert(
      fc.asyncProperty(scenes, wanted({ slowest: 2000 }), async (given, want) => {
        const { world, end, own } = await made(given, want)
        expect(world.clock.pending - own).toBe(0)
        expect(world.seen.filter(({ endedAt }) => endedAt === null)).toEqual([])
        const [sent, told] = [world.seen.length, world.events.length]
        await world.clock.advance(700_000)
        expect([world.seen.length, world.events.length]).toEqual([sent, told])
        for (const { at } of world.seen) expect(at).toBeLessThanOrEqual(end.settledAt)
        expect(world.events.filter(({ type }) => type === 'call-end').length).toBe(end.usage === null ? 0 : 1)
      }),
      runs(WHOLE),
    )
  })

  test('the attempts make up the call: cost, tokens, and each request that was sent', async () => {
    await fc.assert(
      fc.asyncProperty(scenes, wanted(), async (given, want) => {
        const { world, end } = await made(given, want)
        expect(end.usage !== null || world.seen.length === 0).toBe(true)
        if (end.usage === null) return
        const { attempts, cost, tokens } = end.usage
        const low = attempts.reduce((sum, each) => sum + fromUsd(each.cost.low), 0)
        const open = attempts.some((each) => each.cost.high === null)
        const high = attempts.reduce((sum, each) => sum + fromUsd(each.cost.high ?? 0), 0)
        expect(fromUsd(cost.low)).toBe(low)
        expect(cost.high === null ? null : fromUsd(cost.high)).toBe(open ? null : high)
        const parts = attempts.map((each) => each.tokens.completion)
        expect(tokens.completion).toBe(
          parts.some((part) => part === null) ? null : parts.reduce<number>((sum, part) => sum + (part ?? 0), 0),
        )
        const sent = world.seen.map(({ provider, model }) => `${provider} ${model}`)
        expect(attempts.map(({ provider, model }) => `${provider} ${model}`).sort()).toEqual(sent.sort())
        const { maxCostUsd } = want.limits
        if (maxCostUsd !== undefined) expect(open ? Number.NaN : high).toBeLessThanOrEqual(fromUsd(maxCostUsd))
      }),
      runs(WHOLE),
    )
  })

  test('no attempt begins before the one before it is over', async () => {
    await fc.assert(
      fc.asyncProperty(scenes, wanted({ hedge: false, slowest: 2000 }), async (given, want) => {
        const { end, world } = await made(given, want)
        const attempts = end.usage?.attempts ?? []
        for (const [index, { startedMs, role }] of attempts.entries()) {
          const before = attempts[index - 1]
          if (before !== undefined) expect(startedMs).toBeGreaterThanOrEqual(endOf(before) - ROUNDING)
          expect(role).not.toBe('hedge')
        }
        for (const [index, { at }] of world.seen.entries()) {
          const before = world.seen[index - 1]?.endedAt ?? 0
          expect(at).toBeGreaterThanOrEqual(before)
        }
      }),
      runs(WHOLE),
    )
  })

  test('with a second attempt allowed, two are under way at the most, at different providers', async () => {
    await fc.assert(
      fc.asyncProperty(scenes, wanted(), fc.constantFrom(1, 60, 300), async (given, want, hedgeMs) => {
        const { end } = await made(given, { ...want, hedgeMs })
        const attempts = end.usage?.attempts ?? []
        for (const one of attempts) {
          const beside = attempts.filter(
            (other) => other.n > one.n && other.startedMs < endOf(one) && endOf(other) > one.startedMs,
          )
          expect(beside.length).toBeLessThanOrEqual(1)
          for (const { provider, role, startedMs } of beside) {
            expect(role).toBe('hedge')
            expect(provider).not.toBe(one.provider)
            expect(startedMs - one.startedMs).toBeGreaterThanOrEqual(hedgeMs - ROUNDING)
          }
        }
      }),
      runs(WHOLE),
    )
  })

  test('of two at the same time one is heard, the other is given up, and both are on the record', async () => {
    const late = fc.constantFrom<Act>(
      { does: 'answer', afterMs: 100 },
      { does: 'answer', afterMs: 200 },
      { does: 'hang', afterMs: 0 },
      { does: 'status', status: 500, afterMs: 150 },
      { does: 'bad-arguments', afterMs: 120 },
    )
    const script = fc.record({
      'one alpha': fc.array(late),
      'two alpha': fc.array(late),
      'three alpha': fc.array(late),
      'four alpha': fc.array(late),
    })
    const four = ['one', 'two', 'three', 'four'].map((name) => ({ name, models: [{ id: 'alpha' }] }))
    await fc.assert(
      fc.asyncProperty(script, fc.constantFrom(1, 60, 130), fc.boolean(), async (script, hedgeMs, streamed) => {
        const want = { ...PLAIN, hedgeMs, streamed, limits: { timeoutMs: 5000 } }
        const { world, end } = await made({ accounts: four, script, seed: hedgeMs }, want)
        const attempts = end.usage?.attempts ?? []
        expect(attempts.length).toBe(world.seen.length)
        expect(attempts.filter(({ role }) => role === 'hedge').length).toBeLessThanOrEqual(1)
        expect(attempts.filter(({ outcome }) => outcome === 'ok').length).toBe(end.error === null ? 1 : 0)
        expect(world.seen.every(({ endedAt }) => endedAt !== null && endedAt <= end.settledAt)).toBe(true)
        expect(world.clock.pending).toBe(0)
      }),
      runs(WHOLE),
    )
  })

  test('a success is never told of a call in which no attempt had one, and never kept back', async () => {
    await fc.assert(
      fc.asyncProperty(scenes, wanted({ slowest: 2000 }), async (given, want) => {
        const { end, world } = await made(given, want)
        const attempts = end.usage?.attempts ?? []
        const good = attempts.filter(({ outcome }) => outcome === 'ok')
        expect(end.error === null).toBe(good.length > 0)
        expect(end.usage?.outcome === 'ok').toBe(good.length > 0)
        expect(good.length).toBeLessThanOrEqual(1)
        if (end.error !== null) return
        expect(end.text).toContain('Hello.')
        expect(world.seen.some(({ act }) => act.does === 'answer')).toBe(true)
      }),
      runs(WHOLE),
    )
  })

  test('nothing reaches an account that does not guarantee what the data rule asks for', async () => {
    let asked = 0
    await fc.assert(
      fc.asyncProperty(scenes, wanted(), use, async (given, want, used) => {
        const { world } = await made(given, { ...want, rules: [used, ...want.rules], zero: true })
        const zero = given.accounts.filter(({ terms }) => terms?.retention === 'zero').map(({ name }) => name)
        for (const { provider } of world.seen) expect(zero).toContain(provider)
        asked += world.seen.length
      }),
      runs(WHOLE),
    )
    expect(asked).toBeGreaterThan(0)
  })

  test('only models that the policy or one of its rules names are asked', async () => {
    await fc.assert(
      fc.asyncProperty(scenes, wanted(), use, async (given, drawn, used) => {
        const want = { ...drawn, rules: [used, ...drawn.rules] }
        const { world } = await made(given, want)
        const named = [
          ...want.models,
          ...want.rules.flatMap((said) => ('moves' in said ? said.moves : [])).map((move) => JSON.stringify(move)),
        ]
        for (const { model, provider } of world.seen) {
          expect(named.some((name) => name.includes(model))).toBe(true)
          expect(given.accounts.map(({ name }) => name)).toContain(provider)
        }
      }),
      runs(WHOLE),
    )
  })

  test('an account that refused the key is not asked again in that call', async () => {
    const refusing = acts.map((act): Act => (act.does === 'status' ? refused(act, null) : act))
    const script = fc.dictionary(offers, fc.array(refusing, { maxLength: 3 }))
    await fc.assert(
      fc.asyncProperty(scenes, script, wanted({ hedge: false }), async (given, script, want) => {
        const { end } = await made({ ...given, script }, want)
        expectNoneAgain(end)
      }),
      runs(WHOLE),
    )
  })

  test('not even where the refusal says when to come back, and a rule leads there', async () => {
    const refusing = fc.nat(1000).map((hint) => refused({ does: 'status', afterMs: 1 }, hint))
    const again: Said = {
      kinds: ['unauthorized'],
      verbs: [
        { verb: 'wait', ms: 1000 },
        { verb: 'retry', times: 1 },
      ],
      stops: false,
    }
    await fc.assert(
      fc.asyncProperty(fc.array(refusing, { minLength: 2, maxLength: 2 }), async (acts) => {
        const given = { accounts: [{ name: 'one', models: [{ id: 'alpha' }] }], script: { 'one alpha': acts }, seed: 1 }
        const { end } = await made(given, { ...PLAIN, rules: [again] })
        expectNoneAgain(end)
      }),
      runs(WHOLE),
    )
  })

  test('without rules, an offer is asked twice at the most, and not before it said', async () => {
    await fc.assert(
      fc.asyncProperty(scenes, wanted({ hedge: false }), async (given, want) => {
        const { world, end } = await made(given, { ...want, rules: [] })
        const of = (seen: { provider: string; model: string }) => `${seen.provider} ${seen.model}`
        const asked = end.usage?.attempts.map(of) ?? []
        if (want.onBroken === 'fail' || !want.streamed) {
          for (const offer of asked) expect(asked.filter((each) => each === offer).length).toBeLessThanOrEqual(2)
        }
        for (const [index, seen] of world.seen.entries()) {
          const { hint = null } = seen.act
          const again = world.seen.find((later, at) => at > index && of(later) === of(seen))
          if (hint === null || again === undefined || seen.act.does !== 'status') continue
          expect(again.at - (seen.endedAt ?? 0)).toBeGreaterThanOrEqual(Math.max(hint, 50) - ROUNDING)
          expect(hint).toBeLessThanOrEqual(30_000)
        }
      }),
      runs(WHOLE),
    )
  })
})

describe('a call that is given up', () => {
  test('at any moment is over at once, and says so unless it was over before', async () => {
    await fc.assert(
      fc.asyncProperty(scenes, wanted({ slowest: 2000 }), fc.nat(3000), async (given, want, ms) => {
        const world = await worldOf(given)
        const clock = borrowed(world)
        const giving = new AbortController()
        const reason = new Error('enough')
        const { streamed } = want
        let over = false
        const running = call(
          world,
          policyOf(want, () => clock),
          { streamed, signal: giving.signal },
        ).finally(() => {
          over = true
        })
        await world.clock.advance(ms)
        const wasOver = over
        giving.abort(reason)
        await world.clock.advance(0)
        expect(over).toBe(true)
        const end = await running
        if (!wasOver) {
          expect(end.error?.kind).toBe('canceled')
          expect(end.settledAt - ms).toBeLessThanOrEqual(10)
        }
        expect(world.clock.pending - clock.pending).toBe(0)
      }),
      runs(WHOLE),
    )
  })

  test('while it pauses does not pause any longer', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 29_000 }),
        fc.double({ min: 0, max: 0.99, noNaN: true }),
        async (hint, share) => {
          const limited: Act = { does: 'status', status: 429, hint, afterMs: 0 }
          const world = await worldOf({
            accounts: [{ name: 'one', models: [{ id: 'alpha' }] }],
            script: { 'one alpha': [limited] },
            seed: hint,
          })
          const giving = new AbortController()
          const running = call(world, { model: 'alpha' }, { signal: giving.signal })
          const ms = share * hint
          await world.clock.advance(ms)
          giving.abort(new Error('enough'))
          await world.clock.advance(0)
          expect(world.clock.pending).toBe(0)
          const [end] = await ended(world, [running])
          expect([end?.error?.kind, end?.settledAt]).toEqual(['canceled', ms])
        },
      ),
      runs(WHOLE),
    )
  })

  test('by closing the router leaves nothing behind, and nothing is asked any more', async () => {
    await fc.assert(
      fc.asyncProperty(scenes, wanted({ slowest: 2000 }), fc.nat(1500), async (given, want, ms) => {
        const world = await worldOf(given)
        const clock = borrowed(world)
        const running = call(
          world,
          policyOf(want, () => clock),
          { streamed: want.streamed },
        )
        await world.clock.advance(ms)
        const sent = world.seen.length
        await ended<unknown>(world, [world.router.close(), running])
        expect(world.clock.pending - clock.pending).toBe(0)
        await world.clock.advance(700_000)
        expect(world.seen.length).toBe(sent)
        const later = await call(world, { model: 'alpha' })
        expect(later.error?.name).toBe('ConfigError')
      }),
      runs(WHOLE),
    )
  })
})

describe('with the same seed, clock and script', () => {
  const traceOf = ({ seen, events }: World, end: Ended | undefined) =>
    JSON.stringify({ seen, events, end, text: end?.error?.message })

  test('everything happens again in the same way', async () => {
    await fc.assert(
      fc.asyncProperty(scenes, wanted({ slowest: 2000 }), async (given, want) => {
        const [one, other] = [await made(given, want), await made(given, want)]
        expect(traceOf(one.world, one.end)).toBe(traceOf(other.world, other.end))
      }),
      runs(2 * WHOLE),
    )
  })

  test('it does not matter which clock it is', async () => {
    await fc.assert(
      fc.asyncProperty(scenes, wanted(), async (given, want) => {
        const one = await made(given, want)
        const virtual = virtualClock()
        const world = { ...(await worldOf(given, { clock: virtual })), clock: one.world.clock }
        const running = call(
          { router: world.router, clock: one.world.clock },
          policyOf(want, () => virtual),
          {
            streamed: want.streamed,
          },
        )
        await virtual.runAll()
        const end = await running
        expect(virtual.pending).toBe(0)
        expect(end.usage).toEqual(one.end.usage)
        expect(end.error?.message).toBe(one.end.error?.message)
      }),
      runs(4 * WHOLE), // The clock of the sandbox waits for a real timer at every step.
    )
  })
})
