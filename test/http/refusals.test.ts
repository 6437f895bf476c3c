import { FAILURE_KINDS, StreamBroken } from 'modelfirst'
import { openaiFetch } from 'modelfirst/http'
import { describe, expect, test } from 'vitest'
import { ConfigError, RouterError } from '../../src/errors.ts'
import { told } from '../../src/openai-error.ts'
import { failing, KEY, messages, openDoor, openOwnDoor } from './door.ts'

const CHAT = 'https://api.example/v1/chat/completions'

/** Every error is this and nothing else. */
async function errorIn(response: Response) {
  expect(response.headers.get('content-type')).toBe('application/json')
  const body = await response.json()
  expect(Object.keys(body)).toEqual(['error'])
  expect(Object.keys(body.error)).toEqual(['message', 'type', 'param', 'code'])
  expect(body.error.message).toMatch(/^[^\n\r]{1,2000}$/)
  expect(response.headers.get('x-should-retry')).toMatch(/^(true|false)$/)
  return { status: response.status, ...body.error }
}

describe('each kind of failure', () => {
  test('has a status of an error, a type and a code, and keeps its own message', () => {
    for (const kind of FAILURE_KINDS) {
      const { status, error, kind: toldKind } = told(new RouterError('what happened', { kind }))
      expect(status, kind).toBeGreaterThanOrEqual(400)
      expect(error, kind).toMatchObject({
        message: expect.stringContaining('what happened'),
        type: expect.any(String),
        code: expect.any(String),
      })
      expect(toldKind).toBe(kind)
    }
  })

  test.each([
    [
      { status: 429, error: { code: 'rate_limit_exceeded' }, headers: { 'retry-after': '7' } },
      429,
      'rate_limit_exceeded',
      'rate-limited',
    ],
    [{ status: 401 }, 502, 'provider_unauthorized', 'unauthorized'],
    [{ status: 402 }, 402, 'insufficient_credits', 'out-of-credit'],
    [{ status: 403 }, 403, 'provider_forbidden', 'forbidden'],
    [{ status: 404 }, 404, 'model_not_found', 'model-gone'],
    [{ status: 400 }, 400, 'invalid_request', 'invalid-request'],
    [{ status: 400, error: { code: 'context_length_exceeded' } }, 400, 'context_length_exceeded', 'context-too-long'],
    [{ status: 400, error: { code: 'content_filter' } }, 400, 'content_policy_violation', 'refused'],
    [{ status: 503 }, 503, 'overloaded', 'overloaded'],
    [{ status: 500 }, 502, 'provider_error', 'server-error'],
    [{ status: 504 }, 504, 'timeout', 'timed-out'],
    [{ status: 302, headers: { location: 'https://elsewhere.example' } }, 502, 'provider_redirected', 'redirected'],
  ])(
    'a provider that answers %o is told as %i %s',
    async ({
      status,
      error,
      headers,
    }: { status: number; error?: object; headers?: Record<string, string> }, expected, code, kind) => {
      const tasks = { once: { model: 'tiny', provider: 'third', limits: { attempts: 1 } } }
      for (const stream of [false, true]) {
        const { post, records } = openOwnDoor({ third: failing(status, error, headers) }, { tasks })
        const response = await post({ model: 'once', messages, stream })
        expect(await errorIn(response.clone())).toMatchObject({ status: expected, code })
        expect(response.headers.get('x-modelfirst-kind')).toBe(kind)
        expect(response.headers.get('x-modelfirst-call')).toBe(records[0]?.id)
        expect(response.headers.get('x-modelfirst-attempts')).toBe('1')
      }
    },
  )

  test('how long to wait is told in whole seconds, upwards, and then another try is worth it', async () => {
    const tasks = { once: { model: 'tiny', provider: 'third', limits: { attempts: 1 } } }
    const { post } = openOwnDoor({ third: failing(429, {}, { 'retry-after-ms': '1200' }) }, { tasks })
    const response = await post({ model: 'once', messages })
    expect(response.headers.get('retry-after')).toBe('2')
    expect(response.headers.get('x-should-retry')).toBe('true')
  })

  test('while a rate limit is closed, nothing is sent and the wait is told', async () => {
    const tasks = { once: { model: 'tiny', provider: 'third', limits: { attempts: 1 } } }
    const { post, sent } = openOwnDoor({ third: failing(429, {}, { 'retry-after': '90' }) }, { tasks })
    await post({ model: 'once', messages })
    const response = await post({ model: 'once', messages })
    expect(sent.length).toBe(1)
    expect(response.status).toBe(429)
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(85)
  })

  test('a stream that broke is told by what broke it', () => {
    const partial = { text: 'half', reasoning: '', toolCalls: [] }
    expect(told(new StreamBroken('broke off', { kind: 'cut-off', partial })).error.code).toBe('cut_off')
  })

  test('what is not ours is told without a word of it', () => {
    expect(JSON.stringify(told(new Error('canary-secret')))).not.toContain('canary')
    expect(told(Object.assign(new Error('x'), { status: 200, error: 'y' })).status).toBe(500)
  })

  test('a rule of whoever made the router that throws is no fault of the client', async () => {
    const broken = () => {
      throw new Error('canary-rule')
    }
    const { post } = openOwnDoor({ third: failing(500) }, { tasks: { odd: { model: broken } } })
    const error = await errorIn(await post({ model: 'odd', messages }))
    expect(error).toMatchObject({ status: 500, code: 'internal_error' })
    expect(JSON.stringify(error)).not.toContain('canary')
  })

  test('a router that is closed is not there for now', async () => {
    const { post, router } = openOwnDoor({ third: failing(500) })
    await router.close()
    expect(await errorIn(await post({ model: 'tiny', messages }))).toMatchObject({ status: 503, code: 'closing' })
  })
})

describe('nobody who can', () => {
  test.each([
    [{ model: 'llama-nobody-knows-it', provider: { only: ['groq'] } }, 404, 'no_offer'],
    [{ model: 'task:nope' }, 404, 'model_not_found'],
    [{ model: 'tiny', provider: { zdr: true } }, 404, 'privacy_restricted'],
    [
      { model: 'llama-3.1-8b-instant', provider: { only: ['groq'] }, max_tokens: 10_000_000 },
      400,
      'context_length_exceeded',
    ],
  ])('%o: %i %s, and nothing is sent', async (more, status, code) => {
    const { post, sent } = openDoor()
    expect(await errorIn(await post({ messages, ...more }))).toMatchObject({ status, code })
    expect(sent).toEqual([])
  })

  test('a task that is nearly right is named', async () => {
    const { message } = await errorIn(await openDoor().post({ model: 'task:repyl', messages }))
    expect(message).toContain('did you mean "reply"?')
  })
})

describe('a request that is none', () => {
  const door = () => openDoor()
  const json = { 'content-type': 'application/json' }

  test.each([
    ['another method', { method: 'GET' }, 405, 'method_not_allowed', null],
    ['no body', { method: 'POST', headers: json }, 400, 'invalid_json', null],
    ['no JSON', { method: 'POST', headers: json, body: '{"model": canary-body' }, 400, 'invalid_json', null],
    ['a list', { method: 'POST', headers: json, body: '[]' }, 400, 'invalid_json', null],
    [
      'a form',
      { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'a=b' },
      415,
      'unsupported_media_type',
      null,
    ],
    [
      'plain text',
      { method: 'POST', headers: { 'content-type': 'text/plain' }, body: '{}' },
      415,
      'unsupported_media_type',
      null,
    ],
    [
      'a compressed body',
      { method: 'POST', headers: { ...json, 'content-encoding': 'gzip' }, body: '{}' },
      415,
      'unsupported_encoding',
      null,
    ],
    [
      'not UTF-8',
      { method: 'POST', headers: json, body: new Uint8Array([0x22, 0xff, 0x22]) },
      400,
      'invalid_body',
      null,
    ],
    [
      'a body nested without end',
      { method: 'POST', headers: json, body: `{"a":${'['.repeat(5000)}${']'.repeat(5000)}}` },
      400,
      'invalid_json',
      null,
    ],
    ['a header that is none', { method: 'POST', headers: { 'x-a': 'b\nc' }, body: '{}' }, 400, 'invalid_header', null],
  ])('%s', async (_, init: RequestInit, status, code, param) => {
    const response = await door().ask(CHAT, init)
    const error = await errorIn(response.clone())
    expect(error).toMatchObject({ status, code, param })
    expect(error.message).not.toContain('canary')
    expect(response.headers.get('allow')).toBe(status === 405 ? 'POST' : null)
  })

  test.each([
    ['/v1/completions', 404],
    ['/v1/chat/completions/x', 404],
    ['/v1/chat%2Fcompletions', 404],
    ['/', 404],
    ['/v1/responses', 501],
  ])('%s: %i', async (path, status) => {
    const response = await door().ask(`https://api.example${path}`, { method: 'POST', headers: json, body: '{}' })
    expect((await errorIn(response)).status).toBe(status)
  })

  test('an address that is none', async () => {
    expect((await errorIn(await door().ask('http://[/v1/chat/completions', { method: 'POST' }))).status).toBe(404)
  })

  test('a body that is longer than allowed, told by its length, or found to be', async () => {
    const { ask } = openDoor({}, { maxBodyBytes: 100 })
    const long = JSON.stringify({ model: 'tiny', messages: [{ role: 'user', content: 'ü'.repeat(60) }] })
    const blob = new Blob([long])
    for (const body of [long, blob, blob.stream()]) {
      const init = { method: 'POST', headers: json, body, duplex: 'half' as const }
      expect(await errorIn(await ask(CHAT, init))).toMatchObject({ status: 413, code: 'request_too_large' })
      const lied = { ...init, body: blob.stream(), headers: { ...json, 'content-length': '5' } }
      expect((await errorIn(await ask(CHAT, lied))).status).toBe(413)
      const honest = { ...init, body: blob.stream(), headers: { ...json, 'content-length': '500' } }
      expect((await errorIn(await ask(new Request(CHAT, honest)))).status).toBe(413)
    }
  })

  test('a body that was read already, and one that breaks off', async () => {
    const request = new Request(CHAT, { method: 'POST', headers: json, body: '{}' })
    await request.text()
    expect(await errorIn(await door().ask(request))).toMatchObject({ status: 400, code: 'invalid_body' })
    const broken = new ReadableStream({ pull: (controller) => controller.error(new Error('canary')) })
    const error = await errorIn(await door().ask(CHAT, { method: 'POST', headers: json, body: broken }))
    expect(error).toMatchObject({ status: 400, code: 'invalid_body' })
    expect(error.message).not.toContain('canary')
    // As fetch calls a connection that is gone.
    const gone = new ReadableStream({ pull: (controller) => controller.error(new TypeError('terminated')) })
    const other = await errorIn(await door().ask(CHAT, { method: 'POST', headers: json, body: gone }))
    expect(other.message).toBe('the body ended in the middle')
  })

  test('a page’s body without a type, which a browser sends to anybody without asking', async () => {
    const body = new TextEncoder().encode('{}')
    const untyped = new Request(CHAT, { method: 'POST', headers: { origin: 'https://evil.example' }, body })
    expect(await errorIn(await door().ask(untyped))).toMatchObject({ status: 415, code: 'unsupported_media_type' })
    const own = await errorIn(await door().ask(CHAT, { method: 'POST', body }))
    expect(own).toMatchObject({ status: 400, code: 'missing_model' })
  })

  test('a number that JSON has not, and that would go on as nothing', async () => {
    for (const name of ['temperature', 'top_p', 'seed', 'frequency_penalty']) {
      const { post, sent } = door()
      const response = await post(`{"model":"tiny","messages":[{"role":"user","content":"Hi"}],"${name}":1e999}`)
      expect(await errorIn(response)).toMatchObject({ status: 400, param: name, code: 'invalid_type' })
      expect(sent).toEqual([])
    }
  })

  test.each([
    [{ messages: 'Hi' }, 'messages'],
    [{ messages: [] }, 'messages'],
    [{ messages: [{ role: 'king', content: 'canary-text' }] }, 'messages[0]'],
    [{ messages: [{ role: 'user', content: 5 }] }, 'messages[0].content'],
    [{ model: 5 }, 'model'],
    [{ model: '' }, 'model'],
    [{ model: 'x'.repeat(300) }, 'model'],
    [{ models: [] }, 'models'],
    [{ models: ['a', 5] }, 'models'],
    [{ n: 2 }, 'n'],
    [{ stream: 'yes' }, 'stream'],
    [{ temperature: 'hot' }, 'temperature'],
    [{ max_tokens: -1 }, 'max_tokens'],
    [{ tools: 'none' }, 'tools'],
    [{ tools: [null] }, 'tools'],
    [{ functions: [] }, 'functions'],
    [{ function_call: 'auto' }, 'function_call'],
    [{ metadata: { a: 1 } }, 'metadata'],
    [{ metadata: { a: 'x'.repeat(513) } }, 'metadata'],
    [{ metadata: Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`a${index}`, ''])) }, 'metadata'],
    [{ session_id: 'x'.repeat(5000) }, 'session_id'],
    [{ provider: 'groq' }, 'provider'],
    [{ provider: { only: 'groq' } }, 'provider.only'],
    [{ provider: { order: [1] } }, 'provider.order'],
    [{ provider: { max_price: { prompt: 'much' } } }, 'provider.max_price'],
    [{ provider: { sort: 'luck' } }, 'provider.sort'],
    [{ plugins: [{}] }, 'plugins'],
    [{ response_format: 'json' }, 'response_format'],
    [{ stream: true, logprobs: true }, 'logprobs'],
    [{ stream: true, modalities: ['text', 'audio'] }, 'modalities'],
  ])('%o is refused for its %s', async (more, param) => {
    const { post, sent } = door()
    const error = await errorIn(await post({ model: 'tiny', messages, ...more }))
    expect(error).toMatchObject({ status: 400, type: 'invalid_request_error', param })
    expect(error.message).not.toContain('canary')
    expect(sent).toEqual([])
  })

  test('what OpenRouter’s clients ask for below its own prefix is refused in its own shape', async () => {
    const url = 'https://api.example/api/v1/chat/completions'
    const response = await door().ask(url, { method: 'POST', headers: json, body: '{"n":2}' })
    expect(await response.json()).toMatchObject({
      error: { code: 400, message: expect.any(String), metadata: { code: 'unsupported_parameter', param: 'n' } },
    })
  })
})

describe('what is never told', () => {
  test('keys and prompts, whatever a provider echoes', async () => {
    const echoing = failing(400, { message: `bad key ${KEY} for "Hello canary prompt there"` })
    const { post } = openOwnDoor({ third: echoing })
    const response = await post({ model: 'tiny', messages: [{ role: 'user', content: 'Hello canary prompt there' }] })
    const all = `${await response.text()} ${JSON.stringify([...response.headers])}`
    expect(all).not.toContain(KEY)
    expect(all).not.toContain('canary')
  })
})

test('options that cannot be right are told when the door is made', () => {
  const { router } = openDoor()
  expect(() => openaiFetch(router, { task: 'nope' })).toThrow(ConfigError)
  // @ts-expect-error: a word that is none of its options
  expect(() => openaiFetch(router, { tsak: 'reply' })).toThrow('did you mean "task"?')
  expect(() => openaiFetch(router, { maxBodyBytes: 0 })).toThrow('openaiFetch.maxBodyBytes')
})
