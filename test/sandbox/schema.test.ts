import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { sample } from '../../src/sandbox/schema.ts'
import { seeded } from '../../src/sandbox/seeded.ts'
import { runs } from '../support/runs.ts'
import { ask, CLAUDE, start, user } from './client.ts'

/** zod schemas, one in the other. */
const schemas: fc.Arbitrary<z.ZodType> = fc.letrec<{ schema: z.ZodType }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constant(z.string()),
    fc.constant(z.boolean()),
    fc.constant(z.null()),
    fc.constant(z.iso.date()),
    fc.constant(z.email()),
    fc.tuple(fc.nat(9), fc.nat(30)).map(([least, more]) =>
      z
        .string()
        .min(least)
        .max(least + more),
    ),
    fc.tuple(fc.integer({ min: -50, max: 50 }), fc.nat(60)).map(([least, more]) =>
      z
        .number()
        .min(least)
        .max(least + more),
    ),
    fc.tuple(fc.integer({ min: -50, max: 50 }), fc.nat(60)).map(([least, more]) =>
      z
        .int()
        .min(least)
        .max(least + more),
    ),
    fc.integer({ min: -9, max: 9 }).map((least) =>
      z
        .number()
        .gt(least)
        .lt(least + 1),
    ),
    fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 4 }).map((values) => z.enum(values)),
    fc.string().map((value) => z.literal(value)),
    tie('schema').map((inner) => z.nullable(inner)),
    fc.tuple(tie('schema'), fc.nat(3), fc.nat(3)).map(([inner, least, more]) =>
      z
        .array(inner)
        .min(least)
        .max(least + more),
    ),
    fc.tuple(tie('schema'), tie('schema')).map(([one, other]) => z.union([one, other])),
    fc.dictionary(fc.stringMatching(/^[a-z]{1,6}$/), tie('schema'), { maxKeys: 5 }).map((shape) => z.object(shape)),
    fc
      .dictionary(fc.stringMatching(/^[a-z]{1,6}$/), tie('schema'), { maxKeys: 3 })
      .map((shape) => z.object(shape).partial()),
  ),
})).schema

describe('a made-up value', () => {
  it('follows its schema', () => {
    fc.assert(
      fc.property(schemas, fc.nat(), (schema, seed) => {
        const value = sample(z.toJSONSchema(schema), seeded(seed))
        expect(schema.safeParse(value).error).toBeUndefined()
      }),
      runs(),
    )
  })

  it('ends where the schema does not', () => {
    const tree = {
      type: 'object',
      properties: {
        name: { type: 'string' },
        children: { type: 'array', items: { $ref: '#' } },
        next: { anyOf: [{ $ref: '#' }, { type: 'null' }] },
      },
      required: ['name', 'children', 'next'],
    }
    expect(JSON.stringify(sample(tree, seeded(1))).length).toBeLessThan(2_000_000)
  })

  it('follows references and merged parts', () => {
    const schema = {
      $defs: {
        size: { enum: ['S', 'M'] },
        base: { type: 'object', properties: { id: { type: 'integer' } }, required: ['id'] },
      },
      allOf: [
        { $ref: '#/$defs/base' },
        { type: 'object', properties: { size: { $ref: '#/$defs/size' } }, required: ['size'] },
      ],
    }
    expect(sample(schema, seeded(2))).toEqual({ id: expect.any(Number), size: expect.stringMatching(/^[SM]$/) })
  })

  it('is the answer when a schema is asked for', async () => {
    const { openrouter } = await start()
    const schema = z.object({ topic: z.enum(['a', 'b']), score: z.number().min(0).max(1), tags: z.array(z.string()) })
    const response_format = {
      type: 'json_schema',
      json_schema: { name: 'x', strict: true, schema: z.toJSONSchema(schema) },
    }
    const { body } = await ask(openrouter, { model: CLAUDE, messages: [user('Hi')], response_format })
    expect(schema.safeParse(JSON.parse(body.choices[0].message.content)).success).toBe(true)
  })
})
