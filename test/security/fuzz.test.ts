import { inspect } from 'node:util'
import fc from 'fast-check'
import { ConfigError, compatible, createRouter, groq, openrouter, RouterError } from 'modelfirst'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { FAILURE_KINDS } from '../../src/failure.ts'
import { retryAfter } from '../../src/retry-after.ts'
import { readError, readText, type WireReply } from '../../src/wires/wire.ts'
import { runs } from '../support/runs.ts'
import { anyText } from '../support/text.ts'
import { leapingClock } from './clock.ts'

const DEEP = process.env.MODELFIRST_DEEP === '1'
const RUNS = runs()
const PATIENCE = DEEP ? 1_800_000 : 60_000
const DAY = 86_400_000

const keysOf = () => [Object.prototype, Array.prototype, Function.prototype].map((each) => Reflect.ownKeys(each))
let before: ReturnType<typeof keysOf>
beforeAll(() => {
  before = keysOf()
})
afterAll(() => {
  expect(keysOf()).toEqual(before)
})

const MARK = 'zzmarkq7x2k9w4b8n5m1'
const nasty = fc.constantFrom(
  '\r',
  '\n',
  '\0',
  '\r\n',
  ' ',
  '\t',
  '\x7f',
  '\x80',
  'ÿ',
  'Ā',
  '\u2028',
  '\ud800',
  '🌍',
  '"',
  '\\',
  ':',
  '',
)
/** Text with something in it that must not be repeated. */
const marked = fc
  .tuple(fc.oneof(nasty, anyText()), nasty, fc.oneof(nasty, fc.string()))
  .map(([front, middle, back]) => `${front}${MARK}${middle}${MARK}${back}`)
const anything = fc.oneof(
  { weight: 6, arbitrary: marked },
  { weight: 1, arbitrary: marked.map((text) => [text]) },
  { weight: 1, arbitrary: marked.map((text) => ({ text, toString: text })) },
  { weight: 1, arbitrary: marked.map((text) => Symbol(text)) },
  { weight: 1, arbitrary: marked.map((text) => () => text) },
  { weight: 1, arbitrary: fc.anything() },
)

/** What was thrown names no value, wherever one looks. */
function expectDiscreet(error: unknown): void {
  expect(ConfigError.is(error)).toBe(true)
  if (!(error instanceof Error)) return
  const shown = [
    error.message,
    error.stack,
    JSON.stringify(error),
    inspect(error, { depth: 9, showHidden: true, customInspect: false }),
  ]
  expect(shown.join()).not.toContain(MARK)
  expect(error.message).toMatch(/^[^\r\n\0]{1,400}$/)
}

describe('what a user may pass by mistake', () => {
  let seen: Headers | undefined
  const fetch = async (_: string, init: RequestInit) => {
    seen = new Headers(init.headers)
    return Response.json({ choices: [{ message: { content: 'hi' }, finish_reason: 'stop' }] })
  }
  const baseURL = 'https://api.example.com/v1'
  // biome-ignore lint/suspicious/noExplicitAny: what plain JavaScript may pass
  type Anything = any
  const make: readonly [string, (value: Anything) => ReturnType<typeof openrouter | typeof groq>, string][] = [
    ['a key', (apiKey) => groq({ apiKey, baseURL, fetch, models: ['small'] }), 'authorization'],
    [
      'a title',
      (title) => openrouter({ apiKey: 'sk-fuzz-key', baseURL, title, fetch, models: ['small'] }),
      'x-openrouter-title',
    ],
    [
      'a header',
      (value) => groq({ apiKey: 'sk-fuzz-key', baseURL, headers: { 'x-own': value }, fetch, models: ['small'] }),
      'x-own',
    ],
    [
      'a header called',
      (name) =>
        groq({
          apiKey: 'sk-fuzz-key',
          baseURL,
          headers: { [typeof name === 'string' ? name : 'x']: '1' },
          fetch,
          models: ['small'],
        }),
      '',
    ],
  ]

  test.each(make)(
    '%s is sent as it is, or refused without being told',
    async (_title, provider, header) => {
      await fc.assert(
        fc.asyncProperty(anything, async (value) => {
          let made: ReturnType<typeof openrouter | typeof groq>
          try {
            made = provider(value)
          } catch (error) {
            return expectDiscreet(error)
          }
          await made.send({ method: 'GET', path: '/models', signal: new AbortController().signal })
          if (header === '' || typeof value !== 'string') return
          // Blanks around a value are no part of it.
          const sent = seen?.get(header)?.replace(/^Bearer /, '')
          expect(sent).toBe(value.replace(/^[\t ]+|[\t ]+$/g, ''))
        }),
        RUNS,
      )
    },
    PATIENCE,
  )

  test(
    'the id of a session is hashed, or refused without being told',
    async () => {
      const bodies: string[] = []
      const keeping = async (url: string, init: RequestInit) => {
        bodies.push(String(init.body))
        return fetch(url, init)
      }
      const router = createRouter({
        providers: [openrouter({ apiKey: 'sk-fuzz-key', baseURL, fetch: keeping, models: ['small'] })],
        tasks: { say: { model: 'small' as string } },
      })
      const hashes = new Map<string, string>()
      await fc.assert(
        fc.asyncProperty(anything, async (session: Anything) => {
          bodies.length = 0
          let usage: { session: string | null }
          try {
            usage = (await router.complete('say', 'Hi', { session })).usage
          } catch (error) {
            return expectDiscreet(error)
          }
          const hash = usage.session
          if (hash === null) return
          expect(hash).toMatch(/^[0-9a-f]{32}$/)
          expect(`${JSON.stringify(usage)}${bodies}`).not.toContain(MARK)
          expect(bodies.join()).toContain(hash)
          // Two ids are never one; lone halves of a letter are no letters to UTF-8.
          if (session.isWellFormed?.() === false) return
          expect(hashes.get(hash) ?? session).toBe(session)
          hashes.set(hash, session)
        }),
        RUNS,
      )
      await router.close()
    },
    PATIENCE,
  )
})

/** JSON as a provider may send it, with the words that mean something in the places where they do. */
const word = fc.oneof(
  fc.constantFrom(
    'error',
    'message',
    'code',
    'type',
    'metadata',
    'raw',
    'error_type',
    'availability',
    'retry_after',
    'choices',
  ),
  fc.constantFrom(
    'delta',
    'content',
    'tool_calls',
    'function',
    'arguments',
    'index',
    'id',
    'finish_reason',
    'usage',
    'status',
  ),
  fc.constantFrom(
    '__proto__',
    'constructor',
    'then',
    'toString',
    'toJSON',
    'length',
    'rate_limit_exceeded',
    'reasons',
    'x_groq',
  ),
  fc.string({ maxLength: 6 }),
)
const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5 },
    fc.oneof(word, fc.string(), fc.double(), fc.integer(), fc.boolean(), fc.constant(null)),
    fc.array(tie('tree'), { maxLength: 3 }),
    fc.array(fc.tuple(word, tie('tree')), { maxLength: 4 }).map((entries): unknown => Object.fromEntries(entries)),
  ),
}))

const encoder = new TextEncoder()
/** A wire in memory that gives back whatever the test has put here. */
let reply: () => WireReply
const wire = { send: async () => reply() }
const providers = [
  groq({ wire, models: ['small'] }),
  openrouter({ wire, models: ['small'] }),
  compatible({ name: 'own', wire, baseURL: 'https://api.example.com/v1', models: ['small'] }),
] as const
const clock = leapingClock()
const router = createRouter({
  providers,
  clock,
  tasks: {
    groq: { model: 'small' as string, provider: 'groq', limits: { attempts: 1 } },
    openrouter: { model: 'small' as string, provider: 'openrouter', limits: { attempts: 1 } },
    own: { model: 'small' as string, provider: 'own', limits: { attempts: 1 } },
  },
})
const task = fc.constantFrom('groq', 'openrouter', 'own')

function replying(status: number, headers: Record<string, string>, pieces: readonly Uint8Array[]): void {
  clock.leap()
  reply = () => ({
    status,
    headers: { get: (name) => headers[name] ?? null },
    body: new ReadableStream<Uint8Array>({
      start(controller) {
        for (const piece of pieces) controller.enqueue(piece)
        controller.close()
      },
    }),
  })
}

describe('what a provider may answer', () => {
  const body = fc.oneof(
    tree.map((value) => JSON.stringify({ error: value })),
    tree.map((value) => JSON.stringify(value)),
    fc
      .record({ code: tree, message: tree, type: tree, metadata: tree, availability: tree }, { requiredKeys: [] })
      .map((error) => JSON.stringify({ error })),
    fc.tuple(tree, fc.nat(60)).map(([value, cut]) => JSON.stringify({ error: value }).slice(0, cut)),
    anyText(),
    fc.constantFrom('', ' ', 'null', '[]', '{}', '"no"', '<html></html>', '{"error":', '\ufeff{}', '0'),
  )
  const status = fc.oneof(
    fc.constantFrom(0, 100, 204, 301, 400, 401, 402, 403, 404, 408, 409, 413, 422, 429),
    fc.integer({ min: 400, max: 599 }),
    fc.integer({ min: 0, max: 999 }),
  )

  test(
    'with any status and any shape of error is a failure of a known kind',
    async () => {
      await fc.assert(
        fc.asyncProperty(task, status, body, fc.boolean(), async (name, code, text, streamed) => {
          // A 200 may well hold an answer, which is another matter: there has to be an error in it.
          const isFine = code >= 200 && code < 300
          const told = isFine
            ? '{"error":{"message":"no"},"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'
            : text
          replying(code, { 'content-type': 'application/json' }, [encoder.encode(told)])
          const asked = streamed ? router.stream(name, 'Hi').completion : router.complete(name, 'Hi')
          const error: unknown = await asked.then(
            () => 'a success',
            (thrown) => thrown,
          )
          if (!RouterError.is(error)) throw new Error(`${code} ${told}: ${inspect(error)}`)
          expect(FAILURE_KINDS).toContain(error.kind)
          expect(error.message).toMatch(/^[^\p{Cc}\u2028-\u202e]+$/u)
          expect(error.attempts).toHaveLength(1)
          expect(error.attempts[0]?.outcome).toBe(error.kind)
        }),
        RUNS,
      )
    },
    PATIENCE,
  )

  const header = fc.oneof(
    fc.string({ unit: 'grapheme-ascii' }),
    fc.double().map(String),
    fc.integer().map(String),
    fc.bigInt().map(String),
    fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
    fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
    fc.stringMatching(/^[0-9hmsnuµ., -]{0,16}$/),
    fc.tuple(fc.nat(), fc.constantFrom('h', 'm', 's', 'ms', 'ns', '', ' s', 'e9')).map(([n, unit]) => `${n}${unit}`),
  )
  const hint = fc.oneof(fc.string(), fc.double(), fc.integer(), fc.constantFrom(1e308, -0, '1e9', null))

  test(
    'as a time to wait is between nothing and a day, or none',
    async () => {
      await fc.assert(
        fc.asyncProperty(
          task,
          fc.option(header),
          fc.option(header),
          fc.option(header),
          hint,
          async (name, after, exact, date, given) => {
            const headers = {
              ...(after !== null && { 'retry-after': after }),
              ...(exact !== null && { 'retry-after-ms': exact }),
              ...(date !== null && { date }),
            }
            const wait = retryAfter({ get: (key) => Reflect.get(headers, key) ?? null }, 1_700_000_000_000)
            expect(wait === null || (wait >= 0 && wait <= DAY)).toBe(true)
            replying(429, headers, [
              encoder.encode(JSON.stringify({ error: { message: 'slow', availability: { retry_after: given } } })),
            ])
            const error: unknown = await router.complete(name, 'Hi').catch((thrown) => thrown)
            if (!RouterError.is(error)) throw error
            const { retryAfterMs } = error
            expect(retryAfterMs === null || (retryAfterMs >= 0 && retryAfterMs <= DAY)).toBe(true)
          },
        ),
        RUNS,
      )
    },
    PATIENCE,
  )
})

describe('the chunks of a stream', () => {
  const delta = (content: object, finish: string | null = null) => ({
    id: 'gen-1',
    model: 'small',
    provider: 'Host',
    choices: [{ index: 0, delta: content, finish_reason: finish }],
  })
  const usage = { prompt_tokens: 5, completion_tokens: 3, cost: 0.001, prompt_tokens_details: { cached_tokens: 1 } }
  const call = (more: object) => ({ tool_calls: [{ index: 0, ...more }] })
  const STREAMS: readonly (readonly object[])[] = [
    [
      delta({ role: 'assistant', content: '' }),
      delta({ content: 'one ' }),
      delta({ content: 'two' }),
      delta({}, 'stop'),
      { choices: [], usage },
    ],
    [
      delta({ reasoning: 'hm', reasoning_details: [{ type: 'reasoning.text', index: 0, text: 'hm' }] }),
      delta({ content: 'yes' }, 'stop'),
      { choices: [], usage },
    ],
    [
      delta(call({ id: 'a', function: { name: 'f', arguments: '' } })),
      delta(call({ function: { arguments: '{"a"' } })),
      delta(call({ function: { arguments: ':1}' } })),
      delta({}, 'tool_calls'),
    ],
    [delta({ content: 'so far' }), { error: { code: 502, message: 'down' }, choices: [] }],
  ]

  /** One value, somewhere in it, is another, is gone, or has a neighbour. */
  const mutated = fc
    .record({
      stream: fc.constantFrom(...STREAMS),
      at: fc.nat(),
      how: fc.constantFrom('other', 'gone', 'more'),
      name: word,
      value: tree,
    })
    .map(({ stream, at, how, name, value }) => {
      const copy = structuredClone(stream)
      const places: [object, string][] = []
      const visit = (node: unknown) => {
        if (typeof node !== 'object' || node === null) return
        for (const [key, inner] of Object.entries(node)) {
          places.push([node, key])
          visit(inner)
        }
      }
      visit(copy)
      const [node, key] = places[at % places.length] ?? [{}, '']
      if (how === 'gone') Reflect.deleteProperty(node, key)
      else if (how === 'more' && Array.isArray(node)) node.push(value)
      else
        Object.defineProperty(node, how === 'other' ? key : name, {
          value,
          enumerable: true,
          configurable: true,
          writable: true,
        })
      return copy.map((chunk) => `data: ${JSON.stringify(chunk) ?? ''}\n\n`)
    })
  const edits = fc.array(
    fc.record({ at: fc.nat(), how: fc.constantFrom('drop', 'twice', 'swap', 'cut', 'done', 'noise', 'event') }),
    { maxLength: 3 },
  )

  function edited(chunks: readonly string[], plan: readonly { at: number; how: string }[]): string[] {
    const out = [...chunks, 'data: [DONE]\n\n']
    for (const { at, how } of plan) {
      const n = at % Math.max(out.length, 1)
      const chunk = out[n] ?? ''
      if (how === 'drop') out.splice(n, 1)
      else if (how === 'twice') out.splice(n, 0, chunk)
      else if (how === 'swap') out.splice(n, 2, out[n + 1] ?? '', chunk)
      else if (how === 'cut') out[n] = chunk.slice(0, at % (chunk.length + 1))
      else if (how === 'done') out.splice(n, 0, 'data: [DONE]\n\n')
      else if (how === 'noise') out.splice(n, 0, ': \u0000\ufeff noise\r\r\n\ndata\n\nid: 1\nretry: -1\n\n')
      else out[n] = `event: error\n${chunk}`
    }
    return out
  }

  test(
    'changed in any way, cut anywhere, end in an answer that was finished or in a known failure',
    async () => {
      await fc.assert(
        fc.asyncProperty(
          task,
          mutated,
          edits,
          fc.array(fc.nat(2000), { maxLength: 4 }),
          async (name, chunks, plan, cuts) => {
            const text = edited(chunks, plan).join('')
            const bytes = encoder.encode(text)
            const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)
            const pieces = ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end))
            replying(200, { 'content-type': 'text/event-stream' }, pieces)
            const stream = router.stream(name, 'Hi')
            let said = ''
            try {
              for await (const event of stream) if (event.type === 'text-delta') said += event.text
            } catch (error) {
              if (!RouterError.is(error)) throw error
              expect(FAILURE_KINDS).toContain(error.kind)
              expect(await stream.completion.catch((thrown: unknown) => thrown)).toBe(error)
              return
            }
            const { text: whole, finish, toolCalls } = await stream.completion
            expect(whole).toBe(said)
            expect(/"finish_reason":"|\[DONE\]/.test(text)).toBe(true)
            expect(finish.raw === null || typeof finish.raw === 'string').toBe(true)
            for (const { arguments: given, json } of toolCalls) expect(given).toEqual(JSON.parse(json.trim() || '{}'))
          },
        ),
        RUNS,
      )
    },
    PATIENCE,
  )

  test(
    'of any bytes, cut anywhere, give the same text whole and piece by piece',
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.uint8Array({ maxLength: 30_000, size: 'max' }), { maxLength: 6 }),
          async (pieces) => {
            replying(200, {}, pieces)
            const all = Buffer.concat(pieces)
            const text = new TextDecoder().decode(all)
            const until = <T>(step: Promise<T>) => step
            expect(await readText(reply(), { most: all.length, until })).toBe(text)
            const begun = await readError(reply(), { until, clock: systemClock })
            expect(text.startsWith(begun.slice(0, -4)) && begun.length <= 64 * 1024).toBe(true)
            if (all.length === 0) return
            await expect(readText(reply(), { most: all.length - 1, until })).rejects.toThrow('more than')
          },
        ),
        { numRuns: DEEP ? 10_000 : 100 },
      )
    },
    PATIENCE,
  )
})

describe('an address', () => {
  const scheme = fc.constantFrom(
    'https://',
    'http://',
    'HTTPS://',
    'https:',
    'https:/',
    'https:\\\\',
    '//',
    '',
    'ftp://',
    'file:///',
    'blob:https://',
    'javascript:',
    'data:',
    ' https://',
    'https\t://',
  )
  const user = fc.constantFrom(
    '',
    '',
    '',
    'me@',
    `${MARK}:${MARK}@`,
    ':@',
    '@',
    `api.groq.com%40`,
    'api.groq.com\\@',
    'api.groq.com#@',
    'api.groq.com?@',
  )
  const host = fc.oneof(
    fc.constantFrom(
      'api.groq.com',
      'openrouter.ai',
      'evil.example.com',
      'localhost',
      '127.0.0.1',
      '[::1]',
      '[::ffff:127.0.0.1]',
      '[::ffff:7f00:1]',
      '0x7f.1',
      '2130706433',
      '0.0.0.0',
      '169.254.169.254',
      'localhost.evil.com',
      'api.groq.com.evil.com',
      'аpi.groq.com',
      'api。groq。com',
      'xn--pi-7kc.groq.com',
      'a_b',
      '..',
      '',
    ),
    fc.domain(),
    fc.ipV4(),
    fc.ipV6().map((address) => `[${address}]`),
  )
  const port = fc.constantFrom('', '', ':443', ':80', ':8080', ':0', ':99999', ':', ':a')
  const path = fc
    .array(
      fc.constantFrom(
        '/',
        '/v1',
        '/openai',
        '/..',
        '/.',
        '/%2e%2e',
        '/%2E.',
        '\\',
        '/\\..',
        '//',
        '/a b',
        '/%00',
        '/;',
        '/@',
        '/\n',
        `/${MARK}`,
        '/ä',
        '?a=b',
        '#a',
        '/models',
        '/chat/completions',
      ),
      { maxLength: 4 },
    )
    .map((parts) => parts.join(''))
  const address = fc.tuple(scheme, user, host, port, path).map((parts) => parts.join(''))
  const isLocal = (name: string) => /^(localhost|.+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(name)

  test(
    'is asked where it says, over https or on this machine, or refused without being told',
    async () => {
      const asked: string[] = []
      const fetch = async (url: string) => {
        asked.push(url)
        return Response.json({ data: [] })
      }
      await fc.assert(
        fc.asyncProperty(address, async (baseURL) => {
          let provider: ReturnType<typeof compatible>
          try {
            provider = compatible({ name: 'own', baseURL, apiKey: 'sk-fuzz-key', fetch })
          } catch (error) {
            return expectDiscreet(error)
          }
          asked.length = 0
          await provider.send({ method: 'GET', path: '/models', signal: new AbortController().signal })
          const [url = ''] = asked
          const [sent, given] = [new URL(url), new URL(baseURL)]
          expect(asked).toHaveLength(1)
          expect(sent.href).toBe(url)
          expect(sent.host).toBe(given.host)
          expect(sent.protocol === 'https:' || (sent.protocol === 'http:' && isLocal(sent.hostname))).toBe(true)
          expect(`${sent.username}${sent.password}${sent.search}${sent.hash}`).toBe('')
          expect(sent.pathname).toMatch(/\/models$/)
          expect(`${baseURL.trim()}${url}`).not.toMatch(/\\|\s/)
          expect(sent.pathname).not.toMatch(/\/\.\.?(\/|$)/)
        }),
        RUNS,
      )
    },
    PATIENCE,
  )

  test(
    'that is not home never gets a key of the environment',
    () => {
      const given = { ...process.env }
      Object.assign(process.env, { GROQ_API_KEY: MARK, OPENROUTER_API_KEY: MARK })
      try {
        fc.assert(
          fc.property(address, fc.constantFrom(groq, openrouter), (baseURL, make) => {
            const home = make === groq ? 'https://api.groq.com' : 'https://openrouter.ai'
            try {
              make({ baseURL })
            } catch (error) {
              return expectDiscreet(error)
            }
            expect(new URL(baseURL).origin).toBe(home)
          }),
          RUNS,
        )
      } finally {
        for (const name of ['GROQ_API_KEY', 'OPENROUTER_API_KEY']) {
          if (given[name] === undefined) delete process.env[name]
          else process.env[name] = given[name]
        }
      }
    },
    PATIENCE,
  )
})
