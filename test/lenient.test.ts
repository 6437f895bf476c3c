import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readJson } from '../src/lenient.ts'
import { runs } from './support/runs.ts'

const readOf = (text: string) => {
  const read = readJson(text)
  return 'value' in read ? read.value : read.problem
}
/** What has a bracket of its own: everything else is only taken where it stands alone. */
const part = fc.jsonValue({ depthSize: 'small' })
const json = fc.oneof(fc.array(part, { maxLength: 6 }), fc.dictionary(fc.string(), part, { maxKeys: 6 }))
/** -0 is written as 0. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

describe('JSON in an answer', () => {
  test('is taken as it is, wherever it is right already', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(readJson(JSON.stringify(value))).toEqual({ value: plain(value), repaired: false })
      }),
      // Answers of some length.
      runs(10),
    )
  })

  test('is found behind prose, inside a fence, and with raw line breaks and commas too many', () => {
    fc.assert(
      fc.property(json, (value) => {
        const text = JSON.stringify(value, null, 2)
        const loose = text.replace(/\n(\s*)([\]}])(?=,?\n|,?$)/g, ',\n$1$2').replace(/([[{]),(?=\n)/g, '$1')
        for (const wrapped of [`Sure!\n${text}\nDone.`, `\ufeff\`\`\`json\n${text}\n\`\`\``, `Here: ${loose}`]) {
          expect(readOf(wrapped)).toEqual(plain(value))
        }
      }),
      // Answers of some length, three times over.
      runs(10),
    )
  })

  test.each([
    ['{"a": 1, // one\n "b": [2, /* two */ ],}', { a: 1, b: [2] }],
    ['{"url": "https://example.com/*x*/"} // https://example.com', { url: 'https://example.com/*x*/' }],
    ['["first\nsecond\tthird"]', ['first\nsecond\tthird']],
    ['{"text": "```js\\nx\\n```"} as asked', { text: '```js\nx\n```' }],
    ['<think>{"draft": "longer than the answer"}</think>\n{"a": 1}', { a: 1 }],
    ['```\n"positive"\n```', 'positive'],
    ['As [1] says: {"a": 1}', { a: 1 }],
    ['{"long": "outside of it"} ```json\n{"a": 1}\n``` or ```json\n[2]\n```', [2]],
    ['[1] and [2]', [2]],
    ['{x{x{"a": 1}', { a: 1 }],
  ])('%s', (text, value) => {
    expect(readJson(text)).toEqual({ value, repaired: true })
  })

  test.each([
    ['', 'empty'],
    [' \ufeff\n', 'empty'],
    ['There is none.', 'not-json'],
    ["{'a': 1}", 'not-json'],
    ['{a: 1}', 'not-json'],
    ['{"a": “b”}', 'not-json'],
    ['{"a": {"b": 1} oops}', 'not-json'],
    ['[1e999]', 'not-json'],
    ['[NaN]', 'not-json'],
    ['[01]', 'not-json'],
    ['["\\x"]', 'not-json'],
    ['{"a": 1', 'cut'],
    ['{"a": tr', 'cut'],
    ['{"a": "b\\', 'cut'],
    ['"half of a str', 'cut'],
    ['{"a": 1} {"b": [1, 2, 3', 'cut'],
    ['```json\n{"a": 1, "b": 2}\n``` ```json\n{"a"', 'cut'],
    ['['.repeat(100_000), 'too-deep'],
    ['['.repeat(100_000) + ']'.repeat(100_000), 'too-deep'],
    [' '.repeat(9 * 1024 * 1024), 'too-large'],
  ])('what is none is named: %#', (text, problem) => {
    expect(readJson(text)).toEqual({ problem })
  })

  test('is never taken for whole when it ends too early', () => {
    fc.assert(
      fc.property(json, fc.nat(), (value, at) => {
        const text = JSON.stringify(value)
        expect(readJson(text.slice(0, 1 + (at % (text.length - 1))))).toEqual({ problem: 'cut' })
      }),
      // Answers of some length.
      runs(10),
    )
  })

  test('keeps __proto__ as a key', () => {
    const value = readOf('answer: {"__proto__": {"admin": true},}')
    expect(Object.keys(Object(value))).toEqual(['__proto__'])
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
  })

  test('takes a time in proportion to its length, whatever it holds', () => {
    const rows = JSON.stringify(Array.from({ length: 4000 }, (_, id) => ({ id, name: `customer ${id}`, tags: ['a'] })))
    const hostile = ['{x'.repeat(150_000), `${'['.repeat(120)}${rows} x`, '"'.repeat(300_000), '[1]'.repeat(100_000)]
    const started = process.cpuUsage()
    for (const text of [`\`\`\`\n${rows}\n\`\`\``, ...hostile]) readJson(text)
    // A quadratic one takes minutes.
    expect(process.cpuUsage(started).user / 1000).toBeLessThan(2000)
  })

  test('is an answer about any text at all', () => {
    const token = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      '/',
      '*',
      '```',
      'true',
      '1',
      ' ',
      '\n',
      'é',
      '\ud83d',
    )
    fc.assert(
      fc.property(fc.array(token, { maxLength: 40 }), (tokens) => {
        const read = readJson(tokens.join(''))
        expect('value' in read || typeof read.problem === 'string').toBe(true)
      }),
      runs(),
    )
  })
})
