import { ConfigError } from './errors.ts'
import { nearest } from './nearest.ts'

/** What an option has to be: in words, and as a test. */
export interface Expectation {
  readonly says: string
  readonly holds: (value: unknown) => boolean
}

export function expected(says: string, holds: (value: unknown) => boolean): Expectation {
  return { says, holds }
}

export const A_STRING = expected('a string', (value) => typeof value === 'string')
export const A_FUNCTION = expected('a function', (value) => typeof value === 'function')
export const AN_OBJECT = expected('an object', (value) => isObject(value))
export const A_LIST = expected('a list', Array.isArray)

/**
 * Checks an object of options, which may come from plain JavaScript or from JSON: every name is known, every value is
 * of its kind. The error names the field and the kind of what came, never the value.
 */
export function checkOptions(
  given: unknown,
  about: {
    /** What the options belong to, e.g. `groq`. */
    readonly of: string
    readonly says: string
    readonly known: Readonly<Record<string, Expectation>>
    /** How a known field is called in an error; default: below `of`. */
    readonly field?: (name: string) => string
    /** How what came is told; default: by its kind, since options hold keys. */
    readonly got?: (value: unknown) => string
  },
): void {
  const { of, says, known, field = (name: string) => `${of}.${name}`, got = kindOf } = about
  const entries = isObject(given) && !Array.isArray(given) ? entriesOf(given) : null
  if (entries === null) throw new ConfigError(of, `expected ${says}, got ${kindOf(given)}`)
  for (const [name, value] of entries) {
    const expectation = Object.hasOwn(known, name) ? known[name] : undefined
    if (expectation === undefined) throw new ConfigError(`${of}.${name}`, unknown('option', name, Object.keys(known)))
    if (value === undefined || expectation.holds(value)) continue
    throw new ConfigError(field(name), `expected ${expectation.says}, got ${got(value)}`)
  }
}

/** Runs a rule of the user's: what it throws names the place where the rule stands. */
export function ruled<T>(field: string, rule: () => T): T {
  try {
    return rule()
  } catch (error) {
    throw new ConfigError(
      field,
      `expected a rule that gives an answer, but it threw ${nameOfThrown(error)}: see the error's cause`,
      {
        cause: error,
      },
    )
  }
}

/** `null` for what cannot be read: a revoked proxy, a getter that throws. */
function entriesOf(given: object): [string, unknown][] | null {
  try {
    return Object.entries(given)
  } catch {
    return null
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

/** What a value is, without telling it. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (value === undefined) return 'nothing'
  if (value === '') return 'an empty string'
  if (typeof value === 'string') return /[\r\n\0]/.test(value) ? 'a string with a line break' : 'a string'
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
  if (typeof value !== 'object') return `a ${typeof value}`
  try {
    if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : 'an array'
    return value instanceof Promise ? 'a promise' : 'an object'
  } catch {
    return 'an object that cannot be read'
  }
}

/** What was thrown, by its name. Anything may be thrown, also what throws when it is looked at. */
export function nameOfThrown(thrown: unknown): string {
  try {
    const name: unknown = thrown instanceof Error ? thrown.name : kindOf(thrown)
    return typeof name === 'string' ? name : 'an error'
  } catch {
    return 'an error'
  }
}

/** Numbers and yes or no can be told where nothing is secret. */
export function plainly(value: unknown): string {
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : kindOf(value)
}

/** `unknown task "rply": expected one of reply, tag; did you mean "reply"?` */
export function unknown(what: string, name: string, known: readonly string[]): string {
  const [closest] = nearest(name, known, 1)
  const expected = known.length === 0 ? 'there is none' : `expected one of ${[...known].sort().slice(0, 12).join(', ')}`
  const shown = name.length > 80 ? `${name.slice(0, 79)}…` : name
  return `unknown ${what} ${JSON.stringify(shown)}: ${expected}${closest === undefined ? '' : `; did you mean "${closest}"?`}`
}
