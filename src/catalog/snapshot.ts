import { ABILITIES, type ListedModel, MODALITIES } from '../listing.ts'
import type { PriceList, PriceTier } from '../price.ts'

/** What both vendors' lists said on the day they were taken, and what is known besides. */
export interface Snapshot {
  readonly date: string
  readonly providers: Readonly<Record<string, { readonly date: string; readonly models: readonly ListedModel[] }>>
}

/** The order of prices in a packed row; what is missing is `null`, and missing at the end is left out. */
const PRICES = [
  'input',
  'output',
  'cachedInput',
  'cacheWrite',
  'cacheWrite1h',
  'reasoning',
  'audioInput',
  'request',
  'image',
  'webSearch',
  'audioCachedInput',
  'audioOutput',
  'imageOutput',
  'discount',
] as const
const CONDITIONS = ['abovePromptTokens', 'fromUtc', 'untilUtc'] as const

type Numbers = readonly (number | null)[]

/** A listed model in a quarter of the bytes: lists are initials, prices are numbers in a row. */
export interface PackedModel extends Partial<Omit<ListedModel, 'id' | 'input' | 'abilities' | 'prices' | 'hosts'>> {
  readonly id: string
  readonly input?: string
  readonly abilities?: string
  readonly prices?: Numbers
  /** Each: three conditions, then prices. */
  readonly tiers?: readonly Numbers[]
}

export interface PackedSnapshot {
  readonly date: string
  readonly providers: Readonly<Record<string, { readonly date: string; readonly models: readonly PackedModel[] }>>
}

/**
 * The list that comes with the package. It is a chunk of its own, read when it is first asked for; text that is parsed
 * loads faster than the same data as code, and needs no import attributes.
 */
export function loadSnapshot(): Promise<Snapshot> {
  loading ??= import('./snapshot-data.ts').then(({ DATA }) => unpack(JSON.parse(DATA)))
  return loading
}

/** Nobody changes it: all routers of a process read the same. */
let loading: Promise<Snapshot> | undefined

export function unpack(packed: PackedSnapshot): Snapshot {
  const providers = Object.entries(packed.providers).map(
    ([name, { date, models }]) =>
      [name, Object.freeze({ date, models: Object.freeze(models.map(unpackModel)) })] as const,
  )
  return Object.freeze({ date: packed.date, providers: Object.freeze(Object.fromEntries(providers)) })
}

/** The parameters are left out: a live list has them, and they are half of the bytes. */
export function pack(model: ListedModel): PackedModel {
  const { input, abilities, prices, hosts: _hosts, parameters: _parameters, ...rest } = model
  return {
    ...rest,
    ...(input && { input: initials(input) }),
    ...(abilities && { abilities: initials(abilities) }),
    ...(prices && { prices: row(PRICES, prices) }),
    ...(prices?.tiers && { tiers: prices.tiers.map((tier) => row([...CONDITIONS, ...PRICES], tier)) }),
  }
}

function unpackModel({ input, abilities, prices, tiers, ...rest }: PackedModel): ListedModel {
  return {
    ...rest,
    ...(input !== undefined && { input: words(input, MODALITIES) }),
    ...(abilities !== undefined && { abilities: words(abilities, ABILITIES) }),
    ...(prices && { prices: priceList(prices, tiers) }),
  }
}

function priceList(prices: Numbers, tiers: readonly Numbers[] | undefined): PriceList {
  const { input, output, ...rest }: Partial<PriceList> = record(PRICES, prices)
  if (input === undefined || output === undefined) throw new TypeError('the snapshot holds half a price')
  const unpacked = tiers?.map((tier): PriceTier => record([...CONDITIONS, ...PRICES], tier))
  return { input, output, ...rest, ...(unpacked && { tiers: unpacked }) }
}

function row<Key extends string>(keys: readonly Key[], from: { readonly [key in Key]?: number }): Numbers {
  const numbers = keys.map((key) => from[key] ?? null)
  return numbers.slice(0, numbers.findLastIndex((number) => number !== null) + 1)
}

function record<Key extends string>(keys: readonly Key[], numbers: Numbers): { [key in Key]?: number }
function record(keys: readonly string[], numbers: Numbers): Record<string, number> {
  const found: Record<string, number> = {}
  for (const [index, key] of keys.entries()) {
    const number = numbers[index]
    if (typeof number === 'number') found[key] = number
  }
  return found
}

function initials(words: readonly string[]): string {
  return words.map((word) => word[0]).join('')
}

/** No two abilities, and no two kinds of input, begin with the same letter. */
function words<Word extends string>(letters: string, known: readonly Word[]): readonly Word[] {
  return known.filter((word) => letters.includes(word[0] ?? word))
}
