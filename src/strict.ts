import { checkerOf, resolved } from './json-schema.ts'
import { isObject, type JsonSchema, UnusableSchema } from './json-values.ts'
import {
  ANNOTATIONS,
  ARRAY,
  both,
  described,
  looksLike,
  OBJECT,
  once,
  orNull,
  type Restore,
  restoredArray,
  restoredObject,
  SCALAR,
  typeFor,
} from './strict-words.ts'

/** What an endpoint takes as a strict schema. */
export interface Taste {
  /** Which words it may hold. Without `$ref`, what is referred to is written out. */
  readonly words: ReadonlySet<string>
  /** Which values of `format` are known, where that word is taken; default: any. */
  readonly formats?: ReadonlySet<string>
  /** Whether every property has to be required. */
  readonly allRequired: boolean
  /** Whether every object has to be closed. */
  readonly closed: boolean
  readonly recursive: boolean
  readonly most?: {
    /** Objects in objects. */
    readonly depth?: number
    readonly properties?: number
    readonly enumValues?: number
    /** Names, and values of enums, together. */
    readonly characters?: number
    /** Properties that may be left out. */
    readonly optional?: number
    /** Places that may hold values of several kinds. */
    readonly unions?: number
  }
}

export interface Strict {
  readonly json: JsonSchema
  /** What was written for the strict schema, as the original one knows it; also of a value that is not whole yet. */
  restore(value: unknown): unknown
}

/**
 * A schema as a strict endpoint takes it, and the way back. A property that may be left out becomes one that may be
 * null, and such a null is taken out again; a root that is no object is put into one. Limits that the endpoint does
 * not know are put into words: the answer is checked against the original anyway. `null` where the schema says what
 * cannot be said strictly: keys of any name, anything at all, recursion where it is not taken.
 */
export function strictly(json: JsonSchema, taste: Taste): Strict | null {
  const known = answers.get(json) ?? new Map<Taste, Strict | null>()
  answers.set(json, known)
  const before = known.get(taste)
  if (before !== undefined) return before
  const made = converted(json, taste)
  known.set(taste, made)
  return made
}

/** A schema is asked for with every call. */
const answers = new WeakMap<JsonSchema, Map<Taste, Strict | null>>()

class Unsayable extends Error {}

function converted(json: JsonSchema, taste: Taste): Strict | null {
  const conversion: Conversion = {
    taste,
    root: json,
    named: new Map(),
    following: [],
    count: { properties: 0, enumValues: 0, characters: 0, optional: 0, unions: 0, nodes: 0 },
  }
  try {
    const part = partOf(json, conversion, 0)
    const isWrapped = part.json.type !== 'object'
    const inner = isWrapped ? wrapped(part.json, taste) : part.json
    checkCounts(conversion)
    const strict = conversion.named.size === 0 ? inner : { ...inner, $defs: definitionsOf(conversion) }
    const restore = (value: unknown) => part.restore(isWrapped ? unwrapped(value) : value)
    return Object.freeze({ json: frozen(strict), restore })
  } catch (error) {
    if (error instanceof Unsayable || error instanceof UnusableSchema) return null
    throw error
  }
}

function definitionsOf({ named }: Conversion): JsonSchema {
  return Object.fromEntries([...named.values()].map(({ name, part }) => [name, part?.json ?? {}]))
}

const WRAPPED = 'value'

function wrapped(json: JsonSchema, taste: Taste): JsonSchema {
  return {
    type: 'object',
    properties: { [WRAPPED]: json },
    required: [WRAPPED],
    ...(taste.words.has('additionalProperties') && { additionalProperties: false }),
  }
}

function unwrapped(value: unknown): unknown {
  if (!isObject(value)) return value
  return Object.hasOwn(value, WRAPPED) ? value[WRAPPED] : Object.keys(value).length === 0 ? undefined : value
}

interface Conversion {
  readonly taste: Taste
  readonly root: JsonSchema
  /** Definitions by reference; without a part while it is being made. */
  readonly named: Map<string, { readonly name: string; part: Part | null }>
  /** References on the way to where we are. */
  readonly following: string[]
  readonly count: {
    properties: number
    enumValues: number
    characters: number
    optional: number
    unions: number
    nodes: number
  }
}

interface Part {
  readonly json: JsonSchema
  readonly restore: Restore
}

const same: Restore = (value) => value

/** Written out again and again, a schema grows beyond anything. */
const MOST_NODES = 20_000

function partOf(given: unknown, conversion: Conversion, depth: number): Part {
  const { taste, count } = conversion
  count.nodes += 1
  if (!isObject(given) || count.nodes > MOST_NODES) throw new Unsayable()
  if (given.$ref !== undefined) return referred(given, conversion, depth)
  const schema = flattened(given, conversion)
  const variants = variantsOf(schema)
  if (variants !== null) return choice(schema, variants, conversion, depth)
  if (Object.hasOwn(schema, 'const') || schema.enum !== undefined) return values(schema, conversion)
  const type = typeIn(schema)
  if (type === 'object') return object(schema, conversion, depth)
  if (type === 'array') return array(schema, conversion, depth)
  if (Array.isArray(type)) count.unions += 1
  return { json: { type, ...described(schema, SCALAR, taste) }, restore: same }
}

function referred(schema: JsonSchema, conversion: Conversion, depth: number): Part {
  const { taste, root, named, following } = conversion
  const reference = String(schema.$ref)
  const isRecursive = following.includes(reference)
  if (isRecursive && !(taste.recursive && taste.words.has('$ref'))) throw new Unsayable()
  const target = resolved(reference, root)
  const { $ref: _, $defs: __, description, ...beside } = schema
  // Rules beside a reference are rules for what it leads to.
  const isPlain = Object.keys(beside).every((word) => ANNOTATIONS.has(word))
  if (!isPlain && isRecursive) throw new Unsayable()
  if (!taste.words.has('$ref') || !isPlain) {
    following.push(reference)
    const part = partOf(isPlain ? target : { allOf: [target, beside] }, conversion, depth)
    following.pop()
    return typeof description === 'string' ? { ...part, json: { ...part.json, description } } : part
  }
  const definition = named.get(reference) ?? { name: nameFor(reference, named.size), part: null }
  if (!named.has(reference)) {
    named.set(reference, definition)
    conversion.count.characters += definition.name.length
    following.push(reference)
    definition.part = partOf(target, conversion, depth)
    following.pop()
  }
  // A reference stands alone: what would describe it has no place beside it.
  const json = { $ref: `#/$defs/${definition.name}` }
  return { json, restore: (value) => (definition.part?.restore ?? same)(value) }
}

/** A name that every endpoint takes. */
function nameFor(reference: string, index: number): string {
  const name = reference.slice('#/$defs/'.length)
  return /^[a-zA-Z_]\w{0,60}$/.test(name) ? name : `part-${index}`
}

/** Everything that has to hold at once, in one schema. */
function flattened(schema: JsonSchema, conversion: Conversion): JsonSchema {
  if (!Array.isArray(schema.allOf)) return schema
  const { allOf, ...beside } = schema
  let merged: JsonSchema = beside
  for (const each of allOf) {
    let part: unknown = each
    for (let steps = 0; isObject(part) && part.$ref !== undefined && steps < 100; steps += 1) {
      const reference = String(part.$ref)
      if (conversion.following.includes(reference)) throw new Unsayable()
      const { $ref: _, ...others } = part
      const target = resolved(reference, conversion.root)
      part = Object.keys(others).length === 0 ? target : { allOf: [target, others] }
    }
    conversion.count.nodes += 1
    if (!isObject(part) || conversion.count.nodes > MOST_NODES) throw new Unsayable()
    const joined = both(merged, flattened(part, conversion))
    if (joined === null) throw new Unsayable()
    merged = joined
  }
  return merged
}

function variantsOf(schema: JsonSchema): readonly unknown[] | null {
  const given = schema.anyOf ?? schema.oneOf
  if (Array.isArray(given) && schema.type === undefined && schema.properties === undefined) return given
  const { type } = schema
  // A list of types with an object or an array among them is several schemas in one.
  const isMixed = Array.isArray(type) && type.length > 1 && type.some((each) => each === 'object' || each === 'array')
  if (!isMixed || schema.enum !== undefined) return null
  return type.map((each) => {
    const words = Object.entries(schema).filter(([word]) => (typeFor(word) ?? each) === each)
    return { ...Object.fromEntries(words.filter(([word]) => !ANNOTATIONS.has(word))), type: each }
  })
}

function choice(schema: JsonSchema, given: readonly unknown[], conversion: Conversion, depth: number): Part {
  if (!conversion.taste.words.has('anyOf')) throw new Unsayable()
  const variants = given.filter((each) => !isNever(each))
  const parts = variants.map((each) => partOf(each, conversion, depth))
  const [only] = parts
  if (only === undefined) throw new Unsayable()
  const described = typeof schema.description === 'string' ? { description: schema.description } : {}
  if (parts.length === 1) return { ...only, json: only.json.$ref ? only.json : { ...only.json, ...described } }
  conversion.count.unions += 1
  const json = { anyOf: parts.map((part) => part.json), ...described }
  if (parts.every(({ restore }) => restore === same)) return { json, restore: same }
  const tests = variants.map((each) => lazily(() => testOf(each, conversion.root)))
  const strict = parts.map((part) => lazily(() => testOf(part.json, { $defs: definitionsOf(conversion) })))
  const restore = (value: unknown): unknown => {
    // Most are told apart at a glance: an answer on its way is looked at again and again.
    const [likely, ...others] = parts.filter((part) => looksLike(target(part.json, conversion), value))
    if (likely !== undefined && others.length === 0) return likely.restore(value)
    // As it was written it fits the variant that was meant; put back, it may fit one that knows less of it as well.
    for (const [index, part] of parts.entries()) {
      if (!strict[index]?.()(value)) continue
      const restored = part.restore(value)
      if (tests[index]?.()(restored)) return restored
    }
    let closest: unknown = value
    for (const [index, part] of parts.entries()) {
      const restored = part.restore(value)
      if (tests[index]?.()(restored)) return restored
      if (closest === value) closest = restored
    }
    // None fits, or not yet: a value on its way is shown as the first variant that changes it has it.
    return closest
  }
  return { json, restore: once(restore) }
}

/** What a reference of ours stands for, once it is made. */
function target(json: JsonSchema, { named }: Conversion): JsonSchema {
  if (json.$ref === undefined) return json
  for (const { name, part } of named.values()) if (json.$ref === `#/$defs/${name}`) return part?.json ?? json
  return json
}

function lazily<T>(make: () => T): () => T {
  let made: { readonly value: T } | null = null
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

function isNever(schema: unknown): boolean {
  return schema === false || (isObject(schema) && isObject(schema.not) && Object.keys(schema.not).length === 0)
}

function values(schema: JsonSchema, { taste, count }: Conversion): Part {
  const isConst = Object.hasOwn(schema, 'const')
  const all = isConst ? [schema.const] : Array.isArray(schema.enum) ? schema.enum : []
  if (all.length === 0 || all.some((each) => typeof each === 'object' && each !== null)) throw new Unsayable()
  count.enumValues += all.length
  for (const each of all) count.characters += String(each).length
  const types = [...new Set(all.map((each) => (each === null ? 'null' : typeof each)))]
  const type = types.length === 1 ? types[0] : types
  const keepsConst = isConst && taste.words.has('const')
  const says = described(schema, SCALAR, taste)
  return { json: { type, ...(keepsConst ? { const: schema.const } : { enum: all }), ...says }, restore: same }
}

/** Where the type is not said, the words for one type say it. */
function typeIn(schema: JsonSchema): unknown {
  if (Array.isArray(schema.type)) return schema.type.length === 1 ? schema.type[0] : schema.type
  if (typeof schema.type === 'string') return schema.type
  const implied = new Set(Object.keys(schema).flatMap((word) => typeFor(word) ?? []))
  const [type] = implied
  if (type === undefined || implied.size > 1) throw new Unsayable()
  return type
}

function object(schema: JsonSchema, conversion: Conversion, depth: number): Part {
  const { taste, count } = conversion
  const properties = propertiesOf(schema)
  if (properties === null || schema.patternProperties !== undefined) throw new Unsayable()
  if (depth >= (taste.most?.depth ?? Number.POSITIVE_INFINITY)) throw new Unsayable()
  const needed = new Set(Array.isArray(schema.required) ? schema.required : [])
  const strict: [string, JsonSchema][] = []
  const restores = new Map<string, Restore>()
  const optional = new Set<string>()
  for (const [name, given] of Object.entries(properties)) {
    const mayMiss = !needed.has(name)
    // What must not be there is not asked for.
    if (mayMiss && isNever(given)) continue
    const part = partOf(given, conversion, depth + 1)
    count.properties += 1
    count.characters += name.length
    if (part.restore !== same) restores.set(name, part.restore)
    // Also where it may be left out: some models write null all the same, and it can mean nothing else.
    if (mayMiss && !takesNull(given, conversion.root)) optional.add(name)
    if (mayMiss && !taste.allRequired) count.optional += 1
    strict.push([name, mayMiss && taste.allRequired ? orNull(part.json) : part.json])
  }
  for (const name of needed) if (!strict.some(([each]) => each === name)) throw new Unsayable()
  const names = strict.map(([name]) => name)
  const json = {
    type: 'object',
    properties: Object.fromEntries(strict),
    required: taste.allRequired ? names : names.filter((name) => needed.has(name)),
    ...(taste.words.has('additionalProperties') && { additionalProperties: false }),
    ...described(schema, OBJECT, taste),
  }
  const changes = restores.size > 0 || optional.size > 0
  return { json, restore: changes ? (value) => restoredObject(value, restores, optional) : same }
}

/** `null` where any key may come. */
function propertiesOf(schema: JsonSchema): JsonSchema | null {
  const { properties, additionalProperties: others, propertyNames } = schema
  const isClosed = others === undefined || others === false || isNever(others)
  if (isObject(properties)) return isClosed ? properties : null
  if (!isObject(propertyNames) || !Array.isArray(propertyNames.enum) || isClosed) return others === false ? {} : null
  // A record of which the keys are known is an object.
  return Object.fromEntries(propertyNames.enum.map((name) => [String(name), others]))
}

function array(schema: JsonSchema, conversion: Conversion, depth: number): Part {
  const first = Array.isArray(schema.prefixItems) ? schema.prefixItems : []
  const rest = schema.items === undefined || isNever(schema.items) ? [] : [schema.items]
  if (first.length === 0 && rest.length === 0) throw new Unsayable()
  // A tuple is a list of any of its items: their order is a matter of words, and of the check.
  const different = [...new Map([...first, ...rest].map((each) => [JSON.stringify(each), each])).values()]
  const item = partOf(different.length === 1 ? different[0] : { anyOf: different }, conversion, depth)
  const says = described(schema, ARRAY, conversion.taste)
  const json = { type: 'array', items: item.json, ...says }
  const { restore } = item
  return { json, restore: restore === same ? same : once((value) => restoredArray(value, restore)) }
}

function takesNull(schema: unknown, root: JsonSchema): boolean {
  return testOf(schema, root)(null)
}

/** Some words only their library can check: then nothing fits for certain. */
function testOf(schema: unknown, root: JsonSchema): (value: unknown) => boolean {
  try {
    const check = checkerOf(schema, root)
    return (value) => check(value).ok
  } catch (error) {
    if (error instanceof UnusableSchema) return () => false
    throw error
  }
}

function checkCounts({ taste: { most = {} }, count }: Conversion): void {
  const { properties, enumValues, characters, optional, unions } = most
  const pairs: readonly (readonly [number, number | undefined])[] = [
    [count.properties, properties],
    [count.enumValues, enumValues],
    [count.characters, characters],
    [count.optional, optional],
    [count.unions, unions],
  ]
  if (pairs.some(([counted, limit]) => limit !== undefined && counted > limit)) throw new Unsayable()
}

/** Handed out again and again: nobody changes it for all others. */
function frozen(json: JsonSchema): JsonSchema {
  for (const value of Object.values(json)) {
    if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) frozen(Object(value))
  }
  return Object.freeze(json)
}
