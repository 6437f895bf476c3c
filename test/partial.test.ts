import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createPartial } from '../src/partial.ts'
import { runs } from './support/runs.ts'

/** Small: what goes wrong in a long text goes wrong in a short one, and all that is shown of it is compared. */
const part = fc.jsonValue({ maxDepth: 2, depthSize: 'small' })
const json = fc.oneof(fc.array(part, { maxLength: 4 }), fc.dictionary(fc.string(), part, { maxKeys: 4 }))

function pieces(text: string, sizes: readonly number[]): string[] {
  const all: string[] = []
  for (let at = 0, n = 0; at < text.length; n += 1) {
    const size = sizes[n % sizes.length] ?? 1
    all.push(text.slice(at, at + size))
    at += size
  }
  return all
}

function shownBy(text: string, sizes: readonly number[] = [1]): unknown[] {
  const partial = createPartial()
  return pieces(text, sizes).flatMap((piece) => (partial.feed(piece) ? [partial.value] : []))
}

/** What there is so far is a beginning of what it becomes. */
function isBeginning(early: unknown, late: unknown): boolean {
  if (typeof early === 'string') return typeof late === 'string' && late.startsWith(early)
  if (typeof early !== 'object' || early === null) return Object.is(early, late)
  if (typeof late !== 'object' || late === null || Array.isArray(early) !== Array.isArray(late)) return false
  return Object.entries(early).every(
    ([key, value]) => Object.hasOwn(late, key) && isBeginning(value, Reflect.get(late, key)),
  )
}

describe('JSON as it grows', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 })

  test('ends as the whole, through beginnings of it that do not change afterwards', () => {
    fc.assert(
      fc.property(json, sizes, fc.constantFrom('', 'Sure: ', '```json\n'), (value, sizes, before) => {
        const text = JSON.stringify(value)
        const whole: unknown = JSON.parse(text)
        const partial = createPartial()
        const seen: { readonly value: unknown; readonly text: string }[] = []
        for (const piece of pieces(before + text, sizes)) {
          if (partial.feed(piece)) seen.push({ value: partial.value, text: JSON.stringify(partial.value) })
        }
        expect(partial.value).toEqual(whole)
        expect(seen.filter(({ value, text }) => JSON.stringify(value) !== text)).toEqual([])
        expect(seen.filter(({ value }) => !isBeginning(value, whole))).toEqual([])
      }),
      // Everything shown is written out twice.
      runs(8),
    )
  })

  test('shows strings as far as they came, and numbers and words once they are whole', () => {
    expect(shownBy('{"a":"xy","b":12,"c":null}').map((value) => JSON.stringify(value))).toEqual(
      [
        '{}',
        '{"a":""}',
        '{"a":"x"}',
        '{"a":"xy"}',
        '{"a":"xy"}',
        '{"a":"xy","b":12}',
        '{"a":"xy","b":12,"c":null}',
      ].filter((text, index, all) => index === 4 || text !== all[index - 1]),
    )
  })

  test.each(['["\\ud83d\\ude00"]', '["😀"]', '["\\u00e9\\n\\"\\\\"]'])('never shows half a character: %s', (text) => {
    const [whole] = JSON.parse(text)
    for (const value of shownBy(text)) {
      const [shown = ''] = Array.isArray(value) ? value : []
      expect([...whole].join('').startsWith(shown)).toBe(true)
      expect(shown).not.toMatch(/[\ud800-\udbff]$/)
    }
  })

  test.each([
    ['{"a": 1, // one\n "b": [2, /* two */ ],}', { a: 1, b: [2] }],
    ['<think>{"draft": 1}</think>{"a": 1}', { a: 1 }],
    ['As [1] says: {"abc": 1}', { abc: 1 }],
    ['{note} {"a": 1}', { a: 1 }],
    ['{"a": {"b": 1} oops', undefined],
    ['no brackets', undefined],
  ])('is as kind as the reader of whole answers: %s', (text, value) => {
    const partial = createPartial()
    for (const piece of pieces(text, [3])) partial.feed(piece)
    expect(partial.value).toEqual(value)
  })

  test('keeps __proto__ as a key', () => {
    for (const value of shownBy('{"__proto__":{"admin":true},"a":"b"}')) {
      expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    }
    expect(JSON.stringify(shownBy('{"__proto__":{"admin":true}}').at(-1))).toBe('{"__proto__":{"admin":true}}')
  })

  test('stays up whatever comes', () => {
    const token = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      '\\u',
      '/',
      '*',
      '```',
      'true',
      '1',
      ' ',
      '\n',
      '\ud83d',
    )
    fc.assert(
      fc.property(fc.array(token, { maxLength: 40 }), sizes, (tokens, sizes) => {
        const partial = createPartial()
        for (const piece of pieces(tokens.join(''), sizes)) partial.feed(piece)
        expect(() => JSON.stringify(partial.value)).not.toThrow()
      }),
      runs(),
    )
    expect(() => shownBy('['.repeat(100_000), [1000])).not.toThrow()
  })

  test('a quarter of a megabyte in five thousand pieces takes a time in proportion to it', () => {
    const rows = Array.from({ length: 2500 }, (_, id) => ({
      id,
      name: `customer ${id}`,
      tags: ['a', 'b'],
      price: id / 7,
    }))
    const keys = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`key${index}`, index]))
    const started = process.cpuUsage()
    for (const value of [rows, keys, ['lorem "ipsum" é\n'.repeat(15_000)]]) {
      const text = JSON.stringify(value)
      expect(shownBy(text, [Math.ceil(text.length / 5000)]).at(-1)).toEqual(value)
    }
    // Copied with each piece, the keys alone take half a minute.
    expect(process.cpuUsage(started).user / 1000).toBeLessThan(3000)
  })
})
