import { emptySums, type Measures, merge, type Sums, take } from './measures.ts'

/** Sums by key and by time, in bounded memory: the finer, the newer. */
export interface Timeline {
  /** `n` counts up with what is noted: by it a sum that is taken back is found where it went. */
  take(key: string | null, measures: Measures, date: number, n: number): void
  takeBack(key: string | null, measures: Measures, date: number, n: number): void
  /** Where the time begins that holds this date; -Infinity: with everything that is older than any day kept. */
  startOf(date: number): number
  /** What is to be summed up since the time that holds this date; a key may come several times. */
  since(date: number): Iterable<Part>
  /** How many sums are kept. */
  readonly cells: number
  /** Gives up the finest of the old times; `false`: there is nothing left to give up. */
  coarsen(): boolean
}

export interface Part {
  readonly key: string | null
  /** Whether it is of the keys that were folded; then there is no key. */
  readonly others: boolean
  readonly sums: Sums
}

interface Cell {
  readonly start: number
  readonly sums: Sums
}

interface Entry {
  /** The first that was noted under it. What came before is with the others, if it was here at all. */
  readonly born: number
  used: number
  /** The oldest first. */
  cells: Cell[]
}

const HOUR = 3_600_000
const DAY = 24 * HOUR
/** How long minutes, hours and days are kept apart: from the beginning of an hour, and of a day in UTC. */
const MINUTES_KEPT = 3 * HOUR
const HOURS_KEPT = 3 * DAY
const DAYS_KEPT = 62 * DAY

/** More go than come: looking for the least used is paid by many. */
const FOLDED = 1 / 8

/**
 * `mostKeys`: so many are kept apart; those that were not used for longest are folded into one. `finest`: milliseconds
 * that are not told apart, a part of an hour.
 */
export function createTimeline({ mostKeys, finest }: { mostKeys: number; finest: number }): Timeline {
  const entries = new Map<string | null, Entry>()
  const others: Entry = { born: 0, used: 0, cells: [] }
  let cells = 0
  let newest = Number.NEGATIVE_INFINITY
  let nextLook = Number.NEGATIVE_INFINITY
  // From here on in minutes; before, from there on in hours; before, from there on in days; before, all in one.
  let minutesFrom = Number.NEGATIVE_INFINITY
  let hoursFrom = Number.NEGATIVE_INFINITY
  let daysFrom = Number.NEGATIVE_INFINITY

  function startOf(date: number): number {
    if (date >= minutesFrom) return floor(date, finest)
    if (date >= hoursFrom) return floor(date, HOUR)
    return date >= daysFrom ? floor(date, DAY) : Number.NEGATIVE_INFINITY
  }

  function sumsAt(entry: Entry, start: number): Sums {
    let place = entry.cells.length
    for (; place > 0; place -= 1) {
      const cell = entry.cells[place - 1]
      if (cell === undefined || cell.start < start) break
      if (cell.start === start) return cell.sums
    }
    const sums = emptySums()
    entry.cells.splice(place, 0, { start, sums })
    cells += 1
    return sums
  }

  function entryOf(key: string | null, n: number): Entry {
    const known = entries.get(key)
    if (known !== undefined) return known
    if (entries.size >= mostKeys) fold()
    const entry: Entry = { born: n, used: n, cells: [] }
    entries.set(key, entry)
    return entry
  }

  function fold(): void {
    const uses = Float64Array.from([...entries.values()], ({ used }) => used).sort()
    const least = uses[Math.floor(mostKeys * FOLDED)] ?? Number.NaN
    for (const [key, entry] of entries) {
      if (entry.used > least) continue
      entries.delete(key)
      for (const { start, sums } of entry.cells) merge(sumsAt(others, start), sums)
      cells -= entry.cells.length
    }
  }

  /** As time goes on, what was kept by the minute is kept by the hour, and what was by the hour by the day. */
  function age(date: number): void {
    // Nor does what has no date make anything old: it goes with the oldest.
    if (!(date > newest)) return
    newest = date
    if (date < nextLook) return
    nextLook = floor(date, HOUR) + HOUR
    move(floor(date - MINUTES_KEPT, HOUR), floor(date - HOURS_KEPT, DAY), floor(date - DAYS_KEPT, DAY))
  }

  /** Never back: what was added up is not taken apart again. */
  function move(minutes: number, hours: number, days: number): void {
    daysFrom = Math.max(daysFrom, days)
    hoursFrom = Math.max(hoursFrom, hours, daysFrom)
    minutesFrom = Math.max(minutesFrom, minutes, hoursFrom)
    for (const entry of entries.values()) gather(entry)
    gather(others)
  }

  function gather(entry: Entry): void {
    const gathered: Cell[] = []
    for (const cell of entry.cells) {
      const start = startOf(cell.start)
      const last = gathered.at(-1)
      if (last?.start === start) merge(last.sums, cell.sums)
      else gathered.push({ start, sums: cell.sums })
    }
    cells -= entry.cells.length - gathered.length
    entry.cells = gathered
  }

  return {
    startOf,
    take(key, measures, date, n) {
      age(date)
      const entry = entryOf(key, n)
      entry.used = n
      take(sumsAt(entry, startOf(date)), measures, 1)
    },
    takeBack(key, measures, date, n) {
      const known = entries.get(key)
      const entry = known === undefined || known.born > n ? others : known
      take(sumsAt(entry, startOf(date)), measures, -1)
    },
    *since(date) {
      const from = startOf(date)
      for (const [key, entry] of entries) {
        for (const { start, sums } of entry.cells) if (start >= from) yield { key, others: false, sums }
      }
      for (const { start, sums } of others.cells) if (start >= from) yield { key: null, others: true, sums }
    },
    get cells() {
      return cells
    },
    coarsen() {
      if (minutesFrom < floor(newest, HOUR) + HOUR) move(minutesFrom + HOUR, hoursFrom, daysFrom)
      else if (hoursFrom < floor(newest, DAY) + DAY) move(minutesFrom, hoursFrom + DAY, daysFrom)
      else if (daysFrom < floor(newest, DAY) + DAY) move(minutesFrom, hoursFrom, daysFrom + DAY)
      else return false
      return true
    },
  }
}

function floor(date: number, unit: number): number {
  return Math.floor(date / unit) * unit
}
