import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { fail } from '../../src/sandbox/sandbox.ts'
import { ask, CLAUDE, events, GPT, type Loose, post, start, tokens, user, WEATHER } from './client.ts'

const folder = fileURLToPath(new URL('../../../shared/data/recordings/', import.meta.url))
const isThere = existsSync(folder)

interface Recording {
  readonly name: string
  readonly provider: 'groq' | 'openrouter'
  readonly status: number
  readonly isStream: boolean
  readonly values: readonly Loose[]
}

/** What belongs to features that the sandbox leaves out, and what proxies of the recorders added. */
const ABROAD =
  /pydantic_ai_gateway|annotations|logprobs\.|images|signature|reasoning_details\[\]\.(data|id|summary)|instance_id|usage_breakdown\.|x_groq\.(usage_breakdown|debug)|executed_tools|citations|audio\.|obfuscation|server_tool_use|reasoning_details\[\]\.provider/

function recordings(): readonly Recording[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => {
      const { provider, request, response } = JSON.parse(readFileSync(`${folder}${name}`, 'utf8'))
      const text: string =
        response.chunksB64?.map((chunk: string) => Buffer.from(chunk, 'base64').toString('latin1')).join('') ??
        (typeof response.body === 'string' ? response.body : JSON.stringify(response.body))
      const isStream = name.includes('-stream')
      const isChat = String(request.url).endsWith('/chat/completions')
      return { name, provider, status: response.status, isStream, values: isChat ? read(text, isStream) : [] }
    })
    .filter(({ values }) => values.length > 0)
}

function read(text: string, isStream: boolean): Loose[] {
  try {
    if (!isStream) return [JSON.parse(text)]
    return text
      .split('\n')
      .filter((line) => line.startsWith('data: {'))
      .map((line) => JSON.parse(line.slice(6)))
  } catch {
    return []
  }
}

/** Every path in a value with the type of what is there: `choices[].message.content:string`. */
function paths(value: Loose, at = ''): string[] {
  if (Array.isArray(value)) return [`${at}:array`, ...value.flatMap((item) => paths(item, `${at}[]`))]
  if (value === null || typeof value !== 'object') return [`${at}:${value === null ? 'null' : typeof value}`]
  return [`${at}:object`, ...Object.entries(value).flatMap(([key, item]) => paths(item, `${at}.${key}`))]
}

function shape(values: readonly Loose[]): Set<string> {
  return new Set(values.flatMap((value) => paths(value)))
}

const isNull = (path: string) => path.endsWith(':null')
const keyOf = (path: string) => path.slice(0, path.lastIndexOf(':'))

/** What is in one and not in the other; a null says nothing about a type, but its key must be known. */
function missing(wanted: Iterable<string>, found: ReadonlySet<string>): string[] {
  const keys = new Set([...found].map(keyOf))
  const typed = new Set([...found].filter((path) => !isNull(path)).map(keyOf))
  return [...new Set(wanted)].filter((path) => {
    if (ABROAD.test(path)) return false
    if (isNull(path) || !typed.has(keyOf(path))) return !keys.has(keyOf(path))
    return !found.has(path)
  })
}

const CALL = { messages: [user('What is the weather in Berlin?')], tools: [WEATHER], tool_choice: 'required' }
const LONG = { messages: [{ role: 'system', content: tokens(1600) }, user('Hi')] }

describe.skipIf(!isThere)('the answers have the shapes of real ones (recordings are not part of the package)', () => {
  const all = isThere ? recordings() : []
  const of = (provider: string, isStream: boolean) =>
    all.filter((one) => one.provider === provider && one.isStream === isStream && one.status === 200)

  it('Groq, whole', async () => {
    const { groq } = await start()
    const answers: Loose[] = []
    for (const body of [{ messages: [user('Hi')] }, CALL, LONG, LONG]) {
      answers.push((await ask(groq, { model: GPT, ...body })).body)
    }
    const recorded = of('groq', false).filter(({ values }) => Array.isArray(values[0].choices))
    expect(recorded.length).toBeGreaterThan(6)
    for (const { name, values } of recorded) expect([name, missing(shape(values), shape(answers))]).toEqual([name, []])
    expect(missing(shape(answers), shape(recorded.flatMap(({ values }) => values)))).toEqual([])
  })

  it('Groq, streamed', async () => {
    const { groq } = await start()
    const chunks: Loose[] = []
    for (const body of [{ messages: [user('Hi')] }, CALL, LONG, LONG]) {
      chunks.push(...(await events(await post(groq, { model: GPT, stream: true, ...body }))).slice(0, -1))
    }
    const recorded = of('groq', true).filter(({ name }) => !name.includes('midstream'))
    expect(recorded.length).toBeGreaterThan(2)
    for (const { name, values } of recorded) expect([name, missing(shape(values), shape(chunks))]).toEqual([name, []])
  })

  it('OpenRouter, whole', async () => {
    const { openrouter } = await start()
    const answers: Loose[] = []
    for (const model of [GPT, CLAUDE]) {
      for (const body of [{ messages: [user('Hi')], reasoning: { effort: 'low' } }, CALL, LONG, LONG]) {
        answers.push((await ask(openrouter, { model, ...body })).body)
      }
    }
    const isOwn = ({ values: [value] }: Recording) => String(value.id).startsWith('gen-') && value.error === undefined
    const recorded = of('openrouter', false).filter(isOwn)
    expect(recorded.length).toBeGreaterThan(8)
    const known = shape([...answers, { system_fingerprint: 'fp', service_tier: 'default' }])
    for (const { name, values } of recorded) {
      // A few were answered with an error inside a choice: the next test's business.
      if (values[0].choices?.[0]?.error !== undefined) continue
      expect([name, missing(shape(values), known)]).toEqual([name, []])
    }
    expect(missing(shape(answers), shape(recorded.flatMap(({ values }) => values)))).toEqual([])
  })

  it('OpenRouter, streamed', async () => {
    const { openrouter } = await start()
    const chunks: Loose[] = []
    for (const body of [{ messages: [user('Hi')], reasoning: { effort: 'low' } }, CALL, LONG, LONG]) {
      chunks.push(...(await events(await post(openrouter, { model: CLAUDE, stream: true, ...body }))).slice(0, -1))
    }
    const recorded = of('openrouter', true).filter(({ name }) => !/midstream|refusal/.test(name))
    expect(recorded.length).toBeGreaterThan(10)
    const known = shape([...chunks, { system_fingerprint: 'fp', service_tier: 'default' }])
    for (const { name, values } of recorded) expect([name, missing(shape(values), known)]).toEqual([name, []])
    const everything = of('openrouter', true).flatMap(({ values }) => values)
    expect(missing(shape(chunks), shape(everything))).toEqual([])
  })

  it('errors, by status and code', async () => {
    const sandbox = await start()
    const recorded = all.filter(({ status }) => status >= 400)
    expect(recorded.length).toBeGreaterThan(25)
    let compared = 0
    for (const { name, provider, status, values } of recorded) {
      const real = values[0].error
      const code = typeof real.code === 'string' ? real.code : undefined
      sandbox[provider].script([fail(status, code === undefined ? {} : { code })])
      const answer = await ask(sandbox[provider], { model: GPT, messages: [user('Hi')] })
      expect([name, answer.status]).toEqual([name, status])
      // Details differ from case to case; what clients read to tell the cases apart must not.
      expect([name, typeof answer.body.error.message]).toEqual([name, 'string'])
      expect([name, answer.body.error.code, answer.body.error.type]).toEqual([
        name,
        real.code,
        provider === 'groq' && status === 429 ? 'requests' : real.type,
      ])
      compared++
    }
    expect(compared).toBe(recorded.length)
  })
})
