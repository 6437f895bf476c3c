import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { ConfigError } from 'modelfirst'
import { afterEach, describe, expect, test } from 'vitest'
import { serveDoor } from '../../src/http/node-server.ts'
import { type ServeOptions, type Serving, serve as serveRouter } from '../../src/http/serve.ts'
import { createLedger } from '../../src/ledger.ts'
import { routerOver } from '../support/router.ts'
import { type Answering, answerOf, eventually, reply, serve, type TestServer } from '../support/server.ts'
import { answerIn, converse, said } from './raw.ts'

const TOKEN = 'zz-a-token-of-the-test-0123456789'
const MESSAGES = [{ role: 'user', content: 'Say something.' }]

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

/** A provider, a router over it, and the router on a port. */
async function started(answering: Answering, options: ServeOptions = {}) {
  const upstream = await serve(answering)
  const { router, records, events } = routerOver([upstream])
  const serving = await serveRouter(router, { port: 0, ...options })
  ends.push(
    () => upstream.close(),
    () => router.close(),
    () => serving.close(),
  )
  return { upstream, router, records, events, serving, ask: asking(serving) }
}

function asking({ url }: Pick<Serving, 'url'>) {
  return (body: object = {}, init: RequestInit = {}, path = '/v1/chat/completions') =>
    fetch(`${url}${path}`, {
      method: 'POST',
      body: JSON.stringify({ model: 'task:say', messages: MESSAGES, ...body }),
      ...init,
      headers: { 'content-type': 'application/json', ...init.headers },
    })
}

const plainly: Answering = ({ response }) => reply(response, 200, answerOf('Hello there.'))
const piece = (delta: object, finish: string | null = null) =>
  `data: ${JSON.stringify({ id: 'c-1', object: 'chat.completion.chunk', created: 1, model: 'small', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`
const begin: Answering = ({ response }) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.write(piece({ role: 'assistant', content: 'one ' }))
}
const USAGE = `data: ${JSON.stringify({ id: 'c-1', object: 'chat.completion.chunk', created: 1, model: 'small', choices: [], usage: { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 } })}\n\n`
const finish = ({ requests }: TestServer, index = 0) =>
  requests[index]?.response.end(`${piece({ content: 'two' })}${piece({}, 'stop')}${USAGE}data: [DONE]\n\n`)

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })
const get = (path: string, headers: string[] = [], version = '1.1') =>
  `${[`GET ${path} HTTP/${version}`, ...headers, 'connection: close'].join('\r\n')}\r\n\r\n`

describe('on a port', () => {
  test('a completion is the router’s, with its record in the ledger', async () => {
    const { ask, router, upstream } = await started(plainly)
    const response = await ask()
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({ choices: [{ message: { content: 'Hello there.' } }] })
    expect(upstream.requests).toHaveLength(1)
    expect(router.ledger.records).toMatchObject([{ task: 'say', outcome: 'ok' }])
  })

  test('a stream is passed on piece by piece, not at its end', async () => {
    const { ask, upstream } = await started(begin)
    const response = await ask({ stream: true })
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    expect((await reader?.read())?.value).toContain('one ')
    finish(upstream)
    let rest = ''
    for (let next = await reader?.read(); next?.done === false; next = await reader?.read()) rest += next.value
    expect(rest).toContain('two')
    expect(rest.endsWith('data: [DONE]\n\n')).toBe(true)
  })

  test('a connection is kept for the next request', async () => {
    const { serving } = await started(plainly)
    const conversation = await converse(serving.port)
    const request = 'GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n'
    conversation.say(request)
    await conversation.until('{"status":"ok"}')
    conversation.say(request)
    await conversation.until(/"ok"}[\s\S]*"ok"}/)
    conversation.socket.destroy()
  })

  test('what a client sends ahead is answered one by one, in turn', async () => {
    const { serving, upstream } = await started(() => {})
    const body = JSON.stringify({ model: 'task:say', messages: MESSAGES })
    const request = `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
    const conversation = await converse(serving.port)
    conversation.say(request.repeat(3))
    for (const [index, word] of ['first', 'second', 'third'].entries()) {
      await eventually(() => upstream.requests.length > index)
      await new Promise((resolve) => setTimeout(resolve, 10))
      expect(upstream.requests).toHaveLength(index + 1)
      const received = upstream.requests[index]
      if (received !== undefined) reply(received.response, 200, answerOf(word))
      await conversation.until(word)
    }
    expect(conversation.text).toMatch(/first[\s\S]*second[\s\S]*third/)
    conversation.socket.destroy()
  })

  test('whatever goes wrong inside is told without a word of it', async () => {
    const serving = await serveDoor(
      async () => {
        throw new Error('zz-inside')
      },
      { ledger: createLedger() },
      { port: 0 },
    )
    ends.push(() => serving.close())
    const response = await asking(serving)()
    expect(response.status).toBe(500)
    expect(await response.json()).toMatchObject({ error: { code: 'internal_error', type: 'server_error' } })
  })
})

describe('the token', () => {
  test.each([
    ['none', undefined, 401],
    ['a wrong one', 'Bearer wrong', 401],
    ['a part of it', `Bearer ${TOKEN.slice(0, -1)}`, 401],
    ['more than it', `Bearer ${TOKEN}x`, 401],
    ['an empty one', 'Bearer ', 401],
    ['without its scheme', TOKEN, 401],
    ['as a password, where no browser asks', `Basic ${btoa(`a:${TOKEN}`)}`, 401],
    ['the right one', `Bearer ${TOKEN}`, 200],
    ['in another case', `bearer  ${TOKEN}`, 200],
    ['the other of two', 'Bearer other-token', 200],
  ])('%s', async (_, authorization, status) => {
    const { ask, upstream } = await started(plainly, { token: [TOKEN, 'other-token'] })
    const response = await ask({}, authorization === undefined ? {} : { headers: { authorization } })
    expect(response.status).toBe(status)
    const text = await response.text()
    expect(text).not.toContain(TOKEN)
    expect(upstream.requests).toHaveLength(status === 200 ? 1 : 0)
    if (status === 200) return
    expect(response.headers.get('www-authenticate')).toBe('Bearer')
    expect(JSON.parse(text)).toMatchObject({ error: { code: 'invalid_api_key', type: 'invalid_request_error' } })
  })

  test('is not passed on', async () => {
    const { ask, upstream } = await started(plainly, { token: TOKEN })
    await ask({}, bearer(TOKEN))
    expect(JSON.stringify(upstream.requests[0]?.headers)).not.toContain(TOKEN)
  })

  test('health needs none, and tells nothing else', async () => {
    const { serving } = await started(plainly, { token: TOKEN })
    const response = await fetch(`${serving.url}/health`)
    expect(response.status).toBe(200)
    expect(await response.text()).toBe('{"status":"ok"}')
    expect((await fetch(`${serving.url}/health`, { method: 'POST', body: 'x' })).status).toBe(405)
    const head = await fetch(`${serving.url}/health`, { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
  })

  test.each(['/usage', '/usage.html'])('%s needs it, also as a password', async (path) => {
    const { serving } = await started(plainly, { token: TOKEN })
    const status = async (authorization?: string) =>
      (await fetch(serving.url + path, authorization === undefined ? {} : { headers: { authorization } })).status
    expect(await status()).toBe(401)
    expect(await status('Basic !!!')).toBe(401)
    expect(await status(`Basic ${btoa(`${TOKEN}:`)}`)).toBe(401)
    expect(await status(`Basic ${btoa(`me:${TOKEN}`)}`)).toBe(200)
    expect(await status(`Bearer ${TOKEN}`)).toBe(200)
    expect((await fetch(serving.url + path)).headers.get('www-authenticate')).toContain('Basic')
  })
})

describe('the books', () => {
  test('usage is the sums of the ledger, by task, model and provider', async () => {
    const { ask, serving, router } = await started(plainly)
    for (let n = 0; n < 3; n += 1) await (await ask()).text()
    const response = await fetch(`${serving.url}/usage`)
    expect(response.headers.get('cache-control')).toBe('no-store')
    const sums = await response.json()
    expect(sums).toEqual(
      JSON.parse(
        JSON.stringify({
          from: router.ledger.summary().from,
          total: router.ledger.summary().total,
          task: router.ledger.summary({ by: 'task' }).rows,
          model: router.ledger.summary({ by: 'model' }).rows,
          provider: router.ledger.summary({ by: 'provider' }).rows,
        }),
      ),
    )
    expect(sums).toMatchObject({ total: { calls: 3 }, provider: [{ key: 'first', calls: 3 }] })
    expect((await fetch(`${serving.url}/usage?since=2999-01-01`)).status).toBe(200)
    expect((await fetch(`${serving.url}/usage?since=zz`)).status).toBe(400)
  })

  test('usage.html is the report, which nobody frames', async () => {
    const { ask, serving } = await started(plainly)
    await (await ask()).text()
    const response = await fetch(`${serving.url}/usage.html`)
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(response.headers.get('content-security-policy')).toBe("frame-ancestors 'none'")
    const page = await response.text()
    expect(page).toMatch(/^<!doctype html>/)
    expect(page).toContain('1 call')
    expect((await fetch(`${serving.url}/usage.html`, { method: 'DELETE' })).status).toBe(405)
  })
})

describe('who may reach it', () => {
  const outside = Object.values(networkInterfaces())
    .flat()
    .find((each) => each !== undefined && !each.internal && each.family === 'IPv4')?.address

  test.each(['0.0.0.0', '::', ...(outside === undefined ? [] : [outside])])(
    'on %s it does not start without a token',
    async (host) => {
      const { router } = routerOver(['http://127.0.0.1:1/v1'])
      const refused = serveRouter(router, { host, port: 0 })
      await expect(refused).rejects.toSatisfy((error) => ConfigError.is(error) && error.field === 'serve.token')
      if (host === '::') return
      const serving = await serveRouter(router, { host, port: 0, token: TOKEN })
      expect((await fetch(`http://127.0.0.1:${serving.port}/health`).catch(() => null))?.status ?? 200).toBe(200)
      await serving.close()
    },
  )

  test.each([
    ['a port that is none', { port: 70_000 }, 'serve.port'],
    ['an empty token', { token: '' }, 'serve.token'],
    ['no token in the list', { token: [] }, 'serve.token'],
    ['a token with a line break', { token: `${TOKEN}\n` }, 'serve.token'],
    ['an empty host', { host: '' }, 'serve.host'],
    ['a host that is nowhere', { host: 'nowhere.invalid' }, 'serve.host'],
    ['a host that is elsewhere', { host: '192.0.2.1', token: TOKEN }, 'serve.host'],
    ['any origin, and no token', { origins: ['*'] }, 'serve.origins[0]'],
    ['an origin with a path', { origins: ['https://a.example/x'] }, 'serve.origins[0]'],
    ['a limit that is none', { limits: { bodyBytes: -1 } }, 'serve.limits.bodyBytes'],
    ['a limit that is unknown', JSON.parse('{ "limits": { "bodyByte": 1 } }'), 'serve.limits.bodyByte'],
    ['an option that is unknown', JSON.parse('{ "prot": 1 }'), 'serve.prot'],
  ] as const)('%s is refused', async (_, options, field) => {
    const { router } = routerOver(['http://127.0.0.1:1/v1'])
    const error: unknown = await serveRouter(router, options).catch((thrown: unknown) => thrown)
    expect(error).toSatisfy(ConfigError.is)
    expect(error).toMatchObject({ field })
    expect(String(error)).not.toContain(TOKEN)
  })

  test('a port that is taken is told as that', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const address = taken.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const { router } = routerOver(['http://127.0.0.1:1/v1'])
    await expect(serveRouter(router, { port })).rejects.toThrow(`serve.port: ${port} is in use`)
    taken.close()
  })

  test.each([
    ['127.0.0.1:80', 200],
    ['localhost', 200],
    ['LOCALHOST:1', 200],
    ['app.localhost:1', 200],
    ['127.9.9.9', 200],
    ['[::1]:1', 200],
    ['proxy.example', 200],
    ['proxy.example:443', 200],
    ['evil.example', 403],
    ['localhost.evil.example', 403],
    ['127.0.0.1.evil.example', 403],
    ['127.0.0.1@evil.example', 400],
    ['evil.example#localhost', 400],
    ['10.0.0.1', 403],
    ['localhost, evil.example', 400],
    ['', 400],
  ])('asked by the name %j: %i', async (host, status) => {
    const { serving } = await started(plainly, { hosts: ['proxy.example'] })
    expect(answerIn(await said(serving.port, get('/usage', [`host: ${host}`]))).status).toBe(status)
  })

  test('a target that names its host is judged by that one', async () => {
    const { serving } = await started(plainly)
    const status = async (target: string) => answerIn(await said(serving.port, get(target, ['host: localhost']))).status
    expect(await status('http://localhost/usage')).toBe(200)
    expect(await status('http://evil.example/usage')).toBe(403)
    expect(await status('http://localhost@evil.example/usage')).toBe(400)
    expect(answerIn(await said(serving.port, get('/usage'))).status).toBe(400)
  })

  test.each([
    ['none', {}, 200],
    ['its own', { origin: 'http://localhost:8787' }, 200],
    ['one that is named', { origin: 'https://app.example.com' }, 200],
    ['another', { origin: 'https://evil.example' }, 403],
    ['another port', { origin: 'http://localhost:3000' }, 403],
    ['one that begins the same', { origin: 'https://app.example.com.evil.example' }, 403],
    ['a hidden one', { origin: 'null' }, 403],
    ['an empty one', { origin: '' }, 403],
    ['an embedded thing', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }, 403],
    ['a link', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }, 200],
    ['the address bar', { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' }, 200],
  ])('a page of the origin: %s', async (_, headers, status) => {
    const { serving } = await started(plainly, { origins: ['https://app.example.com'] })
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
    const text = await said(serving.port, get('/usage', ['host: localhost:8787', ...lines]))
    expect(answerIn(text).status).toBe(status)
    expect(text.includes('access-control-allow-origin: https://app.example.com')).toBe(_ === 'one that is named')
  })

  test('a page that is named asks first, and is told that it may, without the token', async () => {
    const { serving, ask } = await started(plainly, { origins: ['https://app.example.com'], token: TOKEN })
    const preflight = (origin: string) =>
      fetch(`${serving.url}/v1/chat/completions`, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization,content-type,x-stainless-os',
        },
      })
    const allowed = await preflight('https://app.example.com')
    expect(allowed.status).toBe(204)
    expect(Object.fromEntries(allowed.headers)).toMatchObject({
      'access-control-allow-origin': 'https://app.example.com',
      'access-control-allow-methods': 'GET, POST',
      'access-control-allow-headers': 'authorization,content-type,x-stainless-os',
      vary: 'origin',
    })
    const refused = await preflight('https://evil.example')
    expect(refused.status).toBe(403)
    expect(refused.headers.get('access-control-allow-origin')).toBeNull()
    const origin = 'https://app.example.com'
    const answer = await ask({}, { headers: { authorization: `Bearer ${TOKEN}`, origin } })
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([200, origin])
    // A page must be able to read why it was refused.
    const without = await ask({}, { headers: { origin } })
    expect([without.status, without.headers.get('access-control-allow-origin')]).toEqual([401, origin])
  })
})

describe('a client that leaves', () => {
  test.each([
    ['before the answer', false, () => {}],
    ['before the first piece', true, () => {}],
    ['in the middle of a stream', true, begin],
  ] as const)('%s stops what was asked for it', async (_, stream, answering) => {
    const { ask, upstream, router } = await started(answering)
    const controller = new AbortController()
    const asked = ask({ stream }, { signal: controller.signal })
    asked.catch(() => {})
    await eventually(() => upstream.requests.length === 1)
    if (answering === begin) await (await asked).body?.getReader().read()
    controller.abort()
    await eventually(() => upstream.busy === 0)
    await eventually(() => router.ledger.records.length === 1)
    expect(router.ledger.records[0]?.outcome).toBe('canceled')
  })

  test('in the middle of its own request costs nothing', async () => {
    const { serving, upstream } = await started(plainly)
    const conversation = await converse(serving.port)
    conversation.say('POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 500\r\n\r\n{"model"')
    await new Promise((resolve) => setTimeout(resolve, 20))
    conversation.socket.destroy()
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(upstream.requests).toHaveLength(0)
    expect((await fetch(`${serving.url}/health`)).status).toBe(200)
  })
})

describe('a client that reads slowly', () => {
  /** Writes as long as it is taken, and says how much that was. */
  function pouring(): { readonly answering: Answering; readonly bytes: number } {
    let bytes = 0
    const answering: Answering = ({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      const text = piece({ content: 'x'.repeat(32_000) })
      const pour = () => {
        while (!response.destroyed && bytes < 512 * 1024 * 1024) {
          bytes += text.length
          if (!response.write(text)) return void response.once('drain', pour)
        }
      }
      pour()
    }
    return {
      answering,
      get bytes() {
        return bytes
      },
    }
  }
  const body = JSON.stringify({ model: 'task:say', messages: MESSAGES, stream: true })
  const request = `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`

  test('makes nobody hold what it does not take', async () => {
    const source = pouring()
    const { serving } = await started(source.answering)
    const conversation = await converse(serving.port)
    conversation.socket.pause()
    conversation.say(request)
    let before = -1
    await eventually(() => source.bytes > 0)
    // Until nothing moves any more: what is under way fits into the buffers of four sockets.
    while (source.bytes !== before) {
      before = source.bytes
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    expect(source.bytes).toBeLessThan(24 * 1024 * 1024)
    conversation.socket.destroy()
  })

  test('is cut off when it takes nothing for too long', async () => {
    const source = pouring()
    const { serving, router } = await started(source.answering, { limits: { bodyMs: 150 } })
    const conversation = await converse(serving.port)
    conversation.socket.pause()
    conversation.say(request)
    await eventually(() => router.ledger.records.length === 1)
    expect(router.ledger.records[0]?.outcome).toBe('canceled')
    conversation.socket.resume()
    await conversation.ended()
  })
})

describe('a long answer in one piece', () => {
  const body = JSON.stringify({ model: 'task:say', messages: MESSAGES })
  const request = `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  /** More than the buffers of four sockets hold, once. */
  const long: Answering = ({ response, n }) => {
    const answer = () => reply(response, 200, answerOf(n === 1 ? 'x'.repeat(12_000_000) : 'The next.'))
    setTimeout(answer, n === 1 ? 0 : 300)
  }

  test('is not held for a client that takes nothing of it', async () => {
    const { serving, router } = await started(long, { limits: { bodyMs: 100 } })
    const conversation = await converse(serving.port)
    conversation.socket.pause()
    conversation.say(request)
    await eventually(() => router.ledger.records.length === 1)
    await new Promise((resolve) => setTimeout(resolve, 800))
    conversation.socket.resume()
    const text = await Promise.race([conversation.ended(), conversation.until('"total_tokens"')])
    expect(text.length).toBeLessThan(12_000_000)
  })

  test('gets to a client that is slow but takes it, and so does the next one, however long in coming', async () => {
    const { serving } = await started(long, { limits: { bodyMs: 150 } })
    const { socket } = await converse(serving.port)
    let taken = 0
    let last = ''
    const ended = new Promise<void>((resolve) => {
      socket.on('close', () => resolve())
      socket.on('data', (chunk: Buffer) => {
        taken += chunk.length
        last = chunk.toString('latin1')
        if (last.includes('The next.')) return resolve()
        socket.pause()
        setTimeout(() => socket.resume(), 2)
      })
    })
    socket.write(request + request)
    await ended
    expect(taken).toBeGreaterThan(12_000_000)
    expect(last).toContain('The next.')
    socket.destroy()
  })
})

describe('a long request', () => {
  test('is taken as far as the limit says, also above the usual one', async () => {
    const { ask } = await started(plainly, { limits: { bodyBytes: 40 * 1024 * 1024 } })
    const response = await ask({ messages: undefined, padding: 'x'.repeat(33 * 1024 * 1024) })
    expect(await response.json()).toMatchObject({ error: { code: 'missing_messages' } })
  })

  test('is not kept for as long as its connection', async () => {
    const { serving } = await started(plainly)
    const body = Buffer.alloc(4 * 1024 * 1024, ' ')
    const head = `POST /v1/nothing HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${body.length}\r\n\r\n`
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc')
    collect()
    const before = process.memoryUsage().arrayBuffers
    for (let count = 0; count < 8; count += 1) {
      const conversation = await converse(serving.port)
      ends.push(async () => conversation.socket.destroy())
      conversation.say(head)
      conversation.say(body)
      await conversation.until('unknown_url')
    }
    await eventually(() => {
      collect()
      return process.memoryUsage().arrayBuffers - before < 8 * 1024 * 1024
    })
  })
})

describe('closing', () => {
  test('lets a stream come to its end, and takes nothing new', async () => {
    const { ask, upstream, serving } = await started(begin)
    const kept = await converse(serving.port)
    const response = await ask({ stream: true })
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    await reader?.read()
    let isClosed = false
    const closing = serving.close().then(() => {
      isClosed = true
    })
    // A request that was begun before is told so; no other one gets in.
    await expect(fetch(`${serving.url}/health`)).rejects.toThrow()
    await new Promise((resolve) => setTimeout(resolve, 30))
    expect(isClosed).toBe(false)
    finish(upstream)
    let rest = ''
    for (let next = await reader?.read(); next?.done === false; next = await reader?.read()) rest += next.value
    expect(rest.endsWith('data: [DONE]\n\n')).toBe(true)
    await closing
    expect(serving.close()).toBe(serving.close())
    kept.socket.destroy()
  })

  test('a request on a connection that is in use is told to go elsewhere', async () => {
    const { serving, upstream } = await started(({ response, body }) => {
      if (!body.includes('slowly')) reply(response, 200, answerOf('Hello.'))
    })
    const body = JSON.stringify({ model: 'task:say', messages: [{ role: 'user', content: 'slowly' }] })
    const conversation = await converse(serving.port)
    const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`
    conversation.say(head + body + head + body)
    await eventually(() => upstream.requests.length === 1)
    const closing = serving.close()
    const received = upstream.requests[0]
    if (received !== undefined) reply(received.response, 200, answerOf('The last one.'))
    const text = await conversation.ended()
    await closing
    expect(text).toContain('The last one.')
    expect(text.toLowerCase()).toContain('connection: close')
    expect(upstream.requests).toHaveLength(1)
  })

  test('cuts off what has had its time, and stops it upstream', async () => {
    const { ask, upstream, serving, router } = await started(begin, { limits: { drainMs: 40 } })
    const response = await ask({ stream: true })
    const text = response.text()
    text.catch(() => {})
    await serving.close()
    await expect(text).rejects.toThrow()
    await eventually(() => upstream.busy === 0 && router.ledger.records.length === 1)
  })

  test('a signal closes it too, and one that was given before lets it not even begin', async () => {
    const controller = new AbortController()
    const { serving } = await started(plainly, { signal: controller.signal })
    controller.abort(new Error('enough'))
    await eventually(() => true)
    await serving.close()
    await expect(fetch(`${serving.url}/health`)).rejects.toThrow()
    const { router } = routerOver(['http://127.0.0.1:1/v1'])
    await expect(serveRouter(router, { port: 0, signal: controller.signal })).rejects.toThrow('enough')
  })
})

test('two hundred slow streams at once: none is lost, none gets another one’s words', async () => {
  const most = 200
  const { ask, upstream } = await started(({ response, body }) => {
    const [word = ''] = /word-\d+/.exec(body) ?? []
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(piece({ role: 'assistant', content: word }))
  })
  const streams = Array.from({ length: most }, async (_, n) => {
    const response = await ask({ stream: true, messages: [{ role: 'user', content: `word-${n}.` }] })
    return response.text()
  })
  await eventually(() => upstream.requests.length === most, 15_000)
  for (let n = 0; n < most; n += 1) finish(upstream, n)
  for (const [n, text] of (await Promise.all(streams)).entries()) {
    expect(text).toContain(`"word-${n}"`)
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
  }
})
