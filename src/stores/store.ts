/**
 * Where a router keeps what outlives a call: small texts that live for a while, sums with a limit, and gates that stay
 * closed for a while. One that several processes share makes them one router. Keys hold keyed hashes only, values no
 * content. A store may reject, hang and forget: nobody's call fails for it.
 *
 * A key is 1 to 256 visible ASCII characters; texts, sums and gates under one key are three things. What cannot be right
 * (another key, a text above 64 KiB, an amount that is not whole) is rejected by every store alike. Most stores take
 * smaller texts, of 1 KiB, and reject longer ones. What somebody else left under a key is nothing, and is overwritten.
 */
export interface Store {
  /** `null`: nothing is there, or not any more. */
  read(key: string): Promise<string | null>
  /** With a `ttlMs` of 0 or less, it is forgotten at once. */
  write(key: string, value: string, ttlMs: number): Promise<void>
  /**
   * Adds to a sum, in one step for all who share it, and gives the new sum; where that would be above `most`, nothing is
   * added and it gives `null`. A sum is forgotten `ttlMs` after it was begun. `amount` is a whole number, and may be
   * negative: what was set aside and not used is given back, whatever `most` is by now, and never below 0. An amount of
   * 0 asks what the sum is; only what is added begins one.
   */
  add(key: string, amount: number, limits: SumLimits): Promise<number | null>
  /**
   * Closes gates for so many milliseconds from now; one that is closed for longer stays so: the later end counts. Of more
   * than a hundred under one key, those that end first are forgotten.
   */
  close(key: string, gates: Readonly<Record<string, number>>): Promise<void>
  /** How many whole milliseconds each gate is still closed for; open ones are left out. */
  closed(key: string): Promise<Readonly<Record<string, number>>>
}

export interface SumLimits {
  readonly most: number | null
  readonly ttlMs: number
}

/** In bytes: what a store that others share takes. */
export const LONGEST_SHARED = 1024
/** In characters: what any store takes. */
const LONGEST_TEXT = 65_536
/** Ten years: what is meant to stay longer, or was garbled on the way, is not told apart. */
export const LONGEST_MS = 315_360_000_000
export const MOST_GATES = 100

/** What every store can tell from any other: no control characters, no halves of characters, nothing that is folded. */
const KEY = /^[!-~]{1,256}$/
/** Gates may be called anything that comes back from a store as it was. */
const GATE = /^[^\p{Cc}\p{Cs}]{1,256}$/u

/** What is wrong with a key, without quoting it; `null`: nothing. */
export function keyProblem(key: string): Error | null {
  return typeof key === 'string' && KEY.test(key)
    ? null
    : new TypeError('a key of a store is 1 to 256 visible ASCII characters')
}

export function textProblem(key: string, value: string, ttlMs: number): Error | null {
  if (typeof value !== 'string' || value.length > LONGEST_TEXT) {
    return new TypeError(`a store keeps texts of at most ${LONGEST_TEXT} characters`)
  }
  if (typeof ttlMs !== 'number' || Number.isNaN(ttlMs)) return new TypeError('ttlMs is a number of milliseconds')
  return keyProblem(key)
}

export function sumProblem(key: string, amount: number, { most, ttlMs }: SumLimits): Error | null {
  if (!Number.isSafeInteger(amount)) return new TypeError('an amount is a whole number')
  if (most !== null && !(Number.isSafeInteger(most) && most >= 0)) {
    return new TypeError('the most that a sum may be is a whole number, from 0 on')
  }
  if (!(typeof ttlMs === 'number' && ttlMs > 0)) return new TypeError('a sum lives for more than 0 milliseconds')
  return keyProblem(key)
}

export function gatesProblem(key: string, gates: Readonly<Record<string, number>>): Error | null {
  for (const [gate, milliseconds] of Object.entries(gates)) {
    if (!GATE.test(gate)) return new TypeError('a gate is called by 1 to 256 characters, none of them for control')
    if (typeof milliseconds !== 'number' || Number.isNaN(milliseconds)) {
      return new TypeError('a gate is closed for a number of milliseconds')
    }
  }
  return keyProblem(key)
}

/** A text for a store that others share is short. */
export function lengthProblem(value: string): Error | null {
  return isShort(value) ? null : new RangeError(`this store keeps texts of at most ${LONGEST_SHARED} bytes`)
}

export function isShort(value: string): boolean {
  // In UTF-8, a unit is three bytes at the most.
  if (value.length * 3 <= LONGEST_SHARED) return true
  return value.length <= LONGEST_SHARED && new TextEncoder().encode(value).length <= LONGEST_SHARED
}

/** Whole, and within what every store can count to. */
export function wholeMs(milliseconds: number): number {
  return Math.min(Math.ceil(milliseconds), LONGEST_MS)
}

/** The gates to be closed, for how long, as many as are kept. */
export function closings(gates: Readonly<Record<string, number>>): readonly (readonly [string, number])[] {
  const all = Object.entries(gates)
    .filter(([, milliseconds]) => milliseconds > 0)
    .map(([gate, milliseconds]) => [gate, wholeMs(milliseconds)] as const)
  return latest(all)
}

/** Of too many gates, those that end last. */
export function latest(ends: readonly (readonly [string, number])[]): readonly (readonly [string, number])[] {
  return ends.length <= MOST_GATES ? ends : [...ends].sort(([, one], [, other]) => other - one).slice(0, MOST_GATES)
}

/** What is left of each gate; a record that any name is safe in. */
export function remaining(ends: Iterable<readonly [string, number]>, now: number): Readonly<Record<string, number>> {
  const left: [string, number][] = []
  for (const [gate, end] of ends) if (end > now) left.push([gate, Math.ceil(end - now)])
  return Object.freeze(Object.fromEntries(left))
}
