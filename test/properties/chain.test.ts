import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { firstTurn, type Situation, type Tried, turnByMove, turnByVerdict } from '../../src/chain.ts'
import { FAILURE_KINDS, type FailureKind, failure, VERDICTS } from '../../src/failure.ts'
import type { Move } from '../../src/fallback.ts'
import type { Block } from '../../src/health.ts'
import type { Way } from '../../src/way.ts'
import { runs } from '../support/runs.ts'
import { wayTo } from './ways.ts'

const PROVIDERS = ['one', 'two', 'three'] as const
const MODELS = ['alpha', 'beta', 'gamma'] as const
const NOW = 1_000_000
const LONGEST_WAIT = 30_000
const ROUNDING = 1e-6

const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const contexts = fc.option(fc.constantFrom(1000, 4000, 8000))

/** Every pair of a provider and a model once, some of them tried, some left, some not in the plan at all. */
const situations = (kinds: readonly FailureKind[] = FAILURE_KINDS): fc.Arbitrary<Situation> =>
  fc
    .record({
      known: fc.array(contexts, { minLength: 9, maxLength: 9 }),
      order: fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6, 7, 8], { minLength: 1 }),
      parted: fc.nat(8),
      failures: fc.array(
        fc.record({
          kind: fc.constantFrom(...kinds),
          retryAfterMs: fc.option(fc.constantFrom(0, 40, 3000, 29_000, 40_000)),
          times: fc.constantFrom(1, 1, 1, 2, 3),
          ago: fc.nat(20_000),
        }),
        { minLength: 9, maxLength: 9 },
      ),
      blocks: fc.array(
        fc.option(fc.record({ opens: fc.boolean(), ms: fc.oneof(fc.integer({ min: 1, max: 2000 }), fc.nat(60_000)) })),
        { minLength: 9, maxLength: 9 },
      ),
      repeatable: fc.subarray([...PROVIDERS]),
      time: fc.oneof(fc.constant(600_000), fc.nat(40_000)),
      random: chance,
    })
    .map(({ known, order, parted, failures, blocks, repeatable, time, random }) => {
      const ways = PROVIDERS.flatMap((provider, row) =>
        MODELS.map((model, column) => wayTo(provider, model, { context: known[row * 3 + column] ?? null })),
      )
      const chosen = order.flatMap((index) => ways[index] ?? [])
      const count = 1 + (parted % chosen.length)
      const tried = chosen.slice(0, count).flatMap((way, index): Tried[] => {
        const drawn = failures[index]
        if (drawn === undefined) return []
        const { kind, retryAfterMs, times, ago } = drawn
        // The last one has just failed.
        const endedAt = index === count - 1 ? NOW : NOW - ago
        return [{ way, times, failure: failure(kind, { retryAfterMs }), endedAt, mend: null }]
      })
      const [failed] = tried.slice(-1)
      if (failed === undefined) throw new Error('nothing failed')
      const out = new Set(
        tried.filter(({ failure }) => VERDICTS[failure.kind].blame === 'account').map(({ way }) => way.step.provider),
      )
      return {
        now: NOW,
        latest: NOW + time,
        failed,
        tried,
        left: chosen.slice(count),
        blockOf: (way: Way): Block | null => {
          const until = (ms: number) => ({ because: 'closed', until: NOW + ms })
          // As it is noted when an account refuses.
          if (out.has(way.step.provider)) return { code: 'account-out', ...until(300_000), opens: false }
          const drawn = blocks[ways.findIndex(({ step }) => sameStep(step, way.step))] ?? null
          if (drawn === null) return null
          return { code: drawn.opens ? 'rate-limited' : 'breaker-open', ...until(drawn.ms), opens: drawn.opens }
        },
        mayRepeat: ({ step }: Way) => repeatable.some((name) => name === step.provider),
        random: () => random,
        more: (model: string, provider: string | undefined) =>
          PROVIDERS.filter((name) => provider === undefined || name === provider).map((name) => wayTo(name, model)),
        // What breaks a property should fit a screen.
        [fc.toStringMethod]: () =>
          fc.stringify({
            tried: tried.map(({ way, failure, times, endedAt }) => [
              nameOf(way),
              failure.kind,
              failure.retryAfterMs,
              times,
              endedAt,
            ]),
            left: chosen.slice(count).map(nameOf),
            blocks: ways.flatMap((way, index) => (blocks[index] === null ? [] : [[nameOf(way), blocks[index]]])),
            repeatable,
            time,
            random,
          }),
      }
    })

const nameOf = ({ step, offer }: Way) => `${step.model} at ${step.provider} (${offer.context})`

const sameStep = (one: Way['step'], other: Way['step']) => one.provider === other.provider && one.model === other.model

/** Whether all that failed allows to go there, in the words of the table. */
function fits(way: Way, { tried }: Situation): boolean {
  return tried.every(({ way: before, failure }) => {
    const { next } = VERDICTS[failure.kind]
    if (next === 'provider' && before.step.provider === way.step.provider) return false
    if (next === 'model' && before.step.model === way.step.model) return false
    return failure.kind !== 'context-too-long' || isLarger(way, before)
  })
}

function isLarger({ offer }: Way, { offer: before }: Way): boolean {
  return offer.context === null || before.context === null || offer.context > before.context
}

const timesOf = (way: Way, { tried }: Situation) => tried.find((each) => each.way === way)?.times ?? 0

/** Again, although nobody has looked whether it is closed. */
const atOnce = (kind: FailureKind) => VERDICTS[kind].retry === 'first'
const LATER_KINDS = FAILURE_KINDS.filter((kind) => !atOnce(kind))

/** On to another model: because of what was said, or because nothing was. */
function roleOf({ step }: Way, { way, failure }: Tried): string {
  if (failure.kind !== 'bad-output' && failure.kind !== 'below-bar') return 'failover'
  return step.model === way.step.model ? 'failover' : 'escalation'
}

describe('what the table says', () => {
  test('never waits while an open way is left that makes sense', () => {
    fc.assert(
      fc.property(situations(), (situation) => {
        const turn = turnByVerdict(situation)
        if (VERDICTS[situation.failed.failure.kind].next === 'nowhere') return
        const open = situation.left.filter((way) => fits(way, situation) && situation.blockOf(way) === null)
        if (open.length === 0) return
        expect(turn?.at ?? Number.POSITIVE_INFINITY).toBeLessThanOrEqual(NOW)
        // The plan's order holds, unless the same is asked again at once.
        if (turn?.role === 'failover') expect(turn.way).toBe(open[0])
      }),
      runs(),
    )
  })

  test('ends where the failure leads nowhere', () => {
    const nowhere = FAILURE_KINDS.filter((kind) => VERDICTS[kind].next === 'nowhere')
    expect(nowhere.length).toBeGreaterThan(3)
    fc.assert(
      fc.property(situations(), fc.constantFrom(...nowhere), (situation, kind) => {
        const failed = { ...situation.failed, failure: failure(kind) }
        expect(turnByVerdict({ ...situation, failed })).toBeNull()
      }),
      runs(),
    )
  })

  test('never leads to an account that refused the key or has no credit', () => {
    fc.assert(
      fc.property(situations(['unauthorized', 'out-of-credit', 'server-error', 'bad-output']), (situation) => {
        const turn = turnByVerdict(situation)
        const out = situation.tried.filter(({ failure }) => VERDICTS[failure.kind].next === 'provider')
        // What failed for want of a better answer is asked again before anything else is looked at.
        if (turn === null || atOnce(situation.failed.failure.kind)) return
        expect(out.map(({ way }) => way.step.provider)).not.toContain(turn.way.step.provider)
      }),
      runs(),
    )
  })

  test('never leads to a context that is not larger than one that was too small', () => {
    fc.assert(
      fc.property(situations(['context-too-long', 'context-too-long', 'rate-limited', 'cut-off']), (situation) => {
        const turn = turnByVerdict(situation)
        if (turn === null) return
        for (const { way, failure } of situation.tried) {
          if (failure.kind === 'context-too-long') expect(isLarger(turn.way, way)).toBe(true)
        }
      }),
      runs(),
    )
  })

  test('never begins later than it may, and asks nobody a third time', () => {
    fc.assert(
      fc.property(situations(), (situation) => {
        const turn = turnByVerdict(situation)
        if (turn === null) return
        expect(turn.at).toBeLessThanOrEqual(situation.latest)
        expect(timesOf(turn.way, situation)).toBeLessThan(2)
        expect(turn.role).toBe(timesOf(turn.way, situation) === 0 ? roleOf(turn.way, situation.failed) : 'retry')
        if (turn.role === 'retry') expect(situation.mayRepeat(turn.way)).toBe(true)
        else expect(situation.left).toContain(turn.way)
        expect(turn.because).not.toBe('')
      }),
      runs(),
    )
  })

  test('never leads through a gate that is closed, nor to the same offer before it said', () => {
    fc.assert(
      fc.property(situations(LATER_KINDS), (situation) => {
        const turn = turnByVerdict(situation)
        if (turn === null) return
        const block = situation.blockOf(turn.way)
        if (block?.opens) expect(turn.at).toBeGreaterThanOrEqual(block.until)
        if (block?.opens) expect(block.until - NOW).toBeLessThanOrEqual(LONGEST_WAIT)
        const once = situation.tried.find(({ way }) => way === turn.way)
        if (once === undefined) return
        const { retryAfterMs } = once.failure
        expect(turn.at).toBeGreaterThanOrEqual(once.endedAt + (retryAfterMs ?? 0) - ROUNDING)
        expect(retryAfterMs ?? 0).toBeLessThanOrEqual(LONGEST_WAIT)
      }),
      runs(),
    )
  })

  test('nor where the answer was no good and is asked for again at once', () => {
    fc.assert(
      fc.property(situations(FAILURE_KINDS.filter(atOnce)), (situation) => {
        const turn = turnByVerdict(situation)
        const block = turn === null ? null : situation.blockOf(turn.way)
        if (turn !== null && block?.opens) expect(turn.at).toBeGreaterThanOrEqual(block.until)
      }),
      runs(),
    )
  })

  test('leads to one that keeps failing only where there is nothing else', () => {
    fc.assert(
      fc.property(situations(LATER_KINDS), (situation) => {
        const turn = turnByVerdict(situation)
        if (turn === null || situation.blockOf(turn.way)?.opens !== false) return
        expect(turn.role).toBe(roleOf(turn.way, situation.failed))
        for (const way of situation.left) {
          if (fits(way, situation)) expect(situation.blockOf(way)).not.toBeNull()
        }
      }),
      runs(),
    )
  })

  test('is the same for the same situation', () => {
    fc.assert(
      fc.property(situations(), (situation) => {
        expect(turnByVerdict(situation)).toEqual(turnByVerdict(situation))
      }),
      runs(),
    )
  })
})

const after = fc.constantFrom(undefined, 0, 10, 3000, 50_000)
const moves: fc.Arbitrary<Move> = fc.oneof(
  fc.record({
    move: fc.constantFrom('retry', 'next', 'next-provider', 'next-model', 'stop'),
    afterMs: after,
  }),
  fc.record({
    move: fc.constant('use' as const),
    model: fc.constantFrom(...MODELS),
    provider: fc.constantFrom(undefined, ...PROVIDERS),
    afterMs: after,
  }),
)

describe('what a rule asks for', () => {
  test('is done where it was asked for, and never later than it may', () => {
    fc.assert(
      fc.property(situations(), moves, (situation, move) => {
        const turn = turnByMove(move, situation)
        const { model, provider } = situation.failed.way.step
        expect(turn === 'stop').toBe(move.move === 'stop')
        if (turn === null || turn === 'stop') return
        const { step } = turn.way
        expect(turn.at).toBeLessThanOrEqual(situation.latest)
        expect(turn.at).toBeGreaterThanOrEqual(NOW + (move.afterMs ?? 0))
        expect(turn.role).toBe(move.move === 'retry' ? 'retry' : roleOf(turn.way, situation.failed))
        if (move.move === 'retry') expect(turn.way).toBe(situation.failed.way)
        if (move.move === 'next-provider') expect([step.model, step.provider === provider]).toEqual([model, false])
        if (move.move === 'next-model') expect(step.model).not.toBe(model)
        if (move.move === 'use')
          expect([step.model, step.provider]).toEqual([move.model, move.provider ?? step.provider])
        if (move.move !== 'retry') expect(timesOf(turn.way, situation)).toBe(0)
      }),
      runs(),
    )
  })

  test('is not done through a closed gate, at one who keeps failing, nor at an account that is out', () => {
    fc.assert(
      fc.property(situations(), moves, (situation, move) => {
        const turn = turnByMove(move, situation)
        if (turn === null || turn === 'stop') return
        const block = situation.blockOf(turn.way)
        if (block === null) return
        expect(block.opens).toBe(true)
        expect(turn.at).toBeGreaterThanOrEqual(block.until)
      }),
      runs(),
    )
  })

  test('is not done before the offer said, nor too often for its account, nor in a context that was too small', () => {
    fc.assert(
      fc.property(
        situations(['context-too-long', 'rate-limited', 'overloaded', 'bad-output']),
        moves,
        (given, move) => {
          const turn = turnByMove(move, given)
          if (turn === null || turn === 'stop') return
          if (turn.role === 'retry') {
            const { kind, retryAfterMs } = given.failed.failure
            expect(given.mayRepeat(turn.way)).toBe(true)
            if (!atOnce(kind)) expect(turn.at).toBeGreaterThanOrEqual(NOW + (retryAfterMs ?? 0))
            return
          }
          for (const { way, failure } of given.tried) {
            if (failure.kind === 'context-too-long') expect(isLarger(turn.way, way)).toBe(true)
          }
        },
      ),
      runs(),
    )
  })

  test('is what the plan has under that name, with all that the plan knows of it', () => {
    fc.assert(
      fc.property(situations(), fc.constantFrom(...MODELS), (situation, model) => {
        const turn = turnByMove({ move: 'use', model }, situation)
        if (turn === null || turn === 'stop') return
        const planned = situation.left.find(({ step }) => sameStep(step, turn.way.step))
        if (planned !== undefined) expect(turn.way).toBe(planned)
      }),
      runs(),
    )
  })
})

describe('the first turn', () => {
  test('is the first open way of the plan, at once; a gate is waited for only when all are closed', () => {
    fc.assert(
      fc.property(situations(), (situation) => {
        const { left, blockOf, latest } = situation
        const turn = firstTurn(left, situation)
        const open = left.find((way) => blockOf(way) === null)
        const ill = left.find((way) => blockOf(way)?.opens === false)
        const at = open ?? ill
        if (at !== undefined) {
          expect([turn?.way === at, turn?.at]).toEqual([true, NOW])
          return
        }
        const waits = left.map((way) => (blockOf(way)?.until ?? NOW) - NOW)
        if (turn === null) {
          // A tenth more than what was asked for, so that not all come at once.
          expect(waits.every((ms) => ms > LONGEST_WAIT || NOW + ms * 1.1 > latest)).toBe(true)
          return
        }
        expect(turn.at).toBeGreaterThanOrEqual(blockOf(turn.way)?.until ?? 0)
        expect(turn.at).toBeLessThanOrEqual(Math.min(latest, NOW + 1.1 * Math.min(...waits) + ROUNDING))
      }),
      runs(),
    )
  })
})
