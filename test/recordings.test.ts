import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { groq } from '../src/dialects/groq.ts'
import { openrouter } from '../src/dialects/openrouter.ts'
import type { FailureKind } from '../src/failure.ts'

/**
 * What both providers really sent. Every expected value is computed here from the raw body by plain code of its own,
 * or written down by hand; our reader is never asked what is right.
 */
const folder = fileURLToPath(new URL('../../shared/data/recordings/', import.meta.url))
const there = existsSync(folder)
const files = there
  ? readdirSync(folder)
      .filter((name) => name.endsWith('.json'))
      .sort()
  : []

interface Recording {
  readonly name: string
  readonly number: string
  readonly provider: 'groq' | 'openrouter'
  readonly url: string
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly isStream: boolean
}

function recordingOf(name: string): Recording {
  const { request, response } = JSON.parse(readFileSync(`${folder}${name}`, 'utf8'))
  const chunks: string[] | null = response.chunksB64
  return {
    name,
    number: name.slice(0, 3),
    // By the address: one answer of Groq came through a gateway that is filed under another name.
    provider: request.url.includes('openrouter.ai') ? 'openrouter' : 'groq',
    url: request.url,
    status: response.status,
    headers: new Headers(response.headers),
    text:
      chunks === null ? response.body : Buffer.concat(chunks.map((chunk) => Buffer.from(chunk, 'base64'))).toString(),
    isStream: name.includes('-stream'),
  }
}

const recordings = files.map(recordingOf)
const dialects = { groq, openrouter }
const whole = recordings.filter(({ status, isStream }) => status === 200 && !isStream)

/** Another protocol: `/responses` is not spoken here. */
const OTHER_PROTOCOL = ['148']

/** A status of 200 and no success. */
const FAILED_200: Readonly<Record<string, readonly [kind: FailureKind, why: string]>> = {
  '052': ['server-error', 'error.code 502 beside a 200; the 400 inside its message is only quoted'],
  '054': ['server-error', 'the choice carries error.code 502 and half a text'],
  '088': ['refused', 'finish_reason content_filter, and a refusal instead of a text'],
  '094': ['bad-response', 'a plain text in an envelope, no choices'],
  '142': ['bad-response', 'a plain text in an envelope, no choices'],
}

const FAILED: Readonly<Record<string, readonly [kind: FailureKind, why: string]>> = {
  '004': ['context-too-long', 'no code: the fixed wording "This endpoint\'s maximum context length is"'],
  '008': ['unauthorized', '401'],
  '010': ['rate-limited', 'one request per minute for a free model'],
  '012': ['unauthorized', 'invalid_api_key'],
  '014': ['model-gone', 'model_not_found'],
  '016': ['bad-output', 'tool_use_failed: the model did not call a tool'],
  '018': ['rate-limited', 'a host is rate-limited upstream'],
  '020': ['invalid-request', 'a host misses a parameter'],
  '022': ['no-offer', 'Groq sells the model without tools'],
  '024': ['model-gone', 'no endpoints for the model at all'],
  '026': ['model-gone', 'no endpoints for the model at all'],
  '028': ['model-gone', 'no endpoints for the model at all'],
  '030': ['no-offer', 'no endpoint supports tools'],
  '032': ['bad-output', 'tool_use_failed'],
  '034': ['bad-output', 'tool_use_failed'],
  '036': ['rate-limited', 'free models, per minute'],
  '038': ['model-gone', 'model_decommissioned'],
  '040': ['invalid-request', 'a host found an invalid argument'],
  '042': ['rate-limited', 'a host is rate-limited upstream'],
  '044': ['rate-limited', 'a host is rate-limited upstream'],
  '046': ['bad-output', 'tool_use_failed: the arguments do not fit the schema'],
  '048': ['bad-output', 'tool_use_failed: the arguments do not fit the schema'],
  '050': ['refused', "403 of a host's safety check"],
  '056': ['rate-limited', 'a host is rate-limited upstream'],
  '058': ['unauthorized', 'invalid_api_key'],
  '060': ['model-gone', 'model_not_found'],
  '062': ['model-gone', '"is not a valid model ID"'],
  '154': ['rate-limited', 'tokens per minute'],
  '156': ['rate-limited', 'tokens per minute'],
}

/** The slug that pins each host, for the names that these answers carry. */
const SLUGS: Readonly<Record<string, string>> = {
  'Amazon Bedrock': 'amazon-bedrock',
  Anthropic: 'anthropic',
  Azure: 'azure',
  Cerebras: 'cerebras',
  Chutes: 'chutes',
  Cloudflare: 'cloudflare',
  DeepInfra: 'deepinfra',
  Google: 'google-vertex',
  Lepton: 'lepton',
  'Mancer 2': 'mancer',
  Nebius: 'nebius',
  Novita: 'novita',
  OpenAI: 'openai',
  Perplexity: 'perplexity',
}

const REASONS: Readonly<Record<string, string>> = {
  stop: 'stop',
  end_turn: 'stop',
  length: 'length',
  tool_calls: 'tool-calls',
  content_filter: 'content-filter',
}

const title = there ? 'real recordings' : 'real recordings (skipped: ../shared/data/recordings is not there)'

describe.skipIf(!there)(title, () => {
  test('are all accounted for: 32 whole answers, 29 errors, 23 streams, which are read elsewhere', () => {
    const streams = recordings.filter(({ isStream }) => isStream)
    const errors = recordings.filter(({ status }) => status !== 200)
    expect(streams.every(({ status }) => status === 200)).toBe(true)
    expect([whole, errors, streams, recordings].map(({ length }) => length)).toEqual([32, 29, 23, 84])
  })

  test('of another protocol are left out by name: one answer of /responses', () => {
    const others = whole.filter(({ url }) => !url.endsWith('/chat/completions'))
    expect(others.map(({ number }) => number)).toEqual(OTHER_PROTOCOL)
  })

  const answers = whole.filter(({ number }) => !OTHER_PROTOCOL.includes(number) && FAILED_200[number] === undefined)

  test('26 whole answers are successes', () => {
    expect(answers).toHaveLength(26)
  })

  test.each(answers)('$name is read as it was sent', ({ provider, text, headers }) => {
    const { answer, failure } = dialects[provider].read(JSON.parse(text), { status: 200, headers })
    const body = JSON.parse(text)
    const [choice] = body.choices
    const { message } = choice
    const usage = body.usage
    expect(failure).toBeNull()
    expect(answer).toMatchObject({
      id: body.id,
      model: body.model,
      host: provider === 'openrouter' && body.provider ? SLUGS[body.provider] : null,
      text: message.content ?? '',
      reasoning: message.reasoning ?? null,
      finish: { reason: REASONS[choice.finish_reason], raw: choice.native_finish_reason ?? choice.finish_reason },
      tier: body.service_tier ?? null,
    })
    expect(answer?.toolCalls).toEqual(
      (message.tool_calls ?? []).map((call: { id: string; function: { name: string; arguments: string } }) => ({
        id: call.id,
        name: call.function.name,
        arguments: JSON.parse(call.function.arguments),
        json: call.function.arguments,
      })),
    )
    const hidden = provider === 'groq' ? 0 : null
    expect(answer?.tokens).toEqual({
      prompt: usage.prompt_tokens,
      cachedPrompt: usage.prompt_tokens_details?.cached_tokens ?? hidden,
      cacheWrite: usage.prompt_tokens_details?.cache_write_tokens ?? hidden,
      completion: usage.completion_tokens,
      reasoning: usage.completion_tokens_details?.reasoning_tokens ?? hidden,
      total: usage.total_tokens,
    })
    const ownKey = usage.is_byok === true ? usage.cost_details.upstream_inference_cost : 0
    expect(answer?.reportedUsd).toBe(usage.cost === undefined || provider === 'groq' ? null : usage.cost + ownKey)
    if (usage.queue_time === undefined) expect(answer?.queueMs).toBeNull()
    else expect(answer?.queueMs).toBeCloseTo(usage.queue_time * 1000, 9)
  })

  test.each(answers)(
    '$name leaves a message that carries its tool calls and its thinking on',
    ({ provider, text, headers }) => {
      const { answer } = dialects[provider].read(JSON.parse(text), { status: 200, headers })
      const { message } = JSON.parse(text).choices[0]
      expect(
        answer?.message.tool_calls?.map(({ id, function: called }) => [id, called.name, called.arguments]),
      ).toEqual(
        message.tool_calls?.map(
          ({ id, function: called }: { id: string; function: { name: string; arguments: string } }) => [
            id,
            called.name,
            called.arguments,
          ],
        ),
      )
      expect(answer?.message.reasoning).toEqual(message.reasoning ?? undefined)
      expect(answer?.message.reasoning_details).toEqual(message.reasoning_details ?? undefined)
      expect(Object.values(answer?.message ?? {}).filter((value) => value === undefined)).toEqual([])
    },
  )

  test('what only some answers have is really among them: cache reads and writes, thinking, tools, own keys', () => {
    const read = answers.map(({ provider, text, headers }) =>
      dialects[provider].read(JSON.parse(text), { status: 200, headers }),
    )
    const among = (holds: (answer: NonNullable<(typeof read)[number]['answer']>) => boolean) =>
      read.filter(({ answer }) => answer !== null && holds(answer)).length
    expect({
      cacheReads: among(({ tokens }) => (tokens.cachedPrompt ?? 0) > 0),
      cacheWrites: among(({ tokens }) => (tokens.cacheWrite ?? 0) > 0),
      thinking: among(({ reasoning }) => reasoning !== null),
      tools: among(({ toolCalls }) => toolCalls.length > 0),
      reported: among(({ reportedUsd }) => reportedUsd !== null),
      unknownCache: among(({ tokens }) => tokens.cachedPrompt === null),
    }).toEqual({ cacheReads: 6, cacheWrites: 2, thinking: 7, tools: 6, reported: 8, unknownCache: 9 })
  })

  test.each(Object.entries(FAILED_200))('%s is a failure although its status is 200', (number, [kind]) => {
    const recording = recordings.find((one) => one.number === number)
    expect(recording).toBeDefined()
    if (recording === undefined) return
    const reading = dialects[recording.provider].read(JSON.parse(recording.text), recording)
    expect(reading.failure?.kind).toBe(kind)
  })

  test('a failure inside an answer keeps what was paid for: its tokens and its text', () => {
    const recording = recordings.find(({ number }) => number === '054')
    if (recording === undefined) throw new Error('expected recording 054')
    const body = JSON.parse(recording.text)
    const { answer } = openrouter.read(body, recording)
    expect(answer?.tokens.completion).toBe(body.usage.completion_tokens)
    expect(answer?.text).toBe(body.choices[0].message.content)
  })

  const errors = recordings.filter(({ status }) => status !== 200)

  test('every error has a line in the table, and the table has no other', () => {
    expect(errors.map(({ number }) => number)).toEqual(Object.keys(FAILED).sort())
  })

  test.each(errors)('$name has the right kind', ({ number, provider, text, status, headers }) => {
    const [kind, why] = FAILED[number] ?? []
    expect(dialects[provider].fail(JSON.parse(text), { status, headers }).kind, why).toBe(kind)
  })

  test('the errors are of these kinds', () => {
    const counted: Record<string, number> = {}
    for (const { provider, text, status, headers } of errors) {
      const { kind } = dialects[provider].fail(JSON.parse(text), { status, headers })
      counted[kind] = (counted[kind] ?? 0) + 1
    }
    expect(counted).toEqual({
      'rate-limited': 8,
      'model-gone': 7,
      'bad-output': 5,
      unauthorized: 3,
      'invalid-request': 2,
      'no-offer': 2,
      'context-too-long': 1,
      refused: 1,
    })
  })
})
