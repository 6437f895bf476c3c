import fc from 'fast-check'
import { ConfigError, jsonSchema, type Tool, tool } from 'modelfirst'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { problemText, resultText } from '../src/tool-result.ts'
import { toolboxOf } from '../src/tools.ts'
import { runs } from './support/runs.ts'

const city = z.object({ city: z.string() })
const weather = tool({
  name: 'weather',
  description: 'The weather.',
  input: city,
  run: ({ city }) => `rain in ${city}`,
})
const parcel = tool({ name: 'find_parcel', input: z.object({ id: z.coerce.number() }) })

function configOf(make: () => unknown): ConfigError {
  try {
    make()
  } catch (error) {
    if (ConfigError.is(error)) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('a tool', () => {
  test('is what it was defined as, and cannot be changed any more', () => {
    const definition = { name: 'weather', input: city, timeoutMs: 5 } as const
    const made = tool(definition)
    expect(made).toEqual(definition)
    expect(made).not.toBe(definition)
    expect(Object.isFrozen(made)).toBe(true)
  })

  test.each(['', 'with space', 'dots.in.it', 'ümlaut', 'a'.repeat(65), 'line\nbreak', 'new$', 42, null, undefined])(
    'is not called %j',
    (name) => {
      const error = configOf(() => tool(Object.assign({ name: 'x', input: city }, { name })))
      expect(error.field).toBe('tool.name')
      expect(error.message).not.toContain('\n')
    },
  )

  test.each(['a', 'A-b_9', 'x'.repeat(64), '__proto__', 'constructor', 'toString', '0'])('may be called %s', (name) => {
    const box = toolboxOf([tool({ name, input: city })], 'tools')
    expect(box.find(name)?.name).toBe(name)
    expect(box.check({ name, arguments: { city: 'Bern' } })).toEqual({ ok: true, value: { city: 'Bern' } })
  })

  test('a name that is never given answers to nothing, whatever every object has', () => {
    const box = toolboxOf([weather], 'tools')
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '']) {
      expect(box.find(name)).toBeUndefined()
      expect(box.check({ name, arguments: {} })).toMatchObject({ ok: false })
    }
  })

  test.each([
    ['a list', z.array(z.string())],
    ['a string', z.string()],
    ['a union', z.union([z.object({ a: z.string() }), z.object({ b: z.string() })])],
    ['a schema of anything', jsonSchema({})],
    ['an object or null', z.object({}).nullable()],
  ])('takes an object, not %s', (_, input) => {
    const error = configOf(() => tool({ name: 'x', input }))
    expect(error.field).toBe('tool.input')
    expect(error.message).toContain('expected a schema of an object')
  })

  test('needs a schema, a function, and a time above 0', () => {
    const made = (more: object) => configOf(() => tool(Object.assign({ name: 'x', input: city }, more))).field
    expect(made({ input: undefined })).toBe('tool.input')
    expect(made({ input: { type: 'object' } })).toBe('tool.input')
    expect(made({ input: z.object({ at: z.date() }) })).toBe('tool.input')
    expect(made({ run: 'run' })).toBe('tool.run')
    expect(made({ timeoutMs: 0 })).toBe('tool.timeoutMs')
    expect(made({ timeoutMs: Number.NaN })).toBe('tool.timeoutMs')
    expect(made({ description: 7 })).toBe('tool.description')
    expect(made({ execute: () => 1 })).toBe('tool.execute')
  })

  test.each([null, undefined, 'weather', 42, []])('is not %j', (given) => {
    expect(configOf(() => Reflect.apply(tool, undefined, [given])).field).toBe('tool')
  })

  test('takes a recursive schema, and says it whole', () => {
    const node = z.object({
      name: z.string(),
      get children() {
        return z.array(node)
      },
    })
    const box = toolboxOf([tool({ name: 'plant', input: node })], 'tools')
    const deep = { name: 'a', children: [{ name: 'b', children: [{ name: 'c', children: [] }] }] }
    expect(box.check({ name: 'plant', arguments: deep })).toEqual({ ok: true, value: deep })
    const broken = { name: 'a', children: [{ name: 'b', children: [{ name: 7, children: [] }] }] }
    expect(box.check({ name: 'plant', arguments: broken })).toMatchObject({
      ok: false,
      issues: [{ path: ['children', 0, 'children', 0, 'name'] }],
    })
  })
})

describe('a toolbox', () => {
  test('says its tools as requests hold them', () => {
    const { definitions } = toolboxOf([weather, parcel], 'tools')
    expect(definitions.map(({ type }) => type)).toEqual(['function', 'function'])
    expect(definitions[0]).toMatchObject({
      function: {
        name: 'weather',
        description: 'The weather.',
        parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
      },
    })
    expect(JSON.stringify(definitions[1])).not.toContain('description')
    expect(JSON.stringify(definitions)).not.toContain('$schema')
  })

  test('two tools of one name are found where they stand', () => {
    const again = tool({ name: 'weather', input: z.object({}) })
    const error = configOf(() => toolboxOf([parcel, weather, again], 'options.tools'))
    expect(error.field).toBe('options.tools[2].name')
    expect(error.message).toContain('got a second "weather"')
    expect(configOf(() => toolboxOf([weather, weather], 'options.tools')).field).toBe('options.tools[1].name')
  })

  test('tools from plain JavaScript are looked at as well', () => {
    const plain: Tool = { name: 'plain', input: city }
    expect(toolboxOf([plain], 'tools').definitions[0]).toMatchObject({ function: { name: 'plain' } })
    const wrong = (given: unknown) =>
      configOf(() => Reflect.apply(toolboxOf, undefined, [given, 'options.tools'])).field
    expect(wrong([weather, { name: 'no schema' }])).toBe('options.tools[1].name')
    expect(wrong([{ name: 'x' }])).toBe('options.tools[0].input')
    expect(wrong([null])).toBe('options.tools[0]')
    expect(wrong({ weather })).toBe('options.tools')
    expect(wrong('weather')).toBe('options.tools')
  })

  test('arguments come as the schema gives them', async () => {
    const input = z.object({ id: z.coerce.number(), kind: z.string().default('letter') })
    const late = z.object({ id: z.string().refine(async (id) => id !== 'gone') })
    const box = toolboxOf([tool({ name: 'find', input }), tool({ name: 'late', input: late })], 'tools')
    expect(box.check({ name: 'find', arguments: { id: '12' } })).toEqual({
      ok: true,
      value: { id: 12, kind: 'letter' },
    })
    expect(await box.check({ name: 'late', arguments: { id: 'here' } })).toMatchObject({ ok: true })
    expect(await box.check({ name: 'late', arguments: { id: 'gone' } })).toMatchObject({ ok: false })
  })

  test('an unknown name is told with the nearest one, and not quoted', () => {
    const box = toolboxOf([weather, parcel], 'tools')
    const told = box.check({ name: 'find_parcels', arguments: {} })
    expect(told).toEqual({
      ok: false,
      issues: [
        { path: [], message: 'no tool is called this: there is weather, find_parcel; did you mean "find_parcel"?' },
      ],
    })
    expect(JSON.stringify(box.check({ name: 'SECRET-WORDS', arguments: {} }))).not.toContain('SECRET')
    expect(JSON.stringify(toolboxOf([], 'tools').check({ name: 'x', arguments: {} }))).toContain('there is none')
  })

  test('no arguments at all are none, and JSON that was written twice is read twice', () => {
    const box = toolboxOf([tool({ name: 'now', input: z.object({}) }), weather], 'tools')
    expect(box.check({ name: 'now', arguments: null })).toEqual({ ok: true, value: {} })
    expect(box.check({ name: 'weather', arguments: '{"city":"Bern"}' })).toEqual({ ok: true, value: { city: 'Bern' } })
    for (const given of ['Bern', '"Bern"', '[1]', '{"city":', 7, [], true]) {
      expect(box.check({ name: 'weather', arguments: given }), String(given)).toMatchObject({ ok: false })
    }
  })

  test('__proto__ in the arguments is a word like any other', () => {
    const box = toolboxOf([tool({ name: 'open', input: jsonSchema({ type: 'object' }) }), weather], 'tools')
    const json = '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"city":"Bern"}'
    for (const name of ['open', 'weather']) {
      const checked = box.check({ name, arguments: JSON.parse(json) })
      expect(checked).toMatchObject({ ok: true })
      if (checked instanceof Promise || !checked.ok) throw new Error('it is there at once')
      expect(Object.getPrototypeOf(checked.value)).toBe(Object.prototype)
      expect(Reflect.get(Object(checked.value), 'polluted')).toBeUndefined()
    }
    expect(Reflect.get({}, 'polluted')).toBeUndefined()
  })

  test('whatever the arguments are, they are checked and nothing is thrown', async () => {
    const box = toolboxOf([weather, parcel], 'tools')
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('weather', 'find_parcel', 'other'), fc.jsonValue(), async (name, given) => {
        const checked = await box.check({ name, arguments: given })
        if (name === 'other') expect(checked.ok).toBe(false)
        if (!checked.ok) expect(checked.issues.length).toBeGreaterThan(0)
      }),
      runs(4),
    )
  })
})

describe('what a tool gives', () => {
  const circular: Record<string, unknown> = {}
  circular.self = circular
  const throwing = {
    get secret() {
      throw new Error('no')
    },
  }

  test.each([
    ['a string', 'a "string"\nin lines', 'a "string"\nin lines'],
    ['an empty string', '', ''],
    ['nothing', undefined, 'null'],
    ['null', null, 'null'],
    ['a number', 4.5, '4.5'],
    ['no number', Number.NaN, 'null'],
    ['an object', { a: [1, undefined, { b: 'ü' }] }, '{"a":[1,null,{"b":"ü"}]}'],
    ['a date', new Date(0), '"1970-01-01T00:00:00.000Z"'],
  ])('%s is told as it is', (_, result, text) => {
    expect(resultText(result)).toBe(text)
  })

  test.each([
    ['a bigint', 12n],
    ['a bigint inside', { id: 12n }],
    ['a circle', circular],
    ['a getter that throws', throwing],
    ['a function', () => 1],
    ['a symbol', Symbol('x')],
    ['a revoked proxy', revoked()],
  ])('%s is an error line', (_, result) => {
    expect(resultText(result)).toBe('Error: the result of the tool cannot be put into JSON')
  })

  test('more than a megabyte is an error line, to the byte', () => {
    const most = 1024 * 1024
    const tooLarge = 'Error: the result of the tool is larger than 1 MB: ask for less of it'
    expect(resultText('x'.repeat(most))).toHaveLength(most)
    expect(resultText('x'.repeat(most + 1))).toBe(tooLarge)
    expect(resultText('x'.repeat(2 * most))).toBe(tooLarge)
    expect(resultText('ü'.repeat(most / 2))).toHaveLength(most / 2)
    expect(resultText('ü'.repeat(most / 2 + 1))).toBe(tooLarge)
    expect(resultText({ list: Array.from({ length: 300_000 }, (_, index) => index) })).toBe(tooLarge)
  })

  test.each([
    ['an error', new TypeError('no such city'), 'Error: no such city'],
    ['a string', 'no such city', 'Error: no such city'],
    ['an object like an error', { message: 'no such city' }, 'Error: no such city'],
    ['an error of many lines', new Error('no\nsuch\r\ncity\u0000'), 'Error: no such city'],
    ['an error that says nothing', new Error(), 'Error: the tool failed'],
    ['nothing', undefined, 'Error: the tool failed'],
    ['a number', 42, 'Error: the tool failed'],
    ['a message that is none', { message: { secret: 1 } }, 'Error: the tool failed'],
    ['a revoked proxy', revoked(), 'Error: the tool failed'],
  ])('%s that is thrown is one line without a stack', (_, thrown, line) => {
    expect(problemText(thrown)).toBe(line)
  })

  test('a long message is cut', () => {
    expect(problemText(new Error('x'.repeat(100_000)))).toHaveLength('Error: '.length + 2000)
  })

  test('whatever is given or thrown, it is text of a bounded length', () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withNullPrototype: true, withMap: true }), (value) => {
        expect(typeof resultText(value)).toBe('string')
        expect(problemText(value)).toMatch(/^Error: [^\n]{1,2000}$/)
      }),
      runs(),
    )
  })
})

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}
