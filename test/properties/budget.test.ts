import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createBudget, LEAST_TIME } from '../../src/budget.ts'
import { createCancellation } from '../../src/cancellation.ts'
import type { Call } from '../../src/exchange.ts'
import type { Cost } from '../../src/money.ts'
import { policyOf } from '../../src/policy.ts'
import { runs } from '../support/runs.ts'
import { type QuickClock, quickClock } from './clock.ts'
import { wayTo } from './ways.ts'

const request = { messages: [] }

function callOf(clock: QuickClock, limits: { attempts?: number; timeoutMs?: number; maxCostUsd?: number }): Call {
  const { timeoutMs = 600_000 } = limits
  return {
    id: 'call',
    at: '2026-01-01T00:00:00.000Z',
    policy: policyOf({ model: 'alpha', limits }, { task: 'say', field: 'tasks.say', providers: ['one'] }),
    request,
    settings: { defaults: {}, policy: {}, asked: request },
    clock,
    random: () => 0.5,
    deadline: clock.now() + timeoutMs,
    startedAt: clock.now(),
    utcMinutes: 0,
    cancellation: createCancellation(),
    session: null,
    refuses: null,
    demand: null,
  }
}

/** In millionths of a dollar, so that sums are exact here too. */
const micros = fc.nat(20_000)
const usd = (micro: number) => micro / 1e6
const PICO = 1e6

const tries = fc.record({
  what: fc.constant('try' as const),
  /** What it can cost at the most; nobody knows. */
  worst: fc.option(micros, { freq: 15 }),
})
const settles = fc.record({
  what: fc.constant('settle' as const),
  which: fc.nat(20),
  /** Of what was set aside; `null`: nobody knows what it was. */
  share: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { freq: 15 }),
})

describe('the budget of a call', () => {
  test('is never exceeded by what is set aside and what was spent, when it was asked first', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50_000 }),
        fc.integer({ min: 1, max: 12 }),
        fc.array(fc.oneof({ weight: 2, arbitrary: tries }, settles), { maxLength: 40, size: 'max' }),
        (most, attempts, steps) => {
          const budget = createBudget(callOf(quickClock(), { attempts, maxCostUsd: usd(most) }))
          /** In pico-dollars, by attempt. */
          const committed: (number | null)[] = []
          const open: number[] = []
          for (const step of steps) {
            const sum = committed.reduce<number | null>(
              (all, each) => (all === null || each === null ? null : all + each),
              0,
            )
            if (step.what === 'try') {
              const way = wayTo('one', 'alpha', { high: step.worst === null ? null : usd(step.worst) })
              const refused = budget.refusal(way)
              const fits = sum !== null && step.worst !== null && sum + step.worst * PICO <= most * PICO
              // As it has to be, and no more: what fits is allowed.
              expect(refused === null).toBe(fits && committed.length < attempts)
              if (refused !== null) continue
              expect(budget.reserve(way)).toBe(committed.length + 1)
              open.push(committed.length)
              committed.push((step.worst ?? 0) * PICO)
            } else {
              const [index] = open.splice(step.which % Math.max(open.length, 1), 1)
              if (index === undefined) continue
              const high = step.share === null ? null : Math.floor((committed[index] ?? 0) * step.share)
              const cost: Cost = { low: 0, high, source: high === null ? 'unknown' : 'bounded' }
              budget.settle(index + 1, cost)
              committed[index] = high
            }
            const known = committed.reduce<number>((all, each) => all + (each ?? 0), 0)
            expect(known).toBeLessThanOrEqual(most * PICO)
            expect(committed.length).toBeLessThanOrEqual(attempts)
            expect(budget.attemptsLeft).toBe(attempts - committed.length)
          }
        },
      ),
      runs(),
    )
  })

  test('allows nothing more once something has cost nobody knows how much', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50_000 }), (most) => {
        const budget = createBudget(callOf(quickClock(), { attempts: 100, maxCostUsd: usd(most) }))
        const way = wayTo('one', 'alpha', { high: 0 })
        budget.settle(budget.reserve(way), { low: 0, high: null, source: 'unknown' })
        expect(budget.refusal(way)).toMatchObject({ kind: 'out-of-budget', code: 'cost' })
      }),
      runs(),
    )
  })

  test('without a limit of cost is the number of attempts alone, whatever they cost', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), fc.option(micros), (attempts, worst) => {
        const budget = createBudget(callOf(quickClock(), { attempts }))
        const way = wayTo('one', 'alpha', { high: worst === null ? null : usd(worst) })
        let made = 0
        for (; made < 200 && budget.refusal(way) === null; made += 1) budget.reserve(way)
        expect(made).toBe(attempts)
        expect(budget.refusal(way)).toMatchObject({ kind: 'out-of-budget', code: 'attempts' })
      }),
      runs(),
    )
  })

  test('begins nothing that would have no time, and nothing for those who gave up', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5000 }),
        fc.nat(6000),
        fc.boolean(),
        async (timeoutMs, passed, gone) => {
          const clock = quickClock()
          const cancellation = createCancellation()
          const budget = createBudget({ ...callOf(clock, { timeoutMs }), cancellation })
          await clock.advance(passed)
          if (gone) cancellation.cancel(null)
          const way = wayTo('one', 'alpha')
          const kind = budget.refusal(way)?.kind ?? null
          const isLate = timeoutMs - passed < LEAST_TIME
          expect(kind).toBe(gone ? 'canceled' : isLate ? 'timed-out' : null)
          expect(budget.remaining).toBe(timeoutMs - passed)
        },
      ),
      runs(),
    )
  })
})
