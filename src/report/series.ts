import { DAY, HOUR, MINUTE } from './calendar.ts'
import type { Dimension } from './lots.ts'

/** What was spent in one stretch of time. */
export interface Slot {
  /** USD, at the least. */
  readonly low: number
  /** USD, at the most, of what is bounded; what has no bound is in `low` and in `open`. */
  readonly high: number
  /** Attempts whose cost has no upper bound. */
  readonly open: number
  readonly attempts: number
}

export interface Series {
  readonly widthMs: number
  /** When the first stretch begins, milliseconds since 1970. */
  readonly from: number
  /** One after another, without gaps. */
  readonly slots: readonly ReadonlyMap<string, Slot>[]
}

/** Each divides the next. After the last it doubles. */
const WIDTHS = [
  MINUTE,
  5 * MINUTE,
  15 * MINUTE,
  HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  DAY,
  7 * DAY,
  28 * DAY,
  84 * DAY,
  336 * DAY,
]

/** Weeks begin on Mondays; 1970 began on a Thursday. */
export const MONDAY = 4 * DAY
/** As many bars as can be told apart. */
const MOST_SLOTS = 72
/** As many as are kept while nobody knows yet how long it will be. */
const MOST_KEPT = 512

interface Cell {
  low: number
  high: number
  open: number
  attempts: number
}

/** What stands behind a name, in each way of asking. */
type Names = Readonly<Record<Dimension, string>>

/** Spending over time, in constant memory: the stretches grow with the time that they cover. */
export function createSeries(): {
  /** `names` are told apart as objects. */
  add(instant: number, names: Names, cost: { readonly low: number; readonly high: number | null }): void
  by(dimension: Dimension): Series | null
} {
  let kept = new Map<number, Map<Names, Cell>>()
  let level = 0
  const coarser = () => {
    const ratio = widthOf(level + 1) / widthOf(level)
    level += 1
    const merged = new Map<number, Map<Names, Cell>>()
    for (const [slot, cells] of kept) {
      const target = slotIn(merged, Math.floor(slot / ratio))
      for (const [names, cell] of cells) addTo(target, names, cell)
    }
    kept = merged
  }
  const span = () => {
    let first = Number.POSITIVE_INFINITY
    let last = Number.NEGATIVE_INFINITY
    for (const slot of kept.keys()) {
      first = Math.min(first, slot)
      last = Math.max(last, slot)
    }
    return { first, last }
  }
  return {
    add(instant, names, { low, high }) {
      const cells = slotIn(kept, Math.floor((instant - MONDAY) / widthOf(level)))
      addTo(cells, names, { low, high: high ?? low, open: high === null ? 1 : 0, attempts: 1 })
      while (kept.size > MOST_KEPT) coarser()
    },
    by(dimension) {
      if (kept.size === 0) return null
      while (span().last - span().first >= MOST_SLOTS) coarser()
      const { first, last } = span()
      const slots = Array.from({ length: last - first + 1 }, (_, index) => {
        const cells = new Map<string, Cell>()
        for (const [names, cell] of kept.get(first + index) ?? []) addTo(cells, names[dimension], cell)
        return cells
      })
      return { widthMs: widthOf(level), from: first * widthOf(level) + MONDAY, slots }
    },
  }
}

function widthOf(level: number): number {
  const last = WIDTHS.length - 1
  const width = WIDTHS[Math.min(level, last)] ?? MINUTE
  return width * 2 ** Math.max(0, level - last)
}

function slotIn<Name>(slots: Map<number, Map<Name, Cell>>, slot: number): Map<Name, Cell> {
  const found = slots.get(slot)
  if (found !== undefined) return found
  const made = new Map<Name, Cell>()
  slots.set(slot, made)
  return made
}

function addTo<Name>(cells: Map<Name, Cell>, name: Name, { low, high, open, attempts }: Cell): void {
  const cell = cells.get(name)
  if (cell === undefined) {
    cells.set(name, { low, high, open, attempts })
    return
  }
  cell.low += low
  cell.high += high
  cell.open += open
  cell.attempts += attempts
}
