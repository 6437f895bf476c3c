/**
 * Time, for the whole library. Durations are monotonic, so a wall clock that jumps changes nothing but dates.
 * `modelfirst/sandbox` has a virtual one.
 */
export interface Clock {
  /** Monotonic milliseconds. */
  now(): number
  /** Milliseconds since 1970: for dates in records only, never for durations. */
  date(): number
  /** Runs once after `milliseconds`; returns what cancels it. */
  timer(milliseconds: number, run: () => void): () => void
}

/** `setTimeout` fires at once above this. */
const LONGEST_TIMER = 2_147_483_647

export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => Date.now(),
  timer(milliseconds, run) {
    const timer = setTimeout(run, Math.min(Math.max(milliseconds, 0), LONGEST_TIMER))
    return () => clearTimeout(timer)
  },
}

/** Chance, for the whole library: in [0, 1). */
export const systemRandom = (): number => Math.random()

/** ISO, for records. Calls come many to the second: what they share of it is written once. */
export function isoTime(date: number): string {
  const second = Math.floor(date / 1000)
  if (second !== written.second) written = { second, iso: new Date(second * 1000).toISOString().slice(0, -4) }
  return `${written.iso}${String(Math.floor(date) - second * 1000).padStart(3, '0')}Z`
}

let written = { second: Number.NaN, iso: '' }

/** The minute of the UTC day, for prices that follow the clock. */
export function utcMinutes(date: number): number {
  return Math.floor(date / 60_000) % 1440
}

/** When the UTC month began and when it ends, in milliseconds since 1970. */
export function monthOf(date: number): { readonly began: number; readonly ends: number } {
  const day = new Date(date)
  const [year, month] = [day.getUTCFullYear(), day.getUTCMonth()]
  return { began: Date.UTC(year, month), ends: Date.UTC(year, month + 1) }
}

/** Whole seconds since 1970 of a record's ISO time, as OpenAI dates its answers. */
export function unixSeconds(iso: string): number {
  return Math.floor(Date.parse(iso) / 1000)
}

/** A moment, as people write one: milliseconds since 1970, a Date, or an ISO time. */
export type Moment = number | Date | string

const ISO = /^\d{4}-\d\d-\d\d(T|$)/
/** A Date holds no more. */
const LONGEST_DATE = 8.64e15

/** Milliseconds since 1970; `NaN` for what is no moment. Of strings only ISO, whatever else `Date.parse` takes for a date. */
export function dateOf(moment: unknown): number {
  if (typeof moment === 'string') return readIso(moment)
  const date = moment instanceof Date ? moment.getTime() : moment
  return typeof date === 'number' && Math.abs(date) <= LONGEST_DATE ? date : Number.NaN
}

/** As records come: what they share of a date, up to the minute, is read once. */
function readIso(iso: string): number {
  const isWhole = iso.length === ISO_LENGTH && iso.endsWith('Z')
  if (isWhole && iso.startsWith(read.minute) && iso[POINT] === '.') {
    const seconds = 10 * digitAt(iso, POINT - 2) + digitAt(iso, POINT - 1)
    const rest = 100 * digitAt(iso, POINT + 1) + 10 * digitAt(iso, POINT + 2) + digitAt(iso, POINT + 3)
    if (seconds < 60 && rest >= 0) return read.date + 1000 * seconds + rest
  }
  const date = ISO.test(iso) ? Date.parse(iso) : Number.NaN
  if (isWhole && !Number.isNaN(date)) {
    read = { minute: iso.slice(0, POINT - 2), date: Math.floor(date / 60_000) * 60_000 }
  }
  return date
}

function digitAt(text: string, place: number): number {
  const digit = text.charCodeAt(place) - 48
  return digit >= 0 && digit <= 9 ? digit : Number.NaN
}

const ISO_LENGTH = '2026-01-31T23:59:59.999Z'.length
const POINT = '2026-01-31T23:59:59'.length
let read = { minute: 'none yet', date: Number.NaN }
