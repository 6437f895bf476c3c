import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { groq } from '../src/dialects/groq.ts'
import { openrouter } from '../src/dialects/openrouter.ts'
import type { FailureKind } from '../src/failure.ts'

/** Errors that users met and pasted into public issues: bodies where the issue has them, else only the message. */
const path = fileURLToPath(new URL('../../shared/data/wire/field-errors.json', import.meta.url))
const there = existsSync(path)

interface FieldError {
  readonly provider: string
  readonly status: number
  readonly body?: unknown
  readonly message?: string
  readonly type?: string
  readonly contentType?: string
}

const items: readonly FieldError[] = there ? JSON.parse(readFileSync(path, 'utf8')).items : []

/** By place in the file. `null`: a report about a failure, with neither its body nor its words. */
const KINDS: readonly (readonly [kind: FailureKind | null, why: string])[] = [
  ['too-large-for-limit', '413 with rate_limit_exceeded: waiting never helps'],
  ['too-large-for-limit', '413 with rate_limit_exceeded'],
  ['too-large-for-limit', '413 with rate_limit_exceeded'],
  ['too-large-for-limit', '413: the reserved answer is larger than the limit'],
  ['too-large-for-limit', '413 in plain text'],
  ['quota-exhausted', 'tokens per day'],
  ['rate-limited', 'tokens per minute'],
  ['too-large-for-limit', '429, but more was requested than the limit allows'],
  ['bad-output', 'json_validate_failed, nothing generated'],
  ['bad-output', 'json_validate_failed'],
  ['context-too-long', 'context_length_exceeded'],
  ['invalid-request', 'an unknown response format'],
  ['forbidden', 'a page of the firewall in front of Groq'],
  ['server-error', 'a bad gateway, as a page'],
  [null, 'an error inside a stream, told in prose'],
  ['out-of-credit', '402'],
  ['out-of-credit', '402 after OpenRouter tried several hosts'],
  ['out-of-credit', '402: the key has a limit of its own'],
  [null, 'a 402 told in prose'],
  ['rate-limited', "a host's shared pool"],
  ['quota-exhausted', 'free models, per day'],
  [null, 'a 429 told in prose'],
  ['no-offer', 'no allowed provider sells the model'],
  ['policy-refused', 'guardrails and the data policy leave no endpoint'],
  ['overloaded', '503'],
  ['server-error', 'a chunk with an error and no choices: provider_unavailable'],
  ['server-error', 'a chunk with an error and an empty model'],
  ['server-error', 'error.code 502, provider_unavailable'],
  [null, 'a chunk told in prose'],
  [null, 'a chunk told in prose'],
  [null, 'a connection that closes without a word'],
]

/** A body as the dialect would get it: an object, or the text when it is no JSON. */
function bodyOf(item: FieldError): unknown {
  if (item.body !== undefined) return item.body
  const { message = '', contentType, type } = item
  if ('sse' in item && typeof item.sse === 'string') return JSON.parse(item.sse.slice('data: '.length))
  if (message.startsWith('{')) return { error: JSON.parse(message) }
  if (contentType?.startsWith('text/html') || message === 'Request Entity Too Large') return message
  // OpenRouter's `code` is the status; Groq's is missing where the issue does not name it.
  if (item.provider === 'openrouter') return { error: { message, code: item.status } }
  const code = item.status === 429 || item.status === 413 ? 'rate_limit_exceeded' : undefined
  return { error: { message, type: type ?? 'invalid_request_error', ...(code && { code }) } }
}

const headers = new Headers()
const title = there
  ? 'errors seen in the field'
  : 'errors seen in the field (skipped: ../shared/data/wire is not there)'

describe.skipIf(!there)(title, () => {
  test('all have a line in the table: 31, of which 6 are only told in prose', () => {
    expect(items).toHaveLength(31)
    expect(KINDS).toHaveLength(31)
    expect(KINDS.filter(([kind]) => kind === null)).toHaveLength(6)
  })

  const table = items.flatMap((item, index) => {
    const [kind, why] = KINDS[index] ?? [null, '']
    return kind === null ? [] : [{ item, kind, why, index }]
  })

  test.each(table)('$index: $item.provider $item.status is $kind: $why', ({ item, kind }) => {
    const dialect = item.provider === 'groq' ? groq : openrouter
    const reply = { status: item.status, headers }
    const body = bodyOf(item)
    const failure = item.status === 200 ? dialect.read(body, reply).failure : dialect.fail(body, reply)
    expect(failure?.kind).toBe(kind)
  })
})
