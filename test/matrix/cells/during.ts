import type { TaskPolicy } from 'modelfirst'
import type { Cell, Expected } from '../cell.ts'
import {
  type Act,
  body,
  CLOSE,
  chunk,
  DONE,
  event,
  events,
  FINISH,
  HALF,
  HANG,
  LAST,
  OK,
  RESET,
  REST,
  ROLE,
  repeat,
  type Step,
  TEXT,
  THOUGHT,
  toolCall,
  words,
} from '../script.ts'
import { ANSWERED } from './before.ts'

/** A stream that breaks after something of it was seen. */
interface Break {
  readonly what: string
  readonly steps: readonly (string | Step)[]
  /** `kind status billed` */
  readonly line: string
  readonly stops?: true
}

const problem = (code: number) => ({ error: { message: 'It broke.', code } })
const at = (what: string, steps: Break['steps'], line: string, stops?: true): Break => ({
  what,
  steps,
  line,
  ...(stops && { stops }),
})

// biome-ignore format: a table is read by its columns
const BREAKS: readonly Break[] = [
  at('it ends in good order', [], 'cut-off 200 maybe'),
  at('the connection closes', [CLOSE], 'cut-off 200 maybe'),
  at('the connection is reset', [RESET], 'cut-off 200 maybe'),
  at('nothing more comes', [HANG], 'stalled 200 maybe'),
  at('only keep-alives come', [repeat(': OPENROUTER PROCESSING\n\n', 200)], 'stalled 200 maybe'),
  at('only empty pieces come, and the end', [ROLE, ROLE], 'cut-off 200 maybe'),
  at('an error, bare', [event(problem(529))], 'overloaded 529 maybe'),
  at('an error, and the connection stays open', [event(problem(529)), HANG], 'overloaded 529 maybe'),
  at('an error beside a finish', [chunk({ content: '' }, 'error', problem(502))], 'server-error 502 maybe'),
  at('an error beside a finish that looks good', [chunk({}, 'stop', problem(502)), DONE], 'server-error 502 maybe'),
  at('an error inside the choice', [event({ choices: [{ index: 0, delta: {}, finish_reason: 'error', ...problem(502) }] })], 'server-error 502 maybe'),
  at('an error in an event of its own', [`event: error\n${event(problem(503))}`], 'overloaded 503 maybe'),
  at('an error, its usage, and [DONE]', [event(problem(502)), LAST, DONE], 'server-error 502 yes'),
  at('a limit', [event(problem(429)), DONE], 'rate-limited 429 maybe'),
  at('a finish that is an error', [chunk({}, 'error'), LAST, DONE], 'server-error 200 yes'),
  at('a finish by a filter', [chunk({}, 'content_filter'), LAST, DONE], 'refused 200 yes', true),
  at('a piece that is no JSON', ['data: {"choices":[{"delta":{"content":"@answer@\n\n', HANG], 'bad-response 200 maybe'),
  at('a piece that is a list', ['data: [1]\n\n', HANG], 'bad-response 200 maybe'),
  at('a false [DONE]', ['data: [DONE]fake\n\n'], 'bad-response 200 maybe'),
  at('an event that is not ended', [chunk({ content: ' lost' }).trimEnd()], 'cut-off 200 maybe'),
  at('a page', ['<!DOCTYPE html>\n<html><h1>Bad gateway</h1></html>\n'], 'cut-off 200 maybe'),
  at('a call with a huge number', [toolCall('{}', 1e9)], 'bad-response 200 maybe'),
]

const SOON = { timeoutMs: 20_000, firstTokenMs: 6000, idleMs: 2500 }

function cell(
  place: string,
  { what }: Break,
  {
    onBroken,
    first,
    second = OK.stream,
    expected,
  }: { onBroken: NonNullable<TaskPolicy['onBroken']>; first: Act; second?: Act; expected: Expected },
): Cell {
  const goesOn = expected.attempts.length > 1
  return {
    title: `stream · ${place}, ${what} · ${onBroken}`,
    given: { mode: 'stream', chain: ['first', 'second'], policy: { onBroken, limits: SOON } },
    script: { first: [first], ...(goesOn && { second: [second] }) },
    expect: [expected],
  }
}

const GONE_ON = events(ROLE, words(REST), FINISH, LAST, DONE)
const kindOf = ({ line }: Break) => line.split(' ')[0] ?? ''

const IN_TEXT: readonly Cell[] = BREAKS.flatMap((broken) => {
  const first = events(ROLE, words(HALF), ...broken.steps)
  const line = `first first ${broken.line}`
  const fails: Expected = { outcome: kindOf(broken), attempts: [line], shown: 'text', text: HALF }
  const cells = [cell('in the text', broken, { onBroken: 'fail', first, expected: fails })]
  if (broken.stops) return cells
  return [
    ...cells,
    cell('in the text', broken, {
      onBroken: 'restart',
      first,
      expected: { outcome: 'ok', attempts: [line, ANSWERED], shown: 'text restart text end' },
    }),
    cell('in the text', broken, {
      onBroken: 'continue',
      first,
      second: GONE_ON,
      expected: { outcome: 'ok', attempts: [line, 'second continuation ok 200 yes'], shown: 'text seam text end' },
    }),
  ]
})

const SOME = [
  'it ends in good order',
  'the connection is reset',
  'nothing more comes',
  'an error, bare',
  'a piece that is no JSON',
]

const IN_THOUGHTS: readonly Cell[] = BREAKS.filter(({ what }) => SOME.includes(what)).flatMap((broken) => {
  const first = events(ROLE, THOUGHT, ...broken.steps)
  const line = `first first ${broken.line}`
  const fails: Expected = { outcome: kindOf(broken), attempts: [line], shown: 'reasoning', text: '' }
  const anew: Expected = { outcome: 'ok', attempts: [line, ANSWERED], shown: 'reasoning restart text end' }
  return [
    cell('in the reasoning', broken, { onBroken: 'fail', first, expected: fails }),
    cell('in the reasoning', broken, { onBroken: 'restart', first, expected: anew }),
    cell('in the reasoning', broken, { onBroken: 'continue', first, expected: anew }),
  ]
})

const IN_CALLS: readonly Cell[] = BREAKS.filter(({ what }) => SOME.includes(what)).flatMap((broken) => {
  const first = events(ROLE, toolCall('{"place":"@answer@'), ...broken.steps)
  const line = `first first ${broken.line}`
  const fails: Expected = { outcome: kindOf(broken), attempts: [line], shown: 'tool', text: '' }
  const anew: Expected = { outcome: 'ok', attempts: [line, ANSWERED], shown: 'tool restart text end' }
  return [
    cell('in a tool call', broken, { onBroken: 'fail', first, expected: fails }),
    cell('in a tool call', broken, { onBroken: 'restart', first, expected: anew }),
    cell('in a tool call', broken, { onBroken: 'continue', first, expected: fails }),
  ]
})

/** Everything was said, and then an error takes it back. */
const AFTER_THE_FINISH: readonly Cell[] = BREAKS.filter(({ what }) =>
  /^an error, bare|^an error in an event|^a call/.test(what),
).flatMap((broken) => {
  const first = events(ROLE, words(TEXT), FINISH, ...broken.steps)
  const line = `first first ${broken.line}`
  return [
    cell('after the finish', broken, {
      onBroken: 'fail',
      first,
      expected: { outcome: kindOf(broken), attempts: [line], shown: 'text', text: TEXT },
    }),
    cell('after the finish', broken, {
      onBroken: 'restart',
      first,
      expected: { outcome: 'ok', attempts: [line, ANSWERED], shown: 'text restart text end' },
    }),
  ]
})

const CUT = 'first first cut-off 200 maybe'
const half = events(ROLE, words(HALF))
const goesOn = (what: string, second: Act, expected: Expected, third?: Act): Cell => ({
  title: `stream · going on · ${what}`,
  given: { mode: 'stream', chain: ['first', 'second', 'third'], policy: { onBroken: 'continue', limits: SOON } },
  script: { first: [half, OK.stream], second: [second], ...(third && { third: [third] }) },
  expect: [expected],
})
const THIRD_GOES_ON = 'third continuation ok 200 yes'

/** What joins a text that broke off can break too, or not fit. */
const GOING_ON: readonly Cell[] = [
  goesOn(
    'one that begins anew is of no use, the next one fits',
    OK.stream,
    {
      outcome: 'ok',
      attempts: [CUT, 'second continuation bad-response 200 maybe', THIRD_GOES_ON],
      shown: 'text seam text end',
    },
    GONE_ON,
  ),
  goesOn(
    'nobody fits',
    OK.stream,
    {
      outcome: 'cut-off',
      attempts: [
        CUT,
        'second continuation bad-response 200 maybe',
        'third continuation bad-response 200 maybe',
        'first continuation bad-response 200 maybe',
      ],
      shown: 'text',
      text: HALF,
    },
    OK.stream,
  ),
  goesOn(
    'one that says nothing is of no use',
    events(ROLE, FINISH, LAST, DONE),
    {
      outcome: 'ok',
      attempts: [CUT, 'second continuation bad-response 200 yes', THIRD_GOES_ON],
      shown: 'text seam text end',
    },
    GONE_ON,
  ),
  goesOn(
    'one that refuses such a request hides nothing',
    body(400, { error: { message: 'No.' } }),
    {
      outcome: 'ok',
      attempts: [CUT, 'second continuation invalid-request 400 no', THIRD_GOES_ON],
      shown: 'text seam text end',
    },
    GONE_ON,
  ),
  goesOn(
    'one that fails before it joins is followed by the next',
    body(503, { error: { message: 'No.' } }),
    {
      outcome: 'ok',
      attempts: [CUT, 'second continuation overloaded 503 no', THIRD_GOES_ON],
      shown: 'text seam text end',
    },
    GONE_ON,
  ),
  goesOn(
    'one that breaks within the seam is followed by the next',
    events(ROLE, words(REST.slice(0, 10))),
    {
      outcome: 'ok',
      attempts: [CUT, 'second continuation cut-off 200 maybe', THIRD_GOES_ON],
      shown: 'text seam text end',
    },
    GONE_ON,
  ),
  goesOn(
    'one that calls a tool in the middle of a text does not fit',
    events(ROLE, toolCall('{}'), FINISH, LAST, DONE),
    {
      outcome: 'ok',
      attempts: [CUT, 'second continuation bad-response 200 maybe', THIRD_GOES_ON],
      shown: 'text seam text end',
    },
    GONE_ON,
  ),
  goesOn('one that thinks first', events(ROLE, THOUGHT, words(REST), FINISH, LAST, DONE), {
    outcome: 'ok',
    attempts: [CUT, 'second continuation ok 200 yes'],
    shown: 'text seam text end',
  }),
]

export const DURING: readonly Cell[] = [...IN_TEXT, ...IN_THOUGHTS, ...IN_CALLS, ...AFTER_THE_FINISH, ...GOING_ON]
