import type { CallPlan, Cell, Expected, Given } from '../cell.ts'
import {
  type Act,
  after,
  body,
  CLOSE,
  event,
  events,
  HALF,
  HANG,
  type Mode,
  OK,
  ROLE,
  repeat,
  wait,
  words,
} from '../script.ts'

/** A second attempt beside one that is late. */
const MODES = ['whole', 'stream'] as const
const FAIL = body(500, { error: { message: 'No.' } })
const LATE = 600

interface Row {
  readonly what: string
  readonly only?: Mode
  readonly chain?: readonly string[]
  readonly hedge?: { readonly afterMs: number | 'p95'; readonly maxExtraUsd?: number }
  readonly policy?: Given['policy']
  readonly call?: CallPlan
  readonly script: (mode: Mode) => Cell['script']
  readonly expected: Expected
}

const FIRST = 'first first ok 200 yes'
const SECOND = 'second hedge ok 200 yes'
const LOST = 'first first canceled - maybe'

// biome-ignore format: a table is read by its columns
const ROWS: readonly Row[] = [
  { what: 'none where the first is in time', script: (mode) => ({ first: [after(200, OK[mode])] }), expected: { outcome: 'ok', attempts: [FIRST] } },
  { what: 'the second is sooner', script: (mode) => ({ first: [[HANG]], second: [after(100, OK[mode])] }), expected: { outcome: 'ok', attempts: [LOST, SECOND], totalMs: [LATE + 100, LATE + 100] } },
  { what: 'the first is late, and still sooner', script: (mode) => ({ first: [after(1500, OK[mode])], second: [[HANG]] }), expected: { outcome: 'ok', attempts: [FIRST, 'second hedge canceled - maybe'], totalMs: [1500, 1500] } },
  { what: 'the first fails before it is late', script: (mode) => ({ first: [FAIL], second: [OK[mode]] }), expected: { outcome: 'ok', attempts: ['first first server-error 500 no', 'second failover ok 200 yes'] } },
  { what: 'the first fails when it is late, the second answers', script: (mode) => ({ first: [after(1000, FAIL)], second: [after(1500, OK[mode])] }), expected: { outcome: 'ok', attempts: ['first first server-error 500 no', SECOND], totalMs: [LATE + 1500, LATE + 1500] } },
  { what: 'the second fails, the first answers', script: (mode) => ({ first: [after(2500, OK[mode])], second: [FAIL] }), expected: { outcome: 'ok', attempts: [FIRST, 'second hedge server-error 500 no'], totalMs: [2500, 2500] } },
  { what: 'both fail, a third answers', chain: ['first', 'second', 'third'], script: (mode) => ({ first: [after(2500, FAIL)], second: [FAIL], third: [OK[mode]] }), expected: { outcome: 'ok', attempts: ['first first server-error 500 no', 'second hedge server-error 500 no', 'third failover ok 200 yes'] } },
  { what: 'both fail, and nobody else is there', policy: { limits: { attempts: 2 } }, script: () => ({ first: [after(2500, FAIL)], second: [FAIL] }), expected: { outcome: 'server-error', attempts: ['first first server-error 500 no', 'second hedge server-error 500 no'] } },
  { what: 'none where there is no other provider', chain: ['first'], script: (mode) => ({ first: [after(2000, OK[mode])] }), expected: { outcome: 'ok', attempts: [FIRST] } },
  { what: 'none where only one attempt is allowed', policy: { limits: { attempts: 1 } }, script: (mode) => ({ first: [after(2000, OK[mode])] }), expected: { outcome: 'ok', attempts: [FIRST] } },
  { what: 'none that costs more than it may', hedge: { afterMs: LATE, maxExtraUsd: 0.0000001 }, script: (mode) => ({ first: [after(2000, OK[mode])] }), expected: { outcome: 'ok', attempts: [FIRST] } },
  { what: 'one that costs no more than it may', hedge: { afterMs: LATE, maxExtraUsd: 0.1 }, script: (mode) => ({ first: [[HANG]], second: [OK[mode]] }), expected: { outcome: 'ok', attempts: [LOST, SECOND] } },
  { what: 'none as long as nothing was measured', hedge: { afterMs: 'p95' }, script: (mode) => ({ first: [after(2000, OK[mode])] }), expected: { outcome: 'ok', attempts: [FIRST] } },
  { what: 'none outside of the policy', chain: ['first', 'second'], policy: { provider: 'first' }, script: (mode) => ({ first: [after(2000, OK[mode])] }), expected: { outcome: 'ok', attempts: [FIRST] } },
  { what: 'the caller gives up while two are under way', call: { abort: { at: 1200 } }, script: () => ({ first: [[HANG]], second: [[HANG]] }), expected: { outcome: 'canceled', attempts: [LOST, 'second hedge canceled - maybe'], totalMs: [1200, 1200] } },
  { what: 'the router is closed while two are under way', call: { close: { at: 1200 } }, script: () => ({ first: [[HANG]], second: [[HANG]] }), expected: { outcome: 'canceled', attempts: [LOST, 'second hedge canceled - maybe'], totalMs: [1200, 1200] } },
  { what: 'time is up while two are under way', policy: { limits: { timeoutMs: 3000, attempts: 2 } }, script: () => ({ first: [[HANG]], second: [[HANG]] }), expected: { outcome: 'timed-out', attempts: ['first first timed-out - maybe', 'second hedge timed-out - maybe'], totalMs: [3000, 3000] } },
  { what: 'nobody listens at the second', script: (mode) => ({ first: [after(1500, OK[mode])], second: [[{ do: 'refuse' }]] }), expected: { outcome: 'ok', attempts: [FIRST, 'second hedge unreachable - no'] } },
  { what: 'keep-alives are not in time', only: 'stream', script: () => ({ first: [events(repeat(': wait\n\n', 100))], second: [OK.stream] }), expected: { outcome: 'ok', attempts: ['first first canceled 200 maybe', SECOND], shown: 'text end' } },
  { what: 'none once something can be seen', only: 'stream', script: () => ({ first: [events(ROLE, words('What you '), wait(2000), words('ask is answered so: @answer@, and nothing else, because that is all of it. 😀 Done.'), event({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }), event('[DONE]'))] }), expected: { outcome: 'ok', attempts: [FIRST] } },
  { what: 'the one that was heard breaks afterwards', only: 'stream', script: () => ({ first: [[HANG]], second: [events(ROLE, words(HALF), CLOSE)] }), expected: { outcome: 'cut-off', attempts: [LOST, 'second hedge cut-off 200 maybe'], shown: 'text', text: HALF } },
  { what: 'the one that was heard breaks, and the other begins anew', only: 'stream', chain: ['first', 'second', 'third'], policy: { onBroken: 'restart' }, script: () => ({ first: [[HANG], OK.stream], second: [events(ROLE, words(HALF), CLOSE)] }), expected: { outcome: 'ok', attempts: [LOST, 'second hedge cut-off 200 maybe', 'first failover ok 200 yes'], shown: 'text restart text end' } },
  { what: 'the loop is left', only: 'stream', call: { reader: { leaves: 1 } }, script: () => ({ first: [[HANG]], second: [events(ROLE, words(HALF), HANG)] }), expected: { outcome: 'canceled', error: '', attempts: [LOST, 'second hedge canceled 200 maybe'], shown: 'text', text: 'What you ' } },
]

/** As they come in: the first one is never silent where the body of an answer is late. */
const bodyIsLate: Act = [{ do: 'head', status: 200, headers: {}, framing: 'chunks' }, HANG]

export const HEDGES: readonly Cell[] = MODES.flatMap((mode) => [
  ...ROWS.filter(({ only }) => only === undefined || only === mode).map(
    ({ what, chain = ['first', 'second'], hedge = { afterMs: LATE }, policy, call, script, expected }): Cell => ({
      title: `${mode} · a second beside it · ${what}`,
      given: { mode, chain, policy: { ...policy, hedge }, ...(call && { calls: [call] }) },
      script: script(mode),
      expect: [expected],
    }),
  ),
  {
    title: `${mode} · a second beside it · headers alone are not in time`,
    given: { mode, chain: ['first', 'second'], policy: { hedge: { afterMs: LATE } } },
    script: { first: [bodyIsLate], second: [OK[mode]] },
    expect: [{ outcome: 'ok', attempts: ['first first canceled 200 maybe', SECOND] }],
  },
])
