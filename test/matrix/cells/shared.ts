import type { CallPlan, Cell, Expected, Given } from '../cell.ts'
import { type Act, after, answer, body, HANG, type Mode, OK } from '../script.ts'

/** What one call learns and another knows: breakers, gates, accounts, models that are gone. */
const MODES = ['whole', 'stream'] as const
const problem = (status: number, headers: Record<string, string> = {}, code?: string): Act =>
  body(status, { error: { message: 'No.', ...(code && { code }) } }, headers)
const FAIL = problem(500)

/** A call that nobody can make: no sign of illness, and worth asking again at once. */
const SHAPELESS = body(
  200,
  answer({}, { message: { content: null, tool_calls: [{ id: 'a', function: { name: 'look', arguments: '{' } }] } }),
)
const NO_SHAPE = 'first first bad-output 200 yes'

interface Row {
  readonly what: string
  readonly given?: Partial<Given>
  readonly calls: readonly CallPlan[]
  readonly script: (mode: Mode) => Cell['script']
  readonly expect: readonly Expected[]
  readonly known?: string
  readonly only?: Mode
}

const ok = (...attempts: string[]): Expected => ({ outcome: 'ok', attempts })
const FIRST = 'first first ok 200 yes'
const STRAIGHT = 'second first ok 200 yes'
const AFTER = 'second failover ok 200 yes'
const failed = (kind: string, status: number) => `first first ${kind} ${status} no`
const times = <T>(count: number, what: T): T[] => Array.from({ length: count }, () => what)
const ONE = { options: { limits: { attempts: 1 } } } as const
const TWO_MODELS = [{ id: 'small' }, { id: 'large' }]

// biome-ignore format: a table is read by its columns
const ROWS: readonly Row[] = [
  { what: 'five failures in a row, and it is left alone', calls: times(7, {}), script: (mode) => ({ first: times(5, FAIL), second: times(7, OK[mode]) }), expect: [...times(5, ok(failed('server-error', 500), AFTER)), ok(STRAIGHT), ok(STRAIGHT)] },
  { what: 'four failures in a row are not enough', calls: times(6, {}), script: (mode) => ({ first: [...times(4, FAIL), OK[mode], FAIL], second: times(5, OK[mode]) }), expect: [...times(4, ok(failed('server-error', 500), AFTER)), ok(FIRST), ok(failed('server-error', 500), AFTER)] },
  { what: 'left alone for a while, then tried by one, and well', calls: [...times(6, {}), { afterMs: 6000 }, {}], given: { pace: 40 }, script: (mode) => ({ first: [...times(5, FAIL), OK[mode], OK[mode]], second: times(6, OK[mode]) }), expect: [...times(5, ok(failed('server-error', 500), AFTER)), ok(STRAIGHT), ok(FIRST), ok(FIRST)] },
  { what: 'left alone for a while, tried by one, and still ill', calls: [...times(6, {}), { afterMs: 6000 }, {}], given: { pace: 40 }, script: (mode) => ({ first: times(6, FAIL), second: times(8, OK[mode]) }), expect: [...times(5, ok(failed('server-error', 500), AFTER)), ok(STRAIGHT), ok(failed('server-error', 500), AFTER), ok(STRAIGHT)] },
  { what: 'the last one is never locked out by its illness', calls: times(7, ONE), given: { chain: ['first'] }, script: (mode) => ({ first: [...times(6, FAIL), OK[mode]] }), expect: [...times(6, { outcome: 'server-error', attempts: [failed('server-error', 500)] }), ok(FIRST)] },
  { what: 'requests that were wrong are no illness', calls: times(7, {}), script: (mode) => ({ first: [...times(6, problem(400)), OK[mode]] }), expect: [...times(6, { outcome: 'invalid-request', attempts: [failed('invalid-request', 400)] }), ok(FIRST)] },
  { what: 'callers who gave up are no illness', calls: [...times(6, { abort: { at: 300 } }), {}], script: (mode) => ({ first: [...times<Act>(6, [HANG]), OK[mode]] }), expect: [...times(6, { outcome: 'canceled', attempts: ['first first canceled - maybe'] }), ok(FIRST)] },
  { what: 'limits are no illness', calls: [...times(6, { afterMs: 1500 }), { afterMs: 1500 }], given: { pace: 40 }, script: (mode) => ({ first: [...times(6, problem(429, { 'retry-after': '1' })), OK[mode]], second: times(6, OK[mode]) }), expect: [...times(6, ok(failed('rate-limited', 429), AFTER)), ok(FIRST)] },
  { what: 'a limit keeps the next call away until its hint', calls: [{}, {}, { afterMs: 3500 }], given: { pace: 40 }, script: (mode) => ({ first: [problem(429, { 'retry-after': '3' }), OK[mode]], second: [OK[mode], OK[mode]] }), expect: [ok(failed('rate-limited', 429), AFTER), ok(STRAIGHT), ok(FIRST)] },
  { what: 'a limit without a hint keeps the next call away for a second', calls: [{}, {}, { afterMs: 1500 }], script: (mode) => ({ first: [problem(429), OK[mode]], second: [OK[mode], OK[mode]] }), expect: [ok(failed('rate-limited', 429), AFTER), ok(STRAIGHT), ok(FIRST)] },
  { what: 'the next call waits for the only one’s limit', calls: [ONE, {}], given: { chain: ['first'] }, script: (mode) => ({ first: [problem(429, { 'retry-after': '3' }), OK[mode]] }), expect: [{ outcome: 'rate-limited', attempts: [failed('rate-limited', 429)], retryAfterMs: 3000 }, { ...ok(FIRST), totalMs: [2500, 3300] }] },
  { what: 'a limit that nobody waits for is told at once', calls: [ONE, {}], given: { chain: ['first'] }, script: () => ({ first: [problem(429, { 'retry-after': '60' })] }), expect: [{ outcome: 'rate-limited', attempts: [failed('rate-limited', 429)], retryAfterMs: 60_000 }, { outcome: 'rate-limited', attempts: [], error: 'NoRouteError', retryAfterMs: [50_000, 60_000], totalMs: [0, 0] }] },
  { what: 'a limit that opens after the call’s time is told at once', calls: [ONE, { options: { limits: { timeoutMs: 2000 } } }], given: { chain: ['first'] }, script: () => ({ first: [problem(429, { 'retry-after': '10' })] }), expect: [{ outcome: 'rate-limited', attempts: [failed('rate-limited', 429)] }, { outcome: 'rate-limited', attempts: [], error: 'AttemptsFailedError', retryAfterMs: [5000, 10_000], totalMs: [0, 0] }] },
  { what: 'the caller gives up while a limit is waited for', calls: [ONE, { abort: { at: 500 } }], given: { chain: ['first'] }, script: () => ({ first: [problem(429, { 'retry-after': '10' })] }), expect: [{ outcome: 'rate-limited', attempts: [failed('rate-limited', 429)] }, { outcome: 'canceled', attempts: [], totalMs: [500, 500] }] },
  { what: 'a refused key keeps all models of the account away', calls: [{}, {}, {}], given: { models: TWO_MODELS }, script: (mode) => ({ first: [problem(401)], second: times(3, OK[mode]) }), expect: [ok(failed('unauthorized', 401), AFTER), ok(STRAIGHT), ok(STRAIGHT)] },
  { what: 'no credit keeps the account away', calls: [{}, {}], script: (mode) => ({ first: [problem(402)], second: times(2, OK[mode]) }), expect: [ok(failed('out-of-credit', 402), AFTER), ok(STRAIGHT)] },
  { what: 'the only account is asked all the same', calls: [{}, {}], given: { chain: ['first'] }, script: (mode) => ({ first: [problem(401), OK[mode]] }), expect: [{ outcome: 'unauthorized', attempts: [failed('unauthorized', 401)] }, ok(FIRST)] },
  { what: 'a model that is gone is not asked for again', calls: [{}, {}], script: (mode) => ({ first: [problem(404, {}, 'model_not_found')], second: times(2, OK[mode]) }), expect: [ok(failed('model-gone', 404), AFTER), ok(STRAIGHT)] },
  { what: 'a model that is gone says nothing of the others', calls: [{}, {}, {}], given: { models: TWO_MODELS }, script: (mode) => ({ first: [problem(404, {}, 'model_not_found'), problem(404, {}, 'model_not_found'), OK[mode]].slice(0, 1), second: times(3, OK[mode]) }), expect: [ok(failed('model-gone', 404), AFTER), ok(STRAIGHT), ok(STRAIGHT)] },
  { what: 'half of ten within a while are too many', calls: times(11, {}), script: (mode) => ({ first: times(5, [OK[mode], FAIL]).flat(), second: times(6, OK[mode]) }), expect: [...times(5, [ok(FIRST), ok(failed('server-error', 500), AFTER)]).flat(), ok(STRAIGHT)] },
  { what: 'less than half of ten are not', calls: times(12, {}), script: (mode) => ({ first: [...times(4, [OK[mode], OK[mode], FAIL]).flat()].slice(0, 12), second: times(4, OK[mode]) }), expect: times(4, [ok(FIRST), ok(FIRST), ok(failed('server-error', 500), AFTER)]).flat() },
  { what: 'what was long ago does not count', calls: [...times(4, {}), { afterMs: 40_000 }, {}], given: { pace: 400 }, script: (mode) => ({ first: [...times(5, FAIL), OK[mode]], second: times(5, OK[mode]) }), expect: [...times(5, ok(failed('server-error', 500), AFTER)), ok(FIRST)] },
  { what: 'what may be asked again is limited over all calls', only: 'whole', calls: Array.from({ length: 13 }, (_, n) => (n === 4 ? ONE : {})), given: { chain: ['first'], pace: 1 }, script: () => ({ first: times(24, SHAPELESS) }), expect: Array.from({ length: 13 }, (_, n) => ({ outcome: 'bad-output', attempts: n === 4 || n === 12 ? [NO_SHAPE] : [NO_SHAPE, 'first retry bad-output 200 yes'] })) },
  { what: 'how long it usually takes, until the first word', calls: times(21, {}), given: { policy: { hedge: { afterMs: 'p95' } } }, script: (mode) => ({ first: [...times(20, OK[mode]), [HANG]], second: [OK[mode]] }), expect: [...times(20, ok(FIRST)), { ...ok('first first canceled - maybe', 'second hedge ok 200 yes'), totalMs: [1000, 1000] }] },
  { what: 'of two limits the later end counts', calls: [{}, { overlaps: true }, { afterMs: 3000 }], given: { pace: 40 }, script: (mode) => ({ first: [after(100, problem(429, { 'retry-after': '9' })), after(300, problem(429, { 'retry-after': '1' }))], second: times(3, OK[mode]) }), expect: [ok(failed('rate-limited', 429), AFTER), ok(failed('rate-limited', 429), AFTER), ok(STRAIGHT)] },
  { what: 'two at once that find the same limit', calls: [{}, { overlaps: true }, {}], script: (mode) => ({ first: [problem(429, { 'retry-after': '5' }), problem(429, { 'retry-after': '5' })], second: times(3, OK[mode]) }), expect: [ok(failed('rate-limited', 429), AFTER), ok(failed('rate-limited', 429), AFTER), ok(STRAIGHT)] },
]

export const SHARED: readonly Cell[] = MODES.flatMap((mode) =>
  ROWS.filter(({ only }) => only === undefined || only === mode).map(
    ({ what, given, calls, script, expect, known }) => ({
      known,
      title: `${mode} · shared · ${what}`,
      given: { mode, chain: ['first', 'second'], policy: {}, ...given, calls },
      script: script(mode),
      expect,
    }),
  ),
)
