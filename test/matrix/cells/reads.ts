import type { CallPlan, Cell, Expected } from '../cell.ts'
import { type Act, body, DONE, events, FINISH, HALF, HANG, LAST, OK, ROLE, TEXT, THOUGHT, words } from '../script.ts'
import { ANSWERED } from './before.ts'

const FAILS = body(500, { error: { message: 'No.' } })
const FAILED = 'first first server-error 500 no'

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
// biome-ignore format: a table is read by its columns
const READS: readonly Read[] = [
  { what: 'the loop is left at the first piece', first: events(ROLE, words(TEXT), FINISH, LAST, DONE), call: { reader: { leaves: 1 } }, expected: { outcome: 'canceled', error: '', attempts: LEFT, shown: 'text', text: 'What you ' } },
  { what: 'the loop is left while more is to come', first: events(ROLE, words(HALF), HANG), call: { reader: { leaves: 3 } }, expected: { outcome: 'canceled', error: '', attempts: LEFT, shown: 'text', text: TEXT.slice(0, 27) } },
  { what: 'the loop is left in the reasoning', first: events(ROLE, THOUGHT, HANG), call: { reader: { leaves: 1 } }, expected: { outcome: 'canceled', error: '', attempts: LEFT, shown: 'reasoning', text: '' } },
  { what: 'the loop is left in the second attempt', first: FAILS, second: events(ROLE, words(HALF), HANG), call: { reader: { leaves: 1 } }, expected: { outcome: 'canceled', error: '', attempts: [FAILED, 'second failover canceled 200 maybe'], shown: 'text', text: 'What you ' } },
  { what: 'the whole alone is asked for', first: OK.stream, call: { reader: { asks: 'completion' } }, expected: { outcome: 'ok', attempts: ['first first ok 200 yes'] } },
  { what: 'the whole alone, after a failure', first: FAILS, second: OK.stream, call: { reader: { asks: 'completion' } }, expected: { outcome: 'ok', attempts: [FAILED, ANSWERED] } },
  { what: 'the text alone', first: OK.stream, call: { reader: { asks: 'text' } }, expected: { outcome: 'ok', attempts: ['first first ok 200 yes'] } },
  { what: 'the text alone, which cannot be taken back', first: events(ROLE, words(HALF)), onBroken: 'restart', call: { reader: { asks: 'text' } }, expected: { outcome: 'cut-off', attempts: ['first first cut-off 200 maybe'], text: HALF } },
  { what: 'the text alone, thoughts thought again', first: events(ROLE, THOUGHT), second: OK.stream, onBroken: 'restart', call: { reader: { asks: 'text' } }, expected: { outcome: 'ok', attempts: ['first first cut-off 200 maybe', ANSWERED] } },
  { what: 'as a response', first: OK.stream, call: { reader: { asks: 'response' } }, expected: { outcome: 'ok', attempts: ['first first ok 200 yes'] } },
  { what: 'as a response, after a failure', first: FAILS, second: OK.stream, call: { reader: { asks: 'response' } }, expected: { outcome: 'ok', attempts: [FAILED, ANSWERED] } },
  { what: 'slowly', first: OK.stream, call: { reader: { pauses: 20 } }, expected: { outcome: 'ok', attempts: ['first first ok 200 yes'] } },
]

export const READ: readonly Cell[] = READS.map(({ what, first, second, call, onBroken, expected }) => ({
  title: `stream · read · ${what}`,
  given: { mode: 'stream', chain: ['first', 'second'], policy: onBroken ? { onBroken } : {}, calls: [call] },
  script: { first: [first], ...(second && { second: [second] }) },
  expect: [expected],
}))
