import { createRouter } from 'modelfirst'
import { openaiFetch } from 'modelfirst/http'
import { fail, ok, startSandbox } from 'modelfirst/sandbox'
import { describe, expect, test } from 'vitest'
import { eventually } from '../support/server.ts'
import { chunksOf, DONE, delta, events, failing, json, LAST, messages, openOwnDoor } from './door.ts'

const ask = { model: 'tiny', messages, stream: true }
const whole = () => events(delta({ content: 'Hel' }), delta({ content: 'lo' }), delta({}, {}, 'stop'), LAST, DONE)

function textIn(chunks: readonly Record<string, unknown>[]): string {
  return chunks.map(({ choices }) => (Array.isArray(choices) ? (choices[0]?.delta?.content ?? '') : '')).join('')
}

describe('a stream', () => {
  test('is one answer: one id, one role, the text, a reason to finish, and what it used, always', async () => {
    const { post, records } = openOwnDoor({ third: whole })
    const response = await post(ask)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'x-modelfirst-model': 'tiny',
      'x-modelfirst-provider': 'third',
      'x-accel-buffering': 'no',
    })
    const text = await response.clone().text()
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
    const chunks = await chunksOf(response)
    const [record] = records
    const created = Math.floor(Date.parse(record?.at ?? '') / 1000)
    const head = { id: record?.id, object: 'chat.completion.chunk', created, model: 'tiny', provider: 'third' }
    expect(response.headers.get('x-modelfirst-call')).toBe(record?.id)
    expect(chunks).toEqual([
      { ...head, choices: [{ index: 0, delta: { role: 'assistant', content: 'Hel' }, finish_reason: null }] },
      { ...head, choices: [{ index: 0, delta: { content: 'lo' }, finish_reason: null }] },
      { ...head, choices: [{ index: 0, delta: { content: '' }, finish_reason: 'stop' }] },
      {
        ...head,
        choices: [],
        usage: {
          prompt_tokens: 3,
          completion_tokens: 2,
          total_tokens: 5,
          prompt_tokens_details: {},
          completion_tokens_details: {},
        },
      },
    ])
  })

  test('that fails before anything of it can be seen is a status, and no 200', async () => {
    const cut = () => events(': still there\n\n', delta({ role: 'assistant', content: '' }))
    const tasks = { once: { model: 'tiny', provider: 'third', limits: { attempts: 1 } } }
    for (const [upstream, status] of [
      [failing(500), 502],
      [cut, 502],
      [() => events({ error: { message: 'no', code: 503 } }), 503],
      [() => json('<html>'), 502],
    ] as const) {
      const { post } = openOwnDoor({ third: upstream }, { tasks })
      const response = await post({ ...ask, model: 'once' })
      expect(response.status).toBe(status)
      expect(response.headers.get('content-type')).toBe('application/json')
      expect(await response.json()).toMatchObject({ error: { type: 'server_error' } })
    }
  })

  test('whose first provider fails comes from the next, and nobody notices', async () => {
    const sandbox = await startSandbox()
    const router = createRouter({
      providers: sandbox.providers(),
      tasks: { reply: { model: 'openai/gpt-oss-20b', provider: ['groq', 'openrouter'] } },
    })
    sandbox.groq.script([fail(500)])
    sandbox.openrouter.script([ok('From the other one.')])
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'reply', messages, stream: true }),
    }
    const response = await openaiFetch(router)('https://x.example/v1/chat/completions', init)
    expect(response.headers.get('x-modelfirst-provider')).toBe('openrouter')
    const chunks = await chunksOf(response)
    expect(textIn(chunks)).toBe('From the other one.')
    expect(chunks.at(-1)).toMatchObject({ usage: { cost: expect.any(Number) } })
    await router.close()
    await sandbox.close()
  })

  test('that breaks in the middle says so, in a way its clients understand, and does not end as if it were whole', async () => {
    const broken = () => events(delta({ content: 'Half' }))
    const { post } = openOwnDoor({ third: broken })
    const response = await post(ask)
    expect(response.status).toBe(200)
    const text = await response.clone().text()
    expect(text).not.toContain('[DONE]')
    expect((await chunksOf(response)).at(-1)).toEqual({
      error: { message: expect.stringContaining('broke off'), type: 'server_error', param: null, code: 'cut_off' },
    })
    const whole = await openOwnDoor({ third: broken }).ask('https://x.example/api/v1/chat/completions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(ask),
    })
    expect((await chunksOf(whole)).at(-1)).toMatchObject({
      object: 'chat.completion.chunk',
      choices: [{ index: 0, delta: { content: '' }, finish_reason: 'error' }],
      error: { code: 502, message: expect.any(String), metadata: { code: 'cut_off' } },
    })
  })

  test('that begins anew never mixes two answers: what was only thought is thought again, what was said is an error', async () => {
    const tasks = { again: { model: 'tiny', provider: 'third', onBroken: 'restart' as const } }
    for (const first of ['reasoning', 'content'] as const) {
      let asked = 0
      const upstream = () => {
        asked += 1
        return asked === 1 ? events(delta({ [first]: 'First' })) : whole()
      }
      const { post } = openOwnDoor({ third: upstream }, { tasks })
      const chunks = await chunksOf(await post({ ...ask, model: 'again' }))
      if (first === 'reasoning') expect(textIn(chunks)).toBe('Hello')
      else {
        expect(textIn(chunks)).toBe('First')
        expect(chunks.at(-1)).toMatchObject({ error: { code: 'cut_off' } })
      }
    }
  })

  test('brings tool calls once named, thoughts, and at its end what did not come in pieces', async () => {
    const call = (more: object) => delta({ tool_calls: [{ index: 0, ...more }] })
    const details = [{ type: 'reasoning.encrypted', data: 'x' }]
    const upstream = () =>
      events(
        delta({ reasoning: 'Hm.', reasoning_details: details }),
        call({ id: 'a', type: 'function', function: { name: 'look', arguments: '{"x"' } }),
        call({ function: { arguments: ':1}' } }),
        delta({}, {}, 'tool_calls'),
        LAST,
        DONE,
      )
    const chunks = await chunksOf(await openOwnDoor({ third: upstream }).post(ask))
    const deltas = chunks.flatMap(({ choices }) => (Array.isArray(choices) ? choices.map((each) => each.delta) : []))
    expect(deltas).toEqual([
      { role: 'assistant', content: '', reasoning: 'Hm.' },
      { tool_calls: [{ index: 0, id: 'a', type: 'function', function: { name: 'look', arguments: '{"x"' } }] },
      { tool_calls: [{ index: 0, function: { arguments: ':1}' } }] },
      { content: '', reasoning_details: details },
    ])
  })

  test('tells what the answer used also where nobody knows what a failed attempt before it used', async () => {
    let asked = 0
    const upstream = () => {
      asked += 1
      return asked === 1 ? events(delta({ role: 'assistant', content: '' })) : whole()
    }
    const response = await openOwnDoor({ third: upstream }).ask('https://x.example/openai/v1/chat/completions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(ask),
    })
    const last = (await chunksOf(response)).at(-1)
    expect(asked).toBe(2)
    expect(last).toMatchObject({ usage: { prompt_tokens: 3, total_tokens: 5 } })
    // Below Groq's own prefix also where its client looks for it.
    expect(last?.x_groq).toEqual({ id: last?.id, usage: last?.usage })
  })

  test('comes as it comes: each piece is there before the next is sent', async () => {
    let goOn = () => {}
    const held = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const upstream = () => events(delta({ content: 'one' }), () => held, delta({ content: 'two' }, {}, 'stop'), DONE)
    const response = await openOwnDoor({ third: upstream }).post(ask)
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    expect((await reader?.read())?.value).toContain('one')
    goOn()
    expect((await reader?.read())?.value).toContain('two')
  })
})

describe('who gives up', () => {
  /** Answers only when it is given up, with or without a first piece. */
  const hanging =
    (signals: AbortSignal[], first: object | null) =>
    async ({ signal }: { signal: AbortSignal | null | undefined }) => {
      if (signal) signals.push(signal)
      const abort = new Promise<void>((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
      if (first === null) await abort
      return events(first ?? {}, () => abort.catch(() => {}))
    }

  test.each([false, true])(
    'before an answer (stream: %s): the call rejects with their own reason, as fetch does',
    async (stream) => {
      const signals: AbortSignal[] = []
      const { post, records } = openOwnDoor({ third: hanging(signals, null) })
      const controller = new AbortController()
      const response = post({ ...ask, stream }, { signal: controller.signal })
      await eventually(() => signals.length === 1)
      const reason = new Error('enough')
      controller.abort(reason)
      await expect(response).rejects.toBe(reason)
      await eventually(() => records.length === 1)
      expect([signals[0]?.aborted, records[0]?.outcome]).toEqual([true, 'canceled'])
    },
  )

  test('in the middle, by the signal or by leaving the body, ends the request behind it', async () => {
    for (const leaves of ['signal', 'body'] as const) {
      const signals: AbortSignal[] = []
      const { post, records } = openOwnDoor({ third: hanging(signals, delta({ content: 'one' })) })
      const controller = new AbortController()
      const response = await post(ask, { signal: controller.signal })
      const reader = response.body?.getReader()
      await reader?.read()
      const reason = new Error('enough')
      if (leaves === 'signal') {
        const next = reader?.read()
        controller.abort(reason)
        // As fetch does: it is no error of the answer.
        await expect(next).rejects.toBe(reason)
      } else await reader?.cancel()
      await eventually(() => records.length === 1)
      expect([leaves, signals[0]?.aborted, records[0]?.outcome]).toEqual([leaves, true, 'canceled'])
    }
  })

  test('before the request is even read, nothing is sent', async () => {
    const { post, sent } = openOwnDoor({ third: whole })
    await expect(post(ask, { signal: AbortSignal.abort() })).rejects.toThrow('aborted')
    expect(sent).toEqual([])
  })

  test('while the body is on its way', async () => {
    const { ask: door } = openOwnDoor({ third: whole })
    const controller = new AbortController()
    const never = new ReadableStream<Uint8Array>({})
    const headers = { 'content-type': 'application/json' }
    const init = { method: 'POST', headers, body: never, duplex: 'half' as const, signal: controller.signal }
    const response = door('https://x.example/v1/chat/completions', init)
    setTimeout(() => controller.abort(), 5)
    await expect(response).rejects.toThrow('aborted')
  })
})
