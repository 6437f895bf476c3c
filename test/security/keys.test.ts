import { inspect } from 'node:util'
import { AbortError, compatible, createRouter, groq, openrouter, RouterError, type RouterEvent } from 'modelfirst'
import { openaiWire } from 'modelfirst/openai'
import { OpenAI } from 'openai'
import { describe, expect, test, vi } from 'vitest'
import { canaries, leaks, outputsOf } from '../support/canaries.ts'
import { answerOf } from '../support/server.ts'
import { leapingClock } from './clock.ts'

/** So much of a key in a row is a key to whoever finds it. */
const PART = 12
const LETTERS = 'abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789+/=._'

function freshKey(): string {
  const letters = Array.from({ length: 48 }, () => LETTERS[Math.floor(Math.random() * LETTERS.length)])
  return `sk-canary-${letters.join('')}`
}

/** Where any longer part of a key can be seen, as it is or encoded. */
function partsSeen(values: Readonly<Record<string, unknown>>, key: string): string[] {
  const forms = [
    key,
    encodeURIComponent(key),
    Buffer.from(key).toString('base64'),
    Buffer.from(key).toString('base64url'),
  ]
  const parts = new Set(forms.flatMap((form) => Array.from(form.slice(PART - 1), (_, at) => form.slice(at, at + PART))))
  const found: string[] = []
  for (const [where, value] of Object.entries(values)) {
    for (const [output, text] of Object.entries(outputsOf(value))) {
      for (const part of parts) if (text.includes(part)) found.push(`${part} in ${output} of ${where}`)
      if (text.includes(key.slice(-8))) found.push(`the end in ${output} of ${where}`)
    }
  }
  return found
}

const base64 = (text: string) => Buffer.from(text).toString('base64')
const escaped = (text: string) =>
  Array.from(text, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** How a provider may write a key. */
const FORMS: Readonly<Record<string, (key: string) => string>> = {
  'as it is': (key) => key,
  'behind its scheme': (key) => `Bearer ${key}`,
  'in base64': (key) => base64(key),
  'in base64 for URLs': (key) => Buffer.from(key).toString('base64url'),
  'as a user and a password in base64': (key) => base64(`user:${key}`),
  'in a URL': (key) => `https://api.example.com/?key=${encodeURIComponent(key)}&x=1`,
  'by its last letters': (key) => `…${key.slice(-8)}`,
  'cut off': (key) => `${key.slice(0, 30)}…`,
  'cut off in front': (key) => `…${key.slice(20)}`,
  'cut out of the middle': (key) => `…${key.slice(15, 45)}…`,
  'in letters of JSON': (key) => escaped(key).join(''),
  'inside JSON inside JSON': (key) => JSON.stringify(JSON.stringify({ authorization: key })),
  'twice in a row': (key) => key + key,
  'between the words of others': (key) => `the${key}key`,
}

const CHUNK = 'data: {"id":"gen-1","choices":[{"index":0,"delta":{"content":"so far"}}]}\n\n'
const events = (text: string, headers: object = {}) =>
  new Response(text, { headers: { 'content-type': 'text/event-stream', ...headers } })
const json = (body: unknown, status: number, headers: Record<string, string> = {}) =>
  new Response(typeof body === 'string' ? body : JSON.stringify(body), { status, headers })

/** Where a provider may repeat it. */
const WAYS: Readonly<Record<string, (told: string) => Response>> = {
  'the message of a 401': (told) => json({ error: { message: `Incorrect API key provided: ${told}`, code: 401 } }, 401),
  'the code of a 401': (told) => json({ error: { message: 'no', code: told, type: told } }, 401),
  'a 401 that is a string': (told) => json({ error: `bad key ${told}` }, 401),
  'a 400 that is plain text': (told) => json(`bad header ${told}`, 400),
  'a 500 that is a page': (told) => json(`<html><title>${told}</title></html>`, 500),
  'everything in a 403': (told) =>
    json({ error: { message: told, code: told, metadata: { raw: told } }, detail: told }, 403),
  'the headers of a 429': (told) =>
    json({}, 429, { 'retry-after': base64(told), 'x-request-id': base64(told), 'www-authenticate': base64(told) }),
  'an error in a 200': (told) => json({ error: { message: `upstream said: ${told}`, code: 502 } }, 200),
  'an error in the middle of a stream': (told) =>
    events(`${CHUNK}data: ${JSON.stringify({ error: { message: told, code: told } })}\n\n`),
  'an event of its own': (told) => events(`${CHUNK}event: error\ndata: ${JSON.stringify({ message: told })}\n\n`),
  'an error as the first of a stream': (told) => events(`data: ${JSON.stringify({ error: { message: told } })}\n\n`),
  'a redirect': (told) =>
    new Response(null, { status: 307, headers: { location: `https://a.b/${encodeURIComponent(told)}` } }),
}

describe.each(Object.keys(WAYS))('a key that a provider repeats in %s', (way) => {
  const answer = WAYS[way]
  test.each(Object.keys(FORMS))('is not told, %s', async (form) => {
    const key = freshKey()
    const told = FORMS[form]?.(key) ?? ''
    const heard: RouterEvent[] = []
    const clock = leapingClock()
    const provider = compatible({
      name: 'own',
      baseURL: 'https://api.example.com/v1',
      apiKey: key,
      models: ['small'],
      fetch: async () => answer?.(told) ?? new Response(),
    })
    const router = createRouter({
      providers: [provider],
      tasks: { say: { model: 'small', limits: { attempts: 1 } } },
      clock,
      on: (event) => void heard.push(event),
    })
    const whole = await router.complete('say', 'Hi').catch((error: unknown) => error)
    clock.leap()
    const stream = router.stream('say', 'Hi')
    const broken = await stream.completion.catch((error: unknown) => error)
    clock.leap()
    const page = await router.stream('say', 'Hi').toResponse().text()
    expect(RouterError.is(broken)).toBe(true)
    const seen = { whole, broken, page, heard, router, provider, records: router.ledger.records }
    expect(partsSeen(seen, key)).toEqual([])
    await router.close()
  })
})

describe("a client's own key", () => {
  const rotating = () => {
    const keys = [freshKey(), freshKey()]
    let asked = 0
    return { keys, apiKey: async () => keys[Math.min(asked++, 1)] ?? '' }
  }
  const fetch = async (_: unknown, init?: RequestInit) => {
    const { authorization, 'x-gateway-key': gateway } = Object.fromEntries(new Headers(init?.headers))
    return json({ error: { message: `refused: ${authorization}, ${gateway}` } }, 401)
  }

  test.each(['client', 'wire'] as const)('is not told when the provider was given a %s', async (how) => {
    const { keys, apiKey } = rotating()
    const gateway = freshKey()
    const client = new OpenAI({
      apiKey,
      baseURL: 'https://api.example.com/v1',
      defaultHeaders: { 'x-gateway-key': gateway },
      fetch,
      logLevel: 'off',
    })
    const carried = how === 'client' ? { client } : { wire: openaiWire(client) }
    const router = createRouter({
      providers: [groq({ ...carried, models: ['small'] })],
      tasks: { say: { model: 'small' } },
    })
    for (const _ of keys) {
      const error = await router.complete('say', 'Hi').catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ kind: 'unauthorized', message: expect.stringContaining('refused: [redacted]') })
      for (const key of [...keys, gateway]) expect(partsSeen({ error, router }, key)).toEqual([])
    }
    await router.close()
  })
})

describe('a header that carries a secret', () => {
  test.each([
    ['x-api-key', (secret: string) => secret],
    ['api-key', (secret: string) => secret],
    ['proxy-authorization', (secret: string) => `Basic ${secret}`],
    ['cookie', (secret: string) => `lang=en; session=${secret}; theme=dark`],
    ['x-goog-signature', (secret: string) => secret],
    ['cf-access-client-secret', (secret: string) => secret],
    ['x-password', (secret: string) => secret],
  ])('is not told: %s', async (name, value) => {
    const secret = freshKey()
    const provider = compatible({
      name: 'own',
      baseURL: 'https://api.example.com/v1',
      headers: { [name]: value(secret) },
      models: ['small'],
      fetch: async () => json({ error: { message: `who is ${secret}?` } }, 403),
    })
    const router = createRouter({ providers: [provider], tasks: { say: { model: 'small' } } })
    const error = await router.complete('say', 'Hi').catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ message: expect.stringMatching(/who is ?\[redacted\]/) })
    expect(partsSeen({ error, router, provider }, secret)).toEqual([])
  })
})

describe('nothing that a caller can hold shows a key', () => {
  const make = {
    groq: (key: string, baseURL: string) => groq({ apiKey: key, baseURL, models: ['small'] }),
    openrouter: (key: string, baseURL: string) => openrouter({ apiKey: key, baseURL, models: ['small'] }),
    compatible: (key: string, baseURL: string) => compatible({ name: 'own', apiKey: key, baseURL, models: ['small'] }),
  }

  test.each(Object.keys(make) as (keyof typeof make)[])('%s', async (name) => {
    const secrets = canaries()
    const { key, session } = secrets
    const provider = make[name](key, 'http://localhost:1/v1')
    const heard: RouterEvent[] = []
    const router = createRouter({
      providers: [provider],
      tasks: { say: { model: 'small' as string, limits: { attempts: 1 } } },
      on: (event) => void heard.push(event),
    })
    const bound = router.session(session)
    const plan = await bound.plan('say', 'Hi')
    const stream = bound.stream('say', 'Hi')
    const unreachable = await bound.complete('say', 'Hi').catch((error: unknown) => error)
    const aborted = await bound
      .complete('say', 'Hi', { signal: AbortSignal.abort(new Error('enough')) })
      .catch((error: unknown) => error)
    expect(AbortError.is(aborted)).toBe(true)
    const held = { provider, router, bound, plan, planText: String(plan), stream, unreachable, aborted, heard }
    expect(leaks({ ...held, records: router.ledger.records, catalog: router.catalog }, { key, session })).toEqual([])
    // What cannot be cloned says so, and nothing else.
    for (const value of [provider, router, stream]) {
      const refused = (() => {
        try {
          return structuredClone(value)
        } catch (error) {
          return error
        }
      })()
      expect(leaks({ refused }, { key, session })).toEqual([])
    }
    for (const method of [provider.send, provider.redact, router.complete]) {
      expect(inspect(method, { showHidden: true, depth: 9 }) + method.toString()).not.toContain(key)
    }
    await router.close()
  })

  test('two copies of the library share no key, no session and no state', async () => {
    vi.resetModules()
    const copy = await import('modelfirst')
    expect(copy.createRouter).not.toBe(createRouter)
    const key = freshKey()
    const before = new Set(Reflect.ownKeys(globalThis))
    const seen: unknown[] = []
    const routers = [
      { of: { compatible, createRouter }, key, mine: true },
      { of: copy, key: freshKey(), mine: false },
    ].map(({ of, key: own }) =>
      of.createRouter({
        providers: [
          of.compatible({
            name: 'own',
            baseURL: 'https://api.example.com/v1',
            apiKey: own,
            models: ['small'],
            fetch: async (_, init) => {
              seen.push(new Headers(init.headers).get('authorization'))
              return new Response(answerOf('hi'))
            },
          }),
        ],
        tasks: { say: { model: 'small' } },
      }),
    )
    const records = []
    for (const router of routers) records.push((await router.complete('say', 'Hi', { session: 'one' })).usage)
    expect(seen[0]).toBe(`Bearer ${key}`)
    expect(seen[1]).not.toBe(seen[0])
    expect(records[0]?.session).not.toBe(records[1]?.session)
    expect(routers.map((router) => router.ledger.records.length)).toEqual([1, 1])
    const added = Reflect.ownKeys(globalThis).filter((name) => !before.has(name))
    expect(added).toEqual([])
    expect(partsSeen({ copy, symbols: Object.getOwnPropertySymbols(globalThis) }, key)).toEqual([])
  })

  test('a fetch of the user’s own that changes its headers changes them for one call', async () => {
    const seen: (string | undefined)[] = []
    const provider = compatible({
      name: 'own',
      baseURL: 'https://api.example.com/v1',
      apiKey: freshKey(),
      models: ['small'],
      fetch: async (_, init) => {
        const headers = init.headers as Record<string, string>
        seen.push(headers['x-trace'])
        headers['x-trace'] = 'of the first call'
        return new Response(answerOf('hi'))
      },
    })
    const router = createRouter({ providers: [provider], tasks: { say: { model: 'small' } } })
    await router.complete('say', 'Hi')
    await router.complete('say', 'Hi')
    expect(seen).toEqual([undefined, undefined])
  })
})
