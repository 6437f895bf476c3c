import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { checkerOf } from '../src/json-schema.ts'
import { isObject } from '../src/json-values.ts'
import { jsonSchema, shapeOf } from '../src/schema.ts'
import { strictly, type Taste } from '../src/strict.ts'
import { ANTHROPIC, GOOGLE, OPENAI } from '../src/tastes.ts'
import { runs } from './support/runs.ts'

const jsonOf = (schema: unknown) => shapeOf(schema, 'schema').json

function strict(schema: unknown, taste: Taste = OPENAI) {
  const made = strictly(jsonOf(schema), taste)
  if (made === null) throw new Error('cannot be said strictly')
  return made
}

/** Words that are not taken, objects that are open, properties that are not required. */
function faults(json: unknown, taste: Taste, isNames = false): string[] {
  if (Array.isArray(json)) return json.flatMap((each) => faults(each, taste))
  if (!isObject(json)) return []
  const inner = Object.entries(json).flatMap(([word, value]) => {
    if (word === 'enum' || word === 'const' || word === 'default') return []
    return faults(value, taste, !isNames && (word === 'properties' || word === '$defs'))
  })
  if (isNames) return inner
  const words = Object.keys(json).filter((word) => !taste.words.has(word))
  if (json.type !== 'object') return [...inner, ...words]
  const names = Object.keys(Object(json.properties))
  const required = Array.isArray(json.required) ? json.required : []
  const open = taste.closed && json.additionalProperties !== false ? ['open'] : []
  const optional = taste.allRequired && names.some((name) => !required.includes(name)) ? ['optional'] : []
  return [...inner, ...words, ...open, ...optional]
}

/** What a model writes under a strict schema: every property, and null for what may be left out. */
function written(original: unknown, asked: unknown): unknown {
  if (Array.isArray(original)) return original.map((each) => written(each, isObject(asked) ? asked.items : undefined))
  if (!isObject(original) || !isObject(asked)) return original
  const variant = Array.isArray(asked.anyOf)
    ? asked.anyOf.find((each) => isObject(each) && each.type === 'object')
    : asked
  const properties = isObject(variant) && isObject(variant.properties) ? variant.properties : {}
  return Object.fromEntries(
    Object.entries(properties).map(([name, part]) => [
      name,
      Object.hasOwn(original, name) ? written(original[name], part) : null,
    ]),
  )
}

describe('a schema as strict endpoints take it', () => {
  const leaf = fc.constantFrom<z.ZodType>(z.string().max(9), z.int().min(1), z.boolean(), z.enum(['a', 'b']), z.email())
  const { schema } = fc.letrec<{ schema: z.ZodType }>((tie) => ({
    schema: fc.oneof(
      { maxDepth: 3 },
      leaf,
      tie('schema').map((inner) => z.array(inner)),
      fc.tuple(tie('schema'), tie('schema')).map(([a, b]) => z.object({ a: a.optional(), b, c: a.nullish() })),
    ),
  }))

  test('holds only what they take', () => {
    fc.assert(
      fc.property(schema, fc.constantFrom(OPENAI, ANTHROPIC, GOOGLE), (schema, taste) => {
        const made = strictly(jsonOf(schema), taste)
        if (made === null) return
        expect(faults(made.json, taste)).toEqual([])
        expect(made.json.type).toBe('object')
      }),
      // Each schema is made and said.
      runs(20),
    )
  })

  test('a null that the original does not know is taken out again, and one that it knows stays', () => {
    const made = strict(z.object({ a: z.string().optional(), b: z.string().nullable(), c: z.string().nullish() }))
    expect(made.json.required).toEqual(['a', 'b', 'c'])
    expect(made.restore({ a: null, b: null, c: null })).toEqual({ b: null, c: null })
    expect(made.restore({ a: 'x' })).toEqual({ a: 'x' })
  })

  test('what is written under it fits the original again', () => {
    const Item = z.object({ id: z.int(), note: z.string().optional() })
    const schema = z.object({ items: z.array(Item), first: Item.optional() })
    const { json, restore } = strict(schema)
    const item = fc.record({ id: fc.integer(), note: fc.string() }, { requiredKeys: ['id'] })
    const value = fc.record({ items: fc.array(item), first: item }, { requiredKeys: ['items'] })
    fc.assert(
      fc.property(value, (value) => {
        const asked = isObject(json.properties) ? json.properties : {}
        const sent = {
          items: written(value.items, asked.items),
          first: value.first ? written(value.first, asked.first) : null,
        }
        expect(checkerOf(json)(sent)).toMatchObject({ ok: true })
        expect(restore(sent)).toEqual(value)
      }),
      // Each item is checked, and compared.
      runs(20),
    )
  })

  test.each([
    [z.array(z.object({ a: z.string().optional() })), { value: [{ a: null }] }, [{}]],
    [z.enum(['a', 'b']), { value: 'a' }, 'a'],
    [z.union([z.object({ a: z.string() }), z.null()]), { value: null }, null],
  ])('a root that is no object is put into one: %#', (schema, sent, value) => {
    const made = strict(schema)
    expect(made.json).toMatchObject({ type: 'object', required: ['value'], additionalProperties: false })
    expect(made.restore(sent)).toEqual(value)
    expect(made.restore({})).toBeUndefined()
  })

  test('each variant has its own way back', () => {
    const a = z.object({ kind: z.literal('a'), x: z.string().optional() })
    const b = z.object({ kind: z.literal('b'), x: z.string().nullable(), y: z.int().optional() })
    const { restore } = strict(z.object({ of: z.discriminatedUnion('kind', [a, b]) }))
    expect(restore({ of: { kind: 'a', x: null } })).toEqual({ of: { kind: 'a' } })
    expect(restore({ of: { kind: 'b', x: null, y: null } })).toEqual({ of: { kind: 'b', x: null } })
    expect(restore({ of: { kind: 'b', x: 'half' } })).toEqual({ of: { kind: 'b', x: 'half' } })
  })

  test('what they do not take is put into words', () => {
    const schema = z.object({ a: z.string().min(3).describe('A name'), b: z.int().min(1) })
    expect(strict(schema).json).toMatchObject({
      properties: { a: { description: 'A name (minLength: 3)' }, b: { minimum: 1 } },
    })
    expect(strict(schema, ANTHROPIC).json).toMatchObject({ properties: { b: { description: '(minimum: 1)' } } })
  })

  test('recursion stays where it is taken, and restores at every depth', () => {
    const Node = z.object({
      name: z.string(),
      note: z.string().optional(),
      get children() {
        return z.array(Node)
      },
    })
    const leaf = { name: 'b', note: null, children: [] }
    const made = strict(Node)
    expect(faults(made.json, OPENAI)).toEqual([])
    expect(made.restore({ ...leaf, children: [leaf] })).toEqual({ name: 'b', children: [{ name: 'b', children: [] }] })
    expect(strictly(jsonOf(Node), ANTHROPIC)).toBeNull()
  })

  test.each([
    ['keys of any name', z.record(z.string(), z.number())],
    ['anything at all', z.object({ a: z.any() })],
    ['other keys as well', z.looseObject({ a: z.string() })],
    ['a constant that is an object', jsonSchema({ const: { a: 1 } })],
    ['patterns of names', jsonSchema({ type: 'object', properties: {}, patternProperties: { a: {} } })],
    ['too many values', jsonSchema({ enum: Array.from({ length: 1001 }, (_, index) => index) })],
  ])('what cannot be said strictly is not: %s', (_, schema) => {
    expect(strictly(jsonOf(schema), OPENAI)).toBeNull()
  })

  test('is made once, and changes nothing that it is given', () => {
    const json = jsonOf(z.object({ a: z.string().optional() }))
    expect(strictly(json, OPENAI)).toBe(strictly(json, OPENAI))
    const sent = Object.freeze({ a: null })
    expect(strict(z.object({ a: z.string().optional() })).restore(sent)).toEqual({})
    expect(sent).toEqual({ a: null })
  })

  test('definitions that double each other are given up before they fill the memory', () => {
    const $defs = Object.fromEntries(
      Array.from({ length: 40 }, (_, n) => {
        const $ref = `#/$defs/d${n + 1}`
        return [`d${n}`, { type: 'object', properties: { a: { $ref }, b: { $ref } }, required: ['a', 'b'] }]
      }),
    )
    const schema = jsonSchema({ $ref: '#/$defs/d0', $defs: { ...$defs, d40: { type: 'string' } } })
    expect(strictly(jsonOf(schema), GOOGLE)).toBeNull()
  })

  test('of two variants the one that was written is put back, also where the other knows less of it', () => {
    const who = z.union([
      z.object({ name: z.string(), nick: z.string().optional() }),
      z.object({ name: z.string(), nick: z.string().nullable(), age: z.number() }),
    ])
    const written = { who: { name: 'a', nick: null, age: 3 } }
    expect(strict(z.object({ who })).restore(written)).toEqual(written)
    expect(strict(z.object({ who })).restore({ who: { name: 'a', nick: null } })).toEqual({ who: { name: 'a' } })
  })

  test('variants within variants, and an answer that grows beside a long list, are put back once', () => {
    const Node: z.ZodType = z.lazy(() =>
      z.object({
        next: z
          .union([
            z.object({ kind: z.literal('a'), one: Node.optional() }),
            z.object({ kind: z.literal('b'), one: Node.optional() }),
            z.object({ kind: z.literal('c'), one: Node.optional(), last: z.string() }),
          ])
          .optional(),
      }),
    )
    let value: object = { next: null }
    for (let depth = 0; depth < 25; depth += 1) value = { next: { kind: 'c', one: value, last: 'x' } }
    const started = process.cpuUsage()
    expect(JSON.stringify(strict(Node).restore(value))).not.toContain('null')
    const list = z.object({
      items: z.array(z.object({ n: z.number(), note: z.string().optional() })),
      text: z.string(),
    })
    const items = Array.from({ length: 5000 }, (_, n) => ({ n, note: null }))
    for (const growing of [list.nullable(), z.union([z.object({ error: z.string() }), list])]) {
      const { restore } = strict(z.object({ growing }))
      for (let length = 0; length < 2000; length += 1) restore({ growing: { items, text: 'x'.repeat(length) } })
    }
    expect(process.cpuUsage(started).user / 1000).toBeLessThan(2000)
  })
})
