import { runInNewContext } from 'node:vm'
import { toStandardJsonSchema } from '@valibot/to-json-schema'
import { type } from 'arktype'
import * as v from 'valibot'
import { describe, expect, expectTypeOf, test } from 'vitest'
import * as z from 'zod'
import { ConfigError } from '../src/errors.ts'
import { type DataOf, type GivenOf, isSchema, jsonSchema, type Schema, shapeOf } from '../src/schema.ts'

interface Ticket {
  label: 'bug' | 'billing'
  tags: string[]
  note?: string | undefined
}

const ofZod = z.object({ label: z.enum(['bug', 'billing']), tags: z.array(z.string()), note: z.string().optional() })
const ofValibot = toStandardJsonSchema(
  v.object({ label: v.picklist(['bug', 'billing']), tags: v.array(v.string()), note: v.optional(v.string()) }),
)
const ofArk = type({ label: "'bug' | 'billing'", tags: 'string[]', 'note?': 'string' })
const ofJson = jsonSchema<Ticket>({
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: {
    label: { enum: ['bug', 'billing'] },
    tags: { type: 'array', items: { type: 'string' } },
    note: { type: 'string' },
  },
  required: ['label', 'tags'],
})

const LIBRARIES = [
  ['zod', ofZod],
  ['valibot', ofValibot],
  ['arktype', ofArk],
  ['JSON Schema', ofJson],
] as const

const check = (schema: unknown, value: unknown) => shapeOf(schema, 'tasks.tag.schema').check(value)
const problemWith = (schema: unknown) => {
  try {
    shapeOf(schema, 'tasks.tag.schema')
    return 'none'
  } catch (error) {
    return ConfigError.is(error) && error.field === 'tasks.tag.schema' ? error.message : `threw ${String(error)}`
  }
}

describe.each(LIBRARIES)('a schema of %s', (_, schema) => {
  test('is shown to the model in one form', () => {
    const { json } = shapeOf(schema, 'schema')
    expect(Object.keys(json).sort()).toEqual(['properties', 'required', 'type'])
    expect(json.required).toEqual(['label', 'tags'])
    expect(JSON.stringify(json)).not.toMatch(/\$schema|~standard/)
    expect(Object.isFrozen(json)).toBe(true)
    expect(shapeOf(schema, 'schema')).toBe(shapeOf(schema, 'other'))
  })

  test('lets pass what fits', () => {
    const value = { label: 'bug', tags: ['a'] }
    expect(check(schema, value)).toEqual({ ok: true, value })
  })

  test('says what is wrong without a word of the answer', () => {
    const result = check(schema, { label: 'kX9', tags: ['fine', 4711], note: { qZ7: 'Wq5' }, vY8: 1 })
    if (result instanceof Promise || result.ok) throw new Error('expected issues')
    expect(result.issues.map(({ path }) => path)).toEqual(expect.arrayContaining([['label'], ['tags', 1], ['note']]))
    expect(JSON.stringify(result.issues)).not.toMatch(/kX9|4711|qZ7|Wq5|vY8|fine/)
    for (const { message } of result.issues) expect(message).toMatch(/expected|must be/)
  })
})

describe('what the answer says of itself', () => {
  test.each([
    ['zod', z.strictObject({ by: z.record(z.string(), z.number()) })],
    ['valibot', toStandardJsonSchema(v.strictObject({ by: v.record(v.string(), v.number()) }))],
    ['arktype', type({ '+': 'reject', by: 'Record<string, number>' })],
    [
      'JSON Schema',
      jsonSchema({
        type: 'object',
        properties: { by: { type: 'object', additionalProperties: { type: 'number' } } },
        additionalProperties: false,
      }),
    ],
  ])('is no key in an issue of %s', (_, schema) => {
    const result = check(schema, { by: { qZ7: 'Wq5' }, kX9: 1 })
    if (result instanceof Promise || result.ok) throw new Error('expected issues')
    expect(result.issues[0]?.path).toEqual(['by', '*'])
    expect(result.issues).toHaveLength(2)
    expect(JSON.stringify(result.issues)).not.toMatch(/kX9|qZ7|Wq5/)
  })

  test('is masked in what somebody wrote about it', () => {
    const schema = z.string().refine(() => false, { error: ({ input }) => `${input} is no city` })
    expect(check(schema, 'Atlantis')).toEqual({ ok: false, issues: [{ path: [], message: '[…] is no city' }] })
  })

  test('is told in no more than twenty issues', () => {
    for (const schema of [z.array(z.string()), jsonSchema({ type: 'array', items: { type: 'string' } })]) {
      const result = check(schema, Array(1000).fill(1))
      expect(!(result instanceof Promise) && !result.ok && result.issues).toHaveLength(20)
    }
  })
})

describe('a schema that takes its time, or breaks', () => {
  test('is waited for', async () => {
    const schema = z.string().refine(async (text) => text === 'yes')
    expect(await check(schema, 'yes')).toEqual({ ok: true, value: 'yes' })
    expect(await check(schema, 'no')).toMatchObject({ ok: false })
  })

  test('is an issue and no crash', async () => {
    const fail = () => {
      throw new TypeError('Atlantis')
    }
    const issues = [{ path: [], message: "the schema's own check threw TypeError" }]
    expect(await check(z.string().transform(fail), 'Atlantis')).toEqual({ ok: false, issues })
  })

  test('gives its output for its input', () => {
    const schema = z.object({ size: z.string().transform((text) => text.length), of: z.string().default('all') })
    expect(check(schema, { size: 'four' })).toEqual({ ok: true, value: { size: 4, of: 'all' } })
    expect(shapeOf(schema, 'schema').json).toMatchObject({
      properties: { size: { type: 'string' } },
      required: ['size'],
    })
  })
})

describe('what cannot be used', () => {
  const deep: { items?: unknown } = {}
  deep.items = deep

  test.each([
    [undefined, /expected a schema such as z\.object.* got nothing/],
    [{ type: 'object' }, /expected a schema/],
    [z.object({ at: z.date() }), /JSON Schema: Date/],
    [z.bigint(), /JSON Schema: BigInt/],
    [z.map(z.string(), z.string()), /JSON Schema: Map/],
    [type({ at: 'Date' }), /a Date in it/],
    [v.object({ a: v.string() }), /toStandardJsonSchema\(\)/],
    [{ '~standard': { version: 1, vendor: 'zod', validate: () => ({ value: 1 }) } }, /update zod to 4\.2/],
  ])('is refused in one line: %#', (schema, words) => {
    const message = problemWith(schema)
    expect(message).toMatch(words)
    expect(message).toMatch(/^tasks\.tag\.schema: [^\n]+$/)
  })

  test.each([
    [{ $ref: 'https://example.com/schema' }, /leads out/],
    [{ $ref: '#/$defs/none' }, /names what is not there/],
    [{ type: 'text' }, /none of JSON's types/],
    [{ pattern: '(' }, /no regular expression/],
    [{ unevaluatedProperties: false }, /cannot be checked/],
    [{ default: () => 1 }, /JSON does not have/],
    [{ default: 1n }, /JSON does not have/],
    [{ const: new Date(0) }, /JSON does not have/],
    [deep, /levels deep/],
    [{ enum: Array(30_000).fill('a') }, /more than/],
  ])('is refused as a JSON Schema: %#', (json, words) => {
    expect(() => jsonSchema({ ...json })).toThrow(words)
    expect(() => jsonSchema({ ...json })).toThrow(ConfigError)
  })

  test('is told from a schema without touching what throws', () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    expect([ofZod, ofArk, ofJson].every(isSchema)).toBe(true)
    expect([null, 1, 'x', {}, proxy, { '~standard': null }].some(isSchema)).toBe(false)
  })
})

test('recursion is followed, whoever says it', () => {
  const Node = z.object({
    name: z.string(),
    get children() {
      return z.array(Node)
    },
  })
  const json = shapeOf(Node, 'schema').json
  const own = jsonSchema(json)
  for (const schema of [Node, own]) {
    expect(check(schema, { name: 'a', children: [{ name: 'b', children: [] }] })).toMatchObject({ ok: true })
    const wrong = check(schema, { name: 'a', children: [{ name: 'b', children: [{}] }] })
    expect(wrong).toMatchObject({ ok: false, issues: [{ path: ['children', 0, 'children', 0, 'name'] }, {}] })
  }
  // Where it stands in another schema, its root is no longer the root.
  expect(JSON.stringify(json)).not.toContain('"#"')
})

describe("a schema of nobody's library", () => {
  const saying = (validate: unknown) =>
    Object({ '~standard': { version: 1, vendor: 'x', validate, jsonSchema: converter } })
  const converter = { input: () => ({ type: 'object' }) }

  test('may take its time with anything that can be waited for', async () => {
    const refusing = { issues: [{ message: 'no' }] }
    const said = Object.defineProperty({}, 'then', { value: (resolve: (value: unknown) => void) => resolve(refusing) })
    const foreign: unknown = runInNewContext('Promise').resolve(refusing)
    for (const promise of [said, foreign, Promise.resolve(refusing)]) {
      const checked = await shapeOf(
        saying(() => promise),
        'schema',
      ).check({})
      expect(checked).toEqual({ ok: false, issues: [{ path: [], message: 'no' }] })
    }
  })

  test('has let nothing pass of which it has said nothing', async () => {
    for (const said of [undefined, null, true, {}, { issues: undefined }, Promise.resolve({})]) {
      const shape = shapeOf(
        saying(() => said),
        'schema',
      )
      expect(await shape.check({})).toMatchObject({ ok: false, issues: [{ path: [] }] })
    }
  })

  test('may throw anything: it is not what is told', async () => {
    const nameless = Object.defineProperty(new Error('a secret'), 'name', { get: () => JSON.parse('') })
    const symbolic = Object.defineProperty(new Error('a secret'), 'name', { value: Symbol('a secret') })
    for (const thrown of [nameless, symbolic, new Proxy({}, { getPrototypeOf: () => JSON.parse('') })]) {
      const throwing = () => {
        throw thrown
      }
      for (const validate of [throwing, () => Promise.reject(thrown)]) {
        const checked = await shapeOf(saying(validate), 'schema').check({})
        expect(checked).toEqual({ ok: false, issues: [{ path: [], message: "the schema's own check threw an error" }] })
      }
    }
  })

  test('is told where it stands when it throws on being looked at', () => {
    const throwing = (name: string) => Object.defineProperty({}, name, { get: () => JSON.parse('') })
    const standard = { version: 1, vendor: 'x', validate: () => ({ value: 1 }) }
    for (const schema of [
      { '~standard': Object.assign(throwing('jsonSchema'), standard) },
      Object.assign(throwing('toJsonSchema'), { '~standard': standard }),
    ]) {
      expect(() => shapeOf(schema, 'tasks.say.schema')).toThrow(ConfigError)
    }
  })
})

test('types come from the schema alone', () => {
  expectTypeOf<DataOf<typeof ofZod>>().toEqualTypeOf<Ticket>()
  expectTypeOf<DataOf<typeof ofValibot>>().toExtend<Ticket>()
  expectTypeOf<DataOf<typeof ofArk>>().toExtend<Ticket>()
  expectTypeOf<DataOf<typeof ofJson>>().toEqualTypeOf<Ticket>()
  const sized = z.string().transform((text) => text.length)
  expectTypeOf<GivenOf<typeof sized>>().toEqualTypeOf<string>()
  expectTypeOf<DataOf<typeof sized>>().toEqualTypeOf<number>()
  const all: readonly Schema[] = [ofZod, ofValibot, ofArk, ofJson]
  expect(all.every(isSchema)).toBe(true)
})
