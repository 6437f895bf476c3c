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
