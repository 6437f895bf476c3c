import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Serving, serve as serveRouter } from '../../src/http/serve.ts'
import { routerOver } from '../support/router.ts'
import { answerOf, eventually, reply, serve, type TestServer } from '../support/server.ts'
import { answerIn, converse, said } from './raw.ts'

const TOKEN = 'zztoken-canary-0123456789abcdef'
const KEY = 'sk-zzkey-canary-0123456789abcdef'
const PROMPT = 'zzprompt-canary'

let upstream: TestServer
let serving: Serving
let close: () => Promise<void>
beforeAll(async () => {
  upstream = await serve(({ response }) => reply(response, 200, answerOf('Hello.')))
  const { router } = routerOver([upstream], { key: KEY })
  serving = await serveRouter(router, {
    port: 0,
    token: TOKEN,
    limits: { bodyBytes: 4096, headersMs: 300, bodyMs: 300, connections: 400 },
  })
  close = async () => {
    await serving.close()
    await router.close()
    await upstream.close()
  }
})
afterAll(() => close())

const AUTH = `authorization: Bearer ${TOKEN}`
const lines = (...all: string[]) => `${all.join('\r\n')}\r\n\r\n`
const CHAT = '/v1/chat/completions'
const right = JSON.stringify({ model: 'task:say', messages: [{ role: 'user', content: PROMPT }] })
const post = (body: string, ...headers: string[]) =>
  lines(`POST ${CHAT} HTTP/1.1`, 'host: localhost', AUTH, 'connection: close', ...headers) + body
const withLength = (body: string, ...headers: string[]) =>
  post(body, 'content-type: application/json', `content-length: ${Buffer.byteLength(body)}`, ...headers)
const get = (path: string, ...headers: string[]) =>
  lines(`GET ${path} HTTP/1.1`, 'host: localhost', AUTH, 'connection: close', ...headers)

/** An error as OpenAI's clients read it: one useful line, and nothing of ours. */
function expectShaped(text: string): void {
  const { status, head, body } = answerIn(text)
  expect(status, text.slice(0, 300)).toBeGreaterThanOrEqual(400)
  expect(head.toLowerCase()).toContain('content-type: application/json')
  const json = head.toLowerCase().includes('transfer-encoding: chunked') ? body.split('\r\n')[1] : body
  expect(JSON.parse(json ?? '')).toEqual({
    error: {
      message: expect.stringMatching(/^[^\n]{8,300}$/),
      type: expect.stringMatching(/^[a-z_]+$/),
      param: null,
      code: expect.stringMatching(/^[a-z_-]+$/),
    },
  })
  expectQuiet(text)
}

function expectQuiet(text: string): void {
  for (const canary of [TOKEN, KEY, PROMPT, '/src/', 'node:', '    at ']) expect(text).not.toContain(canary)
}

async function expectUp(): Promise<void> {
  const response = await fetch(`${serving.url}${CHAT}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    body: right,
  })
  expect(response.status).toBe(200)
  await response.text()
}

describe('what is no request', () => {
  test.each([
    ['no HTTP', 'hello there\r\n\r\n', 400],
    ['bytes', '\0\x01\x02\xff\r\n\r\n', 400],
    ['the greeting of TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    ['the greeting of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['a version of its own', lines('GET / HTTP/9.9', 'host: localhost'), 400],
    ['a header without a name', lines('GET / HTTP/1.1', 'host: localhost', ': x'), 400],
    ['a header with a space in its name', lines('GET / HTTP/1.1', 'host: localhost', 'a b: x'), 400],
    ['a folded header', lines('GET / HTTP/1.1', 'host: localhost', 'a: x', '  y'), 400],
    ['a zero in a header', lines('GET / HTTP/1.1', 'host: localhost', 'a: x\0y'), 400],
    ['two lengths', post('{}', 'content-length: 2', 'content-length: 3'), 400],
    ['a length and pieces', post('0\r\n\r\n', 'content-length: 5', 'transfer-encoding: chunked'), 400],
    ['pieces that are not last', post('0\r\n\r\n', 'transfer-encoding: chunked, identity'), 400],
    ['a negative length', post('', 'content-length: -1'), 400],
    ['a length that is none', post('', 'content-length: 1e3'), 400],
    ['a length beyond numbers', post('', `content-length: ${'9'.repeat(40)}`), 400],
    ['a piece whose size is none', post('zz\r\n\r\n', 'transfer-encoding: chunked'), 400],
    ['a piece of a size beyond numbers', post(`${'f'.repeat(40)}\r\n`, 'transfer-encoding: chunked'), 400],
    ['headers without an end', `GET / HTTP/1.1\r\nhost: localhost\r\n${`x: ${'y'.repeat(1000)}\r\n`.repeat(40)}`, 431],
    ['an address without an end', `GET /${'a'.repeat(40_000)}`, 431],
    ['a tunnel', lines('CONNECT evil.example:443 HTTP/1.1', 'host: evil.example:443'), 405],
  ])('%s', async (_, bytes, status) => {
    const text = await said(serving.port, Buffer.from(bytes, 'latin1'))
    expect(answerIn(text).status).toBe(status)
    expectShaped(text)
  })
})

describe('a request that is none of ours', () => {
  test.each([
    ['TRACE', lines(`TRACE ${CHAT} HTTP/1.1`, 'host: localhost', AUTH, 'connection: close'), 405],
    ['OPTIONS of everything', lines('OPTIONS * HTTP/1.1', 'host: localhost', AUTH, 'connection: close'), 400],
    ['a method of its own', lines('PURGE / HTTP/1.1', 'host: localhost', AUTH, 'connection: close'), 404],
    ['a path that is none', get('nothing'), 400],
    ['a scheme that is none', get('ftp://localhost/v1/models'), 400],
    ['nothing there', get('/nothing'), 404],
    ['a file', get('/../../etc/passwd'), 404],
    ['a file, written otherwise', get('/%2e%2e/%2e%2e/etc/passwd'), 404],
    ['a file, with backslashes', get('/..\\..\\etc\\passwd'), 404],
    ['another host in the path', get('//evil.example/nothing'), 404],
    ['half an escape', get('/%'), 404],
    ['a zero that is escaped', get('/%00'), 404],
    ['a way around the token', lines(`GET /health/..${CHAT} HTTP/1.1`, 'host: localhost', 'connection: close'), 401],
    ['the same, escaped', lines('GET /health/%2e%2e/usage HTTP/1.1', 'host: localhost', 'connection: close'), 401],
    ['an end of the path', lines('GET /health;/usage HTTP/1.1', 'host: localhost', 'connection: close'), 401],
    ['a prefix of what needs none', lines('GET /healthy HTTP/1.1', 'host: localhost', 'connection: close'), 401],
    ['no host', lines('GET /v1/models HTTP/1.1', AUTH, 'connection: close'), 400],
    ['an expectation of its own', get('/v1/models', 'expect: 200-maybe'), 417],
    ['an expectation of its own, with a body', withLength(right, 'expect: 200-maybe'), 417],
  ])('%s', async (_, bytes, status) => {
    const text = await said(serving.port, bytes)
    expect(answerIn(text).status).toBe(status)
    expectShaped(text)
  })
})

describe('a body', () => {
  test.each([
    ['of nothing', withLength(''), 400],
    ['that is no JSON', withLength(`{"${PROMPT}`), 400],
    ['that is no object', withLength(`["${PROMPT}"]`), 400],
    ['that is no UTF-8', withLength('"\xff\xfe"').replace('content-length: 6', 'content-length: 4'), 400],
    ['that is too long', withLength(`"${'x'.repeat(5000)}"`), 413],
    [
      'that is too long, in pieces',
      post(`1388\r\n${'x'.repeat(5000)}\r\n0\r\n\r\n`, 'transfer-encoding: chunked'),
      413,
    ],
    ['that says it is too long', post('', 'content-length: 99999999999'), 413],
    ['that is compressed', post('', 'content-encoding: gzip', 'content-length: 5'), 415],
    ['of another type', withLength(right).replace('application/json', 'text/plain'), 415],
  ])('%s', async (_, bytes, status) => {
    const before = upstream.requests.length
    const text = await said(serving.port, Buffer.from(bytes, 'latin1'))
    expect(answerIn(text).status).toBe(status)
    expectShaped(text)
    expect(upstream.requests).toHaveLength(before)
  })

  test('that would unpack to more than anybody can hold is not unpacked', async () => {
    const response = await fetch(`${serving.url}${CHAT}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', 'content-encoding': 'gzip' },
      body: gzipSync(Buffer.alloc(2_000_000)),
    })
    expect(response.status).toBe(415)
  })

  test('is asked for only when it may come', async () => {
    const head = (length: number, auth = AUTH) =>
      lines(
        `POST ${CHAT} HTTP/1.1`,
        'host: localhost',
        auth,
        'content-type: application/json',
        `content-length: ${length}`,
        'expect: 100-continue',
        'connection: close',
      )
    const polite = await converse(serving.port)
    polite.say(head(right.length))
    await polite.until('HTTP/1.1 100 Continue')
    polite.say(right)
    expect(await polite.ended()).toContain('HTTP/1.1 200 OK')
    expect(await said(serving.port, head(1_000_000))).toMatch(/^HTTP\/1\.1 413/)
    expect(await said(serving.port, head(10, 'authorization: Bearer no'))).toMatch(/^HTTP\/1\.1 401/)
  })

  test('that is refused may still be on its way: the answer gets through', async () => {
    const conversation = await converse(serving.port)
    conversation.say(post('', 'content-length: 3000000'))
    for (let n = 0; n < 30; n += 1) conversation.say('x'.repeat(100_000))
    const { status } = answerIn(await conversation.ended())
    expect(status).toBe(413)
  })

  test('in pieces is as good as one in one', async () => {
    const pieces = [...right].map((letter) => `1\r\n${letter}\r\n`).join('')
    const text = await said(
      serving.port,
      post(`${pieces}0\r\n\r\n`, 'transfer-encoding: chunked', 'content-type: application/json'),
    )
    expect(answerIn(text).status).toBe(200)
  })
})

describe('a client that takes its time', () => {
  test.each([
    ['says nothing', ''],
    ['says half a line', 'GET /hea'],
    ['says half of its headers', 'GET /health HTTP/1.1\r\nhost: localhost\r\nx: '],
    ['says half of its body', post('{"model"', 'content-type: application/json', 'content-length: 100')],
  ])('and %s is sent away', async (_, bytes) => {
    const text = await said(serving.port, bytes)
    expect(answerIn(text).status).toBe(408)
    expectShaped(text)
  })

  test('and sends a letter at a time is sent away', async () => {
    const conversation = await converse(serving.port)
    conversation.say('GET /health HTTP/1.1\r\nhost: localhost\r\nx: ')
    const drip = setInterval(() => conversation.say('y'), 20)
    const text = await conversation.ended()
    clearInterval(drip)
    expect(answerIn(text).status).toBe(408)
  })

  test('shuts nobody else out, also with hundreds of connections', async () => {
    const crowd = await Promise.all(Array.from({ length: 300 }, () => converse(serving.port)))
    for (const each of crowd) each.say('POST / HTTP/1.1\r\n')
    await expectUp()
    await Promise.all(crowd.map((each) => each.ended()))
  })
})

test('whoever sends far ahead without reading is cut off', async () => {
  const conversation = await converse(serving.port)
  const body = withLength(right).replace('connection: close\r\n', '')
  conversation.say(body.repeat(200))
  await conversation.ended()
  await eventually(() => upstream.busy === 0)
  await expectUp()
})

test('what is sent behind a request is no part of another one’s', async () => {
  const text = await said(serving.port, `${get('/nothing')}GET /usage HTTP/1.1\r\nhost: localhost\r\n${AUTH}\r\n\r\n`)
  expect(text.match(/HTTP\/1\.1 \d{3}/g)).toHaveLength(1)
  expectShaped(text)
})

test('garbage behind a request that is under way ends it, and nothing else', async () => {
  const conversation = await converse(serving.port)
  conversation.say(`${withLength(right).replace('connection: close\r\n', '')}garbage\r\n\r\n`)
  const text = await conversation.ended()
  expect(text.match(/HTTP\/1\.1 \d{3}/g)?.length ?? 0).toBeLessThanOrEqual(2)
  expectQuiet(text.replace(PROMPT, ''))
  await expectUp()
})

const word = fc.string({ unit: 'binary-ascii', maxLength: 30 })
const mutated = fc
  .tuple(
    fc.constantFrom(
      get('/v1/models'),
      withLength(right),
      get('/usage.html'),
      post('0\r\n\r\n', 'transfer-encoding: chunked'),
    ),
    fc.array(fc.tuple(fc.nat(400), word, fc.nat(10)), { minLength: 1, maxLength: 6 }),
  )
  .map(([text, changes]) => changes.reduce((now, [at, put, cut]) => now.slice(0, at) + put + now.slice(at + cut), text))

test('whatever comes, the server stays up, says no secret, and what it refuses it refuses in one shape', async () => {
  await fc.assert(
    fc.asyncProperty(mutated, async (bytes) => {
      const conversation = await converse(serving.port)
      conversation.socket.end(Buffer.from(bytes, 'latin1'))
      const text = await conversation.ended()
      for (const canary of [TOKEN, KEY, '/src/', '    at ']) expect(text).not.toContain(canary)
      const { status, body } = answerIn(text)
      if (status >= 400 && status !== 417 && body !== '') expect(body).toMatch(/\{"error":\{"message":"/)
    }),
    { numRuns: process.env.MODELFIRST_DEEP === '1' ? 3000 : 120 },
  )
  await expectUp()
}, 120_000)
