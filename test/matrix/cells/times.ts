import type { CallPlan, Cell, Expected, Given } from '../cell.ts'
import {
  type Act,
  answer,
  body,
  chunk,
  DONE,
  events,
  FINISH,
  HALF,
  HANG,
  head,
  LAST,
  type Mode,
  ROLE,
  repeat,
  SSE_TYPE,
  say,
  TEXT,
  THOUGHT,
  wait,
  words,
} from '../script.ts'

interface Timed {
  readonly what: string
  readonly mode: Mode
  readonly limits: NonNullable<NonNullable<Given['policy']>['limits']>
  readonly first: readonly Act[]
  readonly second?: readonly Act[]
  readonly call?: CallPlan
  readonly onBroken?: 'restart' | 'continue'
  readonly expected: Expected
}

const timed = (mode: Mode, what: string, rest: Omit<Timed, 'mode' | 'what'>): Timed => ({ mode, what, ...rest })
const endless = (act: Act) => [...act.slice(0, -1), HANG]
const TIMED_OUT = 'first first timed-out - maybe'
const DRIPS = [head(200, SSE_TYPE), say(ROLE + chunk({ content: 'So: ' })), repeat(chunk({ reasoning: 'Hm.' }), 200)]

/** Time is up, in each place where it can be. */
// biome-ignore format: a table is read by its columns
const TIMES: readonly Timed[] = [
  timed('whole', 'the whole time, alone, before the headers', { limits: { timeoutMs: 3000, attempts: 1 }, first: [[HANG]], expected: { outcome: 'timed-out', attempts: [TIMED_OUT], totalMs: [3000, 3000] } }),
  timed('whole', 'the whole time, alone, in the body', { limits: { timeoutMs: 3000, attempts: 1 }, first: [[head(200), say('{'), HANG]], expected: { outcome: 'timed-out', attempts: ['first first timed-out 200 maybe'], totalMs: [3000, 3000] } }),
  timed('whole', 'half of it for the first of two', { limits: { timeoutMs: 6000 }, first: [[HANG]], second: [[HANG]], expected: { outcome: 'timed-out', attempts: [TIMED_OUT, 'second failover timed-out - maybe'], totalMs: [6000, 6000], gaps: [[0, 0]] } }),
  timed('whole', 'a body that drips is no reason to wait longer', { limits: { timeoutMs: 3000, attempts: 1 }, first: [[head(200), repeat(' ', 100)]], expected: { outcome: 'timed-out', attempts: ['first first timed-out 200 maybe'], totalMs: [3000, 3000] } }),
  timed('whole', 'an answer just in time', { limits: { timeoutMs: 9000 }, first: [[wait(3000), ...body(200, answer())]], expected: { outcome: 'ok', attempts: ['first first ok 200 yes'], totalMs: [3000, 3000] } }),
  timed('whole', 'options tighten the time', { limits: { timeoutMs: 90_000, attempts: 1 }, first: [[HANG]], call: { options: { limits: { timeoutMs: 2500 } } }, expected: { outcome: 'timed-out', attempts: [TIMED_OUT], totalMs: [2500, 2500] } }),
  timed('stream', 'options tighten the first piece’s time', { limits: { firstTokenMs: 90_000, attempts: 1 }, first: [events(HANG)], call: { options: { limits: { firstTokenMs: 2500 } } }, expected: { outcome: 'timed-out', attempts: ['first first timed-out 200 maybe'], totalMs: [2500, 2500] } }),
  timed('stream', 'the first piece’s time, before the headers', { limits: { firstTokenMs: 2500, attempts: 1 }, first: [[HANG]], expected: { outcome: 'timed-out', attempts: [TIMED_OUT], totalMs: [2500, 2500] } }),
  timed('stream', 'the first piece’s time, twice', { limits: { firstTokenMs: 2500, timeoutMs: 20_000 }, first: [[HANG]], second: [events(repeat(': wait\n\n', 300))], expected: { outcome: 'timed-out', attempts: [TIMED_OUT, 'second failover timed-out 200 maybe'], totalMs: [5000, 5000] } }),
  timed('stream', 'thoughts are progress', { limits: { firstTokenMs: 2500, idleMs: 2500 }, first: [events(ROLE, THOUGHT, wait(1500), THOUGHT, wait(1500), THOUGHT, wait(1500), words(TEXT), FINISH, LAST, DONE)], expected: { outcome: 'ok', attempts: ['first first ok 200 yes'], shown: 'reasoning text end' } }),
  timed('stream', 'silence between pieces, shorter than the limit', { limits: { firstTokenMs: 3000, idleMs: 3000 }, first: [events(ROLE, words(HALF), wait(1500), words(TEXT.slice(76)), wait(1500), FINISH, LAST, DONE)], expected: { outcome: 'ok', attempts: ['first first ok 200 yes'] } }),
  timed('stream', 'silence between pieces, longer than the limit', { limits: { firstTokenMs: 9000, idleMs: 2000 }, first: [endless(events(ROLE, words(HALF)))], expected: { outcome: 'stalled', attempts: ['first first stalled 200 maybe'], shown: 'text', text: HALF, totalMs: [2000, 2000] } }),
  timed('stream', 'the whole time, in text that never ends', { limits: { timeoutMs: 3000, attempts: 1 }, first: [DRIPS], expected: { outcome: 'timed-out', attempts: ['first first timed-out 200 maybe'], shown: 'text reasoning', text: 'So: ', totalMs: [3000, 3000] } }),
  timed('stream', 'the whole time, while nobody reads', { limits: { timeoutMs: 3000, idleMs: 500 }, first: [events(ROLE, words(TEXT), HANG)], call: { reader: { pauses: 2000 } }, expected: { outcome: 'timed-out', attempts: ['first first timed-out 200 maybe'], shown: 'text', error: 'StreamBroken' } }),
  timed('stream', 'a slow reader is no silence', { limits: { timeoutMs: 60_000, idleMs: 1500 }, first: [events(ROLE, chunk({ content: TEXT.slice(0, 60) }), wait(500), chunk({ content: TEXT.slice(60) }), wait(500), FINISH, LAST, DONE)], call: { reader: { pauses: 4000 } }, expected: { outcome: 'ok', attempts: ['first first ok 200 yes'] } }),
  timed('stream', 'no time for a restart', { limits: { timeoutMs: 2500, idleMs: 9000, firstTokenMs: 9000 }, onBroken: 'restart', first: [endless(events(ROLE, words(HALF)))], expected: { outcome: 'timed-out', attempts: ['first first timed-out 200 maybe'], shown: 'text', text: HALF, totalMs: [2500, 2500] } }),
]

const TIMED: readonly Cell[] = TIMES.map(({ what, mode, limits, first, second, call, onBroken, expected }) => ({
  title: `${mode} · time · ${what}`,
  given: {
    mode,
    chain: ['first', 'second'],
    policy: { limits, ...(onBroken && { onBroken }) },
    ...(call && { calls: [call] }),
  },
  script: { first, ...(second && { second }) },
  expect: [expected],
}))
/** A request of megabytes that is not taken stays on its way. */
const HUGE = 'word '.repeat(1_600_000)
const UPLOADS: readonly Cell[] = (['whole', 'stream'] as const).flatMap((mode): Cell[] => [
  {
    title: `${mode} · a request that is not taken · time is up`,
    given: {
      mode,
      chain: ['first'],
      policy: { limits: { timeoutMs: 5000 } },
      calls: [{ input: HUGE }],
      heavy: true,
    },
    script: { first: [[{ do: 'unread' }, HANG]] },
    expect: [{ outcome: 'timed-out', attempts: [TIMED_OUT], totalMs: [5000, 5000] }],
  },
  {
    title: `${mode} · a request that is not taken · the caller gives up`,
    given: { mode, chain: ['first'], policy: {}, calls: [{ input: HUGE, abort: { at: 4000 } }], heavy: true },
    script: { first: [[{ do: 'unread' }, HANG]] },
    expect: [{ outcome: 'canceled', attempts: ['first first canceled - maybe'], totalMs: [4000, 4000] }],
  },
])

export const TIMES_UP: readonly Cell[] = [...TIMED, ...UPLOADS]
