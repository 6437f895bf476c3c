import { compatible, createRouter, StreamBroken } from 'modelfirst'
import { describe, expect, test } from 'vitest'

const piece = (delta: object, finish: string | null = null) =>
  `data: ${JSON.stringify({ id: 'x', model: 'm', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`

/** Answers with these events, each in a read of its own; what comes after the last is the end of the connection. */
function routerSaying(streams: string[][], onBroken: 'fail' | 'restart') {
  const encoder = new TextEncoder()
  const answers = streams.map((events) => () => {
    const left = [...events]
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        const next = left.shift()
        if (next === undefined) controller.close()
        else controller.enqueue(encoder.encode(next))
      },
    })
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
  })
  const fetch = async () => answers.shift()?.() ?? Response.error()
  const place = (name: string) => compatible({ name, baseURL: 'http://localhost:1/v1', models: ['m'], fetch })
  return createRouter({ providers: [place('one'), place('two')], tasks: { tell: { model: 'm', onBroken } } })
}

const BROKEN = [piece({ content: 'Once upon ' })]
const WHOLE = [piece({ content: 'Twice ' }), piece({ content: 'told' }), piece({}, 'stop'), 'data: [DONE]\n\n']

describe('the text alone', () => {
  test('fails where the policy would begin anew: two answers are never read as one', async () => {
    const stream = routerSaying([BROKEN, WHOLE], 'restart').stream('tell', 'Go on')
    let text = ''
    const reading = (async () => {
      for await (const part of stream.text) text += part
    })()
    const error = await reading.then(
      () => null,
      (thrown: unknown) => thrown,
    )
    expect(StreamBroken.is(error) && error.partial.text).toBe('Once upon ')
    expect(text).toBe('Once upon ')
  })

  test('the events of the same stream say that it begins anew', async () => {
    const types: string[] = []
    const stream = routerSaying([BROKEN, WHOLE], 'restart').stream('tell', 'Go on')
    for await (const event of stream) types.push(event.type)
    expect(types).toEqual(['text-delta', 'restart', 'text-delta', 'text-delta', 'end'])
    expect((await stream.completion).text).toBe('Twice told')
  })

  test('what came together is one piece, and the first comes at once', async () => {
    const together = [WHOLE.join('')]
    const parts: string[] = []
    for await (const part of routerSaying([together], 'fail').stream('tell', 'Go on').text) parts.push(part)
    expect(parts).toEqual(['Twice ', 'told'])
    const many = [Array.from({ length: 50 }, (_, n) => piece({ content: `${n} ` })).join('') + piece({}, 'stop')]
    const pieces: string[] = []
    for await (const part of routerSaying([many], 'fail').stream('tell', 'Count').text) pieces.push(part)
    expect(pieces.length).toBeLessThan(5)
    expect(pieces.join('')).toBe(Array.from({ length: 50 }, (_, n) => `${n} `).join(''))
  })
})
