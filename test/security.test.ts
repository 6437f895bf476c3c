import { compatible, createRouter, groq, openrouter, RouterError, type RouterEvent, when } from 'modelfirst'
import { afterEach, describe, expect, test } from 'vitest'
import { leapingClock } from './security/clock.ts'
import { canaries, leaks, outputsOf } from './support/canaries.ts'
import { hasty } from './support/router.ts'
import { answerOf, type Received, reply, serve, type TestServer } from './support/server.ts'

/** More of the list, each line in a file of its own: security/. */

const servers: TestServer[] = []
const started = async (answering: Parameters<typeof serve>[0]) => {
  const server = await serve(answering)
  servers.push(server)
  return server
}
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()))
})

const KEY = 'sk-security-0123456789'
const STREAM = { 'content-type': 'text/event-stream' }

interface SentBody {
  readonly model: string
  readonly stream?: boolean
  readonly session_id?: string
  readonly provider?: { readonly zdr?: boolean; readonly data_collection?: string; readonly order?: readonly string[] }
}
const sentIn = ({ body }: Received): SentBody => JSON.parse(body)

describe('a data rule goes with every attempt', () => {
  const LOOSE = { data_collection: 'allow', zdr: false, order: ['azure'], allow_fallbacks: true } as const

  /** An OpenRouter that fails in another way each time, and two endpoints that may not be asked. */
  const setUp = async (failing: (received: Received) => void) => {
    const clock = leapingClock()
    const asked = await started(failing)
    const forbidden = await started(({ response }) => reply(response, 200, answerOf('told')))
    const router = createRouter({
      providers: [
        compatible({ name: 'undeclared', baseURL: forbidden.url, models: ['small', 'large'] }),
        groq({
          apiKey: KEY,
          baseURL: forbidden.url,
          models: ['small', 'large'],
          dataTerms: { training: false, retention: 'provider' },
        }),
        openrouter({ apiKey: KEY, baseURL: asked.url, models: ['small', 'large'], preferences: LOOSE }),
      ],
      defaults: { openrouter: { preferences: LOOSE, extra: { provider: LOOSE } } },
      tasks: {
        secret: {
          model: ['small' as string, 'large'],
          data: { training: 'deny', retention: 'zero' },
          onBroken: 'continue',
          limits: { attempts: 6 },
          fallback: [
            when('refused').nextModel(),
            when('policy-refused').nextProvider(),
            when('unauthorized').nextModel(),
          ],
          request: { openrouter: { preferences: LOOSE, extra: { provider: { ...LOOSE, zdr: false } } } },
        },
      },
      random: hasty(),
      clock,
    })
    return { asked, forbidden, router, clock }
  }
  const request = { openrouter: { preferences: LOOSE, extra: { provider: LOOSE } } }

  const FAILURES: readonly [number, string][] = [
    [429, '{"error":{"code":429,"message":"slow"}}'],
    [503, '{"error":{"message":"down"}}'],
    [404, '{"error":{"message":"No endpoints found matching your data policy (Zero data retention)"}}'],
    [404, '{"error":{"message":"gone","availability":{"code":"privacy_restricted"}}}'],
    [401, '{"error":{"message":"who?"}}'],
    [403, '{"error":{"message":"flagged","metadata":{"reasons":["x"]}}}'],
    [200, '{"choices":[]}'],
    [200, ''],
    [413, '{}'],
    [400, '{"error":{"message":"bad"}}'],
  ]

  test.each(FAILURES)('whatever fails: %i %s', async (status, body) => {
    const { asked, forbidden, router, clock } = await setUp(({ response }) =>
      reply(response, status, body, { 'retry-after-ms': '1' }),
    )
    for (const data of [undefined, {}, { training: undefined, retention: undefined }, { training: 'deny' as const }]) {
      clock.leap()
      await router.complete('secret', 'my secret', { request, data, session: 'one' }).catch(() => {})
      clock.leap()
      await router.stream('secret', 'my secret', { request, data, session: 'one' }).completion.catch(() => {})
    }
    expect(asked.requests.length).toBeGreaterThan(0)
    for (const received of asked.requests) {
      expect(sentIn(received).provider).toMatchObject({ zdr: true, data_collection: 'deny' })
    }
    expect(forbidden.requests).toHaveLength(0)
    await router.close()
  })

  test('also when a stream breaks and is taken up by another model', async () => {
    const chunk = (content: string) => `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`
    const { asked, forbidden, router } = await setUp(({ response, socket }) => {
      response.writeHead(200, STREAM)
      response.write(chunk('Once upon a time there was a router. '), () => socket.resetAndDestroy())
    })
    await router.stream('secret', 'my secret', { request }).completion.catch(() => {})
    expect(asked.requests.length).toBeGreaterThan(1)
    for (const received of asked.requests) {
      expect(sentIn(received).provider).toMatchObject({ zdr: true, data_collection: 'deny' })
    }
    expect(forbidden.requests).toHaveLength(0)
    await router.close()
  })
})

describe('the id of a session', () => {
  test('is on no wire and in no sink, however easily it is guessed', async () => {
    const secrets = { session: 'user-0042@example.com', bound: 'zzbound-session-id' }
    let n = 0
    const server = await started(({ response }) => {
      n += 1
      if (n % 2 === 0) return reply(response, 400, '{"error":{"message":"no"}}')
      reply(response, 200, answerOf('hello'))
    })
    const heard: RouterEvent[] = []
    const router = createRouter({
      providers: [
        openrouter({ apiKey: KEY, baseURL: server.url, models: ['small'] }),
        groq({ apiKey: KEY, baseURL: server.url, models: ['small'] }),
        compatible({ name: 'own', baseURL: server.url, models: ['small'] }),
      ],
      tasks: {
        openrouter: { model: 'small' as string, provider: 'openrouter' },
        groq: { model: 'small' as string, provider: 'groq' },
        own: { model: 'small' as string, provider: 'own' },
      },
      on: (event) => void heard.push(event),
    })
    const held: unknown[] = []
    for (const task of ['openrouter', 'groq', 'own'] as const) {
      const bound = router.session(secrets.bound)
      held.push(bound, await bound.plan(task, 'Hi'))
      for (const _ of [1, 2]) {
        held.push(await router.complete(task, 'Hi', { session: secrets.session }).catch((error: unknown) => error))
        held.push(await bound.stream(task, 'Hi').completion.catch((error: unknown) => error))
      }
    }
    for (const { body, path, headers } of server.requests) {
      const sent = `${path} ${JSON.stringify(headers)} ${body}`
      for (const id of Object.values(secrets)) {
        expect(sent).not.toContain(id)
        expect(sent).not.toContain(encodeURIComponent(id))
        expect(sent).not.toContain(Buffer.from(id).toString('base64').slice(0, -4))
      }
    }
    const known = server.requests.map((received) => sentIn(received).session_id)
    expect(new Set(known).size).toBe(3)
    for (const id of known) expect(id === undefined || /^[0-9a-f]{32}$/.test(id)).toBe(true)
    expect(leaks({ held, heard, records: router.ledger.records, router }, secrets)).toEqual([])
    await router.close()
  })
})

describe('what a terminal would obey', () => {
  /** Moves, colours, titles, clipboard, hyperlinks, changes of direction, and what is not seen at all. */
  const NASTY = [
    '\u001b[2J',
    '\u001b]0;title\u0007',
    '\u001b]52;c;ZXZpbA==\u0007',
    '\u009b31m',
    '\u0008\u0008',
    '\r',
    '\u202ereversed\u202c',
    '\u2066isolated\u2069',
    '\u200f\u061c',
    '\u2028\u2029\u0085',
    '\u200b\ufeff\u2060',
    '\u0000\u007f',
  ]
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  const OBEYED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/

  test.each(NASTY)('is not in an error, whoever says it: %j', async (nasty) => {
    const escaped = JSON.stringify(nasty).slice(1, -1).replaceAll('\\', '\\\\')
    const told = `up${nasty}stream ${escaped} said`
    const bodies = [
      JSON.stringify({ error: { message: told, code: told, type: told } }),
      JSON.stringify({ error: told }),
      told,
      JSON.stringify({ error: { message: JSON.stringify(JSON.stringify(told)) } }),
    ]
    for (const body of bodies) {
      for (const streamed of [false, true]) {
        const server = await started(({ response }) => {
          if (!streamed) return reply(response, 400, body)
          const chunk = 'data: {"choices":[{"delta":{"content":"so far"}}]}\n\n'
          response.writeHead(200, STREAM).end(`${chunk}data: ${body.replaceAll(/[\r\n]/g, '')}\n\n`)
        })
        const provider = compatible({ name: 'own', baseURL: server.url, models: ['small'] })
        const router = createRouter({ providers: [provider], tasks: { say: { model: 'small' } } })
        const asked = streamed ? router.stream('say', 'Hi').completion : router.complete('say', 'Hi')
        const error: unknown = await asked.catch((thrown) => thrown)
        if (!RouterError.is(error)) throw error
        expect(error.message).not.toMatch(OBEYED)
        expect(error.stack?.replaceAll('\n', '')).not.toMatch(OBEYED)
        expect(outputsOf(error).inspect?.replaceAll('\n', '')).not.toMatch(OBEYED)
        await router.close()
      }
    }
  })

  test.each(NASTY)('is not in an error about the user’s own names: %j', (nasty) => {
    const made = (options: object) => () =>
      createRouter({
        providers: [compatible({ name: 'own', baseURL: 'https://a.b', models: ['small'] })],
        ...options,
      } as never)
    const tasks = { say: { model: 'small' } }
    for (const make of [
      made({ tasks, [`o${nasty}`]: 1 }),
      made({ tasks: { [`t${nasty}`]: { model: '' } } }),
      made({ tasks: { say: { model: 'small', provider: `p${nasty}` } } }),
      made({ tasks: { say: { model: 'small', limits: { [`l${nasty}`]: 1 } } } }),
      () => compatible({ name: `n${nasty}`, baseURL: 'https://a.b' }),
      () => compatible({ name: 'own', baseURL: `https://${nasty}` }),
      () => compatible({ name: 'own', baseURL: 'https://a.b', headers: { [`h${nasty}`]: 'x' } }),
    ]) {
      let thrown: unknown
      try {
        make()
      } catch (error) {
        thrown = error
      }
      if (!RouterError.is(thrown)) throw new Error(`${make}: ${thrown}`)
      expect(thrown.message).not.toMatch(OBEYED)
      expect(JSON.stringify(thrown.message)).not.toMatch(OBEYED)
    }
  })

  test('stays in the text of an answer: it is the model’s', async () => {
    const said = NASTY.join('')
    const server = await started(({ response }) => reply(response, 200, answerOf(said)))
    const provider = compatible({ name: 'own', baseURL: server.url, models: ['small'] })
    const router = createRouter({ providers: [provider], tasks: { say: { model: 'small' } } })
    expect((await router.complete('say', 'Hi')).text).toBe(said)
    await router.close()
  })
})

describe('nobody else notices', () => {
  test('a call changes nothing that is shared by the whole process', async () => {
    const ids = new Map<unknown, number>()
    const idOf = (value: unknown) => {
      if (!ids.has(value)) ids.set(value, ids.size)
      return ids.get(value)
    }
    const shared = () => ({
      globals: Reflect.ownKeys(globalThis),
      fetch: globalThis.fetch,
      timers: [setTimeout, clearTimeout, setInterval, queueMicrotask],
      parse: [JSON.parse, JSON.stringify, Math.random, Date.now, performance.now],
      prototypes: [Object, Array, Promise, Error, Response, Request, Headers, ReadableStream].map(({ prototype }) =>
        Object.entries(Object.getOwnPropertyDescriptors(prototype)).map(([key, { value, get }]) => [
          key,
          idOf(value ?? get),
        ]),
      ),
      environment: { ...process.env },
      listeners: ['exit', 'uncaughtException', 'unhandledRejection', 'warning', 'SIGINT'].map((name) => [
        name,
        process.listenerCount(name),
      ]),
      stack: [Error.stackTraceLimit, Error.prepareStackTrace],
    })
    const server = await started(({ response, n }) => reply(response, n === 2 ? 500 : 200, answerOf('hello')))
    // Node's own fetch makes itself known when it is used first.
    await fetch(server.url).then((response) => response.text())
    const before = shared()
    const provider = compatible({ name: 'own', baseURL: server.url, models: ['small'], apiKey: KEY })
    const router = createRouter({ providers: [provider], tasks: { say: { model: 'small' } }, random: hasty() })
    await router.complete('say', 'Hi', { session: 'one' }).catch(() => {})
    await router.stream('say', 'Hi').completion.catch(() => {})
    await router.close()
    const after = shared()
    for (const [name, value] of Object.entries(before)) expect([name, Reflect.get(after, name)]).toEqual([name, value])
  })

  test('what a caller wrote comes out of no error, wherever in the request it stood', async () => {
    const secrets = canaries()
    const { prompt, system, argument, user } = secrets
    const server = await started(({ response, body }) => {
      const told = { message: `cannot read ${body}`, code: prompt, type: system }
      reply(response, 400, JSON.stringify({ error: told, user_id: user }))
    })
    const provider = compatible({ name: 'own', baseURL: server.url, models: ['small'], apiKey: secrets.key })
    const heard: RouterEvent[] = []
    const router = createRouter({
      providers: [provider],
      tasks: { say: { model: 'small' } },
      on: (event) => void heard.push(event),
    })
    const tool = { type: 'function' as const, function: { name: 'look_up', description: argument, parameters: {} } }
    const error = await router
      .complete('say', {
        messages: [
          { role: 'system', content: system },
          { role: 'user', content: [{ type: 'text', text: prompt }] },
        ],
        tools: [tool],
        user,
      })
      .catch((thrown: unknown) => thrown)
    expect(RouterError.is(error)).toBe(true)
    expect(leaks({ error, heard, records: router.ledger.records }, secrets)).toEqual([])
    await router.close()
  })
})
