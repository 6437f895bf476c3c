import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FAILURE_KINDS, failure } from '../../src/failure.ts'
import { LONGEST_WAIT } from '../../src/health.ts'
import { pauseOf, repeated, spread } from '../../src/retry.ts'
import { runs } from '../support/runs.ts'

const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const kinds = fc.constantFrom(...FAILURE_KINDS)
const times = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 1_000_000 }))
const LONGEST_TIMER = 2 ** 31 - 1

describe('a pause before the same offer is asked again', () => {
  test('that nobody asked for is finite, not below nothing, and within a bound that doubles up to eight seconds', () => {
    fc.assert(
      fc.property(kinds, times, chance, (kind, attempt, random) => {
        const pause = pauseOf(failure(kind), { times: attempt, random: () => random }) ?? Number.NaN
        const base = kind === 'rate-limited' ? 1000 : 500
        // Doubled one by one: no power of two is too large for that.
        let bound = base
        for (let n = 1; n < attempt && bound < 8000; n += 1) bound *= 2
        expect(pause).toBeGreaterThanOrEqual(0)
        expect(pause).toBeLessThanOrEqual(Math.min(bound, 8000))
        expect(Number.isFinite(pause)).toBe(true)
      }),
      runs(),
    )
  })

  test('takes all of its range: who draws more waits longer', () => {
    fc.assert(
      fc.property(kinds, times, chance, chance, (kind, attempt, one, other) => {
        const at = (random: number) => pauseOf(failure(kind), { times: attempt, random: () => random }) ?? 0
        expect(at(0)).toBe(0)
        if (one < other) expect(at(one)).toBeLessThanOrEqual(at(other))
      }),
      runs(),
    )
  })

  test('that was asked for is never shorter than that, a tenth longer at the most, and never so short as none', () => {
    const hints = fc.oneof(fc.nat(200), fc.double({ min: 0, max: LONGEST_WAIT, noNaN: true }))
    fc.assert(
      fc.property(kinds, hints, times, chance, (kind, retryAfterMs, attempt, random) => {
        const pause = pauseOf(failure(kind, { retryAfterMs }), { times: attempt, random: () => random }) ?? Number.NaN
        expect(pause).toBeGreaterThanOrEqual(Math.max(50, retryAfterMs))
        expect(pause).toBeLessThanOrEqual(1.1 * Math.max(50, retryAfterMs) + 1e-6)
      }),
      runs(),
    )
  })

  test('of more than half a minute is none: nobody waits so long', () => {
    fc.assert(
      fc.property(
        kinds,
        fc.double({ min: LONGEST_WAIT, minExcluded: true, noNaN: true }),
        times,
        (kind, ms, attempt) => {
          const about = { times: attempt, random: () => 0 }
          expect(pauseOf(failure(kind, { retryAfterMs: ms }), about)).toBeNull()
        },
      ),
      runs(),
    )
  })

  test('fits a timer, whatever was drawn and however often it was tried', () => {
    fc.assert(
      fc.property(kinds, fc.option(fc.nat(86_400_000)), times, chance, (kind, hint, attempt, random) => {
        const about = { times: attempt, random: () => random }
        const pause = pauseOf(failure(kind, { retryAfterMs: hint }), about) ?? 0
        expect(pause >= 0 && pause <= LONGEST_TIMER).toBe(true)
      }),
      runs(),
    )
  })

  test('that many were told is spread, and only to later', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 3_600_000, noNaN: true }), chance, (milliseconds, random) => {
        const later = spread(milliseconds, () => random)
        expect(later >= milliseconds && later <= 1.1 * milliseconds + 1e-6).toBe(true)
      }),
      runs(),
    )
  })
})

describe('rounds', () => {
  test('go on exactly until one says that it is over, and what it brought comes back', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 12 }), fc.anything(), async (needed, brought) => {
        let made = 0
        const came = await repeated(
          async () => {
            made += 1
            return { over: made === needed, brought }
          },
          ({ over }) => over,
        )
        expect(made).toBe(needed)
        expect(came.brought).toBe(brought)
      }),
      runs(),
    )
  })

  test('end with what a round throws, at once and as it was thrown', async () => {
    const thrown = fc.constantFrom(new Error('odd'), new TypeError('fetch failed'), new RangeError('odd'))
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 5 }), thrown, async (at, error) => {
        let made = 0
        const round = async () => {
          made += 1
          if (made === at) throw error
          return made
        }
        await expect(repeated(round, () => false)).rejects.toBe(error)
        expect(made).toBe(at)
      }),
      runs(),
    )
  })
})
