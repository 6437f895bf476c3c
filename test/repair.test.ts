import { inspect } from 'node:util'
import {
  AbortError,
  BadOutputError,
  BudgetError,
  createRouter,
  groq,
  type RouterError,
  type TaskPolicy,
  when,
} from 'modelfirst'
import { fail, ok } from 'modelfirst/sandbox'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { list } from '../src/fields.ts'
import { start } from './sandbox/client.ts'
import { canaries, leaks } from './support/canaries.ts'
import { hasty, sumOf } from './support/router.ts'
import { ALL, type Answering, speaking, twoModels } from './support/speaking.ts'

const schema = z.object({ label: z.enum(['a', 'b']), items: z.array(z.object({ n: z.number() })) })
const GOOD = JSON.stringify({ label: 'a', items: [{ n: 1 }] })
const BAD = JSON.stringify({ label: 'c', items: [{ n: 'one' }] })

/** One answer after the other, whoever is asked. */
function inTurn(...answers: readonly (string | Awaited<ReturnType<Answering>>)[]): Answering {
  return ({ n }) => answers[n - 1] ?? answers.at(-1) ?? ''
}

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

describe('an answer that does not fit', () => {
  test('is sent back once with what is wrong, path by path; then the next model is asked', async () => {
    const { router, bodies } = twoModels(inTurn(BAD, BAD, GOOD), { schema })
    const { data, usage, model } = await router.complete('ask', 'Go.')
    expect([data, model]).toEqual([{ label: 'a', items: [{ n: 1 }] }, 'large'])
    expect(waysOf(usage)).toEqual(['first small bad-output', 'repair small bad-output', 'escalation large ok'])
    const [first, repair, third] = bodies.map((body) => list(body.messages))
    expect(repair?.slice(0, first?.length)).toEqual(first)
    expect(repair?.at(-2)).toEqual({ role: 'assistant', content: BAD })
    expect(repair?.at(-1)?.content).toContain('- label: ')
    expect(repair?.at(-1)?.content).toContain('- items[0].n: ')
    // The next model begins with a clean sheet.
    expect(third).toEqual(first)
    // Each is on the bill.
    expect(usage.attempts.every(({ cost }) => cost.usd !== null && cost.usd > 0)).toBe(true)
    expect(sumOf(usage.attempts).low).toBeCloseTo(usage.cost.low, 12)
  })

  test('costs what the record says it cost more than the bigger model alone', async () => {
    const { router } = twoModels(inTurn(BAD, BAD, GOOD), { schema })
    const { usage } = await router.complete('ask', 'Go.')
    const [one, two, three] = usage.attempts.map(({ cost }) => cost.usd ?? Number.NaN)
    expect(usage.escalation).toMatchObject({ from: 'small', to: 'large' })
    expect(usage.escalation?.extraUsd.low).toBeCloseTo((one ?? 0) + (two ?? 0), 12)
    expect(usage.escalation?.directUsd.low).toBeCloseTo(three ?? 0, 12)
    // The bigger one's own second try is what beginning with it would have cost as well.
    const twice = (await twoModels(inTurn(BAD, BAD, BAD, GOOD), { schema }).router.complete('ask', 'Go.')).usage
    const costs = twice.attempts.map(({ cost }) => cost.usd ?? Number.NaN)
    expect(twice.escalation?.extraUsd.low).toBeCloseTo((costs[0] ?? 0) + (costs[1] ?? 0), 12)
    expect(twice.escalation?.directUsd.low).toBeCloseTo((costs[2] ?? 0) + (costs[3] ?? 0), 12)
    const mended = twoModels(inTurn(BAD, GOOD), { schema })
    expect((await mended.router.complete('ask', 'Go.')).usage.escalation).toBeUndefined()
    const other = twoModels(inTurn({ status: 503, body: {} }, GOOD), { schema })
    expect((await other.router.complete('ask', 'Go.')).usage.escalation).toBeUndefined()
  })

  test('ends as an error that says where, when nobody can do better', async () => {
    const { router } = twoModels(() => BAD, { schema })
    const error = await failed(router.complete('ask', 'Go.'))
    if (!BadOutputError.is(error)) throw error
    expect(error.kind).toBe('bad-output')
    expect(error.issues.map(({ path }) => path)).toEqual([['label'], ['items', 0, 'n']])
    expect(error.text).toBe(BAD)
    expect(error.message).toContain('items[0].n')
    expect(waysOf(error.usage)).toEqual([
      'first small bad-output',
      'repair small bad-output',
      'escalation large bad-output',
      'repair large bad-output',
    ])
  })

  test('that was cut off is no success, whatever could be read of it', async () => {
    for (const finish of ['length', 'stop']) {
      const { router, bodies } = twoModels(inTurn({ text: GOOD.slice(0, -2), finish }, GOOD), { schema })
      const { usage } = await router.complete('ask', 'Go.')
      expect(waysOf(usage)).toEqual(['first small bad-output', 'repair small ok'])
      expect(list(bodies[1]?.messages).at(-1)?.content).toContain('cut off')
    }
  })

  test('that was cut off at its limit is not half a number, nor the draft of an answer', async () => {
    const half = twoModels(inTurn({ text: '12', finish: 'length' }, '1234'), { schema: z.number() }, { abilities: [] })
    expect(await half.router.complete('ask', 'Go.')).toMatchObject({ data: 1234 })
    for (const more of [' Or rather: {"it', ' But I think that'] as const) {
      const cut = { text: `Draft: ${GOOD}${more}`, finish: 'length' }
      const { router } = twoModels(inTurn(cut, GOOD), { schema }, { abilities: [] })
      const { usage } = await router.complete('ask', 'Go.')
      expect(waysOf(usage)).toEqual(['first small bad-output', 'repair small ok'])
    }
    // At its limit to the letter, and whole.
    for (const text of [GOOD, `\`\`\`json\n${GOOD}\n\`\`\``]) {
      const { router } = twoModels(() => ({ text, finish: 'length' }), { schema }, { abilities: [] })
      expect(await router.complete('ask', 'Go.')).toMatchObject({ data: JSON.parse(GOOD) })
    }
  })

  test('whose arguments were cut off is sent back as well', async () => {
    const cut = { calls: [{ name: 'give_answer', json: GOOD.slice(0, -3) }], finish: 'length' }
    const whole = { calls: [{ name: 'give_answer', json: GOOD }] }
    const { router, bodies } = twoModels(inTurn(cut, whole), { schema }, { abilities: ['tools'] })
    const { usage, data } = await router.complete('ask', 'Go.')
    expect([data, waysOf(usage)]).toEqual([JSON.parse(GOOD), ['first small bad-output', 'repair small ok']])
    expect(list(bodies[1]?.messages).at(-1)?.content).toContain('cut off')
    const all = twoModels(() => cut, { schema }, { abilities: ['tools'] })
    const error = await failed(all.router.complete('ask', 'Go.'))
    expect(BadOutputError.is(error) && error.issues).toEqual([
      { path: ['tools'], message: 'the JSON ends in the middle' },
    ])
  })

  test.each([
    ['schema', ALL, BAD],
    ['json', ['json'], BAD],
    ['tool', ['tools'], { calls: [{ name: 'give_answer', json: BAD }] }],
    ['text', [], BAD],
  ] as const)('is mended in the form it was asked for: %s', async (form, abilities, bad) => {
    const good = form === 'tool' ? { calls: [{ name: 'give_answer', json: GOOD }] } : GOOD
    const { router, bodies } = twoModels(inTurn(bad, good), { schema }, { abilities })
    const { data } = await router.complete('ask', 'Go.')
    expect(data).toEqual(JSON.parse(GOOD))
    const [first, second] = bodies
    expect([second?.response_format, second?.tools, second?.tool_choice]).toEqual([
      first?.response_format,
      first?.tools,
      first?.tool_choice,
    ])
    // A call that nobody answers would be refused: the answer is said as text.
    expect(list(second?.messages).at(-2)).toEqual({ role: 'assistant', content: BAD })
  })

  test('a very long one is not paid for once more', async () => {
    const long = JSON.stringify({ label: 'x'.repeat(100_000), items: [] })
    const { router, bodies } = twoModels(inTurn(long, GOOD), { schema })
    await router.complete('ask', 'Go.')
    expect(JSON.stringify(bodies[1]).length).toBeLessThan(10_000)
  })

  test('empty, prose, and JSON of another kind are told apart', async () => {
    for (const [text, words] of [
      ['', 'there is no text'],
      ['I would rather not.', 'there is no JSON in it'],
      ['[1]', ''],
    ] as const) {
      const { router } = twoModels(() => text, { schema, limits: { attempts: 1 } })
      const error = await failed(router.complete('ask', 'Go.'))
      expect(BadOutputError.is(error) && error.issues[0]?.message).toContain(words)
    }
  })

  test('a tool that nobody offered is no answer', async () => {
    const strange = { calls: [{ name: 'browse', json: '{}' }] }
    const { router, bodies } = twoModels(inTurn(strange, GOOD), { schema })
    const { data, usage } = await router.complete('ask', 'Go.')
    expect([data, waysOf(usage)]).toEqual([JSON.parse(GOOD), ['first small bad-output', 'repair small ok']])
    const roles = list(bodies[1]?.messages).map(({ role }) => role)
    expect(roles).not.toContain('tool')
    const beside = twoModels(() => ({ text: GOOD, ...strange }), { schema })
    const answer = await beside.router.complete('ask', 'Go.')
    expect([answer.data, answer.toolCalls, answer.message.tool_calls]).toEqual([JSON.parse(GOOD), [], undefined])
    expect(answer.finish.reason).toBe('stop')
    // Nor is it seen in a stream.
    const stream = beside.router.stream('ask', 'Go.')
    const seen = new Set<string>()
    for await (const { type } of stream) seen.add(type)
    expect([...seen]).toEqual(['text-delta', 'end'])
    expect((await stream.completion).finish.reason).toBe('stop')
  })
})

describe('an answer that its provider kept', () => {
  test('Groq: json_validate_failed and tool_use_failed are answers that do not fit', async () => {
    for (const code of ['json_validate_failed', 'tool_use_failed']) {
      const sandbox = await start()
      const router = createRouter({
        providers: sandbox.providers(),
        random: hasty(),
        tasks: { sort: { model: ['openai/gpt-oss-20b', 'openai/gpt-oss-120b'], provider: 'groq', schema } },
      })
      sandbox.groq.script([fail(400, { code }), fail(400, { code }), ok(GOOD)])
      const { usage, data } = await router.complete('sort', 'Go.')
      expect(data).toEqual(JSON.parse(GOOD))
      expect(usage.attempts.map(({ role, outcome }) => [role, outcome]).at(0)).toEqual(['first', 'bad-output'])
      expect(usage.attempts.map(({ outcome }) => outcome)).toEqual(['bad-output', 'bad-output', 'ok'])
      expect(usage.attempts.at(-1)?.role).toBe('escalation')
    }
  })

  test('what it wrote is mended by what our own check says of it', async () => {
    const error = { message: "Failed. See 'failed_generation'.", code: 'json_validate_failed', failed_generation: BAD }
    const { wire, bodies } = speaking(inTurn({ status: 400, body: { error } }, GOOD))
    const router = createRouter({
      providers: [groq({ apiKey: 'gsk_test_0123456789', wire })],
      random: hasty(),
      tasks: { sort: { model: 'openai/gpt-oss-20b', schema } },
    })
    const { usage } = await router.complete('sort', 'Go.')
    expect(waysOf(usage)).toEqual(['first openai/gpt-oss-20b bad-output', 'repair openai/gpt-oss-20b ok'])
    expect(list(bodies[1]?.messages).at(-1)?.content).toContain('items[0].n')
  })
})

describe('repairs and escalations, inside the one budget', () => {
  test('attempts', async () => {
    for (const attempts of [1, 2, 3]) {
      const { router, bodies } = twoModels(() => BAD, { schema, limits: { attempts } })
      const error = await failed(router.complete('ask', 'Go.'))
      expect(BadOutputError.is(error)).toBe(true)
      expect(bodies.length).toBe(attempts)
    }
  })

  test('money: what cannot be paid is not asked, the answer that is read again included', async () => {
    const request = { max_tokens: 100 }
    const cheap = twoModels(() => BAD, { schema, request })
    const { steps } = await cheap.router.plan('ask', 'Go.')
    const high = steps[0]?.estimate.usd.high ?? 0
    const words = JSON.stringify({ label: 'x'.repeat(16_000), items: [] })
    // Enough for two such attempts, but not for what the second has to read besides.
    const { router, bodies } = twoModels(() => words, { schema, request, limits: { maxCostUsd: 2.2 * high } })
    const error = await failed(router.complete('ask', 'Go.'))
    expect(bodies.length).toBe(1)
    expect(BudgetError.is(error) || BadOutputError.is(error)).toBe(true)
    const enough = twoModels(() => words, { schema, request, limits: { maxCostUsd: 50 * high, attempts: 2 } })
    await failed(enough.router.complete('ask', 'Go.'))
    expect(enough.bodies.length).toBe(2)
  })

  test('shared budgets: set aside for a repair, and settled by what it cost', async () => {
    const { router, records } = twoModels(
      inTurn(BAD, GOOD),
      { schema, request: { max_tokens: 100 } },
      { options: { budgets: [{ usd: 1, per: 'day' }] } },
    )
    const { usage } = await router.complete('ask', 'Go.')
    expect(waysOf(usage)).toEqual(['first small bad-output', 'repair small ok'])
    await router.close()
    expect(records).toHaveLength(1)
  })

  test('time: a schema that takes its time does not take more than the call has', async () => {
    const slow = z.object({ label: z.string() }).refine(() => new Promise<boolean>(() => {}))
    const { router } = twoModels(() => '{"label":"a"}', { schema: slow, limits: { timeoutMs: 60 } })
    const error = await failed(router.complete('ask', 'Go.'))
    expect(error.kind).toBe('timed-out')
    expect(waysOf(error.usage)).toEqual(['first small timed-out'])
    const aborted = twoModels(() => '{"label":"a"}', { schema: slow })
    const controller = new AbortController()
    setTimeout(() => controller.abort(new Error('enough')), 20)
    const canceled = await failed(aborted.router.complete('ask', 'Go.', { signal: controller.signal }))
    expect(canceled instanceof AbortError && canceled.cause).toEqual(new Error('enough'))
    expect(canceled.usage?.cost.usd).toBeGreaterThan(0)
  })

  test('rules of the policy come first', async () => {
    const ask = async (fallback: TaskPolicy['fallback']) => {
      const { router } = twoModels(() => BAD, { schema, fallback })
      return waysOf((await failed(router.complete('ask', 'Go.'))).usage)
    }
    expect(await ask([when('bad-output').stop()])).toEqual(['first small bad-output'])
    expect((await ask([when('bad-output').nextModel()])).slice(0, 2)).toEqual([
      'first small bad-output',
      'escalation large bad-output',
    ])
    expect(await ask([when('bad-output').retry(2).nextModel()])).toEqual([
      'first small bad-output',
      'repair small bad-output',
      'repair small bad-output',
      'escalation large bad-output',
    ])
  })
})

test('neither what was asked nor what was answered is in an error, an event or a record', async () => {
  const secrets = canaries()
  const { prompt, answer, argument, system } = secrets
  const open = z.object({ label: z.enum(['a', 'b']), more: z.record(z.string(), z.number()).optional() })
  const answers = [
    JSON.stringify({ label: answer, [argument]: answer }),
    JSON.stringify({ label: 'a', more: { [argument]: answer } }),
    `${answer} {"label": "${argument}`,
    `[{"${argument}": "${answer}"}]`,
  ]
  for (const strict of [
    open,
    open.strict(),
    open.refine(() => false, { error: ({ input }) => JSON.stringify(input) }),
  ]) {
    for (const abilities of [ALL, ['tools'], []] as const) {
      const { router, events, records } = twoModels(
        ({ n }) => {
          const text = answers[(n - 1) % answers.length] ?? ''
          return abilities.length === 1 ? { calls: [{ name: n === 4 ? answer : 'give_answer', json: text }] } : text
        },
        { schema: strict },
        { abilities },
      )
      const messages = [
        { role: 'system' as const, content: system },
        { role: 'user' as const, content: prompt },
      ]
      const error = await failed(router.complete('ask', messages))
      const streamed = await failed(router.stream('ask', messages).completion)
      // The answer can be asked for by its name, and comes out in no other way.
      const shown = [error, streamed].map((each) => [
        ...[
          String(each),
          each.message,
          each.stack,
          JSON.stringify(each),
          inspect(each),
          inspect({ each }, { depth: 9 }),
        ],
        ...(BadOutputError.is(each) ? [JSON.stringify(each.issues)] : []),
      ])
      const { key: _, session: __, user: ___, ...said } = secrets
      expect(leaks({ shown, events, records, health: router.health() }, said)).toEqual([])
    }
  }
})
