import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { quotable, redactor } from '../src/redact.ts'
import { runs } from './support/runs.ts'

const KEY = 'gsk_canary/4242+abcd"efgh\\ijklmnop'
const redact = redactor([KEY])

describe('a secret', () => {
  test.each([
    ['as it is', KEY],
    ['in a header', `Bearer ${KEY}`],
    ['in a URL', encodeURIComponent(KEY)],
    ['in a URL with small hexadecimals', encodeURIComponent(KEY).replace(/%../g, (code) => code.toLowerCase())],
    ['inside JSON', JSON.stringify({ key: KEY })],
    ['in base64', btoa(KEY)],
    ['in base64 for URLs', btoa(KEY).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')],
    ['by its end', `…${KEY.slice(-8)}`],
  ])('is not seen %s', (_, text) => {
    expect(redact(`before ${text} after`)).toMatch(/^before .*\[redacted\].* after$/)
    for (let at = 0; at + 8 <= KEY.length; at += 1) expect(redact(text)).not.toContain(KEY.slice(at, at + 8))
  })

  const secret = fc.string({ unit: fc.constantFrom(...'abcXYZ019+/=_-"\\%~'), minLength: 20, maxLength: 60 })

  test('is not seen in base64 of something longer, wherever it stands in it', () => {
    fc.assert(
      fc.property(secret, fc.nat(5), fc.nat(5), (key, before, after) => {
        const encoded = btoa('u'.repeat(before) + key + 'z'.repeat(after))
        const left = redactor([key])(encoded).replaceAll('[redacted]', '')
        // What is left is the neighbours, and at most two letters that the key's edges share with them.
        expect(left.length).toBeLessThanOrEqual(Math.ceil(((before + after) * 4) / 3) + 8)
      }),
      runs(),
    )
  })

  test('leaves no part of itself wherever it is put into a text', () => {
    fc.assert(
      fc.property(secret, fc.lorem(), fc.lorem(), (key, before, after) => {
        expect(redactor([key])(`${before}${key}${after}`)).not.toContain(key)
      }),
      runs(),
    )
  })

  test('is not seen where another is its beginning', () => {
    const long = 'sk-abcdefgh-MIDDLE-1234567890'
    expect(redactor(['sk-abcdefgh', long])(`x ${long} y`)).toBe('x [redacted] y')
  })

  test('too short to be one does not turn every text into holes', () => {
    expect(redactor(['the'])('the weather')).toBe('the weather')
    expect(redactor([])('the weather')).toBe('the weather')
  })
})

describe("a provider's words", () => {
  test('are quoted without what the user wrote', () => {
    const sent = 'Translate: Zephyr quarterly earnings are confidential'
    expect(quotable('invalid value near "Zephyr quarterly earnings" in prompt', sent)).toBe(
      'invalid value near "[…]" in prompt',
    )
  })

  test.each([
    ['with other capitals', 'near ZEPHYR', 'zephyr'],
    ['with a full stop behind it', 'You said hunter2secret.', 'my hunter2secret, please'],
    ['cut in the middle', 'near hunter2sec…', 'hunter2secret'],
    ['through the escapes of JSON', 'near {\\"text\\":\\"one\\nhunter2secret\\"}', 'one\nhunter2secret'],
    ['through doubled escapes', 'near \\\\nhunter2secret', 'x\nhunter2secret'],
    ['as a number with dashes', 'near 4111-1111-1111-1111', 'card 4111-1111-1111-1111'],
    ['as an address', 'near bob@example.com!', 'mail bob@example.com'],
    ['inside a longer word', 'field_hunter2secret/x', 'field_hunter2secret'],
  ])('do not give the prompt away %s', (_, words, sent) => {
    const quoted = quotable(words, sent)
    expect(quoted).toContain('[…]')
    expect(quoted.toLowerCase()).not.toMatch(/zephyr|hunter2|1111|bob/)
  })

  test.each([
    ['in a script without spaces', '无效：你好世界', '请翻译你好世界'],
    ['in escaped letters', 'near \\u4f60\\u597d', '你好'],
    ['in an alphabet of its own', 'неверно: секретно', 'секретно'],
  ])('do not give the prompt away %s', (_, words, sent) => {
    const quoted = quotable(words, sent)
    for (const letter of sent) expect(quoted).not.toContain(letter)
  })

  test('leave out every longer word of any prompt, wherever they quote it', () => {
    const word = fc.stringMatching(/^[a-z0-9]{5,12}$/)
    const around = fc.constantFrom('"', "'", ' ', '.', ', ', '`', '<', '\\n', '?', '…')
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 5 }), around, around, (words, before, after) => {
        const quoted = quotable(`bad: ${words.map((each) => `${before}${each}${after}`).join(' ')}`, words.join(' '))
        for (const each of words) expect(quoted).not.toContain(each)
      }),
      runs(),
    )
  })

  test('stay as they are where they are their own', () => {
    const words = 'The model `openai/gpt-oss-20b` does not exist or you do not have access to it.'
    expect(quotable(words, 'Hello there')).toBe(words)
  })

  test('are one line, without control characters and changes of direction', () => {
    const nasty = 'a\r\nb\u0000c\u001b[31md\u202ee\u2066f\u200eg\u061ch\u2028i\ufeffj\u007fk\u009bl'
    const quoted = quotable(nasty, '')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(quoted).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/)
    expect(quoted).toContain('a b c')
  })

  test('cannot smuggle control characters in through escapes', () => {
    expect(quotable('x\\u001b[31my\\u202ez', '')).toBe('x [31my z')
  })

  test('are short', () => {
    const quoted = quotable('word '.repeat(10_000), '')
    expect(quoted.length).toBeLessThanOrEqual(300)
    expect(quoted.endsWith('…')).toBe(true)
  })
})
