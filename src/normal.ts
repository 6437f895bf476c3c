import { resolved } from './json-schema.ts'
import { type JsonSchema, UnusableSchema } from './json-values.ts'

/** Models lose their way in schemas long before this, and providers refuse them. */
const DEEPEST = 100
const MOST_NODES = 20_000

/** What is only for libraries, or for a document that stands alone. */
const LEFT_OUT = new Set(['$schema', '$id', 'id', '$comment', '$anchor', '$dynamicAnchor', '$vocabulary', '~standard'])

/** Where schemas stand inside a schema. */
const SCHEMAS_BY_NAME = new Set(['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas'])
const LISTS_OF_SCHEMAS = new Set(['anyOf', 'oneOf', 'allOf', 'prefixItems'])
const ONE_SCHEMA = new Set([
  'items',
  'additionalProperties',
  'additionalItems',
  'not',
  'if',
  'then',
  'else',
  'contains',
  'propertyNames',
  'unevaluatedItems',
  'unevaluatedProperties',
])

/**
 * A schema in one form, whichever library said it: plain frozen data, definitions under `$defs`, a root that is no
 * mere reference, and nothing in it that is only for libraries.
 */
export function normalized(json: unknown): JsonSchema {
  if (!isObject(json)) throw new UnusableSchema('expected a JSON Schema, which is an object')
  const { schema, referred } = copying(new Set([...keysOf(json.$defs), ...keysOf(json.definitions)]))
  const copy = schema(json, 0)
  if (!isObject(copy)) throw new UnusableSchema('expected a JSON Schema, which is an object')
  return Object.freeze(rooted(defined(copy, referred)))
}

/**
 * What is referred to by its place is given a name: the place changes when the schema is put into another, and so
 * does what is at the root.
 */
function defined(json: Fields, referred: ReadonlyMap<string, string>): Fields {
  if (referred.size === 0) return json
  const { $defs, ...root } = json
  const named = [...referred].map(([reference, name]) => [name, reference === '#' ? root : resolved(reference, json)])
  return { ...root, $defs: Object.freeze({ ...fields($defs), ...Object.fromEntries(named) }) }
}

type Fields = Readonly<Record<string, unknown>>

function copying(taken: Set<string>) {
  const referred = new Map<string, string>()
  const reference = (given: string): string => {
    const pointer = given.replace(OLD_DEFINITIONS, '#/$defs').replace(/^#\/$/, '#')
    if (NAMED.test(pointer)) return pointer
    const name = referred.get(pointer) ?? free(pointer === '#' ? 'root' : `part${referred.size}`, taken)
    taken.add(name)
    referred.set(pointer, name)
    return `#/$defs/${name}`
  }

  let nodes = 0
  const enter = (depth: number): void => {
    nodes += 1
    // Objects that hold themselves end here as well.
    if (depth > DEEPEST) throw new UnusableSchema(`is nested more than ${DEEPEST} levels deep`)
    if (nodes > MOST_NODES) throw new UnusableSchema(`has more than ${MOST_NODES} parts`)
  }

  const data = (value: unknown, depth: number): unknown => {
    enter(depth)
    if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
    if (typeof value === 'number' && Number.isFinite(value)) return value
    if (Array.isArray(value)) return Object.freeze(value.map((each) => data(each, depth + 1)))
    if (isObject(value) && isPlainObject(value)) return fieldsFrom(value, (each) => data(each, depth + 1))
    throw new UnusableSchema('holds something that JSON does not have')
  }

  const list = (value: unknown, depth: number): unknown => {
    if (!Array.isArray(value)) return data(value, depth)
    return Object.freeze(value.map((each) => schema(each, depth + 1)))
  }

  const schema = (value: unknown, depth: number): unknown => {
    if (!isObject(value)) return data(value, depth)
    enter(depth)
    if (!isPlainObject(value)) throw new UnusableSchema('holds something that JSON does not have')
    const copy: [string, unknown][] = []
    for (const [word, given] of Object.entries(value)) {
      if (given === undefined || LEFT_OUT.has(word)) continue
      if (word === 'items' && Array.isArray(given)) copy.push(['prefixItems', list(given, depth + 1)])
      else if (word === 'additionalItems') copy.push(['items', schema(given, depth + 1)])
      else if (word === '$ref' && typeof given === 'string') copy.push(['$ref', reference(given)])
      else if (SCHEMAS_BY_NAME.has(word) && isObject(given)) {
        enter(depth + 1)
        const named = fieldsFrom(given, (each) => schema(each, depth + 2))
        copy.push([word === 'definitions' ? '$defs' : word, named])
      } else if (LISTS_OF_SCHEMAS.has(word)) copy.push([word, list(given, depth + 1)])
      else if (ONE_SCHEMA.has(word)) copy.push([word, schema(given, depth + 1)])
      else copy.push([word, data(given, depth + 1)])
    }
    return Object.freeze(Object.fromEntries(nullable(copy)))
  }

  return { schema, referred }
}

const OLD_DEFINITIONS = /^#\/definitions(?=\/)/
const NAMED = /^#\/\$defs\/[^/]+$/

function free(name: string, taken: ReadonlySet<string>): string {
  return taken.has(name) ? free(`${name}_`, taken) : name
}

function keysOf(value: unknown): readonly string[] {
  return isObject(value) ? Object.keys(value) : []
}

function fields(value: unknown): Fields {
  return isObject(value) ? value : {}
}

/** OpenAPI's way to say that null is right as well. */
function nullable(words: [string, unknown][]): [string, unknown][] {
  const type = words.find(([word]) => word === 'type')
  if (
    type === undefined ||
    typeof type[1] !== 'string' ||
    !words.some(([word, given]) => word === 'nullable' && given)
  ) {
    return words
  }
  return words
    .filter(([word]) => word !== 'nullable')
    .map(([word, given]) => {
      if (word === 'type') return [word, Object.freeze([given, 'null'])]
      return word === 'enum' && Array.isArray(given)
        ? [word, Object.freeze([...new Set([...given, null])])]
        : [word, given]
    })
}

/** `Object.fromEntries` defines what it is given: `__proto__` becomes a key like any other. */
function fieldsFrom(value: Fields, each: (value: unknown) => unknown): Fields {
  return Object.freeze(
    Object.fromEntries(
      Object.entries(value)
        .filter(([, given]) => given !== undefined)
        .map(([key, given]) => [key, each(given)]),
    ),
  )
}

/** Providers want to see at the root what the answer is. */
function rooted(json: Fields): Fields {
  let root = json
  for (let steps = 0; typeof root.$ref === 'string'; steps += 1) {
    const { $ref, ...beside } = root
    const named = resolved($ref, json)
    if (steps > DEEPEST || !isObject(named)) throw new UnusableSchema('is a reference that leads nowhere')
    root = { ...named, ...beside, ...(json.$defs === undefined ? {} : { $defs: json.$defs }) }
  }
  return root
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  // Also one of another realm: its prototype is nobody's child.
  return prototype === null || Object.getPrototypeOf(prototype) === null
}
