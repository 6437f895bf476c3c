import { type Matcher, matcherOf } from './pattern.ts'

/** A schema as providers read it. */
export type JsonSchema = Readonly<Record<string, unknown>>

/** What is wrong with an answer, and where. Never holds any text of the answer. */
export interface Issue {
  /** A key that the schema does not name is shown as `*`: it is the answer's own text. */
  readonly path: readonly (string | number)[]
  readonly message: string
}

export type Checked<T = unknown> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly issues: readonly Issue[] }

export const MOST_ISSUES = 20
/** Values nested deeper were not asked for by any schema that a model can follow. */
export const DEEPEST = 64
const MOST_TOLD = 12

/** One rule of a schema, made ready: notes what is wrong with a value. */
export type Rule = (value: unknown, walk: Walk) => void

export interface Walk {
  readonly path: (string | number)[]
  issues: Issue[]
  work: number
  /** Rules within rules: some lead to themselves without going on in the value. */
  depth: number
  /** What rules that may hold or not have said of a value: variants within variants ask the same again and again. */
  readonly known: Map<Rule, Map<object, readonly Issue[]>>
}

/** A schema that cannot be checked by, in the middle of a sentence. */
export class UnusableSchema extends Error {
  override readonly name = 'UnusableSchema'
}

export function note(walk: Walk, message: string): void {
  if (walk.issues.length < MOST_ISSUES) walk.issues.push({ path: [...walk.path], message })
}

const TYPES: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  integer: (value) => Number.isInteger(value),
  boolean: (value) => typeof value === 'boolean',
  null: (value) => value === null,
  array: Array.isArray,
  object: isObject,
}

export function typeRule(schema: JsonSchema): Rule | null {
  if (schema.type === undefined) return null
  const types = Array.isArray(schema.type) ? schema.type : [schema.type]
  const tests = types.map((type) => {
    const test = typeof type === 'string' && Object.hasOwn(TYPES, type) ? TYPES[type] : undefined
    if (test === undefined) throw new UnusableSchema('"type" is none of JSON\'s types')
    return test
  })
  const [first, ...others] = tests
  if (first === undefined) throw new UnusableSchema('"type" is an empty list')
  const says = types.join(' or ')
  const holds = others.length === 0 ? first : (value: unknown) => tests.some((test) => test(value))
  return (value, walk) => {
    if (!holds(value)) note(walk, `expected ${says}, got ${typeOf(value)}`)
  }
}

/** What a value is, in JSON's own words. */
export function typeOf(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}

export function valueRules(schema: JsonSchema): readonly Rule[] {
  const rules: Rule[] = []
  if (Object.hasOwn(schema, 'const')) rules.push(oneOf([schema.const]))
  if (schema.enum !== undefined) rules.push(oneOf(listOf(schema.enum, 'enum')))
  return rules
}

function oneOf(allowed: readonly unknown[]): Rule {
  const plain = new Set(allowed.filter(isPlain))
  const composite = new Set(allowed.filter((each) => !isPlain(each)).map((each) => canonical(each)))
  const told = allowed.slice(0, MOST_TOLD).map((each) => JSON.stringify(each) ?? 'nothing')
  const more = allowed.length > MOST_TOLD ? ', …' : ''
  const says = briefly(`expected ${allowed.length === 1 ? '' : 'one of '}${told.join(', ')}${more}`)
  return (value, walk) => {
    const found = isPlain(value) ? plain.has(value) : composite.size > 0 && composite.has(canonicalOf(value, walk))
    if (!found) note(walk, says)
  }
}

const LONGEST_WORDS = 2000

/** What a schema says may be long; it is read by people and, when an answer is mended, by a model. */
function briefly(words: string): string {
  return words.length > LONGEST_WORDS ? `${words.slice(0, LONGEST_WORDS - 1)}…` : words
}

/** Compared by themselves, and never taken for the text of an object. */
function isPlain(value: unknown): boolean {
  return typeof value !== 'object' || value === null
}

/** The same text for the same value, whatever the order of its keys. */
function canonical(value: unknown, depth = 0): string {
  if (depth > DEEPEST || typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'nothing'
  if (Array.isArray(value)) return `[${value.map((each) => canonical(each, depth + 1)).join()}]`
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([key, each]) => `${JSON.stringify(key)}:${canonical(each, depth + 1)}`).join()}}`
}

export function canonicalOf(value: unknown, walk: Walk): string {
  const text = canonical(value)
  // Comparing long values again and again is work as well.
  walk.work -= text.length >> 2
  return text
}

export function numberRules(schema: JsonSchema): readonly Rule[] {
  const limit = (word: string, says: string, holds: (value: number, limit: number) => boolean): Rule[] => {
    const given = numberAt(schema, word)
    if (given === null) return []
    const message = `expected ${says} ${given}`
    return [(value, walk) => void (typeof value === 'number' && !holds(value, given) && note(walk, message))]
  }
  return [
    ...limit('minimum', 'at least', (value, least) => value >= least),
    ...limit('maximum', 'at most', (value, most) => value <= most),
    ...limit('exclusiveMinimum', 'more than', (value, least) => value > least),
    ...limit('exclusiveMaximum', 'less than', (value, most) => value < most),
    ...limit('multipleOf', 'a multiple of', isMultiple),
  ]
}

/** 0.3 is a multiple of 0.1, although no division says so. */
function isMultiple(value: number, step: number): boolean {
  if (step <= 0) return true
  const times = value / step
  // As near as the rounding of the two, and of their division, can have moved it.
  return Math.abs(times - Math.round(times)) <= 4 * Number.EPSILON * Math.max(1, Math.abs(times))
}

export function stringRules(schema: JsonSchema): readonly Rule[] {
  const rules: Rule[] = []
  const least = numberAt(schema, 'minLength')
  const most = numberAt(schema, 'maxLength')
  if (least !== null || most !== null) {
    rules.push((value, walk) => {
      if (typeof value !== 'string') return
      walk.work -= value.length >> 3
      if (least !== null && value.length < 2 * least && lengthOf(value) < least) {
        note(walk, `expected at least ${least} characters`)
      }
      if (most !== null && value.length > most && lengthOf(value) > most) {
        note(walk, `expected at most ${most} characters`)
      }
    })
  }
  if (schema.pattern !== undefined) {
    const matches = patternOf(schema.pattern)
    const says = briefly(`expected text that matches ${JSON.stringify(schema.pattern)}`)
    rules.push((value, walk) => {
      if (typeof value !== 'string') return
      if (!matches(value, walk)) note(walk, says)
    })
  }
  return rules
}

/** Characters as people count them roughly: a pair of surrogates is one. */
function lengthOf(text: string): number {
  let length = 0
  for (const _ of text) length += 1
  return length
}

export function patternOf(pattern: unknown): Matcher {
  const matcher = typeof pattern === 'string' ? matcherOf(pattern) : null
  if (matcher === null) throw new UnusableSchema('"pattern" is no regular expression')
  return matcher
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function numberAt(schema: JsonSchema, word: string): number | null {
  const given = schema[word]
  if (given === undefined) return null
  if (typeof given !== 'number' || !Number.isFinite(given)) throw new UnusableSchema(`"${word}" is no number`)
  return given
}

export function listOf(value: unknown, word: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new UnusableSchema(`"${word}" is no list`)
  return value
}
