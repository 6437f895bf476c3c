import { type Fields, fieldsOf, isFields, listOf, numberOf, stringsOf, textOf } from './json.ts'

/** How deep a schema is followed: recursive ones have no end. */
const DEEPEST = 12
const WORDS = ['alpha', 'harbour', 'signal', 'meadow', 'copper', 'lantern', 'orbit', 'velvet']
const FORMATS: Readonly<Record<string, string>> = {
  date: '2026-03-14',
  'date-time': '2026-03-14T09:26:53Z',
  time: '09:26:53Z',
  duration: 'PT1H',
  email: 'sam@example.com',
  uri: 'https://example.com/item',
  url: 'https://example.com/item',
  hostname: 'example.com',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  uuid: '3f2b8c1e-5d4a-4f6b-9c7d-1a2b3c4d5e6f',
}

/** A value that follows a JSON schema, the same for the same random numbers. */
export function sample(schema: unknown, random: () => number): unknown {
  return value(schema, { root: schema, random }, 0, 'value')
}

interface Sampling {
  readonly root: unknown
  readonly random: () => number
}

function value(schema: unknown, sampling: Sampling, depth: number, name: string): unknown {
  if (!isFields(schema)) return WORDS[0]
  if (typeof schema.$ref === 'string') {
    return depth > DEEPEST ? null : value(resolve(schema.$ref, sampling.root), sampling, depth + 1, name)
  }
  if ('const' in schema) return schema.const
  const choices = listOf(schema.enum)
  if (choices.length > 0) return pick(choices, sampling)
  const variants = [...listOf(schema.anyOf), ...listOf(schema.oneOf)]
  if (variants.length > 0) {
    // Towards the end of a recursion the way out is usually the null variant.
    const way = depth > DEEPEST / 2 ? variants.find((variant) => fieldsOf(variant).type === 'null') : undefined
    return value(way ?? variants[0], sampling, depth + 1, name)
  }
  const parts = listOf(schema.allOf)
  if (parts.length > 0) return value(merged([schema, ...parts], sampling), sampling, depth + 1, name)
  const types = typeof schema.type === 'string' ? [schema.type] : stringsOf(schema.type)
  switch (types.find((type) => type !== 'null') ?? types[0] ?? guess(schema)) {
    case 'object':
      return object(schema, sampling, depth, name)
    case 'array':
      return array(schema, sampling, depth, name)
    case 'integer':
      return numeric(schema, sampling, 1)
    case 'number':
      return numeric(schema, sampling, 0.5)
    case 'boolean':
      return sampling.random() < 0.5
    case 'null':
      return null
    default:
      return text(schema, sampling, name)
  }
}

function object(schema: Fields, sampling: Sampling, depth: number, name: string): Fields {
  const properties = fieldsOf(schema.properties)
  const required = new Set(stringsOf(schema.required))
  const result: Record<string, unknown> = {}
  for (const [key, property] of Object.entries(properties)) {
    if (depth > DEEPEST / 2 && !required.has(key)) continue
    if (depth <= DEEPEST) result[key] = value(property, sampling, depth + 1, key)
  }
  for (const key of required) {
    if (!(key in result)) result[key] = value(schema.additionalProperties, sampling, depth + 1, key)
  }
  if (Object.keys(result).length === 0 && isFields(schema.additionalProperties)) {
    result[name] = value(schema.additionalProperties, sampling, depth + 1, name)
  }
  return result
}

function array(schema: Fields, sampling: Sampling, depth: number, name: string): readonly unknown[] {
  const fixed = listOf(schema.prefixItems)
  const least = numberOf(schema.minItems) ?? 0
  const most = numberOf(schema.maxItems) ?? Math.max(least, 3)
  const wanted = depth > DEEPEST / 2 ? least : Math.min(most, Math.max(least, 1 + Math.floor(sampling.random() * 2)))
  const items = fixed.map((item) => value(item, sampling, depth + 1, name))
  for (let tries = 0; items.length < wanted && depth <= DEEPEST && tries < wanted * 4; tries++) {
    const item = value(schema.items, sampling, depth + 1, name)
    if (schema.uniqueItems === true && items.some((other) => JSON.stringify(other) === JSON.stringify(item))) continue
    items.push(item)
  }
  return items
}

function numeric(schema: Fields, sampling: Sampling, grain: number): number {
  const step = numberOf(schema.multipleOf) ?? grain
  const above = numberOf(schema.exclusiveMinimum)
  const below = numberOf(schema.exclusiveMaximum)
  const low = Math.max(numberOf(schema.minimum) ?? Number.NEGATIVE_INFINITY, above ?? Number.NEGATIVE_INFINITY)
  const high = Math.min(numberOf(schema.maximum) ?? Number.POSITIVE_INFINITY, below ?? Number.POSITIVE_INFINITY)
  const from = Number.isFinite(low) ? low : Number.isFinite(high) ? high - 100 : 1
  const until = Number.isFinite(high) ? high : from + 100
  let first = Math.ceil(from / step)
  let last = Math.floor(until / step)
  if (above !== undefined && first * step <= above) first++
  if (below !== undefined && last * step >= below) last--
  // Narrower than the grain: anything in between will do.
  if (last < first) return grain === 1 ? Math.ceil(from) : (from + until) / 2
  const chosen = (first + Math.floor(sampling.random() * (last - first + 1))) * step
  return Number(chosen.toPrecision(12))
}

function text(schema: Fields, sampling: Sampling, name: string): string {
  const format = FORMATS[textOf(schema.format) ?? '']
  if (format !== undefined) return format
  const example = listOf(schema.examples)[0] ?? schema.default
  if (typeof example === 'string') return example
  const pattern = textOf(schema.pattern)
  const matching = pattern === undefined ? undefined : candidates(sampling).find((word) => matches(pattern, word))
  let chosen = matching ?? `${name} ${pick(WORDS, sampling)}`
  const least = numberOf(schema.minLength) ?? 0
  const most = numberOf(schema.maxLength) ?? Number.POSITIVE_INFINITY
  while (chosen.length < least) chosen += ` ${pick(WORDS, sampling)}`
  return chosen.length > most ? chosen.slice(0, Math.max(most, 0)) : chosen
}

/** Patterns are not solved, only tried with what people usually mean by one. */
function candidates(sampling: Sampling): readonly string[] {
  const digits = String(Math.floor(1000 + sampling.random() * 9000))
  const word = String(pick(WORDS, sampling))
  const upper = word.toUpperCase()
  const codes = ['A1', 'AB-12', 'AB-123', 'ABC-1234', 'EUR', 'US', '+15550100', '#a1b2c3', '1.2.3', '12345', '09:30']
  return [word, upper, digits, digits.slice(0, 3), digits.slice(0, 2), digits.slice(0, 1), ...codes, '2026-03-14']
}

function matches(pattern: string, word: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(word)
  } catch {
    return false
  }
}

function merged(parts: readonly unknown[], sampling: Sampling): Fields {
  const properties: Record<string, unknown> = {}
  const required: string[] = []
  const result: Record<string, unknown> = {}
  for (const part of parts) {
    const given = fieldsOf(part)
    const { allOf: _, ...fields } =
      typeof given.$ref === 'string' ? fieldsOf(resolve(given.$ref, sampling.root)) : given
    Object.assign(result, fields)
    Object.assign(properties, fieldsOf(fields.properties))
    required.push(...stringsOf(fields.required))
  }
  return { ...result, properties, required }
}

function resolve(reference: string, root: unknown): unknown {
  let found: unknown = root
  for (const step of reference.replace(/^#\/?/, '').split('/')) {
    if (step !== '') found = fieldsOf(found)[decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~')]
  }
  return found
}

function guess(schema: Fields): string {
  if ('properties' in schema) return 'object'
  if ('items' in schema || 'prefixItems' in schema) return 'array'
  return 'minimum' in schema || 'maximum' in schema ? 'number' : 'string'
}

function pick<T>(list: readonly T[], { random }: Sampling): T | undefined {
  return list[Math.floor(random() * list.length)]
}
