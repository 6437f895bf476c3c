import { gzipSync } from 'node:zlib'
import { AttemptsFailedError, RouterError } from 'modelfirst'
import { afterEach, describe, expect, test } from 'vitest'
import { VERDICTS } from '../src/failure.ts'
import { type Canaries, canaries, leaks } from './support/canaries.ts'
import { routerOver, sumOf } from './support/router.ts'
import {
  type Answering,
  answerOf,
  closedPort,
  eventually,
  type Received,
  reply,
  serve,
  serveRaw,
  type TestServer,
} from './support/server.ts'

const servers: TestServer[] = []
afterEach(async () => {
  await Promise.all(servers.splice(0).map((each) => each.close()))
})

async function started(answering: Answering): Promise<TestServer> {
  const server = await serve(answering)
  servers.push(server)
  return server
}

async function startedRaw(onSocket: Parameters<typeof serveRaw>[0]): Promise<TestServer> {
  const server = await serveRaw(onSocket)
  servers.push(server)
  return server
}

/** As bytes on a socket: what a well-behaved server library would not send. */
const rawHttp = (head: string, body: string) => () =>
  startedRaw((socket) => {
    socket.once('data', () => socket.end(`HTTP/1.1 ${head}\r\n\r\n${body}`))
  })

const json =
  (body: object | string, status = 200) =>
  () =>
    started(({ response }) => reply(response, status, typeof body === 'string' ? body : JSON.stringify(body)))

const http = (answering: (received: Received) => unknown) => () => started(answering)

const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 }
const whole = answerOf('hello')
const choice = { index: 0, message: { role: 'assistant', content: 'hello' }, finish_reason: 'stop' }

interface Fault {
  readonly title: string
  readonly start: () => Promise<TestServer | string>
  readonly outcome: string
  readonly phase: string
  readonly billed: 'yes' | 'no' | 'maybe'
  readonly status: number | null
}

const fault = (
  title: string,
  start: Fault['start'],
  [outcome, phase, billed, status]: [string, string, Fault['billed'], number | null],
): Fault => ({ title, start, outcome, phase, billed, status })

const FAULTS: readonly Fault[] = [
  fault('a page in the place of an answer', json('<!doctype html><title>Sign in</title>'), [
    'bad-response',
    'done',
    'maybe',
    200,
  ]),
  fault('nothing', json(''), ['empty', 'done', 'maybe', 200]),
  fault(
    'no content',
    http(({ response }) => response.writeHead(204).end()),
    ['empty', 'done', 'maybe', 204],
  ),
  fault('whitespace', json('  \n \r\n\t '), ['empty', 'done', 'maybe', 200]),
  fault('JSON that breaks off in good order', json(whole.slice(0, -20)), ['cut-off', 'done', 'maybe', 200]),
  fault('JSON that is none', json('{"choices": [,]}'), ['bad-response', 'done', 'maybe', 200]),
  fault('two answers in one', json(whole + whole), ['bad-response', 'done', 'maybe', 200]),
  fault('a stream where none was asked for', json(`data: ${whole}\n\ndata: [DONE]\n\n`), [
    'bad-response',
    'done',
    'maybe',
    200,
  ]),
  fault('a list', json('[]'), ['bad-response', 'done', 'maybe', 200]),
  fault('null', json('null'), ['bad-response', 'done', 'maybe', 200]),
  fault('a string', json('"hello"'), ['bad-response', 'done', 'maybe', 200]),
  fault(
    'fewer bytes than it said',
    rawHttp(`200 OK\r\ncontent-type: application/json\r\ncontent-length: ${whole.length + 100}`, whole),
    ['cut-off', 'streaming', 'maybe', 200],
  ),
  fault('chunks without the last', rawHttp('200 OK\r\ntransfer-encoding: chunked', `5\r\n${whole.slice(0, 5)}\r\n`), [
    'cut-off',
    'streaming',
    'maybe',
    200,
  ]),
  fault(
    'a broken encoding',
    http(({ response }) => reply(response, 200, 'no gzip', { 'content-encoding': 'gzip' })),
    ['cut-off', 'streaming', 'maybe', 200],
  ),
  fault('an error in a 200', json({ error: { message: 'overloaded', code: 503 } }), ['overloaded', 'done', 'no', 503]),
  fault('an error in a 200 that is a string', json({ error: 'no' }), ['server-error', 'done', 'no', 500]),
  fault('an error in a 200, with a status of its own', json({ error: { message: 'slow down', code: 429 } }), [
    'rate-limited',
    'done',
    'no',
    429,
  ]),
  fault('an error beside an answer', json({ ...JSON.parse(whole), error: { message: 'no' } }), [
    'server-error',
    'done',
    'no',
    500,
  ]),
  fault('no choices', json({ choices: [] }), ['bad-response', 'done', 'maybe', 200]),
  fault('no choices, but usage', json({ choices: [], usage }), ['bad-response', 'done', 'maybe', 200]),
  fault('a message that is null', json({ choices: [{ ...choice, message: null }] }), [
    'bad-response',
    'done',
    'maybe',
    200,
  ]),
  fault('a message without anything, and no reason', json({ choices: [{ message: { content: null } }] }), [
    'empty',
    'done',
    'maybe',
    200,
  ]),
  fault('a choice that failed', json({ choices: [{ ...choice, finish_reason: 'error' }], usage }), [
    'server-error',
    'done',
    'yes',
    200,
  ]),
  fault('what is no HTTP', () => startedRaw((socket) => socket.end('220 smtp.example.com ESMTP\r\n')), [
    'unreachable',
    'waiting',
    'maybe',
    null,
  ]),
  fault('random bytes', () => startedRaw((socket) => socket.once('data', () => socket.end(Buffer.alloc(4096, 0xa7)))), [
    'unreachable',
    'waiting',
    'maybe',
    null,
  ]),
  fault('a reset as soon as it is connected', () => startedRaw((socket) => void socket.resetAndDestroy()), [
    'unreachable',
    'waiting',
    'maybe',
    null,
  ]),
  fault(
    'a reset before headers',
    http(({ socket }) => socket.resetAndDestroy()),
    ['unreachable', 'waiting', 'maybe', null],
  ),
  fault(
    'an end before headers',
    http(({ socket }) => socket.destroy()),
    ['unreachable', 'waiting', 'maybe', null],
  ),
  fault(
    'a reset after headers',
    http(({ response, socket }) => {
      response.writeHead(200, { 'content-length': '1000' }).write('{', () => socket.resetAndDestroy())
    }),
    ['cut-off', 'streaming', 'maybe', 200],
  ),
  fault('nobody there', closedPort, ['unreachable', 'connecting', 'no', null]),
  fault(
    'silence before headers',
    http(() => {}),
    ['timed-out', 'waiting', 'maybe', null],
  ),
  fault(
    'silence in the body',
    http(({ response }) => void response.writeHead(200).write('{"id":')),
    ['timed-out', 'streaming', 'maybe', 200],
  ),
  fault(
    'drops for ever',
    http(({ response }) => {
      response.writeHead(200)
      const timer = setInterval(() => response.write(' '), 5)
      response.on('close', () => clearInterval(timer))
    }),
    ['timed-out', 'streaming', 'maybe', 200],
  ),
  fault('an error without a body', json('', 502), ['server-error', 'done', 'no', 502]),
  fault('an error page', json('<html><h1>502 Bad Gateway</h1></html>', 502), ['server-error', 'done', 'no', 502]),
  fault('an error page of megabytes', json('x'.repeat(5_000_000), 503), ['overloaded', 'done', 'no', 503]),
  fault(
    'an error whose body breaks off',
    http(({ response, socket }) => {
      response.writeHead(429, { 'content-length': '1000', 'retry-after': '9' }).write('{', () => socket.destroy())
    }),
    ['rate-limited', 'done', 'no', 429],
  ),
  fault('an odd status', json('{}', 299), ['bad-response', 'done', 'maybe', 299]),
]

/** What no other provider of the same model is asked about. */
const FAULTS_OF_THE_MODEL: readonly Fault[] = [
  fault(
    'a tool call that breaks off',
    json({
      choices: [{ ...choice, message: { tool_calls: [{ id: '1', function: { name: 'f', arguments: '{"a":' } }] } }],
      usage,
    }),
    ['bad-output', 'done', 'yes', 200],
  ),
]

/** What a provider might say that repeats everything it knows of the request. */
function indiscreet({ key, prompt, system, argument, user }: Canaries): object {
  const said = `${key} ${prompt} ${system} ${argument} ${user} ${Buffer.from(key).toString('base64')}`
  return { message: said, code: said, type: said, param: said, metadata: { raw: said, flagged_input: said } }
}

describe('an attempt that meets', () => {
  test.each(FAULTS)('$title fails as $outcome, and the next provider answers', async (given) => {
    const { outcome, phase, billed, status } = given
    const first = await given.start()
    const second = await started(({ response }) => reply(response, 200, whole))
    const { router, events, records } = routerOver([first, second], {
      limits: { timeoutMs: 600 },
      prices: { input: 1, output: 2 },
    })
    const completion = await router.complete('say', 'hi', { request: { max_tokens: 100 } })
    expect(completion.text).toBe('hello')
    expect(completion.provider).toBe('second')
    const { usage } = completion
    expect(usage.attempts).toHaveLength(2)
    expect(usage.attempts[0]).toMatchObject({ n: 1, role: 'first', provider: 'first', outcome, phase, billed, status })
    expect(usage.attempts[1]).toMatchObject({
      n: 2,
      role: 'failover',
      provider: 'second',
      outcome: 'ok',
      billed: 'yes',
    })
    expect(usage.cost.high).toBeCloseTo(sumOf(usage.attempts).high ?? Number.NaN, 12)
    expect(usage.cost.low).toBeCloseTo(sumOf(usage.attempts).low, 12)
    if (billed === 'no') expect(usage.attempts[0]?.cost).toMatchObject({ usd: 0 })
    if (billed === 'maybe') expect(usage.attempts[0]?.cost).toMatchObject({ usd: null, low: 0, source: 'bounded' })
    expect(records).toEqual([usage])
    expect(events.filter(({ type }) => type === 'attempt-end')).toHaveLength(2)
    if (typeof first !== 'string') {
      expect(first.requests.length, 'one request at the most').toBeLessThanOrEqual(1)
      await eventually(() => first.busy === 0)
    }
    await router.close()
  })

  test.each([...FAULTS, ...FAULTS_OF_THE_MODEL])(
    '$title everywhere ends in an error that says so, in one line, with its usage',
    async (given) => {
      const secrets = canaries()
      const { router, events, records } = routerOver([await given.start()], {
        key: secrets.key,
        limits: { timeoutMs: 300 },
      })
      const error = await router.complete('say', messagesOf(secrets)).catch((thrown: unknown) => thrown)
      if (!AttemptsFailedError.is(error)) throw error
      expect(error.kind).toBe(given.outcome)
      // A limit is waited for, and that is longer than the call may take.
      const again = VERDICTS[error.kind].retry !== 'no' && error.kind !== 'rate-limited'
      const asked = again ? '2 attempts' : '1 attempt'
      expect(error.attempts.map(({ role }) => role)).toEqual(['first', 'retry'].slice(0, Number(asked[0])))
      expect(error.usage).toEqual(records[0])
      expect(error.usage?.outcome).toBe(given.outcome)
      expect(error.message).toMatch(new RegExp(`^task "say" failed after ${asked}: small at first: \\S.*; \\S`))
      if (given.status !== null) expect(error.message).toContain(String(given.status))
      expect(error.message).not.toMatch(/[\r\n]/)
      expect(leaks({ error, events, records }, secrets)).toEqual([])
      await router.close()
    },
  )

  test.each([301, 302, 303, 307, 308])('a redirect (%i) does not follow it, and stops', async (status) => {
    const attacker = await started(({ response }) => reply(response, 200, whole))
    const first = await started(({ response }) =>
      response.writeHead(status, { location: `${attacker.url}/chat/completions` }).end(),
    )
    const second = await started(({ response }) => reply(response, 200, whole))
    const { router } = routerOver([first, second])
    const error = await router.complete('say', 'hi').catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ name: 'AttemptsFailedError', kind: 'redirected', attempts: [{ billed: 'no' }] })
    expect([first, attacker, second].map(({ requests }) => requests.length)).toEqual([1, 0, 0])
    await router.close()
  })
})

describe('an answer comes through', () => {
  const answers: [string, Answering][] = [
    ['with another content type', ({ response }) => reply(response, 200, whole, { 'content-type': 'text/html' })],
    ['with no content type', ({ response }) => response.writeHead(200).end(whole)],
    [
      'after whitespace that kept it alive',
      ({ response }) => {
        response.writeHead(200)
        let beats = 0
        const timer = setInterval(() => {
          if (++beats <= 5) return response.write('\n   \r\n')
          clearInterval(timer)
          response.end(whole)
        }, 5)
      },
    ],
    [
      'byte by byte, with characters of several bytes',
      async ({ response }) => {
        response.writeHead(200)
        response.socket?.setNoDelay(true)
        for (const byte of Buffer.from(answerOf('hällo 🌍'))) {
          response.write(Buffer.from([byte]))
          if (byte > 127) await new Promise((resolve) => setImmediate(resolve))
        }
        response.end()
      },
    ],
    ['behind a byte order mark', ({ response }) => response.writeHead(200).end(`\ufeff${whole}`)],
    ['compressed', ({ response }) => reply(response, 200, gzipSync(whole), { 'content-encoding': 'gzip' })],
    ['with a 201', ({ response }) => reply(response, 201, whole)],
    [
      'with a reset after its last byte',
      ({ response, socket }) => {
        response.writeHead(200, { 'content-length': Buffer.byteLength(whole) })
        response.end(whole, () => setTimeout(() => socket.resetAndDestroy(), 5))
      },
    ],
  ]
  test.each(answers)('%s', async (_title, answering) => {
    const { router } = routerOver([await started(answering)])
    const { text, usage } = await router.complete('say', 'hi')
    expect(text).toMatch(/^h[eä]llo/)
    expect(usage.attempts).toMatchObject([{ outcome: 'ok', phase: 'done', billed: 'yes' }])
    await router.close()
  })
})

test('chunks without the last are no answer, also where the end of the connection passes for the end', async () => {
  const server = await rawHttp(
    '200 OK\r\ntransfer-encoding: chunked\r\nconnection: close',
    `5\r\n${whole.slice(0, 5)}\r\n`,
  )()
  const { router } = routerOver([server])
  await expect(router.complete('say', 'hi')).rejects.toMatchObject({ kind: 'cut-off' })
  await router.close()
})

describe('too much', () => {
  const MiB = 1024 * 1024
  const failsOn = async (answering: Answering) => {
    const server = await started(answering)
    const second = await started(({ response }) => reply(response, 200, whole))
    const { router } = routerOver([server, second])
    await router.complete('say', 'warm up').catch(() => {})
    const before = process.memoryUsage.rss()
    let most = before
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage.rss())
    }, 1)
    const { usage } = await router.complete('say', 'hi')
    clearInterval(watch)
    await eventually(() => server.busy === 0)
    await router.close()
    return { usage, grown: most - before }
  }

  test('an answer of more than 32 MiB is given up, and its sender let go', async () => {
    let sent = 0
    const { usage } = await failsOn(({ response }) => {
      response.writeHead(200)
      const block = Buffer.alloc(MiB, ' ')
      const more = () => {
        while (!response.destroyed && sent < 500 * MiB) {
          sent += MiB
          if (!response.write(block)) return response.once('drain', more)
        }
      }
      more()
    })
    expect(usage.attempts[0]).toMatchObject({ outcome: 'bad-response', phase: 'streaming', billed: 'maybe' })
    expect(sent).toBeLessThan(200 * MiB)
  })

  test('a small bomb of a compressed answer is found while it is unpacked', async () => {
    const bomb = gzipSync(Buffer.alloc(100 * MiB, ' '), { level: 9 })
    expect(bomb.length).toBeLessThan(MiB)
    const { usage, grown } = await failsOn(({ response }) => reply(response, 200, bomb, { 'content-encoding': 'gzip' }))
    expect(usage.attempts[0]).toMatchObject({ outcome: 'bad-response', phase: 'streaming' })
    expect(grown).toBeLessThan(64 * MiB)
  })
})

describe('an error that never ends', () => {
  test('is told by its status and what it says in its headers, long before the call is over', async () => {
    const server = await started(({ response }) => {
      response.writeHead(429, { 'retry-after': '9' }).write('{"error":')
    })
    const { router } = routerOver([server], { limits: { timeoutMs: 60_000, attempts: 1 } })
    const from = performance.now()
    const error = await router.complete('say', 'hi').catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ kind: 'rate-limited', retryAfterMs: 9000 })
    expect(performance.now() - from).toBeLessThan(3000)
    await eventually(() => server.busy === 0)
    await router.close()
  })
})

describe('nothing of a request comes out', () => {
  const ways: [string, (secrets: Canaries) => Answering][] = [
    [
      'a 400',
      (secrets) =>
        ({ response }) =>
          reply(response, 400, JSON.stringify({ error: indiscreet(secrets) })),
    ],
    [
      'a 401',
      (secrets) =>
        ({ response }) =>
          reply(response, 401, JSON.stringify({ error: indiscreet(secrets) })),
    ],
    [
      'a 500',
      (secrets) =>
        ({ response }) =>
          reply(response, 500, JSON.stringify(indiscreet(secrets))),
    ],
    [
      'a plain 503',
      (secrets) =>
        ({ response }) =>
          reply(response, 503, JSON.stringify(indiscreet(secrets)).slice(3)),
    ],
    [
      'an error in a 200',
      (secrets) =>
        ({ response }) =>
          reply(response, 200, JSON.stringify({ error: indiscreet(secrets) })),
    ],
    [
      'an answer that was refused',
      (secrets) =>
        ({ response }) =>
          reply(
            response,
            200,
            answerOf(secrets.answer, {
              choices: [{ message: { content: '', refusal: secrets.answer }, finish_reason: 'content_filter' }],
            }),
          ),
    ],
    [
      'a tool call that is no JSON',
      (secrets) =>
        ({ response }) =>
          reply(
            response,
            200,
            answerOf('', {
              choices: [
                {
                  message: { tool_calls: [{ id: '1', function: { name: 'f', arguments: `{"a": ${secrets.answer}` } }] },
                },
              ],
            }),
          ),
    ],
    [
      'an answer that breaks off',
      (secrets) =>
        ({ response }) =>
          reply(response, 200, answerOf(secrets.answer).slice(0, -9)),
    ],
    [
      'a page',
      (secrets) =>
        ({ response }) =>
          reply(response, 200, `<p>${JSON.stringify(indiscreet(secrets))}</p>`),
    ],
    [
      'headers',
      (secrets) =>
        ({ response }) =>
          reply(response, 500, '', { 'retry-after': secrets.key, 'x-request-id': secrets.prompt }),
    ],
  ]
  test.each(ways)('of %s that repeats it', async (_title, answering) => {
    const secrets = canaries()
    const server = await started(answering(secrets))
    const { router, events, records } = routerOver([server, server], { key: secrets.key })
    const error = await router
      .complete('say', messagesOf(secrets), { session: secrets.session })
      .catch((thrown: unknown) => thrown)
    expect(RouterError.is(error)).toBe(true)
    const sent = server.requests[0]
    expect(sent?.headers.authorization).toBe(`Bearer ${secrets.key}`)
    expect(sent?.body).toContain(secrets.prompt)
    expect(sent?.body).not.toContain(secrets.session)
    expect(leaks({ error, events, records, ledger: router.ledger.records, router }, secrets)).toEqual([])
    await router.close()
  })

  test('what a provider says itself is told', async () => {
    const server = await started(({ response }) =>
      reply(response, 400, '{"error":{"message":"max_tokens\\nis too large","code":"too_large"}}'),
    )
    const { router } = routerOver([server])
    const error = await router.complete('say', 'a prompt').catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      message:
        'task "say" failed after 1 attempt: small at first: the request was refused as invalid (400, too_large): "max_tokens is too large"; correct the request',
    })
    await router.close()
  })

  test('nothing of the key can be read back from a provider or a router', async () => {
    const secrets = canaries()
    const { router } = routerOver(['http://localhost:1/v1'], { key: secrets.key })
    expect(leaks({ router }, secrets)).toEqual([])
    await router.close()
  })
})

test('a request that is no JSON is the caller’s fault, and no provider is asked', async () => {
  const server = await started(({ response }) => reply(response, 200, whole))
  const { router } = routerOver([server, server])
  const circular: Record<string, unknown> = {}
  circular.self = circular
  for (const metadata of [circular, { amount: 10n }]) {
    // @ts-expect-error: what plain JavaScript may pass
    const error = await router.complete('say', 'hi', { request: { metadata } }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ kind: 'invalid-request', attempts: [{ billed: 'no', provider: 'first' }] })
  }
  expect(server.requests).toHaveLength(0)
  await router.close()
})

describe('calls that overlap', () => {
  test('500 calls with faults of their own: each record shows its own script, and nobody else’s', async () => {
    const scripts = ['ok', 'fail-ok', 'fail-fail-ok', 'cut-ok', 'page-ok', 'limit-cut-ok', 'fail-fail-fail']
    const outcomes: Readonly<Record<string, string>> = {
      ok: 'ok',
      fail: 'server-error',
      cut: 'cut-off',
      page: 'bad-response',
      limit: 'rate-limited',
    }
    const part =
      (index: number): Answering =>
      ({ response, body, socket }) => {
        const [, script = '', n = ''] = /"script (\S+) (\d+)"/.exec(body) ?? []
        const delay = (Number(n) * 7919) % 20
        setTimeout(() => {
          switch (script.split('-')[index]) {
            case 'ok':
              return reply(response, 200, answerOf(`answer ${n}`))
            case 'cut':
              return response.writeHead(200, { 'content-length': '999' }).write('{', () => socket.destroy())
            case 'page':
              return reply(response, 200, '<html>')
            case 'limit':
              return reply(response, 429, '{}')
            default:
              return reply(response, 500, '{}')
          }
        }, delay)
      }
    const { router, records } = routerOver(await Promise.all([0, 1, 2].map((index) => started(part(index)))))
    await Promise.all(
      Array.from({ length: 500 }, async (_, n) => {
        const script = scripts[n % scripts.length] ?? 'ok'
        const planned = script.split('-').map((step) => outcomes[step])
        // A model of its own: what is known of an offer is shared by all calls, and these are about what is not.
        const policy = { model: `model-${n}` as string, limits: { attempts: 3 } }
        const ended = await router.complete(policy, `script ${script} ${n}`, { metadata: { n: String(n) } }).then(
          ({ text, usage }) => ({ text, usage }),
          (error: unknown) => ({ text: null, usage: RouterError.is(error) ? error.usage : null }),
        )
        expect(ended.usage?.attempts.map(({ outcome }) => outcome)).toEqual(planned)
        expect(ended.usage?.attempts.map(({ n: place }) => place)).toEqual(planned.map((_, index) => index + 1))
        expect(ended.usage?.metadata).toEqual({ n: String(n) })
        expect(ended.text).toBe(script.endsWith('ok') ? `answer ${n}` : null)
      }),
    )
    expect(records).toHaveLength(500)
    expect(new Set(records.map(({ id }) => id)).size).toBe(500)
    await router.close()
  })
})

function messagesOf({ prompt, system, argument, user }: Canaries) {
  return {
    user,
    messages: [
      { role: 'system' as const, content: `You are ${system}.` },
      { role: 'user' as const, content: [{ type: 'text' as const, text: `Say "${prompt}"!` }] },
      {
        role: 'assistant' as const,
        content: null,
        tool_calls: [
          { id: '1', type: 'function' as const, function: { name: 'look', arguments: `{"a":"${argument}"}` } },
        ],
      },
      { role: 'tool' as const, tool_call_id: '1', content: argument },
    ],
  }
}
