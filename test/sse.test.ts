import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createEventReader, EventTooLarge } from '../src/sse.ts'
import { runs } from './support/runs.ts'

interface Heard {
  readonly data: string
  readonly event?: string | undefined
}

/** What is heard of bytes that come in these pieces. */
function hear(pieces: Iterable<Uint8Array>): Heard[] {
  const heard: Heard[] = []
  const reader = createEventReader(({ data, event }) => {
    heard.push(event === undefined ? { data } : { event, data })
  })
  for (const piece of pieces) reader.feed(piece)
  return heard
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** Cut at these places, given as shares of the whole. */
function cutAt(bytes: Uint8Array, shares: readonly number[]): Uint8Array[] {
  const places = [...new Set(shares.map((share) => Math.floor(share * (bytes.length + 1))))].sort((a, b) => a - b)
  return [0, ...places].map((from, index) => bytes.subarray(from, places[index] ?? bytes.length))
}

function oneByOne(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (byte) => Uint8Array.of(byte))
}

/** In one piece, byte by byte, and in two at every place. */
function inEveryWay(bytes: Uint8Array): Heard[][] {
  const halves = Array.from({ length: bytes.length + 1 }, (_, at) => hear([bytes.subarray(0, at), bytes.subarray(at)]))
  return [hear([bytes]), hear(oneByOne(bytes)), ...halves]
}

const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), { maxLength: 20 })

const file = fileURLToPath(new URL('../../shared/data/wire/sse-cases.eventsource-parser.json', import.meta.url))
const there = existsSync(file)
interface Case {
  readonly chunks: readonly string[]
  readonly expected: { readonly events: readonly (Heard & { readonly id?: string })[] }
}
const cases: [string, Case][] = there ? Object.entries(JSON.parse(readFileSync(file, 'utf8'))) : []

/**
 * The cases are strings for a reader of strings, in which the three bytes of a byte order mark stand as three
 * characters. One of them has the mark as the one character that it is, which such a reader takes for a letter; in
 * bytes, it is a mark at the beginning like any other.
 */
function marked(text: string): Uint8Array {
  return bytesOf(text.replaceAll('\u00ef\u00bb\u00bf', '\ufeff'))
}

describe.skipIf(!there)(
  there ? 'the published cases of event streams' : 'SKIPPED: the published cases of event streams are not here',
  () => {
    test('all eighteen are here', () => expect(cases.length).toBe(18))

    test.for(cases)('%s: the same events however the bytes are cut', ([name, { chunks, expected }]) => {
      const heard = name === 'InvalidBom' ? [{ data: 'bomful 1' }, ...expected.events] : expected.events
      const events = heard.map(({ data, event }) => (event === undefined ? { data } : { event, data }))
      const bytes = marked(chunks.join(''))
      expect(hear(chunks.map(marked))).toEqual(events)
      expect(hear([bytes])).toEqual(events)
      expect(hear(oneByOne(bytes))).toEqual(events)
      fc.assert(
        fc.property(cuts, (shares) => {
          expect(hear(cutAt(bytes, shares))).toEqual(events)
        }),
        // Once for each of the eighteen cases.
        { ...runs(20), seed: 18 },
      )
    })
  },
)

describe('bytes become events', () => {
  test.for([
    ['LF', '\n'],
    ['CRLF', '\r\n'],
    ['CR', '\r'],
  ])('lines that end in %s, cut at every place', ([, end]) => {
    const text = [`event: one`, 'data: a', 'data: b', '', ': nothing', 'data:c', '', 'data: end', '', ':', '']
    for (const heard of inEveryWay(bytesOf(text.join(end)))) {
      expect(heard).toEqual([{ event: 'one', data: 'a\nb' }, { data: 'c' }, { data: 'end' }])
    }
  })

  test('one byte order mark is skipped, even cut in three; a second one is part of the line', () => {
    const one = Uint8Array.of(0xef, 0xbb, 0xbf, ...bytesOf('data: x\n\n'))
    for (const heard of inEveryWay(one)) expect(heard).toEqual([{ data: 'x' }])
    const two = Uint8Array.of(0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf, ...bytesOf('data: x\n\ndata: y\n\n'))
    for (const heard of inEveryWay(two)) expect(heard).toEqual([{ data: 'y' }])
  })

  test('characters of two, three and four bytes survive any cut, and NUL is a character', () => {
    const data = 'é 语 😀 👩‍👩‍👧 \0 \ufeff end'
    for (const heard of inEveryWay(bytesOf(`data: ${data}\n\n`))) expect(heard).toEqual([{ data }])
  })

  test('bytes that are no UTF-8 become replacement characters and break nothing', () => {
    const bytes = Uint8Array.of(...bytesOf('data: a'), 0xff, 0xc3, ...bytesOf('b\n\ndata: c\n\n'))
    for (const heard of inEveryWay(bytes)) expect(heard).toEqual([{ data: 'a\ufffd\ufffdb' }, { data: 'c' }])
  })

  test('an event that no empty line has ended was not said', () => {
    expect(hear([bytesOf('data: whole\n\ndata: half')])).toEqual([{ data: 'whole' }])
    expect(hear([bytesOf('data: whole\n\ndata: half\n')])).toEqual([{ data: 'whole' }])
  })

  test('any text, in any lines, in any cuts: what is heard does not depend on how it came', () => {
    const line = fc.oneof(
      fc.string({ unit: 'grapheme' }).map((value) => `data: ${value}`),
      fc.constantFrom(
        '',
        ': keep-alive',
        'id: 1',
        'id: \0',
        'retry: soon',
        'event: error',
        'nonsense',
        'data',
        'data:',
      ),
    )
    const ending = fc.constantFrom('\n', '\r\n')
    fc.assert(
      fc.property(fc.array(fc.tuple(line, ending)), cuts, (lines, shares) => {
        const bytes = bytesOf(`${lines.map((pair) => pair.join('')).join('')}\n\n`)
        expect(hear(cutAt(bytes, shares))).toEqual(hear([bytes]))
      }),
      runs(),
    )
  })
})

describe('long lines', () => {
  /** Milliseconds for one line of so many characters, byte by byte. */
  function timeOf(length: number): number {
    const bytes = bytesOf(`data: ${'x'.repeat(length)}\n\n`)
    const started = performance.now()
    let heard = 0
    const reader = createEventReader(({ data }) => {
      heard = data.length
    })
    for (let at = 0; at < bytes.length; at += 1) reader.feed(bytes.subarray(at, at + 1))
    expect(heard).toBe(length)
    return performance.now() - started
  }

  test('a line of a megabyte in single bytes takes time in proportion to its length', () => {
    timeOf(50_000)
    const small = Math.min(timeOf(125_000), timeOf(125_000), timeOf(125_000))
    const large = timeOf(1_000_000)
    // Eight times the bytes; a quadratic reader would take sixty-four times as long.
    expect(large / small).toBeLessThan(32)
  })

  test('a line that never ends is given up before it fills the memory', () => {
    const piece = bytesOf('x'.repeat(64 * 1024))
    const reader = createEventReader(() => {})
    reader.feed(bytesOf('data: '))
    let fed = 0
    const endless = () => {
      for (; fed < 1024 * 1024 * 1024; fed += piece.length) reader.feed(piece)
    }
    expect(endless).toThrow(EventTooLarge)
    expect(fed).toBeGreaterThan(7 * 1024 * 1024)
    expect(fed).toBeLessThan(10 * 1024 * 1024)
  })

  test('many lines that never become an event are given up as well', () => {
    const piece = bytesOf(`data: ${'x'.repeat(1000)}\n`.repeat(64))
    const reader = createEventReader(() => {})
    let fed = 0
    const endless = () => {
      for (; fed < 1024 * 1024 * 1024; fed += piece.length) reader.feed(piece)
    }
    expect(endless).toThrow(EventTooLarge)
    expect(fed).toBeLessThan(10 * 1024 * 1024)
  })

  test('the error says nothing of what was in the line', () => {
    const reader = createEventReader(() => {})
    const feed = () => reader.feed(bytesOf(`data: ${'secret'.repeat(2_000_000)}`))
    expect(feed).toThrow(/^an event of more than \d+ characters$/)
  })
})
