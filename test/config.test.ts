import { inspect } from 'node:util'
import { ConfigError, compatible, createRouter, groq, openrouter, RouterError, when } from 'modelfirst'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { leaks } from './support/canaries.ts'
import { answerOf } from './support/server.ts'

/** What plain JavaScript may pass anywhere. */
// biome-ignore lint/suspicious/noExplicitAny: that is the point
type Anything = any

const KEY = 'sk-canary-key-0123456789'
const PROMPT = 'zzcanaryprompt'

const provider = (more: object = {}) =>
  compatible({
    name: 'own',
    baseURL: 'http://localhost:1/v1',
    models: ['small'],
    apiKey: KEY,
    fetch: async () => new Response(answerOf('hello')),
    ...more,
  })
const tasks = { say: { model: 'small' } }
const router = (more: Anything = {}) => createRouter({ providers: [provider()], tasks, ...more })
const complete = (...given: Anything[]) => {
  const [task = 'say', input = 'hi', options] = given
  return router().complete(task, input, options)
}
const revoked = () => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}
const throwing = new Proxy(
  {},
  {
    get: () => {
      throw new Error(PROMPT)
    },
    ownKeys: () => {
      throw new Error(PROMPT)
    },
  },
)

async function errorOf(run: () => unknown): Promise<ConfigError> {
  try {
    await run()
  } catch (error) {
    if (ConfigError.is(error)) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

/** Where it stands, and what is said of it. */
type Row = readonly [field: string, says: string, run: () => unknown]

const ROUTER: Row[] = [
  ['createRouter', 'expected { providers, tasks }, got nothing', () => createRouter(undefined as Anything)],
  ['createRouter', 'got null', () => createRouter(null as Anything)],
  ['createRouter', 'got a string', () => createRouter(KEY as Anything)],
  ['createRouter', 'got an array', () => createRouter([provider()] as Anything)],
  ['createRouter', 'expected { providers, tasks }', () => createRouter(throwing as Anything)],
  ['createRouter.provider', 'did you mean "providers"?', () => router({ provider: [provider()] })],
  ['createRouter.task', 'did you mean "tasks"?', () => router({ task: {} })],
  ['tasks', 'expected policies by task name, got nothing', () => createRouter({ providers: [provider()] } as Anything)],
  ['tasks', 'got an array', () => router({ tasks: [{ model: 'small' }] })],
  ['providers', 'expected a list such as [groq(), openrouter()], got an object', () => router({ providers: {} })],
  ['providers', 'got an empty list', () => router({ providers: [] })],
  [
    'providers[0]',
    'expected groq(), openrouter() or compatible(…), got a string',
    () => router({ providers: ['groq'] }),
  ],
  ['providers[0]', 'got a function', () => router({ providers: [groq] })],
  ['providers[1]', 'a second "own"', () => router({ providers: [provider(), provider()] })],
  ['sinks', 'expected a list of functions', () => router({ sinks: () => {} })],
  ['sinks', 'expected a list of functions', () => router({ sinks: [{}] })],
  ['on', 'expected a function, got an object', () => router({ on: {} })],
  ['secret', 'expected a string that is not empty, got an empty string', () => router({ secret: '' })],
  ['secret', 'got a number', () => router({ secret: 42 })],
  ['clock', 'expected a clock', () => router({ clock: Date })],
  ['clock', 'expected a clock', () => router({ clock: { now: () => Number.NaN, date: () => 0, timer() {} } })],
  ['random', 'expected a function', () => router({ random: 4 })],
  ['defaults', 'expected an object of request settings', () => router({ defaults: [] })],
  ['catalog', 'expected { models, prices }', () => router({ catalog: 'prices' })],
  ['catalog.model', 'did you mean "models"?', () => router({ catalog: { model: [] } })],
  [
    'createRouter.limits.attempts',
    'expected a whole number from 1 to 100, got 0',
    () => router({ limits: { attempts: 0 } }),
  ],
  ['createRouter.limits.timeout', 'did you mean "timeoutMs"?', () => router({ limits: { timeout: 1 } })],
  ['createRouter.data.training', 'expected "deny", got a string', () => router({ data: { training: 'allow' } })],
]

const task = (policy: unknown) => () => router({ tasks: { say: policy } })

const POLICIES: Row[] = [
  ['tasks.say', 'got null', task(null)],
  ['tasks.say', 'got a string', task('small')],
  ['tasks.say.model', 'expected a model id, a list of them, or a rule such as cheapest(), got nothing', task({})],
  ['tasks.say.model', 'got an empty string', task({ model: '' })],
  ['tasks.say.model', 'got an empty array', task({ model: [] })],
  ['tasks.say.model[1]', 'got null', task({ model: ['small', null] })],
  ['tasks.say.model', 'got 7', task({ model: 7 })],
  ['tasks.say.models', 'did you mean "model"?', task({ models: 'small' })],
  ['tasks.say.provider', 'unknown provider "gorq"', task({ model: 'small', provider: 'gorq' })],
  ['tasks.say.provider[1]', 'did you mean "own"?', task({ model: 'small', provider: ['own', 'onw'] })],
  ['tasks.say.provider', 'got an empty array', task({ model: 'small', provider: [] })],
  [
    'tasks.say.session',
    'expected "sticky", "derived", "off" or { id, rule, marks }, got true',
    task({ model: 'small', session: true }),
  ],
  ['tasks.say.limits.attempts', 'got 1.5', task({ model: 'small', limits: { attempts: 1.5 } })],
  [
    'tasks.say.limits.timeoutMs',
    'expected milliseconds above 0, got -1',
    task({ model: 'small', limits: { timeoutMs: -1 } }),
  ],
  [
    'tasks.say.limits.timeoutMs',
    'expected milliseconds above 0',
    task({ model: 'small', limits: { timeoutMs: Number.NaN } }),
  ],
  [
    'tasks.say.limits.maxCostUsd',
    'expected USD above 0, got a string',
    task({ model: 'small', limits: { maxCostUsd: '1' } }),
  ],
  ['tasks.say.fallback', 'expected a list of rules', task({ model: 'small', fallback: when('refused').stop() })],
  ['tasks.say.fallback[1]', 'got a string', task({ model: 'small', fallback: [() => null, 'stop'] })],
  [
    'tasks.say.fallback[0]',
    'end the sentence with a verb such as .nextProvider()',
    task({ model: 'small', fallback: [when('refused')] }),
  ],
  ['tasks.say.hedge', "expected { afterMs: milliseconds or 'p95' }", task({ model: 'small', hedge: 500 })],
  ['tasks.say.hedge.afterMs', 'got nothing', task({ model: 'small', hedge: {} })],
  [
    'tasks.say.hedge.afterMs',
    'expected milliseconds above 0, or "p95"',
    task({ model: 'small', hedge: { afterMs: 0 } }),
  ],
  ['tasks.say.hedge.maxExtraUsd', 'got -1', task({ model: 'small', hedge: { afterMs: 1, maxExtraUsd: -1 } })],
  ['tasks.say.hedge.after', 'did you mean "afterMs"?', task({ model: 'small', hedge: { after: 1 } })],
  ['when', 'did you mean "rate-limited"?', () => when('rate-limit' as Anything)],
  ['when', 'got an empty array', () => when([])],
  ['when', 'got a number', () => when(429 as Anything)],
  ['when(…).retry', 'got 0', () => when('refused').retry(0)],
  ['when(…).retry', 'got 1.5', () => when('refused').retry(1.5)],
  ['when(…).retry', 'got Infinity', () => when('refused').retry(Number.POSITIVE_INFINITY)],
  ['when(…).wait', 'got -1', () => when('refused').wait(-1)],
  ['when(…).wait', 'got NaN', () => when('refused').wait(Number.NaN)],
  ['when(…).wait', 'got a string', () => when('refused').wait('5s' as Anything)],
  ['tasks.say.data.retention', 'expected "zero"', task({ model: 'small', data: { retention: 'none' } })],
  ['tasks.say.request', 'expected an object of request settings', task({ model: 'small', request: 'hot' })],
  ['task', 'unknown task "sya": expected one of say; did you mean "say"?', () => complete('sya')],
  ['task', 'unknown task "__proto__"', () => complete('__proto__')],
  ['task', 'unknown task "constructor"', () => complete('constructor')],
  ['task', 'expected the name of a task or a policy, got null', () => complete(null)],
  ['task', 'got a symbol', () => complete(Symbol(KEY))],
  ['policy.modle', 'did you mean "model"?', () => complete({ modle: 'small' })],
]

const INPUTS: Row[] = [
  ['input', 'got an empty string', () => complete('say', '')],
  ['input', 'got null', () => complete('say', null)],
  ['input', 'got a number', () => complete('say', 42)],
  ['input', 'got a function', () => complete('say', () => PROMPT)],
  ['input', 'got a symbol', () => complete('say', Symbol(PROMPT))],
  ['input', 'some of it cannot be read', () => complete('say', revoked())],
  ['input.messages', 'expected at least one message, got nothing', () => complete('say', {})],
  ['input.messages', 'got an empty array', () => complete('say', [])],
  ['input.messages', 'got a string', () => complete('say', { messages: PROMPT })],
  ['input.messages[0]', 'expected a message with a role', () => complete('say', [PROMPT])],
  ['input.messages[0]', 'got null', () => complete('say', [null])],
  ['input.messages[1]', 'expected a message with a role', () => complete('say', [{ role: 'user', content: 'a' }, {}])],
  ['input.messages[0]', 'expected a message with a role', () => complete('say', [{ role: 'robot', content: PROMPT }])],
  ['input.messages[0].content', 'got a number', () => complete('say', [{ role: 'user', content: 42 }])],
  ['input.messages[0].content', 'got an object', () => complete('say', [{ role: 'user', content: { text: PROMPT } }])],
  ['input.messages[0].content', 'each with a type', () => complete('say', [{ role: 'user', content: [PROMPT] }])],
  [
    'input',
    'some of it cannot be read',
    () => complete('say', [{ role: 'assistant', content: '', tool_calls: [{ function: null }] }]),
  ],
  [
    'input',
    'some of it cannot be read',
    () => complete('say', { messages: [{ role: 'user', content: PROMPT }], tools: [{ big: 1n }] }),
  ],
]

const OPTIONS: Row[] = [
  ['options', 'got null', () => complete('say', 'hi', null)],
  ['options', 'got a string', () => complete('say', 'hi', 'session')],
  ['options.sesion', 'did you mean "session"?', () => complete('say', 'hi', { sesion: 'a' })],
  [
    'options.signal',
    'expected an AbortSignal, got an object',
    () => complete('say', 'hi', { signal: new AbortController() }),
  ],
  ['options.request', 'expected an object of request settings', () => complete('say', 'hi', { request: 1 })],
  ['options.limits', 'expected an object', () => complete('say', 'hi', { limits: 3 })],
  ['options.limits.attempts', 'got 0', () => complete('say', 'hi', { limits: { attempts: 0 } })],
  ['options.data.training', 'expected "deny"', () => complete('say', 'hi', { data: { training: 'allow' } })],
  ['options.metadata', 'expected an object of strings', () => complete('say', 'hi', { metadata: { n: 1 } })],
  ...['', 'x'.repeat(1_000_000), null, 42, true, Symbol('id'), {}, [], throwing, revoked(), () => 'id'].map(
    (session): Row => ['options.session', 'expected 1 to 4096 characters', () => complete('say', 'hi', { session })],
  ),
  ...['', null, 42, throwing].map(
    (session): Row => ['options.session', 'expected 1 to 4096 characters', () => router().session(session as Anything)],
  ),
]

const hasProviderFields = (name: string, make: (options: Anything) => unknown): Row[] => [
  [name, 'expected an object such as', () => make(null)],
  [name, 'got a string', () => make(KEY)],
  [name, 'got an empty array', () => make([])],
  [`${name}.apikey`, 'did you mean "apiKey"?', () => make({ apikey: KEY })],
  [`${name}.baseUrl`, 'did you mean "baseURL"?', () => make({ baseUrl: 'https://api.example.com' })],
  [`${name}.wire`, 'expected a wire', () => make({ wire: {} })],
  [`${name}.client`, 'expected an OpenAI client', () => make({ client: { apiKey: KEY } })],
  [`${name}.fetch`, 'expected a function', () => make({ fetch: 'fetch' })],
  [`${name}.headers`, 'expected an object of headers', () => make({ headers: [['a', 'b']] })],
  [`${name}.models`, 'expected a list', () => make({ models: 'small' })],
  [`${name}.dataTerms`, 'expected { training: false', () => make({ dataTerms: { training: 'no' } })],
  [`${name}.dataTerms`, 'expected { training: false', () => make({ dataTerms: { retained: 'zero' } })],
]

const PROVIDERS: Row[] = [
  ...hasProviderFields('groq', groq),
  ...hasProviderFields('openrouter', openrouter),
  ...hasProviderFields('compatible', compatible),
  [
    'groq.serviceTier',
    'expected one of auto, on_demand, flex, performance',
    () => groq({ serviceTier: 'fast' } as Anything),
  ],
  [
    'groq.models[0]',
    'expected a model id or an object with one, got null',
    () => groq({ apiKey: KEY, models: [null] } as Anything),
  ],
  ['openrouter.title', 'a string with a line break', () => openrouter({ apiKey: KEY, title: 'Acme\r\nx-evil: 1' })],
  ['openrouter.referer', 'fits a header', () => openrouter({ apiKey: KEY, referer: 'https://ä🌍' })],
  ['openrouter.categories', 'expected a list of words', () => openrouter({ categories: 'chat' } as Anything)],
  ['openrouter.preferences', 'expected an object', () => openrouter({ preferences: 'price' } as Anything)],
  ['openrouter.plugins', 'expected a list', () => openrouter({ plugins: {} } as Anything)],
  ['compatible.name', 'expected letters, digits, ".", "_" or "-", got nothing', () => compatible({} as Anything)],
  ['compatible.name', 'expected letters', () => compatible({ name: 'a/b', baseURL: 'https://a.b' })],
  ['compatible.name', 'expected letters', () => compatible({ name: '__proto__', baseURL: 'https://a.b' })],
  ['own.baseURL', 'expected the address', () => compatible({ name: 'own' } as Anything)],
  [
    'compatible.prices',
    'expected price lists',
    () => compatible({ name: 'own', baseURL: 'https://a.b', prices: 3 } as Anything),
  ],
]

const keys: [string, unknown, string][] = [
  ['empty', '', 'an empty string'],
  ['with a line break', `${KEY}\n`, 'a line break'],
  ['with a carriage return', `${KEY}\r\nx-evil: 1`, 'a line break'],
  ['with NUL', `${KEY}\0`, 'other characters'],
  ['with a space', ` ${KEY}`, 'other characters'],
  ['with a tab', `${KEY}\t`, 'other characters'],
  ['not ASCII', `${KEY}ä`, 'other characters'],
  ['with a bullet', `••••${KEY}`, 'other characters'],
  ['null', null, 'null'],
  ['a number', 42, 'a number'],
  ['an object', { key: KEY }, 'an object'],
  ['a function', () => KEY, 'a function'],
]

const KEYS: Row[] = keys.flatMap(([, key, says]): Row[] => [
  ['groq.apiKey', says, () => groq({ apiKey: key } as Anything)],
  ['openrouter.apiKey', says, () => openrouter({ apiKey: key } as Anything)],
  ['own.apiKey', says, () => compatible({ name: 'own', baseURL: 'https://a.b', apiKey: key } as Anything)],
])

const at = (baseURL: unknown) => () => compatible({ name: 'own', baseURL, apiKey: KEY } as Anything)

const ADDRESSES: Row[] = [
  ['own.baseURL', 'expected an absolute URL', at('')],
  ['own.baseURL', 'expected an absolute URL', at('api.example.com/v1')],
  ['own.baseURL', 'expected an absolute URL', at('/v1')],
  ['own.baseURL', 'expected an absolute URL', at('//api.example.com')],
  ['own.baseURL', 'expected an absolute URL', at('https://')],
  ['own.baseURL', 'expected an absolute URL', at(`https://exa mple.com/${KEY}`)],
  ['own.baseURL', 'expected https (http only on this machine)', at('http://api.example.com/v1')],
  ['own.baseURL', 'expected https', at('http://127.0.0.1.example.com/v1')],
  ['own.baseURL', 'expected https', at('http://localhost.example.com/v1')],
  ['own.baseURL', 'expected https', at('http://10.0.0.1/v1')],
  ['own.baseURL', 'expected https', at('http://[::ffff:10.0.0.1]/v1')],
  ['own.baseURL', 'expected https', at('ftp://localhost/v1')],
  ['own.baseURL', 'expected https', at('file:///etc/passwd')],
  ['own.baseURL', 'expected https', at('javascript:alert(1)')],
  ['own.baseURL', 'without a user and a password', at(`https://me:${KEY}@api.example.com/v1`)],
  ['own.baseURL', 'without a user and a password', at(`https://${KEY}@api.example.com/v1`)],
  ['own.baseURL', 'without "?" and "#"', at(`https://api.example.com/v1?key=${KEY}`)],
  ['own.baseURL', 'without "?" and "#"', at(`https://api.example.com/v1#${KEY}`)],
  ['own.baseURL', 'without that path itself', at('https://api.example.com/v1/chat/completions')],
  ['compatible.baseURL', 'expected an absolute URL', at(42)],
  ['compatible.baseURL', 'expected an absolute URL', at({ href: 'https://a.b' })],
]

const headed = (headers: unknown) => () => provider({ headers })

const HEADERS: Row[] = [
  ['own.headers.x-a', 'a string with a line break', headed({ 'x-a': `${KEY}\r\nx-evil: 1` })],
  ['own.headers.x-a', 'a string with a line break', headed({ 'x-a': 'a\0b' })],
  ['own.headers.x-a', 'expected a string that fits a header', headed({ 'x-a': '🌍' })],
  ['own.headers.x-a', 'got a number', headed({ 'x-a': 1 })],
  ['own.headers.x-a', 'got nothing', headed({ 'x-a': undefined })],
  ['own.headers.x a', 'expected a header name', headed({ 'x a': 'b' })],
  ['own.headers.x-a: 1 x-evil', 'expected a header name', headed({ 'x-a: 1\r\nx-evil': 'b' })],
  ['own.headers.', 'expected a header name', headed({ '': 'b' })],
  ['own.headers.Authorization', 'pass the key as apiKey', headed({ Authorization: `Bearer ${KEY}` })],
]

const TABLES: Readonly<Record<string, Row[]>> = {
  'an option of the router': ROUTER,
  'a policy': POLICIES,
  'an input': INPUTS,
  'an option of a call': OPTIONS,
  'an option of a provider': PROVIDERS,
  'a key': KEYS,
  'an address': ADDRESSES,
  'a header': HEADERS,
}

/** Without what the rows do: titles are made of everything they are given. */
function titled(rows: readonly Row[]): [number, string, string][] {
  return rows.map(([field, says], index) => [index, field, says])
}

describe.each(Object.entries(TABLES))('%s that cannot be right', (_what, rows) => {
  test.each(titled(rows))('%i: %s: %s', async (index, field, says) => {
    const [, , run] = rows[index] ?? []
    if (run === undefined) throw new Error('no such row')
    const error = await errorOf(run)
    expect(error.field).toBe(field)
    expect(error.message.startsWith(`${field}: `)).toBe(true)
    expect(error.message).toContain(says)
    expect(error.message).not.toMatch(/[\r\n\0]/)
    expect(error.message.length).toBeLessThan(400)
    expect(leaks({ error }, { key: KEY, prompt: PROMPT })).toEqual([])
  })
})

describe('names that somebody made up', () => {
  test.each(['a\nb', 'a\u0000b', 'a\u202eb', 'x'.repeat(1_000_000), '__proto__', 'constructor', ' '])(
    'a task with an odd name is told in one short line, and works: %#',
    async (name) => {
      const error = await errorOf(() => router({ tasks: Object.fromEntries([[name, {}]]) }))
      expect(error.message).toMatch(/^tasks\.[^\r\n\0\u202e]* expected a model id/)
      expect(error.message.length).toBeLessThan(500)
      const named = createRouter({ providers: [provider()], tasks: Object.fromEntries([[name, { model: 'small' }]]) })
      expect(await named.complete(name, 'hi')).toMatchObject({ text: 'hello', usage: { task: name } })
    },
  )

  test.each(['a\nb', '\u0000', '__proto__', '🌍', '\ud800', 'x'.repeat(4096), ' '])(
    'a session with an odd name is one, and is not kept as it is: %#',
    async (session) => {
      const own = router()
      const first = await own.complete('say', 'hi', { session })
      const second = await own.session(session).complete('say', 'hi')
      expect(first.usage.session).toMatch(/^[0-9a-f]{32}$/)
      expect(second.usage).toMatchObject({ session: first.usage.session, pin: 'kept' })
    },
  )
})

describe('keys from the environment', () => {
  afterEach(() => {
    vi.unstubAllEnvs()
  })

  const vendors = [
    ['groq', 'GROQ_API_KEY', groq, 'https://api.groq.com/openai/v1'],
    ['openrouter', 'OPENROUTER_API_KEY', openrouter, 'https://openrouter.ai/api/v1'],
  ] as const

  describe.each(vendors)('%s', (name, variable, make, home) => {
    test('are used, at home only', async () => {
      vi.stubEnv(variable, KEY)
      const sent: string[] = []
      const fetch = async (url: string, init: RequestInit) => {
        sent.push(`${url} ${new Headers(init.headers).get('authorization')}`)
        return new Response('{"data":[]}')
      }
      const own = createRouter({ providers: [make({ fetch })], tasks: {} })
      await own.catalog.refresh()
      expect(sent).toEqual([`${home}/models Bearer ${KEY}`])
    })

    test.each([
      'https://evil.example.com/v1',
      `${new URL(home).origin}.evil.example.com/v1`,
      home.replace('https://', 'https://evil.example.com/'),
      home.replace('https:', 'http:'),
      home.replace('.com', '.com:8443').replace('.ai', '.ai:8443'),
      'http://localhost:8080/v1',
      'nonsense',
    ])('are never sent to %s', async (baseURL) => {
      vi.stubEnv(variable, KEY)
      const error = await errorOf(() => make({ baseURL }))
      expect(error.field).toBe(`${name}.apiKey`)
      expect(error.message).toContain(`${variable} is only sent to ${home}`)
      expect(leaks({ error }, { key: KEY })).toEqual([])
    })

    test('may be used below another path of home', () => {
      vi.stubEnv(variable, KEY)
      expect(make({ baseURL: `${new URL(home).origin}/other/v1/` }).name).toBe(name)
    })

    test.each([undefined, '', '   '])('%j is none', async (value) => {
      vi.stubEnv(variable, value)
      const error = await errorOf(() => make())
      expect(error.message).toBe(`${name}.apiKey: expected a key, got none: set ${variable} or pass apiKey`)
    })

    test('one with a line break names the variable', async () => {
      vi.stubEnv(variable, `${KEY}\n`)
      const error = await errorOf(() => make())
      expect(error.message).toContain(`a line break: check ${variable}`)
      expect(leaks({ error }, { key: KEY })).toEqual([])
    })
  })

  test('without any, and without providers, the error names them', async () => {
    for (const [, variable] of vendors) vi.stubEnv(variable, undefined)
    const error = await errorOf(() => createRouter({ tasks: {} }))
    expect(error.message).toBe(
      'providers: expected at least one provider; no key was found: set GROQ_API_KEY or OPENROUTER_API_KEY',
    )
  })

  test('a compatible endpoint gets none', async () => {
    for (const [, variable] of vendors) vi.stubEnv(variable, KEY)
    vi.stubEnv('OPENAI_API_KEY', KEY)
    const sent: (string | null)[] = []
    const own = compatible({
      name: 'own',
      baseURL: 'https://api.example.com/v1',
      fetch: async (_, init) => {
        sent.push(new Headers(init.headers).get('authorization'))
        return new Response('{}')
      },
    })
    await createRouter({ providers: [own], tasks: {} }).catalog.refresh()
    expect(sent).toEqual([null])
  })
})

describe('rules of the user', () => {
  const ruled = (policy: object) => () => router({ tasks: { say: policy } }).complete('say', 'hi')
  const cause = new RangeError('no such thing')
  const broken = () => {
    throw cause
  }
  const rows: Row[] = [
    ['tasks.say.model', 'it threw RangeError', ruled({ model: broken })],
    ['tasks.say.model', 'got a promise', ruled({ model: async () => [{ model: 'small', because: '' }] })],
    ['tasks.say.model', 'got nothing', ruled({ model: () => undefined })],
    ['tasks.say.model', 'got a string at place 1', ruled({ model: () => ['small'] })],
    ['tasks.say.model', 'got an object at place 2', ruled({ model: () => [{ model: 'small' }, { modle: 'x' }] })],
    ['tasks.say.model', 'it threw TypeError', ruled({ model: (models: Anything) => models.at(-99).id })],
    ['tasks.say.provider', 'it threw RangeError', ruled({ model: 'small', provider: broken })],
    [
      'tasks.say.provider',
      'it threw a string',
      ruled({
        model: 'small',
        provider: () => {
          throw 'thrown'
        },
      }),
    ],
    ['tasks.say.provider', 'got a promise', ruled({ model: 'small', provider: async (offers: Anything) => offers })],
    ['tasks.say.provider', 'at place 1', ruled({ model: 'small', provider: () => ['own'] })],
    [
      'tasks.say.provider',
      'some of the places it was given',
      ruled({
        model: 'small',
        provider: ([first]: Anything) => [{ ...first, offer: { ...first.offer, provider: 'other' } }],
      }),
    ],
    [
      'tasks.say.provider',
      'some of the places it was given',
      ruled({
        model: 'small',
        provider: [([first]: Anything) => [{ ...first, hosts: undefined }]],
      }),
    ],
  ]
  test.each(titled(rows))('%i: %s: %s', async (index, field, says) => {
    const [, , run] = rows[index] ?? []
    if (run === undefined) throw new Error('no such row')
    const error = await errorOf(run)
    expect(error.field).toBe(field)
    expect(error.message).toContain(says)
    if (says.includes('RangeError')) expect(error.cause).toBe(cause)
  })

  test('cannot bring back what the data policy has taken out', async () => {
    const trains = provider({ name: 'trains', dataTerms: {} })
    const safe = provider({ name: 'safe', dataTerms: { training: false } })
    const own = createRouter({
      providers: [trains, safe],
      tasks: {
        say: {
          model: 'small',
          data: { training: 'deny' },
          provider: (offers, { catalog }) => {
            const forbidden = catalog.offer('trains', 'small')
            return offers.flatMap((place) => (forbidden === null ? [] : [{ ...place, offer: forbidden }]))
          },
        },
      },
    })
    expect((await errorOf(() => own.complete('say', 'hi'))).field).toBe('tasks.say.provider')
  })

  test('may rank, drop and say why', async () => {
    const own = createRouter({
      providers: [provider({ name: 'first' }), provider({ name: 'second' })],
      tasks: {
        say: {
          model: () => [{ model: 'small', because: 'my rule' }],
          provider: (offers) =>
            [...offers].reverse().map((place) => ({ ...place, because: [...place.because, 'mine'] })),
        },
      },
    })
    const { provider: served, plan } = await own.complete('say', 'hi')
    expect(served).toBe('second')
    expect(plan.steps[0]?.because).toEqual(['my rule', 'mine'])
  })
})

describe('listeners and sinks', () => {
  test('never break a call, whatever they do, and the others hear of it once', async () => {
    const rejections: unknown[] = []
    const note = (reason: unknown) => void rejections.push(reason)
    process.on('unhandledRejection', note)
    const heard: string[] = []
    const fail = () => {
      throw new Error('broken')
    }
    const reject = async () => {
      throw new Error('rejected')
    }
    const change = (record: Anything) => {
      record.task = 'changed'
    }
    const own = router({ on: fail, sinks: [fail, reject, change] })
    own.on(reject)
    own.on((event: Anything) => {
      heard.push(event.type)
      event.type = 'changed'
      if (event.usage) event.usage.task = 'changed'
    })
    for (let n = 0; n < 3; n += 1) {
      const { text, usage } = await own.complete('say', 'hi')
      expect([text, usage.task, usage.outcome]).toEqual(['hello', 'say', 'ok'])
    }
    await new Promise((resolve) => setTimeout(resolve, 5))
    process.off('unhandledRejection', note)
    expect(rejections).toEqual([])
    expect(heard.filter((type) => type === 'listener-failed').length).toBeGreaterThanOrEqual(4)
    expect(heard.filter((type) => type === 'call-end')).toHaveLength(3)
    expect(own.ledger.records.map(({ task }) => task)).toEqual(['say', 'say', 'say'])
  })

  test('what is no function cannot listen', async () => {
    expect((await errorOf(() => router().on('call-end' as Anything))).field).toBe('on')
  })

  test('a listener may leave, and add others, while it listens', async () => {
    const own = router()
    let heard = 0
    const leave = own.on(() => {
      heard += 1
      leave()
      own.on(() => {
        heard += 100
      })
    })
    await own.complete('say', 'hi')
    expect(heard).toBeGreaterThan(100)
    expect(heard).toBeLessThan(1000)
  })
})

describe('every error', () => {
  test('is known across copies of the package', async () => {
    const modules = await Promise.all([
      import('../src/errors.ts'),
      import(/* @vite-ignore */ `../src/errors.ts?${'copy'}`),
    ])
    const [ours, theirs] = modules as [typeof import('../src/errors.ts'), typeof import('../src/errors.ts')]
    expect(ours.ConfigError).not.toBe(theirs.ConfigError)
    const names = [
      'ConfigError',
      'NoRouteError',
      'AttemptsFailedError',
      'BudgetError',
      'AbortError',
      'StreamBroken',
    ] as const
    for (const name of names) {
      const make = (from: Anything) =>
        name === 'ConfigError'
          ? new from.ConfigError('field', 'problem')
          : new from[name]('message', {
              kind: 'empty',
              reason: 'why',
              partial: { text: '', reasoning: '', toolCalls: [] },
            })
      for (const [from, to] of [
        [ours, theirs],
        [theirs, ours],
        [ours, ours],
      ] as const) {
        const error = make(from)
        expect(to.RouterError.is(error)).toBe(true)
        for (const other of names) expect(to[other].is(error), `${other} of ${name}`).toBe(other === name)
        expect(error instanceof from.RouterError && error instanceof Error).toBe(true)
        expect(error instanceof from[name]).toBe(true)
        expect(error.name).toBe(name)
        expect(String(error)).toBe(`${name}: ${error.message}`)
        expect(inspect(error)).toContain(`${name}: ${error.message}`)
        expect(JSON.parse(JSON.stringify(error))).toMatchObject({ name, message: error.message, kind: error.kind })
        expect(structuredClone(error).message).toBe(error.message)
      }
    }
  })

  test('a value that is none of ours is none', () => {
    for (const value of [undefined, null, 1, 'ConfigError', {}, new Error('other'), revoked(), throwing, Symbol('s')]) {
      expect(RouterError.is(value)).toBe(false)
      expect(ConfigError.is(value)).toBe(false)
    }
  })
})

test('what a call is given is not changed, and odd names in it change nothing else', async () => {
  const request = JSON.parse(
    '{"messages":[{"role":"user","content":"hi","__proto__":{"polluted":1}}],"__proto__":{"polluted":1},"temperature":0}',
  )
  const before = JSON.stringify(request)
  await router().complete('say', request, { metadata: JSON.parse('{"__proto__":"x"}') })
  expect(JSON.stringify(request)).toBe(before)
  expect(({} as Anything).polluted).toBeUndefined()
})

describe('a policy that no offer can ever satisfy is refused when the router is made', () => {
  const provider = (dataTerms: object) => groq({ apiKey: 'gsk-some-key', dataTerms })

  test('a data rule that no account of the policy can keep', () => {
    const tasks = { say: { model: 'openai/gpt-oss-20b', data: { retention: 'zero' as const } } }
    expect(() => createRouter({ providers: [provider({})], tasks })).toThrow(
      'tasks.say.data: groq cannot guarantee it: declare dataTerms if the account does, or name a provider that can',
    )
    expect(() => createRouter({ providers: [provider({ retention: 'zero' })], tasks })).not.toThrow()
  })

  test('also when the rule is the router’s', () => {
    const tasks = { say: { model: 'openai/gpt-oss-20b' } }
    expect(() => createRouter({ providers: [provider({})], tasks, data: { training: 'deny' } })).toThrow(
      'tasks.say.data',
    )
  })

  test('a host of a provider that has none', () => {
    const tasks = { say: { model: 'openai/gpt-oss-20b', provider: 'groq/us-west' as string } }
    expect(() => createRouter({ providers: [provider({})], tasks })).toThrow(
      'tasks.say.provider: groq has no hosts: expected "groq", got "groq/us-west"',
    )
  })
})
