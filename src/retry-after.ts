import type { HeaderReader } from './answer.ts'

/** Nobody is believed to mean more than a day. */
const LONGEST = 86_400_000
const DURATION = /^(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?(?:\d+(?:\.\d+)?[µun]s)?$/
/** `Sun, 06 Nov 1994 08:49:37 GMT`, its long form, or ISO: what else `Date.parse` takes for a date is none. */
const DATE = /^(?:[A-Z][a-z]+, .+ GMT|\d{4}-\d\d-\d\dT.+)$/
/** Fields that came twice are joined by commas, and dates have one inside. */
const LISTED = /[A-Z][a-z]+, [^,]+|[^,]+/g

/**
 * How long a provider asks to wait, the most specific form first: `retry-after-ms`, then `retry-after` as seconds, as
 * a duration or as a date; of several, the longest. What makes no sense (negative, garbage) is no hint.
 */
export function retryAfter(headers: HeaderReader, now: number): number | null {
  const milliseconds = number(headers.get('retry-after-ms'))
  if (milliseconds !== null) return clamp(milliseconds)
  // By the clock of whoever names a date, not by ours.
  const theirs = Date.parse(headers.get('date') ?? '')
  let longest: number | null = null
  for (const value of headers.get('retry-after')?.match(LISTED) ?? []) {
    const wait = waitOf(value.trim(), Number.isNaN(theirs) ? now : theirs)
    if (wait !== null && (longest === null || wait > longest)) longest = wait
  }
  return longest
}

function waitOf(value: string, now: number): number | null {
  const seconds = number(value)
  if (seconds !== null) return clamp(seconds * 1000)
  const duration = goDuration(value)
  if (duration !== null) return clamp(duration)
  const date = DATE.test(value) ? Date.parse(value) : Number.NaN
  return Number.isNaN(date) ? null : clamp(date - now)
}

/** Go's `time.Duration`, as Groq writes it: `2m59.56s`, `1h2m`, and `585ms`, which is not 585 minutes. */
export function goDuration(text: string): number | null {
  const parts = DURATION.exec(text)
  if (text === '' || parts === null) return null
  const [, hours = '0', minutes = '0', seconds = '0', milliseconds = '0'] = parts
  return Number(hours) * 3_600_000 + Number(minutes) * 60_000 + Number(seconds) * 1000 + Number(milliseconds)
}

function number(text: string | null | undefined): number | null {
  return text && /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : null
}

/** A wait that a timer can take; `null` for one that lies in the past. */
export function clamp(milliseconds: number): number | null {
  return milliseconds < 0 ? null : Math.min(milliseconds, LONGEST)
}
