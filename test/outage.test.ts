import { type AttemptRecord, compatible, createRouter, RouterError, type Wire } from 'modelfirst'
import { fail, type Step, seeded, startSandbox, type VirtualClock, virtualClock } from 'modelfirst/sandbox'
import { describe, expect, test } from 'vitest'
import { answerOf } from './support/server.ts'

/** Calls in an outage, in memory and on a virtual clock: how much larger they make it. Ten thousand in `test:deep`. */
const CALLS = process.env.MODELFIRST_DEEP === '1' ? 10_000 : 1_000
const PER_SECOND = 100
/** As many as come in a minute, in which a breaker waits several times. */
const MINUTE = 60 * PER_SECOND
/** So many of them at a time. */
const BATCH = 25
/** Where every call sets timers, which a virtual clock runs one after another. */
const SOME = 300
const SEED = 7

interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
}

const ANSWER = answerOf('ok')
const SHORT = { 'content-type': 'application/json', 'content-length': String(ANSWER.length) }
const WELL: Reply = { status: 200 }
const BROKEN: Error = Object.assign(new TypeError('fetch failed'), { cause: { code: 'ECONNRESET' } })

/** A provider in memory: what it answers to each request, and how often it was asked. */
interface Upstream {
  readonly wire: Wire
  asked: number
  answers: () => Reply | Error
}

function upstream(answers: Upstream['answers']): Upstream {
  const made: Upstream = {
    asked: 0,
    answers,
    wire: {
      async send() {
        made.asked += 1
        // An answer is never there in the same turn of the loop.
        await new Promise((resolve) => setImmediate(resolve))
        const answer = made.answers()
        if (answer instanceof Error) throw answer
        const { status, headers = {} } = answer
        const known = new Map(Object.entries(status === 200 ? SHORT : headers))
        // Without a body of its own: what it takes to read one is not what is measured here.
        return { status, headers: { get: (name) => known.get(name) ?? null }, body: null, text: async () => ANSWER }
      },
    },
  }
  return made
}

const NAMES = ['first', 'second', 'third']

/** A router over these, in this order, for one model that all of them have. */
async function routerOver(upstreams: readonly Upstream[], clock: VirtualClock, timeoutMs = 60_000) {
  const router = createRouter({
    providers: upstreams.map(({ wire }, index) =>
      compatible({
        name: NAMES[index] ?? '',
        baseURL: 'https://example.com/v1',
        apiKey: 'sk-outage-0123456789',
        models: ['small'],
        wire,
      }),
    ),
    tasks: { say: { model: 'small', limits: { timeoutMs } } },
    clock,
    random: seeded(SEED),
  })
  await router.ready()
  return router
}

type Router = Awaited<ReturnType<typeof routerOver>>

interface Tally {
  ok: number
  failed: number
  attempts: AttemptRecord[]
}

/** One call, counted. */
async function call(router: Router, tally: Tally): Promise<boolean> {
  try {
    const { usage } = await router.complete('say', 'Hi')
    tally.attempts.push(...usage.attempts)
    tally.ok += 1
    return true
  } catch (error) {
    if (!RouterError.is(error) || error.usage === null) throw error
    tally.attempts.push(...error.attempts)
    tally.failed += 1
    return false
  }
}

/** So many calls, a hundred a second, whether or not those before them are over. */
async function spread(router: Router, clock: VirtualClock, count: number): Promise<Tally> {
  const tally: Tally = { ok: 0, failed: 0, attempts: [] }
  const pending: Promise<boolean>[] = []
  for (let n = 0; n < count; n += 1) {
    pending.push(call(router, tally))
    if (n % BATCH === BATCH - 1) await clock.advance((1000 * BATCH) / PER_SECOND)
  }
  await ended(pending, clock)
  return tally
}

/** All at the same moment. */
async function burst(router: Router, clock: VirtualClock, count: number): Promise<Tally> {
  const tally: Tally = { ok: 0, failed: 0, attempts: [] }
  await ended(
    Array.from({ length: count }, () => call(router, tally)),
    clock,
  )
  return tally
}

async function ended(pending: readonly Promise<unknown>[], clock: VirtualClock): Promise<void> {
  let over = false
  const all = Promise.all(pending).finally(() => {
    over = true
  })
  while (!over) await clock.advance(500)
  await all
}

interface Measured {
  /** Of each provider, for each call. */
  readonly perCall: readonly number[]
  /** What may be asked of each in all: once for each call, a tenth more, ten saved, and one a second besides. */
  readonly most: number
}

async function outage(
  answers: Upstream['answers'],
  run: typeof spread,
  { count = CALLS, providers = 2, timeoutMs }: { count?: number; providers?: number; timeoutMs?: number } = {},
): Promise<Measured> {
  const clock = virtualClock()
  const upstreams = Array.from({ length: providers }, () => upstream(answers))
  const router = await routerOver(upstreams, clock, timeoutMs)
  const tally = await run(router, clock, count)
  expect([tally.ok, tally.failed]).toEqual([0, count])
  const perCall = upstreams.map(({ asked }) => asked / count)
  const seconds = clock.now() / 1000
  console.info(`attempts per call: ${perCall.join(', ')}; ${count} calls, over after ${seconds} s`)
  // Every request has its record.
  expect(tally.attempts).toHaveLength(upstreams.reduce((sum, { asked }) => sum + asked, 0))
  await router.close()
  return { perCall, most: 1.1 + (10 + seconds) / count }
}

const DOWN = () => ({ status: 503 })

describe('calls while everybody answers with a 503', { timeout: 60_000 }, () => {
  test.each([
    [CALLS, 'spread over time, two providers', spread, 2],
    [CALLS, 'in one burst, two providers', burst, 2],
    [SOME, 'spread over time, one provider', spread, 1],
    [SOME, 'in one burst, one provider', burst, 1],
  ] as const)('%i, %s: each is asked 1.1 times a call at the most', async (count, _, run, providers) => {
    const { perCall } = await outage(DOWN, run, { count, providers })
    for (const each of perCall) expect(each).toBeLessThanOrEqual(1.1)
  })
})

describe('calls while everybody is closed in another way', () => {
  const asking = (status: number, seconds: string) => () => ({ status, headers: { 'retry-after': seconds } })

  test.each([
    ['a 429', () => ({ status: 429 }), spread],
    ['a reset', () => BROKEN, spread],
    ['a 503 that asks for a second', asking(503, '1'), spread],
    ['a 429 that asks for two seconds', asking(429, '2'), spread],
    ['a 429 that asks for two seconds, to all at once', asking(429, '2'), burst],
  ] as const)('%s: a tenth is asked again, and one a second besides', async (_, answers, run) => {
    const { perCall, most } = await outage(answers, run, { count: SOME, providers: 1, timeoutMs: 8000 })
    for (const each of perCall) expect(each).toBeLessThanOrEqual(most)
  })
})

describe('when it is over', () => {
  test('nobody is locked out: the first call after it succeeds, and the breakers close', async () => {
    const clock = virtualClock()
    const upstreams = [upstream(DOWN), upstream(DOWN)]
    const router = await routerOver(upstreams, clock)
    await spread(router, clock, CALLS)
    const open = router.health().offers
    expect(open.map(({ state }) => state)).toEqual(['breaker-open', 'breaker-open'])
    for (const each of upstreams) each.answers = () => WELL
    const tally = await spread(router, clock, 200)
    expect([tally.ok, tally.failed]).toEqual([200, 0])
    expect(router.health().offers[0]?.state).toBe('well')
    await router.close()
  })

  test('one of two has its traffic back within the time that its breaker was still to be open', async () => {
    const clock = virtualClock()
    const [first, second] = [upstream(DOWN), upstream(() => WELL)]
    const router = await routerOver([first, second], clock)
    const down = await spread(router, clock, MINUTE)
    expect(down.failed).toBe(0)
    const forMs = router.health().offers.find(({ provider }) => provider === 'first')?.forMs ?? 0
    first.answers = () => WELL
    const [since, asked] = [clock.now(), first.asked]
    while (first.asked === asked && clock.now() < since + 300_000) await spread(router, clock, BATCH)
    const backMs = clock.now() - since
    console.info(`asked ${asked} times in a minute; open for another ${forMs} ms, back after ${backMs} ms`)
    // The clock moves on by whole batches, and while the last of one ends.
    expect(backMs).toBeLessThanOrEqual(forMs + 1000)
    const before = first.asked
    await spread(router, clock, 200)
    expect(first.asked - before).toBe(200)
    await router.close()
  })

  test('while it is down, one call at a time finds out, also of many at once', async () => {
    const clock = virtualClock()
    const [first, second] = [upstream(DOWN), upstream(() => WELL)]
    const router = await routerOver([first, second], clock)
    await spread(router, clock, BATCH)
    const before = first.asked
    await spread(router, clock, MINUTE)
    // Once each time the breaker has waited: 5, 10, 20, 40 seconds, each half of it at least.
    expect(first.asked - before).toBeLessThanOrEqual(5)
    await router.close()
  })
})

describe('random failures', () => {
  const FAULTS: readonly (Reply | Error)[] = [
    { status: 500 },
    { status: 503 },
    { status: 429 },
    { status: 429, headers: { 'retry-after': '1' } },
    { status: 502 },
    BROKEN,
  ]

  test(`${CALLS} calls, a tenth of those at the first of two providers fails: every call succeeds`, async () => {
    const clock = virtualClock()
    const random = seeded(SEED)
    const first = upstream(() => (random() < 0.1 ? (FAULTS[Math.floor(random() * FAULTS.length)] ?? WELL) : WELL))
    const second = upstream(() => WELL)
    const router = await routerOver([first, second], clock)
    const tally = await spread(router, clock, CALLS)
    const failed = tally.attempts.filter(({ outcome }) => outcome !== 'ok').length
    console.info(`${tally.ok} of ${CALLS} succeeded; ${failed} attempts failed; at the second: ${second.asked}`)
    expect([tally.ok, tally.failed]).toEqual([CALLS, 0])
    expect(failed).toBeGreaterThan(CALLS / 100)
    expect((first.asked + second.asked) / CALLS).toBeLessThan(1.1)
    await router.close()
  })

  test(`${SOME} calls, two of five fail at the only provider: a tenth is asked again`, async () => {
    const clock = virtualClock()
    const random = seeded(SEED)
    const only = upstream(() => (random() < 0.4 ? { status: 500 } : WELL))
    const router = await routerOver([only], clock)
    await spread(router, clock, SOME)
    console.info(`attempts per call: ${only.asked / SOME}`)
    // And those of one batch, who pause together.
    expect(only.asked).toBeLessThanOrEqual(1.1 * SOME + 10 + clock.now() / 1000 + BATCH)
    await router.close()
  })
})

describe('on real sockets', () => {
  test('500 calls, 50 at a time, while both providers answer with a 503: and well again at once', async () => {
    const sandbox = await startSandbox()
    const router = createRouter({
      providers: sandbox.providers(),
      tasks: { say: { model: 'openai/gpt-oss-20b' } },
      random: seeded(SEED),
    })
    await router.ready()
    let down = true
    const script = (): Step | undefined => (down ? fail(503) : undefined)
    sandbox.groq.script(script)
    sandbox.openrouter.script(script)
    const tally: Tally = { ok: 0, failed: 0, attempts: [] }
    for (let n = 0; n < 500; n += 50) await Promise.all(Array.from({ length: 50 }, () => call(router, tally)))
    const perCall = ['groq', 'openrouter'].map(
      (name) => sandbox.requests.filter(({ provider }) => provider === name).length / 500,
    )
    console.info(`on real sockets: attempts per call ${perCall.join(', ')}`)
    expect(tally.failed).toBe(500)
    for (const each of perCall) expect(each).toBeLessThanOrEqual(1.1)
    expect(tally.attempts).toHaveLength(sandbox.requests.length)
    down = false
    expect(await call(router, tally)).toBe(true)
    await router.close()
    await sandbox.close()
  })
})
