import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createAllowance } from '../../src/allowance.ts'
import { runs } from '../support/runs.ts'

const event = fc.oneof(
  { weight: 5, arbitrary: fc.record({ what: fc.constant('earn' as const) }) },
  { weight: 4, arbitrary: fc.record({ what: fc.constant('ask' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constant('pass' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
)
/** Some crowded, so that time gives little, and some with long pauses. */
const histories = fc
  .tuple(fc.constantFrom(5, 300, 20_000), fc.array(event, { maxLength: 250, size: 'max' }))
  .map(([longest, events]) =>
    events.map((each) => (each.what === 'pass' ? { what: each.what, ms: each.share * longest } : each)),
  )
const ERROR = 1e-9

describe('what may be asked a second time', () => {
  test('is, for every beginning of any history, at most a tenth of what was asked first, one a second, and ten', () => {
    fc.assert(
      fc.property(histories, fc.nat(1_000_000), (events, start) => {
        const allowance = createAllowance()
        let now = start
        let earned = 0
        let spent = 0
        let over = Number.NEGATIVE_INFINITY
        for (const each of events) {
          if (each.what === 'pass') now += each.ms
          else if (each.what === 'earn') {
            allowance.earn()
            earned += 1
          } else if (allowance.allows(now)) {
            allowance.spend(now)
            spent += 1
          }
          over = Math.max(over, spent - (0.1 * earned + (now - start) / 1000 + 10))
        }
        expect(over).toBeLessThanOrEqual(ERROR)
      }),
      runs(),
    )
  })

  test('is never more than ten at once, however long nobody asked', () => {
    fc.assert(
      fc.property(histories, fc.nat(1e9), (events, idle) => {
        const allowance = createAllowance()
        let now = 0
        for (const each of events) {
          if (each.what === 'pass') now += each.ms
          else if (each.what === 'earn') allowance.earn()
          else if (allowance.allows(now)) allowance.spend(now)
        }
        now += idle
        let granted = 0
        for (; granted < 20 && allowance.allows(now); granted += 1) allowance.spend(now)
        expect(granted).toBeLessThanOrEqual(10)
        // Nobody is turned away for good: a second gives one, a long time all of them.
        expect(granted).toBeGreaterThanOrEqual(Math.min(10, Math.floor(idle / 1000)))
      }),
      runs(),
    )
  })

  test('grows again by one a second after whatever was taken without asking', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 60 }), (taken) => {
        const allowance = createAllowance()
        for (let n = 0; n < taken; n += 1) allowance.spend(0)
        const debt = Math.max(0, taken - 9)
        if (debt > 0) expect(allowance.allows(debt * 1000 - 1)).toBe(false)
        expect(allowance.allows(debt * 1000 + 1)).toBe(true)
      }),
      runs(),
    )
  })

  test('does not become more by a clock that stands still or by asking often', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.nat(900), (asked, ms) => {
        const allowance = createAllowance()
        for (let n = 0; n < 10; n += 1) allowance.spend(0)
        let granted = false
        for (let n = 1; n <= asked; n += 1) granted ||= allowance.allows((ms * n) / asked)
        expect(granted).toBe(false)
      }),
      runs(),
    )
  })
})
