import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Cost, FREE, fromUsd, sum, toUsd, UNKNOWN } from '../src/money.ts'
import { price, tariff } from '../src/price.ts'
import { runs } from './support/runs.ts'

/** Decimal digits as an integer of pico-dollars: no binary fraction is ever in it. */
function picosOf(decimal: string, places: number): bigint {
  const [whole = '0', fraction = ''] = decimal.split('.')
  return BigInt(whole + fraction.padEnd(places, '0'))
}

const digits = (most: number) =>
  fc
    .tuple(fc.nat(999), fc.stringMatching(new RegExp(`^[0-9]{0,${most}}$`)))
    .map(([whole, fraction]) => (fraction === '' ? `${whole}` : `${whole}.${fraction}`))

const interval = fc
  .tuple(fc.nat(1e12), fc.option(fc.nat(1e12)), fc.constantFrom('reported', 'computed', 'bounded', 'unknown'))
  .map(([low, more, source]): Cost => ({ low, high: more === null ? null : low + more, source }))

describe('dollars', () => {
  test('are counted to the pico-dollar as their digits say', () => {
    fc.assert(
      fc.property(digits(12), (decimal) => {
        expect(BigInt(fromUsd(Number(decimal)))).toBe(picosOf(decimal, 12))
      }),
      runs(),
    )
  })

  test('come back as they went in', () => {
    fc.assert(
      fc.property(fc.nat(Number.MAX_SAFE_INTEGER - 1), (money) => {
        fc.pre(money < 4e15)
        expect(fromUsd(toUsd(money))).toBe(money)
      }),
      runs(),
    )
    expect(toUsd(fromUsd(0.1) + fromUsd(0.2))).toBe(0.3)
  })
})

describe('a price', () => {
  test('of any decimal digits times any tokens is what integers of any length make of it', () => {
    const perMillion = digits(6)
    fc.assert(
      fc.property(perMillion, perMillion, fc.nat(2_000_000), fc.nat(200_000), (input, output, prompt, completion) => {
        const asked = tariff({ input: Number(input), output: Number(output) })
        const { cost } = price(asked, { prompt, completion, cachedPrompt: 0, cacheWrite: 0 })
        // USD per million with six places is whole pico-dollars per token.
        const exact = picosOf(input, 6) * BigInt(prompt) + picosOf(output, 6) * BigInt(completion)
        expect(BigInt(cost)).toBe(exact)
      }),
      runs(),
    )
  })

  test('finer than a pico-dollar per token is rounded once for all tokens', () => {
    const asked = tariff({ input: 0.000_000_25, output: 0 })
    expect(price(asked, { prompt: 4, completion: 0, cachedPrompt: 0, cacheWrite: 0 }).cost).toBe(1)
    expect(price(asked, { prompt: 1, completion: 0, cachedPrompt: 0, cacheWrite: 0 }).cost).toBe(0)
  })
})

describe('a sum', () => {
  test('adds both ends, in any order and any grouping', () => {
    fc.assert(
      fc.property(fc.array(interval, { maxLength: 8 }), fc.nat(8), (costs, at) => {
        const all = sum(costs)
        expect(all.low).toBe(costs.reduce((total, { low }) => total + low, 0))
        const open = costs.some(({ high }) => high === null)
        expect(all.high).toBe(open ? null : costs.reduce((total, { high }) => total + (high ?? 0), 0))
        expect(sum([...costs].reverse())).toMatchObject({ low: all.low, high: all.high, source: all.source })
        const grouped = sum([sum(costs.slice(0, at)), sum(costs.slice(at))])
        expect(grouped).toMatchObject({ low: all.low, high: all.high, source: all.source })
      }),
      runs(),
    )
  })

  test('is never more certain than its least certain part that costs anything', () => {
    const trust = ['reported', 'computed', 'bounded', 'unknown']
    fc.assert(
      fc.property(fc.array(interval, { minLength: 2 }), (costs) => {
        const paid = costs.filter(({ low, high }) => low !== 0 || high !== 0)
        const least = Math.max(...paid.map(({ source }) => trust.indexOf(source)))
        if (paid.length > 0) expect(sum(costs).source).toBe(trust[least])
      }),
      runs(),
    )
  })

  test('of nothing is free, and with something unknown in it has no upper end', () => {
    expect(sum([])).toEqual(FREE)
    expect(sum([FREE, FREE])).toEqual(FREE)
    expect(sum([FREE, UNKNOWN])).toEqual(UNKNOWN)
  })

  test('of one reported cost and free attempts keeps the cost to its last digit', () => {
    const usd = 0.007_650_916_900_000_000_5
    const reported: Cost = { low: fromUsd(usd), high: fromUsd(usd), source: 'reported', usd }
    expect(sum([FREE, reported, FREE])).toBe(reported)
  })
})
