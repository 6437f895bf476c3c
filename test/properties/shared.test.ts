import fc from 'fast-check'
import type { TaskPolicy } from 'modelfirst'
import { seeded } from 'modelfirst/sandbox'
import { describe, expect, test } from 'vitest'
import { runs } from '../support/runs.ts'
import { acts, MODELS, policyOf, wanted } from './scenes.ts'
import { type Account, type Act, call, createWorld, ended, type World } from './world.ts'

/** Several calls over one router each. */
const SEVERAL = 20
const ROUNDING = 1e-6

const failing = (more: Partial<Act> = {}): Act => ({ does: 'status', status: 500, afterMs: 10, ...more })
const account = (name: string, models: readonly string[] = ['alpha']): Account => ({
  name,
  models: models.map((id) => ({ id })),
})
const always = (act: Act): Act[] => new Array<Act>(1000).fill(act)

const manyCalls = (world: World, count: number, policy: TaskPolicy) =>
  Array.from({ length: count }, () => call(world, policy))

/** What may not be shared by calls that have nothing in common: an account that is out is out for all. */
const ofOne = acts.filter(({ status = 0 }) => status !== 401 && status !== 402)

describe('calls at the same time', () => {
  test('with models of their own do not change what the others do', async () => {
    const names = ['one', 'two']
    const scripts = fc.record(
      Object.fromEntries(
        names.flatMap((name) => MODELS.map((model) => [`${name} ${model}`, fc.array(ofOne, { maxLength: 3 })])),
      ),
    )
    const wants = fc.tuple(
      ...MODELS.map((model) => wanted().map((want) => ({ ...want, models: [model], zero: false }))),
    )
    const begins = fc.tuple(fc.nat(500), fc.nat(500), fc.nat(500))
    // Fewer than what all together may be asked a second time at an account.
    const tamed = wants.map((all) =>
      all.map((want) => ({ ...want, rules: [], limits: { ...want.limits, attempts: 3 } })),
    )
    await fc.assert(
      fc.asyncProperty(scripts, tamed, begins, async (script, wants, begins) => {
        const accounts = names.map((name) => account(name, MODELS))
        const make = () => createWorld({ accounts, script, random: () => 0.5 })
        const begun = (world: World, index: number) => {
          const want = wants[index]
          if (want === undefined) throw new Error('no call')
          return new Promise<void>((resolve) => world.clock.timer(begins[index] ?? 0, resolve)).then(() =>
            call(
              world,
              policyOf(want, () => world.clock),
              { streamed: want.streamed },
            ),
          )
        }
        const world = await make()
        const together = await ended(
          world,
          MODELS.map((_, index) => begun(world, index)),
        )
        for (const [index, end] of together.entries()) {
          const lonely = await make()
          const [alone] = await ended(lonely, [begun(lonely, index)])
          expect(end.usage?.attempts).toEqual(alone?.usage?.attempts)
          expect(end.error?.message).toEqual(alone?.error?.message)
        }
      }),
      runs(2 * SEVERAL), // Four routers each.
    )
  })

  test('over two routers do not know of each other', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(acts, { maxLength: 4 }), fc.nat(), async (script, seed) => {
        const make = (acts: Act[]) =>
          createWorld({ accounts: [account('one')], script: { 'one alpha': acts }, random: seeded(seed) })
        const busy = await make(always(failing()))
        for (let n = 0; n < 4; n += 1) await ended(busy, [call(busy, { model: 'alpha' })])
        const [quiet, lonely] = [await make(script), await make(script)]
        const [one] = await ended(quiet, [call(quiet, { model: 'alpha' })])
        const [other] = await ended(lonely, [call(lonely, { model: 'alpha' })])
        expect(one?.usage).toEqual(other?.usage)
        expect(quiet.router.health()).toEqual(lonely.router.health())
      }),
      runs(SEVERAL),
    )
  })
})

describe('what is asked a second time at a provider', () => {
  /** At every beginning of what was seen: no more than a tenth, one a second, and ten. */
  function mostOver(world: World, start: number): number {
    let over = Number.NEGATIVE_INFINITY
    let first = 0
    let again = 0
    for (const event of world.events) {
      if (event.type !== 'attempt-start') continue
      if (event.role === 'retry' || event.role === 'hedge') again += 1
      else first += 1
      const seen = world.seen[first + again - 1]
      over = Math.max(over, again - (0.1 * first + ((seen?.at ?? start) - start) / 1000 + 10))
    }
    return over
  }

  test('is little, when calls come one after another in an outage', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 5, max: 25 }), fc.nat(300), fc.nat(), async (calls, pauseMs, seed) => {
        const world = await createWorld({
          accounts: [account('one')],
          script: { 'one alpha': always(failing({ status: 429, hint: 50, afterMs: 1 })) },
          random: seeded(seed),
        })
        for (let n = 0; n < calls; n += 1) {
          await ended(world, [call(world, { model: 'alpha' })])
          await world.clock.advance(pauseMs)
        }
        expect(mostOver(world, 0)).toBeLessThanOrEqual(ROUNDING)
      }),
      runs(2 * SEVERAL), // Up to fifty attempts each.
    )
  })

  test('is as little when they come all at once', async () => {
    const limited = failing({ status: 429, hint: 500, afterMs: 1 })
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 20, max: 40 }), fc.nat(), async (calls, seed) => {
        const world = await createWorld({
          accounts: [account('one')],
          script: { 'one alpha': always(limited) },
          random: seeded(seed),
        })
        await ended(world, manyCalls(world, calls, { model: 'alpha' }))
        expect(mostOver(world, 0)).toBeLessThanOrEqual(ROUNDING)
      }),
      runs(2 * SEVERAL),
    )
  })
})

describe('an offer that keeps failing', () => {
  /** Opens its breaker: five failures in a row, one call after another. */
  async function broken(seed: number, acts: readonly Act[]): Promise<World> {
    const five = new Array<Act>(5).fill(failing({ afterMs: 1 }))
    const world = await createWorld({
      accounts: [account('one'), account('two'), account('three', ['beta'])],
      script: { 'one alpha': [...five, ...acts], 'three beta': always({ does: 'unreachable', afterMs: -1 }) },
      random: seeded(seed),
    })
    for (let n = 0; n < 5; n += 1) await ended(world, [call(world, { model: 'alpha' })])
    return world
  }

  const asked = (world: World, since: number) =>
    world.seen.filter(({ provider, at }) => provider === 'one' && at >= since)

  test('is left alone while another one is open, and serves again soon after it is well', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.array(fc.nat(400), { minLength: 1, maxLength: 8 }), async (seed, pauses) => {
        const world = await broken(seed, [])
        expect(world.router.health().offers.find(({ provider }) => provider === 'one')?.state).toBe('breaker-open')
        const since = world.clock.now()
        for (const ms of pauses) {
          if (world.clock.now() - since + ms >= 2400) break
          await world.clock.advance(ms)
          const [end] = await ended(world, [call(world, { model: 'alpha' })])
          expect(end?.usage?.provider).toBe('two')
        }
        expect(asked(world, since)).toEqual([])
        await world.clock.advance(5000)
        const [end] = await ended(world, [call(world, { model: 'alpha' })])
        expect(end?.usage?.provider).toBe('one')
        expect(world.router.health().offers.every(({ state }) => state === 'well')).toBe(true)
      }),
      runs(SEVERAL),
    )
  })

  test('is asked by one at a time when it may be well again, by those who come one after another', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 2, max: 6 }), async (seed, calls) => {
        const world = await broken(seed, always(failing({ afterMs: 500 })))
        await world.clock.advance(5000)
        const since = world.clock.now()
        const running: Promise<unknown>[] = []
        for (let n = 0; n < calls; n += 1) {
          running.push(call(world, { model: 'alpha' }))
          await world.clock.advance(20)
        }
        await ended(world, running)
        expect(asked(world, since).length).toBe(1)
      }),
      runs(SEVERAL),
    )
  })

  test('is asked by one at a time, by those who come at the same moment too', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 2, max: 6 }), async (seed, calls) => {
        const world = await broken(seed, always(failing({ afterMs: 500 })))
        await world.clock.advance(5000)
        const since = world.clock.now()
        await ended(world, manyCalls(world, calls, { model: 'alpha' }))
        expect(asked(world, since).length).toBe(1)
      }),
      runs(SEVERAL),
    )
  })

  test('is asked by one at a time, by those whom another one failed at the same moment too', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 2, max: 4 }), async (seed, calls) => {
        const world = await broken(seed, always(failing({ afterMs: 500 })))
        await world.clock.advance(5000)
        const since = world.clock.now()
        const policy: TaskPolicy = { model: ['beta', 'alpha'], provider: ['three', 'one', 'two'] }
        await ended(world, manyCalls(world, calls, policy))
        expect(world.seen.filter(({ provider }) => provider === 'three').length).toBe(calls)
        expect(asked(world, since).length).toBe(1)
      }),
      runs(SEVERAL),
    )
  })

  test('answers all the same where it is the only one', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.nat(6000), async (seed, ms) => {
        const five = new Array<Act>(5).fill(failing({ afterMs: 1 }))
        const world = await createWorld({
          accounts: [account('one')],
          script: { 'one alpha': five },
          random: seeded(seed),
        })
        const once: TaskPolicy = { model: 'alpha', limits: { attempts: 1 } }
        for (let n = 0; n < 5; n += 1) await ended(world, [call(world, once)])
        await world.clock.advance(ms)
        const [end] = await ended(world, [call(world, once)])
        expect(end?.error).toBeNull()
      }),
      runs(SEVERAL),
    )
  })
})

describe('an offer that says when to come back', () => {
  /** Requests that came to an offer between its word and the time it gave. */
  function early(world: World): unknown[] {
    return world.seen.flatMap((told) => {
      const { hint = null, status } = told.act
      if (status !== 429 || hint === null || told.endedAt === null) return []
      const [from, until] = [told.endedAt, told.endedAt + hint]
      return world.seen.filter(
        ({ provider, model, at }) =>
          provider === told.provider && model === told.model && at > from && at < until - ROUNDING,
      )
    })
  }

  const limited = fc
    .tuple(fc.constantFrom(100, 900, 4000, 20_000), fc.nat(300))
    .map(([hint, afterMs]): Act => ({ does: 'status', status: 429, hint, afterMs }))
  const some = fc.array(
    fc.oneof(
      limited,
      fc.nat(300).map((afterMs): Act => ({ does: 'answer', afterMs })),
      fc.nat(300).map((afterMs) => failing({ afterMs })),
    ),
    { maxLength: 12 },
  )

  test('is not asked before, by calls that come one after another', async () => {
    await fc.assert(
      fc.asyncProperty(
        some,
        some,
        fc.array(fc.nat(3000), { maxLength: 8 }),
        fc.nat(),
        async (one, two, pauses, seed) => {
          const world = await createWorld({
            accounts: [account('one'), account('two')],
            script: { 'one alpha': one, 'two alpha': two },
            random: seeded(seed),
          })
          for (const ms of pauses) {
            await ended(world, [call(world, { model: 'alpha' })])
            await world.clock.advance(ms)
          }
          expect(early(world)).toEqual([])
        },
      ),
      runs(SEVERAL),
    )
  })

  test('nor by calls that wait for it while others hear of a later time', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 3000, max: 9000 }), fc.nat(), async (hint, seed) => {
        const told = (ms: number, afterMs: number): Act => ({ does: 'status', status: 429, hint: ms, afterMs })
        const world = await createWorld({
          accounts: [account('one')],
          // Both are under way when the first is told; the second is told more.
          script: { 'one alpha': [told(1000, 10), told(hint, 500)] },
          random: seeded(seed),
        })
        await ended(world, [call(world, { model: 'alpha' }), call(world, { model: 'alpha' })])
        expect(early(world)).toEqual([])
      }),
      runs(SEVERAL),
    )
  })
})

describe('a rule that thinks for long', () => {
  test('does not keep a call beyond its time', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 20, max: 900 }), fc.nat(), async (timeoutMs, seed) => {
        const world = await createWorld({
          accounts: [account('one'), account('two')],
          script: { 'one alpha': [failing({ afterMs: 5 })] },
          random: seeded(seed),
        })
        const policy: TaskPolicy = { model: 'alpha', limits: { timeoutMs }, fallback: [() => new Promise(() => {})] }
        const [end] = await ended(world, [call(world, policy)])
        expect(end?.settledAt).toBeLessThanOrEqual(timeoutMs)
      }),
      runs(SEVERAL),
    )
  })
})
