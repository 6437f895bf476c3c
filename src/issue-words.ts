import { isObject, typeOf } from './json-values.ts'

const MOST_TOLD = 12
const LONGEST_WORDS = 300

/**
 * Our own words where a library says in fields, not only in a sentence, what it expected: fields such as `expected`
 * are the schema's own, while sentences may quote what came. `null` where it does not, or where somebody has written a
 * sentence of their own.
 */
export function wordsFor(issue: unknown, found: unknown): string | null {
  if (!isObject(issue)) return null
  const words = fromZod(issue, found) ?? fromValibot(issue, found) ?? fromArk(issue, found)
  return words === null ? null : words.slice(0, LONGEST_WORDS)
}

type Fields = Readonly<Record<string, unknown>>

/** What zod says where nobody has said anything else; in other languages its sentences are masked like anybody's. */
const ZOD_OWN = /^(Invalid|Too|Unrecognized)\b/

function fromZod(issue: Fields, found: unknown): string | null {
  const { code, expected, values, origin, minimum, maximum, inclusive, format, divisor, message } = issue
  if (typeof code !== 'string' || typeof message !== 'string' || !ZOD_OWN.test(message)) return null
  switch (code) {
    case 'invalid_type':
      return found === undefined ? 'is missing' : `expected ${told(expected)}, got ${typeOf(found)}`
    case 'invalid_value':
      if (!Array.isArray(values)) return null
      return `expected ${values.length === 1 ? '' : 'one of '}${listed(values)}`
    case 'unrecognized_keys':
      return 'has keys that the schema does not name'
    case 'too_small':
      return `expected ${inclusive === false ? 'more than' : 'at least'} ${told(minimum)}${unit(origin)}`
    case 'too_big':
      return `expected ${inclusive === false ? 'less than' : 'at most'} ${told(maximum)}${unit(origin)}`
    case 'invalid_format':
      // What a text has to begin with, or to match, is said by the sentence, which holds nothing else.
      return FORMATS_WITH_WORDS.has(told(format)) ? null : `expected ${told(format)} as its format`
    case 'not_multiple_of':
      return `expected a multiple of ${told(divisor)}`
    case 'invalid_union':
      return unionWords(issue.errors, found)
    case 'invalid_key':
      return 'has a key that is not allowed'
    case 'invalid_element':
      return 'has an item that is not allowed'
  }
  return null
}

const FORMATS_WITH_WORDS = new Set(['regex', 'starts_with', 'ends_with', 'includes', 'lowercase', 'uppercase'])

/** The variant of which the type is right is most likely the one that was meant. */
function unionWords(errors: unknown, found: unknown): string {
  const variants = Array.isArray(errors) ? errors.filter(Array.isArray) : []
  const near = variants.filter((issues) => issues.every((issue) => isObject(issue) && depthOf(issue) > 0))
  const [only] = near
  if (near.length !== 1 || only === undefined) return `fits none of the variants (got ${typeOf(found)})`
  const names = only.map((issue) => (isObject(issue) ? (wordsFor(issue, valueAt(found, issue.path)) ?? '') : ''))
  return `fits none of the variants; the closest: ${names.filter((words) => words !== '').join('; ') || 'does not fit'}`
}

function depthOf({ path }: Fields): number {
  return Array.isArray(path) ? path.length : 0
}

function valueAt(value: unknown, path: unknown): unknown {
  let at = value
  for (const key of Array.isArray(path) ? path : []) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined
    at = Reflect.get(at, key)
  }
  return at
}

function fromValibot(issue: Fields, found: unknown): string | null {
  const { kind, type, expected, received, message } = issue
  if (typeof kind !== 'string' || typeof received !== 'string' || typeof message !== 'string') return null
  if (!message.startsWith('Invalid ')) return null
  if (kind === 'schema' && expected === 'never') return 'has a key that the schema does not name'
  if (kind === 'schema' && found === undefined) return 'is missing'
  if (kind === 'schema' && typeof expected === 'string') return `expected ${expected}, got ${typeOf(found)}`
  if (kind !== 'validation') return null
  return `expected ${typeof expected === 'string' ? `${told(type)} ${expected}` : told(type)}`
}

function fromArk(issue: Fields, found: unknown): string | null {
  const { code } = issue
  // Its fields are read when they are asked for, and hold sentences of several lines where there are variants.
  if (typeof code !== 'string' || !Object.hasOwn(issue, 'ctx')) return null
  if (code === 'required') return 'is missing'
  if (String(issue.message).endsWith('must be removed')) return 'has a key that the schema does not name'
  const { expected } = issue
  if (!ARK.has(code)) return null
  return typeof expected === 'string' ? `expected ${expected}, got ${typeOf(found)}` : null
}

const ARK = new Set('domain proto min max minLength maxLength exactLength divisor pattern unit'.split(' '))

/** A sentence without its first words, where it names a key, and without what it quotes at its end. */
export function withoutQuotes(message: string): string {
  const quote = message.indexOf(' (was ')
  if (quote === -1) return message
  const start = message.indexOf('must be ')
  return message.slice(start !== -1 && start < quote ? start : 0, quote)
}

function told(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint' ? String(value) : 'another'
}

function listed(values: readonly unknown[]): string {
  const all = values.slice(0, MOST_TOLD).map((each) => (typeof each === 'bigint' ? `${each}` : JSON.stringify(each)))
  return `${all.join(', ')}${values.length > MOST_TOLD ? ', …' : ''}`
}

const UNITS = new Map([
  ['string', ' characters'],
  ['array', ' items'],
  ['set', ' items'],
  ['map', ' entries'],
])

function unit(origin: unknown): string {
  return typeof origin === 'string' ? (UNITS.get(origin) ?? '') : ''
}
