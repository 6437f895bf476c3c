import {
  AbortError,
  AttemptsFailedError,
  compatible,
  createRouter,
  type Draft,
  type RouterError,
  type TaskPolicy,
  when,
} from 'modelfirst'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { canaries, leaks } from './support/canaries.ts'
import { ALL, speaking, twoModels } from './support/speaking.ts'

const answer = ({ body }: { body: { readonly model?: unknown } }) => `I am ${String(body.model)}.`
const onlyLarge = ({ model }: Draft) => model === 'large' || 'too small'
const accepting = (accept: unknown): Pick<TaskPolicy, 'accept'> =>
  Object.assign({}, { accept }) as Pick<TaskPolicy, 'accept'>

async function failed(promise: Promise<unknown>): Promise<RouterError> {
  const error: unknown = await promise.then(
    () => null,
    (error: unknown) => error,
  )
  if (error instanceof Error && 'usage' in error) return error as RouterError
  throw error ?? new Error('it did not fail')
}

const waysOf = (usage: RouterError['usage']) =>
  (usage?.attempts ?? []).map(({ role, model, outcome }) => `${role} ${model} ${outcome}`)

describe('the bar', () => {
  test('sends an answer on to the next model, and the record says what that has cost', async () => {
    const { router } = twoModels(answer, { accept: onlyLarge })
    const { text, usage } = await router.complete('ask', 'Go.')
    expect(text).toBe('I am large.')
    expect(waysOf(usage)).toEqual(['first small below-bar', 'escalation large ok'])
    const [one, two] = usage.attempts
    expect(usage.escalation).toEqual({
      from: 'small',
      to: 'large',
      extraUsd: { low: one?.cost.low, high: one?.cost.high },
      directUsd: { low: two?.cost.low, high: two?.cost.high },
    })
  })

  test('sees the answer with its data, and who gave it; not before it fits', async () => {
    const drafts: Draft[] = []
    const { router } = twoModels(({ n }) => (n === 1 ? '{"n":"x"}' : '{"n":1}'), {
      schema: z.object({ n: z.number() }),
      accept: (draft) => {
        drafts.push(draft)
        return true
      },
    })
    await router.complete('ask', 'Go.')
    expect(drafts).toMatchObject([
      {
        data: { n: 1 },
        text: '{"n":1}',
        model: 'small',
        provider: 'house',
        attempt: { role: 'repair', outcome: 'ok' },
      },
    ])
    expect(Object.isFrozen(drafts[0])).toBe(true)
  })

  test.each([
    [
      'throws',
      () => {
        throw new TypeError('no')
      },
    ],
    ['rejects', () => Promise.reject(new RangeError('no'))],
    [
      'throws what is no error',
      () => {
        throw 'no'
      },
    ],
    ['says nothing', () => undefined],
    ['says null', () => null],
    ['says false', () => false],
    ['says 1', () => 1],
    ['says an object', async () => ({ ok: true })],
    ['gives an empty reason', () => ''],
  ])('is not cleared when it %s', async (_, accept) => {
    const { router, bodies } = twoModels(answer, accepting(accept))
    const error = await failed(router.complete('ask', 'Go.'))
    expect([error.kind, AttemptsFailedError.is(error)]).toEqual(['below-bar', true])
    expect(waysOf(error.usage)).toEqual(['first small below-bar', 'escalation large below-bar'])
    expect(bodies).toHaveLength(2)
    expect(error.message).not.toContain('\n')
  })

  test('says why in the error, without what was asked or answered', async () => {
    const secrets = canaries()
    const { prompt, answer: said } = secrets
    const { router, events, records } = twoModels(() => said, {
      accept: ({ text }) => `not polite enough: ${text} for ${prompt}`,
    })
    const error = await failed(router.complete('ask', prompt))
    expect(error.message).toContain('not polite enough')
    expect(leaks({ error, events, records }, { prompt, said })).toEqual([])
    const thrown = twoModels(() => said, {
      accept: ({ text }) => {
        throw Object.assign(new Error(text), { name: `${prompt} ${text}` })
      },
    })
    const other = await failed(thrown.router.complete('ask', prompt))
    expect(leaks({ error: other, events: thrown.events, records: thrown.records }, { prompt, said })).toEqual([])
  })

  test('may take its time, but not more than the call has; and an abort does not wait for it', async () => {
    const hanging = { accept: () => new Promise<true>(() => {}) }
    const late = await failed(
      twoModels(answer, { ...hanging, limits: { timeoutMs: 60 } }).router.complete('ask', 'Go.'),
    )
    expect([late.kind, waysOf(late.usage)]).toEqual(['timed-out', ['first small timed-out']])
    const controller = new AbortController()
    const { router, records } = twoModels(answer, hanging)
    const call = failed(router.complete('ask', 'Go.', { signal: controller.signal }))
    setTimeout(() => controller.abort('enough'), 20)
    const error = await call
    expect(error instanceof AbortError && error.cause).toBe('enough')
    // The answer came and is paid for, taken or not.
    expect(records.map(({ outcome, cost }) => [outcome, (cost.usd ?? 0) > 0])).toEqual([['canceled', true]])
    const closed = twoModels(answer, hanging)
    const pending = failed(closed.router.complete('ask', 'Go.'))
    await new Promise((resolve) => setTimeout(resolve, 10))
    await closed.router.close()
    expect((await pending).kind).toBe('canceled')
  })

  test('is not asked of an answer that only calls tools', async () => {
    let asked = 0
    const { router } = twoModels(() => ({ calls: [{ name: 'look', json: '{}' }] }), {
      accept: () => {
        asked += 1
        return 'no'
      },
      request: { tools: [{ type: 'function', function: { name: 'look', parameters: { type: 'object' } } }] },
    })
    const { toolCalls } = await router.complete('ask', 'Go.')
    expect([toolCalls.length, asked]).toEqual([1, 0])
  })

  test('can be told to stop there', async () => {
    const { router, bodies } = twoModels(answer, { accept: onlyLarge, fallback: [when('below-bar').stop()] })
    expect((await failed(router.complete('ask', 'Go.'))).kind).toBe('below-bar')
    expect(bodies).toHaveLength(1)
  })

  test('leaves its provider well: five refusals open no breaker', async () => {
    const { router } = twoModels(answer, { accept: onlyLarge })
    for (let n = 0; n < 8; n += 1) await router.complete('ask', 'Go.')
    const { usage } = await router.complete('ask', 'Go.')
    expect(usage.attempts[0]?.model).toBe('small')
  })

  test('of a stream: what was seen is void or the end of it, as the policy says', async () => {
    for (const onBroken of ['fail', 'continue'] as const) {
      const { router, bodies } = twoModels(answer, { accept: onlyLarge, onBroken })
      const stream = router.stream('ask', 'Go.')
      expect((await failed(stream.completion)).kind).toBe('below-bar')
      // One that came whole cannot be gone on with.
      expect(bodies).toHaveLength(1)
    }
    const { router } = twoModels(answer, { accept: onlyLarge, onBroken: 'restart' })
    const stream = router.stream('ask', 'Go.')
    const types: string[] = []
    let text = ''
    for await (const event of stream) {
      if (types.at(-1) !== event.type) types.push(event.type)
      if (event.type === 'restart') text = ''
      if (event.type === 'text-delta') text += event.text
    }
    expect(types).toEqual(['text-delta', 'restart', 'text-delta', 'end'])
    const { usage, text: whole } = await stream.completion
    expect([text, whole, waysOf(usage)]).toEqual([
      'I am large.',
      'I am large.',
      ['first small below-bar', 'escalation large ok'],
    ])
  })

  test('may throw what cannot even be looked at, and the call ends as a call', async () => {
    const nameless = Object.defineProperty(new Error(), 'name', { get: () => JSON.parse('') })
    const throwing = () => Promise.reject(nameless)
    const { router, records } = twoModels(answer, { accept: throwing })
    const error = await failed(router.complete('ask', 'Go.'))
    expect([error.kind, error.message.includes('threw an error'), records.length]).toEqual(['below-bar', true, 1])
  })

  test('of a stream that is left while it is looked at: nobody waits', async () => {
    const { router } = twoModels(answer, { accept: () => new Promise<true>(() => {}) })
    const stream = router.stream('ask', 'Go.')
    const iterator = stream[Symbol.asyncIterator]()
    while (
      !(await Promise.race([iterator.next(), new Promise<null>((resolve) => setTimeout(resolve, 20, null))]).then(
        (next) => next === null,
      ))
    ) {}
    await iterator.return?.()
    const { text, usage } = await stream.completion
    // Nobody has taken it.
    expect([text, usage.outcome, waysOf(usage)]).toEqual(['I am small.', 'canceled', ['first small canceled']])
  })
})

describe('the bar, where a second provider is asked when the first is late', () => {
  function two(answering: (provider: string) => Promise<string> | string, task: Partial<TaskPolicy>) {
    const provider = (name: string) => {
      const { wire, bodies } = speaking(() => answering(name))
      const models = [{ id: 'small', abilities: ALL, context: 10_000, prices: { input: 1, output: 1 } }]
      const made = compatible({ name, baseURL: 'http://localhost:1/v1', apiKey: 'sk-test-0123456789', wire, models })
      return { made, bodies }
    }
    const [one, other] = [provider('one'), provider('other')]
    const policy: TaskPolicy = { model: 'small', hedge: { afterMs: 20 }, ...task }
    const router = createRouter({ providers: [one.made, other.made], tasks: { ask: policy } })
    return { router, asked: () => [one.bodies.length, other.bodies.length] }
  }

  test('an answer that is only looked at is not late', async () => {
    const { router, asked } = two(() => 'Hi.', { accept: () => pause(60).then(() => true) })
    await router.complete('ask', 'Go.')
    expect(asked()).toEqual([1, 0])
  })

  test('an answer that is not taken does not win while the other is still under way', async () => {
    const answering = (provider: string) => (provider === 'one' ? pause(80).then(() => 'Good.') : 'Bad.')
    const { router, asked } = two(answering, { accept: ({ text }) => text === 'Good.' || 'bad' })
    const { text, usage } = await router.complete('ask', 'Go.')
    expect([text, asked()]).toEqual(['Good.', [1, 1]])
    expect(waysOf(usage)).toEqual(['first small ok', 'hedge small below-bar'])
  })
})

const pause = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds))
