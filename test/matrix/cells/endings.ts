import type { Abort, CallPlan, Cell, Expected, Given } from '../cell.ts'
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
  OK,
  ROLE,
  repeat,
  SSE_TYPE,
  say,
  TEXT,
  THOUGHT,
  toolCall,
  wait,
  words,
} from '../script.ts'
import { ANSWERED } from './before.ts'

/** The caller gives up, or the router is closed. */
interface Ending {
  readonly what: string
  readonly mode: Mode
  readonly first: Act | null
  readonly second?: Act
  readonly abort: Abort
  readonly expected: Expected
}

const JSON_TYPE = { 'content-type': 'application/json' }
const FAILS = body(500, { error: { message: 'No.' } })
const FAILED = 'first first server-error 500 no'
const canceled = (attempts: readonly string[], more: Partial<Expected> = {}): Expected => ({
  outcome: 'canceled',
  attempts,
  ...more,
})
const both = (what: string, rest: Omit<Ending, 'what' | 'mode'>): Ending[] => [
  { what, mode: 'whole', ...rest },
  { what, mode: 'stream', ...rest },
]
const whole = (what: string, first: Act, abort: Abort, expected: Expected): Ending => ({
  what,
  mode: 'whole',
  first,
  abort,
  expected,
})
const stream = (what: string, first: Act, abort: Abort, expected: Expected): Ending => ({
  what,
  mode: 'stream',
  first,
  abort,
  expected,
})
const WAITING = ['first first canceled - maybe']
const READING = ['first first canceled 200 maybe']
const AT = { at: 1000 } as const

const ABORTS: readonly Ending[] = [
  ...both('before it begins', { first: null, abort: { at: 'before' }, expected: canceled([]) }),
  ...both('when the plan is made', { first: null, abort: { on: 'plan-made' }, expected: canceled([]) }),
  ...both('while the headers are waited for', { first: [HANG], abort: AT, expected: canceled(WAITING) }),
  ...both('while the body of an error is waited for', {
    first: [head(500, JSON_TYPE), HANG],
    abort: AT,
    expected: canceled(['first first canceled 500 no']),
  }),
  ...both('between two attempts', { first: FAILS, abort: { on: 'attempt-end' }, expected: canceled([FAILED]) }),
  ...both('in the second attempt', {
    first: FAILS,
    second: [HANG],
    abort: AT,
    expected: canceled([FAILED, 'second failover canceled - maybe']),
  }),
  whole('before the body', [head(200, JSON_TYPE), HANG], AT, canceled(READING)),
  whole('in the body', [head(200, JSON_TYPE), say('{"id":'), HANG], AT, canceled(READING)),
  whole('in whitespace that keeps it alive', [head(200, JSON_TYPE), repeat(' ', 200)], AT, canceled(READING)),
  whole(
    'in an answer of megabytes',
    [head(200, JSON_TYPE), wait(990), say(' '.repeat(1_000_000)), HANG],
    { at: 1300 },
    canceled(READING),
  ),
  stream('before the first event', events(HANG), AT, canceled(READING)),
  stream('in keep-alives', events(repeat(': wait\n\n', 200)), AT, canceled(READING)),
  stream('after the role', events(ROLE, HANG), AT, canceled(READING)),
  stream('in the reasoning', events(ROLE, THOUGHT, HANG), AT, canceled(READING, { shown: 'reasoning' })),
  stream('in the text', events(ROLE, words(HALF), HANG), AT, canceled(READING, { shown: 'text', text: HALF })),
  stream('in text that keeps coming', events(ROLE, repeat(chunk({ content: '' }), 150), HANG), AT, canceled(READING)),
  stream('in a tool call', events(ROLE, toolCall('{"a":'), HANG), AT, canceled(READING, { shown: 'tool' })),
  stream(
    'after the finish',
    events(ROLE, words(TEXT), FINISH, HANG),
    AT,
    canceled(READING, { shown: 'text', text: TEXT }),
  ),
  stream(
    'at its first text',
    events(ROLE, chunk({ content: 'One' }), wait(400), chunk({ content: 'Two' }), HANG),
    { on: 'text-delta' },
    canceled(READING, { shown: 'text', text: 'One' }),
  ),
  stream(
    'at its first thought',
    events(ROLE, THOUGHT, wait(400), words(TEXT), HANG),
    { on: 'reasoning-delta' },
    canceled(READING, { shown: 'reasoning' }),
  ),
]

/** Too late: nothing of it is left. */
const LATE: readonly Ending[] = [
  ...both('when the record is told', {
    first: null,
    abort: { on: 'call-end' },
    expected: { outcome: 'ok', attempts: ['first first ok 200 yes'] },
  }),
  {
    what: 'at the end',
    mode: 'stream',
    first: null,
    abort: { on: 'end' },
    expected: { outcome: 'ok', attempts: ['first first ok 200 yes'] },
  },
]

function cellOf({ what, mode, first, second, abort, expected }: Ending): Cell {
  return {
    title: `${mode} · the caller gives up · ${what}`,
    given: { mode, chain: ['first', 'second'], calls: [{ abort }], policy: {} },
    script: { ...(first && { first: [first] }), ...(second && { second: [second] }) },
    expect: [expected],
  }
}

const lateCell = (ending: Ending): Cell => ({ ...cellOf(ending), script: { first: [OK[ending.mode]] } })

/** The same, when the router is closed instead. */
const CLOSED: readonly Cell[] = ABORTS.filter(({ abort }) => 'at' in abort && typeof abort.at === 'number').map(
  (ending) => {
    const { abort, ...rest } = ending
    const at = 'at' in abort && typeof abort.at === 'number' ? abort.at : 0
    const cell = cellOf({ ...rest, abort })
    return {
      ...cell,
      title: cell.title.replace('the caller gives up', 'the router is closed'),
      given: { ...cell.given, calls: [{ close: { at } }] },
    }
  },
)

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
const TIMES: readonly Timed[] = [
  timed('whole', 'the whole time, alone, before the headers', {
    limits: { timeoutMs: 3000, attempts: 1 },
    first: [[HANG]],
    expected: { outcome: 'timed-out', attempts: [TIMED_OUT], totalMs: [3000, 3000] },
  }),
  timed('whole', 'the whole time, alone, in the body', {
    limits: { timeoutMs: 3000, attempts: 1 },
    first: [[head(200), say('{'), HANG]],
    expected: { outcome: 'timed-out', attempts: ['first first timed-out 200 maybe'], totalMs: [3000, 3000] },
  }),
  timed('whole', 'half of it for the first of two', {
    limits: { timeoutMs: 6000 },
    first: [[HANG]],
    second: [[HANG]],
    expected: {
      outcome: 'timed-out',
      attempts: [TIMED_OUT, 'second failover timed-out - maybe'],
      totalMs: [6000, 6000],
      gaps: [[0, 0]],
    },
  }),
  timed('whole', 'a body that drips is no reason to wait longer', {
    limits: { timeoutMs: 3000, attempts: 1 },
    first: [[head(200), repeat(' ', 100)]],
    expected: { outcome: 'timed-out', attempts: ['first first timed-out 200 maybe'], totalMs: [3000, 3000] },
  }),
  timed('whole', 'an answer just in time', {
    limits: { timeoutMs: 9000 },
    first: [[wait(3000), ...body(200, answer())]],
    expected: { outcome: 'ok', attempts: ['first first ok 200 yes'], totalMs: [3000, 3000] },
  }),
  timed('whole', 'options tighten the time', {
    limits: { timeoutMs: 90_000, attempts: 1 },
    first: [[HANG]],
    call: { options: { limits: { timeoutMs: 2500 } } },
    expected: { outcome: 'timed-out', attempts: [TIMED_OUT], totalMs: [2500, 2500] },
  }),
  timed('stream', 'options tighten the first piece’s time', {
    limits: { firstTokenMs: 90_000, attempts: 1 },
    first: [events(HANG)],
    call: { options: { limits: { firstTokenMs: 2500 } } },
    expected: { outcome: 'timed-out', attempts: ['first first timed-out 200 maybe'], totalMs: [2500, 2500] },
  }),
  timed('stream', 'the first piece’s time, before the headers', {
    limits: { firstTokenMs: 2500, attempts: 1 },
    first: [[HANG]],
    expected: { outcome: 'timed-out', attempts: [TIMED_OUT], totalMs: [2500, 2500] },
  }),
  timed('stream', 'the first piece’s time, twice', {
    limits: { firstTokenMs: 2500, timeoutMs: 20_000 },
    first: [[HANG]],
    second: [events(repeat(': wait\n\n', 300))],
    expected: {
      outcome: 'timed-out',
      attempts: [TIMED_OUT, 'second failover timed-out 200 maybe'],
      totalMs: [5000, 5000],
    },
  }),
  timed('stream', 'thoughts are progress', {
    limits: { firstTokenMs: 2500, idleMs: 2500 },
    first: [
      events(ROLE, THOUGHT, wait(1500), THOUGHT, wait(1500), THOUGHT, wait(1500), words(TEXT), FINISH, LAST, DONE),
    ],
    expected: { outcome: 'ok', attempts: ['first first ok 200 yes'], shown: 'reasoning text end' },
  }),
  timed('stream', 'silence between pieces, shorter than the limit', {
    limits: { firstTokenMs: 3000, idleMs: 3000 },
    first: [events(ROLE, words(HALF), wait(1500), words(TEXT.slice(76)), wait(1500), FINISH, LAST, DONE)],
    expected: { outcome: 'ok', attempts: ['first first ok 200 yes'] },
  }),
  timed('stream', 'silence between pieces, longer than the limit', {
    limits: { firstTokenMs: 9000, idleMs: 2000 },
    first: [endless(events(ROLE, words(HALF)))],
    expected: {
      outcome: 'stalled',
      attempts: ['first first stalled 200 maybe'],
      shown: 'text',
      text: HALF,
      totalMs: [2000, 2000],
    },
  }),
  timed('stream', 'the whole time, in text that never ends', {
    limits: { timeoutMs: 3000, attempts: 1 },
    first: [DRIPS],
    expected: {
      outcome: 'timed-out',
      attempts: ['first first timed-out 200 maybe'],
      shown: 'text reasoning',
      text: 'So: ',
      totalMs: [3000, 3000],
    },
  }),
  timed('stream', 'the whole time, while nobody reads', {
    limits: { timeoutMs: 3000, idleMs: 500 },
    first: [events(ROLE, words(TEXT), HANG)],
    call: { reader: { pauses: 2000 } },
    expected: {
      outcome: 'timed-out',
      attempts: ['first first timed-out 200 maybe'],
      shown: 'text',
      error: 'StreamBroken',
    },
  }),
  timed('stream', 'a slow reader is no silence', {
    limits: { timeoutMs: 60_000, idleMs: 1500 },
    first: [
      events(
        ROLE,
        chunk({ content: TEXT.slice(0, 60) }),
        wait(500),
        chunk({ content: TEXT.slice(60) }),
        wait(500),
        FINISH,
        LAST,
        DONE,
      ),
    ],
    call: { reader: { pauses: 4000 } },
    expected: { outcome: 'ok', attempts: ['first first ok 200 yes'] },
  }),
  timed('stream', 'no time for a restart', {
    limits: { timeoutMs: 2500, idleMs: 9000, firstTokenMs: 9000 },
    onBroken: 'restart',
    first: [endless(events(ROLE, words(HALF)))],
    expected: {
      outcome: 'timed-out',
      attempts: ['first first timed-out 200 maybe'],
      shown: 'text',
      text: HALF,
      totalMs: [2500, 2500],
    },
  }),
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

interface Read {
  readonly what: string
  readonly first: Act
  readonly call: CallPlan
  readonly onBroken?: 'restart'
  readonly second?: Act
  readonly expected: Expected
}

const LEFT = ['first first canceled 200 maybe']

/** Who reads, and how. */
const READS: readonly Read[] = [
  {
    what: 'the loop is left at the first piece',
    first: events(ROLE, words(TEXT), FINISH, LAST, DONE),
    call: { reader: { leaves: 1 } },
    expected: { outcome: 'canceled', error: '', attempts: LEFT, shown: 'text', text: 'What you ' },
  },
  {
    what: 'the loop is left while more is to come',
    first: events(ROLE, words(HALF), HANG),
    call: { reader: { leaves: 3 } },
    expected: { outcome: 'canceled', error: '', attempts: LEFT, shown: 'text', text: TEXT.slice(0, 27) },
  },
  {
    what: 'the loop is left in the reasoning',
    first: events(ROLE, THOUGHT, HANG),
    call: { reader: { leaves: 1 } },
    expected: { outcome: 'canceled', error: '', attempts: LEFT, shown: 'reasoning', text: '' },
  },
  {
    what: 'the loop is left in the second attempt',
    first: FAILS,
    second: events(ROLE, words(HALF), HANG),
    call: { reader: { leaves: 1 } },
    expected: {
      outcome: 'canceled',
      error: '',
      attempts: [FAILED, 'second failover canceled 200 maybe'],
      shown: 'text',
      text: 'What you ',
    },
  },
  {
    what: 'the whole alone is asked for',
    first: OK.stream,
    call: { reader: { asks: 'completion' } },
    expected: { outcome: 'ok', attempts: ['first first ok 200 yes'] },
  },
  {
    what: 'the whole alone, after a failure',
    first: FAILS,
    second: OK.stream,
    call: { reader: { asks: 'completion' } },
    expected: { outcome: 'ok', attempts: [FAILED, ANSWERED] },
  },
  {
    what: 'the text alone',
    first: OK.stream,
    call: { reader: { asks: 'text' } },
    expected: { outcome: 'ok', attempts: ['first first ok 200 yes'] },
  },
  {
    what: 'the text alone, which cannot be taken back',
    first: events(ROLE, words(HALF)),
    onBroken: 'restart',
    call: { reader: { asks: 'text' } },
    expected: { outcome: 'cut-off', attempts: ['first first cut-off 200 maybe'], text: HALF },
  },
  {
    what: 'the text alone, thoughts thought again',
    first: events(ROLE, THOUGHT),
    second: OK.stream,
    onBroken: 'restart',
    call: { reader: { asks: 'text' } },
    expected: { outcome: 'ok', attempts: ['first first cut-off 200 maybe', ANSWERED] },
  },
  {
    what: 'as a response',
    first: OK.stream,
    call: { reader: { asks: 'response' } },
    expected: { outcome: 'ok', attempts: ['first first ok 200 yes'] },
  },
  {
    what: 'as a response, after a failure',
    first: FAILS,
    second: OK.stream,
    call: { reader: { asks: 'response' } },
    expected: { outcome: 'ok', attempts: [FAILED, ANSWERED] },
  },
  {
    what: 'slowly',
    first: OK.stream,
    call: { reader: { pauses: 20 } },
    expected: { outcome: 'ok', attempts: ['first first ok 200 yes'] },
  },
]

const READ: readonly Cell[] = READS.map(({ what, first, second, call, onBroken, expected }) => ({
  title: `stream · read · ${what}`,
  given: { mode: 'stream', chain: ['first', 'second'], policy: onBroken ? { onBroken } : {}, calls: [call] },
  script: { first: [first], ...(second && { second: [second] }) },
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
    expect: [{ outcome: 'canceled', attempts: WAITING, totalMs: [4000, 4000] }],
  },
])

export const ENDINGS: readonly Cell[] = [
  ...UPLOADS,
  ...ABORTS.map(cellOf),
  ...LATE.map(lateCell),
  ...CLOSED,
  ...TIMED,
  ...READ,
]
