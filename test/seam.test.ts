import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createAssembly } from '../src/assembly.ts'
import type { ChatRequest } from '../src/chat.ts'
import { continuing, type plain, type StreamEvent } from '../src/glue.ts'
import { continued, type Seam, seamOf, verify } from '../src/seam.ts'
import { runs } from './support/runs.ts'

const request: ChatRequest = { messages: [{ role: 'user', content: 'Tell me.' }] }
const from = { model: 'small', provider: 'first', host: null }

function seam(text: string, more: Partial<ChatRequest> = {}): Seam | null {
  return seamOf(text, { assembly: createAssembly(), request: { ...request, ...more } })
}

/** Words and whatever else stands in answers: emoji of several parts, lone halves of characters, every white space. */
const pieces = fc.constantFrom(
  'word',
  ' and',
  ' more',
  '. ',
  '\n',
  '\n\n',
  '\t',
  '😀',
  '👩‍👩‍👧',
  '\ud83d',
  'é',
  '语言',
  '\u00a0',
  'a'.repeat(30),
)
const prose = fc.array(pieces, { minLength: 1, maxLength: 40 }).map((parts) => parts.join(''))
function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text)
}

/** Without halves of characters: what a model really writes. */
const written = prose.filter(isWellFormed)

describe('where a text may be taken up', () => {
  test('what is kept and what is dropped are the text, whole', () => {
    fc.assert(
      fc.property(prose, (text) => {
        const found = seam(text)
        if (text.trim() === '') expect(found).toBeNull()
        else expect(`${found?.kept}${found?.dropped}`).toBe(text)
      }),
      runs(),
    )
  })

  test('something is dropped, and what is kept ends neither in white space nor in half a character', () => {
    fc.assert(
      fc.property(written, (text) => {
        const found = seam(text)
        if (found === null) return
        expect(found.dropped).not.toBe('')
        expect(found.kept).toBe(found.kept.trimEnd())
        expect(isWellFormed(found.kept)).toBe(true)
        expect(isWellFormed(found.dropped)).toBe(true)
      }),
      runs(),
    )
  })

  test.for([
    ['nothing', ''],
    ['white space', ' \n '],
    ['an object', ' {"name": "Ada", "born": 1815'],
    ['a list', '[1, 2, 3'],
    ['a fence', 'Look:\n```ts\nconst a = 1'],
    ['a fence of tildes', 'Look:\n~~~\nconst a = 1'],
    ['a fence in which another kind stands', 'Look:\n```md\n~~~\nquoted'],
    ['a fence in which a shorter one stands', 'Look:\n````md\n```\nquoted'],
    ['a fence that only seems closed', 'Look:\n```md\ntext\n``` no'],
    ['a fence in a list', '1. Look:\n   - ```ts\n     const a = 1'],
    ['a fence in a quote', '> ```ts\n> const a = 1'],
    ['a second fence', '```\na\n```\nand\n```\nb'],
  ])('not inside %s', ([, text]) => {
    expect(seam(text ?? '')).toBeNull()
  })

  test.for([
    ['after a fence', 'Look:\n```ts\nconst a = 1\n```\nThat is it.'],
    ['after a fence in a fence', '````md\n```\nquoted\n```\n````\nThat is it.'],
    ['after code in a line', 'Use ```const``` for it, and'],
    ['with a bracket in the middle', 'It is {this} and [that]'],
  ])('%s it may be', ([, text]) => {
    expect(seam(text ?? '')).not.toBeNull()
  })

  test('an open fence is recognised wherever the text breaks off in it', () => {
    const line = fc.constantFrom('const a = 1', '', 'text ``` in it', '~~', '``', 'plain')
    const fence = fc.constantFrom('```', '````', '~~~', '~~~~~')
    fc.assert(
      fc.property(fc.array(line), fence, fc.array(line), (before, mark, inside) => {
        expect(seam(['Look:', ...before, `${mark}ts`, ...inside].join('\n'))).toBeNull()
        expect(seam(['Look:', ...before, `${mark}ts`, ...inside, mark, 'Done.'].join('\n'))).not.toBeNull()
      }),
      runs(),
    )
  })

  test('never where the answer has a format, or calls a tool', () => {
    const text = 'A plain text, as far as one can see.'
    expect(seam(text)).not.toBeNull()
    expect(seam(text, { response_format: { type: 'text' } })).not.toBeNull()
    expect(seam(text, { response_format: { type: 'json_object' } })).toBeNull()
    const assembly = createAssembly()
    const call = { index: 0, id: 'a', function: { name: 'look', arguments: '{"a' } }
    assembly.take(
      JSON.stringify({ choices: [{ index: 0, delta: { content: text, tool_calls: [call] } }] }),
      undefined,
      [],
    )
    expect(seamOf(text, { assembly, request })).toBeNull()
  })
})

describe('the request that asks to go on', () => {
  test('it is the conversation with the kept text at its end, and the conversation itself stays as it was', () => {
    const before = structuredClone(request)
    const asked = continued(request, { kept: 'Once upon', dropped: ' a time' })
    expect(asked.messages).toEqual([...request.messages, { role: 'assistant', content: 'Once upon' }])
    expect(request).toEqual(before)
  })

  test('where nothing is kept, it is the same request', () => {
    expect(continued(request, { kept: '', dropped: 'Hi' })).toBe(request)
  })
})

/** What a reader has at the end who saw `broken` and then what comes of `again`, piece by piece; `null`: not glued. */
function glued(broken: string, again: readonly string[]): string | null {
  const found = seam(broken)
  if (found === null) return null
  const glue = continuing(found, from)
  glue.fit(ORDER)
  const out: StreamEvent[] = []
  for (const text of again) if (!glue.take({ type: 'text-delta', text }, out)) return null
  if (!glue.shown) return null
  const seams = out.filter(({ type }) => type === 'seam')
  expect(seams).toEqual([{ type: 'seam', offset: found.kept.length, from, to: from, verified: true }])
  expect(out[0]).toBe(seams[0])
  return broken + out.map((event) => (event.type === 'text-delta' ? event.text : '')).join('')
}

// As much of an order as the glue looks at.
const ORDER = { way: { step: from }, request } as unknown as Parameters<ReturnType<typeof plain>['fit']>[0]

/** A text in pieces of these lengths. */
function inPieces(text: string, lengths: readonly number[]): string[] {
  const cut: string[] = []
  let at = 0
  for (let n = 0; at < text.length; n += 1) {
    const length = lengths[n % lengths.length] ?? 1
    cut.push(text.slice(at, at + length))
    at += length
  }
  return cut
}

describe('going on', () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 8 })

  test('wherever it breaks off, a model that goes on exactly gives the text that was never cut', () => {
    fc.assert(
      fc.property(written, lengths, (text, sizes) => {
        for (let cut = 1; cut <= text.length; cut += 1) {
          const broken = text.slice(0, cut)
          const found = seam(broken)
          if (found === null) continue
          expect(glued(broken, inPieces(text.slice(found.kept.length), sizes))).toBe(text)
        }
      }),
      // Each run breaks a text off at every place it has.
      runs(10),
    )
  })

  test('a model that begins anew is not glued', () => {
    fc.assert(
      fc.property(written, lengths, (text, sizes) => {
        const found = seam(text)
        // A text that repeats itself cannot be told from one that goes on, and where nothing is kept it is the same.
        if (found === null || found.kept === '' || text.startsWith(found.dropped)) return
        expect(glued(text, inPieces(text, sizes))).toBeNull()
      }),
      runs(),
    )
  })

  test('a model that says something else is not glued, however late it differs', () => {
    fc.assert(
      fc.property(written, fc.nat(), lengths, (text, place, sizes) => {
        const found = seam(text)
        if (found === null) return
        const at = place % found.dropped.length
        const other = `${found.dropped.slice(0, at)}\u2603${found.dropped.slice(at + 1)} and so on`
        expect(glued(text, inPieces(other, sizes))).toBeNull()
      }),
      runs(),
    )
  })

  test('a model that ends before it has said it all again has not gone on', () => {
    const found = seam('A text that is long enough to have a seam in it')
    expect(found).not.toBeNull()
    expect(glued('A text that is long enough to have a seam in it', [found?.dropped.slice(0, -1) ?? ''])).toBeNull()
  })

  test('one that leaves out the space it was cut at is not glued', () => {
    expect(verify({ kept: 'a', dropped: ' b' }, 'b')).toBe('broken')
  })

  test('one that calls a tool instead is not glued, and what it thinks before is not shown', () => {
    const found = seam('A text that is long enough to have a seam in it')
    if (found === null) throw new Error('there is a seam')
    const glue = continuing(found, from)
    glue.fit(ORDER)
    const out: StreamEvent[] = []
    expect(glue.take({ type: 'reasoning-delta', text: 'Hm.' }, out)).toBe(true)
    expect(glue.take({ type: 'tool-call-delta', index: 0, id: 'a', name: 'look', arguments: '' }, out)).toBe(false)
    expect(out).toEqual([])
    expect(glue.shown).toBe(false)
  })
})
