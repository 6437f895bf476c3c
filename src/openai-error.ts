import { ConfigError, NoRouteError, RouterError } from './errors.ts'
import type { FailureKind } from './failure.ts'
import type { Rejection } from './plan.ts'

/** What a client of OpenAI's protocol reads of an error. */
export interface OpenAIError {
  readonly message: string
  readonly type: string
  readonly param: string | null
  readonly code: string | null
}

/** An error on its way out: what is said, and how HTTP says it. */
export interface ToldError {
  readonly error: OpenAIError
  readonly status: number
  readonly kind: FailureKind | null
  readonly retryAfterMs: number | null
}

interface Words {
  readonly status: number
  readonly type: string
  readonly code: string
}

function words(status: number, type: string, code: string): Words {
  return Object.freeze({ status, type, code })
}

/**
 * How each kind of failure is told. What the client can mend is a 4xx; what is wrong behind the router is a 5xx, also a
 * refused key: the client's own key is not the one that was refused, and a 401 would have it look in the wrong place.
 */
// biome-ignore format: a table is read by its columns
const WORDS: Readonly<Record<FailureKind, Words>> = Object.freeze({
  //                           status  type                     code
  'rate-limited':        words(429, 'rate_limit_error',      'rate_limit_exceeded'),
  'too-large-for-limit': words(413, 'invalid_request_error', 'request_too_large'),
  'quota-exhausted':     words(429, 'insufficient_quota',    'insufficient_quota'),
  'out-of-credit':       words(402, 'insufficient_quota',    'insufficient_credits'),
  'unauthorized':        words(502, 'server_error',          'provider_unauthorized'),
  'forbidden':           words(403, 'permission_error',      'provider_forbidden'),
  'model-gone':          words(404, 'invalid_request_error', 'model_not_found'),
  'no-offer':            words(404, 'invalid_request_error', 'no_offer'),
  'policy-refused':      words(404, 'invalid_request_error', 'privacy_restricted'),
  'invalid-request':     words(400, 'invalid_request_error', 'invalid_request'),
  'context-too-long':    words(400, 'invalid_request_error', 'context_length_exceeded'),
  'refused':             words(400, 'invalid_request_error', 'content_policy_violation'),
  'overloaded':          words(503, 'server_error',          'overloaded'),
  'server-error':        words(502, 'server_error',          'provider_error'),
  'unreachable':         words(502, 'server_error',          'provider_unreachable'),
  'timed-out':           words(504, 'timeout_error',         'timeout'),
  'redirected':          words(502, 'server_error',          'provider_redirected'),
  'stalled':             words(504, 'timeout_error',         'stalled'),
  'cut-off':             words(502, 'server_error',          'cut_off'),
  'bad-response':        words(502, 'server_error',          'bad_response'),
  'empty':               words(502, 'server_error',          'empty'),
  'bad-output':          words(502, 'server_error',          'bad_output'),
  'below-bar':           words(502, 'server_error',          'below_bar'),
  'out-of-budget':       words(402, 'insufficient_quota',    'budget_exceeded'),
  // The client's own abort is never answered: what is left is a router that closes.
  'canceled':            words(503, 'server_error',          'closing'),
})

const UNEXPECTED: ToldError = Object.freeze({
  error: Object.freeze({
    message: 'the request failed for a reason of our own',
    type: 'server_error',
    param: null,
    code: 'internal_error',
  }),
  status: 500,
  kind: null,
  retryAfterMs: null,
})

/** What is said of an error. One that is not ours may hold anything: nothing of it is told. */
export function told(error: unknown): ToldError {
  if (ConfigError.is(error)) return toldConfig(error)
  if (NoRouteError.is(error)) return toldNoRoute(error)
  if (!RouterError.is(error)) return UNEXPECTED
  return toldKind(error.kind, error)
}

function toldKind(
  kind: FailureKind,
  { message, retryAfterMs }: { readonly message: string; readonly retryAfterMs: number | null },
): ToldError {
  const { status, type, code } = WORDS[kind]
  const param = code === 'model_not_found' ? 'model' : null
  // By these words, which are OpenAI's, there are clients that know it and shorten their history.
  const said = kind === 'context-too-long' ? `${message} (over the maximum context length)` : message
  return { error: { message: said, type, param, code }, status, kind, retryAfterMs }
}

/** Each reason for which an offer was left out, as the failure it would have been. */
const REASONS: Readonly<Record<string, FailureKind>> = {
  'not-sold': 'model-gone',
  retired: 'model-gone',
  context: 'context-too-long',
  'max-output': 'context-too-long',
  'data-policy': 'policy-refused',
  'rate-limited': 'rate-limited',
  'breaker-open': 'overloaded',
  'account-out': 'out-of-credit',
  'too-dear': 'out-of-budget',
}

/** Waiting helps as soon as one way opens; a model that nobody sells is what is left when nothing else was in the way. */
const TOLD_FIRST: readonly FailureKind[] = [
  'rate-limited',
  'overloaded',
  'out-of-credit',
  'out-of-budget',
  'context-too-long',
  'policy-refused',
  'no-offer',
]

function toldNoRoute(error: NoRouteError): ToldError {
  const { rejections } = error
  // Asked by the prototype's getter, which another copy of the package has as well.
  const kinds = new Set(rejections.map(({ code }) => REASONS[code] ?? 'no-offer'))
  const kind = TOLD_FIRST.find((each) => kinds.has(each)) ?? (kinds.size > 0 ? 'model-gone' : error.kind)
  const opensIn = rejections.flatMap((rejection) => opensAfter(rejection, kind))
  return toldKind(kind, {
    message: error.message,
    retryAfterMs: error.retryAfterMs ?? (opensIn.length > 0 ? Math.min(...opensIn) : null),
  })
}

function opensAfter({ code, value }: Rejection, kind: FailureKind): readonly number[] {
  const waits = (kind === 'rate-limited' || kind === 'overloaded') && REASONS[code] === kind
  return waits && value !== undefined ? [value] : []
}

/** Where a field of ours stands in the client's request; `null`: all of it is meant. */
const PARAMS: readonly (readonly [RegExp, string | null])[] = [
  [/^input\.(.+)$/, '$1'],
  [/^input$/, null],
  [/^options\.session\b.*$/, 'session_id'],
  [/^options\.metadata\b.*$/, 'metadata'],
  [/^options\.data\b.*$/, 'provider'],
  [/^policy\.model\[.*$/, 'models'],
  [/^policy\.model.*$/, 'model'],
  [/^policy\.provider.*$/, 'provider'],
  [/^model$/, 'model'],
]

function toldConfig(error: ConfigError): ToldError {
  const { field, message } = error
  const problem = message.slice(field.length + 2)
  if (field === 'task') {
    return { ...toldKind('model-gone', { message: problem, retryAfterMs: null }), kind: 'invalid-request' }
  }
  if (field === 'router') return toldKind('canceled', { message: 'the router is closed', retryAfterMs: null })
  const [pattern, param = null] = PARAMS.find(([each]) => each.test(field)) ?? []
  // A rule or an option of whoever made the router: the client can do nothing about it.
  if (pattern === undefined) return { ...UNEXPECTED, error: { ...UNEXPECTED.error, message } }
  const at = param === null ? null : field.replace(pattern, param)
  const { status, type } = WORDS['invalid-request']
  return {
    error: { message: at === null ? problem : `${at}: ${problem}`, type, param: at, code: 'invalid_value' },
    status,
    kind: 'invalid-request',
    retryAfterMs: null,
  }
}
