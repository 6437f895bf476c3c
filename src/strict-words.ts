import { isObject, type JsonSchema, typeOf } from './json-values.ts'

/** Say something about a value and rule nothing. */
export const ANNOTATIONS: ReadonlySet<string> = new Set(
  'title description default examples deprecated readOnly writeOnly'.split(' '),
)

/** Said by how a schema is built, and not again in words. */
const BUILT = 'type $defs enum const anyOf oneOf title deprecated readOnly writeOnly description'.split(' ')
export const SCALAR: ReadonlySet<string> = new Set([...BUILT, 'contentEncoding', 'contentMediaType'])
export const OBJECT: ReadonlySet<string> = new Set([
  ...BUILT,
  ...['properties', 'required', 'additionalProperties', 'propertyNames'],
])
export const ARRAY: ReadonlySet<string> = new Set([...BUILT, 'items', 'prefixItems'])

const WORDS_FOR: Readonly<Record<string, readonly string[]>> = {
  string: ['minLength', 'maxLength', 'pattern', 'format'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems', 'uniqueItems', 'contains'],
  object: ['properties', 'required', 'additionalProperties', 'propertyNames', 'minProperties', 'maxProperties'],
}

const TYPE_FOR = new Map(
  Object.entries(WORDS_FOR).flatMap(([type, words]) => words.map((word) => [word, type] as const)),
)

/** The type that a word is for; nothing for words that are for any. */
export function typeFor(word: string): string | undefined {
  return TYPE_FOR.get(word)
}

interface Words {
  readonly words: ReadonlySet<string>
  readonly formats?: ReadonlySet<string>
}

const LONGEST_NOTE = 200

/** The words that may stay as they are, and the others in the description, where the model reads them. */
export function described(schema: JsonSchema, built: ReadonlySet<string>, { words, formats }: Words): JsonSchema {
  const kept: Record<string, unknown> = {}
  const notes: string[] = []
  for (const [word, value] of Object.entries(schema)) {
    if (built.has(word) || isIdle(word, value, schema)) continue
    const isKnown = word === 'format' ? (formats?.has(String(value)) ?? true) : word !== 'pattern' || isSimple(value)
    if (words.has(word) && isKnown) kept[word] = value
    else {
      const told = isObject(value) || Array.isArray(value) ? JSON.stringify(value) : String(value)
      if (told.length <= LONGEST_NOTE) notes.push(`${word}: ${told}`)
    }
  }
  const { title, description } = schema
  if (typeof title === 'string' && words.has('title')) kept.title = title
  const said = typeof description === 'string' ? description : ''
  const noted = notes.length === 0 ? said : `${said} (${notes.join('; ')})`.trim()
  return noted === '' ? kept : { ...kept, description: noted }
}

/** Says nothing that a model could use. */
function isIdle(word: string, value: unknown, schema: JsonSchema): boolean {
  // Every whole number that JavaScript knows is between them.
  if (value === Number.MIN_SAFE_INTEGER || value === Number.MAX_SAFE_INTEGER) return true
  // What a format looks like is known by its name.
  if (word === 'pattern' && schema.format !== undefined) return true
  const wanted = typeFor(word)
  const types = [schema.type].flat().map((type) => (type === 'integer' ? 'number' : type))
  return wanted !== undefined && schema.type !== undefined && !types.includes(wanted)
}

/** Looking around, and going back to what was found, is beyond what an answer can be held to while it is written. */
function isSimple(pattern: unknown): boolean {
  return typeof pattern === 'string' && !/\(\?(?!:)|\\[1-9bBkpP]/.test(pattern)
}

/** Two schemas that both have to hold, as one; `null` where they rule the same thing differently. */
export function both(one: JsonSchema, other: JsonSchema): JsonSchema | null {
  const merged: Record<string, unknown> = { ...one }
  for (const [word, value] of Object.entries(other)) {
    const before = Object.hasOwn(merged, word) ? merged[word] : undefined
    if (before === undefined) merged[word] = value
    else if (word === 'properties' && isObject(before) && isObject(value)) merged[word] = namedBoth(before, value)
    else if (word === 'required' && Array.isArray(before) && Array.isArray(value)) {
      merged[word] = [...new Set([...before, ...value])]
    } else if (!ANNOTATIONS.has(word) && JSON.stringify(before) !== JSON.stringify(value)) return null
  }
  return merged
}

function namedBoth(one: JsonSchema, other: JsonSchema): JsonSchema {
  const shared = Object.keys(other).filter((name) => Object.hasOwn(one, name))
  const entries = shared.map((name) => [name, { allOf: [one[name], other[name]] }])
  return { ...one, ...other, ...Object.fromEntries(entries) }
}

/** Puts a value back into the form in which the original schema knows it. */
export type Restore = (value: unknown) => unknown

/**
 * Once for each object and list, which nobody changes any more: of an answer on its way the same parts are looked at
 * again and again, and of variants within variants each asks for what is inside.
 */
export function once(restore: Restore): Restore {
  const known = new WeakMap<object, { readonly restored: unknown }>()
  return (value) => {
    if (typeof value !== 'object' || value === null) return restore(value)
    const before = known.get(value)
    if (before !== undefined) return before.restored
    const restored = restore(value)
    known.set(value, { restored })
    return restored
  }
}

/** The same, or null. */
export function orNull(json: JsonSchema): JsonSchema {
  const isBare = typeof json.type === 'string' && json.enum === undefined && !Object.hasOwn(json, 'const')
  if (json.type === 'null' || (Array.isArray(json.type) && json.type.includes('null'))) return json
  if (isBare && json.type !== 'object' && json.type !== 'array') return { ...json, type: [json.type, 'null'] }
  if (Array.isArray(json.anyOf)) {
    if (json.anyOf.some((each) => isObject(each) && each.type === 'null')) return json
    return { ...json, anyOf: [...json.anyOf, { type: 'null' }] }
  }
  return { anyOf: [json, { type: 'null' }] }
}

/** Whether a value may be what a strict schema says, by its type, its keys and the words among its values alone. */
export function looksLike(json: JsonSchema, value: unknown): boolean {
  const { type, properties } = json
  if (type !== undefined && ![type].flat().includes(typeOf(value)))
    return type === 'integer' && typeof value === 'number'
  if (!isObject(value) || !isObject(properties)) return true
  return Object.entries(value).every(([key, each]) => {
    const property = Object.hasOwn(properties, key) ? properties[key] : undefined
    if (!isObject(property)) return false
    const words = Object.hasOwn(property, 'const') ? [property.const] : property.enum
    return !Array.isArray(words) || words.includes(each)
  })
}

/** Without the nulls that stand for what was left out. */
export function restoredObject(
  value: unknown,
  restores: ReadonlyMap<string, Restore>,
  optional: ReadonlySet<string>,
): unknown {
  if (!isObject(value)) return value
  let changed = false
  const entries: [string, unknown][] = []
  for (const [key, given] of Object.entries(value)) {
    if (given === null && optional.has(key)) {
      changed = true
      continue
    }
    const restored = restores.get(key)?.(given) ?? given
    if (restored !== given) changed = true
    entries.push([key, restored])
  }
  return changed ? Object.fromEntries(entries) : value
}

export function restoredArray(value: unknown, restore: Restore): unknown {
  if (!Array.isArray(value)) return value
  const restored = value.map(restore)
  return restored.some((each, index) => each !== value[index]) ? restored : value
}
