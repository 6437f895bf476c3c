import { DAY, HOUR, MINUTE } from '../report/calendar.ts'
import { Problem } from './problem.ts'

const UNITS: Readonly<Record<string, number>> = { m: MINUTE, h: HOUR, d: DAY, w: 7 * DAY }

/** `24h`, `7d`, `2026-11-08` or an ISO time, as milliseconds since 1970. A date begins in UTC. */
export function sinceOf(text: string, now: number): number {
  const [, count, unit] = /^(\d+(?:\.\d+)?)([mhdw])$/.exec(text) ?? []
  const width = unit === undefined ? undefined : UNITS[unit]
  if (count !== undefined && width !== undefined) return now - Number(count) * width
  const instant = /^\d{4}-\d\d-\d\d(T|$)/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(instant)) {
    throw new Problem('--since is a time like 90m, 24h, 7d or 4w ago, a date like 2026-11-08, or an ISO time', 2)
  }
  return instant
}
