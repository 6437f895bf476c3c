/**
 * Quantiles of a stream in constant memory: a histogram whose marks grow by 2 %, so that every answer is within 1 % of
 * the exact one (as DDSketch does it). Two of them add up to the same as one that saw everything.
 */
export interface Quantiles {
  /**
   * Below 0.001 counts as 0, above a milliard as a milliard (in milliseconds: eleven days), so that whatever comes takes
   * at most 1,400 marks. What is no number is not counted.
   */
  add(value: number): void
  /** Takes back what was added. */
  remove(value: number): void
  /** The value below which a share of `q` (0 to 1) lies; `null`: nothing was added, or `q` is no number. */
  at(q: number): number | null
  readonly count: number
  merge(other: Quantiles): void
  toJSON(): SavedQuantiles
}

/** Plain JSON: how often a value fell on which mark, the lowest first. */
export interface SavedQuantiles {
  readonly v: 1
  readonly marks: readonly (readonly [mark: number, count: number])[]
}

/** The same as bare data, for those who keep thousands: marks in order, and beside each how many fell on it. */
export interface Histogram {
  readonly marks: number[]
  readonly counts: number[]
}

/** How far an answer may be from the exact one, in parts of it. */
export const RELATIVE_ERROR = 0.01
const GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
const LOG_GROWTH = Math.log(GROWTH)
const LEAST = 0.001
const MOST = 1e9
const LOWEST_MARK = Math.ceil(Math.log(LEAST) / LOG_GROWTH)
const HIGHEST_MARK = Math.ceil(Math.log(MOST) / LOG_GROWTH)
/** Below every other one. */
const MARK_OF_ZERO = LOWEST_MARK - 1

/** `null`: it is no number. */
export function markOf(value: number): number | null {
  if (value >= LEAST) return Math.ceil(Math.log(Math.min(value, MOST)) / LOG_GROWTH)
  return Number.isNaN(value) ? null : MARK_OF_ZERO
}

/** In the middle of what falls on a mark: as far, in parts of it, from the lowest as from the highest. */
function middleOf(mark: number): number {
  return mark === MARK_OF_ZERO ? 0 : (2 * GROWTH ** mark) / (GROWTH + 1)
}

export function emptyHistogram(): Histogram {
  return { marks: [], counts: [] }
}

/** `times` below 0 takes back. */
export function count(histogram: Histogram, mark: number, times: number): void {
  const { marks, counts } = histogram
  const place = placeOf(marks, mark)
  if (marks[place] !== mark) {
    marks.splice(place, 0, mark)
    counts.splice(place, 0, times)
    return
  }
  const left = (counts[place] ?? Number.NaN) + times
  if (left !== 0) {
    counts[place] = left
    return
  }
  marks.splice(place, 1)
  counts.splice(place, 1)
}

export function countAll(histogram: Histogram, other: Histogram): void {
  for (const [index, mark] of other.marks.entries()) count(histogram, mark, other.counts[index] ?? Number.NaN)
}

export function sizeOf({ counts }: Histogram): number {
  return counts.reduce((total, times) => total + times, 0)
}

export function quantileOf(histogram: Histogram, q: number): number | null {
  const size = sizeOf(histogram)
  if (size <= 0 || Number.isNaN(q)) return null
  const rank = Math.floor(Math.min(Math.max(q, 0), 1) * (size - 1))
  let below = 0
  for (const [index, times] of histogram.counts.entries()) {
    below += times
    if (below > rank) return middleOf(histogram.marks[index] ?? Number.NaN)
  }
  return null
}

/** Where a mark stands, or would stand. */
function placeOf(marks: readonly number[], mark: number): number {
  let low = 0
  let high = marks.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((marks[middle] ?? Number.NaN) < mark) low = middle + 1
    else high = middle
  }
  return low
}

/** `saved` is what `toJSON` gave; what cannot have come from there is left out. */
export function createQuantiles(saved?: SavedQuantiles): Quantiles {
  const histogram = emptyHistogram()
  for (const [mark, times] of saved?.marks ?? []) {
    const isMark = Number.isInteger(mark) && mark >= MARK_OF_ZERO && mark <= HIGHEST_MARK
    if (isMark && Number.isSafeInteger(times) && times > 0) count(histogram, mark, times)
  }
  const note = (value: number, times: number) => {
    const mark = markOf(value)
    if (mark !== null) count(histogram, mark, times)
  }
  return Object.freeze<Quantiles>({
    add: (value) => note(value, 1),
    remove: (value) => note(value, -1),
    at: (q) => quantileOf(histogram, q),
    get count() {
      return sizeOf(histogram)
    },
    merge(other) {
      for (const [mark, times] of other.toJSON().marks) count(histogram, mark, times)
    },
    toJSON: () => ({
      v: 1,
      marks: histogram.marks.map((mark, index) => [mark, histogram.counts[index] ?? Number.NaN] as const),
    }),
  })
}
