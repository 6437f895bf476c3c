import { emptySums, type Measures, merge, rowOf, type Sums, type TallyRow, take } from '../tally.ts'
import { type Counts, createCounts } from './counts.ts'
import { placeOf, shown } from './names.ts'

export const DIMENSIONS = ['task', 'model', 'provider', 'host'] as const
export type Dimension = (typeof DIMENSIONS)[number]

/** What stands for all that there was no more room for. */
export const OTHERS = '(others)'

/** Calls and attempts that are alike in all that is asked about. */
export interface Lot {
  readonly names: Readonly<Record<Dimension | 'route', string>>
  readonly sums: Sums
  /** Which alternatives were the cheapest. */
  readonly rivals: Counts
}

export interface Group {
  readonly name: string
  readonly row: TallyRow
}

/** Enough for every application that is one; a file of nothing but names still fits into memory. */
const MOST_LOTS = 1000
const MOST_NAMES = 250
const MOST_KEYS = 4000

/**
 * Sums by task, model, provider and host together, in constant memory: each record goes into one lot, and the lots are
 * merged when somebody asks.
 */
export function createLots(): {
  of(task: string, model: string, provider: string | null, host: string | null): Lot
  add(lot: Lot, measures: Measures): void
  total(): TallyRow
  by(dimension: Dimension | 'route'): readonly Group[]
  rivals(route: string): readonly { readonly word: string; readonly count: number }[]
} {
  const byKey = new Map<string, Lot>()
  const lots = new Map<string, Lot>()
  const known: Record<Dimension, Set<string>> = {
    task: new Set(),
    model: new Set(),
    provider: new Set(),
    host: new Set(),
  }
  const kept = (dimension: Dimension, name: string) => {
    const names = known[dimension]
    if (names.has(name)) return name
    if (names.size >= MOST_NAMES) return OTHERS
    names.add(name)
    return name
  }
  const rest = lotNamed({ task: OTHERS, model: OTHERS, provider: OTHERS, host: OTHERS })
  lots.set('', rest)
  const lotOf = (given: Readonly<Record<Dimension, string>>): Lot => {
    const names = {
      task: kept('task', given.task),
      model: kept('model', given.model),
      provider: kept('provider', given.provider),
      host: kept('host', given.host),
    }
    const key = JSON.stringify(Object.values(names))
    const found = lots.get(key)
    if (found !== undefined) return found
    if (lots.size >= MOST_LOTS) return rest
    const lot = lotNamed(names)
    lots.set(key, lot)
    return lot
  }
  return {
    of(task, model, provider, host) {
      const key = `${task}\n${model}\n${provider}\n${host}`
      const found = byKey.get(key)
      if (found !== undefined) return found
      const lot = lotOf({
        task: shown(task),
        model: shown(model),
        provider: placeOf(provider, null),
        host: placeOf(provider, host),
      })
      if (byKey.size < MOST_KEYS && key.length < 1000) byKey.set(key, lot)
      return lot
    },
    add: ({ sums }, measures) => take(sums, measures, 1),
    total() {
      const sums = emptySums()
      for (const lot of lots.values()) merge(sums, lot.sums)
      return rowOf(sums)
    },
    by(dimension) {
      const groups = new Map<string, Sums>()
      for (const { names, sums } of lots.values()) {
        const name = names[dimension]
        const found = groups.get(name) ?? emptySums()
        groups.set(name, found)
        merge(found, sums)
      }
      return [...groups]
        .map(([name, sums]) => ({ name, row: rowOf(sums) }))
        .filter(({ row }) => row.calls + row.attempts.count > 0)
        .sort((a, b) => b.row.cost.low - a.row.cost.low || b.row.calls - a.row.calls || (a.name < b.name ? -1 : 1))
    },
    rivals(route) {
      const found = new Map<string, number>()
      for (const { names, rivals } of lots.values()) {
        if (names.route !== route) continue
        for (const { word, count } of rivals.read()) found.set(word, count + (found.get(word) ?? NONE_YET))
      }
      return [...found].map(([word, count]) => ({ word, count })).sort((a, b) => b.count - a.count)
    },
  }
}

const NONE_YET = 0

function lotNamed(names: Readonly<Record<Dimension, string>>): Lot {
  const route = names.model === OTHERS || names.host === OTHERS ? OTHERS : `${names.model} at ${names.host}`
  return { names: { ...names, route }, sums: emptySums(), rivals: createCounts(OTHERS) }
}
