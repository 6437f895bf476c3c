import { compatible, createRouter, fetchWire, groq, openrouter, type Provider } from 'modelfirst'
import { openaiWire } from 'modelfirst/openai'
import { OpenAI } from 'openai'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Wire } from '../../src/wires/wire.ts'
import { answerOf, eventually, reply, serve, serveRaw, type TestServer } from '../support/server.ts'

const KEY = 'sk-doors-0123456789abcdef'
const servers: TestServer[] = []
const started = async (server: Promise<TestServer>) => {
  servers.push(await server)
  return server
}
afterEach(async () => {
  vi.unstubAllEnvs()
  await Promise.all(servers.splice(0).map((server) => server.close()))
})

const routerOf = (provider: Provider) =>
  createRouter({ providers: [provider], tasks: { say: { model: 'small' as string } } })

/** Follows redirects whatever it is told, as a fetch of the user's own may. */
const obstinate = (url: string | URL | Request, init: RequestInit = {}) => fetch(url, { ...init, redirect: 'follow' })
const client = (baseURL: string, own?: typeof fetch) =>
  new OpenAI({ apiKey: KEY, baseURL, logLevel: 'off', maxRetries: 3, ...(own && { fetch: own }) })

const WIRES: Readonly<Record<string, (baseURL: string) => Wire>> = {
  fetch: () => fetchWire(),
  "OpenAI's client": (baseURL) => openaiWire(client(baseURL)),
}
const OBSTINATE: Readonly<Record<string, (baseURL: string) => Wire>> = {
  fetch: () => fetchWire({ fetch: obstinate }),
  "OpenAI's client": (baseURL) => openaiWire(client(baseURL, obstinate as typeof fetch)),
}
const STATUSES = [300, 301, 302, 303, 304, 305, 307, 308, 399]
/** Where an attacker may want to have it, given the attacker's own address and the address that was asked. */
const TARGETS: Readonly<Record<string, (attacker: URL, asked: URL) => string>> = {
  'another port of the same host': (attacker) => `${attacker.origin}/chat/completions`,
  'an address without its scheme': (attacker) => `//${attacker.host}/chat/completions`,
  'an address with backslashes': (attacker) => `\\\\${attacker.host}\\chat\\completions`,
  'a user in front of the host': (attacker, asked) => `http://${asked.host}@${attacker.host}/v1`,
  'the IPv4 address inside IPv6': (attacker) => `http://[::ffff:127.0.0.1]:${attacker.port}/`,
  'the host by another name': (attacker) => `http://localhost:${attacker.port}/`,
  'another path of the same server': () => '/elsewhere',
  'no address': () => 'http://',
}

describe.each(Object.keys(WIRES))('a redirect, over the wire of %s,', (name) => {
  const asking = async (status: number, target: string, wires: typeof WIRES) => {
    const attacker = await started(serve(({ response }) => reply(response, 200, answerOf('stolen'))))
    const asked = await started(
      serve(({ response, path }) => {
        if (path.startsWith('/elsewhere')) return reply(response, 200, answerOf('stolen'))
        const location = TARGETS[target]?.(new URL(attacker.url), new URL(asked.url))
        return response.writeHead(status, { location, refresh: `0; url=${attacker.url}` }).end(answerOf('stolen'))
      }),
    )
    const wire = wires[name]?.(asked.url)
    const router = routerOf(compatible({ name: 'own', baseURL: asked.url, apiKey: KEY, models: ['small'], wire }))
    return { attacker, asked, router }
  }

  test.each(STATUSES)('is never followed: %i', async (status) => {
    const { attacker, asked, router } = await asking(status, 'another port of the same host', WIRES)
    await expect(router.complete('say', 'my secret')).rejects.toMatchObject({ kind: 'redirected' })
    await expect(router.stream('say', 'my secret').completion).rejects.toMatchObject({ kind: 'redirected' })
    const { own } = (await router.catalog.refresh()).providers
    expect(own).toHaveProperty('error')
    expect([attacker.requests.length, asked.requests.length]).toEqual([0, 3])
    await router.close()
  })

  test.each(Object.keys(TARGETS))('is never followed to %s', async (target) => {
    for (const status of [302, 307]) {
      const { attacker, asked, router } = await asking(status, target, WIRES)
      await expect(router.complete('say', 'my secret')).rejects.toMatchObject({ kind: 'redirected' })
      await expect(router.stream('say', 'my secret').completion).rejects.toMatchObject({ kind: 'redirected' })
      expect([attacker.requests.length, asked.requests.length]).toEqual([0, 2])
      await router.close()
    }
  })

  test('that a fetch of the user’s own has followed brings no answer', async () => {
    const { router } = await asking(307, 'another port of the same host', OBSTINATE)
    await expect(router.complete('say', 'Hi')).rejects.toMatchObject({ kind: 'redirected' })
    await expect(router.stream('say', 'Hi').completion).rejects.toMatchObject({ kind: 'redirected' })
    await eventually(() => servers.every((server) => server.busy === 0))
    await router.close()
  })
})

test('a host that has the word in its name is no redirect: another provider is asked', async () => {
  const up = await started(serve(({ response }) => reply(response, 200, answerOf('hello'))))
  const notFound = Object.assign(new Error('getaddrinfo ENOTFOUND redirect.example.com'), { code: 'ENOTFOUND' })
  const router = createRouter({
    providers: [
      compatible({
        name: 'first',
        baseURL: 'https://redirect.example.com/v1',
        models: ['small'],
        fetch: () => Promise.reject(new TypeError('fetch failed', { cause: notFound })),
      }),
      compatible({ name: 'second', baseURL: up.url, models: ['small'] }),
    ],
    tasks: { say: { model: 'small' } },
  })
  const { provider, usage } = await router.complete('say', 'Hi')
  expect([provider, usage.attempts[0]?.outcome]).toEqual(['second', 'unreachable'])
  await router.close()
})

describe('an address', () => {
  const at = (baseURL: string) => () => compatible({ name: 'own', baseURL, apiKey: KEY, models: ['small'] })

  test.each([
    ['with a user', 'https://me@api.example.com/v1'],
    ['with a password', `https://:${KEY}@api.example.com/v1`],
    ['with an encoded user', 'https://api.groq.com%40evil.example.com@example.com/v1'],
    ['with steps upwards', 'https://api.example.com/v1/../admin'],
    ['with encoded steps upwards', 'https://api.example.com/v1/%2E%2e/admin'],
    ['with half-encoded steps upwards', 'https://api.example.com/v1/.%2e'],
    ['with a step to nowhere', 'https://api.example.com/./v1'],
    ['with backslashes', 'https:\\\\api.example.com\\v1'],
    ['with one backslash', 'https://api.example.com\\@evil.example.com/v1'],
    ['with a tab inside', 'https://api.exa\tmple.com/v1'],
    ['with a line break inside', 'https://api.example.com/v1\r\nx-evil: 1'],
    ['with a query', 'https://api.example.com/v1?a=b'],
    ['with a fragment', 'https://api.example.com/v1#a'],
    ['over http', 'http://api.example.com/v1'],
    ['over http by number', 'http://3232235777/v1'],
    ['over http, IPv4 inside IPv6', 'http://[::ffff:127.0.0.1]/v1'],
    ['over http, IPv4 inside IPv6 of another', 'http://[::ffff:169.254.169.254]/latest'],
    ['over http, everywhere', 'http://0.0.0.0/v1'],
    ['over http, loopback in front', 'http://127.0.0.1.nip.example/v1'],
    ['over http, loopback with a dot behind', 'http://localhost./v1'],
    ['over http, localhost in front', 'http://localhost.example.com/v1'],
    ['of another scheme', 'ftp://localhost/v1'],
    ['of a file', 'file:///etc/passwd'],
    ['of data', 'data:text/plain,hello'],
    ['of a blob', 'blob:https://api.groq.com/1'],
    ['of a script', 'javascript:alert(1)'],
    ['that is a key', `${KEY}:x`],
    ['that is none', 'api.example.com/v1'],
  ])('is refused without being told: %s', (_title, baseURL) => {
    expect(at(baseURL)).toThrow(/^own\.baseURL: expected [^@\r\n\t\\]+$/)
    expect(at(baseURL)).not.toThrow(KEY)
  })

  test.each([
    ['https://api.example.com', 'https://api.example.com/chat/completions'],
    ['https://API.example.com:443/v1///', 'https://api.example.com/v1/chat/completions'],
    [' https://api.example.com/v1.5/..v2/a..b\n', 'https://api.example.com/v1.5/..v2/a..b/chat/completions'],
    ['https://[::ffff:10.0.0.1]:8443/v1', 'https://[::ffff:a00:1]:8443/v1/chat/completions'],
    ['http://127.1:8080/v1', 'http://127.0.0.1:8080/v1/chat/completions'],
    ['http://[::1]:8080/v1', 'http://[::1]:8080/v1/chat/completions'],
    ['http://LOCALHOST/v1', 'http://localhost/v1/chat/completions'],
  ])('is asked below where it points: %s', async (baseURL, url) => {
    const asked: string[] = []
    const fetched = async (sent: string) => {
      asked.push(sent)
      return new Response(answerOf('hello'))
    }
    const router = routerOf(compatible({ name: 'own', baseURL, models: ['small'], fetch: fetched }))
    await router.complete('say', 'Hi')
    expect(asked).toEqual([url])
  })

  test('of thousands of slashes costs nothing', () => {
    const from = performance.now()
    expect(at(`https://api.example.com/${'/'.repeat(1_000_000)}x`)).not.toThrow()
    expect(performance.now() - from).toBeLessThan(1000)
  })
})

describe('a key of the environment', () => {
  const HOMES = { groq: 'api.groq.com', openrouter: 'openrouter.ai' } as const
  const make = { groq, openrouter } as const

  test.each(Object.keys(HOMES) as (keyof typeof HOMES)[])('goes nowhere but home: %s', (name) => {
    vi.stubEnv('GROQ_API_KEY', KEY)
    vi.stubEnv('OPENROUTER_API_KEY', KEY)
    const home = HOMES[name]
    const elsewhere = [
      `https://${home}.evil.example.com/v1`,
      `https://evil-${home}/v1`,
      `https://${home}:8443/v1`,
      `https://${home}@evil.example.com/v1`,
      `https://evil.example.com/${home}/v1`,
      `https://evil.example.com\\@${home}/v1`,
      `https://${home}./v1`,
      `https://www.${home}/v1`,
      `http://${home}/v1`,
      `blob:https://${home}/v1`,
      `//${home}/v1`,
      'http://localhost:8080/v1',
      'http://127.0.0.1/v1',
      '',
    ]
    for (const baseURL of elsewhere) {
      expect(() => make[name]({ baseURL }), baseURL).toThrow(/^(groq|openrouter)\.(apiKey|baseURL): expected/)
      expect(() => make[name]({ baseURL }), baseURL).not.toThrow(KEY)
    }
  })

  test.each(Object.keys(HOMES) as (keyof typeof HOMES)[])(
    'does not go over a wire or a client of the user’s: %s',
    async (name) => {
      vi.stubEnv('GROQ_API_KEY', KEY)
      vi.stubEnv('OPENROUTER_API_KEY', KEY)
      const seen: string[] = []
      const wire: Wire = {
        async send({ headers }) {
          seen.push(JSON.stringify(headers))
          return new Response(answerOf('hello'))
        },
      }
      await routerOf(make[name]({ wire, models: ['small'] })).complete('say', 'Hi')
      const evil = await started(
        serve(({ response, headers }) => {
          seen.push(JSON.stringify(headers))
          reply(response, 200, answerOf('hello'))
        }),
      )
      const own = new OpenAI({ apiKey: 'another', baseURL: evil.url })
      await routerOf(make[name]({ client: own, models: ['small'] })).complete('say', 'Hi')
      expect(seen).toHaveLength(2)
      expect(seen.join()).not.toContain(KEY)
    },
  )
})

describe('a header', () => {
  /** What a raw server was sent, line by line. */
  const sentWith = async (options: object) => {
    const heads: string[] = []
    const raw = await started(
      serveRaw((socket) => {
        let head = ''
        socket.on('data', (bytes) => {
          head += bytes.toString('latin1')
          if (!head.includes('\r\n\r\n')) return
          heads.push(head.slice(0, head.indexOf('\r\n\r\n')))
          const body = answerOf('hello')
          socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`)
        })
      }),
    )
    await routerOf(openrouter({ apiKey: KEY, baseURL: raw.url, models: ['small'], ...options })).complete('say', 'Hi')
    return heads.join('').split('\r\n').slice(1)
  }

  test('goes out as one line, whatever is in it', async () => {
    const title = 'Ä\x80\xa0 %0d%0ax-evil: 1 \\r\\nx-evil: 2'
    const lines = await sentWith({ title, headers: { 'x-own': 'a\tb', 'X-Own-2': 'é' } })
    expect(lines.filter((line) => /^x-evil/i.test(line))).toEqual([])
    expect(lines).toContain(`x-openrouter-title: ${title}`)
    expect(lines).toContain('x-own: a\tb')
    expect(lines.filter((line) => /^authorization:/i.test(line))).toEqual([`authorization: Bearer ${KEY}`])
    expect(lines.filter((line) => line.includes(KEY))).toHaveLength(1)
  })

  test('of a name that every object answers to is a header, and changes nothing else', async () => {
    const lines = await sentWith({ headers: JSON.parse('{"__proto__":"a","constructor":"b","x-own":"c"}') })
    expect(lines).toEqual(expect.arrayContaining(['constructor: b', 'x-own: c']))
    expect(Reflect.get({}, 'x-own')).toBeUndefined()
  })

  test.each([
    [{ [`Bearer ${KEY}`]: 'authorization' }],
    [{ [KEY.padEnd(64, 'x')]: undefined }],
    [{ [`${KEY}\r\n`]: 'x' }],
    [{ Authorization: KEY }],
    [{ 'x-own': `${KEY}\n` }],
    [{ 'x-own': `${KEY}\0` }],
    [{ 'x-own': `${KEY}\u2028` }],
  ])('that cannot be one is refused without being told: %#', (headers) => {
    const make = () => openrouter({ apiKey: 'sk-another-key', headers: headers as Record<string, string> })
    expect(make).toThrow(/^openrouter\.headers\.[^\r\n]*: expected/)
    expect(make).not.toThrow(KEY)
  })
})
