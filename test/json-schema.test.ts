import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { checkerOf } from '../src/json-schema.ts'
import { jsonSchema, shapeOf } from '../src/schema.ts'
import { runs } from './support/runs.ts'

const fits = (schema: unknown, value: unknown): boolean => checkerOf(schema)(value).ok

describe('a JSON Schema', () => {
  test.each<[object, unknown[], unknown[]]>([
    [{ type: 'integer' }, [1, 1.0, -3], [1.5, '1', null]],
    [{ type: ['string', 'null'] }, ['', null], [1, undefined]],
    [{ const: { a: [1] } }, [{ a: [1] }], [{ a: [2] }, '{"a":[1]}']],
    [{ enum: [1, 'a', null, { b: 1, c: 2 }] }, [1, 'a', null, { c: 2, b: 1 }], ['1', 'b', { b: 1 }]],
    [{ minimum: 1, exclusiveMaximum: 3 }, [1, 2.9, 'no number'], [0.9, 3]],
    [{ multipleOf: 0.1 }, [0.3, 1e3], [0.35]],
    [{ minLength: 2, maxLength: 3 }, ['ab', '😀😀😀'], ['😀', 'abcd']],
    [{ pattern: '^a+$' }, ['aaa'], ['aab']],
    [{ items: { type: 'string' }, minItems: 1, uniqueItems: true }, [['a', 'b'], 'no list'], [[], ['a', 'a'], [1]]],
    [{ prefixItems: [{ type: 'string' }], items: false }, [['a'], []], [['a', 'b'], [1]]],
    [
      { contains: { const: 1 }, maxContains: 2 },
      [
        [1, 2],
        [1, 1],
      ],
      [[2], [1, 1, 1]],
    ],
    [{ required: ['a'], additionalProperties: false, properties: { a: {} } }, [{ a: 1 }], [{}, { a: 1, b: 2 }]],
    [
      { patternProperties: { '^x': { type: 'number' } }, additionalProperties: false },
      [{ x1: 1 }],
      [{ x1: 'a' }, { y: 1 }],
    ],
    [{ propertyNames: { maxLength: 2 }, maxProperties: 1 }, [{ ab: 1 }], [{ abc: 1 }, { a: 1, b: 1 }]],
    [{ dependentRequired: { a: ['b'] } }, [{ a: 1, b: 1 }, { b: 1 }], [{ a: 1 }]],
    [{ anyOf: [{ type: 'string' }, { minimum: 3 }] }, ['a', 4], [2]],
    [{ oneOf: [{ minimum: 1 }, { maximum: 3 }] }, [0, 4], [2]],
    [{ allOf: [{ minimum: 1 }, { maximum: 3 }] }, [2], [0, 4]],
    [{ not: { type: 'null' } }, [1], [null]],
    // biome-ignore lint/suspicious/noThenProperty: it is a word of JSON Schema
    [{ if: { type: 'string' }, then: { minLength: 1 }, else: { minimum: 1 } }, ['a', 1], ['', 0]],
    [
      { $defs: { n: { type: 'object', properties: { next: { $ref: '#/$defs/n' } } } }, $ref: '#/$defs/n' },
      [{ next: {} }],
      [{ next: { next: 1 } }],
    ],
  ])('%j', (schema, right, wrong) => {
    for (const value of right) expect(fits(schema, value), JSON.stringify(value)).toBe(true)
    for (const value of wrong) expect(fits(schema, value), JSON.stringify(value)).toBe(false)
  })

  test('says what zod says of the same value', () => {
    const leaf = fc.constantFrom<z.ZodType>(
      z.string().min(2),
      z.int().max(5),
      z.boolean(),
      z.null(),
      z.enum(['a', 'b']),
      z.literal(1),
    )
    const { schema } = fc.letrec<{ schema: z.ZodType }>((tie) => ({
      schema: fc.oneof(
        { maxDepth: 3 },
        leaf,
        tie('schema').map((inner) => z.array(inner).max(2)),
        tie('schema').map((inner) => z.record(z.string(), inner)),
        fc.tuple(tie('schema'), tie('schema')).map((both) => z.union(both)),
        fc.tuple(tie('schema'), tie('schema')).map(([a, b]) => z.strictObject({ a, b: b.optional() })),
      ),
    }))
    const word = fc.constantFrom<unknown>('a', 'ab', 1, 7, 1.5, true, null, [], {}, ['ab'], [1, 1, 1])
    const value = fc.oneof(word, fc.array(word), fc.record({ a: word, b: word }, { requiredKeys: [] }))
    fc.assert(
      fc.property(schema, value, (schema, value) => {
        const shape = shapeOf(schema, 'schema')
        const own = shapeOf(jsonSchema(shape.json), 'schema')
        expect(own.check(value)).toMatchObject({ ok: schema.safeParse(value).success })
      }),
      // Each schema is made, said and made ready.
      runs(20),
    )
  })

  test('tells the variant that was meant', () => {
    const schema = {
      anyOf: [
        { type: 'object', properties: { kind: { const: 'a' } } },
        {
          type: 'object',
          properties: { kind: { const: 'b' }, size: { type: 'object', properties: { x: { type: 'number' } } } },
        },
        { type: 'string' },
      ],
    }
    expect(checkerOf(schema)(1)).toMatchObject({
      issues: [{ path: [], message: 'fits none of 3 variants (got number)' }],
    })
  })

  test('takes __proto__ for a key like any other', () => {
    const schema = JSON.parse('{"properties":{"__proto__":{"type":"number"}},"required":["__proto__"]}')
    expect(fits(schema, JSON.parse('{"__proto__":1}'))).toBe(true)
    expect(fits(schema, JSON.parse('{"__proto__":"a"}'))).toBe(false)
    expect(fits(schema, {})).toBe(false)
    expect(fits({ required: ['toString'] }, {})).toBe(false)
  })
})

test('a multiple is one as near as numbers can say it, however large they are', () => {
  for (const [value, step] of [
    [0.3, 0.1],
    [4.35, 0.01],
    [123456789012.34, 0.01],
    [1e15, 3.2],
  ]) {
    expect(fits({ multipleOf: step }, value)).toBe(true)
  }
  expect(fits({ multipleOf: 0.01 }, 12345678.905)).toBe(false)
  expect(fits({ multipleOf: 1 }, 10000000000.5)).toBe(false)
})

describe('what would take forever', () => {
  const within = (most: number, run: () => void) => {
    const started = process.cpuUsage()
    run()
    expect(process.cpuUsage(started).user / 1000).toBeLessThan(most)
  }

  test('is found out once for each part, or given up: variants of variants, deep nesting', () => {
    const $ref = '#/$defs/n'
    const next = { type: 'object', properties: { next: { $ref } }, required: ['next'] }
    const schema = { $ref, $defs: { n: { anyOf: [next, { ...next }] } } }
    let value: object = {}
    for (let depth = 0; depth < 50; depth += 1) value = { next: value }
    within(300, () => expect(checkerOf(schema)(value)).toMatchObject({ ok: false, issues: [{ path: [] }] }))
    const last = { type: 'object', properties: { next: { $ref } }, required: ['next', 'last'] }
    const either = { $ref, $defs: { n: { anyOf: [last, next, { type: 'object', maxProperties: 0 }] } } }
    within(300, () => expect(fits(either, value)).toBe(true))
    const list = { $ref: '#/$defs/l', $defs: { l: { type: 'array', items: { $ref: '#/$defs/l' } } } }
    const deep: unknown = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000))
    within(1000, () => expect(fits(list, deep)).toBe(false))
  })

  test('a reference that leads to itself ends', () => {
    expect(() => fits({ $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/a' } } }, 1)).not.toThrow()
  })

  test('is not asked of a pattern', () => {
    for (const pattern of ['^(a+)+$', '^(a|a)*$', '(.*)*x', '^(\\w+\\s?)*$']) {
      within(1000, () => expect(fits({ pattern }, `${'a'.repeat(5000)}!`)).toBe(false))
      within(1000, () => expect(fits({ pattern }, `${'a'.repeat(40)}!`)).toBe(false))
    }
    // Each of them alone would be in time.
    const many = Array.from({ length: 40 }, () => 'a'.repeat(20_000))
    const items = { pattern: '[a-z]{1,490}!' }
    within(4000, () =>
      expect(checkerOf({ items })(many)).toMatchObject({ ok: false, issues: [{ message: 'takes too long to check' }] }),
    )
    // Long, and no trouble: few ways are open at a time.
    expect(fits({ pattern: '^(?:[a-z]{1,490} )*$' }, 'abc '.repeat(20_000))).toBe(true)
  })

  test('lengths are work as well', () => {
    const least = Array.from({ length: 400 }, () => ({ minLength: 900_000 }))
    within(2000, () => expect(fits({ allOf: least }, 'a'.repeat(1_000_000))).toBe(false))
  })
})

test('a pattern says what the built-in engine says', () => {
  const piece = fc.constantFrom('a', 'b', '.', '\\d', '[ab]', '[^a]', '\\.', 'é', '😀')
  const { pattern } = fc.letrec<{ pattern: string }>((tie) => ({
    pattern: fc.oneof(
      { maxDepth: 4 },
      piece,
      fc.tuple(tie('pattern'), tie('pattern')).map((both) => both.join('')),
      fc.tuple(tie('pattern'), tie('pattern')).map(([a, b]) => `(?:${a}|${b})`),
      fc
        .tuple(tie('pattern'), fc.constantFrom('*', '+', '?', '{2}', '{1,2}', '{1,}', '+?'))
        .map(([a, b]) => `(${a})${b}`),
    ),
  }))
  const anchored = fc.tuple(fc.constantFrom('', '^'), pattern, fc.constantFrom('', '$')).map((parts) => parts.join(''))
  const text = fc.array(fc.constantFrom('a', 'b', '1', '.', 'é', '😀'), { maxLength: 6 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(anchored, text, (pattern, text) => {
      expect(fits({ pattern }, text)).toBe(new RegExp(pattern, 'u').test(text))
    }),
    runs(),
  )
})
