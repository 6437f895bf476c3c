import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { compatible, createRouter, groq, openrouter } from 'modelfirst'
import { OpenAI } from 'openai'
import { afterEach, describe, expect, test } from 'vitest'
import { fetchWire } from '../../src/wires/fetch.ts'
import { openaiWire } from '../../src/wires/openai.ts'
import { standardWire } from '../../src/wires/standard.ts'
import { nodesDispatcher, undiciWire } from '../../src/wires/undici.ts'
import { answerOf, eventually, reply, serve, type TestServer } from '../support/server.ts'
import { GIVEN_KEY, textOf, wireContract } from './contract.ts'

const CLIENT_KEY = 'client-key-0123456789'

wireContract({ name: 'fetch', make: () => fetchWire(), key: GIVEN_KEY })
wireContract({ name: 'undici', make: () => undiciWire(), key: GIVEN_KEY })
wireContract({ name: 'the standard', make: () => standardWire(), key: GIVEN_KEY })
wireContract({
  name: 'an OpenAI client',
  make: (baseURL) => openaiWire(new OpenAI({ apiKey: CLIENT_KEY, baseURL, logLevel: 'off' })),
  key: CLIENT_KEY,
})
wireContract({
  name: 'an OpenAI client that would retry, and gives up early',
  make: (baseURL) =>
    openaiWire(new OpenAI({ apiKey: CLIENT_KEY, baseURL, maxRetries: 5, timeout: 60_000, logLevel: 'off' })),
  key: CLIENT_KEY,
})

describe('the fetch wire', () => {
  test('uses the fetch it is given, and the global one as it is at the time of the call', async () => {
    const seen: string[] = []
    const wire = fetchWire({
      fetch: async (url, init) => {
        seen.push(`${init.method} ${url}`)
        return new Response('{}')
      },
    })
    const url = 'https://api.example.com/v1/models'
    const signal = new AbortController().signal
    await wire.send({ method: 'GET', url, path: '/models', headers: {}, body: null, signal })
    expect(seen).toEqual([`GET ${url}`])
  })
})

describe('the undici wire', () => {
  const request = (url: string) => ({
    method: 'POST' as const,
    url: `${url}/chat/completions?v=1`,
    path: '/chat/completions',
    headers: { authorization: `Bearer ${GIVEN_KEY}` },
    body: '{}',
    signal: new AbortController().signal,
  })

  test('goes through the dispatcher that it is given', async () => {
    const seen: unknown[] = []
    const nodes = nodesDispatcher()
    if (nodes === null) throw new Error('Node has a dispatcher')
    const server = await serve(({ response }) => reply(response, 200, '{"ok":true}'))
    const wire = undiciWire({
      dispatcher: {
        request(options) {
          seen.push(`${options.method} ${options.path}`)
          return nodes.request(options)
        },
      },
    })
    expect(await textOf(await wire.send(request(server.url)))).toBe('{"ok":true}')
    expect(seen).toEqual(['POST /api/v1/chat/completions?v=1'])
    await server.close()
  })

  test.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
  ])('unpacks %s, though it asks for nothing packed', async (encoding, pack) => {
    const text = 'ä'.repeat(100_000)
    const server = await serve(({ response }) => reply(response, 200, pack(text), { 'content-encoding': encoding }))
    expect(await textOf(await undiciWire().send(request(server.url)))).toBe(text)
    expect(server.requests[0]?.headers['accept-encoding']).toBe('identity')
    await server.close()
  })

  test('leaves what nobody can unpack as it is, so that it is found to be no answer', async () => {
    const server = await serve(({ response }) =>
      reply(response, 200, brotliCompressSync('{}'), { 'content-encoding': 'br' }),
    )
    expect(await textOf(await undiciWire().send(request(server.url)))).not.toBe('{}')
    await server.close()
  })

  test('a header that comes twice is both', async () => {
    const server = await serve(({ response }) => reply(response, 200, '{}', { 'x-twice': ['1', '2'] }))
    const { headers } = await undiciWire().send(request(server.url))
    expect([headers.get('X-Twice'), headers.get('x-never')]).toEqual(['1, 2', null])
    await server.close()
  })
})

describe('the standard wire', () => {
  const nodes = globalThis.fetch
  afterEach(() => {
    globalThis.fetch = nodes
  })

  test('is what stands under Node’s own fetch, and fetch itself as soon as another one is there', async () => {
    const server = await serve(({ response }) => reply(response, 200, answerOf('hello')))
    const router = createRouter({
      providers: [compatible({ name: 'own', baseURL: server.url, apiKey: GIVEN_KEY, models: ['small'] })],
      tasks: { say: { model: 'small' } },
    })
    await router.complete('say', 'hi')
    // Fetch would have said that it takes compressed bodies.
    expect(server.requests[0]?.headers['accept-encoding']).toBe('identity')
    const asked: string[] = []
    globalThis.fetch = async (url, init) => {
      asked.push(String(url))
      return nodes(url, init)
    }
    await router.complete('say', 'hi')
    expect(asked).toEqual([`${server.url}/chat/completions`])
    globalThis.fetch = nodes
    await router.complete('say', 'hi')
    expect(asked).toHaveLength(1)
    expect(server.requests).toHaveLength(3)
    await router.close()
    await server.close()
  })
})

describe('a client in the place of a key', () => {
  const servers: TestServer[] = []
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((each) => each.close()))
  })

  const providers = {
    groq: (client: OpenAI) => groq({ client, models: ['small'] }),
    openrouter: (client: OpenAI) => openrouter({ client, title: 'Acme', models: ['small'] }),
    compatible: (client: OpenAI) =>
      compatible({ name: 'own', baseURL: 'http://localhost:1/v1', client, models: ['small'] }),
  }

  test.each(Object.entries(providers))('%s: its address, key, headers and fetch are used', async (_name, make) => {
    const server = await serve(({ response }) => reply(response, 200, answerOf('hello')))
    servers.push(server)
    const fetched: string[] = []
    const client = new OpenAI({
      apiKey: CLIENT_KEY,
      baseURL: server.url,
      defaultHeaders: { 'x-team': 'blue' },
      fetch: async (url, init) => {
        fetched.push(String(url))
        return fetch(url, init)
      },
    })
    const router = createRouter({ providers: [make(client)], tasks: { say: { model: 'small' as string } } })
    const { text } = await router.complete('say', 'hi')
    expect(text).toBe('hello')
    expect(fetched).toEqual([`${server.url}/chat/completions`])
    expect(server.requests).toHaveLength(1)
    expect(server.requests[0]?.headers).toMatchObject({ authorization: `Bearer ${CLIENT_KEY}`, 'x-team': 'blue' })
    await router.close()
  })

  test('its retries stay off: one attempt is one request, and the next provider is asked', async () => {
    const down = await serve(({ response }) => reply(response, 500, '{"error":{"message":"down"}}'))
    const up = await serve(({ response }) => reply(response, 200, answerOf('hello')))
    servers.push(down, up)
    const client = (server: TestServer) => new OpenAI({ apiKey: CLIENT_KEY, baseURL: server.url, logLevel: 'off' })
    const router = createRouter({
      providers: [
        compatible({ name: 'first', baseURL: down.url, client: client(down), models: ['small'] }),
        compatible({ name: 'second', baseURL: up.url, client: client(up), models: ['small'] }),
      ],
      tasks: { say: { model: 'small' } },
    })
    const { provider, usage } = await router.complete('say', 'hi')
    expect(provider).toBe('second')
    expect(usage.attempts.map(({ outcome }) => outcome)).toEqual(['server-error', 'ok'])
    expect([down.requests.length, up.requests.length]).toEqual([1, 1])
    await router.close()
  })

  test('the client itself is left as it was', async () => {
    const server = await serve(({ response, n }) => reply(response, n === 1 ? 500 : 200, answerOf('hello')))
    servers.push(server)
    const client = new OpenAI({ apiKey: CLIENT_KEY, baseURL: server.url, maxRetries: 1, logLevel: 'off' })
    openaiWire(client)
    const answer = await client.chat.completions.create({ model: 'small', messages: [{ role: 'user', content: 'hi' }] })
    expect(answer.choices[0]?.message.content).toBe('hello')
    expect(server.requests).toHaveLength(2)
  })

  test('an error page without an end costs neither memory nor time', async () => {
    const page = 'x'.repeat(64 * 1024)
    const server = await serve(({ response }) => {
      response.writeHead(503)
      const more = () => {
        while (!response.destroyed && response.write(page));
        if (!response.destroyed) response.once('drain', more)
      }
      more()
    })
    servers.push(server)
    const wire = openaiWire(new OpenAI({ apiKey: CLIENT_KEY, baseURL: server.url, logLevel: 'off' }))
    const { signal } = new AbortController()
    const headers = { 'content-type': 'application/json' }
    const url = `${server.url}/chat/completions`
    const answer = await wire.send({ method: 'POST', url, path: '/chat/completions', headers, body: '{}', signal })
    expect(answer.status).toBe(503)
    await answer.body?.cancel()
    await eventually(() => server.busy === 0)
  })

  test.each([[{}], [null], ['a string'], [{ withOptions() {} }]])('what is no client is refused: %j', (client) => {
    // @ts-expect-error: what plain JavaScript may pass
    expect(() => openaiWire(client)).toThrow('expected an OpenAI client')
  })

  test('the wire reads what it is told to', async () => {
    const server = await serve(({ response }) => reply(response, 200, '{"data":[]}'))
    servers.push(server)
    const wire = openaiWire(new OpenAI({ apiKey: CLIENT_KEY, baseURL: `${server.url}/` }))
    const { signal } = new AbortController()
    const answer = await wire.send({ method: 'GET', url: '', path: '/models', headers: {}, body: null, signal })
    expect(await textOf(answer)).toBe('{"data":[]}')
    expect(server.requests[0]?.path).toBe('/api/v1/models')
  })
})
