import type { HeaderReader } from './answer.ts'

/** Nobody is believed to mean more than a day. */
const LONGEST = 86_400_000
const DURATION = /^(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?(?:\d+(?:\.\d+)?[µu]s)?$/

/**
 * How long a provider asks to wait, the most specific form first: `retry-after-ms`, `retry-after` as seconds, as a
 * date or as a duration. What makes no sense (negative, garbage) is no hint.
 */
export function retryAfter(headers: HeaderReader, now: number): number | null {
  const milliseconds = number(headers.get('retry-after-ms'))
  if (milliseconds !== null) return clamp(milliseconds)
  const value = headers.get('retry-after')?.trim()
  if (!value) return null
  const seconds = number(value)
  if (seconds !== null) return clamp(seconds * 1000)
  const duration = goDuration(value)
  if (duration !== null) return clamp(duration)
  const date = Date.parse(value)
  if (Number.isNaN(date)) return null
  // By the clock of whoever named the date, not by ours.
  const theirs = Date.parse(headers.get('date') ?? '')
  return clamp(date - (Number.isNaN(theirs) ? now : theirs))
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

function clamp(milliseconds: number): number | null {
  return milliseconds < 0 ? null : Math.min(milliseconds, LONGEST)
}
