import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createAssembly } from '../src/assembly.ts'
import { openai } from '../src/dialects/dialect.ts'
import { groq } from '../src/dialects/groq.ts'
import { openrouter } from '../src/dialects/openrouter.ts'
import { type Fields, fields } from '../src/fields.ts'
import { NO_NOTES } from '../src/usage.ts'
import { runs } from './support/runs.ts'

const folder = fileURLToPath(new URL('../../shared/data/recordings/', import.meta.url))
const there = existsSync(folder)
const title = there ? 'recorded usage' : 'recorded usage (skipped: ../shared/data/recordings is not there)'
const dialects = { groq, openrouter }
const NO_HEADERS = new Headers()

interface Shape {
  readonly name: string
  readonly provider: keyof typeof dialects
  /** The last usage that was said, read by plain code of its own. */
  readonly usage: Fields | null
  readonly reading: ReturnType<typeof groq.read>
}

function shapeOf(name: string): Shape | null {
  const { request, response } = JSON.parse(readFileSync(`${folder}${name}`, 'utf8'))
  if (response.status !== 200) return null
  const provider = request.url.includes('openrouter.ai') ? 'openrouter' : 'groq'
  const chunks: string[] | null = response.chunksB64
  const text =
    chunks === null ? response.body : Buffer.concat(chunks.map((chunk) => Buffer.from(chunk, 'base64'))).toString()
  const reply = { status: 200, headers: new Headers(response.headers) }
  if (!name.includes('-stream')) {
    const body = JSON.parse(text)
    return { name, provider, usage: body.usage ?? null, reading: dialects[provider].read(body, reply) }
  }
  const assembly = createAssembly()
  let usage: Fields | null = null
  let event: string | undefined
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('event: ')) event = line.slice(7)
    if (line.startsWith('data: ')) {
      assembly.take(line.slice(6), event, [])
      event = undefined
      const said = /^data: \{/.test(line) ? JSON.parse(line.slice(6)) : {}
      usage = said.usage ?? said.x_groq?.usage ?? usage
    }
  }
  return { name, provider, usage, reading: dialects[provider].read(assembly.body, reply) }
}

describe.skipIf(!there)(title, () => {
  const shapes = there
    ? readdirSync(folder)
        .filter((name) => name.endsWith('.json'))
        .sort()
        .flatMap((name) => shapeOf(name) ?? [])
    : []

  test('in every shape adds up, or says what is odd, or says that it does not know', () => {
    const counted: Record<string, number> = {}
    for (const { name, provider, usage, reading } of shapes) {
      const { answer } = reading
      const notes = answer?.notes ?? NO_NOTES
      const tokens = answer?.tokens
      let kind = 'no usage'
      if (usage !== null && tokens !== undefined && tokens.prompt !== null) {
        const { prompt, cachedPrompt, cacheWrite, completion, reasoning, total } = tokens
        expect([prompt, completion, total], name).toEqual([
          usage.prompt_tokens,
          usage.completion_tokens,
          usage.total_tokens,
        ])
        const exceeds = (cachedPrompt ?? 0) + (cacheWrite ?? 0) > prompt
        expect(notes.flags.includes('cache-exceeds-prompt'), name).toBe(exceeds)
        expect(notes.flags.includes('reasoning-exceeds-completion'), name).toBe((reasoning ?? 0) > (completion ?? 0))
        expect(notes.flags.includes('total-differs'), name).toBe(total !== prompt + (completion ?? 0))
        kind =
          notes.flags.length > 0
            ? `flagged: ${notes.flags.join(', ')}`
            : cachedPrompt === null
              ? 'the cache is not told'
              : cacheWrite === null
                ? 'reads are told, writes are not'
                : 'input = fresh + read + write'
      }
      const key = `${provider}: ${kind}`
      counted[key] = (counted[key] ?? 0) + 1
    }
    console.info(counted)
    expect(counted).toEqual({
      'groq: input = fresh + read + write': 11,
      'groq: no usage': 3,
      'openrouter: flagged: reasoning-exceeds-completion': 1,
      'openrouter: input = fresh + read + write': 9,
      'openrouter: no usage': 2,
      'openrouter: reads are told, writes are not': 18,
      'openrouter: the cache is not told': 11,
    })
  })

  test('tells what was done besides: two searches by the host, one by a plugin, and nothing anywhere else', () => {
    const besides = shapes.flatMap(({ name, reading }) => {
      const { besidesUsd = null, searches = null } = reading.answer?.notes ?? {}
      return besidesUsd === null || besidesUsd === 0
        ? []
        : [[name.slice(0, 3), Number(besidesUsd.toFixed(9)), searches]]
    })
    expect(besides).toEqual([
      ['064', 0.02, 2],
      ['090', 0.007, 1],
    ])
  })

  test("tells the caller's own key: its host's bill is paid there, and is not the aggregator's fee", () => {
    const own = shapes.filter(({ reading }) => (reading.answer?.notes?.feeUsd ?? null) !== null)
    expect(own.map(({ name }) => name.slice(0, 3))).toEqual(['096'])
    expect(own[0]?.reading.answer).toMatchObject({ reportedUsd: 3.6e-6, notes: { feeUsd: 0 } })
  })
})

function answerOf(usage: Fields, headers = NO_HEADERS, over: Fields = {}) {
  const message = { role: 'assistant', content: 'Hello' }
  const body = { id: 'gen-1', model: 'm', choices: [{ index: 0, message, finish_reason: 'stop' }], usage, ...over }
  return openrouter.read(body, { status: 200, headers }).answer
}

describe('usage', () => {
  test('is flagged exactly when its counts do not fit together, whatever they are', () => {
    const count = fc.nat(1000)
    fc.assert(
      fc.property(count, count, count, count, count, count, (prompt, cached, written, completion, thought, total) => {
        const answer = answerOf({
          prompt_tokens: prompt,
          completion_tokens: completion,
          total_tokens: total,
          prompt_tokens_details: { cached_tokens: cached, cache_write_tokens: written },
          completion_tokens_details: { reasoning_tokens: thought },
        })
        const flags: string[] = []
        if (cached + written > prompt) flags.push('cache-exceeds-prompt')
        if (thought > completion) flags.push('reasoning-exceeds-completion')
        if (total !== prompt + completion) flags.push('total-differs')
        expect(answer?.notes?.flags).toEqual(flags)
      }),
      runs(),
    )
  })

  test('of an answer out of a cache of answers is nothing, free, and says so', () => {
    const usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }
    const hit = answerOf(usage, new Headers({ 'x-openrouter-cache-status': 'HIT' }))
    expect(hit).toMatchObject({ reportedUsd: 0, notes: { replayed: true, flags: ['answer-cache'] } })
    const miss = answerOf(usage, new Headers({ 'x-openrouter-cache-status': 'MISS' }))
    expect(miss).toMatchObject({ reportedUsd: null, notes: { replayed: false, flags: [] } })
  })

  test("with the caller's own key and without the host's bill has a fee and no price", () => {
    const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15, cost: 0.0001, is_byok: true }
    expect(answerOf(usage)).toMatchObject({ reportedUsd: null, notes: { feeUsd: 0.0001 } })
    const cost_details = { upstream_inference_cost: 0.002 }
    expect(answerOf({ ...usage, cost_details })?.reportedUsd).toBeCloseTo(0.0021, 12)
    // Without such a key the host's bill is the same figure again.
    expect(answerOf({ ...usage, is_byok: false, cost: 0.002, cost_details })?.reportedUsd).toBe(0.002)
  })

  test('names the tools that were used besides, and what they cost, where that is told', () => {
    const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15, cost: 0.05 }
    const cost_details = { server_tool_cost: 0.04 }
    const server_tool_use_details = { web_search_requests: 4 }
    expect(answerOf({ ...usage, cost_details, server_tool_use_details })?.notes).toMatchObject({
      besidesUsd: 0.04,
      searches: 4,
    })
    // The name it had before.
    expect(answerOf({ ...usage, server_tool_use: { web_search_requests: 1 } })?.notes?.searches).toBe(1)
    expect(answerOf(usage)?.notes).toMatchObject({ besidesUsd: null, searches: null })
  })

  test('tells a tier that has prices of its own, and what was sound or pictures', () => {
    const usage = {
      prompt_tokens: 10,
      completion_tokens: 5,
      total_tokens: 15,
      prompt_tokens_details: { audio_tokens: 7 },
      completion_tokens_details: { image_tokens: 3 },
    }
    const served = (tier: unknown) => answerOf(usage, NO_HEADERS, { service_tier: tier })?.notes?.tier
    expect(['flex', 'priority', 'fast', 'default', null].map(served)).toEqual([
      'flex',
      'priority',
      'priority',
      null,
      null,
    ])
    expect(answerOf(usage)?.notes?.media).toEqual({ audioPrompt: 7, audioCompletion: null, imageCompletion: 3 })
    const ofGroq = (tier: string) =>
      groq.read({ ...raw(usage), service_tier: tier }, { status: 200, headers: NO_HEADERS }).answer?.notes?.tier
    expect(['on_demand', 'flex', 'performance'].map(ofGroq)).toEqual([null, null, 'performance'])
    expect(
      openai.read({ ...raw(usage), service_tier: 'flex' }, { status: 200, headers: NO_HEADERS }).answer,
    ).toMatchObject({ tier: 'flex', notes: { tier: 'flex' } })
  })

  test('of any shape at all is read without an error, and never counts what is not a number', () => {
    const junk = fc.anything({ withNullPrototype: true })
    fc.assert(
      fc.property(junk, junk, junk, junk, (usage, details, cost, tools) => {
        const given = {
          ...fields(usage),
          prompt_tokens_details: details,
          cost_details: cost,
          server_tool_use_details: tools,
        }
        const notes = answerOf(given)?.notes
        for (const value of [notes?.besidesUsd, notes?.searches, notes?.feeUsd]) {
          expect(value === null || (typeof value === 'number' && value >= 0)).toBe(true)
        }
      }),
      runs(),
    )
  })
})

function raw(usage: Fields): Fields {
  return { choices: [{ message: { content: 'Hello' }, finish_reason: 'stop' }], usage }
}
