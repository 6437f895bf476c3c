import {
  type Act,
  answer,
  body,
  CLOSE,
  chunk,
  DONE,
  END,
  event,
  events,
  FINISH,
  HANG,
  head,
  LAST,
  type Mode,
  RESET,
  ROLE,
  SSE_TYPE,
  type Step,
  say,
  TEXT,
  USAGE,
  wait,
} from '../script.ts'

const problem = (message: string) => ({ error: { message, type: 'error' } })
const JUST_JSON = { 'content-type': 'application/json' }
const whole = JSON.stringify(answer())

/** What looks odd and is an answer all the same; the text it has. */
export interface Oddity {
  readonly what: string
  readonly mode: Mode
  readonly act: Act
  readonly text?: string
}

const ok = (mode: Mode, what: string, act: Act, text?: string): Oddity => ({
  mode,
  what,
  act,
  ...(text !== undefined && { text }),
})
const said = (...parts: readonly (string | Step)[]) => events(ROLE, ...parts)
const pieces = chunk({ content: TEXT })
const encoder = new TextEncoder()

// biome-ignore format: a table is read by its columns
export const ODDITIES: readonly Oddity[] = [
  ok('whole', 'headers that come late', [wait(900), ...body(200, answer())]),
  ok('whole', 'a body that comes late', [head(200, JUST_JSON), wait(900), say(whole), END]),
  ok('whole', 'whitespace that keeps it alive', [head(200, JUST_JSON), say('\n  '), wait(200), say('\r\n '), wait(200), say(whole), END]),
  ok('whole', 'another type', body(200, answer(), { 'content-type': 'text/html' })),
  ok('whole', 'a byte order mark', body(200, `\ufeff${whole}`)),
  ok('whole', 'a packed body', [head(200, { ...JUST_JSON, 'content-encoding': 'gzip' }), say(whole), END]),
  ok('whole', 'a body that ends with its connection', [head(200, JUST_JSON, 'close'), say(whole), CLOSE]),
  ok('whole', 'a 201', body(201, answer())),
  ok('whole', 'a 206', body(206, answer())),
  ok('whole', 'nothing said, and a reason to finish', body(200, answer({}, { message: { content: '' } })), ''),
  ok('whole', 'a finish by length', body(200, answer({}, { finish_reason: 'length' }))),
  ok('whole', 'a finish that nobody knows', body(200, answer({}, { finish_reason: 'tired' }))),
  ok('whole', 'no finish, but text', body(200, answer({}, { finish_reason: null }))),
  ok('whole', 'no usage', body(200, answer({ usage: undefined }))),
  ok('whole', 'usage in strings', body(200, answer({ usage: { prompt_tokens: '10', completion_tokens: '20' } }))),
  ok('whole', 'usage that cannot be', body(200, answer({ usage: { prompt_tokens: -1, completion_tokens: 1e300, total_tokens: null } }))),
  ok('whole', 'fields that nobody knows', body(200, answer({ __extra: { deep: [1] }, constructor: { prototype: {} } }))),
  ok('whole', 'names of prototypes', body(200, `{"__proto__":{"polluted":1},${whole.slice(1)}`)),
  ok('whole', 'an empty refusal', body(200, answer({}, { message: { content: TEXT, refusal: null } }))),
  ok('whole', 'text in parts', body(200, answer({}, { message: { content: [{ type: 'text', text: TEXT }] } }))),
  ok('whole', 'an error that is null', body(200, answer({ error: null }))),
  ok('stream', 'headers that come late', [wait(900), ...said(pieces, FINISH, LAST, DONE)]),
  ok('stream', 'a first piece that comes late', said(wait(900), pieces, FINISH, LAST, DONE)),
  ok('stream', 'keep-alives', said(': wait\n\n', wait(200), ': wait\n\n', wait(200), pieces, FINISH, LAST, DONE)),
  ok('stream', 'a whole answer that was not asked for', body(200, answer())),
  ok('stream', 'no [DONE]', said(pieces, FINISH, LAST)),
  ok('stream', 'no [DONE] and no usage', said(pieces, FINISH)),
  ok('stream', 'no reason to finish, but [DONE]', said(pieces, DONE)),
  ok('stream', 'a finish beside the last piece', said(chunk({ content: TEXT }, 'stop'), DONE)),
  ok('stream', 'a close after the finish', said(pieces, FINISH, CLOSE)),
  ok('stream', 'a reset after the finish', said(pieces, FINISH, RESET)),
  ok('stream', 'silence after the finish', said(pieces, FINISH, HANG)),
  ok('stream', 'silence after [DONE]', said(pieces, FINISH, LAST, DONE, HANG)),
  ok('stream', 'a reset after [DONE]', said(pieces, FINISH, LAST, DONE, RESET)),
  ok('stream', 'events after [DONE]', said(pieces, FINISH, LAST, DONE, chunk({ content: 'more' }), event(problem('late')))),
  ok('stream', 'usage three times', said(pieces, FINISH, LAST, LAST, LAST, DONE)),
  ok('stream', 'rubbish after the finish', said(pieces, FINISH, 'data: {"cho\n\n', DONE)),
  ok('stream', 'nothing said, and a reason to finish', said(FINISH, LAST, DONE), ''),
  ok('stream', 'a finish by length', said(pieces, chunk({}, 'length'), LAST, DONE)),
  ok('stream', 'a finish that nobody knows', said(pieces, chunk({}, 'tired'), LAST, DONE)),
  ok('stream', 'lines that end in CR LF', events((ROLE + pieces + FINISH + LAST + DONE).replaceAll('\n', '\r\n'))),
  ok('stream', 'lines that end in CR', events((ROLE + pieces + FINISH + LAST + DONE).replaceAll('\n', '\r'))),
  ok('stream', 'a byte order mark', events(`\ufeff${ROLE}`, pieces, FINISH, DONE)),
  ok('stream', 'fields that nobody knows', said('id: 7\nretry: soon\nx: y\n', pieces, FINISH, DONE)),
  ok('stream', 'a character in two', said(chunk({ content: TEXT.slice(0, -9) }), ...halves(chunk({ content: TEXT.slice(-9) })), FINISH, LAST, DONE)),
  ok('stream', 'a packed stream', [head(200, { ...SSE_TYPE, 'content-encoding': 'gzip' }), say(ROLE), wait(20), say(pieces), say(FINISH + LAST + DONE), END]),
  ok('stream', 'no type', [head(200), say(ROLE + pieces + FINISH + LAST + DONE), END]),
  ok('stream', 'a piece of a megabyte', said(': a\n\n', event({ choices: [{ index: 0, delta: { content: TEXT }, finish_reason: null }], padding: 'x'.repeat(900_000) }), FINISH, DONE)),
  ok('stream', 'usage beside the finish', said(pieces, chunk({}, 'stop', { usage: USAGE }), DONE)),
]

/** Cut in the middle of a character of four bytes. */
function halves(text: string) {
  const bytes = encoder.encode(text)
  const at = bytes.findIndex((byte) => byte >= 0xf0) + 2
  return [say(bytes.subarray(0, at)), wait(30), say(bytes.subarray(at))]
}
