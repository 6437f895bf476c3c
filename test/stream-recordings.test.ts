import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import {
  type AttemptRecord,
  compatible,
  createRouter,
  type FailureKind,
  groq,
  openrouter,
  StreamBroken,
  type StreamEvent,
  type UsageRecord,
  type Wire,
} from 'modelfirst'
import { seeded } from 'modelfirst/sandbox'
import { describe, expect, test } from 'vitest'

/**
 * Streams that both providers really sent, in the pieces in which they came and in hundreds of others. Every expected
 * value is computed here by plain code of its own, or written down by hand; our reader is never asked what is right.
 */
const folder = fileURLToPath(new URL('../../shared/data/recordings/', import.meta.url))
const there = existsSync(folder)
const files = there ? readdirSync(folder).sort() : []

interface Recording {
  readonly number: string
  readonly provider: 'groq' | 'openrouter'
  readonly headers: Record<string, string>
  readonly bytes: Uint8Array
  /** As they came, where that was recorded. */
  readonly chunks: readonly Uint8Array[]
}

function recordingsOf(name: string): Recording[] {
  const { request, response } = JSON.parse(readFileSync(`${folder}${name}`, 'utf8'))
  const headers = new Headers(response.headers)
  if (response.status !== 200 || !headers.get('content-type')?.includes('event-stream')) return []
  const chunks: Uint8Array[] = (response.chunksB64 ?? [Buffer.from(response.body).toString('base64')]).map(
    (chunk: string) => new Uint8Array(Buffer.from(chunk, 'base64')),
  )
  return [
    {
      number: name.slice(0, 3),
      provider: request.url.includes('openrouter.ai') ? 'openrouter' : 'groq',
      // What was compressed on its way was recorded as text.
      headers: { 'content-type': headers.get('content-type') ?? '' },
      bytes: new Uint8Array(Buffer.concat(chunks)),
      chunks,
    },
  ]
}

const recordings = files.flatMap(recordingsOf)

/** Statuses of 200 that were no success. */
const FAILED: Readonly<Record<string, readonly [kind: FailureKind, why: string]>> = {
  '002': ['server-error', 'error.code 502 beside finish_reason "stop"; its cost comes after it'],
  '006': ['bad-output', 'event: error, tool_use_failed: the model did not call a tool'],
  '098': ['empty', 'nothing but a role, no finish, 0 tokens'],
  '146': ['refused', 'a refusal in the place of a text'],
}

interface Expected {
  text: string
  reasoning: string
  /** By the order in which they begin. */
  calls: { id: string | null; name: string | null; arguments: string }[]
  finish: string | null
  usage: Record<string, unknown> | null
  model: string | null
}

/** Reads a recording in the simplest way there is: all of it at once, line by line. */
function readPlainly(bytes: Uint8Array): Expected {
  const expected: Expected = { text: '', reasoning: '', calls: [], finish: null, usage: null, model: null }
  const calls = new Map<string, Expected['calls'][number]>()
  for (const line of new TextDecoder().decode(bytes).split('\n')) {
    if (!line.startsWith('data: {')) continue
    const chunk = JSON.parse(line.slice('data: '.length))
    expected.model ??= chunk.model ?? null
    expected.usage = chunk.usage ?? expected.usage ?? chunk.x_groq?.usage ?? null
    const { delta = {}, finish_reason: finish = null } = chunk.choices?.[0] ?? {}
    expected.text += delta.content ?? ''
    expected.reasoning += delta.reasoning ?? ''
    for (const call of delta.tool_calls ?? []) {
      // One host numbers all its calls 0, each with an id of its own; none here repeats an id it was not given first.
      const key = call.id
        ? `${call.index} ${call.id}`
        : ([...calls.keys()].findLast((k) => k.startsWith(`${call.index} `)) ?? '')
      const known = calls.get(key) ?? { id: call.id ?? null, name: call.function.name ?? null, arguments: '' }
      calls.set(key, known)
      known.arguments += call.function.arguments ?? ''
    }
    expected.finish = finish ?? expected.finish
  }
  expected.calls = [...calls.values()]
  return expected
}

/** What the next request is answered with, and in which pieces. */
let served: { readonly headers: Record<string, string>; readonly pieces: readonly Uint8Array[] }

const wire: Wire = {
  async send() {
    const { headers, pieces } = served
    let at = 0
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        const piece = pieces[at++]
        if (piece === undefined) controller.close()
        else controller.enqueue(piece)
      },
    })
    return { status: 200, headers: new Headers(headers), body }
  },
}

const once = { limits: { attempts: 1 } }
const router = createRouter({
  providers: [
    groq({ apiKey: 'gsk_test', wire }),
    openrouter({ apiKey: 'sk-or-test', wire }),
    compatible({ name: 'own', baseURL: 'http://localhost/v1', models: ['small'], wire }),
  ],
  tasks: {
    groq: { model: 'openai/gpt-oss-20b', provider: 'groq', ...once },
    openrouter: { model: 'openai/gpt-4o-mini', provider: 'openrouter', ...once },
    own: { model: 'small', provider: 'own', ...once },
  },
})

interface Heard {
  readonly events: readonly StreamEvent[]
  readonly error: unknown
  readonly usage: UsageRecord
}

/** All that comes out when a recording is served in these pieces. */
async function listen({ provider, headers }: Recording, pieces: readonly Uint8Array[]): Promise<Heard> {
  served = { headers, pieces }
  const records: UsageRecord[] = []
  const stop = router.on((event) => event.type === 'call-end' && records.push(event.usage))
  const events: StreamEvent[] = []
  let error: unknown = null
  try {
    for await (const event of router.stream(provider, 'Hi')) events.push(event)
  } catch (thrown) {
    error = thrown
  }
  stop()
  const [usage] = records
  if (usage === undefined || records.length > 1) throw new Error(`a call with ${records.length} records`)
  return { events, error, usage }
}

/** Neighbours of one kind are one: how a text is cut is nobody's business. */
function joined(events: readonly StreamEvent[]): StreamEvent[] {
  const all: StreamEvent[] = []
  for (const event of events) {
    const last = all.at(-1)
    if (event.type === 'text-delta' && last?.type === 'text-delta')
      all[all.length - 1] = { ...last, text: last.text + event.text }
    else if (event.type === 'reasoning-delta' && last?.type === 'reasoning-delta')
      all[all.length - 1] = { ...last, text: last.text + event.text }
    else all.push(event)
  }
  return all
}

function textOf(events: readonly StreamEvent[], type: 'text-delta' | 'reasoning-delta'): string {
  return events.map((event) => (event.type === type && 'text' in event ? event.text : '')).join('')
}

function callsOf(events: readonly StreamEvent[]): Expected['calls'] {
  const calls: Expected['calls'] = []
  for (const event of events) {
    if (event.type !== 'tool-call-delta') continue
    const { index, id, name, arguments: json } = event
    calls[index] = { id, name, arguments: `${calls[index]?.arguments ?? ''}${json}` }
  }
  return calls
}

/** Cut at random places; the same every time. */
function rechunked(bytes: Uint8Array, random: () => number): Uint8Array[] {
  const pieces: Uint8Array[] = []
  // Now a few bytes at a time, now most of it at once.
  const longest = Math.ceil(bytes.length ** random()) + 1
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + Math.floor(random() * longest)
    pieces.push(bytes.subarray(at, at + length))
    at += length
  }
  return pieces
}

/** What must not depend on how the bytes were cut: all but the times. */
function timeless({ attempts, outcome, tokens, cost, model }: UsageRecord): object {
  const attempt = ({ tokens, cost, outcome, billed, phase, status, generationId }: AttemptRecord) => ({
    tokens,
    cost,
    outcome,
    billed,
    phase,
    status,
    generationId,
  })
  return { outcome, tokens, cost, model, attempts: attempts.map(attempt) }
}

describe.skipIf(!there)(there ? 'recorded streams' : 'SKIPPED: the recorded streams are not here', () => {
  test('all twenty-three are here', () => expect(recordings.length).toBe(23))

  test.for(recordings.map((recording) => [recording.number, recording] as const))(
    '%s is read for what it says, as it came',
    async ([number, recording]) => {
      const expected = readPlainly(recording.bytes)
      const { events, error, usage } = await listen(recording, recording.chunks)
      expect(textOf(events, 'text-delta')).toBe(expected.text)
      expect(textOf(events, 'reasoning-delta')).toBe(expected.reasoning)
      expect(callsOf(events)).toEqual(expected.calls)
      const [kind] = FAILED[number] ?? []
      expect(usage.outcome).toBe(kind ?? 'ok')
      if (kind === undefined) {
        expect(error).toBeNull()
        const end = events.at(-1)
        expect(end?.type === 'end' && end.finish.reason).toBe(expected.finish?.replace('_', '-'))
      } else {
        expect(error).toMatchObject({ kind })
        expect(StreamBroken.is(error)).toBe(events.length > 0)
        expect(events.some(({ type }) => type === 'end')).toBe(false)
      }
      const counted = expected.usage as Record<string, number | undefined> | null
      expect(usage.tokens.prompt).toBe(counted?.prompt_tokens ?? null)
      expect(usage.tokens.completion).toBe(counted?.completion_tokens ?? null)
      expect(usage.tokens.total).toBe(counted?.total_tokens ?? null)
      if (counted?.cost !== undefined) {
        expect(usage.cost).toMatchObject({ usd: counted.cost, source: 'reported' })
        expect(usage.attempts[0]?.billed).toBe('yes')
      }
    },
  )

  test('all that is marked as failed is among them', () => {
    expect(
      Object.keys(FAILED).filter((number) => !recordings.some((recording) => recording.number === number)),
    ).toEqual([])
  })

  // Fewer unless there is time, and least for the four of more than fifty thousand bytes: they would take most of it.
  test.for(
    recordings.map(
      (recording) =>
        [
          recording.number,
          process.env.MODELFIRST_DEEP ? 200 : recording.bytes.length > 50_000 ? 2 : 10,
          recording,
        ] as const,
    ),
  )('%s says the same in %i other ways to cut it', async ([, times, recording]) => {
    const random = seeded(Number(recording.number))
    const first = await listen(recording, recording.chunks)
    const same = joined(first.events)
    for (let n = 0; n < times; n += 1) {
      const { events, usage } = await listen(recording, rechunked(recording.bytes, random))
      expect(joined(events)).toEqual(same)
      expect(timeless(usage)).toEqual(timeless(first.usage))
    }
  })

  test('byte by byte it is the same as well', async () => {
    for (const recording of recordings.filter(({ bytes }) => bytes.length < 10_000)) {
      const whole = await listen(recording, [recording.bytes])
      const single = await listen(
        recording,
        Array.from(recording.bytes, (byte) => Uint8Array.of(byte)),
      )
      expect(joined(single.events)).toEqual(joined(whole.events))
      expect(timeless(single.usage)).toEqual(timeless(whole.usage))
    }
  })

  test('cut off anywhere before its finish, none of them is a success', async () => {
    for (const recording of recordings.filter(({ bytes }) => bytes.length < 40_000)) {
      const text = new TextDecoder().decode(recording.bytes)
      const finish = Math.min(
        ...['"finish_reason":"', '[DONE]'].map((word) => text.indexOf(word)).filter((at) => at > 0),
        text.length - 2,
      )
      const random = seeded(Number(recording.number))
      for (let n = 0; n < 20; n += 1) {
        const { events, error, usage } = await listen(recording, [
          recording.bytes.subarray(0, Math.floor(random() * finish)),
        ])
        expect(usage.outcome).not.toBe('ok')
        expect(error).not.toBeNull()
        expect(events.some(({ type }) => type === 'end')).toBe(false)
      }
    }
  })
})

/** A stream of our own writing, for what the recordings do not hold. */
function written(...chunks: (object | string)[]): Uint8Array {
  const lines = chunks.map((chunk) => `data: ${typeof chunk === 'string' ? chunk : JSON.stringify(chunk)}\n\n`)
  return new TextEncoder().encode(lines.join(''))
}

async function hear(...chunks: (object | string)[]) {
  served = { headers: { 'content-type': 'text/event-stream' }, pieces: [written(...chunks)] }
  const stream = router.stream('own', 'Hi')
  const events: StreamEvent[] = []
  for await (const event of stream) events.push(event)
  return { events, completion: await stream.completion }
}

const choice = (delta: object, finish: string | null = null, index: number | null = 0) => ({
  choices: [{ ...(index !== null && { index }), delta, finish_reason: finish }],
})

describe('what the recordings do not hold', () => {
  test('a usage that comes three times is counted once, and the last one counts', async () => {
    const usage = { prompt_tokens: 10, completion_tokens: 4, total_tokens: 14 }
    const { completion } = await hear(
      { ...choice({ content: 'Hi' }), usage: { prompt_tokens: 10, completion_tokens: 1, total_tokens: 11 } },
      { ...choice({}, 'stop'), usage, x_groq: { usage } },
      { choices: [], usage },
      '[DONE]',
    )
    expect(completion.usage.tokens).toMatchObject({ prompt: 10, completion: 4, total: 14 })
  })

  test('several answers that come mixed are not mixed up: the first is read, as of a body', async () => {
    const { completion } = await hear(
      choice({ content: 'one ' }),
      choice({ content: 'ZWEI ' }, null, 1),
      { choices: [choice({ content: 'VIER ' }, null, 1).choices[0], choice({ content: 'two ' }).choices[0]] },
      choice({ content: 'three' }, 'stop'),
      choice({ content: 'SECHS' }, 'stop', 1),
      '[DONE]',
    )
    expect(completion.text).toBe('one two three')
  })

  test.for([
    ['no number', [null, null]],
    ['all the same number', [0, 0]],
    ['numbers from one', [1, 2]],
    ['numbers with gaps', [3, 90]],
  ] as const)('calls with %s are told apart by their ids', async ([, [first, second]]) => {
    const call = (index: number | null, id: string, json: string) => ({
      tool_calls: [{ ...(index !== null && { index }), id, function: { name: `look_${id}`, arguments: json } }],
    })
    const { completion, events } = await hear(
      choice(call(first, 'a', '{"n":1}')),
      choice(call(second, 'b', '{"n":2}')),
      choice({}, 'tool_calls'),
      '[DONE]',
    )
    expect(completion.toolCalls).toEqual([
      { id: 'a', name: 'look_a', arguments: { n: 1 }, json: '{"n":1}' },
      { id: 'b', name: 'look_b', arguments: { n: 2 }, json: '{"n":2}' },
    ])
    expect(callsOf(events).map(({ id }) => id)).toEqual(['a', 'b'])
  })

  test('pieces of one call belong together, even when each comes under another id', async () => {
    const piece = (id: string, json: string) => ({
      tool_calls: [{ index: 0, id, function: { name: 'look', arguments: json } }],
    })
    const { completion } = await hear(
      choice(piece('a', '')),
      choice(piece('b', '{"n"')),
      choice(piece('c', ':1}')),
      choice({}, 'tool_calls'),
      '[DONE]',
    )
    expect(completion.toolCalls).toEqual([{ id: 'a', name: 'look', arguments: { n: 1 }, json: '{"n":1}' }])
  })

  test('a marker of the end inside a text is text', async () => {
    const { completion } = await hear(
      choice({ content: 'data: [DONE]\n\n' }),
      choice({ content: '[DONE]' }, 'stop'),
      '[DONE]',
    )
    expect(completion.text).toBe('data: [DONE]\n\n[DONE]')
  })

  test('halves of a character in two chunks become one character', async () => {
    const { completion } = await hear(
      '{"choices":[{"delta":{"content":"\\ud83d"}}]}',
      '{"choices":[{"delta":{"content":"\\ude00"},"finish_reason":"stop"}]}',
    )
    expect(completion.text).toBe('😀')
  })

  test('what follows [DONE] does not count, and an empty event says nothing', async () => {
    const { completion, events } = await hear(
      '',
      choice({ content: 'Hi' }, 'stop'),
      '',
      '[DONE]',
      choice({ content: ' again' }),
      '{broken',
    )
    expect(completion.text).toBe('Hi')
    expect(events.filter(({ type }) => type === 'end').length).toBe(1)
  })

  test('words of an object are words: keys that every object has break nothing', async () => {
    const { completion } = await hear(
      '{"__proto__":{"choices":[{"delta":{"content":"no"}}]},"constructor":1,"choices":[{"delta":{"content":"yes","__proto__":{"content":"no"}},"finish_reason":"stop"}]}',
      '[DONE]',
    )
    expect(completion.text).toBe('yes')
  })
})
