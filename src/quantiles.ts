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

/**
 * The same as bare data, for those who keep thousands: a mark and how many fell on it, in turn, the lowest mark first.
 */
export type Histogram = number[]

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
  // There is no mark -0.
  if (value >= LEAST) return Math.ceil(Math.log(Math.min(value, MOST)) / LOG_GROWTH) + 0
  return Number.isNaN(value) ? null : MARK_OF_ZERO
}

/** In the middle of what falls on a mark: as far, in parts of it, from the lowest as from the highest. */
function middleOf(mark: number): number {
  return mark === MARK_OF_ZERO ? 0 : (2 * GROWTH ** mark) / (GROWTH + 1)
}

/** `times` below 0 takes back. Gives the histogram, which is a new one where there was none. */
export function count(histogram: Histogram | null, mark: number, times: number): Histogram {
  // Most of those who keep thousands see one value: room for one is all that it gets.
  if (histogram === null) return [mark, times]
  const place = placeOf(histogram, mark)
  if (histogram[place] !== mark) {
    histogram.splice(place, 0, mark, times)
    return histogram
  }
  const left = at(histogram, place + 1) + times
  if (left === 0) histogram.splice(place, 2)
  else histogram[place + 1] = left
  return histogram
}

export function countAll(histogram: Histogram | null, other: Histogram | null): Histogram | null {
  if (other === null) return histogram
  if (histogram === null) return other.slice()
  for (let place = 0; place < other.length; place += 2) count(histogram, at(other, place), at(other, place + 1))
  return histogram
}

export function sizeOf(histogram: Histogram | null): number {
  let size = 0
  for (let place = 1; histogram !== null && place < histogram.length; place += 2) size += at(histogram, place)
  return size
}

export function quantileOf(histogram: Histogram | null, q: number): number | null {
  const size = sizeOf(histogram)
  if (histogram === null || size <= 0 || Number.isNaN(q)) return null
  const rank = Math.floor(Math.min(Math.max(q, 0), 1) * (size - 1))
  let place = 0
  for (let below = at(histogram, 1); below <= rank; below += at(histogram, place + 1)) place += 2
  return middleOf(at(histogram, place))
}

function at(histogram: Histogram, place: number): number {
  return histogram[place] ?? Number.NaN
}

/** Where a mark stands, or would stand. */
function placeOf(histogram: Histogram, mark: number): number {
  let low = 0
  let high = histogram.length >>> 1
  while (low < high) {
    const middle = (low + high) >>> 1
    if (at(histogram, 2 * middle) < mark) low = middle + 1
    else high = middle
  }
  return 2 * low
}

/** `saved` is what `toJSON` gave; what cannot have come from there is left out. */
export function createQuantiles(saved?: SavedQuantiles): Quantiles {
  let histogram: Histogram | null = null
  for (const [mark, times] of saved?.marks ?? []) {
    const isMark = Number.isInteger(mark) && mark >= MARK_OF_ZERO && mark <= HIGHEST_MARK
    if (isMark && Number.isSafeInteger(times) && times > 0) histogram = count(histogram, mark, times)
  }
  const note = (value: number, times: number) => {
    const mark = markOf(value)
    if (mark !== null) histogram = count(histogram, mark, times)
  }
  return Object.freeze<Quantiles>({
    add: (value) => note(value, 1),
    remove: (value) => note(value, -1),
    at: (q) => quantileOf(histogram, q),
    get count() {
      return sizeOf(histogram)
    },
    merge(other) {
      for (const [mark, times] of other.toJSON().marks) histogram = count(histogram, mark, times)
    },
    toJSON() {
      const marks: (readonly [number, number])[] = []
      for (let place = 0; histogram !== null && place < histogram.length; place += 2)
        marks.push([at(histogram, place), at(histogram, place + 1)])
      return { v: 1, marks }
    },
  })
}
