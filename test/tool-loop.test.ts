import fc from 'fast-check'
import {
  AbortError,
  AttemptsFailedError,
  BadOutputError,
  type ChatMessage,
  ConfigError,
  createRouter,
  RouterError,
  type Run,
  runOf,
  type Tool,
  tool,
} from 'modelfirst'
import { cutAfter, fail, ok, type Sandbox, type Step } from 'modelfirst/sandbox'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { fields, list } from '../src/fields.ts'
import { runUsageOf } from '../src/run-usage.ts'
import { idsIn, turnOf } from '../src/tool-calls.ts'
import { post, start } from './sandbox/client.ts'
import { recordsLike } from './support/records.ts'
import { hasty } from './support/router.ts'
import { runs } from './support/runs.ts'

const MODEL = 'openai/gpt-oss-120b'
const anything = z.looseObject({})

interface Call {
  readonly name: string
  readonly arguments?: unknown
}

/** An answer that calls these tools. */
function calls(...given: readonly (string | Call)[]): Step {
  return ok({
    toolCalls: given.map((call) =>
      typeof call === 'string' ? { name: call, arguments: {} } : { arguments: {}, ...call },
    ),
  })
}

async function routed(provider: string | readonly string[] = 'groq') {
  const sandbox = await start()
  const router = createRouter({
    providers: sandbox.providers(),
    random: hasty(),
    tasks: {
      reply: { model: MODEL as string, provider },
      forced: { model: MODEL as string, provider, request: { tool_choice: 'required' } },
      shaped: { model: MODEL as string, provider, schema: z.object({ celsius: z.number() }) },
    },
  })
  return { sandbox, router }
}

/** One step after the other, whoever is asked. */
function inTurn(sandbox: Sandbox, steps: readonly Step[]): void {
  const left = [...steps]
  sandbox.groq.script(() => left.shift())
  sandbox.openrouter.script(() => left.shift())
}

/** A tool that counts how often it was run, and gives what it was given. */
function counted(name = 'count', run: Tool['run'] = () => 'done') {
  const ran: unknown[] = []
  const counting = tool({
    name,
    input: anything,
    run: (given, context) => {
      ran.push(given)
      return Reflect.apply(run, undefined, [given, context])
    },
  })
  return { tool: counting, ran }
}

/** The messages that the latest requests of a sandbox had. */
function sent(sandbox: Sandbox) {
  return sandbox.requests.map(({ body }) => list(fields(body)?.messages))
}

function resultsIn(messages: readonly ChatMessage[]): unknown[] {
  return messages.flatMap((message) => (message.role === 'tool' ? [message.content] : []))
}

async function rejectionOf(promise: Promise<unknown>): Promise<RouterError> {
  const error: unknown = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (RouterError.is(error)) return error
  throw error ?? new Error('it did not reject')
}

/** Every call is answered once, under an id of its own. */
function expectWhole(messages: readonly ChatMessage[]): void {
  const called: string[] = []
  for (const message of messages) {
    if (message.role === 'assistant') for (const call of message.tool_calls ?? []) called.push(call.id)
  }
  expect(new Set(called).size).toBe(called.length)
  expect(messages.flatMap((message) => (message.role === 'tool' ? [message.tool_call_id] : []))).toEqual(called)
}

describe('a run', () => {
  test('asks, runs what is called, and asks again with what it gave', async () => {
    const { sandbox, router } = await routed()
    const weather = tool({
      name: 'weather',
      input: z.object({ city: z.string() }),
      run: async ({ city }, { step, callId }) => ({ city, step, known: callId.length > 0 }),
    })
    sandbox.groq.script([calls({ name: 'weather', arguments: { city: 'Bern' } }), ok('It rains.')])
    const run = await router.run('reply', 'How is the weather in Bern?', { tools: [weather] })
    expect(run).toMatchObject({ ended: 'answer', text: 'It rains.', data: null, calls: [] })
    expect(run.steps).toHaveLength(2)
    expect(run.completion).toBe(run.steps[1])
    expect(run.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'assistant'])
    expect(resultsIn(run.messages)).toEqual(['{"city":"Bern","step":1,"known":true}'])
    expect(sent(sandbox)[1]).toHaveLength(3)
    expect(Object.isFrozen(run) && Object.isFrozen(run.messages) && Object.isFrozen(run.steps)).toBe(true)
  })

  test('without anything to call it is one call', async () => {
    const { sandbox, router } = await routed()
    sandbox.groq.script([ok('Hello.')])
    const { tool: never, ran } = counted()
    const run = await router.run('reply', 'Hello', { tools: [never] })
    expect([run.ended, run.steps.length, run.usage.calls, ran.length]).toEqual(['answer', 1, 1, 0])
    sandbox.groq.script([ok('Hello.')])
    expect((await router.run('reply', 'Hello', { tools: [] })).ended).toBe('answer')
  })

  test('arguments come as the schema gives them', async () => {
    const { sandbox, router } = await routed()
    const given: unknown[] = []
    const find = tool({
      name: 'find',
      input: z.object({ id: z.coerce.number(), kind: z.string().default('letter') }).transform((all) => ({ all })),
      run: (found) => void given.push(found),
    })
    sandbox.groq.script([calls({ name: 'find', arguments: { id: '12' } }), ok('Found.')])
    await router.run('reply', 'Find it', { tools: [find] })
    expect(given).toEqual([{ all: { id: 12, kind: 'letter' } }])
  })

  test('with a schema the answer has its shape', async () => {
    const { sandbox, router } = await routed()
    const { tool: measure } = counted('measure', () => 21.5)
    sandbox.groq.script([calls('measure'), ok('{"celsius":21.5}')])
    const run = await router.run('shaped', 'Get the temperature', { tools: [measure] })
    expect(run).toMatchObject({ ended: 'answer', data: { celsius: 21.5 } })
    expect(run.steps[0]?.data).toBeNull()
  })

  test('what is no list of tools, no number of steps, or tools in two places is told before anything is sent', async () => {
    const { sandbox, router } = await routed()
    const { tool: one } = counted()
    const field = async (input: unknown, options: unknown) => {
      const error = await rejectionOf(Reflect.apply(router.run, router, ['reply', input, options]))
      return ConfigError.is(error) ? error.field : error.message
    }
    expect(await field('Hi', undefined)).toBe('options')
    expect(await field('Hi', {})).toBe('options.tools')
    expect(await field('Hi', { tools: one })).toBe('options.tools')
    expect(await field('Hi', { tools: [one, one] })).toBe('options.tools[1].name')
    for (const maxSteps of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '3', null]) {
      expect(await field('Hi', { tools: [one], maxSteps })).toBe('options.maxSteps')
    }
    expect(await field(null, { tools: [one] })).toBe('input')
    const raw = [{ type: 'function', function: { name: 'raw' } }]
    expect(await field({ messages: [{ role: 'user', content: 'Hi' }], tools: raw }, { tools: [one] })).toBe(
      'input.tools',
    )
    expect(await field('Hi', { tools: [one], request: { tools: raw } })).toBe('options.request.tools')
    expect(await field('Hi', { tools: [one], sesion: 'x' })).toBe('options.sesion')
    expect(sandbox.requests).toEqual([])
  })
})

describe('tools of one step', () => {
  test('run beside each other, and are answered in the order of their calls', async () => {
    const { sandbox, router } = await routed()
    let running = 0
    let most = 0
    const slow = tool({
      name: 'slow',
      input: z.object({ n: z.number() }),
      async run({ n }) {
        running += 1
        most = Math.max(most, running)
        // The last one is done first.
        for (let turn = 128 - n; turn >= 0; turn -= 1) await Promise.resolve()
        running -= 1
        return n
      },
    })
    const numbers = Array.from({ length: 128 }, (_, n) => n)
    sandbox.groq.script([calls(...numbers.map((n) => ({ name: 'slow', arguments: { n } }))), ok('Done.')])
    const { messages } = await router.run('reply', 'All of them', { tools: [slow] })
    expect(resultsIn(messages)).toEqual(numbers.map(String))
    expect(most).toBe(128)
    expectWhole(messages)
  })

  const circular: Record<string, unknown> = {}
  circular.self = circular

  test.each<[string, Tool['run'], string]>([
    [
      'throws',
      () => {
        throw new TypeError('no such city')
      },
      'Error: no such city',
    ],
    ['rejects', () => Promise.reject(new Error('no such city')), 'Error: no such city'],
    [
      'throws an abort of its own',
      () => {
        throw new DOMException('its own', 'AbortError')
      },
      'Error: its own',
    ],
    ['throws nothing', () => Promise.reject(), 'Error: the tool failed'],
    ['gives a bigint', () => 12n, 'Error: the result of the tool cannot be put into JSON'],
    ['gives a circle', () => circular, 'Error: the result of the tool cannot be put into JSON'],
    ['gives 2 MB', () => 'x'.repeat(2 << 20), 'Error: the result of the tool is larger than 1 MB: ask for less of it'],
    ['gives nothing', () => undefined, 'null'],
    ['gives a promise of a promise', async () => Promise.resolve('late'), 'late'],
  ])('one that %s ends nothing, and hinders no other', async (_, run, told) => {
    const { sandbox, router } = await routed()
    const odd = counted('odd', run)
    const well = counted('well', () => 'fine')
    sandbox.groq.script([calls('odd', 'well'), ok('So be it.')])
    const { messages, ended } = await router.run('reply', 'Both', { tools: [odd.tool, well.tool] })
    expect([ended, ...resultsIn(messages)]).toEqual(['answer', told, 'fine'])
    expect([odd.ran.length, well.ran.length]).toEqual([1, 1])
  })

  test('one that takes longer than it may is told so, and its signal aborts', async () => {
    const { sandbox, router } = await routed()
    const reasons: unknown[] = []
    const hanging = tool({
      name: 'hang',
      input: anything,
      timeoutMs: 20,
      run: (_, { signal }) => {
        signal.addEventListener('abort', () => reasons.push(signal.reason))
        return new Promise<string>(() => {})
      },
    })
    sandbox.groq.script([calls('hang'), ok('Never mind.')])
    const { messages, ended } = await router.run('reply', 'Wait', { tools: [hanging] })
    expect([ended, ...resultsIn(messages)]).toEqual(['answer', 'Error: the tool took longer than 20 ms'])
    expect(reasons).toHaveLength(1)
  })

  test('one that is called wrongly never runs: the model is asked again, and that fails as a call does', async () => {
    const { sandbox, router } = await routed()
    const ran: unknown[] = []
    const find = tool({ name: 'find', input: z.object({ id: z.number() }), run: (given) => void ran.push(given) })
    const right = calls({ name: 'find', arguments: { id: 12 } })
    const wrong = calls({ name: 'find', arguments: { id: 'twelve' } })
    const strange = calls({ name: 'search', arguments: { id: 12 } })
    sandbox.groq.script([wrong, right, strange, right, ok('Found.')])
    const { text, usage, messages } = await router.run('reply', 'Find it', { tools: [find] })
    expect([text, ran]).toEqual(['Found.', [{ id: 12 }, { id: 12 }]])
    expect([usage.calls, usage.attempts]).toEqual([3, 5])
    // What was wrong was mended in the call: the history has only what was right.
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'assistant', 'tool', 'assistant'])
    sandbox.groq.script(() => wrong)
    const error = await rejectionOf(router.run('reply', 'Find it', { tools: [find] }))
    expect([BadOutputError.is(error), error.kind, ran.length]).toEqual([true, 'bad-output', 2])
  })

  test('__proto__ in the arguments reaches the tool as a word like any other', async () => {
    const { sandbox, router } = await routed()
    const { tool: open, ran } = counted('open')
    sandbox.groq.script([calls({ name: 'open', arguments: '{"__proto__":{"admin":true},"a":1}' }), ok('Done.')])
    await router.run('reply', 'Open it', { tools: [open] })
    expect(ran).toHaveLength(1)
    expect(Reflect.get(Object(ran[0]), 'admin')).toBeUndefined()
    expect(Reflect.get({}, 'admin')).toBeUndefined()
  })
})

describe('a run ends', () => {
  test('when the model was asked as often as it may be: its last calls are nobody’s', async () => {
    const { sandbox, router } = await routed()
    const { tool: again, ran } = counted('again')
    sandbox.groq.script(() => calls('again'))
    const run = await router.run('reply', 'Go on', { tools: [again], maxSteps: 3 })
    expect(run).toMatchObject({ ended: 'steps', data: null, calls: [{ name: 'again' }] })
    expect([run.steps.length, ran.length, sandbox.requests.length]).toEqual([3, 2, 3])
    expect(run.messages.at(-1)?.role).toBe('assistant')
    expect((await router.run('reply', 'Go on', { tools: [again] })).steps).toHaveLength(10)
    expect(await router.run('reply', 'Go on', { tools: [again], maxSteps: 1 })).toMatchObject({ ended: 'steps' })
    expect(ran).toHaveLength(11)
  })

  test('where a tool is called that has no run; the others have run', async () => {
    const { sandbox, router } = await routed()
    const { tool: own, ran } = counted('own', () => 'mine')
    const theirs = tool({ name: 'theirs', input: z.object({ sum: z.number() }) })
    const tools = [own, theirs] as const
    sandbox.groq.script([calls('own', { name: 'theirs', arguments: { sum: 3 } }, 'own'), ok('Thank you.')])
    const run = await router.run('reply', 'Both', { tools })
    expect(run).toMatchObject({ ended: 'handed-over', data: null, calls: [{ name: 'theirs', arguments: { sum: 3 } }] })
    expect(resultsIn(run.messages)).toEqual(['mine', 'mine'])
    expect(ran).toHaveLength(2)
    const [open] = run.calls
    const answered: ChatMessage[] = [...run.messages, { role: 'tool', tool_call_id: open?.id ?? '', content: 'paid' }]
    const after = await router.run('reply', answered, { tools })
    expect(after).toMatchObject({ ended: 'answer', text: 'Thank you.' })
    expect(ran).toHaveLength(2)
  })

  test('a tool choice that is forced is forced once', async () => {
    const { sandbox, router } = await routed()
    const { tool: look } = counted('look')
    const choices = async (...args: Parameters<typeof router.run>) => {
      sandbox.reset()
      sandbox.groq.script([calls('look'), ok('Seen.')])
      await router.run(...args)
      return sandbox.requests.map(({ body }) => fields(body)?.tool_choice)
    }
    const named = { type: 'function' as const, function: { name: 'look' } }
    const input = { messages: [{ role: 'user' as const, content: 'Look' }] }
    expect(await choices('reply', 'Look', { tools: [look] })).toEqual([undefined, undefined])
    expect(await choices('reply', { ...input, tool_choice: 'required' }, { tools: [look] })).toEqual([
      'required',
      'auto',
    ])
    expect(await choices('reply', 'Look', { tools: [look], request: { tool_choice: named } })).toEqual([named, 'auto'])
    expect(await choices('forced', 'Look', { tools: [look] })).toEqual(['required', 'auto'])
    expect(await choices('reply', { ...input, tool_choice: 'auto' }, { tools: [look] })).toEqual(['auto', 'auto'])
  })
})

describe('an abort', () => {
  test('in the middle of a tool ends the run at once; the tool hears of it', async () => {
    const { sandbox, router } = await routed()
    const controller = new AbortController()
    const reason = new Error('the customer has left')
    let heard: unknown = null
    const { tool: quick } = counted('quick', () => 'there')
    const hanging = tool({
      name: 'hang',
      input: anything,
      run: (_, { signal }) => {
        signal.addEventListener('abort', () => {
          heard = signal.reason
        })
        setTimeout(() => controller.abort(reason), 5)
        return new Promise<string>(() => {})
      },
    })
    sandbox.groq.script([calls('quick', 'hang')])
    const running = router.run('reply', 'Wait', { tools: [quick, hanging], signal: controller.signal })
    const error = await rejectionOf(running)
    expect(AbortError.is(error)).toBe(true)
    expect([error.kind, error.cause, heard]).toEqual(['canceled', reason, reason])
    const before = runOf(error)
    expect(before?.steps).toHaveLength(1)
    expect(resultsIn(before?.messages ?? [])).toEqual(['there', 'Error: the run was aborted before the tool had ended'])
    expectWhole(before?.messages ?? [])
    expect(sandbox.requests).toHaveLength(1)
  })

  test('by a tool itself, or between two steps, sends nothing more and runs nothing more', async () => {
    const { sandbox, router } = await routed()
    const controller = new AbortController()
    const { tool: stop } = counted('stop', () => {
      controller.abort(new Error('enough'))
      return 'stopped'
    })
    const { tool: next, ran } = counted('next')
    sandbox.groq.script([calls('stop', 'next'), ok('Too late.')])
    const error = await rejectionOf(router.run('reply', 'Stop', { tools: [stop, next], signal: controller.signal }))
    expect(AbortError.is(error)).toBe(true)
    expect([ran.length, sandbox.requests.length, runOf(error)?.usage.calls]).toEqual([0, 1, 1])
  })

  test('before anything, and while the model is asked, is that of a call', async () => {
    const { sandbox, router } = await routed()
    const signals: AbortSignal[] = []
    const { tool: never, ran } = counted('count', (_, { signal }) => void signals.push(signal))
    const before = await rejectionOf(router.run('reply', 'Hi', { tools: [never], signal: AbortSignal.abort() }))
    expect([AbortError.is(before), runOf(before), sandbox.requests.length]).toEqual([true, null, 0])
    const controller = new AbortController()
    sandbox.groq.script((request) => {
      if (list(fields(request.body)?.messages).length === 1) return calls('count')
      controller.abort()
      return ok('Never read.')
    })
    const during = await rejectionOf(router.run('reply', 'Hi', { tools: [never], signal: controller.signal }))
    expect([AbortError.is(during), ran.length, runOf(during)?.steps.length]).toEqual([true, 1, 1])
    expect(runOf(during)?.usage.calls).toBe(2)
    // The tool was done: it hears of nothing any more.
    expect(signals.map(({ aborted }) => aborted)).toEqual([false])
  })

  test('of the router ends a run whose tool hangs', async () => {
    const { sandbox, router } = await routed()
    let started = () => {}
    const waiting = new Promise<void>((resolve) => {
      started = resolve
    })
    const { tool: hang } = counted('hang', () => {
      started()
      return new Promise(() => {})
    })
    sandbox.groq.script([calls('hang')])
    const ended = rejectionOf(router.run('reply', 'Wait', { tools: [hang] }))
    await waiting
    await router.close()
    expect(AbortError.is(await ended)).toBe(true)
  })

  test('leaves no listener behind, and a tool that fails later is nobody’s trouble', async () => {
    const { sandbox, router } = await routed()
    const controller = new AbortController()
    let listening = 0
    const { signal } = controller
    const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)]
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listening += 1
      add(...args)
    }
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listening -= 1
      remove(...args)
    }
    const { tool: look } = counted('look')
    sandbox.groq.script([calls('look', 'look'), ok('Seen.')])
    await router.run('reply', 'Look', { tools: [look], signal })
    expect(listening).toBe(0)
    const { tool: late } = counted('late', (_: unknown, context) => {
      controller.abort()
      return new Promise((_, reject) => setTimeout(() => reject(new Error(String(context.signal.aborted))), 5))
    })
    sandbox.groq.script([calls('late')])
    expect(AbortError.is(await rejectionOf(router.run('reply', 'Late', { tools: [late], signal })))).toBe(true)
    // An unhandled rejection would fail the test run.
    await new Promise((resolve) => setTimeout(resolve, 20))
  })
})

describe('when a later call fails', () => {
  test('a failover and a retry in the middle of a run run no tool twice', async () => {
    const { sandbox, router } = await routed(['groq', 'openrouter'])
    const { tool: pay, ran } = counted('pay', () => 'paid')
    const more = calls({ name: 'pay', arguments: { more: 1 } })
    inTurn(sandbox, [calls('pay'), fail(503), cutAfter(20), fail(502), more, fail(500), ok('All paid.')])
    const run = await router.run('reply', 'Pay twice', { tools: [pay] })
    expect(run).toMatchObject({ ended: 'answer' })
    expect(ran).toEqual([{}, { more: 1 }])
    expect(run.usage.calls).toBe(3)
    expect(run.usage.attempts).toBe(sandbox.requests.length)
    expect(run.usage.attempts).toBe(7)
    expectWhole(run.messages)
  })

  test('the error stays what it is, and carries what was done; from there it goes on without a second run', async () => {
    const { sandbox, router } = await routed()
    const { tool: pay, ran } = counted('pay', () => 'paid')
    sandbox.groq.script([calls('pay'), fail(400)])
    const error = await rejectionOf(router.run('reply', 'Pay', { tools: [pay] }))
    expect(AttemptsFailedError.is(error)).toBe(true)
    expect(JSON.stringify(error)).not.toContain('paid')
    expect(Reflect.ownKeys({ ...error }).every((key) => typeof key === 'string')).toBe(true)
    const before = runOf(error)
    expect(before).toMatchObject({ usage: { calls: 2, attempts: 2 } })
    expect(before?.steps).toHaveLength(1)
    sandbox.groq.script([ok('Paid.')])
    const after = await router.run('reply', before?.messages ?? [], { tools: [pay] })
    expect([after.text, ran.length]).toEqual(['Paid.', 1])
    expectWhole(after.messages)
  })

  test.each([null, undefined, 'error', new Error('another'), new ConfigError('x', 'y'), {}])(
    '%s is of no run',
    (error) => {
      expect(runOf(error)).toBeNull()
    },
  )
})

describe('the history of a run', () => {
  test('is taken by every provider, and is the same for all', async () => {
    const { sandbox, router } = await routed(['groq', 'openrouter'])
    const { tool: look } = counted('look', () => 'seen')
    sandbox.groq.script([
      calls('look', { name: 'look', arguments: { again: true } }),
      calls('look'),
      ok('That is all.'),
    ])
    const { messages } = await router.run(
      'reply',
      [
        { role: 'system', content: 'Look.' },
        { role: 'user', content: 'Go' },
      ],
      {
        tools: [look],
      },
    )
    expectWhole(messages)
    const body = { model: 'openai/gpt-oss-120b', messages: [...messages, { role: 'user', content: 'And now?' }] }
    for (const provider of [sandbox.groq, sandbox.openrouter]) {
      const response = await post(provider, body)
      expect(response.status, await response.text()).toBe(200)
    }
    for (const model of [
      'anthropic/claude-sonnet-4.5',
      'mistralai/mistral-small-3.2-24b-instruct',
      'google/gemini-2.5-flash',
    ]) {
      const policy = { model: model as string, provider: 'openrouter' }
      const { finish } = await router.complete(policy, [...messages, { role: 'user', content: 'And now?' }])
      expect(finish.reason).toBe('stop')
    }
  })

  test('is one session, a fresh one where none is given', async () => {
    const { sandbox, router } = await routed('openrouter')
    const { tool: look } = counted('look')
    const hashes = async (options: { session?: string }) => {
      sandbox.openrouter.script([calls('look'), ok('Seen.')])
      const { steps } = await router.run('reply', 'Look', { tools: [look], ...options })
      return steps.map(({ usage }) => usage.session)
    }
    const [one, same] = await hashes({})
    expect(one).not.toBeNull()
    expect(same).toBe(one)
    expect((await hashes({}))[0]).not.toBe(one)
    const [mine] = await hashes({ session: 'mine' })
    expect((await hashes({ session: 'mine' }))[1]).toBe(mine)
    sandbox.openrouter.script([calls('look'), ok('Seen.')])
    const bound = await router.session('mine').run('reply', 'Look', { tools: [look] })
    expect(bound.steps[1]?.usage.session).toBe(mine)
  })

  test('an id comes once, whatever hosts make of it, and the same call of one answer runs once', async () => {
    const { sandbox, router } = await routed()
    const { tool: look, ran } = counted('look', (given: unknown) => JSON.stringify(given))
    const answer = (...given: readonly [id: string, json: string][]) => ({
      body: {
        id: 'x',
        object: 'chat.completion',
        model: 'openai/gpt-oss-120b',
        choices: [
          {
            index: 0,
            finish_reason: 'tool_calls',
            message: {
              role: 'assistant',
              content: null,
              tool_calls: given.map(([id, json]) => ({
                id,
                type: 'function',
                function: { name: 'look', arguments: json },
              })),
            },
          },
        ],
        usage: { prompt_tokens: 5, completion_tokens: 5, total_tokens: 10 },
      },
    })
    sandbox.groq.script([
      fail(200, answer(['call_0', '{"a":1}'], ['call_0', '{"a":1}'], ['call_0', '{"b":2}'])),
      fail(200, answer(['call_0', '{"a":1}'], ['call_0_2', '{"c":3}'])),
      ok('Seen.'),
    ])
    const { messages, ended } = await router.run('reply', 'Look', { tools: [look] })
    expect(ended).toBe('answer')
    expectWhole(messages)
    expect(resultsIn(messages)).toEqual(['{"a":1}', '{"a":1}', '{"b":2}', '{"a":1}', '{"c":3}'])
    expect(ran).toEqual([{ a: 1 }, { b: 2 }, { a: 1 }, { c: 3 }])
  })

  test('whatever the ids are, each is given once, nothing is lost, and what is well stays as it is', () => {
    const id = fc.constantFrom('0', '0_2', '0_3', '1', 'call_0', 'x'.repeat(64))
    const called = fc.record({ id, name: fc.constantFrom('a', 'b'), json: fc.constantFrom('{}', '{"a":1}', '') })
    fc.assert(
      fc.property(fc.array(fc.array(called, { maxLength: 6 }), { maxLength: 5 }), fc.array(id), (answers, before) => {
        const messages: ChatMessage[] = before.map((tool_call_id) => ({ role: 'tool', tool_call_id, content: '' }))
        const taken = idsIn(messages)
        const seen = new Set(before)
        for (const answer of answers) {
          const toolCalls = answer.map((call) => ({ ...call, arguments: {} }))
          const message = {
            role: 'assistant' as const,
            content: null,
            tool_calls: answer.map(({ id, name, json }) => ({
              id,
              type: 'function' as const,
              function: { name, arguments: json || '{}' },
            })),
            reasoning_details: answer.map(({ id }) => ({ type: 'reasoning.encrypted', id, data: 'x' })),
          }
          const turn = turnOf({ message, toolCalls }, taken)
          const ids = turn.calls.map(({ call }) => call.id)
          expect(turn.message.tool_calls?.map((call) => call.id)).toEqual(ids)
          expect(turn.message.reasoning_details?.map((thought) => fields(thought)?.id)).toEqual(ids)
          expect(turn.message.tool_calls?.map((call) => call.function)).toEqual(
            message.tool_calls.map((call) => call.function),
          )
          for (const [index, { id }] of answer.entries()) {
            const isFirst = answer.findIndex((other) => other.id === id) === index
            if (isFirst && !seen.has(id)) expect(ids[index]).toBe(id)
          }
          const isClean = new Set(ids).size === answer.length && answer.every((call) => !seen.has(call.id))
          const wasClean = new Set(answer.map((call) => call.id)).size === answer.length
          if (isClean && wasClean) expect(turn.message).toBe(message)
          for (const [index, each] of ids.entries()) {
            expect(seen.has(each)).toBe(false)
            expect(each.length).toBeLessThanOrEqual(64)
            seen.add(each)
            const { twinOf } = turn.calls[index] ?? {}
            if (typeof twinOf === 'number') {
              expect(twinOf).toBeLessThan(index)
              expect(answer[twinOf]).toEqual(answer[index])
            } else
              expect(answer.findIndex((other) => JSON.stringify(other) === JSON.stringify(answer[index]))).toBe(index)
          }
        }
      }),
      runs(10),
    )
  })
})

describe('the usage of a run', () => {
  test('is the bill of all its calls, failed attempts and all', async () => {
    const { sandbox, router } = await routed(['openrouter', 'groq'])
    const { tool: look } = counted('look', () => 'seen '.repeat(50))
    inTurn(sandbox, [calls('look'), fail(503), calls('look'), fail(500), ok('Enough seen.')])
    const { usage, steps } = await router.run('reply', 'Look '.repeat(100), { tools: [look] })
    expect(usage.calls).toBe(3)
    expect(usage.attempts).toBe(sandbox.requests.length)
    expect(usage.cost.usd).not.toBeNull()
    expect(Math.abs((usage.cost.usd ?? 0) - Number(sandbox.bill().usd))).toBeLessThan(1e-12)
    expect(Number(sandbox.bill().usd)).toBeGreaterThan(0)
    const { total } = router.ledger.summary({ by: 'task' })
    expect([total.calls, total.cost.usd, total.tokens.total.sum]).toEqual([3, usage.cost.usd, usage.tokens.total])
    expect(usage.tokens.prompt).toBe(steps.reduce((sum, step) => sum + (step.usage.tokens.prompt ?? Number.NaN), 0))
    expect(usage.cache.discountUsd).toBeCloseTo(total.cache.discountUsd, 12)
  })

  test('adds as intervals, exactly, and says how much of it is unknown', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.integer(), (length, seed) => {
        const next = recordsLike({ seed })
        const records = Array.from({ length }, next)
        const { cost, calls, attempts, tokens } = runUsageOf(records)
        const pico = (usd: number) => BigInt(Math.round(usd * 1e12))
        const low = records.reduce((sum, each) => sum + pico(each.cost.low), 0n)
        const high = records.reduce((sum, each) => sum + pico(each.cost.high ?? 0), 0n)
        const isOpen = records.some((each) => each.cost.high === null)
        expect(pico(cost.low)).toBe(low)
        expect(cost.high === null ? null : pico(cost.high)).toBe(isOpen ? null : high)
        expect(cost.usd === null).toBe(isOpen || low !== high)
        expect((cost.unknownParts ?? 0) > 0).toBe(isOpen)
        expect([calls, attempts]).toEqual([length, records.reduce((sum, each) => sum + each.attempts.length, 0)])
        expect(tokens.total === null).toBe(records.some((each) => each.tokens.total === null))
      }),
      runs(4),
    )
  })

  test('what a call saved is unknown where one that cost something does not tell', () => {
    const next = recordsLike({ seed: 7 })
    const of = (discountUsd: number | null, usd: number) => ({
      ...next(),
      cost: { usd, low: usd, high: usd, source: 'computed' as const },
      cache: { discountUsd, coldUsd: discountUsd === null ? null : usd + discountUsd, source: 'computed' as const },
    })
    const saved = (...records: ReturnType<typeof of>[]) => runUsageOf(records).cache
    expect(saved(of(0.1, 1), of(0.2, 1))).toEqual({ discountUsd: 0.3, coldUsd: 2.3, source: 'computed' })
    expect(saved(of(0.1, 1), of(-0.1, 1)).discountUsd).toBe(0)
    expect(saved(of(0.1, 1), of(null, 0)).discountUsd).toBe(0.1)
    expect(saved(of(0.1, 1), of(null, 1))).toEqual({ discountUsd: null, coldUsd: null, source: 'unknown' })
  })
})

test('two runs of one router at the same time keep apart', async () => {
  const { sandbox, router } = await routed()
  sandbox.groq.script(({ body }) => {
    const messages = list(fields(body)?.messages)
    const who = String(messages[0]?.content)
    return messages.length === 1 ? calls({ name: 'who', arguments: { who } }) : ok(`${who} ${messages.at(-1)?.content}`)
  })
  const who = tool({ name: 'who', input: z.object({ who: z.string() }), run: async ({ who }) => who.toUpperCase() })
  const all = await Promise.all(
    ['anna', 'bert', 'cleo', 'dora'].map((name) => router.run('reply', name, { tools: [who] })),
  )
  const texts = all.map((run: Run) => run.text)
  expect(texts).toEqual(['anna ANNA', 'bert BERT', 'cleo CLEO', 'dora DORA'])
})
