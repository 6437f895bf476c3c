import {
  type Act,
  answer,
  BY_FETCH,
  body,
  CLOSE,
  chunk,
  DONE,
  END,
  event,
  events,
  FINISH,
  flood,
  HANG,
  head,
  LAST,
  REFUSE,
  RESET,
  ROLE,
  repeat,
  SSE_TYPE,
  say,
  UNKNOWN_HOST,
  wait,
} from '../script.ts'

/**
 * What can go wrong with one attempt before anything of its answer can be seen, and what is to be made of it: the kind,
 * the status, whether it is billed, and where the call goes from there.
 */
export interface Fault {
  readonly what: string
  readonly act: Act
  readonly kind: string
  readonly status: number | null
  readonly billed: 'yes' | 'no' | 'maybe'
  /**
   * `on`: to any other step; `away`: to any but this account; `model`: to another model; `larger`: to a larger context;
   * `stop`: nowhere.
   */
  readonly goes: 'on' | 'away' | 'model' | 'larger' | 'stop'
  /** How often the same offer is asked again when there is no other. */
  readonly again: 0 | 1
  /** Time that it takes, where it ends only with a limit. */
  readonly silent?: true
}

type Rest = readonly [kind: string, status: number | null, billed: Fault['billed'], goes: Fault['goes'], again: 0 | 1]

const fault = (what: string, act: Act, [kind, status, billed, goes, again]: Rest, silent?: true): Fault => ({
  what,
  act,
  kind,
  status,
  billed,
  goes,
  again,
  ...(silent && { silent }),
})

const problem = (message: string, more: object = {}) => ({ error: { message, type: 'error', ...more } })
const PAGE = '<!doctype html><html><head><title>Sign in</title></head><body>@answer@</body></html>'
const JUST_JSON = { 'content-type': 'application/json' }

/** Before the headers. */
// biome-ignore format: a table is read by its columns
export const CONNECTIONS: readonly Fault[] = [
  fault('the connection is refused', [REFUSE], ['unreachable', null, 'no', 'on', 1]),
  fault('the address is unknown', [UNKNOWN_HOST], ['unreachable', null, 'no', 'on', 1]),
  fault('the certificate is nobody’s', [{ do: 'insecure', how: 'untrusted' }], ['unreachable', null, 'no', 'on', 1]),
  fault('nothing secure listens there', [{ do: 'insecure', how: 'plain' }], ['unreachable', null, 'maybe', 'on', 1]),
  fault('no secure connection is agreed on', [{ do: 'insecure', how: 'alert' }], ['unreachable', null, 'maybe', 'on', 1]),
  fault('the connection is reset before it is secure', [{ do: 'insecure', how: 'reset' }], ['unreachable', null, 'maybe', 'on', 1]),
  fault('the connection is reset before the headers', [wait(20), RESET], ['unreachable', null, 'maybe', 'on', 1]),
  fault('the connection is closed before the headers', [wait(20), CLOSE], ['unreachable', null, 'maybe', 'on', 1]),
  fault('the answer is no HTTP', [{ do: 'raw', text: '220 smtp ESMTP\r\n' }], ['unreachable', null, 'maybe', 'on', 1]),
  fault('a proxy asks who it is', body(407, problem('Who are you?')), BY_FETCH ? ['unreachable', null, 'maybe', 'on', 1] : ['unreachable', 407, 'no', 'on', 1]),
  fault('no headers come', [HANG], ['timed-out', null, 'maybe', 'on', 0], true),
]

/** A status, its body as most endpoints write it, what it means. */
const STATUSES: readonly (readonly [number, string, Fault['goes'], 0 | 1])[] = [
  [400, 'invalid-request', 'stop', 0],
  [401, 'unauthorized', 'away', 0],
  [402, 'out-of-credit', 'away', 0],
  [403, 'forbidden', 'away', 0],
  [404, 'model-gone', 'on', 0],
  [405, 'invalid-request', 'stop', 0],
  [408, 'timed-out', 'on', 0],
  [409, 'server-error', 'on', 1],
  [410, 'model-gone', 'on', 0],
  [411, 'invalid-request', 'stop', 0],
  [412, 'invalid-request', 'stop', 0],
  [413, 'invalid-request', 'stop', 0],
  [415, 'invalid-request', 'stop', 0],
  [422, 'invalid-request', 'stop', 0],
  [424, 'server-error', 'on', 1],
  [429, 'rate-limited', 'on', 1],
  [431, 'invalid-request', 'stop', 0],
  [451, 'invalid-request', 'stop', 0],
  [498, 'overloaded', 'on', 1],
  [499, 'server-error', 'on', 1],
  [500, 'server-error', 'on', 1],
  [501, 'server-error', 'on', 1],
  [502, 'server-error', 'on', 1],
  [503, 'overloaded', 'on', 1],
  [504, 'timed-out', 'on', 0],
  [505, 'server-error', 'on', 1],
  [507, 'server-error', 'on', 1],
  [520, 'server-error', 'on', 1],
  [524, 'timed-out', 'on', 0],
  [529, 'overloaded', 'on', 1],
  [599, 'server-error', 'on', 1],
]

export const STATUS_FAULTS: readonly Fault[] = STATUSES.map(([status, kind, goes, again]) =>
  fault(`a ${status}`, body(status, problem(`It said ${status}.`)), [kind, status, 'no', goes, again]),
)

export const REDIRECTS: readonly Fault[] = [300, 301, 302, 303, 307, 308].map((status) =>
  fault(
    `a redirect (${status})`,
    [head(status, { location: 'http://127.0.0.1:2/elsewhere' }), END],
    ['redirected', status, 'no', 'stop', 0],
  ),
)

/** What stands behind a status does not change what it says. */
// biome-ignore format: a table is read by its columns
export const ERROR_BODIES: readonly Fault[] = [
  fault('a 502 with a page', body(502, PAGE, { 'content-type': 'text/html' }), ['server-error', 502, 'no', 'on', 1]),
  fault('a 403 with a page of a firewall', body(403, PAGE, { 'content-type': 'text/html; charset=UTF-8' }), ['forbidden', 403, 'no', 'away', 0]),
  fault('a 404 with a page', body(404, PAGE, { 'content-type': 'text/html' }), ['model-gone', 404, 'no', 'on', 0]),
  fault('a 503 without a body', [head(503, {}, 0), END], ['overloaded', 503, 'no', 'on', 1]),
  fault('a 500 in plain words that repeat the prompt', body(500, 'panic: @prompt@ with @key@', { 'content-type': 'text/plain' }), ['server-error', 500, 'no', 'on', 1]),
  fault('a 401 that repeats the key', body(401, problem('Incorrect API key: @key@', { code: 'invalid_api_key' })), ['unauthorized', 401, 'no', 'away', 0]),
  fault('a 400 that repeats everything', body(400, problem('Bad: @prompt@ @system@ @argument@ @key@', { param: '@prompt@', code: '@key@' })), ['invalid-request', 400, 'no', 'stop', 0]),
  fault('a 500 of JSON that breaks off', body(500, '{"error":{"message":"It'), ['server-error', 500, 'no', 'on', 1]),
  fault('a 500 whose body is reset', [head(500, JUST_JSON), say('{"error":'), RESET], ['server-error', 500, 'no', 'on', 1]),
  fault('a 500 shorter than it said', [head(500, JUST_JSON, 500), say('{"error":'), CLOSE], ['server-error', 500, 'no', 'on', 1]),
  fault('a 500 whose body never comes', [head(500, JUST_JSON), HANG], ['server-error', 500, 'no', 'on', 1]),
  fault('a 503 of a megabyte', [head(503), flood('x'.repeat(65_536), 16), END], ['overloaded', 503, 'no', 'on', 1]),
  fault('a 400 in a list', body(400, [problem('Bad.', { code: 400, status: 'INVALID_ARGUMENT' })]), ['invalid-request', 400, 'no', 'stop', 0]),
  fault('a 400 whose error is a string', body(400, { error: 'Bad.' }), ['invalid-request', 400, 'no', 'stop', 0]),
  fault('a 500 that is null', body(500, 'null'), ['server-error', 500, 'no', 'on', 1]),
  fault('a 500 with names of prototypes', body(500, '{"__proto__":{"polluted":1},"error":{"constructor":{"prototype":{"polluted":1}},"code":"__proto__"}}'), ['server-error', 500, 'no', 'on', 1]),
  fault('a 400 for a context that is too small', body(400, problem('Too long.', { code: 'context_length_exceeded' })), ['context-too-long', 400, 'no', 'larger', 0]),
  fault('a 400 for a string that is too long', body(400, problem('Too long.', { code: 'string_above_max_length' })), ['context-too-long', 400, 'no', 'larger', 0]),
  fault('a 400 for a model that is gone', body(400, problem('Gone.', { code: 'model_decommissioned' })), ['model-gone', 400, 'no', 'on', 0]),
  fault('a 404 for a model that is gone', body(404, problem('Gone.', { code: 'model_not_found' })), ['model-gone', 404, 'no', 'on', 0]),
  fault('a 400 for its content', body(400, problem('No.', { code: 'content_policy_violation' })), ['refused', 400, 'no', 'stop', 0]),
  fault('a 429 for an empty account', body(429, problem('Pay.', { code: 'insufficient_quota' })), ['out-of-credit', 429, 'no', 'away', 0]),
]

/** An error status never comes with these. */
const odd = (what: string, content: object | string, rest: Rest, headers: Record<string, string> = {}) =>
  fault(what, body(200, content, headers), rest)

const whole = JSON.stringify(answer())

/** In a 200, for an answer that comes whole. */
// biome-ignore format: a table is read by its columns
export const WHOLE_BODIES: readonly Fault[] = [
  odd('a page', PAGE, ['bad-response', 200, 'maybe', 'on', 0], { 'content-type': 'text/html' }),
  odd('a page that says it is JSON', PAGE, ['bad-response', 200, 'maybe', 'on', 0]),
  odd('nothing', '', ['empty', 200, 'maybe', 'on', 1]),
  odd('whitespace', ' \r\n\t ', ['empty', 200, 'maybe', 'on', 1]),
  fault('a 204', [head(204), END], ['empty', 204, 'maybe', 'on', 1]),
  fault('a 202 without an answer', body(202, { status: 'queued' }), ['bad-response', 202, 'maybe', 'on', 0]),
  odd('JSON that breaks off in good order', whole.slice(0, -30), ['cut-off', 200, 'maybe', 'on', 1]),
  odd('JSON that is none', '{"choices": [,]}', ['bad-response', 200, 'maybe', 'on', 0]),
  odd('two answers in one', whole + whole, ['bad-response', 200, 'maybe', 'on', 0]),
  odd('a stream that was not asked for', event(answer()) + DONE, ['bad-response', 200, 'maybe', 'on', 0], SSE_TYPE),
  odd('a list', '[]', ['bad-response', 200, 'maybe', 'on', 0]),
  odd('null', 'null', ['bad-response', 200, 'maybe', 'on', 0]),
  odd('a string', '"hello"', ['bad-response', 200, 'maybe', 'on', 0]),
  odd('a number', '17', ['bad-response', 200, 'maybe', 'on', 0]),
  odd('an empty object', '{}', ['bad-response', 200, 'maybe', 'on', 0]),
  odd('no choices', answer({ choices: [] }), ['bad-response', 200, 'maybe', 'on', 0]),
  odd('choices that are no list', answer({ choices: 'none' }), ['bad-response', 200, 'maybe', 'on', 0]),
  odd('a choice that is null', answer({ choices: [null] }), ['bad-response', 200, 'maybe', 'on', 0]),
  odd('a message that is null', answer({}, { message: null }), ['bad-response', 200, 'maybe', 'on', 0]),
  odd('nothing said, and no reason to finish', answer({ usage: undefined }, { message: { content: null }, finish_reason: null }), ['empty', 200, 'maybe', 'on', 1]),
  odd('nothing said, no reason to finish, no tokens', answer({ usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 } }, { message: { content: '' }, finish_reason: '' }), ['empty', 200, 'yes', 'on', 1]),
  odd('an error with a status of its own', problem('Slow.', { code: 503 }), ['overloaded', 503, 'no', 'on', 1]),
  odd('an error of a limit', problem('Slow down.', { code: 429 }), ['rate-limited', 429, 'no', 'on', 1]),
  odd('an error that is a string', { error: 'No.' }, ['server-error', 500, 'no', 'on', 1]),
  odd('an error that is true', { error: true }, ['server-error', 500, 'no', 'on', 1]),
  odd('an error beside an answer', { ...answer(), ...problem('No.') }, ['server-error', 500, 'no', 'on', 1]),
  odd('an error inside the choice', answer({}, { error: { message: 'No.', code: 502 }, finish_reason: 'error' }), ['server-error', 502, 'yes', 'on', 1]),
  odd('a finish that is an error', answer({}, { finish_reason: 'error' }), ['server-error', 200, 'yes', 'on', 1]),
  odd('a finish that is an error, unpaid', answer({ usage: undefined }, { finish_reason: 'error', message: { content: null } }), ['server-error', 200, 'no', 'on', 1]),
  odd('a finish by a filter', answer({}, { finish_reason: 'content_filter' }), ['refused', 200, 'yes', 'stop', 0]),
  odd('a refusal in the place of an answer', answer({}, { message: { content: null, refusal: '@answer@' } }), ['refused', 200, 'yes', 'stop', 0]),
  odd('a call whose arguments break off', answer({}, { message: { content: null, tool_calls: [{ id: 'a', function: { name: 'look', arguments: '{"a":"@answer@' } }] }, finish_reason: 'length' }), ['bad-output', 200, 'yes', 'model', 1]),
  odd('a call without a name', answer({}, { message: { content: null, tool_calls: [{ id: 'a', function: { arguments: '{}' } }] }, finish_reason: 'tool_calls' }), ['bad-output', 200, 'yes', 'model', 1]),
  odd('more calls than anybody makes', answer({}, { message: { content: null, tool_calls: Array.from({ length: 200 }, () => ({ id: 'a', function: { name: 'look', arguments: '{}' } })) }, finish_reason: 'tool_calls' }), ['bad-output', 200, 'yes', 'model', 1]),
  fault('a body shorter than it said', [head(200, JUST_JSON, 5000), say(whole), CLOSE], ['cut-off', 200, 'maybe', 'on', 1]),
  fault('a body whose end is missing', [head(200, JUST_JSON), say(whole.slice(0, 40)), CLOSE], ['cut-off', 200, 'maybe', 'on', 1]),
  fault('a body cut where the end of the connection is its end', [head(200, JUST_JSON, 'close'), say(whole.slice(0, 40)), CLOSE], ['cut-off', 200, 'maybe', 'on', 1]),
  fault('a body that is reset', [head(200, JUST_JSON), say(whole.slice(0, 40)), RESET], ['cut-off', 200, 'maybe', 'on', 1]),
  fault('a reset between headers and body', [head(200, JUST_JSON), wait(20), RESET], ['cut-off', 200, 'maybe', 'on', 1]),
  fault('a body that never comes', [head(200, JUST_JSON), HANG], ['timed-out', 200, 'maybe', 'on', 0], true),
  fault('a body that stalls', [head(200, JUST_JSON), say(whole.slice(0, 40)), HANG], ['timed-out', 200, 'maybe', 'on', 0], true),
  fault('whitespace for ever', [head(200, JUST_JSON), repeat(' ', 100)], ['timed-out', 200, 'maybe', 'on', 0], true),
  fault('a body of 40 MiB', [head(200, JUST_JSON), flood(' '.repeat(1_048_576), 40), END], ['bad-response', 200, 'maybe', 'on', 0]),
  fault('a small bomb that becomes 40 MiB', [head(200, { ...JUST_JSON, 'content-encoding': 'gzip' }), flood(' '.repeat(1_048_576), 40), END], ['bad-response', 200, 'maybe', 'on', 0]),
  fault('a broken encoding', [head(200, { ...JUST_JSON, 'content-encoding': 'gzip' }), { do: 'garble' }], ['cut-off', 200, 'maybe', 'on', 1]),
]

/** In a stream, before anything of it can be seen. */
// biome-ignore format: a table is read by its columns
export const STREAM_BODIES: readonly Fault[] = [
  odd('a page', PAGE, ['bad-response', 200, 'maybe', 'on', 0], { 'content-type': 'text/html' }),
  odd('a page that says it is a stream', PAGE, ['cut-off', 200, 'maybe', 'on', 1], SSE_TYPE),
  odd('nothing', '', ['empty', 200, 'maybe', 'on', 1], SSE_TYPE),
  fault('a 204', [head(204), END], ['empty', 204, 'maybe', 'on', 1]),
  fault('only [DONE]', events(DONE), ['empty', 200, 'maybe', 'on', 1]),
  fault('a role, and [DONE]', events(ROLE, DONE), ['empty', 200, 'maybe', 'on', 1]),
  fault('a role, and the end', events(ROLE), ['cut-off', 200, 'maybe', 'on', 1]),
  fault('a role, and the connection closes', events(ROLE, CLOSE), ['cut-off', 200, 'maybe', 'on', 1]),
  fault('a role, and the connection is reset', events(ROLE, RESET), ['cut-off', 200, 'maybe', 'on', 1]),
  fault('the end right after the headers', events(wait(20), CLOSE), ['cut-off', 200, 'maybe', 'on', 1]),
  fault('a reset right after the headers', events(wait(20), RESET), ['cut-off', 200, 'maybe', 'on', 1]),
  fault('an event that is not ended', events(chunk({ content: '@answer@' }).trimEnd()), ['cut-off', 200, 'maybe', 'on', 1]),
  fault('keep-alives, and the end', events(': OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n'), ['cut-off', 200, 'maybe', 'on', 1]),
  fault('no event', events(HANG), ['timed-out', 200, 'maybe', 'on', 0], true),
  fault('keep-alives for ever', events(repeat(': OPENROUTER PROCESSING\n\n', 100)), ['timed-out', 200, 'maybe', 'on', 0], true),
  fault('empty pieces for ever', events(ROLE, repeat(chunk({ content: '' }), 100)), ['timed-out', 200, 'maybe', 'on', 0], true),
  fault('a role, and nothing more', events(ROLE, HANG), ['timed-out', 200, 'maybe', 'on', 0], true),
  odd('an error that came whole', problem('No.', { code: 503 }), ['overloaded', 503, 'no', 'on', 1]),
  odd('a limit that came whole', problem('Slow down.', { code: 429 }), ['rate-limited', 429, 'no', 'on', 1]),
  fault('an error, bare', events(event(problem('No.', { code: 529 }))), ['overloaded', 529, 'no', 'on', 1]),
  fault('an error after keep-alives and a role', events(': wait\n\n', ROLE, event(problem('No.', { code: 502 }))), ['server-error', 502, 'no', 'on', 1]),
  fault('an error with no choices', events(event({ id: 'c', choices: [], ...problem('No.', { code: 502 }) })), ['server-error', 502, 'no', 'on', 1]),
  fault('an error inside the choice', events(event({ choices: [{ index: 0, delta: {}, finish_reason: 'error', error: { message: 'No.', code: 502 } }] })), ['server-error', 502, 'no', 'on', 1]),
  fault('an error in an event of its own', events(`event: error\n${event(problem('No.', { code: 503 }))}`), ['overloaded', 503, 'no', 'on', 1]),
  fault('an error, and the connection stays open', events(event(problem('No.', { code: 503 })), HANG), ['overloaded', 503, 'no', 'on', 1]),
  fault('an error, and [DONE]', events(event(problem('No.', { code: 503 })), DONE), ['overloaded', 503, 'no', 'on', 1]),
  fault('an error that repeats the key and the prompt', events(event(problem('@key@ @prompt@', { code: '@key@' }))), ['server-error', 500, 'no', 'on', 1]),
  fault('a limit in the first event', events(event(problem('Slow down.', { code: 429 }))), ['rate-limited', 429, 'no', 'on', 1]),
  fault('a context that is too small, in the first event', events(event(problem('Too long.', { code: 'context_length_exceeded' }))), ['context-too-long', 500, 'no', 'larger', 0]),
  fault('a finish that is an error', events(ROLE, chunk({}, 'error'), LAST, DONE), ['server-error', 200, 'yes', 'on', 1]),
  fault('a finish by a filter', events(ROLE, chunk({}, 'content_filter'), LAST, DONE), ['refused', 200, 'yes', 'stop', 0]),
  fault('a refusal', events(ROLE, chunk({ refusal: '@answer@' }), FINISH, LAST, DONE), ['refused', 200, 'yes', 'stop', 0]),
  fault('a piece that is no JSON', events('data: {"choices":[{"delta":{"con\n\n'), ['bad-response', 200, 'maybe', 'on', 0]),
  fault('a piece that is a number', events('data: 17\n\n'), ['bad-response', 200, 'maybe', 'on', 0]),
  fault('a false [DONE]', events('data: [DONE]fake\n\n'), ['bad-response', 200, 'maybe', 'on', 0]),
  fault('a [DONE] over two lines', events('data: [DONE]\ndata: [DONE]\n\n'), ['bad-response', 200, 'maybe', 'on', 0]),
  fault('a call with a huge number', events(ROLE, chunk({ tool_calls: [{ index: 1e9, id: 'a', function: { name: 'look', arguments: '{}' } }] })), ['bad-response', 200, 'maybe', 'on', 0]),
  fault('a call with a negative number', events(ROLE, chunk({ tool_calls: [{ index: -1, id: 'a', function: { name: 'look', arguments: '{}' } }] })), ['bad-response', 200, 'maybe', 'on', 0]),
  fault('a line without an end', events(flood('x'.repeat(65_536), 40), END), ['bad-response', 200, 'maybe', 'on', 0]),
  fault('keep-alives by the megabyte', events(flood(`${': nothing '.repeat(6000)}\n\n`, 40), END), ['bad-response', 200, 'maybe', 'on', 0]),
  fault('a small bomb of keep-alives', [head(200, { ...SSE_TYPE, 'content-encoding': 'gzip' }), flood(`${': nothing '.repeat(6000)}\n\n`, 40), END], ['bad-response', 200, 'maybe', 'on', 0]),
  fault('a broken encoding', [head(200, { ...SSE_TYPE, 'content-encoding': 'gzip' }), { do: 'garble' }], ['cut-off', 200, 'maybe', 'on', 1]),
]
