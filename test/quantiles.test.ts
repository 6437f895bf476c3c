import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createQuantiles, RELATIVE_ERROR } from '../src/quantiles.ts'
import { runs } from './support/runs.ts'

const value = fc.double({ min: 0.001, max: 1e9, noNaN: true })
const milliseconds = fc.oneof(fc.double({ min: 1, max: 60_000, noNaN: true }), value, fc.constantFrom(0.001, 1, 1e9))
const values = fc.array(milliseconds, { minLength: 1, maxLength: 300, size: 'max' })
/** Up to three hundred values, sorted and counted. */
const LONG = 5

const share = fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(0, 0.5, 0.95, 0.99, 1))

function of(list: readonly number[]) {
  const quantiles = createQuantiles()
  for (const each of list) quantiles.add(each)
  return quantiles
}

function exactly(list: readonly number[], q: number): number {
  const sorted = [...list].sort((one, other) => one - other)
  return sorted[Math.floor(q * (sorted.length - 1))] ?? Number.NaN
}

describe('quantiles', () => {
  test('are within one percent of the exact ones', () => {
    fc.assert(
      fc.property(values, share, (list, q) => {
        const exact = exactly(list, q)
        const found = of(list).at(q) ?? Number.NaN
        // The last digits of a logarithm are rounded.
        expect(Math.abs(found - exact)).toBeLessThanOrEqual(exact * RELATIVE_ERROR * (1 + 1e-9))
      }),
      runs(LONG),
    )
  })

  test('of two parts together are those of the whole, and no order matters', () => {
    fc.assert(
      fc.property(values, values, (one, other) => {
        const merged = of(one)
        merged.merge(of(other))
        expect(merged.toJSON()).toEqual(of([...other, ...one].reverse()).toJSON())
        expect(merged.count).toBe(one.length + other.length)
      }),
      runs(LONG),
    )
  })

  test('forget what is taken back, to the last mark', () => {
    fc.assert(
      fc.property(values, values, (kept, gone) => {
        const quantiles = of([...gone, ...kept])
        for (const each of gone) quantiles.remove(each)
        expect(quantiles.toJSON()).toEqual(of(kept).toJSON())
      }),
      runs(LONG),
    )
  })

  test('come back from JSON', () => {
    fc.assert(
      fc.property(values, share, (list, q) => {
        const saved = createQuantiles(JSON.parse(JSON.stringify(of(list))))
        expect([saved.at(q), saved.count]).toEqual([of(list).at(q), list.length])
      }),
      runs(LONG),
    )
  })

  test('of nothing are nothing', () => {
    const none = createQuantiles()
    expect([none.count, none.at(0), none.at(0.5), none.at(1)]).toEqual([0, null, null, null])
    const emptied = of([5])
    emptied.remove(5)
    expect([emptied.count, emptied.at(0.5)]).toEqual([0, null])
  })

  test('take nothing for a number that is none', () => {
    const quantiles = of([7, Number.NaN])
    expect(quantiles.count).toBe(1)
    expect(quantiles.at(Number.NaN)).toBeNull()
  })

  test('take what is below a thousandth for 0, and what is above a milliard for a milliard', () => {
    expect([0, -0, -5, Number.NEGATIVE_INFINITY, 0.0009, Number.MIN_VALUE].map((each) => of([each]).at(0.5))).toEqual([
      0, 0, 0, 0, 0, 0,
    ])
    const most = of([1e9]).at(0.5)
    expect([1e10, Number.MAX_VALUE, Number.POSITIVE_INFINITY].map((each) => of([each]).at(0.5))).toEqual([
      most,
      most,
      most,
    ])
    expect(most).toBeGreaterThan(0.99e9)
  })

  test('asked for less than the lowest and more than the highest tell these', () => {
    const quantiles = of([1, 10, 100])
    expect([quantiles.at(-1), quantiles.at(2)]).toEqual([quantiles.at(0), quantiles.at(1)])
  })

  test('stay small whatever comes', () => {
    const quantiles = createQuantiles()
    for (let n = 0; n < 100_000; n += 1) quantiles.add(10 ** (20 * ((n * 0.618_033_988_7) % 1) - 6))
    expect(quantiles.count).toBe(100_000)
    expect(quantiles.toJSON().marks.length).toBeLessThanOrEqual(1400)
    expect(JSON.stringify(quantiles).length).toBeLessThan(20_000)
  })

  test('saved by nobody are left out', () => {
    const marks = [
      [10, 2],
      [10.5, 1],
      [11, 0],
      [12, -1],
      [13, 0.5],
      [1e6, 1],
      [Number.NaN, 1],
    ] as const
    expect(createQuantiles({ v: 1, marks }).toJSON().marks).toEqual([[10, 2]])
  })
})
