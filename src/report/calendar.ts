/** Days since 1970 of a date in the calendar of ISO times, and back: arithmetic alone, no clock and no time zone. */
function daysOf(year: number, month: number, day: number): number {
  // The year begins in March, so that the odd day is its last.
  const shifted = month <= 2 ? year - 1 : year
  const era = Math.floor(shifted / 400)
  const ofEra = shifted - era * 400
  const ofYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1
  return era * 146_097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear - 719_468
}

interface Day {
  readonly year: number
  readonly month: number
  readonly day: number
}

function dayOf(days: number): Day {
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const ofEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365,
  )
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shiftedMonth = Math.floor((5 * ofYear + 2) / 153)
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: ofYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1,
  }
}

export const MINUTE = 60_000
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/

/** Milliseconds since 1970 of a record's ISO time; `null` when it is none. */
export function instantOf(iso: string): number | null {
  if (!ISO.test(iso)) return null
  const part = (from: number, to: number) => Number(iso.slice(from, to))
  const [month, day, hour, minute, second] = [part(5, 7), part(8, 10), part(11, 13), part(14, 16), part(17, 19)]
  const days = daysOf(part(0, 4), month, day)
  if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 60) return null
  // The 31st of February is no day.
  if (day > 28 && dayOf(days).day !== day) return null
  const fraction = iso.length > 20 ? Math.floor(Number(iso.slice(19, -1)) * 1000) : 0
  return days * DAY + hour * HOUR + minute * MINUTE + second * 1000 + fraction
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const two = (value: number) => String(value).padStart(2, '0')

/** `8 Nov 2026`. */
export function dateText(instant: number): string {
  const { year, month, day } = dayOf(Math.floor(instant / DAY))
  return `${day} ${MONTHS[month - 1]} ${year}`
}

/** `8 Nov`. */
export function shortDate(instant: number): string {
  const { month, day } = dayOf(Math.floor(instant / DAY))
  return `${day} ${MONTHS[month - 1]}`
}

/** `13:05`, UTC. */
export function timeText(instant: number): string {
  const minutes = Math.floor((instant - Math.floor(instant / DAY) * DAY) / MINUTE)
  return `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`
}
