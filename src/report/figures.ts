/** Figures as a person reads them. What is not known is a dash, never 0. */
export const UNKNOWN = '–'

/** As many digits as say something: whole dollars above a thousand, cents above one, three that count below. */
export function usdText(usd: number): string {
  const sign = usd < 0 ? '−' : ''
  const size = Math.abs(usd)
  if (size === 0) return '$0'
  return `${sign}$${grouped(size, digitsOf(size))}`
}

function digitsOf(size: number): number {
  if (size >= 1000) return 0
  if (size >= 1) return 2
  // Money is finer than a nano-dollar nowhere that matters to a reader.
  return Math.min(10, 2 - Math.floor(Math.log10(size)))
}

export function fixedUsd(usd: number, digits: number): string {
  return `$${grouped(usd, digits)}`
}

/** From at least to at most; what has no upper bound says so. */
export function spanText(low: number, high: number | null): string {
  if (high === null) return low === 0 ? UNKNOWN : `≥ ${usdText(low)}`
  const [first, last] = [usdText(low), usdText(high)]
  return first === last ? first : `${first} to ${last}`
}

export function countText(count: number): string {
  return grouped(count, 0)
}

/** `1.2M`: where room is scarce. */
export function shortCount(count: number): string {
  for (const [size, unit] of [
    [1e9, 'B'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const) {
    if (count >= size) return `${(count / size).toFixed(count >= 100 * size ? 0 : 1)}${unit}`
  }
  return String(Math.round(count))
}

export function shareText(share: number | null): string {
  if (share === null) return UNKNOWN
  const percent = share * 100
  // Nearly all is not all, and hardly any is not none.
  if (percent > 99.9 && percent < 100) return '> 99.9 %'
  if (percent > 0 && percent < 0.1) return '< 0.1 %'
  return `${percent.toFixed(percent >= 10 || percent === 0 ? (percent % 1 === 0 ? 0 : 1) : 1)} %`
}

export function durationText(milliseconds: number | null): string {
  if (milliseconds === null) return UNKNOWN
  if (milliseconds < 1000) return `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`
  if (milliseconds < 100_000) return `${(milliseconds / 1000).toFixed(milliseconds < 10_000 ? 2 : 1)} s`
  return milliseconds < 7_200_000
    ? `${Math.round(milliseconds / 60_000)} min`
    : `${grouped(milliseconds / 3_600_000, 1)} h`
}

/** `1 call`, `3 calls`. */
export function many(count: number, what: string): string {
  return `${countText(count)} ${what}${count === 1 ? '' : 's'}`
}

/** A language's own way differs from machine to machine: the page is the same on each. */
function grouped(value: number, digits: number): string {
  const [whole = '', rest] = value.toFixed(digits).split('.')
  const commas = whole.replace(/\B(?=(\d{3})+$)/g, ',')
  return rest === undefined ? commas : `${commas}.${rest}`
}
