import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { type Bill, costOf } from '../src/cost.ts'
import { readListing } from '../src/listing.ts'
import { toUsd } from '../src/money.ts'
import { type PriceList, tariff } from '../src/price.ts'
import { costRecord } from '../src/usage.ts'

const folder = fileURLToPath(new URL('../../shared/data/', import.meta.url))
const paths = [`${folder}bills.jsonl`, `${folder}catalog/openrouter-models.2026-08-22.json`] as const
const there = paths.every((path) => existsSync(path))
const title = there ? 'real bills' : 'real bills (skipped: ../shared/data is not there)'

interface RealBill {
  readonly id: string
  readonly date: string
  readonly model: string
  readonly responseModel: string
  readonly upstream: string
  readonly prompt: number
  readonly cached: number
  readonly cacheWrite: number
  readonly completion: number
  readonly reasoning: number
  readonly cost: number
  readonly upstreamCost: number | null
  /** What the list of the day came to. */
  readonly catalogueEstimate: number
  readonly catalogueDate: string
}

describe.skipIf(!there)(title, () => {
  const bills: readonly RealBill[] = there
    ? readFileSync(paths[0], 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
    : []
  const listed = new Map<string, PriceList>()
  for (const model of there ? readListing(JSON.parse(readFileSync(paths[1], 'utf8'))) : []) {
    for (const name of [...(model.aliases ?? []), model.id]) if (model.prices) listed.set(name, model.prices)
  }

  const groups = new Map<string, RealBill[]>()
  for (const bill of bills) {
    const key = `${bill.model} ${bill.catalogueDate}`
    groups.set(key, [...(groups.get(key) ?? []), bill])
  }

  /** The list of the bill's day: the one at hand where it comes to the same estimate, else it is found from estimates. */
  function listOf(bill: RealBill): readonly PriceList[] {
    const known = listed.get(bill.responseModel) ?? listed.get(bill.model)
    if (known !== undefined && isSame(pointAt(known, bill), bill.catalogueEstimate)) return [known]
    const pictures = listed.get(bill.model.replace(/-preview$/, ''))?.imageOutput
    const sameDay = groups.get(`${bill.model} ${bill.catalogueDate}`) ?? []
    // The list of another day will do where it comes to the same estimate.
    const solved =
      solve(bill, sameDay) ?? solveCached(bill, sameDay) ?? solveCached(bill, bills.filter(isOf(bill.model)))
    if (solved === null) return []
    return [pictures === undefined ? solved : { ...solved, imageOutput: pictures }]
  }

  test('that are reported are taken as they are, to the last digit, all 1,358', () => {
    expect(bills).toHaveLength(1358)
    const exact = bills.filter((bill) => {
      const { usd, low, high, source } = costRecord(costOf({ ...billOf(bill, null), reported: bill.cost }))
      return usd === bill.cost && low === bill.cost && high === bill.cost && source === 'reported'
    })
    expect(exact).toHaveLength(1358)
  })

  test('lie inside what is computed in 95 of 100 cases and more, where the price is known and the same at every host', () => {
    const sold = bills.filter((bill) => isSoldAtOnePrice(bill.model))
    const { rows, unpriced } = judged(sold, listOf)
    report('one price wherever it is sold', rows, unpriced)
    expect(rows.length).toBeGreaterThan(900)
    expect(rows.filter(({ inside }) => inside).length / rows.length).toBeGreaterThanOrEqual(0.95)
    // Honest, not simply wide.
    expect(width(rows)).toBeLessThan(0.05)
    expect(causes(rows)['not explained'] ?? 0).toBeLessThan(5)
  })

  test('lie inside what is computed at the prices of their own host, found from its other bills', () => {
    const open = bills.filter((bill) => !isSoldAtOnePrice(bill.model))
    const { rows, unpriced } = judged(open, (bill) => {
      const away = (other: RealBill) => Math.abs(Date.parse(other.date) - Date.parse(bill.date))
      const siblings = open
        .filter(isOf(bill.model))
        .filter((other) => other !== bill && other.upstream === bill.upstream && away(other) < 45 * 86_400_000)
        .sort((one, other) => away(one) - away(other))
      // Its price for cached tokens is something up to that for others.
      return hostPrices(siblings).flatMap((list) => (bill.cached > 0 ? [list, { ...list, cachedInput: 0 }] : [list]))
    })
    report("the host's own price, from its other bills", rows, unpriced)
    expect(rows.length).toBeGreaterThan(140)
    expect(width(rows)).toBeLessThan(0.25)
    expect(rows.filter(({ inside }) => inside).length / rows.length).toBeGreaterThanOrEqual(0.95)
  })

  test('lie inside the bounds when the answer broke off and nothing is told but what was asked for', () => {
    const sold = bills.filter((bill) => isSoldAtOnePrice(bill.model))
    const { rows, unpriced } = judged(sold, listOf, (bill) => ({
      tokens: { prompt: null, cachedPrompt: null, cacheWrite: null, completion: null, reasoning: null, total: null },
      billed: 'maybe',
      // Four bytes to a token, and twice the answer that came.
      most: { promptTokens: bill.prompt * 4, completionTokens: bill.completion * 2 },
    }))
    report('nothing told but the limits', rows, unpriced)
    expect(rows.filter(({ inside }) => inside).length / rows.length).toBeGreaterThanOrEqual(0.95)
  })

  test('lie inside the bounds when the cache and the thinking are not told', () => {
    const sold = bills.filter((bill) => isSoldAtOnePrice(bill.model))
    const { rows, unpriced } = judged(sold, listOf, (bill) => ({
      tokens: { ...billOf(bill, null).tokens, cachedPrompt: null, cacheWrite: null, reasoning: null },
    }))
    report('cache and thinking not told', rows, unpriced)
    expect(rows.filter(({ inside }) => inside).length / rows.length).toBeGreaterThanOrEqual(0.95)
  })
})

/** Nobody else may sell them for less: their hosts ask what the list says. Open weights have a price at each host. */
function isSoldAtOnePrice(model: string): boolean {
  return /^(openai\/(?!gpt-oss)|anthropic\/|google\/gemini|x-ai\/)/.test(model)
}

function billOf(bill: RealBill, list: PriceList | null): Bill {
  const { prompt, cached, cacheWrite, completion, reasoning } = bill
  return {
    tokens: { prompt, cachedPrompt: cached, cacheWrite, completion, reasoning, total: prompt + completion },
    reported: null,
    // Without a single token of an answer it may be insured.
    billed: completion === 0 ? 'maybe' : 'yes',
    tariff: list === null ? null : tariff(list),
    most: { promptTokens: prompt, completionTokens: completion },
    // How many of the tokens were pictures, these bills do not tell.
    media: { audioPrompt: 0, audioCompletion: 0, imageCompletion: null },
    utcMinutes: 720,
  }
}

interface Row {
  readonly bill: RealBill
  readonly inside: boolean
  readonly low: number
  readonly high: number
  readonly cause: string
}

function judged(
  bills: readonly RealBill[],
  listsOf: (bill: RealBill) => readonly PriceList[],
  over: (bill: RealBill) => Partial<Bill> = () => ({}),
): { readonly rows: readonly Row[]; readonly unpriced: number } {
  const rows: Row[] = []
  let unpriced = 0
  for (const bill of bills) {
    const [list = null, ...others] = listsOf(bill)
    const { low, high } = costOf({ ...billOf(bill, list), others: others.map(tariff), ...over(bill) })
    if (list === null || high === null) {
      unpriced += 1
      continue
    }
    const room = 1e-9 + bill.cost * 1e-6
    const inside = bill.cost >= toUsd(low) - room && bill.cost <= toUsd(high) + room
    rows.push({ bill, inside, low: toUsd(low), high: toUsd(high), cause: inside ? '' : causeOf(bill, toUsd(high)) })
  }
  return { rows, unpriced }
}

function causeOf(bill: RealBill, computed: number): string {
  const beyond = bill.cost - computed
  const thousandths = beyond * 1000
  if (bill.completion > 0 && bill.cost === 0) return 'not charged, and nobody says why'
  if (bill.upstreamCost !== null && bill.cost - bill.upstreamCost > 0.001) return 'something was done besides: a plugin'
  if (beyond > 0.009 && Math.abs(thousandths - Math.round(thousandths)) < 1e-6) return 'searches by the host'
  if (bill.model.endsWith(':free')) return 'a free model, answered by another that is not'
  if (computed === 0) return 'listed as free, and charged for'
  const ratio = bill.cost / computed
  if ([2, 1.5].some((times) => Math.abs(ratio - times) < 0.001)) return 'a discount was listed and not given'
  if ([5 / 3, 2.2].some((times) => Math.abs(ratio - times) < 0.001)) return 'a tier at a price of its own'
  if (Math.abs(beyond) <= 2e-6 && Math.abs(bill.cost * 1e6 - Math.round(bill.cost * 1e6)) < 1e-6) return 'rounded'
  return 'not explained'
}

function causes(rows: readonly Row[]): Record<string, number> {
  const counted: Record<string, number> = {}
  for (const { inside, cause } of rows) if (!inside) counted[cause] = (counted[cause] ?? 0) + 1
  return counted
}

/** How wide the intervals are, as a part of the bill: the mean. */
function width(rows: readonly Row[]): number {
  const paid = rows.filter(({ bill }) => bill.cost > 0)
  return paid.reduce((sum, { low, high, bill }) => sum + (high - low) / bill.cost, 0) / paid.length
}

function report(what: string, rows: readonly Row[], unpriced: number): void {
  const inside = rows.filter((row) => row.inside).length
  console.info(what, {
    bills: rows.length,
    inside: `${((100 * inside) / rows.length).toFixed(2)} %`,
    points: rows.filter(({ low, high }) => low === high).length,
    meanWidth: `${(100 * width(rows)).toFixed(2)} % of the bill`,
    misses: causes(rows),
    priceNotKnown: unpriced,
  })
  for (const { bill, low, high } of rows.filter(({ cause }) => cause === 'not explained')) {
    console.info('not explained', bill.upstream, bill.model, bill.date, { billed: bill.cost, low, high })
  }
}

function isSame(one: number, other: number): boolean {
  return Math.abs(one - other) <= 1e-9 + 1e-6 * Math.max(one, other)
}

/** With no room for pictures: estimates know of none. */
function pointAt({ imageOutput: _pictures, ...list }: PriceList, bill: RealBill): number {
  return toUsd(costOf(billOf(bill, list)).high ?? Number.NaN)
}

function isOf(model: string): (bill: RealBill) => boolean {
  return (bill) => bill.model === model
}

const said = ({ catalogueEstimate }: RealBill) => catalogueEstimate

/** By plain arithmetic, for bills without a cache. */
function coldAt({ input, output }: PriceList, { prompt, completion }: RealBill): number {
  return (prompt * input + completion * output) / 1e6
}

/** The prices that come to the estimates of several bills: two of them, without a cache, fix two prices. */
function solve(bill: RealBill, others: readonly RealBill[]): PriceList | null {
  const cold = others.filter(({ cached }) => cached === 0)
  for (const [index, one] of cold.entries()) {
    for (const other of cold.slice(index + 1)) {
      const pair = pricesFrom(one, other, said)
      if (pair === null) continue
      const { prompt, cached, completion } = bill
      if (cached === 0) {
        if (isSame(pointAt(pair, bill), said(bill))) return pair
        continue
      }
      const rest = said(bill) - ((prompt - cached) * pair.input + completion * pair.output) / 1e6
      const cachedInput = tidy((rest * 1e6) / cached)
      if (cachedInput >= 0 && cachedInput <= pair.input) return { ...pair, cachedInput }
    }
  }
  return null
}

/** Where all of a model's bills have cached tokens in them, three fix three prices, and this one has to agree. */
function solveCached(bill: RealBill, others: readonly RealBill[]): PriceList | null {
  const few = others.filter((other) => other !== bill).slice(0, MOST_SIBLINGS)
  const counts = ({ prompt, cached, completion }: RealBill): Triple => [prompt - cached, cached, completion]
  for (const [index, one] of few.entries()) {
    for (const [offset, other] of few.slice(index + 1).entries()) {
      for (const third of few.slice(index + offset + 2)) {
        const rows = [counts(one), counts(other), counts(third)] as const
        const found = cramer(rows, [said(one), said(other), said(third)])
        if (found === null) continue
        const [input, cachedInput, output] = found.map((price) => tidy(price * 1e6))
        if (input === undefined || cachedInput === undefined || output === undefined) continue
        if (input < 0 || cachedInput < 0 || output < 0) continue
        const list = { input, cachedInput, output }
        if ([bill, one, other, third].every((each) => isSame(pointAt(list, each), said(each)))) return list
      }
    }
  }
  return null
}

type Triple = readonly [number, number, number]

function cramer(rows: readonly [Triple, Triple, Triple], sums: Triple): Triple | null {
  const [a, b, c] = rows
  const [x, y, z] = sums
  const all = determinant(a, b, c)
  const size = Math.hypot(...a) * Math.hypot(...b) * Math.hypot(...c)
  if (Math.abs(all) < 1e-4 * size) return null
  return [
    determinant([x, a[1], a[2]], [y, b[1], b[2]], [z, c[1], c[2]]) / all,
    determinant([a[0], x, a[2]], [b[0], y, b[2]], [c[0], z, c[2]]) / all,
    determinant([a[0], a[1], x], [b[0], b[1], y], [c[0], c[1], z]) / all,
  ]
}

function determinant(a: Triple, b: Triple, c: Triple): number {
  return a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) + a[2] * (b[0] * c[1] - b[1] * c[0])
}

function pricesFrom(one: RealBill, other: RealBill, said: (bill: RealBill) => number): PriceList | null {
  const determinant = one.prompt * other.completion - other.prompt * one.completion
  if (Math.abs(determinant) < 0.05 * (one.prompt * other.completion + other.prompt * one.completion)) return null
  const input = (said(one) * other.completion - said(other) * one.completion) / determinant
  const output = (one.prompt * said(other) - other.prompt * said(one)) / determinant
  const list = { input: tidy(input * 1e6), output: tidy(output * 1e6) }
  const fits = [one, other].every((bill) => isSame(coldAt(list, bill), said(bill)))
  return fits && list.input >= 0 && list.output >= 0 ? list : null
}

/** Prices are written with few digits. */
function tidy(price: number): number {
  return Number(price.toFixed(5))
}

/**
 * What a host asks, from its bills: two fix it, and a third one agrees. Some hosts sell a model at several endpoints,
 * each at a price of its own, and an answer does not say which it was.
 */
function hostPrices(bills: readonly RealBill[]): readonly PriceList[] {
  const found: PriceList[] = []
  let left = bills.filter(({ cached, cost }) => cached === 0 && cost > 0).slice(0, MOST_SIBLINGS)
  for (;;) {
    const best = bestOf(left)
    if (best === null) return found
    found.push(best)
    left = left.filter((bill) => !isSame(coldAt(best, bill), bill.cost))
  }
}

const MOST_SIBLINGS = 16

function bestOf(bills: readonly RealBill[]): PriceList | null {
  let best: { readonly list: PriceList; readonly agree: number } | null = null
  for (const [index, one] of bills.entries()) {
    for (const other of bills.slice(index + 1)) {
      const list = pricesFrom(one, other, ({ cost }) => cost)
      if (list === null) continue
      const agree = bills.filter((bill) => isSame(coldAt(list, bill), bill.cost)).length
      if (agree > (best?.agree ?? 2)) best = { list, agree }
    }
  }
  return best?.list ?? null
}
