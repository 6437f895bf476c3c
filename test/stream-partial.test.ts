import { BadOutputError, ConfigError, compatible, createRouter, when } from 'modelfirst'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { ALL, speaking, twoModels } from './support/speaking.ts'

const schema = z.object({ title: z.string(), items: z.array(z.object({ n: z.number() })) })
const GOOD = { title: 'A list of several', items: [{ n: 1 }, { n: 22 }] }
const BAD = JSON.stringify({ title: 'A list of several', items: [{ n: 'one' }] })

async function all<T>(partial: AsyncIterable<T>): Promise<T[]> {
  const seen: T[] = []
  for await (const each of partial) seen.push(each)
  return seen
}

const inForm = (form: string, json: string) => (form === 'tool' ? { calls: [{ name: 'give_answer', json }] } : json)

describe('an answer as it grows', () => {
  test.each([
    ['schema', ALL],
    ['json', ['json']],
    ['tool', ['tools']],
    ['text', []],
  ] as const)(
    'is typed objects, of which nothing is taken back, and the last is the whole: %s',
    async (form, abilities) => {
      const { router } = twoModels(() => inForm(form, JSON.stringify(GOOD)), { schema }, { abilities })
      const stream = router.stream('ask', 'Go.', { schema })
      const seen = await all(stream.partial)
      expect(seen.length).toBeGreaterThan(3)
      expect(seen.at(-1)).toEqual(GOOD)
      for (const [index, { title, items }] of seen.entries()) {
        expect(GOOD.title.startsWith(title ?? '')).toBe(true)
        const before = seen[index - 1]
        expect((items?.length ?? 0) >= (before?.items?.length ?? 0)).toBe(true)
      }
      expect((await stream.completion).data).toEqual(GOOD)
    },
  )

  test('a null that stands for what is left out is never seen', async () => {
    const optional = z.object({ a: z.string().optional(), b: z.string() })
    const { router } = twoModels(() => '{"a":null,"b":"there it is"}', { schema: optional })
    for (const each of await all(router.stream('ask', 'Go.', { schema: optional }).partial)) {
      expect(Object.hasOwn(each, 'a')).toBe(false)
    }
  })

  test.each([
    ['schema', ALL],
    ['json', ['json']],
    ['tool', ['tools']],
    ['text', []],
  ] as const)('a list is never anything but a list: %s', async (form, abilities) => {
    const wrapped = form === 'text' ? '["one","another"]' : '{"value":["one","another"]}'
    const answer = inForm(form, wrapped)
    const words = z.array(z.string())
    const { router } = twoModels(() => answer, { schema: words }, { abilities })
    const seen = await all(router.stream('ask', 'Go.', { schema: words }).partial)
    expect(seen.every(Array.isArray)).toBe(true)
    expect(seen.at(-1)).toEqual(['one', 'another'])
  })

  test('a fence and words before it are passed over', async () => {
    const text = `Here you are:\n\`\`\`json\n${JSON.stringify(GOOD)}\n\`\`\``
    const { router } = twoModels(() => text, { schema }, { abilities: [] })
    expect((await all(router.stream('ask', 'Go.').partial)).at(-1)).toEqual(GOOD)
  })

  test('what is said before a tool takes the answer is no part of it', async () => {
    const said = { text: 'Sure: ', ...{ calls: [{ name: 'give_answer', json: JSON.stringify(GOOD) }] } }
    const { router } = twoModels(() => said, { schema }, { abilities: ['tools'] })
    const { text, data, message } = await router.stream('ask', 'Go.').completion
    expect([JSON.parse(text), data, message.content]).toEqual([GOOD, GOOD, text])
  })

  test('of an answer that is given twice, the first counts', async () => {
    const json = JSON.stringify(GOOD)
    const said = { calls: ['a', 'b'].map((id) => ({ name: 'give_answer', json, id })) }
    const { router } = twoModels(() => said, { schema }, { abilities: ['tools'] })
    const stream = router.stream('ask', 'Go.')
    let text = ''
    for await (const event of stream) if (event.type === 'text-delta') text += event.text
    expect([text, (await stream.completion).data]).toEqual([json, GOOD])
  })

  test('that does not fit in the end fails, with where', async () => {
    for (const onBroken of ['fail', 'continue'] as const) {
      const { router, bodies } = twoModels(() => BAD, { schema, onBroken })
      const stream = router.stream('ask', 'Go.')
      const error = await all(stream.partial).catch((error: unknown) => error)
      expect(BadOutputError.is(error) && error.issues[0]?.path).toEqual(['items', 0, 'n'])
      expect(await stream.completion.catch((error: unknown) => error)).toBe(error)
      expect(bodies).toHaveLength(1)
    }
  })

  test('that does not fit begins anew, mended, where the policy says so', async () => {
    const answers = [BAD, JSON.stringify(GOOD)]
    const { router, bodies } = twoModels(({ n }) => answers[n - 1] ?? '', { schema, onBroken: 'restart' })
    const stream = router.stream('ask', 'Go.')
    const seen = await all(stream.partial)
    expect(seen.at(-1)).toEqual(GOOD)
    const { usage, data, text } = await stream.completion
    expect([data, text]).toEqual([GOOD, JSON.stringify(GOOD)])
    expect(usage.attempts.map(({ role, outcome }) => [role, outcome])).toEqual([
      ['first', 'bad-output'],
      ['repair', 'ok'],
    ])
    expect(JSON.stringify(bodies[1])).toContain('items[0].n')
  })

  test('that begins anew in another form is read in its own, also by whoever comes when all is said', async () => {
    const words = z.array(z.string())
    const provider = (name: string, abilities: readonly ('schema' | 'json')[], text: string) => {
      const { wire } = speaking(() => (name === 'one' ? { text, finish: 'content_filter' } : text))
      const models = [{ id: 'small', abilities, context: 10_000, prices: { input: 1, output: 1 } }]
      return compatible({ name, baseURL: 'http://localhost:1/v1', apiKey: 'sk-test-0123456789', wire, models })
    }
    const router = createRouter({
      providers: [provider('one', ['schema', 'json'], '{"value":["first","again"]}'), provider('two', [], '["last"]')],
      tasks: {
        ask: { model: 'small', schema: words, onBroken: 'restart', fallback: [when('refused').nextProvider()] },
      },
    })
    const stream = router.stream('ask', 'Go.')
    expect((await stream.completion).data).toEqual(['last'])
    const seen = await all(stream.partial)
    expect(seen.length).toBeGreaterThan(2)
    expect(seen.every(Array.isArray)).toBe(true)
  })

  test('may be left early: what there is, is in the completion', async () => {
    const { router, records } = twoModels(() => JSON.stringify(GOOD), { schema })
    const stream = router.stream('ask', 'Go.')
    for await (const _ of stream.partial) break
    const { data, usage } = await stream.completion
    expect([data, usage.attempts.length]).toEqual([null, 1])
    expect(records).toHaveLength(1)
  })

  test('has one reader', () => {
    const { router } = twoModels(() => JSON.stringify(GOOD), { schema })
    const stream = router.stream('ask', 'Go.')
    void stream.partial[Symbol.asyncIterator]()
    for (const other of [stream, stream.text, stream.partial]) {
      expect(() => other[Symbol.asyncIterator]()).toThrow(ConfigError)
    }
    expect(() => stream.toResponse()).toThrow(ConfigError)
  })
})
