import { describe, expect, test } from 'vitest'
import { createAssembly } from '../../src/assembly.ts'
import { openai } from '../../src/dialects/dialect.ts'
import { groq } from '../../src/dialects/groq.ts'
import { openrouter } from '../../src/dialects/openrouter.ts'
import { hostOf } from '../../src/dialects/openrouter-hosts.ts'
import { readHosts, readListing } from '../../src/listing.ts'
import { oneLine, quotable, redactor } from '../../src/redact.ts'
import { retryAfter } from '../../src/retry-after.ts'
import { seamOf } from '../../src/seam.ts'
import { createEventReader } from '../../src/sse.ts'
import { readText } from '../../src/wires/wire.ts'

const MiB = 1024 * 1024
const encoder = new TextEncoder()

const DEEP = process.env.MODELFIRST_DEEP === '1'
/** Characters or bytes: what takes the square of them is found out at a fraction of what may come. */
const LARGE = DEEP ? 4 * MiB : MiB / 4
/** What is over so soon may take any time it likes. */
const AT_ONCE = 40

/** Of the clock or of the processor, whichever is less: a machine that does other things in between is not counted. */
async function timeOf(run: () => unknown): Promise<number> {
  const [from, used] = [performance.now(), process.cpuUsage()]
  await run()
  const { user, system } = process.cpuUsage(used)
  return Math.min(performance.now() - from, (user + system) / 1000)
}

/** Four times as much takes about four times as long, and not sixteen times; on a machine that does other things too. */
async function expectLinear(run: (size: number) => unknown, size = LARGE): Promise<void> {
  const told: string[] = []
  for (let tries = 0; tries < 4; tries += 1) {
    const large = await timeOf(() => run(size))
    if (large < AT_ONCE) return
    const small = await timeOf(() => run(size / 4))
    if (large / small < 9) return
    told.push(`${small} ms, then ${large} ms`)
  }
  expect(told).toEqual([])
}

const headers = { get: () => null }
const waiting = (value: string) => retryAfter({ get: (name) => (name === 'retry-after' ? value : null) }, 0)
const failing = (dialect: typeof openai, status: number) => (message: string) =>
  dialect.fail({ error: { message, code: status === 429 ? 'rate_limit_exceeded' : undefined } }, { status, headers })
const request = { messages: [] }
const continuing = (text: string) => seamOf(text, { assembly: createAssembly(), request })
const key = `sk-${'ab'.repeat(24)}`
const mask = redactor([key])

/** What reads the text of others, each with the texts that would hurt it most. */
const READERS: Readonly<Record<string, readonly [(text: string) => unknown, readonly string[]]>> = {
  'the wait that is asked for': [
    waiting,
    [
      '9',
      ',',
      '9,',
      'Aa',
      'A',
      'a',
      ' ',
      '9.',
      '.9',
      '9h',
      '9m',
      '1h9m',
      '9m9',
      'Mon, ',
      ' GMT',
      'Mon, x GMT',
      '(',
      '2026-01-01T',
      'ms',
      'µ',
    ],
  ],
  'the wait that is a date': [(text) => waiting(`Mon, ${text} GMT`), ['0', ' ', '(', ')', '0:', ':', 'GMT', 'a ']],
  'the wait that is an ISO date': [(text) => waiting(`2026-01-01T${text}`), ['0', '.', '0:', ' ', '(']],
  'one line': [(text) => oneLine(text, 2000), [' ', '\n', 'a', '\u202e', 'a\n']],
  'a quotation': [
    (text) => quotable(text, 'the prompt of the user'),
    ['a', 'a ', '\\', '\\u', '\\u005c', '"', 'é', '界', '[…]', '[…] ', 'aaaaa.'],
  ],
  'a quotation of a long prompt': [
    (text) => quotable('invalid value near "what you said": try other words, dear customer', text),
    ['a', 'inv', 'invali', ' ', 'é'],
  ],
  'the mask of a key': [mask, ['sk-', 'ab', 'sk-abab', key.slice(0, 40), 'a']],
  "Groq's words about its limits": [
    failing(groq, 429),
    ['(', '(TPD', '(TPD): Limit ', '(TPD): Limit 9', '9', '(TPM): Limit 1, Used 9', ', Requested '],
  ],
  "Groq's other words": [
    failing(groq, 400),
    ['`', ' is not supported with this model', 'Please reduce the length of the messages '],
  ],
  "OpenRouter's words": [
    failing(openrouter, 404),
    ['No endpoints found for ', 'No endpoints', 'No allowed providers', 'data policy', '.', 'a/'],
  ],
  "OpenRouter's words after their beginning": [
    (text) => failing(openrouter, 404)(`No endpoints found for ${text}`),
    ['a', '.', 'a.', ' ', 'data ', 'guardrai'],
  ],
  'the name of a host': [hostOf, [' ', 'a ', '\t', 'İ', 'a']],
  'a text that broke off': [
    continuing,
    ['a', ' ', '\n', '> ', '- ', '1. ', '1', '`', '```\n', '~~~', '- ```\n', '\t>', '- -', '1.1.', '\r'],
  ],
  'a text that broke off behind its first word': [(text) => continuing(`a${text}`), [' ', '\n', '\n- ', '\n```']],
}

describe.each(Object.keys(READERS))('%s', (name) => {
  const [read, texts] = READERS[name] ?? [() => {}, []]
  test.each(texts)('is read in linear time, full of %j', async (text) => {
    await expectLinear((size) => read(text.repeat(size / text.length)))
    await expectLinear((size) => read(`${text.repeat(size / text.length)}\u0001`))
  })
})

test('a hostile error about a long prompt of one letter keeps nobody waiting', async () => {
  const words = Array.from({ length: 100 }, (_, index) => `aaaa${String.fromCharCode(98 + (index % 20))}${index}`)
  const time = await timeOf(() => quotable(words.join(' '), 'a'.repeat(LARGE)))
  expect(time).toBeLessThan(5000)
})

describe('bytes', () => {
  test('of a body are read in linear time, however small its pieces', async () => {
    const pieces = (size: number, piece: number) => {
      const one = new Uint8Array(piece).fill(97)
      let left = size / piece
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          for (let n = 0; n < 64 && left > 0; n += 1, left -= 1) controller.enqueue(one)
          if (left <= 0) controller.close()
        },
      })
      return { status: 200, headers, body }
    }
    const reading = (size: number, piece: number) =>
      readText(pieces(size, piece), { most: 32 * MiB, until: (step) => step })
    expect(await reading(MiB, 1)).toBe('a'.repeat(MiB))
    for (const piece of [1, 100, 65_536]) await expectLinear((size) => reading(size, piece))
  })

  const fed = (bytes: Uint8Array, piece: number) => {
    const reader = createEventReader(() => {})
    for (let at = 0; at < bytes.length; at += piece) reader.feed(bytes.subarray(at, at + piece))
  }

  test.each([
    'x',
    '\n',
    '\r',
    '\r\n',
    ': x\n',
    'data\n',
    'data: x\n',
    'data: {}\n\n',
    'x:',
    'event: a\n',
    'id: 1\n',
    'retry: 1\n',
    '\ufeff',
  ])('of a stream are read in linear time, full of %j', async (text) => {
    for (const piece of [64, 16_384]) {
      await expectLinear((size) => fed(encoder.encode(text.repeat(size / text.length)), piece))
    }
  })
})

describe('an answer', () => {
  const answered = (message: object) =>
    openai.read({ choices: [{ message, finish_reason: 'stop' }] }, { status: 200, headers })

  test.each([
    ['many parts', (size: number) => answered({ content: Array.from({ length: size / 8 }, () => ({ text: 'x' })) })],
    [
      'many tool calls',
      (size: number) => answered({ tool_calls: Array.from({ length: size / 8 }, () => ({ function: { name: 'f' } })) }),
    ],
    [
      'arguments of blanks',
      (size: number) => answered({ tool_calls: [{ function: { name: 'f', arguments: ' '.repeat(size) } }] }),
    ],
    [
      'many choices',
      (size: number) =>
        openai.read({ choices: Array.from({ length: size / 8 }, () => ({})) }, { status: 200, headers }),
    ],
    ['a page of blanks', (size: number) => openai.fail(' '.repeat(size), { status: 500, headers })],
    [
      'a list of many models',
      (size: number) => readListing({ data: Array.from({ length: size / 64 }, (_, n) => ({ id: `a/${n}` })) }),
    ],
    [
      'a price of many digits',
      (size: number) =>
        readListing({ data: [{ id: 'a/b', pricing: { prompt: '9'.repeat(size / 4), completion: '1' } }] }),
    ],
    [
      'a model of a long name',
      (size: number) => readListing({ data: [{ id: 'guard'.repeat(size / 5), canonical_slug: ':'.repeat(size) }] }),
    ],
    [
      'a host of a long name',
      (size: number) =>
        readHosts({ endpoints: [{ tag: '/priority'.repeat(size / 9), provider_name: ' '.repeat(size) }] }),
    ],
  ])('with %s is read in linear time', async (_title, read) => {
    await expectLinear(read)
  })

  const chunk = (delta: object) => JSON.stringify({ choices: [{ index: 0, delta }] })
  const streamed = (chunks: Iterable<string>) => {
    const assembly = createAssembly()
    for (const each of chunks) assembly.take(each, undefined, [])
    return assembly.body
  }
  const times = function* (count: number, each: (n: number) => string) {
    for (let n = 0; n < count; n += 1) yield each(n)
  }
  const call = (n: number, more: object) => chunk({ tool_calls: [{ index: n, ...more }] })

  test.each([
    ['text in single letters', () => chunk({ content: 'x' })],
    ['thoughts in single letters', () => chunk({ reasoning: 'x' })],
    ['details of one thought', () => chunk({ reasoning_details: [{ type: 'reasoning.text', index: 0, text: 'x' }] })],
    [
      'details of many thoughts',
      (n: number) => chunk({ reasoning_details: [{ type: 'reasoning.text', index: n, text: 'x' }] }),
    ],
    ['annotations', () => chunk({ annotations: [{}, {}] })],
    ['arguments in single letters', () => call(0, { id: 'a', function: { name: 'f', arguments: 'x' } })],
    [
      'arguments of many calls',
      (n: number) => call(n % 128, { id: `${n % 128}`, function: { name: 'f', arguments: 'x' } }),
    ],
    [
      'arguments without a number',
      (n: number) => chunk({ tool_calls: [{ id: `${n % 128}`, function: { arguments: 'x' } }] }),
    ],
  ] as const)('that comes as %s is put together in linear time', async (_title, each) => {
    await expectLinear((size) => streamed(times(size / 16, each)))
  })
})
