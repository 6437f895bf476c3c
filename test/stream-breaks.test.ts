import type { ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import {
  compatible,
  createRouter,
  type OnBroken,
  RouterError,
  type RouterEvent,
  StreamBroken,
  type StreamEvent,
} from 'modelfirst'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasty, sumOf } from './support/router.ts'
import { eventually, type Received, serve, type TestServer } from './support/server.ts'

/**
 * Every place where a stream can break, every way in which it can, and every policy for it, on real sockets. What has
 * to come of each is worked out from three questions: was anything seen, was the answer finished, can it go on?
 */
const TEXT = 'The first part of it is said, and then there is a second part, which ends here: 😀 done.'
const HALF = TEXT.slice(0, 47)
const LIMITS = { firstTokenMs: 250, idleMs: 120, timeoutMs: 5000 }

const PHASES = [
  'before the headers',
  'after the headers',
  'after keep-alives',
  'after the role',
  'in the reasoning',
  'in the text',
  'in the arguments of a tool call',
  'after the finish',
  'after the usage',
] as const
type Phase = (typeof PHASES)[number]

function chunk(delta: object, finish: string | null = null, more: object = {}): string {
  const choices = [{ index: 0, delta, finish_reason: finish }]
  return `data: ${JSON.stringify({ id: 'c1', model: 'small', choices, ...more })}\n\n`
}

const ROLE = chunk({ role: 'assistant', content: '' })
const USAGE = { prompt_tokens: 10, completion_tokens: 20, total_tokens: 30 }
const FINISH = chunk({}, 'stop')
const LAST = `data: ${JSON.stringify({ id: 'c1', choices: [], usage: USAGE })}\n\n`
const DONE = 'data: [DONE]\n\n'
const words = (text: string) => (text.match(/.{1,7}/gsu) ?? []).map((content) => chunk({ content })).join('')
const call = (index: number, json: string) =>
  chunk({ tool_calls: [{ index, id: 'a', function: { name: 'look', arguments: json } }] })

/** What was sent before it breaks; `null`: not even the headers. */
const BEFORE: Readonly<Record<Phase, string | null>> = {
  'before the headers': null,
  'after the headers': '',
  'after keep-alives': ': keep-alive\n\n: keep-alive\n\n',
  'after the role': ROLE,
  'in the reasoning': ROLE + chunk({ reasoning: 'Let me think.' }),
  'in the text': ROLE + words(HALF),
  'in the arguments of a tool call': ROLE + call(0, '{"place":"Ber'),
  'after the finish': ROLE + words(TEXT) + FINISH,
  'after the usage': ROLE + words(TEXT) + FINISH + LAST,
}

const PROBLEM = { message: 'Overloaded', code: 529 }
const ENDLESS = call(0, 'x'.repeat(64 * 1024)).repeat(20)

/** How it breaks. Each but the first three is said in a stream that then ends in good order. */
const KINDS: Readonly<Record<string, string | ((response: ServerResponse) => void)>> = {
  'it ends in good order': '',
  'the connection closes': (response) => response.socket?.destroy(),
  'the connection is reset': (response) => response.socket?.resetAndDestroy(),
  'nothing more comes': () => {},
  'an error, bare': `data: ${JSON.stringify({ error: PROBLEM })}\n\n`,
  'an error beside a finish': chunk({ content: '' }, 'error', { error: PROBLEM }),
  'an error beside a finish that looks good': chunk({}, 'stop', { error: PROBLEM }),
  'an error with no choices': `data: ${JSON.stringify({ id: 'c1', choices: [], error: PROBLEM })}\n\n`,
  'an error inside the choice': `data: ${JSON.stringify({ choices: [{ index: 0, delta: {}, error: PROBLEM, finish_reason: 'error' }] })}\n\n`,
  'an event of its own for the error': `event: error\ndata: ${JSON.stringify({ error: PROBLEM })}\n\n`,
  'an error, and the connection stays open': (response) =>
    void response.write(`data: ${JSON.stringify({ error: PROBLEM })}\n\n`),
  'an error, and [DONE]': `data: ${JSON.stringify({ error: PROBLEM })}\n\n${DONE}`,
  'a chunk that is no JSON': 'data: {"id":"c1","choices":[{"delta":{"con\n\n',
  'a chunk that is JSON and no object': 'data: 17\n\n',
  'an event that is not ended': 'data: {"choices":[{"index":0,"delta":{"content":"lost"}}]}',
  'a page': '<!DOCTYPE html>\n<html><body><h1>Bad gateway</h1></body></html>\n',
  'a false [DONE]': 'data: [DONE]fake\n\n',
  'a call with a huge number': call(1e9, '{}'),
  'a call with a negative number': call(-1, '{}'),
  'a call with half a number': call(0.5, '{}'),
  'arguments without an end': ENDLESS,
}

const ERRORS = Object.keys(KINDS).filter((kind) => /^an error|^an event of its own/.test(kind))
const BAD_CALLS = Object.keys(KINDS).filter((kind) => /^a call with|^arguments/.test(kind))

interface Case {
  readonly phase: Phase
  readonly kind: string
  readonly onBroken: OnBroken
}

const CASES: readonly Case[] = PHASES.flatMap((phase) =>
  Object.keys(KINDS).flatMap((kind) =>
    (['fail', 'restart', 'continue'] as const).map((onBroken) => ({ phase, kind, onBroken })),
  ),
)

type Outcome = 'whole' | 'failed over' | 'broken' | 'begun anew' | 'gone on'

function outcomeOf({ phase, kind, onBroken }: Case): Outcome {
  const finished = phase === 'after the finish' || phase === 'after the usage'
  const callsTools = phase === 'in the arguments of a tool call' || kind === 'arguments without an end'
  const said = finished || phase === 'in the text'
  // Everything was said before it broke; only an error, or a call that nobody can make, takes that back.
  if (finished && !ERRORS.includes(kind) && !BAD_CALLS.includes(kind)) return 'whole'
  if (!said && !callsTools && phase !== 'in the reasoning') return 'failed over'
  if (onBroken === 'restart') return 'begun anew'
  if (onBroken === 'fail' || callsTools) return 'broken'
  return said ? 'gone on' : 'begun anew'
}

/** The first provider breaks as it is asked to; the second answers, or goes on exactly where it is put. */
function answer({ body, path, response }: Received): void {
  const { messages } = JSON.parse(body)
  const last = messages.at(-1)
  const headers = { 'content-type': 'text/event-stream' }
  if (path.includes('/second/')) {
    const rest = last.role === 'assistant' ? TEXT.slice(last.content.length) : TEXT
    response.writeHead(200, headers)
    response.end(ROLE + words(rest) + FINISH + LAST + DONE)
    return
  }
  const { phase, kind }: Case = JSON.parse(last.content)
  const before = BEFORE[phase]
  const breaks = KINDS[kind]
  if (before !== null || typeof breaks === 'string' || kind.startsWith('an error')) {
    response.writeHead(200, kind === 'a page' && before === null ? { 'content-type': 'text/html' } : headers)
    response.flushHeaders()
  }
  if (before) response.write(before)
  // Later, so that what came before has been read, and what is lost is only what breaks.
  setTimeout(() => (typeof breaks === 'string' ? response.end(breaks) : breaks?.(response)), 15)
}

let server: TestServer
let events: RouterEvent[] = []
const unhandled: unknown[] = []
/** One for all routers, so that no two calls have the same id. */
const chance = hasty()
const onUnhandled = (reason: unknown) => void unhandled.push(reason)

function routerTo(url: string, limits: typeof LIMITS = LIMITS) {
  const provider = (name: string) =>
    compatible({
      name,
      baseURL: `${url}/${name}`,
      apiKey: 'sk-test-0123456789',
      models: ['small'],
      prices: { small: { input: 1, output: 2 } },
    })
  const policy = { model: 'small', limits, request: { max_tokens: 100 } }
  return createRouter({
    providers: [provider('first'), provider('second')],
    tasks: {
      fail: { ...policy, onBroken: 'fail' },
      restart: { ...policy, onBroken: 'restart' },
      continue: { ...policy, onBroken: 'continue' },
    },
    on: (event) => void events.push(event),
    random: chance,
  })
}

beforeAll(async () => {
  process.on('unhandledRejection', onUnhandled)
  server = await serve(answer)
})
afterAll(async () => {
  await server.close()
  process.off('unhandledRejection', onUnhandled)
})

interface Result {
  readonly heard: readonly StreamEvent[]
  readonly error: unknown
  /** What a reader has who does as the events say. */
  readonly text: string
  readonly completion: PromiseSettledResult<{ readonly text: string }>
  readonly milliseconds: number
}

async function run(tried: Case): Promise<Result> {
  // One for each: what breaks all the time is not asked any more.
  const router = routerTo(server.url)
  await router.ready()
  const started = performance.now()
  const stream = router.stream(tried.onBroken, JSON.stringify(tried))
  const heard: StreamEvent[] = []
  let text = ''
  let error: unknown = null
  try {
    for await (const event of stream) {
      heard.push(event)
      if (event.type === 'text-delta') text += event.text
      if (event.type === 'restart') {
        expect(event.discarded).toBe(text.length)
        text = ''
      }
      if (event.type === 'seam') expect(event.offset).toBeLessThanOrEqual(text.length)
    }
  } catch (thrown) {
    error = thrown
  }
  const milliseconds = performance.now() - started
  const [completion] = await Promise.allSettled([stream.completion])
  await router.close()
  return { heard, error, text, completion, milliseconds }
}

function check(tried: Case, { heard, error, text, completion, milliseconds }: Result): void {
  const outcome = outcomeOf(tried)
  const types = new Set(heard.map(({ type }) => type))
  const usage = RouterError.is(error)
    ? error.usage
    : completion.status === 'fulfilled'
      ? usageOf(completion.value)
      : null
  if (usage === null) throw new Error('no record')
  const { attempts } = usage
  expect(types.has('restart')).toBe(outcome === 'begun anew')
  expect(types.has('seam')).toBe(outcome === 'gone on')
  expect(attempts.length).toBe(outcome === 'whole' || outcome === 'broken' ? 1 : 2)
  if (outcome === 'broken') {
    if (!StreamBroken.is(error)) throw new Error(`not a broken stream: ${error}`)
    expect(error.partial.text).toBe(text)
    expect(text).toBe(
      tried.phase.startsWith('after the') && tried.phase !== 'after the role' && tried.phase !== 'after the headers'
        ? TEXT
        : tried.phase === 'in the text'
          ? HALF
          : '',
    )
    expect(completion).toMatchObject({ status: 'rejected', reason: error })
    expect(types.has('end')).toBe(false)
  } else {
    expect(error).toBeNull()
    expect(text).toBe(TEXT)
    expect(completion).toMatchObject({ status: 'fulfilled', value: { text: TEXT } })
    expect(heard.filter(({ type }) => type === 'end').length).toBe(1)
    expect(heard.at(-1)).toEqual({ type: 'end', finish: { reason: 'stop', raw: 'stop' } })
  }
  // Every attempt is on the bill, and the bill is their sum.
  expect(attempts.map(({ outcome: of }) => of === 'ok')).toEqual(
    attempts.map((_, n) => outcome !== 'broken' && n === attempts.length - 1),
  )
  expect(attempts.map(({ role }) => role)).toEqual(
    ['first', outcome === 'gone on' ? 'continuation' : 'failover'].slice(0, attempts.length),
  )
  const { low, high } = sumOf(attempts)
  expect(usage.cost.low).toBeCloseTo(low, 12)
  if (high === null) expect(usage.cost.high).toBeNull()
  else expect(usage.cost.high).toBeCloseTo(high, 12)
  const own = events.filter((event) => 'call' in event && event.call === usage.id)
  const count = (type: string) => own.filter((event) => event.type === type).length
  expect([count('attempt-start'), count('attempt-end'), count('call-end')]).toEqual([
    attempts.length,
    attempts.length,
    1,
  ])
  expect(milliseconds).toBeLessThan(LIMITS.firstTokenMs + LIMITS.idleMs + 2000)
}

function usageOf(completion: object) {
  return 'usage' in completion ? (completion.usage as NonNullable<RouterError['usage']>) : null
}

describe.for(PHASES)('a stream that breaks %s', (phase) => {
  test.for(Object.keys(KINDS))('%s', async (kind) => {
    events = []
    const tried = CASES.filter((one) => one.phase === phase && one.kind === kind)
    const results = await Promise.all(tried.map(async (one) => [one, await run(one)] as const))
    for (const [one, result] of results) check(one, result)
  })
})

describe('after all of them', () => {
  test('no connection, no timer and no rejection is left', async () => {
    await eventually(() => server.busy === 0)
    // One for the test's own time limit.
    await eventually(() => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length <= 2)
    expect(unhandled).toEqual([])
  })
})

describe('a stream that stalls', () => {
  const stalls = [
    ['before the headers', LIMITS.firstTokenMs],
    ['after keep-alives', LIMITS.firstTokenMs],
    ['after the role', LIMITS.firstTokenMs],
    ['in the text', LIMITS.idleMs],
    ['in the arguments of a tool call', LIMITS.idleMs],
    ['after the finish', LIMITS.idleMs],
  ] as const

  test.for(stalls)('%s is given up after %i milliseconds, and not much later', async ([phase, limit]) => {
    const times: number[] = []
    // The machine may be busy once; it is not busy three times.
    for (let n = 0; n < 3 && (times.length === 0 || Math.min(...times) > limit + 100); n += 1) {
      times.push((await run({ phase, kind: 'nothing more comes', onBroken: 'fail' })).milliseconds)
    }
    expect(Math.min(...times)).toBeGreaterThan(limit - 5)
    expect(Math.min(...times)).toBeLessThan(limit + 100)
  })
})

describe('a stream that swells', () => {
  /** A megabyte in a few hundred bytes; such pieces may follow one another in one body. */
  const MEGABYTE = gzipSync(`${': nothing at all '.repeat(65_536)}\n\n`)

  test.for([
    ['before anything is seen', '', 'failed over'],
    ['after some of it was seen', ROLE + words(HALF), 'broken'],
  ] as const)('a small body that becomes large %s is given up', async ([, before, outcome]) => {
    let sent = 0
    const bomb = await serve(({ path, response }) => {
      if (path.includes('/second/')) {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.end(words(TEXT) + FINISH + DONE)
        return
      }
      response.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' })
      if (before !== '') response.write(gzipSync(before))
      const more = () => {
        if (response.destroyed || sent >= 300) return
        sent += 1
        response.write(MEGABYTE)
        setImmediate(more)
      }
      setTimeout(more, 20)
    })
    const over = routerTo(bomb.url, { firstTokenMs: 10_000, idleMs: 10_000, timeoutMs: 30_000 })
    const most = process.memoryUsage().rss
    const stream = over.stream('fail', 'Hi')
    let text = ''
    let error: unknown = null
    try {
      for await (const piece of stream.text) text += piece
    } catch (thrown) {
      error = thrown
    }
    expect(text).toBe(outcome === 'broken' ? HALF : TEXT)
    expect(StreamBroken.is(error)).toBe(outcome === 'broken')
    if (RouterError.is(error)) expect(error.kind).toBe('bad-response')
    expect(process.memoryUsage().rss - most).toBeLessThan(200 * 1024 * 1024)
    await eventually(() => bomb.busy === 0)
    await bomb.close()
  })
})

describe('going on', () => {
  /** Answers by the call's number, and notes what it was asked. */
  async function scripted(answers: readonly ((response: ServerResponse, kept: string) => void)[]) {
    const asked: { role: string; content: string }[][] = []
    const one = await serve(({ body, response }) => {
      const { messages } = JSON.parse(body)
      asked.push(messages)
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      answers[asked.length - 1]?.(response, messages.length > 1 ? messages.at(-1).content : '')
    })
    const names = ['a', 'b', 'c', 'd']
    const many = createRouter({
      providers: names.map((name) =>
        compatible({ name, baseURL: `${one.url}/${name}`, apiKey: 'sk-test-0123456789', models: ['small'] }),
      ),
      tasks: { say: { model: 'small', limits: LIMITS, onBroken: 'continue' } },
    })
    return { asked, router: many, close: one.close }
  }
  const cutAt = (at: number) => (response: ServerResponse, kept: string) => {
    response.write(ROLE + words(TEXT.slice(kept.length, at)))
    setTimeout(() => response.socket?.destroy(), 15)
  }
  const whole = (response: ServerResponse, kept: string) =>
    void response.end(words(TEXT.slice(kept.length)) + FINISH + DONE)

  test('twice broken and twice taken up, it is the text that was never cut', async () => {
    const { router: many, asked, close } = await scripted([cutAt(40), cutAt(70), whole])
    const stream = many.stream('say', 'Hi')
    const heard: StreamEvent[] = []
    for await (const event of stream) heard.push(event)
    const { text, usage } = await stream.completion
    expect(text).toBe(TEXT)
    expect(heard.map((event) => (event.type === 'text-delta' ? event.text : '')).join('')).toBe(TEXT)
    expect(heard.flatMap((event) => (event.type === 'seam' ? [[event.from.provider, event.to.provider]] : []))).toEqual(
      [
        ['a', 'b'],
        ['b', 'c'],
      ],
    )
    expect(usage.attempts.map(({ role }) => role)).toEqual(['first', 'continuation', 'continuation'])
    // Each goes on from the conversation itself, not from a continuation of it.
    expect(asked.map((messages) => messages.length)).toEqual([1, 2, 2])
    await close()
  })

  test.for([
    ['begins anew', (response: ServerResponse) => void response.end(words(TEXT) + FINISH + DONE)],
    [
      'says something else',
      (response: ServerResponse) => void response.end(words('Something else entirely.') + FINISH + DONE),
    ],
    ['says nothing', (response: ServerResponse) => void response.end(FINISH + DONE)],
    ['calls a tool', (response: ServerResponse) => void response.end(call(0, '{}') + chunk({}, 'tool_calls') + DONE)],
    [
      'breaks before it has caught up',
      (response: ServerResponse, kept: string) => cutAt(kept.length + 5)(response, kept),
    ],
  ] as const)('a model that %s is passed over for the next one, and nobody sees it', async ([, unfit]) => {
    const { router: many, close } = await scripted([cutAt(60), unfit, whole])
    const stream = many.stream('say', 'Hi')
    let text = ''
    for await (const piece of stream.text) text += piece
    const { usage, text: told } = await stream.completion
    expect([text, told]).toEqual([TEXT, TEXT])
    expect(usage.attempts.length).toBe(3)
    expect(usage.attempts.map(({ outcome }) => outcome === 'ok')).toEqual([false, false, true])
    await close()
  })

  test('when nobody goes on, it is broken where it broke', async () => {
    const other = (response: ServerResponse) => void response.end(words('Something else.') + FINISH + DONE)
    const { router: many, close } = await scripted([cutAt(60), other, other, other])
    const stream = many.stream('say', 'Hi')
    let text = ''
    const read = async () => {
      for await (const piece of stream.text) text += piece
    }
    const error = await read().catch((thrown: unknown) => thrown)
    if (!StreamBroken.is(error)) throw new Error(`not a broken stream: ${error}`)
    expect(text).toBe(TEXT.slice(0, 60))
    expect(error.partial.text).toBe(text)
    expect(error.attempts.map(({ outcome }) => outcome)).toEqual([
      'cut-off',
      'bad-response',
      'bad-response',
      'bad-response',
    ])
    await close()
  })
})
