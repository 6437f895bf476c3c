import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import {
  AbortError,
  AttemptsFailedError,
  type CallOptions,
  ConfigError,
  compatible,
  createRouter,
  type FailureKind,
  RouterError,
  type RouterEvent,
  StreamBroken,
  type StreamEvent,
  type TaskPolicy,
  type UsageRecord,
} from 'modelfirst'
import {
  cutAfter,
  emptyBody,
  errorIn200,
  errorMidStream,
  fail,
  htmlPage,
  noDone,
  noFinish,
  ok,
  repeat,
  reset,
  type Sandbox,
  type Step,
  stallAfter,
  startSandbox,
} from 'modelfirst/sandbox'
import OpenAI from 'openai'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { canaries, leaks } from './support/canaries.ts'
import { hasty } from './support/router.ts'
import { type Answering, eventually, serve, type TestServer } from './support/server.ts'

const sleep = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds))

const chunk = (delta: object, finish: string | null = null, more: object = {}) =>
  `data: ${JSON.stringify({ id: 'c1', model: 'small', choices: [{ index: 0, delta, finish_reason: finish }], ...more })}\n\n`
const ROLE = chunk({ role: 'assistant', content: '' })
const END = `${chunk({}, 'stop', { usage: { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 } })}data: [DONE]\n\n`
const EVENTS = { 'content-type': 'text/event-stream' }

/** A router over one server of the test, which is asked as `first` and then as `second`. */
async function over(answering: Answering, policy: Partial<TaskPolicy> = {}, names: readonly string[] = ['first']) {
  const server = await serve(answering)
  const records: UsageRecord[] = []
  const events: RouterEvent[] = []
  const router = createRouter({
    providers: names.map((name) =>
      compatible({
        name,
        baseURL: `${server.url}/${name}`,
        apiKey: 'sk-test-0123456789',
        models: ['small'],
        prices: { small: { input: 1, output: 2 } },
      }),
    ),
    tasks: {
      say: { model: 'small' as const, request: { max_tokens: 100 }, ...policy } as TaskPolicy<'small', 'first'>,
    },
    sinks: [(record) => void records.push(record)],
    on: (event) => void events.push(event),
  })
  await router.ready()
  opened.push(server)
  return { router, server, records, events }
}

const opened: TestServer[] = []
let sandbox: Sandbox

beforeAll(async () => {
  sandbox = await startSandbox()
})
beforeEach(() => sandbox.reset())
afterAll(async () => {
  await Promise.all([sandbox.close(), ...opened.map((server) => server.close())])
})

const MODEL = 'openai/gpt-oss-20b'

function inSandbox(policy: Partial<TaskPolicy> = {}) {
  const events: RouterEvent[] = []
  const router = createRouter({
    providers: sandbox.providers(),
    tasks: { say: { model: MODEL, provider: ['groq', 'openrouter'], ...policy } as TaskPolicy<typeof MODEL, 'groq'> },
    on: (event) => void events.push(event),
    random: hasty(),
  })
  return { router, events }
}

async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const values: T[] = []
  for await (const value of stream) values.push(value)
  return values
}

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error('it did not fail')
    },
    (error: unknown) => error,
  )
}

describe('before anything is seen', () => {
  const faults: readonly (readonly [string, Step, FailureKind])[] = [
    ['a reset', reset(), 'unreachable'],
    ['a 500', fail(500), 'server-error'],
    ['a 429', fail(429, { retryAfter: 60 }), 'rate-limited'],
    ['a 401', fail(401), 'unauthorized'],
    ['a page', htmlPage(), 'bad-response'],
    ['an empty body', emptyBody(), 'empty'],
    ['an error in a 200', errorIn200(502), 'server-error'],
    ['an error after the role', errorMidStream(503, 1, ok('Hello')), 'overloaded'],
    ['an end after the role', cutAfter({ chunks: 1 }, ok('Hello')), 'cut-off'],
    ['a reset after the role', cutAfter({ chunks: 1, reset: true }, ok('Hello')), 'cut-off'],
    ['silence after the role', stallAfter(1, ok('Hello')), 'timed-out'],
    ['no answer in a whole stream', noFinish(noDone(ok(''))), 'cut-off'],
  ]

  test.for(faults)('%s fails over unseen', async ([, step, kind]) => {
    // Only silence has to be waited for; a busy machine is given time for all else.
    const { router } = inSandbox({ limits: { firstTokenMs: kind === 'timed-out' ? 400 : 5000 } })
    sandbox.groq.script([step])
    sandbox.openrouter.script([ok('Hello there')])
    const stream = router.stream('say', 'Hi')
    const events = await all(stream)
    expect(new Set(events.map(({ type }) => type))).toEqual(new Set(['text-delta', 'end']))
    const { text, usage } = await stream.completion
    expect(text).toBe('Hello there')
    expect(usage.attempts.map(({ outcome, role, provider }) => [outcome, role, provider])).toEqual([
      [kind, 'first', 'groq'],
      ['ok', 'failover', 'openrouter'],
    ])
  })

  test('when every way fails, the error has them all, and it is no broken stream', async () => {
    const { router } = inSandbox()
    sandbox.groq.script([repeat(2, fail(500))])
    sandbox.openrouter.script([repeat(2, fail(502))])
    const stream = router.stream('say', 'Hi')
    const error = await errorOf(all(stream))
    expect(AttemptsFailedError.is(error)).toBe(true)
    expect(await errorOf(stream.completion)).toBe(error)
    const roles = RouterError.is(error) ? error.attempts.map(({ role }) => role) : []
    expect(roles).toEqual(['first', 'failover', 'retry', 'retry'])
  })

  test('an answer that comes whole although a stream was asked for is handed out at once', async () => {
    const body = { choices: [{ message: { role: 'assistant', content: 'Whole.' }, finish_reason: 'stop' }] }
    const { router } = await over(({ response }) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify(body))
    })
    const events = await all(router.stream('say', 'Hi'))
    expect(events).toEqual([
      { type: 'text-delta', text: 'Whole.' },
      { type: 'end', finish: { reason: 'stop', raw: 'stop' } },
    ])
  })

  test('nothing is sent before it is read', async () => {
    const { router, server } = await over(({ response }) => void response.writeHead(200, EVENTS).end(END))
    router.stream('say', 'Hi')
    await sleep(20)
    expect(server.requests.length).toBe(0)
  })
})

describe('three clocks', () => {
  test('keep-alives are no progress', async () => {
    const { router, server } = await over(
      ({ response }) => {
        response.writeHead(200, EVENTS)
        const beat = setInterval(() => response.write(': keep-alive\n\n'), 10)
        response.on('close', () => clearInterval(beat))
      },
      { limits: { firstTokenMs: 150 } },
    )
    const started = performance.now()
    const error = await errorOf(all(router.stream('say', 'Hi')))
    expect(error).toMatchObject({ kind: 'timed-out' })
    expect(performance.now() - started).toBeGreaterThan(140)
    await eventually(() => server.busy === 0)
  })

  test('nor are they in the middle of an answer', async () => {
    const { router } = await over(
      ({ response }) => {
        response.writeHead(200, EVENTS)
        response.write(chunk({ content: 'Hello' }))
        const beat = setInterval(() => response.write(': keep-alive\n\n'), 10)
        response.on('close', () => clearInterval(beat))
      },
      { limits: { idleMs: 100 } },
    )
    expect(await errorOf(all(router.stream('say', 'Hi')))).toMatchObject({ kind: 'stalled' })
  })

  test('a reader who takes his time is not a provider that stalls', async () => {
    const { router } = await over(
      ({ response }) => {
        response.writeHead(200, EVENTS)
        response.write(chunk({ content: 'one ' }))
        setTimeout(() => response.write(chunk({ content: 'two ' })), 20)
        setTimeout(() => response.end(END), 60)
      },
      { limits: { idleMs: 80 } },
    )
    let text = ''
    for await (const piece of router.stream('say', 'Hi').text) {
      text += piece
      await sleep(200)
    }
    expect(text).toBe('one two ')
  })

  test('the time for the whole call ends an answer that goes on and on', async () => {
    const { router } = await over(
      ({ response }) => {
        response.writeHead(200, EVENTS)
        const more = setInterval(() => response.write(chunk({ content: 'more ' })), 10)
        response.on('close', () => clearInterval(more))
      },
      { limits: { timeoutMs: 200 } },
    )
    const error = await errorOf(all(router.stream('say', 'Hi')))
    expect(StreamBroken.is(error) && error.kind).toBe('timed-out')
  })

  test('and it ends one that nobody reads any more: the connection is free and the call is on the books', async () => {
    const { router, server, records } = await over(
      ({ response }) => void response.writeHead(200, EVENTS).write(chunk({ content: 'Hello' })),
      { limits: { timeoutMs: 150 } },
    )
    const stream = router.stream('say', 'Hi')
    const iterator = stream[Symbol.asyncIterator]()
    expect(await iterator.next()).toMatchObject({ value: { text: 'Hello' } })
    const error = await errorOf(stream.completion)
    expect(StreamBroken.is(error) && error.kind).toBe('timed-out')
    expect(records.map(({ outcome }) => outcome)).toEqual(['timed-out'])
    await eventually(() => server.busy === 0)
    expect(await errorOf(iterator.next())).toBe(error)
    expect(records.length).toBe(1)
  })
})

describe('a reader that is slow', () => {
  test('the provider is held back, and little is kept in memory', async () => {
    let sent = 0
    const piece = chunk({ content: 'x'.repeat(16 * 1024) })
    const { router, server } = await over(async ({ response }) => {
      response.writeHead(200, EVENTS)
      while (!response.destroyed && sent < 64 * 1024 * 1024) {
        sent += piece.length
        if (!response.write(piece)) await Promise.race([new Promise((go) => response.once('drain', go)), sleep(400)])
      }
    })
    const iterator = router.stream('say', 'Hi')[Symbol.asyncIterator]()
    await iterator.next()
    await sleep(150)
    const before = sent
    await sleep(150)
    // Nothing but what fits into the buffers of the two sockets.
    expect(sent).toBe(before)
    expect(sent).toBeLessThan(16 * 1024 * 1024)
    await iterator.return?.()
    await eventually(() => server.busy === 0)
  })
})

describe('leaving early', () => {
  const phases: readonly (readonly [string, Answering, number])[] = [
    ['before the headers', () => {}, 0],
    ['after the headers', ({ response }) => response.writeHead(200, EVENTS).flushHeaders(), 0],
    ['after the role', ({ response }) => response.writeHead(200, EVENTS).write(ROLE), 0],
    ['in the reasoning', ({ response }) => response.writeHead(200, EVENTS).write(chunk({ reasoning: 'Hm.' })), 1],
    ['in the text', ({ response }) => response.writeHead(200, EVENTS).write(chunk({ content: 'Hello' })), 1],
    [
      'after the finish',
      ({ response }) => response.writeHead(200, EVENTS).write(chunk({ content: 'Hello' }) + chunk({}, 'stop')),
      1,
    ],
  ]

  test.for(phases)('an abort %s has the caller as its reason', async ([, answering, visible]) => {
    const { router, server, records } = await over(answering)
    const controller = new AbortController()
    const reason = new Error('the caller had enough')
    const stream = router.stream('say', 'Hi', { signal: controller.signal })
    const heard: StreamEvent[] = []
    const reading = (async () => {
      for await (const event of stream) heard.push(event)
    })()
    reading.catch(() => {})
    await eventually(() => server.requests.length === 1 && heard.length === visible)
    await sleep(10)
    controller.abort(reason)
    const error = await errorOf(reading)
    expect(AbortError.is(error)).toBe(true)
    expect(error).toMatchObject({ name: 'AbortError', kind: 'canceled', cause: reason })
    expect(await errorOf(stream.completion)).toBe(error)
    expect(records.length).toBe(1)
    expect(records[0]).toMatchObject({ outcome: 'canceled', attempts: [{ outcome: 'canceled', billed: 'maybe' }] })
    await eventually(() => server.busy === 0)
  })

  test.for(phases)(
    'an iterator that is returned %s frees the connection, and the call is on the books',
    async ([, answering, visible]) => {
      const { router, server, records } = await over(answering)
      const stream = router.stream('say', 'Hi')
      const iterator = stream[Symbol.asyncIterator]()
      for (let n = 0; n < visible; n += 1) await iterator.next()
      const pending = iterator.next()
      pending.catch(() => {})
      await eventually(() => server.requests.length === 1)
      await sleep(10)
      await iterator.return?.()
      expect(await pending).toMatchObject({ done: true })
      expect(await iterator.next()).toMatchObject({ done: true })
      await eventually(() => server.busy === 0)
      const completion = await stream.completion
      expect(records).toEqual([completion.usage])
      expect(completion.usage.attempts.length).toBe(1)
    },
  )

  test.for(phases)('a router that is closed %s waits for nobody', async ([, answering, visible]) => {
    const { router, server, records } = await over(answering)
    const stream = router.stream('say', 'Hi')
    const iterator = stream[Symbol.asyncIterator]()
    for (let n = 0; n < visible; n += 1) await iterator.next()
    // With something seen nobody asks for more: closing may not wait for that.
    const pending = visible === 0 ? iterator.next() : null
    pending?.catch(() => {})
    await eventually(() => server.requests.length === 1)
    await sleep(10)
    await router.close()
    expect(records.length).toBe(1)
    expect(records[0]?.outcome).toBe('canceled')
    await eventually(() => server.busy === 0)
    expect(AbortError.is(await errorOf(pending ?? iterator.next()))).toBe(true)
  })

  const endless: Answering = ({ response }) => {
    response.writeHead(200, EVENTS)
    const usage = { prompt_tokens: 10, completion_tokens: 1, total_tokens: 11 }
    const more = setInterval(() => response.write(chunk({ content: 'more ' }, null, { usage })), 5)
    response.on('close', () => clearInterval(more))
  }

  test.for([
    [
      'a break',
      async (stream: AsyncIterable<StreamEvent>) => {
        for await (const _ of stream) break
      },
    ],
    [
      'a reader that throws',
      async (stream: AsyncIterable<StreamEvent>) => {
        const failing = async () => {
          for await (const _ of stream) throw new Error('mine')
        }
        await expect(failing()).rejects.toThrow('mine')
      },
    ],
    [
      'a stream of Node that is destroyed',
      async (stream: AsyncIterable<StreamEvent>) => {
        const readable = Readable.from(stream)
        await new Promise((resolve) => readable.once('data', resolve))
        readable.destroy()
      },
    ],
  ] as const)(
    '%s ends the request; the completion has what there was, and the usage that was last heard',
    async ([, leave]) => {
      const { router, server, records } = await over(endless)
      const stream = router.stream('say', 'Hi')
      await leave(stream)
      const { text, usage, finish } = await stream.completion
      expect(text).toMatch(/^(more )+$/)
      expect(finish.reason).toBe('unknown')
      expect(usage.outcome).toBe('canceled')
      expect(usage.tokens).toMatchObject({ prompt: 10, completion: 1 })
      expect(records).toEqual([usage])
      await eventually(() => server.busy === 0)
    },
  )

  test('without any usage, the cost is bounded and not nothing', async () => {
    const { router } = await over(({ response }) => response.writeHead(200, EVENTS).write(chunk({ content: 'Hello' })))
    const stream = router.stream('say', 'Hi')
    for await (const _ of stream.text) break
    const { usage } = await stream.completion
    expect(usage.tokens.completion).toBeNull()
    expect(usage.cost).toMatchObject({ usd: null, low: 0, source: 'bounded' })
    expect(usage.cost.high).toBeGreaterThan(100 * 2e-6)
  })

  test('a stream that is left before it was begun asks nobody', async () => {
    const { router, server } = await over(endless)
    const stream = router.stream('say', 'Hi')
    await stream[Symbol.asyncIterator]().return?.()
    const { text, usage } = await stream.completion
    expect(text).toBe('')
    expect(usage).toMatchObject({ outcome: 'canceled', attempts: [], cost: { usd: 0 } })
    expect(server.requests.length).toBe(0)
  })

  test('a caller who gave up before the call began hears of that', async () => {
    const { router, server } = await over(endless)
    const stream = router.stream('say', 'Hi', { signal: AbortSignal.abort('no') })
    expect(await errorOf(all(stream))).toMatchObject({ kind: 'canceled', cause: 'no' })
    expect(server.requests.length).toBe(0)
  })

  test('streams that are left early leave no listener on the caller’s signal', async () => {
    const { router, server } = await over(endless)
    const signal = new AbortController().signal
    let listeners = 0
    const { addEventListener, removeEventListener } = signal
    Object.assign(signal, {
      addEventListener(...given: Parameters<typeof addEventListener>) {
        listeners += 1
        return addEventListener.apply(signal, given)
      },
      removeEventListener(...given: Parameters<typeof removeEventListener>) {
        listeners -= 1
        return removeEventListener.apply(signal, given)
      },
    })
    for (let n = 0; n < 20; n += 1) for await (const _ of router.stream('say', 'Hi', { signal }).text) break
    expect(listeners).toBe(0)
    await eventually(() => server.busy === 0)
  })
})

describe('who reads', () => {
  const short: Answering = ({ response }) => void response.writeHead(200, EVENTS).end(chunk({ content: 'Hello' }) + END)
  type Say = Awaited<ReturnType<typeof over>>['router']
  const ways: Readonly<Record<string, (stream: ReturnType<Say['stream']>) => unknown>> = {
    events: (stream) => stream[Symbol.asyncIterator](),
    text: (stream) => stream.text[Symbol.asyncIterator](),
    'a response': (stream) => stream.toResponse(),
  }
  const pairs = Object.keys(ways).flatMap((first) => Object.keys(ways).map((second) => [first, second] as const))

  test.for(pairs)('who reads %s is not joined by one who reads %s', async ([first, second]) => {
    const { router } = await over(short)
    const stream = router.stream('say', 'Hi')
    ways[first]?.(stream)
    const join = () => ways[second]?.(stream)
    expect(join).toThrow(ConfigError)
    expect(join).toThrow(
      `stream: it is already read as ${first}: read it once, and take the whole from stream.completion`,
    )
  })

  test('the whole is there without any reader', async () => {
    const { router, server } = await over(short)
    const { text, usage } = await router.stream('say', 'Hi').completion
    expect([text, usage.outcome, server.requests.length]).toEqual(['Hello', 'ok', 1])
  })

  test('asked for before, while and after reading, it is one and the same, and one request', async () => {
    const { router, server } = await over(short)
    const stream = router.stream('say', 'Hi')
    const before = stream.completion
    const events: StreamEvent[] = []
    let during: Promise<unknown> | undefined
    for await (const event of stream) {
      events.push(event)
      during ??= stream.completion
    }
    expect(events.map(({ type }) => type)).toEqual(['text-delta', 'end'])
    expect(await before).toBe(await stream.completion)
    expect(await during).toBe(await before)
    expect(server.requests.length).toBe(1)
  })

  test('who asks for several events at once gets them in order', async () => {
    const { router } = await over(({ response }) => {
      response.writeHead(200, EVENTS)
      for (let n = 0; n < 5; n += 1) setTimeout(() => response.write(chunk({ content: `${n}` })), 10 * n)
      setTimeout(() => response.end(END), 60)
    })
    const iterator = router.stream('say', 'Hi')[Symbol.asyncIterator]()
    const results = await Promise.all(Array.from({ length: 7 }, () => iterator.next()))
    const said = results.map(({ value }) => (value?.type === 'text-delta' ? value.text : value?.type))
    expect(said).toEqual(['0', '1', '2', '3', '4', 'end', undefined])
    expect(results.map(({ done }) => done)).toEqual([false, false, false, false, false, false, true])
  })

  test('a wrong task is told by whoever reads, and by the completion', async () => {
    const { router } = await over(short)
    const stream = router.stream('sya' as 'say', 'Hi')
    const error = await errorOf(all(stream))
    expect(ConfigError.is(error)).toBe(true)
    expect(await errorOf(stream.completion)).toBe(error)
  })
})

describe('errors', () => {
  test('a broken stream has what was seen, and shows it to nobody who does not ask', async () => {
    const secrets = canaries()
    const { router, events, records } = await over(({ response }) => {
      response.writeHead(200, EVENTS)
      response.write(chunk({ reasoning: `thinks ${secrets.answer}` }) + chunk({ content: `says ${secrets.answer}` }))
      const problem = { message: `Could not go on with ${secrets.prompt}: ${secrets.answer}`, code: 502 }
      setTimeout(() => response.end(`data: ${JSON.stringify({ error: problem })}\n\n`), 10)
    })
    const stream = router.stream(
      'say',
      {
        messages: [
          { role: 'system', content: secrets.system },
          { role: 'user', content: secrets.prompt },
        ],
        user: secrets.user,
      },
      { session: secrets.session },
    )
    const error = await errorOf(all(stream))
    if (!StreamBroken.is(error)) throw new Error(`not a broken stream: ${error}`)
    expect(error.partial).toEqual({
      text: `says ${secrets.answer}`,
      reasoning: `thinks ${secrets.answer}`,
      toolCalls: [],
    })
    expect(Object.keys(error)).not.toContain('partial')
    expect(JSON.stringify(error)).not.toContain('partial')
    const { answer: _, ...others } = secrets
    expect(leaks({ error, events, records }, others)).toEqual([])
    // What was seen is on it under its name; nothing that is printed, logged or sent on has it.
    expect(`${error.message}${error.stack}${JSON.stringify(error)}`).not.toContain(secrets.answer)
    expect(leaks({ events, records }, { answer: secrets.answer })).toEqual([])
  })

  test('a chunk that cannot be read is not quoted', async () => {
    const secrets = canaries()
    const { router } = await over(({ response }) => {
      response.writeHead(200, EVENTS)
      response.end(`data: {"choices":[{"delta":{"content":"${secrets.answer}\n\n`)
    })
    const error = await errorOf(all(router.stream('say', 'Hi')))
    expect(error).toMatchObject({ kind: 'bad-response' })
    expect(leaks({ error }, { answer: secrets.answer })).toEqual([])
  })

  test.for([
    ['unknown finish reasons pass', 'fancy', 'unknown'],
    ['an answer that was cut at its limit is whole', 'length', 'length'],
  ] as const)('%s', async ([, raw, reason]) => {
    const { router } = await over(
      ({ response }) => void response.writeHead(200, EVENTS).end(chunk({ content: 'Hi' }, raw)),
    )
    expect((await router.stream('say', 'Hi').completion).finish).toEqual({ reason, raw })
  })
})

describe('as a response', () => {
  const tools = { tool_calls: [{ index: 0, id: 'a', function: { name: 'look', arguments: '{"place":' } }] }
  const rest = { tool_calls: [{ index: 0, function: { arguments: '"Berlin"}' } }] }

  /** OpenAI's own client, which is answered by a router. */
  function clientOf(
    router: { stream: Awaited<ReturnType<typeof over>>['router']['stream'] },
    options: CallOptions = {},
  ) {
    return new OpenAI({
      apiKey: 'unused',
      maxRetries: 0,
      fetch: async () => router.stream('say', 'Hi', options).toResponse(),
    })
  }
  const ask: OpenAI.ChatCompletionCreateParamsStreaming & { stream: true } = {
    model: 'any',
    stream: true,
    messages: [{ role: 'user', content: 'Hi' }],
  }

  test('OpenAI’s client reads it: text, thoughts, calls, finish and usage', async () => {
    const { router } = await over(({ response }) => {
      response.writeHead(200, EVENTS)
      response.end(
        ROLE +
          chunk({ reasoning: 'Hm.' }) +
          chunk({ content: 'Hello ' }) +
          chunk({ content: 'you' }) +
          chunk(tools) +
          chunk(rest) +
          chunk({}, 'tool_calls', { usage: { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12 } }),
      )
    })
    const chunks = await all(await clientOf(router).chat.completions.create(ask))
    const deltas = chunks.map(({ choices }) => choices[0]?.delta)
    expect(deltas.map((delta) => delta?.content ?? '').join('')).toBe('Hello you')
    expect(deltas.map((delta) => (delta && 'reasoning' in delta ? delta.reasoning : '')).join('')).toBe('Hm.')
    const calls = deltas.flatMap((delta) => delta?.tool_calls ?? [])
    expect(calls.map(({ function: called }) => called?.arguments).join('')).toBe('{"place":"Berlin"}')
    // Put together as simple clients do it: each piece behind the one before.
    expect(calls.map(({ id }) => id ?? '').join('')).toBe('a')
    expect(calls.map(({ function: called }) => called?.name ?? '').join('')).toBe('look')
    expect(deltas.filter((delta) => delta?.role !== undefined).length).toBe(1)
    expect(chunks.flatMap(({ choices }) => choices[0]?.finish_reason ?? [])).toEqual(['tool_calls'])
    expect(chunks.at(-1)).toMatchObject({
      choices: [],
      usage: { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12 },
    })
    expect(new Set(chunks.map(({ id, object }) => `${id} ${object}`)).size).toBe(1)
    expect(Math.abs((chunks[0]?.created ?? 0) - Date.now() / 1000)).toBeLessThan(60)
  })

  test('its helper puts the same completion together', async () => {
    const { router } = await over(
      ({ response }) =>
        void response.writeHead(200, EVENTS).end(ROLE + chunk(tools) + chunk(rest) + chunk({}, 'tool_calls')),
    )
    const { choices } = await clientOf(router).chat.completions.stream(ask).finalChatCompletion()
    expect(choices[0]?.message.tool_calls?.[0]).toMatchObject({
      id: 'a',
      function: { name: 'look', arguments: '{"place":"Berlin"}' },
    })
  })

  test('OpenAI’s client throws when it broke off', async () => {
    const { router } = await over(
      ({ response }) => void response.writeHead(200, EVENTS).end(chunk({ content: 'Hello' })),
    )
    const read = async () => all(await clientOf(router).chat.completions.create(ask))
    expect(await errorOf(read())).toMatchObject({ name: 'Error', code: 'cut_off' })
  })

  test('and when it had to be begun anew: it would put two answers together', async () => {
    const { router, server } = await over(
      ({ response, path }) => {
        response.writeHead(200, EVENTS)
        response.write(chunk({ content: path.includes('second') ? 'Another answer' : 'One answer' }))
        setTimeout(() => response.end(path.includes('second') ? END : ''), 10)
      },
      { onBroken: 'restart' },
      ['first', 'second'],
    )
    let text = ''
    const read = async () => {
      for await (const { choices } of await clientOf(router).chat.completions.create(ask))
        text += choices[0]?.delta.content ?? ''
    }
    expect(await errorOf(read())).toMatchObject({ code: 'cut_off' })
    expect(text).toBe('One answer')
    await eventually(() => server.busy === 0)
  })

  test('but one that is begun anew before it was seen is one answer', async () => {
    const { router } = await over(
      ({ response, path }) =>
        void response.writeHead(200, EVENTS).end(path.includes('second') ? chunk({ content: 'Hello' }) + END : ROLE),
      { onBroken: 'restart' },
      ['first', 'second'],
    )
    const chunks = await all(await clientOf(router).chat.completions.create(ask))
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe('Hello')
  })

  /** A server that hands each request to a handler of the web's own kind. */
  async function hosting(handle: (request: Request) => Response | Promise<Response>) {
    const host = createServer(async (request, response) => {
      const answer = await handle(new Request('http://localhost/'))
      response.writeHead(answer.status, Object.fromEntries(answer.headers))
      const reader = answer.body?.getReader()
      request.socket.on('close', () => void reader?.cancel().catch(() => {}))
      for (let part = await reader?.read(); part !== undefined && !part.done; part = await reader?.read())
        response.write(part.value)
      response.end()
    })
    await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve))
    const { port } = host.address() as AddressInfo
    return {
      url: `http://127.0.0.1:${port}/`,
      close() {
        host.closeAllConnections()
        return new Promise<void>((resolve) => host.close(() => resolve()))
      },
    }
  }

  test('behind a handler of the web’s own kind each piece goes out as it comes', async () => {
    let goOn = () => {}
    const { router } = await over(({ response }) => {
      response.writeHead(200, EVENTS).write(chunk({ content: 'one' }))
      goOn = () => response.end(chunk({ content: 'two' }) + END)
    })
    const host = await hosting(() => router.stream('say', 'Hi').toResponse({ headers: { 'x-mine': 'yes' } }))
    const response = await fetch(host.url)
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(response.headers.get('x-mine')).toBe('yes')
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    expect((await reader?.read())?.value).toContain('"content":"one"')
    goOn()
    let text = ''
    for (let part = await reader?.read(); part !== undefined && !part.done; part = await reader?.read())
      text += part.value
    expect(text).toContain('"content":"two"')
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
    await host.close()
  })

  test('a client that hangs up ends the request behind it', async () => {
    const { router, server, records } = await over(({ response }) =>
      response.writeHead(200, EVENTS).write(chunk({ content: 'one' })),
    )
    const host = await hosting(() => router.stream('say', 'Hi').toResponse())
    const controller = new AbortController()
    const response = await fetch(host.url, { signal: controller.signal })
    await response.body?.getReader().read()
    expect(server.busy).toBe(1)
    controller.abort()
    await eventually(() => server.busy === 0 && records.length === 1)
    expect(records[0]?.outcome).toBe('canceled')
    await host.close()
  })
})

describe('what a stream brings', () => {
  test('tool calls are parsed, and come in pieces on the way', async () => {
    const { router } = inSandbox()
    sandbox.groq.script([
      ok({
        toolCalls: [
          { name: 'look', arguments: { place: 'Berlin' } },
          { name: 'wait', arguments: {} },
        ],
      }),
    ])
    const tool = (name: string) => ({ type: 'function' as const, function: { name, parameters: { type: 'object' } } })
    const stream = router.stream('say', {
      messages: [{ role: 'user', content: 'Hi' }],
      tools: [tool('look'), tool('wait')],
    })
    const events = await all(stream)
    const { toolCalls, finish, message } = await stream.completion
    expect(toolCalls.map(({ name, arguments: given }) => [name, given])).toEqual([
      ['look', { place: 'Berlin' }],
      ['wait', {}],
    ])
    expect(finish.reason).toBe('tool-calls')
    expect(message.tool_calls?.length).toBe(2)
    const json = events
      .map((event) => (event.type === 'tool-call-delta' && event.index === 0 ? event.arguments : ''))
      .join('')
    expect(JSON.parse(json)).toEqual({ place: 'Berlin' })
  })

  test('JSON comes as text that parses at the end', async () => {
    const { router } = inSandbox()
    const { text } = await router.stream('say', {
      messages: [{ role: 'user', content: 'Hi, in JSON' }],
      response_format: { type: 'json_object' },
    }).completion
    expect(JSON.parse(text)).toBeTypeOf('object')
  })

  test('it is what a whole answer is: text, usage, plan', async () => {
    const { router } = inSandbox()
    const whole = await router.complete('say', 'What is a river?')
    const streamed = await router.stream('say', 'What is a river?').completion
    expect(streamed.text).toBe(whole.text)
    expect(streamed.reasoning).toBe(whole.reasoning)
    expect(streamed.finish).toEqual(whole.finish)
    expect(streamed.usage.tokens).toMatchObject({
      prompt: whole.usage.tokens.prompt,
      completion: whole.usage.tokens.completion,
    })
    expect(streamed.plan.steps).toEqual(whole.plan.steps)
    expect(streamed.usage.cost.source).toBe('computed')
    expect(streamed.usage.latency.firstTokenMs).toBeGreaterThan(0)
  })

  test('a session is kept by a stream as by a call', async () => {
    const { router } = inSandbox()
    const session = router.session('chat-1')
    const first = await session.stream('say', 'Hi').completion
    const second = await session.complete('say', 'Hi again')
    const third = await session.stream('say', 'And again').completion
    expect([first, second, third].map(({ usage }) => usage.pin)).toEqual(['new', 'kept', 'kept'])
    expect(new Set([first, second, third].map(({ usage }) => usage.session)).size).toBe(1)
  })

  test('its attempts are heard like those of a call: each begins and ends, and the call ends once', async () => {
    const { router, events } = inSandbox()
    const heard = async (call: Promise<unknown>) => {
      events.length = 0
      sandbox.groq.script([fail(500)])
      await call
      return events
        .filter(({ type }) => type !== 'drift')
        .map((event) => [event.type, 'attempt' in event ? event.attempt.outcome : 'role' in event ? event.role : ''])
    }
    const streamed = await heard(all(router.stream('say', 'Hi')))
    expect(streamed).toEqual([
      ['plan-made', ''],
      ['attempt-start', 'first'],
      ['attempt-end', 'server-error'],
      ['attempt-start', 'failover'],
      ['attempt-end', 'ok'],
      ['call-end', ''],
    ])
    expect(await heard(router.complete('say', 'Hi'))).toEqual(streamed)
    expect(router.ledger.records.length).toBe(2)
  })

  test('connections are used again', async () => {
    const { router, server } = await over(
      ({ response }) => void response.writeHead(200, EVENTS).end(chunk({ content: 'Hello' }) + END),
    )
    for (let n = 0; n < 5; n += 1) {
      await all(router.stream('say', 'Hi'))
      await sleep(5)
    }
    expect(new Set(server.requests.map(({ socket }) => socket)).size).toBe(1)
  })
})
