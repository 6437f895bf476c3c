import { getEventListeners } from 'node:events'
import { AbortError, AttemptsFailedError, BudgetError, compatible, createRouter, NoRouteError } from 'modelfirst'
import { afterEach, describe, expect, test } from 'vitest'
import { leaks } from './support/canaries.ts'
import { hasty, routerOver } from './support/router.ts'
import { type Answering, answerOf, eventually, reply, serve, type TestServer } from './support/server.ts'

const servers: TestServer[] = []
afterEach(async () => {
  await Promise.all(servers.splice(0).map((each) => each.close()))
})

async function started(answering: Answering): Promise<TestServer> {
  const server = await serve(answering)
  servers.push(server)
  return server
}

const silent: Answering = () => {}
const halting: Answering = ({ response }) => void response.writeHead(200).write('{"id":')
const answering: Answering = ({ response }) => reply(response, 200, answerOf('hello'))

/** Of a hundred calls. */
const ROUNDS = process.env.MODELFIRST_DEEP === '1' ? 100 : 15

const elapsedSince = (from: number) => performance.now() - from
const thrownBy = (call: Promise<unknown>) =>
  call.then(
    () => null,
    (error: unknown) => error,
  )

/** Milliseconds, also where other things are done at the same time; how soon it is exactly, the bench says. */
const AT_ONCE = 1000

describe('a caller who aborts', () => {
  const reason = new Error('the user left')

  test('before the call: nothing is sent, and the error says so', async () => {
    const server = await started(answering)
    const { router, records } = routerOver([server])
    const error = await thrownBy(router.complete('say', 'hi', { signal: AbortSignal.abort(reason) }))
    expect(error).toMatchObject({
      name: 'AbortError',
      kind: 'canceled',
      cause: reason,
      message: 'task "say" was aborted before anything was sent',
      usage: { outcome: 'canceled', attempts: [], cost: { usd: 0 } },
    })
    expect(AbortError.is(error)).toBe(true)
    expect(server.requests).toHaveLength(0)
    expect(records).toHaveLength(1)
    await router.close()
  })

  const phases: [string, Answering, string][] = [
    ['while it waits for headers', silent, 'waiting'],
    ['in the middle of the body', halting, 'streaming'],
    ['in the middle of an error', ({ response }) => void response.writeHead(500).write('{'), 'streaming'],
  ]
  test.each(phases)('%s: it is over at once, with its reason, its record, and no second attempt', async (...row) => {
    const [, first, phase] = row
    const server = await started(first)
    const second = await started(answering)
    const { router, records } = routerOver([server, second])
    const controller = new AbortController()
    const ended = thrownBy(router.complete('say', 'hi', { signal: controller.signal }))
    await eventually(() => server.busy === 1 && server.requests.length === 1)
    if (phase === 'streaming') await eventually(() => server.requests[0]?.response.headersSent === true)
    await new Promise((resolve) => setTimeout(resolve, 20))
    const from = performance.now()
    controller.abort(reason)
    const error = await ended
    expect(elapsedSince(from)).toBeLessThan(AT_ONCE)
    expect(error).toMatchObject({
      name: 'AbortError',
      kind: 'canceled',
      cause: reason,
      message: 'task "say" was aborted after 1 attempt',
      attempts: [{ outcome: 'canceled', phase, billed: phases[2]?.[1] === first ? 'no' : 'maybe' }],
    })
    expect(AbortError.is(error) && error.usage).toEqual(records[0])
    await eventually(() => server.busy === 0)
    expect(second.requests).toHaveLength(0)
    await router.close()
  })

  test('as soon as it has begun: nothing is left behind', async () => {
    const server = await started(silent)
    const { router } = routerOver([server])
    const controller = new AbortController()
    const ended = thrownBy(router.complete('say', 'hi', { signal: controller.signal }))
    controller.abort(reason)
    expect(await ended).toMatchObject({ name: 'AbortError', cause: reason })
    await eventually(() => server.busy === 0)
    await router.close()
  })

  test('at any moment of its connecting', async () => {
    const server = await started(silent)
    const { router } = routerOver([server])
    await router.ready()
    for (let turn = 0; turn < 20; turn += 1) {
      const controller = new AbortController()
      const ended = thrownBy(router.complete('say', 'hi', { signal: controller.signal }))
      for (let step = 0; step < turn; step += 1) await new Promise((resolve) => setImmediate(resolve))
      const from = performance.now()
      controller.abort(reason)
      expect(await ended).toMatchObject({ name: 'AbortError', cause: reason })
      expect(elapsedSince(from)).toBeLessThan(AT_ONCE)
    }
    await eventually(() => server.busy === 0)
    await router.close()
  })

  test.each([['a string'], [undefined], [0], [{ odd: true }]])('with %o as the reason keeps it', async (given) => {
    const { router } = routerOver([await started(silent)])
    const controller = new AbortController()
    setTimeout(() => controller.abort(given), 30)
    const error = await thrownBy(router.complete('say', 'hi', { signal: controller.signal }))
    expect(AbortError.is(error) && error.cause).toBe(controller.signal.reason)
    await router.close()
  })

  test('with a time-out signal is told apart from our own time-outs', async () => {
    const { router } = routerOver([await started(silent)])
    const error = await thrownBy(router.complete('say', 'hi', { signal: AbortSignal.timeout(30) }))
    expect(error).toMatchObject({ kind: 'canceled', cause: { name: 'TimeoutError' } })
    await router.close()
  })

  test('after the answer changes nothing', async () => {
    const { router } = routerOver([await started(answering)])
    const controller = new AbortController()
    const { text } = await router.complete('say', 'hi', { signal: controller.signal })
    controller.abort(reason)
    expect(text).toBe('hello')
    await router.close()
  })

  test(`${100 * ROUNDS} calls on one long-lived signal leave no listener on it`, async () => {
    let failing = 0
    const provider = compatible({
      name: 'own',
      baseURL: 'http://localhost:1/v1',
      models: ['small'],
      fetch: async () => {
        failing += 1
        return failing % 5 === 0 ? new Response('{}', { status: 500 }) : new Response(answerOf('hello'))
      },
    })
    const router = createRouter({ providers: [provider], tasks: { say: { model: 'small' } }, random: hasty() })
    const { signal } = new AbortController()
    for (let round = 0; round < ROUNDS; round += 1) {
      await Promise.allSettled(Array.from({ length: 100 }, () => router.complete('say', 'hi', { signal })))
      expect(getEventListeners(signal, 'abort')).toHaveLength(0)
    }
    await router.close()
  })
})

test('a hundred calls at once on one signal are no leak, and all of them hear it', async () => {
  const warnings: Error[] = []
  const note = (warning: Error) => void warnings.push(warning)
  process.on('warning', note)
  const server = await started(silent)
  const { router } = routerOver([server])
  const controller = new AbortController()
  const calls = Array.from({ length: 100 }, () => thrownBy(router.complete('say', 'hi', { signal: controller.signal })))
  await eventually(() => server.busy === 100)
  expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1)
  controller.abort(new Error('enough'))
  expect((await Promise.all(calls)).every(AbortError.is)).toBe(true)
  await new Promise((resolve) => setTimeout(resolve, 10))
  process.off('warning', note)
  expect(warnings).toEqual([])
  await router.close()
})

describe('time', () => {
  test('a provider that never answers leaves time for the next', async () => {
    const first = await started(silent)
    const second = await started(answering)
    const { router } = routerOver([first, second], { limits: { timeoutMs: 2000 } })
    const from = performance.now()
    const { provider, usage } = await router.complete('say', 'hi')
    expect(provider).toBe('second')
    expect(usage.attempts.map(({ outcome }) => outcome)).toEqual(['timed-out', 'ok'])
    expect(usage.attempts[0]?.durationMs).toBeGreaterThan(900)
    expect(usage.attempts[0]?.durationMs).toBeLessThan(1500)
    expect(elapsedSince(from)).toBeLessThan(2000)
    await router.close()
  })

  test('a single attempt has all of it, whatever else is in the plan', async () => {
    const slow = await started(({ response }) => setTimeout(() => reply(response, 200, answerOf('hello')), 800))
    const { router } = routerOver([slow, await started(answering)], { limits: { timeoutMs: 1500, attempts: 1 } })
    expect(await router.complete('say', 'hi')).toMatchObject({ provider: 'first', text: 'hello' })
    await router.close()
  })

  test.each([
    ['silence', silent],
    ['a body that stops', halting],
  ])('the limit holds over all attempts: %s', async (_, each) => {
    const { router } = routerOver(await Promise.all([each, each, each, each].map(started)), {
      limits: { timeoutMs: 200 },
    })
    const from = performance.now()
    const error = await thrownBy(router.complete('say', 'hi'))
    const elapsed = elapsedSince(from)
    expect(error).toMatchObject({ name: 'AttemptsFailedError', kind: 'timed-out' })
    expect(AttemptsFailedError.is(error) && error.attempts.length).toBeGreaterThan(1)
    expect(elapsed).toBeGreaterThan(180)
    expect(elapsed).toBeLessThan(200 + AT_ONCE)
    await router.close()
  })

  test('an option may shorten the limit of the policy, not lengthen it', async () => {
    const { router } = routerOver([await started(silent)], { limits: { timeoutMs: 150 } })
    for (const [timeoutMs, most] of [
      [60, 110],
      [60_000, 200],
    ] as const) {
      const from = performance.now()
      const error = await thrownBy(router.complete('say', 'hi', { limits: { timeoutMs } }))
      expect(error).toMatchObject({ kind: 'timed-out' })
      expect(elapsedSince(from)).toBeLessThan(most)
    }
    await router.close()
  })
})

describe('limits', () => {
  const failing: Answering = ({ response }) => reply(response, 500, '{"error":{"message":"down"}}')

  test('no more attempts than allowed, and the last failure is what is told', async () => {
    const all = await Promise.all([failing, failing, answering].map(started))
    const { router } = routerOver(all, { limits: { attempts: 2 } })
    const error = await thrownBy(router.complete('say', 'hi'))
    expect(error).toMatchObject({ name: 'AttemptsFailedError', kind: 'server-error' })
    expect(all.map(({ requests }) => requests.length)).toEqual([1, 1, 0])
    await router.close()
  })

  const prices = { input: 1, output: 2 }

  test('an attempt that could break the budget is not made: the failed one may have cost as much already', async () => {
    const [first, second] = await Promise.all([started(({ socket }) => socket.destroy()), started(answering)])
    const { router, records } = routerOver([first, second], { prices, limits: { maxCostUsd: 0.000_25 } })
    const error = await thrownBy(router.complete('say', 'hi', { request: { max_tokens: 100 } }))
    expect(BudgetError.is(error)).toBe(true)
    expect(error).toMatchObject({
      kind: 'out-of-budget',
      usage: { attempts: [{ outcome: 'unreachable', billed: 'maybe' }] },
    })
    expect(String(error)).toMatch(/limits\.maxCostUsd of \$0\.00025/)
    expect([first.requests.length, second.requests.length]).toEqual([1, 0])
    expect(records).toHaveLength(1)
    await router.close()
  })

  test('one that was not charged leaves the budget as it was', async () => {
    const { router } = routerOver([await started(failing), await started(answering)], {
      prices,
      limits: { maxCostUsd: 0.000_25 },
    })
    expect(await router.complete('say', 'hi', { request: { max_tokens: 100 } })).toMatchObject({ provider: 'second' })
    await router.close()
  })

  test('what is too dear from the start is not in the plan', async () => {
    const server = await started(answering)
    const { router } = routerOver([server], { prices, limits: { maxCostUsd: 0.000_001 } })
    const error = await thrownBy(router.complete('say', 'hi', { request: { max_tokens: 100 } }))
    expect(NoRouteError.is(error) && error.rejections).toMatchObject([{ code: 'too-dear', limit: 0.000_001 }])
    expect(server.requests).toHaveLength(0)
    await router.close()
  })
})

describe('close()', () => {
  test('aborts what runs, refuses what comes, and leaves nothing behind', async () => {
    const server = await started(silent)
    const before = process.getActiveResourcesInfo()
    const { router, records } = routerOver([server])
    const calls = Array.from({ length: 10 }, () => thrownBy(router.complete('say', 'hi')))
    await eventually(() => server.busy === 10)
    const from = performance.now()
    await router.close()
    expect(elapsedSince(from)).toBeLessThan(AT_ONCE)
    for (const error of await Promise.all(calls)) {
      expect(error).toMatchObject({ name: 'AbortError', kind: 'canceled', attempts: [{ outcome: 'canceled' }] })
    }
    expect(records).toHaveLength(10)
    await eventually(() => server.busy === 0)
    expect(await thrownBy(router.complete('say', 'hi'))).toMatchObject({ name: 'ConfigError' })
    const timers = (resources: readonly string[]) => resources.filter((each) => each === 'Timeout').length
    expect(timers(process.getActiveResourcesInfo())).toBeLessThanOrEqual(timers(before))
    await router.close()
  })

  test('a call that is over leaves no timer', async () => {
    const { router } = routerOver([await started(answering)])
    await router.complete('say', 'hi')
    const timers = process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length
    for (let n = 0; n < 20; n += 1) await router.complete('say', 'hi')
    expect(process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length).toBeLessThanOrEqual(timers)
    await router.close()
  })
})

test('who asks for a list again may give up, and close() gives up for them', async () => {
  const server = await started(silent)
  const { router } = routerOver([server], { key: 'sk-canary-0123456789' })
  const controller = new AbortController()
  const refreshing = router.catalog.refresh({ signal: controller.signal })
  await eventually(() => server.requests.length === 1)
  controller.abort(new Error('enough'))
  const { providers } = await refreshing
  expect(providers.first).toMatchObject({ error: { name: 'RouterError' } })
  const again = router.catalog.refresh()
  await eventually(() => server.requests.length === 2)
  await router.close()
  const closed = await again
  expect(closed.providers.first).toMatchObject({ error: { name: 'RouterError' } })
  expect(leaks({ closed }, { key: 'sk-canary-0123456789' })).toEqual([])
  await eventually(() => server.busy === 0)
})
