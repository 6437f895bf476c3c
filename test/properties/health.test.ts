import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FAILURE_KINDS, type Failure, failure, VERDICTS } from '../../src/failure.ts'
import { createHealth, type Health } from '../../src/health.ts'
import type { Step } from '../../src/plan.ts'
import { runs } from '../support/runs.ts'
import { stepOf } from './ways.ts'

const HOUR = 3_600_000
const ONE = stepOf('one', 'alpha')
const hints = fc.nat(2 * HOUR)
const fair = () => 0.5

function note(health: Health, step: Step, failed: Failure | null, now: number): void {
  health.note(step, { epoch: health.begin(step, now), failure: failed, headers: null, durationMs: 2000 }, now)
}

/** Lets it all happen; gives the time at which it is over. */
function lived(health: Health, all: readonly (readonly [number, Step, Failure | null])[]): number {
  let now = 0
  for (const [passed, step, failed] of all) {
    now += passed
    note(health, step, failed, now)
  }
  return now
}

const offers = ['one alpha', 'one beta', 'two alpha', 'two beta'].map((name) => {
  const [provider = '', model = ''] = name.split(' ')
  return stepOf(provider, model)
})
const anOffer = fc.constantFrom(...offers)
const kinds = fc.constantFrom(...FAILURE_KINDS)
const failures = fc
  .tuple(kinds, fc.option(hints), fc.constantFrom<Failure['scope']>('model', 'model', 'account'))
  .map(([kind, retryAfterMs, scope]) => failure(kind, { retryAfterMs, scope }))
const events = fc.array(fc.tuple(fc.nat(5000), anOffer, fc.option(failures, { freq: 4 })), {
  maxLength: 40,
  size: 'max',
})

describe('a gate', () => {
  test('that is told several times stays closed until the latest of them, in whatever order, an hour at the most', () => {
    const told = fc.array(fc.tuple(hints, fc.constantFrom<Failure['scope']>('model', 'account')), { minLength: 1 })
    fc.assert(
      fc.property(told, fc.nat(1_000_000), (limits, now) => {
        const health = createHealth(fair)
        for (const [retryAfterMs, scope] of limits)
          note(health, ONE, failure('rate-limited', { retryAfterMs, scope }), now)
        const until = now + Math.min(HOUR, Math.max(...limits.map(([ms]) => ms)))
        // While it is closed somebody is told when it opens; afterwards nothing is in the way.
        for (const share of [0, 0.5, 0.999]) {
          const at = now + share * (until - now)
          const closed = health.blockOf(ONE, at)
          if (at < until) expect(closed?.code).toBe('rate-limited')
          expect(closed?.until ?? 0).toBeLessThanOrEqual(until)
        }
        expect(health.blockOf(ONE, until)).toBeNull()
      }),
      runs(),
    )
  })

  test('is never opened earlier by anything that happens while it is closed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: HOUR }), events, (retryAfterMs, later) => {
        const health = createHealth(fair)
        note(health, ONE, failure('rate-limited', { retryAfterMs }), 0)
        let now = 0
        for (const [passed, step, failed] of later) {
          now += passed
          if (now >= retryAfterMs) break
          note(health, step, failed, now)
          expect(health.blockOf(ONE, retryAfterMs - 0.5)).not.toBeNull()
        }
      }),
      runs(),
    )
  })

  test('of which nobody says how long is closed for a second, doubling to a minute, until a success', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.nat(HOUR), (times, idle) => {
        const health = createHealth(fair)
        let now = 0
        const closedFor = () => {
          note(health, ONE, failure('rate-limited'), now)
          const until = health.blockOf(ONE, now)?.until ?? now
          const ms = until - now
          now = until + idle
          return ms
        }
        for (let n = 0; n < times; n += 1) expect(closedFor()).toBeCloseTo(Math.min(1000 * 2 ** n, 60_000), 3)
        note(health, ONE, null, now)
        expect(closedFor()).toBeCloseTo(1000, 3)
      }),
      runs(),
    )
  })

  test('of a whole account begins with a second again after a success', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), (times) => {
        const health = createHealth(fair)
        const limited = failure('rate-limited', { scope: 'account' })
        let now = 0
        for (let n = 0; n < times; n += 1) {
          note(health, ONE, limited, now)
          now = health.blockOf(ONE, now)?.until ?? now
        }
        note(health, ONE, null, now)
        note(health, ONE, limited, now)
        expect((health.blockOf(ONE, now)?.until ?? now) - now).toBeCloseTo(1000, 3)
      }),
      runs(),
    )
  })
})

describe('a breaker', () => {
  const blameless = fc.constantFrom(...FAILURE_KINDS.filter((kind) => VERDICTS[kind].blame !== 'offer'))

  test('is never opened by those who gave up, by requests that were refused, by keys or by limits', () => {
    expect(VERDICTS.canceled.blame).not.toBe('offer')
    fc.assert(
      fc.property(fc.array(fc.tuple(blameless, fc.nat(2000)), { minLength: 20, maxLength: 60 }), (ended) => {
        const health = createHealth(fair)
        let now = 0
        for (const [kind, passed] of ended) {
          now += passed
          note(health, ONE, failure(kind, { status: 400 }), now)
          const block = health.blockOf(ONE, now)
          expect(block?.code).not.toBe('breaker-open')
        }
      }),
      runs(),
    )
  })

  test('opens after five failures in a row that are the offer’s, whatever says nothing comes between', () => {
    const bad = fc.constantFrom(...FAILURE_KINDS.filter((kind) => VERDICTS[kind].blame === 'offer'))
    const between = fc.array(fc.constantFrom('canceled', 'invalid-request', 'refused', 'bad-output' as const))
    fc.assert(
      fc.property(fc.array(fc.tuple(bad, between), { minLength: 5, maxLength: 5 }), (ended) => {
        const health = createHealth(fair)
        for (const [index, [kind, rest]] of ended.entries()) {
          expect(health.blockOf(ONE, index)).toBeNull()
          note(health, ONE, failure(kind), index)
          for (const blameless of rest) if (index < 4) note(health, ONE, failure(blameless), index)
        }
        expect(health.blockOf(ONE, 5)).toMatchObject({ code: 'breaker-open', opens: false })
      }),
      runs(),
    )
  })
})

test('who gives an offer less than a second says nothing of its health', () => {
  const impatient = fc.constantFrom('timed-out', 'stalled' as const)
  fc.assert(
    fc.property(fc.array(fc.tuple(impatient, fc.nat(999)), { minLength: 5, maxLength: 40 }), (ended) => {
      const health = createHealth(fair)
      for (const [index, [kind, durationMs]] of ended.entries()) {
        const epoch = health.begin(ONE, index)
        health.note(ONE, { epoch, durationMs, failure: failure(kind), headers: null }, index)
      }
      expect(health.blockOf(ONE, ended.length)).toBeNull()
    }),
    runs(),
  )
})

describe('an account that is out', () => {
  test('blocks all that it sells, and nothing that others sell', () => {
    const out = fc.constantFrom('unauthorized', 'out-of-credit' as const)
    fc.assert(
      fc.property(out, anOffer, fc.nat(299_999), (kind, step, later) => {
        const health = createHealth(fair)
        note(health, step, failure(kind), 0)
        for (const each of offers) {
          const block = health.blockOf(each, later)
          if (each.provider === step.provider) expect(block).toMatchObject({ code: 'account-out', opens: false })
          else expect(block).toBeNull()
        }
        for (const each of offers) expect(health.blockOf(each, 300_000)).toBeNull()
      }),
      runs(),
    )
  })

  test('is out for five minutes, whatever it says about coming back sooner', () => {
    fc.assert(
      fc.property(fc.nat(299_000), (retryAfterMs) => {
        const health = createHealth(fair)
        note(health, ONE, failure('unauthorized', { retryAfterMs }), 0)
        expect(health.blockOf(ONE, 299_500)).toMatchObject({ code: 'account-out' })
      }),
      runs(),
    )
  })
})

describe('what is known of offers', () => {
  const own = failures.filter(({ kind, scope }) => VERDICTS[kind].blame !== 'account' && scope === 'model')
  const happened = fc.array(fc.tuple(fc.nat(5000), anOffer, fc.option(own, { freq: 4 })), {
    maxLength: 40,
    size: 'max',
  })

  test('is of each alone: what happens to the others changes nothing for it', () => {
    fc.assert(
      fc.property(happened, anOffer, (all, step) => {
        const [together, alone] = [createHealth(fair), createHealth(fair)]
        let now = 0
        for (const [passed, at, failed] of all) {
          now += passed
          note(together, at, failed, now)
          if (at === step) note(alone, at, failed, now)
          expect(together.blockOf(step, now)).toEqual(alone.blockOf(step, now))
        }
      }),
      runs(2), // Each compares forty times.
    )
  })

  test('is of one router alone', () => {
    fc.assert(
      fc.property(events, (all) => {
        const [busy, idle] = [createHealth(fair), createHealth(fair)]
        const now = lived(busy, all)
        for (const step of offers) expect(idle.blockOf(step, now)).toBeNull()
        expect(idle.report(now)).toEqual({ offers: [] })
        expect(idle.calm).toBe(true)
      }),
      runs(),
    )
  })

  test('is reported as plain data, frozen, and as it is', () => {
    fc.assert(
      fc.property(events, fc.nat(HOUR), (all, later) => {
        const health = createHealth(fair)
        const now = lived(health, all) + later
        const report = health.report(now)
        expect(JSON.parse(JSON.stringify(report))).toEqual(report)
        expect(isFrozen(report)).toBe(true)
        for (const { provider, model, state, forMs, because } of report.offers) {
          const block = health.blockOf(stepOf(provider, model), now)
          expect(state === 'well').toBe(block === null)
          expect([state, because]).toEqual([block?.code ?? 'well', block?.because ?? null])
          if (block !== null) expect(forMs).toBe(Math.max(0, block.until - now))
        }
      }),
      runs(2), // Each looks at all that is in it.
    )
  })

  test('speaks against nobody as long as all goes well', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(5000), anOffer)), (all) => {
        const health = createHealth(fair)
        const now = lived(
          health,
          all.map(([passed, step]) => [passed, step, null] as const),
        )
        expect(health.calm).toBe(true)
        for (const step of offers) expect(health.blockOf(step, now)).toBeNull()
      }),
      runs(),
    )
  })
})

function isFrozen(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  return Object.isFrozen(value) && Object.values(value).every(isFrozen)
}
