import type { Abort, Cell, Expected } from '../cell.ts'
import {
  type Act,
  body,
  chunk,
  events,
  FINISH,
  HALF,
  HANG,
  head,
  type Mode,
  OK,
  ROLE,
  repeat,
  say,
  TEXT,
  THOUGHT,
  toolCall,
  wait,
  words,
} from '../script.ts'

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

// biome-ignore format: a table is read by its columns
const ABORTS: readonly Ending[] = [
  ...both('before it begins', { first: null, abort: { at: 'before' }, expected: canceled([]) }),
  ...both('when the plan is made', { first: null, abort: { on: 'plan-made' }, expected: canceled([]) }),
  ...both('while the headers are waited for', { first: [HANG], abort: AT, expected: canceled(WAITING) }),
  ...both('while the body of an error is waited for', { first: [head(500, JSON_TYPE), HANG], abort: AT, expected: canceled(['first first canceled 500 no']) }),
  ...both('between two attempts', { first: FAILS, abort: { on: 'attempt-end' }, expected: canceled([FAILED]) }),
  ...both('in the second attempt', { first: FAILS, second: [HANG], abort: AT, expected: canceled([FAILED, 'second failover canceled - maybe']) }),
  whole('before the body', [head(200, JSON_TYPE), HANG], AT, canceled(READING)),
  whole('in the body', [head(200, JSON_TYPE), say('{"id":'), HANG], AT, canceled(READING)),
  whole('in whitespace that keeps it alive', [head(200, JSON_TYPE), repeat(' ', 200)], AT, canceled(READING)),
  whole('in an answer of megabytes', [head(200, JSON_TYPE), wait(990), say(' '.repeat(1_000_000)), HANG], { at: 1300 }, canceled(READING)),
  stream('before the first event', events(HANG), AT, canceled(READING)),
  stream('in keep-alives', events(repeat(': wait\n\n', 200)), AT, canceled(READING)),
  stream('after the role', events(ROLE, HANG), AT, canceled(READING)),
  stream('in the reasoning', events(ROLE, THOUGHT, HANG), AT, canceled(READING, { shown: 'reasoning' })),
  stream('in the text', events(ROLE, words(HALF), HANG), AT, canceled(READING, { shown: 'text', text: HALF })),
  stream('in text that keeps coming', events(ROLE, repeat(chunk({ content: '' }), 150), HANG), AT, canceled(READING)),
  stream('in a tool call', events(ROLE, toolCall('{"a":'), HANG), AT, canceled(READING, { shown: 'tool' })),
  stream('after the finish', events(ROLE, words(TEXT), FINISH, HANG), AT, canceled(READING, { shown: 'text', text: TEXT })),
  stream('at its first text', events(ROLE, chunk({ content: 'One' }), wait(400), chunk({ content: 'Two' }), HANG), { on: 'text-delta' }, canceled(READING, { shown: 'text', text: 'One' })),
  stream('at its first thought', events(ROLE, THOUGHT, wait(400), words(TEXT), HANG), { on: 'reasoning-delta' }, canceled(READING, { shown: 'reasoning' })),
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

export const GIVEN_UP: readonly Cell[] = [...ABORTS.map(cellOf), ...LATE.map(lateCell), ...CLOSED]
