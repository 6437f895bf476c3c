import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createPaces } from '../../src/pace.ts'
import { runs } from '../support/runs.ts'

const milliseconds = fc.double({ min: 0, max: 600_000, noNaN: true, noDefaultInfinity: true })
const firsts = fc.oneof(
  fc.array(milliseconds, { maxLength: 30 }),
  fc.array(fc.nat(50), { minLength: 15, maxLength: 260, size: 'max' }),
)

function seen(times: readonly number[]) {
  const paces = createPaces()
  for (const firstMs of times) paces.note('offer', { tokensPerSecond: null, firstMs })
  return paces
}

describe('how long 19 of 20 calls took at most', () => {
  test('is one of the last hundred times, and at least 95 of 100 of them did not exceed it, nor fewer than that', () => {
    fc.assert(
      fc.property(firsts, (times) => {
        const p95 = seen(times).p95('offer')
        expect(p95 === null).toBe(times.length < 20)
        if (p95 === null) return
        const kept = times.slice(-100)
        expect(kept).toContain(p95)
        const within = kept.filter((time) => time <= p95).length
        expect(within / kept.length).toBeGreaterThanOrEqual(0.95)
        // The smallest that does: with any smaller one, fewer would be within.
        const below = kept.filter((time) => time < p95).length
        expect(below / kept.length).toBeLessThan(0.95)
      }),
      runs(2), // Each sorts up to 260 times.
    )
  })

  test('does not depend on the order of the calls that are kept', () => {
    fc.assert(
      fc.property(fc.array(milliseconds, { minLength: 20, maxLength: 100, size: 'max' }), fc.nat(), (times, by) => {
        const at = by % times.length
        const turned = [...times.slice(at), ...times.slice(0, at)]
        expect(seen(turned).p95('offer')).toBe(seen(times).p95('offer'))
      }),
      runs(),
    )
  })

  test('is of that offer alone', () => {
    fc.assert(
      fc.property(firsts, firsts, (own, others) => {
        const paces = createPaces()
        for (let n = 0; n < Math.max(own.length, others.length); n += 1) {
          const [mine, other] = [own[n], others[n]]
          if (other !== undefined) paces.note('another', { tokensPerSecond: other, firstMs: other })
          if (mine !== undefined) paces.note('offer', { tokensPerSecond: mine, firstMs: mine })
        }
        expect(paces.p95('offer')).toBe(seen(own).p95('offer'))
      }),
      runs(),
    )
  })
})

test('a speed lies between the slowest and the fastest call, and what was not measured changes nothing', () => {
  fc.assert(
    fc.property(fc.array(fc.option(milliseconds), { maxLength: 40, size: 'max' }), (speeds) => {
      const paces = createPaces()
      for (const tokensPerSecond of speeds) paces.note('offer', { tokensPerSecond, firstMs: null })
      const measured = speeds.filter((speed) => speed !== null)
      const speed = paces.speed('offer')
      expect(speed === null).toBe(measured.length === 0)
      if (measured.length === 0) return
      const slack = 1e-9 * Math.max(...measured)
      expect(speed).toBeGreaterThanOrEqual(Math.min(...measured) - slack)
      expect(speed).toBeLessThanOrEqual(Math.max(...measured) + slack)
      expect(paces.p95('offer')).toBeNull()
    }),
    runs(),
  )
})
