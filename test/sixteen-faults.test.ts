import {
  type AttemptRecord,
  createRouter,
  RouterError,
  StreamBroken,
  type StreamEvent,
  type TaskPolicy,
  type UsageRecord,
  when,
} from 'modelfirst'
import {
  cutAfter,
  fail,
  hang,
  malformed,
  noDone,
  ok,
  repeat,
  reset,
  type Sandbox,
  type SandboxRequest,
  type Script,
  type Step,
  type Steps,
  seeded,
  slowFirstToken,
  stallAfter,
  startSandbox,
  virtualClock,
} from 'modelfirst/sandbox'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { fields, list } from '../src/fields.ts'
import { hasty } from './support/router.ts'
import { eventually } from './support/server.ts'

/**
 * The sixteen faults of the published failover bench, each by its own rule of passing, over real sockets, with Groq
 * failing and with OpenRouter failing, for answers that come whole and for streams.
 */
const SMALL = 'openai/gpt-oss-20b'
const LARGE = 'openai/gpt-oss-120b'
/** The one with a larger context than both. */
const ROOMY = 'openai/gpt-4.1-mini'
const LIMITS = { attempts: 4, timeoutMs: 2000, firstTokenMs: 400, idleMs: 250 }
/** What a machine with other work may take longer. */
const SLACK = 1500

const WORDS = Array.from({ length: 60 }, (_, index) => ` ${'αβγδε'[index % 5]}${index}${index % 7 === 0 ? '😀' : '.'}`)
const TEXT = WORDS.join('').slice(1)

type Name = 'groq' | 'openrouter'
type Shape = 'whole' | 'stream'
const OTHER = { groq: 'openrouter', openrouter: 'groq' } as const

let sandbox: Sandbox
const records: UsageRecord[] = []
const chance = hasty()
let calls = 0

beforeAll(async () => {
  sandbox = await startSandbox({ keep: 100_000, keepAliveMs: 20 })
})
beforeEach(() => {
  sandbox.groq.script([])
  sandbox.openrouter.script([])
})
afterAll(() => sandbox.close())

function routerWith(policy: Partial<TaskPolicy>, more: { clock?: ReturnType<typeof virtualClock> } = {}) {
  return createRouter({
    providers: sandbox.providers(),
    tasks: { say: { model: SMALL, limits: LIMITS, request: { max_tokens: 400 }, ...policy } },
    sinks: [(usage) => void records.push(usage)],
    random: chance,
    ...more,
  })
}

interface Said {
  readonly text: string
  readonly error: unknown
  readonly usage: UsageRecord
  readonly heard: readonly StreamEvent[]
  /** Where each attempt went, and what came of it. */
  readonly went: readonly string[]
  /** What was really asked for by this call. */
  readonly asked: readonly SandboxRequest[]
  readonly milliseconds: number
}

async function ask(router: ReturnType<typeof routerWith>, shape: Shape): Promise<Said> {
  calls += 1
  const call = `call-${calls}`
  // The sandbox sees who asked, so that every request can be told to its call.
  const input = { messages: [{ role: 'user' as const, content: `Question ${calls}` }], user: call }
  const options = { metadata: { call } }
  const heard: StreamEvent[] = []
  let text = ''
  let error: unknown = null
  await router.ready()
  const started = performance.now()
  try {
    if (shape === 'whole') text = (await router.complete('say', input, options)).text
    else {
      for await (const event of router.stream('say', input, options)) {
        heard.push(event)
        if (event.type === 'text-delta') text += event.text
        if (event.type === 'restart') text = ''
      }
    }
  } catch (thrown) {
    error = thrown
  }
  const milliseconds = performance.now() - started
  const usage = records.findLast(({ metadata }) => metadata.call === call)
  if (usage === undefined) throw new Error(`no record: ${error}`)
  return { text, error, usage, heard, went: wentOf(usage.attempts), asked: requestsOf(call), milliseconds }
}

function wentOf(attempts: readonly AttemptRecord[]): string[] {
  return attempts.map(({ provider, outcome }) => `${provider}: ${outcome}`)
}

function requestsOf(call: string): SandboxRequest[] {
  return sandbox.requests.filter(({ body }) => fields(body)?.user === call)
}

/** One way the bench is run: who fails, and how the answer comes. */
interface Way {
  readonly primary: Name
  readonly other: Name
  readonly shape: Shape
  /** The failing provider asked first, then the other one. */
  router(policy?: Partial<TaskPolicy>): ReturnType<typeof routerWith>
  script(steps: Steps | Script): void
}

const WAYS: readonly Way[] = (['groq', 'openrouter'] as const).flatMap((primary) =>
  (['whole', 'stream'] as const).map((shape) => ({
    primary,
    other: OTHER[primary],
    shape,
    router: (policy = {}) => routerWith({ provider: [primary, OTHER[primary]], ...policy }),
    script: (steps) => sandbox[primary].script(steps),
  })),
)
const STREAMS = WAYS.filter(({ shape }) => shape === 'stream')
const TITLE = '$primary fails, $shape'

/** The other one has this to say, and goes on with it wherever it is asked to. */
function continues(name: Name): void {
  sandbox[name].script(({ body }) => {
    const last = list(fields(body)?.messages).at(-1)
    const begun = last?.role === 'assistant' && typeof last.content === 'string' ? last.content : ''
    return ok(TEXT.slice(begun.length))
  })
}

/** What fails at one provider is answered by the other, with one request at each. */
function expectFailover({ primary, other }: Way, said: Said, ...outcomes: readonly string[]): void {
  expect(said.error).toBeNull()
  expect(said.went).toEqual([`${primary}: ${said.usage.attempts[0]?.outcome}`, `${other}: ok`])
  expect(outcomes).toContain(said.usage.attempts[0]?.outcome)
  expect(said.usage.attempts.map(({ role }) => role)).toEqual(['first', 'failover'])
  // In whatever order they arrived: one that is given up may be overtaken.
  expect(said.asked.map(({ provider }) => provider).sort()).toEqual([primary, other].sort())
  expect(said.text).toBe(TEXT)
  expect(said.heard.filter(({ type }) => type === 'restart' || type === 'seam')).toEqual([])
}

describe.each([
  ['1: a 429 that says how long', fail(429, { retryAfter: 2 }), 2000],
  // Groq always says how long, unless what it says is of no use; then a second is a guess.
  ['2: a 429 that does not', fail(429, { headers: { 'retry-after': 'soon' } }), 1000],
] as const)('%s', (_, fault, wait) => {
  test.each(WAYS)(`another provider at once, and the first not before its time: ${TITLE}`, async (way) => {
    const clock = virtualClock()
    const router = routerWith({ provider: [way.primary, way.other] }, { clock })
    way.script([fault, ok(TEXT)])
    sandbox[way.other].script(() => ok(TEXT))
    const said = await ask(router, way.shape)
    expectFailover(way, said, 'rate-limited')
    // On a clock that stands still, whoever waits waits for ever.
    expect(said.usage.latency.totalMs).toBe(0)
    await clock.advance(wait - 1)
    expect((await ask(router, way.shape)).went).toEqual([`${way.other}: ok`])
    await clock.advance(1)
    expect((await ask(router, way.shape)).went).toEqual([`${way.primary}: ok`])
    await router.close()
  })

  test.each(WAYS)(`alone it is waited for, and asked when its time has come: ${TITLE}`, async (way) => {
    const clock = virtualClock()
    const router = routerWith({ provider: way.primary, limits: { timeoutMs: 10_000 } }, { clock })
    way.script([fault, ok(TEXT)])
    let over = false
    const asking = ask(router, way.shape).finally(() => {
      over = true
    })
    while (!over) await clock.advance(10)
    const { went, usage } = await asking
    expect(went).toEqual([`${way.primary}: rate-limited`, `${way.primary}: ok`])
    const [first, second] = usage.attempts
    const waited = (second?.startedMs ?? 0) - (first?.durationMs ?? 0)
    expect(waited).toBeGreaterThanOrEqual(wait)
    expect(waited).toBeLessThanOrEqual(wait * 1.1)
    await router.close()
  })
})

describe.each([
  ['3: one 500', fail(500), 'server-error'],
  ['4: a 503', fail(503), 'overloaded'],
  ['5: a connection that is reset', reset(), 'unreachable'],
] as const)('%s', (_, fault, outcome) => {
  test.each(WAYS)(`another provider at once: ${TITLE}`, async (way) => {
    const router = way.router()
    way.script([fault, ok(TEXT)])
    sandbox[way.other].script([ok(TEXT)])
    const said = await ask(router, way.shape)
    expectFailover(way, said, outcome)
    expect(said.milliseconds).toBeLessThan(LIMITS.firstTokenMs + SLACK)
    // Once is no illness.
    expect((await ask(router, way.shape)).went).toEqual([`${way.primary}: ok`])
    await router.close()
  })

  test.each(WAYS)(`alone it is asked a second time, and no more: ${TITLE}`, async (way) => {
    const router = way.router({ provider: way.primary })
    way.script([fault, ok(TEXT)])
    expect((await ask(router, way.shape)).text).toBe(TEXT)
    way.script(repeat(9, fault))
    const said = await ask(router, way.shape)
    expect(RouterError.is(said.error)).toBe(true)
    expect(said.asked).toHaveLength(2)
    await router.close()
  })
})

describe('6: no response at all', () => {
  test.each(WAYS)(`given up once, within the limit: ${TITLE}`, async (way) => {
    const router = way.router({ limits: { ...LIMITS, timeoutMs: 4 * LIMITS.firstTokenMs } })
    way.script([hang(), ok(TEXT)])
    sandbox[way.other].script([ok(TEXT)])
    const said = await ask(router, way.shape)
    expectFailover(way, said, 'timed-out')
    expect(said.milliseconds).toBeGreaterThanOrEqual(LIMITS.firstTokenMs - 5)
    expect(said.milliseconds).toBeLessThan(LIMITS.firstTokenMs + SLACK)
    await router.close()
  })
})

describe('7: a first token that is slow', () => {
  test.each(STREAMS)(`is waited for within the limit, and not beyond it: ${TITLE}`, async (way) => {
    const router = way.router()
    sandbox[way.other].script([ok(TEXT)])
    way.script([slowFirstToken(LIMITS.firstTokenMs / 8, ok(TEXT)), slowFirstToken(5000, ok(TEXT))])
    const slow = await ask(router, way.shape)
    expect(slow.went).toEqual([`${way.primary}: ok`])
    const late = await ask(router, way.shape)
    expectFailover(way, late, 'timed-out')
    // Keep-alives came all the time, and were no progress.
    expect(late.milliseconds).toBeLessThan(LIMITS.firstTokenMs + SLACK)
    await router.close()
  })
})

/** Faults after the text has begun: what was said by then, and how it broke. */
const BREAKS: readonly (readonly [string, Step, string])[] = [
  ['8: cut off at chunk 40', cutAfter({ chunks: 40 }, ok(TEXT)), 'cut-off'],
  ['8: reset at chunk 40', cutAfter({ chunks: 40, reset: true }, ok(TEXT)), 'cut-off'],
  ['9: a stall in the middle', stallAfter(40, ok(TEXT)), 'stalled'],
  ['10: a chunk that is broken', { ...ok(TEXT), ...malformed() }, 'bad-response'],
]

describe.each(BREAKS)('%s', (title, fault, outcome) => {
  test.each(STREAMS)('fail: a typed error with what was said, and no more requests: $primary', async (way) => {
    const router = way.router({ onBroken: 'fail' })
    way.script([fault])
    sandbox[way.other].script([ok(TEXT)])
    const { error, text, went, asked, milliseconds } = await ask(router, 'stream')
    // A reset may take with it what was already on its way: then nothing was seen, and another one answers.
    if (title.includes('reset') && error === null && went.length === 2) return router.close()
    if (!StreamBroken.is(error)) throw new Error(`not a broken stream: ${error}`)
    expect(error.kind).toBe(outcome)
    expect(error.partial.text).toBe(text)
    expect(TEXT.startsWith(text)).toBe(true)
    if (!title.includes('reset')) expect(text.length).toBeGreaterThan(TEXT.length / 3)
    expect(`${error.message} ${JSON.stringify(error)}`).not.toMatch(/[αβγδε😀]/u)
    expect(went).toEqual([`${way.primary}: ${outcome}`])
    expect(asked).toHaveLength(1)
    expect(milliseconds).toBeLessThan(LIMITS.idleMs + SLACK)
    await router.close()
  })

  test.each(STREAMS)('restart: said so, and then whole: $primary', async (way) => {
    const router = way.router({ onBroken: 'restart' })
    way.script([fault])
    sandbox[way.other].script([ok(TEXT)])
    const { error, text, went, heard } = await ask(router, 'stream')
    expect(error).toBeNull()
    expect(text).toBe(TEXT)
    expect(went).toEqual([`${way.primary}: ${outcome}`, `${way.other}: ok`])
    if (!title.includes('reset')) expect(heard.filter(({ type }) => type === 'restart')).toHaveLength(1)
    expect(heard.at(-1)).toMatchObject({ type: 'end', finish: { reason: 'stop' } })
    await router.close()
  })

  test.each(STREAMS)('continue: whole, no character doubled or lost: $primary', async (way) => {
    const router = way.router({ onBroken: 'continue' })
    way.script([fault])
    continues(way.other)
    const { error, text, went, heard, asked, usage } = await ask(router, 'stream')
    expect(error).toBeNull()
    // As above: nothing was seen, and nothing is gone on from.
    if (title.includes('reset') && usage.attempts[1]?.role === 'failover') return router.close()
    expect(heard.some(({ type }) => type === 'restart')).toBe(false)
    expect(text).toBe(TEXT)
    expect(heard.filter(({ type }) => type === 'seam')).toHaveLength(1)
    expect(went).toEqual([`${way.primary}: ${outcome}`, `${way.other}: ok`])
    expect(usage.attempts.map(({ role }) => role)).toEqual(['first', 'continuation'])
    expect(asked.map(({ provider }) => provider)).toEqual([way.primary, way.other])
    await router.close()
  })
})

describe('8 to 10, in an answer that comes whole', () => {
  const whole: readonly (readonly [string, Step, string])[] = [
    ['cut off', cutAfter(200, ok(TEXT)), 'cut-off'],
    ['a stall', stallAfter(1, ok(TEXT)), 'timed-out'],
    ['half of it, in good order', { ...ok(TEXT), ...malformed() }, 'cut-off'],
  ]
  test.each(
    whole.flatMap((fault) => WAYS.filter(({ shape }) => shape === 'whole').map((way) => [...fault, way] as const)),
  )('%s: the other provider answers', async (_, fault, outcome, way) => {
    // Half of it is for the first; a stall is the only one that takes so long.
    const router = way.router({ limits: { ...LIMITS, timeoutMs: outcome === 'timed-out' ? 1500 : 20_000 } })
    way.script([fault])
    sandbox[way.other].script([ok(TEXT)])
    // Where half of it happens to end with a brace, it is no longer clear that it is a half.
    expectFailover(way, await ask(router, way.shape), outcome, 'bad-response')
    await router.close()
  })
})

describe('11: no [DONE]', () => {
  test.each(STREAMS)('a stream that ends without it is whole, at once: $primary', async (way) => {
    const idleMs = 5000
    const router = way.router({ limits: { attempts: 4, idleMs } })
    way.script([noDone(ok(TEXT))])
    const { error, text, went, heard, milliseconds } = await ask(router, 'stream')
    expect(error).toBeNull()
    expect(text).toBe(TEXT)
    expect(went).toEqual([`${way.primary}: ok`])
    expect(heard.at(-1)).toEqual({ type: 'end', finish: { reason: 'stop', raw: 'stop' } })
    expect(milliseconds).toBeLessThan(idleMs / 4)
    await router.close()
  })

  test.each(STREAMS)('one that says all and stays open is whole after the idle limit: $primary', async (way) => {
    const router = way.router()
    // All but the last frame.
    way.script([stallAfter(way.primary === 'groq' ? 63 : 62, ok(TEXT))])
    const { error, text, went, usage, milliseconds } = await ask(router, 'stream')
    expect(error).toBeNull()
    expect(text).toBe(TEXT)
    expect(went).toEqual([`${way.primary}: ok`])
    expect(usage.tokens.completion).toBeGreaterThan(0)
    expect(milliseconds).toBeLessThan(LIMITS.idleMs + SLACK)
    await router.close()
  })
})

describe('12: a context that is too small', () => {
  const tooLong = fail(400, { code: 'context_length_exceeded' })

  test.each(WAYS)(`only a larger one is tried: ${TITLE}`, async (way) => {
    const router = way.router({ model: [SMALL, LARGE, ROOMY] })
    sandbox.openrouter.script(({ body }) =>
      fields(body)?.model === ROOMY ? ok(TEXT) : way.primary === 'openrouter' ? tooLong : undefined,
    )
    if (way.primary === 'groq') way.script(repeat(9, tooLong))
    const said = await ask(router, way.shape)
    expect(said.error).toBeNull()
    expect(said.text).toBe(TEXT)
    expect(said.usage.attempts.map(({ model, provider, outcome }) => [model, provider, outcome])).toEqual([
      [SMALL, way.primary, 'context-too-long'],
      [ROOMY, 'openrouter', 'ok'],
    ])
    await router.close()
  })

  test.each(WAYS)(`none is tried where none is larger: ${TITLE}`, async (way) => {
    const router = way.router({ model: [SMALL, LARGE] })
    way.script(repeat(9, tooLong))
    const { error, asked } = await ask(router, way.shape)
    expect(error).toMatchObject({ kind: 'context-too-long' })
    expect(asked).toHaveLength(1)
    await router.close()
  })
})

describe('13: a content filter', () => {
  const FILTERS: readonly (readonly [string, Step])[] = [
    ['before the answer', fail(400, { code: 'content_policy_violation' })],
    ['in the middle of it', ok({ text: TEXT.slice(0, 90), finish: 'content_filter' })],
    ['instead of any', ok({ text: '', finish: 'content_filter' })],
  ]
  const cells = FILTERS.flatMap(([where, step]) =>
    WAYS.map((way) => [where, way.primary, way.shape, step, way] as const),
  )

  test.each(cells)('%s: it ends the call and says what it was (%s, %s)', async (_w, _p, _s, step, way) => {
    for (const onBroken of ['fail', 'restart', 'continue'] as const) {
      const router = way.router({ model: [SMALL, LARGE], onBroken })
      way.script([step])
      continues(way.other)
      const { error, asked, went } = await ask(router, way.shape)
      expect(error).toMatchObject({ kind: 'refused' })
      expect(went).toEqual([`${way.primary}: refused`])
      expect(asked).toHaveLength(1)
      await router.close()
    }
  })

  test.each(WAYS)(`a rule may say otherwise: ${TITLE}`, async (way) => {
    const router = way.router({ fallback: [when('refused').nextProvider()] })
    way.script([fail(400, { code: 'content_policy_violation' })])
    sandbox[way.other].script([ok(TEXT)])
    expectFailover(way, await ask(router, way.shape), 'refused')
    await router.close()
  })
})

describe('14: cut off, and nobody takes it up', () => {
  test.each(STREAMS)('the first failure is what is told, and nothing is glued: $primary', async (way) => {
    const router = way.router({ model: [SMALL, LARGE], onBroken: 'continue' })
    const refuses = (step: Step | undefined) => (asked: SandboxRequest) =>
      list(fields(asked.body)?.messages).at(-1)?.role === 'assistant' ? fail(400) : step
    way.script(refuses(cutAfter({ chunks: 40 }, ok(TEXT))))
    sandbox[way.other].script(refuses(ok(TEXT)))
    const { error, text, heard, went, asked } = await ask(router, 'stream')
    if (!StreamBroken.is(error)) throw new Error(`not a broken stream: ${error}`)
    expect(error.kind).toBe('cut-off')
    expect(error.message).not.toContain('invalid')
    expect(error.partial.text).toBe(text)
    expect(text).toBe(
      WORDS.slice(0, way.primary === 'groq' ? 39 : 40)
        .join('')
        .slice(1),
    )
    expect(heard.filter(({ type }) => type !== 'text-delta')).toEqual([])
    expect(went[0]).toBe(`${way.primary}: cut-off`)
    expect(went.slice(1).every((attempt) => attempt.endsWith(': invalid-request'))).toBe(true)
    expect(asked).toHaveLength(went.length)
    await router.close()
  })
})

describe('15: a primary that comes and goes', () => {
  test.each(WAYS)(`it has its traffic back soon, and few questions while it is down: ${TITLE}`, async (way) => {
    const clock = virtualClock()
    const router = routerWith({ provider: [way.primary, way.other], limits: { attempts: 4 } }, { clock })
    await router.ready()
    const isDown = () => Math.floor(clock.now() / 60_000) % 2 === 0
    way.script(() => (isDown() ? fail(503) : ok(TEXT)))
    sandbox[way.other].script(() => ok(TEXT))
    /** By minute: what came to the primary, and from when on it answered; what was open when it became well. */
    const minutes: { asked: number; first: number | null; open: number }[] = []
    for (let minute = 0; minute < 4; minute += 1) {
      const offer = router.health().offers.find(({ provider }) => provider === way.primary)
      const now = { asked: 0, first: null as number | null, open: offer?.forMs ?? 0 }
      minutes.push(now)
      for (let ms = 0; ms < 60_000; ms += 1000) {
        const { error, text, went, asked } = await ask(router, way.shape)
        expect([error, text]).toEqual([null, TEXT])
        now.asked += asked.filter(({ provider }) => provider === way.primary).length
        if (went.length === 1 && went[0]?.startsWith(way.primary)) now.first ??= ms
        await clock.advance(1000)
      }
    }
    const [down, well] = [minutes.filter((_, minute) => minute % 2 === 0), minutes.filter((_, minute) => minute % 2)]
    // Five to be sure, and one each time the breaker has waited: 5, 10, 20, 40 seconds, each half of it at least.
    for (const { asked } of down) expect(asked).toBeLessThanOrEqual(5 + 4)
    for (const { first, open } of well) {
      expect(first).not.toBeNull()
      expect(first).toBeLessThanOrEqual(open + 1000)
      expect(first).toBeLessThanOrEqual(40_000)
    }
    await router.close()
  })
})

describe('16: the accounting', () => {
  test('after all of it, every request has its record and every cost is on the bill', async () => {
    // Some of everything, also for whoever runs this alone.
    const random = seeded(16)
    const faults = BREAKS.map(([, step]) => step)
    const some: readonly (Step | undefined)[] = [
      ...faults,
      fail(500),
      fail(429),
      reset(),
      noDone(),
      undefined,
      undefined,
    ]
    const draw = () => some[Math.floor(random() * some.length)]
    for (const way of WAYS) {
      sandbox.groq.script(draw)
      sandbox.openrouter.script(draw)
      const router = way.router({ model: [SMALL, LARGE], onBroken: 'restart', limits: { ...LIMITS, timeoutMs: 300 } })
      for (let n = 0; n < 12; n += 1) await ask(router, way.shape)
      await router.close()
    }
    // Who was given up is billed when it notices.
    const unbilled = () => {
      const billed = new Set(sandbox.bill().lines.map(({ generationId }) => generationId))
      return sandbox.requests.filter(({ generationId: id }) => id !== null && !billed.has(id))
    }
    await eventually(() => unbilled().length === 0).catch(() => {})
    expect(unbilled()).toEqual([])
    const lines = new Map(sandbox.bill().lines.map((line) => [line.generationId, line]))
    const told = new Set<string>()
    let attempts = 0
    for (const { metadata, attempts: parts } of records) {
      const asked = requestsOf(metadata.call ?? '')
      expect(asked).toHaveLength(parts.length)
      attempts += parts.length
      for (const part of parts) {
        // In order at each provider; one that is given up may be overtaken by one at the other.
        const nth = parts.filter(({ provider, n }) => provider === part.provider && n < part.n).length
        const id = asked.filter(({ provider }) => provider === part.provider)[nth]?.generationId ?? null
        const line = id === null ? undefined : lines.get(id)
        if (id !== null && line !== undefined) told.add(id)
        if (part.generationId !== null) expect(part.generationId).toBe(id)
        const usd = Number(line?.usd ?? 0)
        const { low, high } = part.cost
        if (usd < low - 1e-9 || usd > (high ?? usd) + 1e-9) expect({ usd, part }).toBe('within its bounds')
      }
    }
    expect(attempts).toBe(sandbox.requests.length)
    expect(told.size).toBe(lines.size)
    expect(new Set(records.map(({ id }) => id)).size).toBe(records.length)
    const counts = { calls: records.length, requests: attempts, billed: lines.size, usd: sandbox.bill().usd }
    console.info(counts)
    expect(counts.billed).toBeGreaterThan(30)
  })
})
