import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openai } from '../src/dialects/dialect.ts'
import { groq } from '../src/dialects/groq.ts'
import { openrouter } from '../src/dialects/openrouter.ts'
import { FAILURE_KINDS, type FailureKind, kindOfStatus, VERDICTS } from '../src/failure.ts'
import { runs } from './support/runs.ts'

const headers = new Headers()
const dialects = [openai, groq, openrouter]

describe('the table of verdicts', () => {
  test('has exactly one verdict for each kind, and nobody can change it', () => {
    expect(Object.keys(VERDICTS).sort()).toEqual([...FAILURE_KINDS].sort())
    expect(new Set(FAILURE_KINDS).size).toBe(25)
    expect(Object.isFrozen(VERDICTS)).toBe(true)
    for (const verdict of Object.values(VERDICTS)) expect(Object.isFrozen(verdict)).toBe(true)
  })

  test.each(FAILURE_KINDS)('has words for %s, in one line, without a full stop', (kind) => {
    const { says, advice } = VERDICTS[kind]
    for (const words of [says, advice]) expect(words).toMatch(/^[^\n]*[^.\n]$|^$/)
    expect(says).not.toBe('')
  })

  test('never asks the same offer again where the same answer is certain', () => {
    const never: readonly FailureKind[] = [
      'unauthorized',
      'out-of-credit',
      'model-gone',
      'no-offer',
      'policy-refused',
      'invalid-request',
      'context-too-long',
      'refused',
      'redirected',
      'too-large-for-limit',
      'quota-exhausted',
      'canceled',
      'out-of-budget',
    ]
    for (const kind of never) expect(VERDICTS[kind].retry, kind).toBe('no')
  })

  test('goes nowhere by itself after a refusal, a wrong request, a redirect, or the caller', () => {
    const ends = FAILURE_KINDS.filter((kind) => VERDICTS[kind].next === 'nowhere')
    expect(ends.sort()).toEqual(['canceled', 'invalid-request', 'out-of-budget', 'redirected', 'refused'])
  })

  test('blames no offer for what lies in the request, the account or the policy', () => {
    const ill = FAILURE_KINDS.filter((kind) => VERDICTS[kind].blame === 'offer')
    expect(ill.sort()).toEqual([
      'bad-response',
      'cut-off',
      'empty',
      'overloaded',
      'server-error',
      'stalled',
      'timed-out',
      'unreachable',
    ])
  })
})

describe('a status', () => {
  test.each([
    [301, 'redirected'],
    [307, 'redirected'],
    [400, 'invalid-request'],
    [401, 'unauthorized'],
    [402, 'out-of-credit'],
    [403, 'forbidden'],
    [404, 'model-gone'],
    [407, 'unreachable'],
    [408, 'timed-out'],
    [409, 'server-error'],
    [410, 'model-gone'],
    [412, 'invalid-request'],
    [422, 'invalid-request'],
    [424, 'server-error'],
    [429, 'rate-limited'],
    [498, 'overloaded'],
    [499, 'server-error'],
    [500, 'server-error'],
    [501, 'server-error'],
    [502, 'server-error'],
    [503, 'overloaded'],
    [504, 'timed-out'],
    [524, 'timed-out'],
    [529, 'overloaded'],
    [204, 'bad-response'],
    [0, 'bad-response'],
    [Number.NaN, 'bad-response'],
  ])('of %d alone says %s', (status, kind) => {
    expect(kindOfStatus(status)).toBe(kind)
  })
})

describe('classification', () => {
  const code = fc.oneof(
    fc.integer({ min: -1, max: 700 }),
    fc.constantFrom('rate_limit_exceeded', 'tool_use_failed', '__proto__', 'constructor', 'toString', '429', ''),
    fc.jsonValue(),
  )
  const error = fc.record(
    {
      code,
      message: fc.oneof(fc.string(), fc.jsonValue()),
      type: fc.jsonValue(),
      param: fc.jsonValue(),
      http_status: code,
      status_code: code,
      status: code,
      metadata: fc.oneof(fc.record({ error_type: code, raw: fc.jsonValue(), limit_source: code }), fc.jsonValue()),
      availability: fc.oneof(fc.record({ code, excluded_by: fc.jsonValue(), retry_after: code }), fc.jsonValue()),
    },
    { requiredKeys: [] },
  )
  const body = fc.oneof(fc.record({ error }), error, fc.array(fc.record({ error })), fc.jsonValue(), fc.string())

  test('never breaks, and yields a kind of the closed set for any body and any status', () => {
    fc.assert(
      fc.property(body, fc.oneof(fc.integer(), fc.integer({ min: 100, max: 599 })), (given, status) => {
        for (const dialect of dialects) {
          const failure = dialect.fail(given, { status, headers })
          expect(FAILURE_KINDS).toContain(failure.kind)
          expect(failure.detail === null || typeof failure.detail === 'string').toBe(true)
          const { retryAfterMs } = failure
          if (retryAfterMs !== null) expect(retryAfterMs >= 0 && retryAfterMs <= 86_400_000).toBe(true)
        }
      }),
      runs(),
    )
  })

  test('goes by what a provider puts into a 200, and takes it for its fault when it puts in nothing', () => {
    const failed = (given: unknown) => openrouter.read({ error: given }, { status: 200, headers }).failure
    expect(failed({ code: 429, message: 'x' })).toMatchObject({ kind: 'rate-limited', status: 429 })
    expect(failed({ http_status: 503, message: 'x' })).toMatchObject({ kind: 'overloaded', status: 503 })
    expect(failed({ message: 'x' })).toMatchObject({ kind: 'server-error', status: 500 })
    expect(failed('x')).toMatchObject({ kind: 'server-error', detail: 'x' })
  })

  /** What a prompt may hold to look like an error, each wording that we know the provider by. */
  const ECHOES = [
    'Please reduce the length of the messages or completion.',
    '`tool calling` is not supported with this model',
    "This endpoint's maximum context length is 5 tokens",
    'x is not a valid model ID',
    'Key limit exceeded (total limit)',
    'No endpoints found for x/y.',
    'No allowed providers match your data policy',
    'Rate limit exceeded: free-models-per-day',
    'Failed check: SAFETY_CHECK_TYPE_X',
  ]

  test('does not heed words that may quote the prompt where there is a code', () => {
    const named = fc.constantFrom(
      ...(['tool_use_failed', 'json_validate_failed', 'invalid_api_key', 'model_not_found', 'some_new_code'] as const),
    )
    fc.assert(
      fc.property(
        named,
        fc.constantFrom(400, 401, 403, 404, 429, 500),
        fc.constantFrom(...ECHOES),
        (code, status, echo) => {
          const kindWith = (message: string) => groq.fail({ error: { code, message } }, { status, headers }).kind
          expect(kindWith(echo)).toBe(kindWith('plain'))
          const ofOpenAI = (message: string) => openai.fail({ error: { code, message } }, { status, headers }).kind
          expect(ofOpenAI(echo)).toBe(ofOpenAI('plain'))
        },
      ),
      runs(),
    )
    const types = fc.constantFrom(
      'invalid_request',
      'provider_unavailable',
      'authentication',
      'context_length_exceeded',
    )
    fc.assert(
      fc.property(
        types,
        fc.constantFrom(400, 403, 404, 429, 500),
        fc.constantFrom(...ECHOES),
        (error_type, status, echo) => {
          const kindWith = (words: string) =>
            openrouter.fail(
              { error: { code: status, message: words, metadata: { error_type, raw: words } } },
              { status, headers },
            ).kind
          expect(kindWith(echo)).toBe(kindWith('plain'))
        },
      ),
      runs(),
    )
  })
})

describe("Groq's rate limits", () => {
  const words = (of: string, limit: number, requested: string) =>
    `Rate limit reached for model \`m\` in organization \`o\` service tier \`on_demand\` on (${of}): Limit ${limit}, Used 1, Requested ${requested}. Please try again in 2s.`

  test.each([
    ['TPM', 6000, '700', 429, 'rate-limited'],
    ['RPM', 30, '1', 429, 'rate-limited'],
    ['ITPM', 30, '1', 429, 'rate-limited'],
    ['OTPM', 30, '1', 429, 'rate-limited'],
    ['ASH', 7200, '10', 429, 'rate-limited'],
    ['TPD', 200_000, '2422', 429, 'quota-exhausted'],
    ['RPD', 1000, '1', 429, 'quota-exhausted'],
    ['ASD', 28_800, '10', 429, 'quota-exhausted'],
    ['TPM', 7000, '~12903', 429, 'too-large-for-limit'],
    ['TPD', 1000, '2000', 429, 'too-large-for-limit'],
    ['TPM', 8000, '9100', 413, 'too-large-for-limit'],
  ] as const)('by %s of %i, %s requested, with status %i: %s', (of, limit, requested, status, kind) => {
    const error = { message: words(of, limit, requested), type: 'tokens', code: 'rate_limit_exceeded' }
    expect(groq.fail({ error }, { status, headers }).kind).toBe(kind)
  })

  test('by a spend alert is a quota, by either code', () => {
    for (const code of ['blocked_api_access', 'spend_limit_reached']) {
      expect(groq.fail({ error: { code, message: 'x' } }, { status: 400, headers }).kind).toBe('quota-exhausted')
    }
  })
})
