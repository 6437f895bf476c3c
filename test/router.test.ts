import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import {
  type CallOptions,
  ConfigError,
  compatible,
  createRouter,
  groq,
  openrouter,
  type Plan,
  type RouterEvent,
  type UsageRecord,
} from 'modelfirst'
import { fail, hang, seeded, virtualClock } from 'modelfirst/sandbox'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { type Loose, start } from './sandbox/client.ts'

const SMALL = 'openai/gpt-oss-20b'
const LARGE = 'openai/gpt-oss-120b'
const BOTH = [groq({ apiKey: 'gsk-key' }), openrouter({ apiKey: 'sk-or-key' })] as const
const TODAY = Date.UTC(2026, 10, 21)

afterEach(() => vi.unstubAllEnvs())

/** Answers in the process, always the same. */
function answering(usage: object = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 }) {
  return async () =>
    Response.json({
      id: 'one',
      model: 'mine',
      choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'Hello' } }],
      usage,
    })
}

function local(fetch: Loose = answering()) {
  return compatible({ name: 'local', baseURL: 'http://localhost:9/v1', models: ['mine'], fetch })
}

describe('what a router says for all tasks', () => {
  const rejections = ({ rejected }: Plan) => rejected.map(({ code }) => code)

  test('limits: a task and a call may tighten them, never relax them', async () => {
    const sandbox = await start()
    const attempts = async (router?: number, task?: number, call?: number) => {
      sandbox.reset()
      sandbox.groq.script(() => fail(503))
      sandbox.openrouter.script(() => fail(503))
      const limits = (count?: number) => (count === undefined ? {} : { limits: { attempts: count } })
      const client = createRouter({
        providers: sandbox.providers(),
        ...limits(router),
        tasks: { tag: { model: [SMALL, LARGE], ...limits(task) } },
      })
      await client.complete('tag', 'Hi', limits(call)).catch(() => {})
      return sandbox.requests.length
    }
    expect(await attempts()).toBe(4)
    expect(await attempts(3)).toBe(3)
    expect(await attempts(3, 4, 4)).toBe(3)
    expect(await attempts(3, 2)).toBe(2)
    expect(await attempts(3, 2, 1)).toBe(1)
    expect(await attempts(undefined, 2, 4)).toBe(2)
  })

  test('limits of cost: the smallest of the three counts', async () => {
    const cap = async (router: Loose, task: Loose, call: Loose) => {
      const client = createRouter({
        providers: [groq({ apiKey: 'gsk-key' })],
        limits: router,
        tasks: { tag: { model: SMALL, limits: task } },
      })
      const plan = await client.plan('tag', 'Hi', { limits: call, request: { max_tokens: 10_000 } })
      return plan.rejected[0]?.limit ?? null
    }
    expect(await cap({ maxCostUsd: 0.001 }, {}, {})).toBe(0.001)
    expect(await cap({ maxCostUsd: 0.001 }, { maxCostUsd: 1 }, { maxCostUsd: 1 })).toBe(0.001)
    expect(await cap({ maxCostUsd: 1 }, { maxCostUsd: 0.002 }, {})).toBe(0.002)
    expect(await cap({}, {}, { maxCostUsd: 0.0005 })).toBe(0.0005)
    expect(await cap({}, {}, {})).toBeNull()
  })

  test('data: a rule of the router, the task or the call holds, and none of them takes one back', async () => {
    const deny = { training: 'deny' as const }
    const rejected = async (router: CallOptions, task: CallOptions, call: CallOptions) => {
      const client = createRouter({ providers: BOTH, ...router, tasks: { tag: { model: SMALL, ...task } } } as Loose)
      return rejections(await client.plan('tag', 'Hi', call))
    }
    expect(await rejected({}, {}, {})).toEqual([])
    for (const rules of [
      [{ data: deny }, {}, {}],
      [{}, { data: deny }, {}],
      [{}, {}, { data: deny }],
    ] as const) {
      expect(await rejected(rules[0], rules[1], rules[2])).toEqual(['data-policy'])
    }
    expect(await rejected({ data: deny }, { data: {} }, { data: { training: undefined } })).toEqual(['data-policy'])
  })

  test('both hold for policies that are given in place of a task', async () => {
    const router = createRouter({
      providers: BOTH,
      data: { retention: 'zero' },
      limits: { maxCostUsd: 0.000001 },
      tasks: {},
    })
    const plan = await router.plan({ model: SMALL, limits: { maxCostUsd: 9 } }, 'Hi')
    expect(rejections(plan)).toEqual(['data-policy', 'too-dear'])
  })

  test('defaults reach every request, below everything else', async () => {
    const sandbox = await start()
    const router = createRouter({
      providers: sandbox.providers(),
      defaults: { temperature: 0.25, max_tokens: 33 },
      tasks: { tag: { model: SMALL, request: { max_tokens: 44 } } },
    })
    await router.complete('tag', 'Hi')
    await router.complete({ model: SMALL }, 'Hi')
    expect(sandbox.requests.map(({ body }: Loose) => [body.temperature, body.max_completion_tokens])).toEqual([
      [0.25, 44],
      [0.25, 33],
    ])
  })
})

describe('a policy in place of a task', () => {
  test('works as a task does, and is checked at the call', async () => {
    const router = createRouter({ providers: [local()], tasks: {} })
    expect((await router.complete({ model: 'mine' }, 'Hi')).usage).toMatchObject({ task: 'ad hoc', outcome: 'ok' })
    const wrong = { model: 'mine', provider: 'locl' }
    await expect(router.complete(wrong as Loose, 'Hi')).rejects.toThrow(
      /policy\.provider: unknown provider "locl".*did you mean "local"/,
    )
    await expect(router.complete('nothing' as Loose, 'Hi')).rejects.toThrow(ConfigError)
  })

  test('is checked once, however often it is used', async () => {
    const router = createRouter({ providers: [local()], tasks: {} })
    let reads = 0
    const policy = {
      get model() {
        reads += 1
        return 'mine'
      },
    }
    await router.plan(policy, 'Hi')
    const after = reads
    for (let call = 0; call < 5; call += 1) await router.plan(policy, 'Hi')
    expect(reads).toBe(after)
  })
})

describe('providers from the environment', () => {
  test('are those whose key is there, Groq first', async () => {
    vi.stubEnv('GROQ_API_KEY', 'gsk-from-environment')
    vi.stubEnv('OPENROUTER_API_KEY', 'sk-or-from-environment')
    const places = async () => {
      const plan = await createRouter({ tasks: {} }).plan({ model: SMALL }, 'Hi')
      return plan.steps.map(({ provider }) => provider)
    }
    expect(await places()).toEqual(['groq', 'openrouter'])
    vi.stubEnv('GROQ_API_KEY', ' ')
    expect(await places()).toEqual(['openrouter'])
    vi.stubEnv('OPENROUTER_API_KEY', '')
    expect(() => createRouter({ tasks: {} })).toThrow(/set GROQ_API_KEY or OPENROUTER_API_KEY/)
  })
})

describe('metadata and records', () => {
  test('metadata is kept on the record, as it was at the call', async () => {
    const router = createRouter({ providers: [local()], tasks: {} })
    const metadata = { customer: 'acme' }
    const { usage } = await router.complete({ model: 'mine' }, 'Hi', { metadata })
    metadata.customer = 'changed'
    expect(usage.metadata).toEqual({ customer: 'acme' })
    expect(router.ledger.records[0]?.metadata).toEqual({ customer: 'acme' })
  })

  test('a record cannot be changed by whoever gets it', async () => {
    const router = createRouter({
      providers: [local()],
      tasks: {},
      sinks: [
        (usage: Loose) => {
          usage.cost.usd = 42
        },
        (usage: Loose) => {
          usage.task = 'another'
        },
      ],
    })
    const { usage } = await router.complete({ model: 'mine' }, 'Hi', { metadata: { a: 'b' } })
    expect(usage.task).toBe('ad hoc')
    expect(usage.cost.usd).not.toBe(42)
    expect(loose(usage)).toEqual([])
  })

  test('the ledger keeps the newest thousand', async () => {
    const router = createRouter({ providers: [local()], tasks: {} })
    for (let call = 0; call < 2100; call += 1) {
      await router.complete({ model: 'mine' }, 'Hi', { metadata: { call: String(call) } })
    }
    const { records } = router.ledger
    expect(records).toHaveLength(1000)
    expect([records[0]?.metadata.call, records.at(-1)?.metadata.call]).toEqual(['1100', '2099'])
    expect(Object.isFrozen(records)).toBe(true)
  })

  test('a call that fails, and one that is aborted, have a record too', async () => {
    const sandbox = await start()
    const router = createRouter({ providers: sandbox.providers(), tasks: {} })
    sandbox.groq.script([fail(400)])
    await router.complete({ model: SMALL }, 'Hi').catch(() => {})
    await router.complete({ model: SMALL }, 'Hi', { signal: AbortSignal.abort() }).catch(() => {})
    expect(router.ledger.records.map(({ outcome, attempts }) => [outcome, attempts.length])).toEqual([
      ['invalid-request', 1],
      ['canceled', 0],
    ])
  })
})

describe('who listens', () => {
  test('sinks that throw or reject break no call, the others get every record, and each is told once', async () => {
    const got: UsageRecord[] = []
    const events: RouterEvent[] = []
    const router = createRouter({
      providers: [local()],
      tasks: {},
      on: (event) => void events.push(event),
      sinks: [
        () => {
          throw new RangeError('secret')
        },
        async () => {
          throw new TypeError('secret')
        },
        (usage) => void got.push(usage),
      ],
    })
    for (let call = 0; call < 3; call += 1) await router.complete({ model: 'mine' }, 'Hi')
    await sleep(1)
    expect(got).toHaveLength(3)
    expect(events.filter(({ type }) => type === 'listener-failed')).toEqual([
      { type: 'listener-failed', what: 'sink', error: 'RangeError' },
      { type: 'listener-failed', what: 'sink', error: 'TypeError' },
    ])
  })

  test('listeners hear every step in its order, until they leave', async () => {
    const sandbox = await start()
    sandbox.groq.script([fail(503)])
    const router = createRouter({ providers: sandbox.providers(), tasks: {} })
    const heard: RouterEvent[] = []
    const leave = router.on((event) => void heard.push(event))
    const { usage, plan } = await router.complete({ model: SMALL, provider: ['groq', 'openrouter'] }, 'A secret prompt')
    expect(heard.map(({ type }) => type).filter((type) => type !== 'drift')).toEqual([
      'plan-made',
      'attempt-start',
      'attempt-end',
      'attempt-start',
      'attempt-end',
      'call-end',
    ])
    expect(heard[0]).toEqual({ type: 'plan-made', call: usage.id, plan })
    expect(heard.at(-1)).toEqual({ type: 'call-end', call: usage.id, usage })
    expect(JSON.stringify(heard)).not.toContain('secret')
    const before = heard.length
    leave()
    await router.complete({ model: SMALL }, 'Hi')
    expect(heard).toHaveLength(before)
  })

  test('a listener that throws breaks no call', async () => {
    const router = createRouter({
      providers: [local()],
      tasks: {},
      on: () => {
        throw new Error('no')
      },
    })
    expect((await router.complete({ model: 'mine' }, 'Hi')).text).toBe('Hello')
  })
})

describe('the end', () => {
  test('closing aborts what runs and refuses what comes', async () => {
    const sandbox = await start()
    sandbox.groq.script([hang()])
    const router = createRouter({ providers: sandbox.providers(), tasks: {} })
    const running = router.complete({ model: SMALL }, 'Hi')
    const settled = running.catch((error: Loose) => error)
    while (sandbox.requests.length === 0) await sleep(1)
    await router.close()
    expect(await settled).toMatchObject({ kind: 'canceled' })
    expect(router.ledger.records).toMatchObject([{ outcome: 'canceled' }])
    await expect(router.complete({ model: SMALL }, 'Hi')).rejects.toThrow(/it is closed: create another one/)
    await router.close()
    expect(sandbox.requests).toHaveLength(1)
  })

  test('ready settles when the catalogue is there', async () => {
    const router = createRouter({ providers: [groq({ apiKey: 'gsk-key' })], tasks: {} })
    expect(router.catalog.models()).toEqual([])
    await router.ready()
    expect(router.catalog.models().length).toBeGreaterThan(5)
  })
})

test('the same clock and the same random numbers: two runs are the same, byte for byte', async () => {
  const run = async () => {
    const clock = virtualClock(TODAY)
    const random = seeded(7)
    const chance = seeded(8)
    let served = 0
    const fetch = async (_: Loose, init: Loose) => {
      served += 1
      await new Promise<void>((resolve) => void clock.timer(Math.floor(chance() * 500), resolve))
      if (chance() < 0.3) return Response.json({ error: { message: 'down', code: 503 } }, { status: 503 })
      return Response.json({
        id: `gen-${served}`,
        model: JSON.parse(init.body).model,
        provider: chance() < 0.5 ? 'DeepInfra' : 'Together',
        choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'Hello' } }],
        usage: { prompt_tokens: 100, completion_tokens: 9, total_tokens: 109, cost: 0.00001234 },
      })
    }
    const events: RouterEvent[] = []
    const router = createRouter({
      providers: [groq({ apiKey: 'gsk-key', fetch }), openrouter({ apiKey: 'sk-or-key', fetch })],
      tasks: { chat: { model: [SMALL, LARGE], provider: ['openrouter', 'groq'] } },
      clock,
      random,
      on: (event) => void events.push(event),
    })
    for (let call = 0; call < 30; call += 1) {
      let over = false
      const session = call % 2 === 0 ? { session: `session ${call % 6}` } : {}
      const calling = router.complete('chat', `Call ${call}`, session).catch(() => {})
      void calling.then(() => {
        over = true
      })
      // Time goes on only when there is nothing else to wait for: the attempt's own timer, and the answer on its way.
      for (; !over; await turn()) if (clock.pending >= 2) await clock.advance(10)
      await calling
    }
    return JSON.stringify([router.ledger.records, events])
  }
  const [one, other] = [await run(), await run()]
  expect(one).toBe(other)
  const [records]: Loose = JSON.parse(one)
  expect(records).toHaveLength(30)
  expect(new Set(records.map(({ id }: Loose) => id)).size).toBe(30)
  expect(records.some(({ pin }: Loose) => pin === 'kept')).toBe(true)
  expect(records.some(({ attempts }: Loose) => attempts.length > 1)).toBe(true)
})

/** Every object in it that could still be changed, by its path. */
function loose(value: unknown, path = 'usage'): string[] {
  if (typeof value !== 'object' || value === null) return []
  const inside = Object.entries(value).flatMap(([key, part]) => loose(part, `${path}.${key}`))
  return Object.isFrozen(value) ? inside : [path, ...inside]
}
