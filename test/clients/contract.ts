import {
  cutAfter,
  errorMidStream,
  fail,
  hang,
  ok,
  repeat,
  type Sandbox,
  type Step,
  stallAfter,
} from 'modelfirst/sandbox'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/server.ts'
import type { Client, Told, Verbs } from './client.ts'
import { inProcess, MODEL, overAPort, type Place, type Stage, TASK, TOKEN } from './place.ts'

const ANSWER = 'Measure it once before and once after, with the same input, and keep the shorter one of both.'
const FILLED = { title: 'No parcel', urgent: true, tags: ['parcel', 'late'] }
const CALL = ok({ toolCalls: [{ name: 'get_weather', arguments: { city: 'Berlin' } }] })
const LIMITED = fail(429, { retryAfter: 60 })

/** How a provider can fail at a stream before there is anything to read. */
const BEFORE_CONTENT: readonly (readonly [string, Step])[] = [
  ['with a status', LIMITED],
  ['with an error in the stream', errorMidStream('server_error', 0)],
]

/** What a client of the protocol can do with the router behind it, wherever they meet. */
export function clientContract(clients: readonly Client[]): void {
  describe.each([inProcess, overAPort].map((place) => [place.name, place] as const))('%s', (_, place) => {
    let stage: Stage
    beforeAll(async () => {
      stage = await place.open()
    })
    beforeEach(() => stage.clear())
    afterAll(() => stage.close())

    for (const client of clients) describe(client.name, () => behaves(client, place, () => stage))
  })
}

function behaves(client: Client, place: Place, standing: () => Stage): void {
  let stage: Stage
  let sandbox: Sandbox
  let verbs: Verbs
  beforeEach(() => {
    stage = standing()
    sandbox = stage.sandbox
    verbs = client.open(stage.entrance)
  })

  const asked = () => sandbox.requests.map(({ provider }) => provider)
  /** The whole tokens of the calls so far: what a client reads must be what was counted. */
  const counted = () => stage.records.map(({ tokens }) => tokens.total)
  const failing = async (promise: Promise<unknown>): Promise<Told> => {
    const outcome = await promise.then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    )
    if (!('error' in outcome)) throw new Error(`expected an error, got ${JSON.stringify(outcome.value)}`)
    return client.tell(outcome.error)
  }
  const say = { model: TASK, prompt: 'How do I begin?' }

  test('an answer', async () => {
    sandbox.groq.script([ok(ANSWER)])
    expect(await verbs.complete(say)).toEqual({ text: ANSWER, tokens: counted()[0] })
    expect(asked()).toEqual(['groq'])
    expect(counted()).toEqual([expect.any(Number)])
  })

  test('an answer of a model that is no task', async () => {
    const { text } = await verbs.complete({ ...say, model: MODEL })
    expect(text).not.toBe('')
    expect(stage.records[0]?.model.served).toContain('gpt-oss-120b')
  })

  test('an answer of the next provider when the first fails', async () => {
    sandbox.groq.script([LIMITED])
    sandbox.openrouter.script([ok(ANSWER)])
    expect(await verbs.complete(say)).toEqual({ text: ANSWER, tokens: counted()[0] })
    expect(asked()).toEqual(['groq', 'openrouter'])
  })

  test('a stream, in pieces', async () => {
    sandbox.groq.script([ok(ANSWER)])
    const pieces: string[] = []
    const answer = await verbs.stream(say, (text) => pieces.push(text))
    expect(answer).toEqual({ text: ANSWER, tokens: counted()[0] })
    expect(pieces.length).toBeGreaterThan(2)
    expect(pieces.join('')).toBe(ANSWER)
  })

  test.each(BEFORE_CONTENT)('a stream of the next provider when the first fails %s', async (_, step) => {
    // Some of these are tried once more at the same provider first.
    sandbox.groq.script(repeat(3, step))
    sandbox.openrouter.script([ok(ANSWER)])
    const pieces: string[] = []
    const answer = await verbs.stream(say, (text) => pieces.push(text))
    expect(answer).toEqual({ text: ANSWER, tokens: expect.any(Number) })
    expect(pieces.join('')).toBe(ANSWER)
    expect(asked().at(-1)).toBe('openrouter')
  })

  test.each([
    ['at one provider', [CALL, ok(ANSWER)], [], ['groq', 'groq']],
    ['at two, the second in its middle', [CALL, LIMITED], [ok(ANSWER)], ['groq', 'groq', 'openrouter']],
    ['at two, the second from its beginning', [LIMITED], [CALL, ok(ANSWER)], ['groq', 'openrouter', 'openrouter']],
  ])('a tool that is called, and the answer after it, %s', async (_, groq, openrouter, providers) => {
    sandbox.groq.script(groq)
    sandbox.openrouter.script(openrouter)
    const heard: unknown[] = []
    const { text } = await verbs.forecast({ ...say, prompt: 'What is the weather in Berlin?' }, (input) => {
      heard.push(input)
      return '{"degrees":21}'
    })
    expect(text).toBe(ANSWER)
    expect(heard).toEqual([{ city: 'Berlin' }])
    expect(asked()).toEqual(providers)
    // The model was really told what the tool had said.
    expect(JSON.stringify(sandbox.requests.at(-1)?.body)).toContain('degrees')
  })

  test('an answer in a shape', async () => {
    sandbox.groq.script([ok(JSON.stringify(FILLED))])
    sandbox.openrouter.script([ok(JSON.stringify(FILLED))])
    expect(await verbs.ticket({ ...say, prompt: 'My parcel is late!' })).toEqual(FILLED)
    // Groq fills no schema in a stream: it is not asked for what it would refuse.
    expect(asked()).toEqual([client.ticketsInPieces === true ? 'openrouter' : 'groq'])
  })

  test('an answer in a shape, of the next provider', async () => {
    sandbox.groq.script([LIMITED])
    sandbox.openrouter.script([ok(JSON.stringify(FILLED))])
    expect(await verbs.ticket({ ...say, prompt: 'My parcel is late!' })).toEqual(FILLED)
    expect(asked()).toEqual(client.ticketsInPieces === true ? ['openrouter'] : ['groq', 'openrouter'])
  })

  test('giving up before the answer ends the request to the provider', async () => {
    sandbox.groq.script([hang()])
    const controller = new AbortController()
    const told = failing(verbs.complete({ ...say, signal: controller.signal }))
    await eventually(() => asked().length === 1)
    controller.abort()
    expect((await told).name).toBe(client.errors.aborted)
    await eventually(() => sandbox.requests[0]?.aborted === true)
    await eventually(() => stage.records[0]?.outcome === 'canceled')
    expect(asked()).toEqual(['groq'])
  })

  test('giving up in the middle of a stream ends the request to the provider', async () => {
    sandbox.groq.script([stallAfter(3, ok(ANSWER))])
    const controller = new AbortController()
    const pieces: string[] = []
    const told = failing(
      verbs.stream({ ...say, signal: controller.signal }, (text) => {
        pieces.push(text)
        controller.abort()
      }),
    )
    expect((await told).message).not.toBe('')
    expect(ANSWER.startsWith(pieces.join(''))).toBe(true)
    await eventually(() => sandbox.requests[0]?.aborted === true)
    await eventually(() => stage.records[0]?.outcome === 'canceled')
  })

  test('a stream that breaks after its first words is not taken for a whole one', async () => {
    sandbox.groq.script([cutAfter({ chunks: 4 }, ok(ANSWER))])
    const pieces: string[] = []
    const told = await failing(verbs.stream(say, (text) => pieces.push(text)))
    expect(pieces.join('')).not.toBe('')
    expect(told.message).not.toBe('')
    expect(stage.records[0]?.outcome).toBe('cut-off')
  })

  test.each(['complete', 'stream'] as const)('every provider is at its limit: %s reads which error', async (verb) => {
    sandbox.groq.script([LIMITED])
    sandbox.openrouter.script([LIMITED])
    const told = await failing(verbs[verb](say, () => {}))
    expect(told).toMatchObject({ name: client.errors.limited, status: 429 })
    expect(told.message).toContain('rate limit')
    expect(told.message).toMatch(/openrouter/i)
  })

  test('a task that there is not: the error names it, and nobody is asked', async () => {
    const told = await failing(verbs.complete({ ...say, model: 'task:sya' }))
    expect(told).toMatchObject({ name: client.errors.missing, status: 404 })
    expect(told.message).toContain('sya')
    expect(told.message).toContain('say')
    expect(asked()).toEqual([])
  })

  // In process there is nothing to keep anybody out of.
  if (place !== overAPort) return
  test('a wrong token: the error says so and does not tell the right one', async () => {
    const told = await failing(client.open({ ...stage.entrance, key: 'another-token' }).complete(say))
    expect(told).toMatchObject({ name: client.errors.denied, status: 401 })
    expect(told.message).not.toContain(TOKEN)
    expect(asked()).toEqual([])
  })
}
