import type { Cell, Expected, Given } from '../cell.ts'
import { type Act, body, CLOSE, events, HANG, type Mode, OK, REFUSE, RESET, ROLE, wait } from '../script.ts'

/** What is asked again, when, and how often; and where a call goes when there are several ways. */
const MODES = ['whole', 'stream'] as const
const HALF = () => 0.5
const problem = (status: number, headers: Record<string, string> = {}, code?: string): Act =>
  body(status, { error: { message: 'No.', ...(code && { code }) } }, headers)

interface Hint {
  readonly what: string
  readonly headers: Readonly<Record<string, string>>
  /** Units of pause that it asks for; `own`: it says nothing; `tooLong`: nobody waits so long. */
  readonly pause: number | 'own'
  readonly tooLong?: true
  readonly status?: number
}

// biome-ignore format: a table is read by its columns
const HINTS: readonly Hint[] = [
  { what: 'whole seconds', headers: { 'retry-after': '2' }, pause: 2000 },
  { what: 'parts of a second', headers: { 'retry-after': '0.5' }, pause: 500 },
  { what: 'no seconds at all', headers: { 'retry-after': '0' }, pause: 50 },
  { what: 'a duration', headers: { 'retry-after': '1.5s' }, pause: 1500 },
  { what: 'a duration in milliseconds', headers: { 'retry-after': '585ms' }, pause: 585 },
  { what: 'milliseconds', headers: { 'retry-after-ms': '300' }, pause: 300 },
  { what: 'milliseconds beside seconds', headers: { 'retry-after-ms': '300', 'retry-after': '9' }, pause: 300 },
  { what: 'garbage in milliseconds beside seconds', headers: { 'retry-after-ms': 'soon', 'retry-after': '1' }, pause: 1000 },
  { what: 'a date by its own clock', headers: { date: 'Sun, 06 Nov 1994 08:49:37 GMT', 'retry-after': 'Sun, 06 Nov 1994 08:49:40 GMT' }, pause: 3000 },
  { what: 'a date that has passed', headers: { date: 'Sun, 06 Nov 1994 08:49:37 GMT', 'retry-after': 'Sun, 06 Nov 1994 08:49:07 GMT' }, pause: 'own' },
  { what: 'two values', headers: { 'retry-after': '1, 3' }, pause: 3000 },
  { what: 'two values, one of them garbage', headers: { 'retry-after': 'soon, 1' }, pause: 1000 },
  { what: 'a negative number', headers: { 'retry-after': '-5' }, pause: 'own' },
  { what: 'a word', headers: { 'retry-after': 'soon' }, pause: 'own' },
  { what: 'a number in another notation', headers: { 'retry-after': '1e9' }, pause: 'own' },
  { what: 'a hexadecimal number', headers: { 'retry-after': '0x10' }, pause: 'own' },
  { what: 'no number', headers: { 'retry-after': 'NaN' }, pause: 'own' },
  { what: 'no end', headers: { 'retry-after': 'Infinity' }, pause: 'own' },
  { what: 'nothing', headers: { 'retry-after': '' }, pause: 'own' },
  { what: 'as long as anybody waits', headers: { 'retry-after': '30' }, pause: 30_000 },
  { what: 'longer than anybody waits', headers: { 'retry-after': '31' }, pause: 31_000, tooLong: true },
  { what: 'minutes', headers: { 'retry-after': '2m59.56s' }, pause: 179_560, tooLong: true },
  { what: 'a day', headers: { 'retry-after': '86400' }, pause: 86_400_000, tooLong: true },
  { what: 'a month', headers: { 'retry-after': '2592000' }, pause: 86_400_000, tooLong: true },
  { what: 'a year that never comes', headers: { date: 'Sun, 06 Nov 1994 08:49:37 GMT', 'retry-after': 'Fri, 31 Dec 2099 23:59:59 GMT' }, pause: 86_400_000, tooLong: true },
  { what: 'seconds, of one that is overloaded', headers: { 'retry-after': '2' }, pause: 2000, status: 503 },
  { what: 'seconds, of one that failed', headers: { 'retry-after': '2' }, pause: 2000, status: 500 },
  { what: 'a day, of one that is overloaded', headers: { 'retry-after': '86400' }, pause: 86_400_000, tooLong: true, status: 503 },
]

const KIND: Readonly<Record<number, string>> = { 429: 'rate-limited', 500: 'server-error', 503: 'overloaded' }

const HINTED: readonly Cell[] = MODES.flatMap((mode) =>
  HINTS.flatMap(({ what, headers, pause, tooLong, status = 429 }) => {
    const kind = KIND[status] ?? ''
    const line = `first first ${kind} ${status} no`
    // A limit without a hint closes its gate for a second.
    const own = kind === 'rate-limited' ? 1050 : 250
    // A tenth on top at the most, of which half is taken here.
    const gap = pause === 'own' ? own : pause * 1.05
    const act = problem(status, headers)
    const long = gap > 10_000
    const expected: Expected = tooLong
      ? { outcome: kind, attempts: [line], retryAfterMs: pause === 'own' ? null : pause, totalMs: [0, 0] }
      : { outcome: 'ok', attempts: [line, 'first retry ok 200 yes'], gaps: [[gap, gap]] }
    const given: Given = { mode, chain: ['first'], policy: {}, random: HALF, ...(long && !tooLong && { pace: 200 }) }
    const elsewhere: Cell = {
      title: `${mode} · a hint of ${what} (${status}) · another provider is open`,
      given: { mode, chain: ['first', 'second'], policy: {} },
      script: { first: [act], second: [OK[mode]] },
      expect: [{ outcome: 'ok', attempts: [line, 'second failover ok 200 yes'], gaps: [[0, 0]] }],
    }
    const alone: Cell = {
      title: `${mode} · a hint of ${what} (${status}) · nobody else has the model`,
      given,
      script: { first: tooLong ? [act] : [act, OK[mode]] },
      expect: [expected],
    }
    return mode === 'whole' ? [alone, elsewhere] : [alone]
  }),
)

interface Row {
  readonly what: string
  readonly given: Omit<Given, 'mode'>
  readonly script: (mode: Mode) => Cell['script']
  readonly expected: Expected
}

const TWO_MODELS = [
  { id: 'small', context: 9000 },
  { id: 'large', context: 90_000 },
]
const SAME_SIZE = [
  { id: 'small', context: 9000 },
  { id: 'other', context: 9000 },
]
const FAIL = problem(500)
const FAILED = (place: string, role: string) => `${place} ${role} server-error 500 no`
const LIMITED = problem(429)

// biome-ignore format: a table is read by its columns
const ROWS: readonly Row[] = [
  { what: 'two in a row is all that one offer is asked', given: { chain: ['first'], policy: {}, random: HALF }, script: () => ({ first: [FAIL, FAIL] }), expected: { outcome: 'server-error', attempts: [FAILED('first', 'first'), FAILED('first', 'retry')], gaps: [[250, 250]] } },
  { what: 'the pause is anything from nothing on', given: { chain: ['first'], policy: {}, random: () => 0 }, script: (mode) => ({ first: [FAIL, OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED('first', 'first'), 'first retry ok 200 yes'], gaps: [[0, 0]] } },
  { what: 'the pause is less than its bound', given: { chain: ['first'], policy: {}, random: () => 0.999 }, script: (mode) => ({ first: [FAIL, OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED('first', 'first'), 'first retry ok 200 yes'], gaps: [[499, 500]] } },
  { what: 'all others first, then again', given: { chain: ['first', 'second'], policy: {}, random: HALF }, script: (mode) => ({ first: [FAIL, OK[mode]], second: [FAIL] }), expected: { outcome: 'ok', attempts: [FAILED('first', 'first'), FAILED('second', 'failover'), 'first retry ok 200 yes'], gaps: [[0, 0], [0, 250]] } },
  { what: 'four attempts in all', given: { chain: ['first', 'second', 'third'], policy: {}, random: HALF }, script: () => ({ first: [FAIL, FAIL], second: [FAIL], third: [FAIL] }), expected: { outcome: 'server-error', attempts: [FAILED('first', 'first'), FAILED('second', 'failover'), FAILED('third', 'failover'), FAILED('first', 'retry')] } },
  { what: 'two of four are each asked twice', given: { chain: ['first', 'second'], policy: {}, random: HALF }, script: () => ({ first: [FAIL, FAIL], second: [FAIL, FAIL] }), expected: { outcome: 'server-error', attempts: [FAILED('first', 'first'), FAILED('second', 'failover'), FAILED('first', 'retry'), FAILED('second', 'retry')] } },
  { what: 'another model of the same provider', given: { chain: ['first'], policy: {}, models: TWO_MODELS }, script: (mode) => ({ first: [FAIL, OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED('first', 'first'), 'first/large failover ok 200 yes'], gaps: [[0, 0]] } },
  { what: 'the same model elsewhere comes before another model', given: { chain: ['first', 'second'], policy: {}, models: TWO_MODELS }, script: (mode) => ({ first: [FAIL, OK[mode]], second: [FAIL] }), expected: { outcome: 'ok', attempts: [FAILED('first', 'first'), FAILED('second', 'failover'), 'first/large failover ok 200 yes'] } },
  { what: 'a refused key keeps the call from the whole account', given: { chain: ['first', 'second'], policy: {}, models: TWO_MODELS, random: HALF }, script: () => ({ first: [problem(401)], second: [FAIL, FAIL, FAIL] }), expected: { outcome: 'server-error', attempts: ['first first unauthorized 401 no', FAILED('second', 'failover'), FAILED('second/large', 'failover'), FAILED('second', 'retry')]  } },
  { what: 'a refused key, and only one account', given: { chain: ['first'], policy: {}, models: TWO_MODELS }, script: () => ({ first: [problem(401)] }), expected: { outcome: 'unauthorized', attempts: ['first first unauthorized 401 no'] } },
  { what: 'no credit, and only one account', given: { chain: ['first'], policy: {}, models: TWO_MODELS }, script: () => ({ first: [problem(402)] }), expected: { outcome: 'out-of-credit', attempts: ['first first out-of-credit 402 no'] } },
  { what: 'a context that is too small: a larger one', given: { chain: ['first'], policy: {}, models: TWO_MODELS }, script: (mode) => ({ first: [problem(400, {}, 'context_length_exceeded'), OK[mode]] }), expected: { outcome: 'ok', attempts: ['first first context-too-long 400 no', 'first/large failover ok 200 yes'] } },
  { what: 'a context that is too small: none of the same size', given: { chain: ['first', 'second'], policy: {}, models: SAME_SIZE }, script: () => ({ first: [problem(400, {}, 'context_length_exceeded')] }), expected: { outcome: 'context-too-long', attempts: ['first first context-too-long 400 no'] } },
  { what: 'a model that is gone is looked for elsewhere', given: { chain: ['first', 'second'], policy: {}, models: TWO_MODELS }, script: (mode) => ({ first: [problem(404, {}, 'model_not_found')], second: [OK[mode]] }), expected: { outcome: 'ok', attempts: ['first first model-gone 404 no', 'second failover ok 200 yes'], heard: ['model-retired'] } },
  { what: 'a model that is gone everywhere: the next model', given: { chain: ['first', 'second'], policy: {}, models: TWO_MODELS }, script: (mode) => ({ first: [problem(404, {}, 'model_not_found'), OK[mode]], second: [problem(404, {}, 'model_not_found')] }), expected: { outcome: 'ok', attempts: ['first first model-gone 404 no', 'second failover model-gone 404 no', 'first/large failover ok 200 yes'], heard: ['model-retired'] } },
  { what: 'a hint that is later than the call ends is not waited for', given: { chain: ['first'], policy: { limits: { timeoutMs: 3000 } } }, script: () => ({ first: [problem(429, { 'retry-after': '5' })] }), expected: { outcome: 'rate-limited', attempts: ['first first rate-limited 429 no'], retryAfterMs: 5000, totalMs: [0, 0] } },
  { what: 'of two hints the sooner', given: { chain: ['first', 'second'], policy: {}, random: HALF }, script: (mode) => ({ first: [problem(429, { 'retry-after': '9' })], second: [problem(429, { 'retry-after': '2' }), OK[mode]] }), expected: { outcome: 'ok', attempts: ['first first rate-limited 429 no', 'second failover rate-limited 429 no', 'second retry ok 200 yes'], gaps: [[0, 0], [2100, 2100]] } },
  { what: 'three limits in a row', given: { chain: ['first'], policy: {}, random: HALF }, script: () => ({ first: [LIMITED, LIMITED] }), expected: { outcome: 'rate-limited', attempts: ['first first rate-limited 429 no', 'first retry rate-limited 429 no'] } },
  { what: 'nobody listens anywhere', given: { chain: ['first', 'second'], policy: {}, random: HALF }, script: () => ({ first: [[REFUSE], [REFUSE]], second: [[REFUSE], [REFUSE]] }), expected: { outcome: 'unreachable', attempts: ['first first unreachable - no', 'second failover unreachable - no', 'first retry unreachable - no', 'second retry unreachable - no'] } },
  { what: 'the money is gone: no attempt is made that could break the limit', given: { chain: ['first', 'second'], policy: { limits: { maxCostUsd: 0.0008, timeoutMs: 12_000, firstTokenMs: 3000 } } }, script: () => ({ first: [[HANG]] }), expected: { outcome: 'out-of-budget', attempts: ['first first timed-out - maybe'] } },
  { what: 'no pause before what cannot be paid', given: { chain: ['first'], policy: { limits: { maxCostUsd: 0.0008 } }, random: HALF }, script: () => ({ first: [[wait(20), RESET]] }), expected: { outcome: 'out-of-budget', attempts: ['first first unreachable - maybe'], totalMs: [20, 20] } },
  { what: 'what is certainly free takes nothing from the money', given: { chain: ['first', 'second'], policy: { limits: { maxCostUsd: 0.0003 } } }, script: (mode) => ({ first: [[REFUSE]], second: [OK[mode]] }), expected: { outcome: 'ok', attempts: ['first first unreachable - no', 'second failover ok 200 yes'] } },
  { what: 'not even the first attempt is affordable', given: { chain: ['first'], policy: { limits: { maxCostUsd: 0.0000001 } } }, script: () => ({}), expected: { outcome: 'no-offer', attempts: [] } },
  { what: 'no time is left for another attempt', given: { chain: ['first', 'second'], policy: { limits: { timeoutMs: 3000 } } }, script: () => ({ first: [[{ do: 'wait', ms: 1000 }, ...FAIL]], second: [[HANG]] }), expected: { outcome: 'timed-out', attempts: [FAILED('first', 'first'), 'second failover timed-out - maybe'], totalMs: [3000, 3000] } },
]

const RETRIED: readonly Cell[] = MODES.flatMap((mode) =>
  ROWS.map(({ what, given, script, expected }) => ({
    title: `${mode} · again · ${what}`,
    given: { mode, ...given },
    script: script(mode),
    expect: [expected],
  })),
)

/** The caller gives up in a pause, or the time is up. */
const PAUSED: readonly Cell[] = MODES.flatMap((mode): Cell[] => [
  {
    title: `${mode} · again · the caller gives up in the pause`,
    given: { mode, chain: ['first'], policy: {}, calls: [{ abort: { at: 1000 } }] },
    script: { first: [problem(429, { 'retry-after': '20' })] },
    expect: [{ outcome: 'canceled', attempts: ['first first rate-limited 429 no'], totalMs: [1000, 1000] }],
  },
  {
    title: `${mode} · again · the router is closed in the pause`,
    given: { mode, chain: ['first'], policy: {}, calls: [{ close: { at: 1000 } }] },
    script: { first: [problem(429, { 'retry-after': '20' })] },
    expect: [{ outcome: 'canceled', attempts: ['first first rate-limited 429 no'], totalMs: [1000, 1000] }],
  },
])

/** What was seen of a stream is not said twice by itself. */
const AFTERWARDS: readonly Cell[] = [
  {
    title: 'stream · again · begun anew at the same provider, after a pause',
    given: { mode: 'stream', chain: ['first'], policy: { onBroken: 'restart' }, random: HALF },
    script: { first: [events(ROLE, 'data: {"choices":[{"index":0,"delta":{"content":"So"}}]}\n\n', CLOSE), OK.stream] },
    expect: [
      {
        outcome: 'ok',
        attempts: ['first first cut-off 200 maybe', 'first retry ok 200 yes'],
        gaps: [[250, 250]],
        shown: 'text restart text end',
      },
    ],
  },
]

export const AGAIN: readonly Cell[] = [...HINTED, ...RETRIED, ...PAUSED, ...AFTERWARDS]
