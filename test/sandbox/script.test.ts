import { describe, expect, it } from 'vitest'
import {
  cutAfter,
  emptyBody,
  errorIn200,
  errorMidStream,
  fail,
  hang,
  htmlPage,
  malformed,
  noDone,
  noFinish,
  ok,
  oversized,
  redirect,
  repeat,
  reset,
  slowFirstToken,
  stallAfter,
  virtualClock,
  withHost,
} from '../../src/sandbox/sandbox.ts'
import { ask, CLAUDE, events, GPT, type Loose, post, start, user } from './client.ts'

const HI = { model: GPT, messages: [user('Hi')] }
const STREAM = { ...HI, stream: true }
const PROVIDERS = ['groq', 'openrouter'] as const

describe.each(PROVIDERS)('a script for %s', (name) => {
  it('is followed one step per request, then answers are normal again', async () => {
    const sandbox = await start()
    const provider = sandbox[name]
    provider.script([fail(503), repeat(2, fail(429, { retryAfter: 7 })), ok('Scripted.')])
    const first = await ask(provider, HI)
    const second = await post(provider, HI)
    expect([first.status, second.status, second.headers.get('retry-after')]).toEqual([503, 429, '7'])
    expect((await ask(provider, HI)).status).toBe(429)
    expect((await ask(provider, HI)).body.choices[0].message.content).toBe('Scripted.')
    expect((await ask(provider, HI)).body.choices[0].message.content).not.toBe('Scripted.')
    expect(sandbox.requests.map(({ status }) => status)).toEqual([503, 429, 429, 200, 200])
  })

  it('can be a function of the request', async () => {
    const provider = (await start())[name]
    provider.script(({ body }) => ((body as Loose).messages[0].content === 'fail' ? fail(500) : undefined))
    expect((await ask(provider, { ...HI, messages: [user('fail')] })).status).toBe(500)
    expect((await ask(provider, HI)).status).toBe(200)
  })

  it('cuts a body, a stream by bytes, and a stream by chunks', async () => {
    const sandbox = await start()
    const provider = sandbox[name]
    provider.script([cutAfter(100), cutAfter(700), cutAfter({ chunks: 2 }), cutAfter({ chunks: 2, reset: true })])
    const got = async (body: object) => {
      const response = await post(provider, body)
      const chunks: string[] = []
      const decoder = new TextDecoder()
      const failed = await (async () => {
        for await (const chunk of response.body ?? []) chunks.push(decoder.decode(chunk, { stream: true }))
      })().then(
        () => false,
        () => true,
      )
      return { failed, text: chunks.join('') }
    }
    expect(await got(HI)).toMatchObject({ failed: true, text: expect.stringMatching(/^[\s\S]{100}$/) })
    expect(await got(STREAM)).toMatchObject({ failed: true, text: expect.stringMatching(/^[\s\S]{700}$/) })
    const { failed, text } = await got(STREAM)
    expect([failed, text.split('data: ').length - 1]).toEqual([true, 2])
    expect((await got(STREAM)).failed).toBe(true)
    expect(sandbox.requests.map(({ aborted }) => aborted)).toEqual([false, false, false, false])
  })

  it('resets, hangs and stalls', async () => {
    const sandbox = await start()
    const provider = sandbox[name]
    provider.script([reset(), hang(), stallAfter(3)])
    await expect(post(provider, HI)).rejects.toThrow()
    await expect(post(provider, HI, { signal: AbortSignal.timeout(60) })).rejects.toThrow()
    const response = await post(provider, STREAM, { signal: AbortSignal.timeout(150) })
    let text = ''
    await (async () => {
      for await (const chunk of response.body ?? []) text += new TextDecoder().decode(chunk)
    })().catch(() => {})
    expect(text.split('data: ')).toHaveLength(4)
    await new Promise((resolve) => setTimeout(resolve, 30))
    expect(sandbox.requests.map(({ status, aborted }) => [status, aborted])).toEqual([
      [null, false],
      [null, true],
      [200, true],
    ])
  })

  it('answers with what is no answer', async () => {
    const provider = (await start())[name]
    provider.script([htmlPage(), emptyBody(), malformed(), redirect('http://127.0.0.1:1/'), oversized(100_000)])
    const html = await post(provider, HI)
    expect([html.status, html.headers.get('content-type')]).toEqual([200, 'text/html; charset=UTF-8'])
    expect(await html.text()).toContain('<!DOCTYPE html>')
    const empty = await post(provider, HI)
    expect([empty.status, await empty.text()]).toEqual([200, ''])
    const broken = await (await post(provider, HI)).text()
    expect(() => JSON.parse(broken)).toThrow()
    const moved = await post(provider, HI)
    expect([moved.status, moved.headers.get('location')]).toEqual([307, 'http://127.0.0.1:1/'])
    expect((await (await post(provider, HI)).text()).length).toBeGreaterThan(100_000)
  })

  it('puts errors into a 200', async () => {
    const { [name]: provider, bill } = await start()
    provider.script([errorIn200(502), errorMidStream(502, 3)])
    const { status, body } = await ask(provider, HI)
    expect([status, typeof body.error.message, body.choices]).toEqual([200, 'string', undefined])
    const chunks = await events(await post(provider, STREAM))
    expect(chunks).toHaveLength(4)
    expect(chunks[3].error.message).toEqual(expect.any(String))
    expect(bill().usd).toBe('0')
  })

  it('ends streams without an end', async () => {
    const provider = (await start())[name]
    provider.script([noDone(), noFinish(), slowFirstToken(20, noDone(ok('Both.')))])
    expect((await events(await post(provider, STREAM))).at(-1)).not.toBe('[DONE]')
    const unfinished = await events(await post(provider, STREAM))
    expect(unfinished.at(-1)).toBe('[DONE]')
    expect(unfinished.slice(0, -1).every((chunk) => chunk.choices[0].finish_reason === null)).toBe(true)
    const composed = await events(await post(provider, STREAM))
    expect(composed.map((chunk) => chunk.choices[0].delta.content ?? '').join('')).toBe('Both.')
    expect(composed.at(-1)).not.toBe('[DONE]')
  })

  it('gives the tool calls it is told to', async () => {
    const provider = (await start())[name]
    provider.script([ok({ toolCalls: [{ name: 'add', arguments: '{"a":' }] })])
    const { body } = await ask(provider, HI)
    expect(body.choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: { tool_calls: [{ type: 'function', function: { name: 'add', arguments: '{"a":' } }] },
    })
  })
})

describe('a script for OpenRouter', () => {
  it('lets another host answer than was asked for', async () => {
    const { openrouter } = await start()
    openrouter.script([withHost('google-vertex'), withHost('Somebody Else', ok('Hello'))])
    const body = { model: CLAUDE, messages: [user('Hi')], provider: { only: ['anthropic'] } }
    expect((await ask(openrouter, body)).body.provider).toBe('Google')
    expect((await ask(openrouter, body)).body.provider).toBe('Somebody Else')
  })

  it('keeps a late answer alive with comments and white space', async () => {
    const clock = virtualClock()
    const { openrouter } = await start({ clock })
    openrouter.script([slowFirstToken(3500), slowFirstToken(3500)])
    const late = async (body: object) => {
      const sent = post(openrouter, body).then((response) => response.text())
      while (clock.pending === 0) await new Promise((resolve) => setTimeout(resolve, 2))
      await clock.advance(3500)
      return await sent
    }
    const text = await late(HI)
    expect(text).toMatch(/^\s+\{/)
    expect(JSON.parse(text).choices[0].finish_reason).toBe('stop')
    expect((await late(STREAM)).split(': OPENROUTER PROCESSING\n\n')).toHaveLength(5)
  })
})
