import { BadOutputError, ConfigError, tool } from 'modelfirst'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { createAssembly } from '../src/assembly.ts'
import { list } from '../src/fields.ts'
import { canaries, leaks } from './support/canaries.ts'
import { type Said, twoModels } from './support/speaking.ts'

const weather = tool({ name: 'weather', input: z.object({ city: z.string(), days: z.coerce.number().default(1) }) })
const pay = tool({ name: 'pay', input: z.strictObject({ usd: z.number().max(50) }) })
const tools = [weather, pay]

const calling = (name: string, json: string): Said => ({ calls: [{ name, json }] })
const GOOD = calling('weather', '{"city":"Bern","days":"3"}')

describe('tools of a call', () => {
  test('are sent as they are defined, and called with what comes out of their schemas', async () => {
    const { router, bodies } = twoModels(() => GOOD)
    const { toolCalls, finish } = await router.complete('ask', 'Go.', { tools })
    expect(toolCalls).toMatchObject([{ name: 'weather', arguments: { city: 'Bern', days: 3 } }])
    expect(finish.reason).toBe('tool-calls')
    expect(JSON.stringify(bodies[0]?.tools)).toContain('"weather"')
    expect(list(bodies[0]?.tools)).toHaveLength(2)
  })

  test.each([
    ['an unknown name', calling('wether', '{"city":"Bern"}'), 'weather'],
    ['a name that every object has', calling('constructor', '{}'), 'there is weather, pay'],
    ['arguments that do not fit', calling('weather', '{"city":7}'), 'weather.city'],
    ['arguments too large for the tool', calling('pay', '{"usd":5000}'), 'pay.usd'],
    ['__proto__ as an argument', calling('pay', '{"usd":1,"__proto__":{"admin":true}}'), 'pay'],
    ['arguments that are no JSON', calling('weather', '{"city": "Be'), 'not JSON'],
    ['one of two', { calls: [...(GOOD.calls ?? []), { name: 'pay', json: '{}' }] }, 'pay.usd'],
  ] as const)('are called again after %s, and nobody sees the first call', async (_, bad, words) => {
    for (const how of ['whole', 'stream'] as const) {
      const { router, bodies } = twoModels(({ n }) => (n === 1 ? bad : GOOD))
      const seen: string[] = []
      let completion: Awaited<ReturnType<typeof router.complete>>
      if (how === 'whole') completion = await router.complete('ask', 'Go.', { tools })
      else {
        const stream = router.stream('ask', 'Go.', { tools })
        for await (const event of stream) {
          if (event.type === 'tool-call-delta') seen.push(`${event.name}${event.arguments}`)
        }
        completion = await stream.completion
        expect(seen.join('').replaceAll('weather', '')).toBe('{"city":"Bern","days":"3"}')
      }
      expect(completion.toolCalls.map(({ name }) => name)).toEqual(['weather'])
      expect(completion.usage.attempts.map(({ role, outcome }) => [role, outcome])).toEqual([
        ['first', 'bad-output'],
        ['repair', 'ok'],
      ])
      const repair = list(bodies[1]?.messages)
      expect(JSON.stringify(repair)).toContain(words)
      // Every call that is quoted is answered.
      const called = repair.flatMap(({ tool_calls: calls }) => list(calls)).map(({ id }) => id)
      const answered = repair.flatMap(({ tool_call_id: id }) => (id === undefined ? [] : [id]))
      expect(answered).toEqual(called)
    }
  })

  test('come with their arguments in any form that hosts give them, and with none where there are none', async () => {
    const given = tool({ name: 'pay', input: z.object({ usd: z.number().optional() }) })
    for (const [json, data] of [
      ['', {}],
      [' ', {}],
      ['null', {}],
      ['[]', {}],
      ['"{\\"usd\\":5}"', { usd: 5 }],
    ] as const) {
      const { router } = twoModels(() => calling('pay', json))
      const { toolCalls, message } = await router.complete('ask', 'Go.', { tools: [given] })
      expect(toolCalls[0]?.arguments).toEqual(data)
      // Whoever reads them in the history reads an object.
      const replayed: unknown = JSON.parse(message.tool_calls?.[0]?.function.arguments ?? '')
      expect(replayed).toEqual(data.usd === undefined ? {} : JSON.stringify(data))
    }
    for (const [value, data] of [
      [{ usd: 5 }, { usd: 5 }],
      [[5], null],
      [5, null],
    ] as const) {
      const { router } = twoModels(() => calling('pay', Object(value)))
      const got = await router.complete('ask', 'Go.', { tools: [given] }).then(
        ({ toolCalls }) => toolCalls[0]?.arguments,
        () => null,
      )
      expect([value, got]).toEqual([value, data])
      const assembly = createAssembly()
      const calls = [{ index: 0, id: 'a', function: { name: 'pay', arguments: value } }]
      assembly.take(JSON.stringify({ choices: [{ index: 0, delta: { tool_calls: calls } }] }), undefined, [])
      expect(JSON.stringify(assembly.body)).toContain(JSON.stringify(JSON.stringify(value)))
    }
  })

  test('that share an id have their own when they are sent back', async () => {
    const twice = ['"a"', '"b"'].map((usd) => ({ name: 'pay', id: 'same', json: `{"usd":${usd}}` }))
    const { router, bodies } = twoModels(({ n }) => (n === 1 ? { calls: twice } : GOOD))
    await router.complete('ask', 'Go.', { tools })
    const repair = list(bodies[1]?.messages)
    const called = repair.flatMap(({ tool_calls: calls }) => list(calls)).map(({ id }) => id)
    const answered = repair.flatMap(({ tool_call_id: id }) => (id === undefined ? [] : [id]))
    expect([new Set(called).size, answered]).toEqual([2, called])
  })

  test('of which nothing is polluted', () => {
    expect(Reflect.get({}, 'admin')).toBeUndefined()
  })

  test('end as an error where nobody calls them right, and nothing of the calls is in it', async () => {
    const { argument, answer, prompt } = canaries()
    const { router, events, records } = twoModels(() => calling(answer, JSON.stringify({ [argument]: argument })))
    const error = await router.complete('ask', prompt, { tools }).catch((error: unknown) => error)
    if (!BadOutputError.is(error)) throw error
    expect(error.issues[0]?.path).toEqual(['tools'])
    expect(leaks({ error, events, records }, { argument, answer, prompt })).toEqual([])
  })

  test('beside those of the request itself, of which nothing is known but their names', async () => {
    const own = { type: 'function' as const, function: { name: 'look', parameters: { type: 'object' } } }
    const { router, bodies } = twoModels(() => calling('look', '{"at":1}'))
    const { toolCalls, usage } = await router.complete(
      'ask',
      { messages: [{ role: 'user', content: 'Go.' }], tools: [own] },
      { tools },
    )
    expect([toolCalls[0]?.arguments, usage.attempts.length]).toEqual([{ at: 1 }, 1])
    expect(list(bodies[0]?.tools)).toHaveLength(3)
  })

  test('of one name are an error before anything is sent', async () => {
    const { router, bodies } = twoModels(() => GOOD)
    const own = { type: 'function' as const, function: { name: 'weather', parameters: { type: 'object' } } }
    for (const [input, given, field] of [
      ['Go.', [weather, weather], 'options.tools[1].name'],
      [{ messages: [{ role: 'user', content: 'Go.' }], tools: [own] }, tools, 'input.tools[0]'],
    ] as const) {
      const error = await Reflect.apply(router.complete, router, ['ask', input, { tools: given }]).catch(
        (error: unknown) => error,
      )
      expect(ConfigError.is(error) && error.field).toBe(field)
    }
    expect(bodies).toEqual([])
  })

  test('go before the answer in its shape, which comes when they were answered', async () => {
    const schema = z.object({ celsius: z.number() })
    const { router } = twoModels(({ body }) =>
      JSON.stringify(body).includes('"role":"tool"') ? '{"celsius":7}' : GOOD,
    )
    const first = await router.complete('ask', 'Go.', { tools, schema })
    expect([first.data, first.toolCalls.length]).toEqual([null, 1])
    const history = [
      { role: 'user' as const, content: 'Go.' },
      first.message,
      { role: 'tool' as const, tool_call_id: first.toolCalls[0]?.id ?? '', content: '7' },
    ]
    expect((await router.complete('ask', history, { tools, schema })).data).toEqual({ celsius: 7 })
  })
})
