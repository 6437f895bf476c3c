import { type FallbackRule, when } from 'modelfirst'
import type { Cell, Expected, Given } from '../cell.ts'
import { type Act, body, events, HALF, type Mode, OK, ROLE, words } from '../script.ts'

/** What rules make of a failure, and what is left of a rule that is broken itself. */
const MODES = ['whole', 'stream'] as const
const HALFWAY = () => 0.5
const problem = (status: number, code?: string): Act =>
  body(status, { error: { message: 'No.', ...(code && { code }) } })
const TWO_MODELS = [{ id: 'small' }, { id: 'large' }]

interface Row {
  readonly what: string
  readonly fallback: readonly FallbackRule[]
  readonly given?: Partial<Given>
  readonly script: (mode: Mode) => Cell['script']
  readonly expected: Expected
}

const SECOND = 'second failover ok 200 yes'
const FAILED = 'first first server-error 500 no'
const AGAIN = 'first retry server-error 500 no'
const LIMITED = 'first first rate-limited 429 no'
const REFUSED = 'first first refused 400 no'
const refusal = problem(400, 'content_policy_violation')
const fail = problem(500)
const endless = (failure: unknown): never => {
  throw new Error(`it broke at ${JSON.stringify(failure)}`)
}
const hangs: FallbackRule = () => new Promise(() => {})

// biome-ignore format: a table is read by its columns
const ROWS: readonly Row[] = [
  { what: 'the next provider', fallback: [when('server-error').nextProvider()], given: { models: TWO_MODELS }, script: (mode) => ({ first: [fail], second: [OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED, SECOND], gaps: [[0, 0]] } },
  { what: 'the next model', fallback: [when('server-error').nextModel()], given: { models: TWO_MODELS }, script: (mode) => ({ first: [fail, OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED, 'first/large failover ok 200 yes'], gaps: [[0, 0]] } },
  { what: 'the end', fallback: [when('server-error').stop()], script: () => ({ first: [fail] }), expected: { outcome: 'server-error', attempts: [FAILED], totalMs: [0, 0] } },
  { what: 'another place for what was refused', fallback: [when('refused').nextProvider()], script: (mode) => ({ first: [refusal], second: [OK[mode]] }), expected: { outcome: 'ok', attempts: [REFUSED, SECOND] } },
  { what: 'nothing for what was refused', fallback: [when('rate-limited').nextProvider()], script: () => ({ first: [refusal] }), expected: { outcome: 'refused', attempts: [REFUSED] } },
  { what: 'again, although another provider is open', fallback: [when('server-error').retry(1)], given: { random: HALFWAY }, script: (mode) => ({ first: [fail, OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED, 'first retry ok 200 yes'], gaps: [[250, 250]] } },
  { what: 'again twice, then the next provider', fallback: [when('server-error').retry(2).nextProvider()], given: { random: HALFWAY }, script: (mode) => ({ first: [fail, fail, fail], second: [OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED, AGAIN, AGAIN, SECOND], gaps: [[250, 250], [500, 500], [0, 0]] } },
  { what: 'again once, then the table', fallback: [when('server-error').retry(1)], given: { random: HALFWAY }, script: (mode) => ({ first: [fail, fail], second: [OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED, AGAIN, SECOND] } },
  { what: 'a wait, then again', fallback: [when('server-error').wait(700).retry(1)], script: (mode) => ({ first: [fail, OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED, 'first retry ok 200 yes'], gaps: [[700, 700]] } },
  { what: 'a wait, then the next provider', fallback: [when('server-error').wait(700).nextProvider()], script: (mode) => ({ first: [fail], second: [OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED, SECOND], gaps: [[700, 700]] } },
  { what: 'several kinds', fallback: [when(['overloaded', 'rate-limited']).nextModel()], given: { models: TWO_MODELS }, script: (mode) => ({ first: [problem(429), OK[mode]] }), expected: { outcome: 'ok', attempts: [LIMITED, 'first/large failover ok 200 yes'] } },
  { what: 'a condition of its own', fallback: [when(({ status }) => status === 529).stop()], script: () => ({ first: [problem(529)] }), expected: { outcome: 'overloaded', attempts: ['first first overloaded 529 no'] } },
  { what: 'a condition that does not hold', fallback: [when(({ status }) => status === 529).stop()], script: (mode) => ({ first: [fail], second: [OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED, SECOND] } },
  { what: 'a condition that throws', fallback: [when(endless).stop()], script: (mode) => ({ first: [fail], second: [OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED, SECOND], heard: ['listener-failed'] } },
  { what: 'the first of two that fit', fallback: [when('server-error').nextModel(), when('server-error').stop()], given: { models: TWO_MODELS }, script: (mode) => ({ first: [fail, OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED, 'first/large failover ok 200 yes'] } },
  { what: 'the second, where the first is not possible', fallback: [when('server-error').nextModel(), when('server-error').stop()], script: () => ({ first: [fail] }), expected: { outcome: 'server-error', attempts: [FAILED] } },
  { what: 'the table, where no rule is possible', fallback: [when('server-error').nextModel()], script: (mode) => ({ first: [fail], second: [OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED, SECOND] } },
  { what: 'a function', fallback: [() => ({ move: 'next' })], given: { models: TWO_MODELS }, script: (mode) => ({ first: [refusal], second: [OK[mode]] }), expected: { outcome: 'ok', attempts: [REFUSED, SECOND] } },
  { what: 'a function that takes its time', fallback: [async () => { await Promise.resolve(); return { move: 'next-model' } }], given: { models: TWO_MODELS }, script: (mode) => ({ first: [fail, OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED, 'first/large failover ok 200 yes'] } },
  { what: 'a function with several moves', fallback: [() => [{ move: 'next-model' }, { move: 'stop' }]], script: () => ({ first: [fail] }), expected: { outcome: 'server-error', attempts: [FAILED] } },
  { what: 'a function that says nothing', fallback: [() => undefined, () => null, () => []], script: (mode) => ({ first: [fail], second: [OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED, SECOND] } },
  { what: 'a function that throws', fallback: [endless], script: (mode) => ({ first: [fail], second: [OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED, SECOND], heard: ['listener-failed'] } },
  { what: 'a function that rejects', fallback: [async () => endless('@key@')], script: (mode) => ({ first: [fail], second: [OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED, SECOND], heard: ['listener-failed'] } },
  { what: 'a function that never answers', fallback: [hangs], script: (mode) => ({ first: [fail], second: [OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED, SECOND], heard: ['listener-failed'], gaps: [[1000, 1000]] } },
  { what: 'a function that throws, and a sentence after it', fallback: [endless, when('server-error').stop()], script: () => ({ first: [fail] }), expected: { outcome: 'server-error', attempts: [FAILED], heard: ['listener-failed'] } },
  { what: 'again and again is bounded by the attempts', fallback: [() => ({ move: 'retry', afterMs: 100 })], given: { random: HALFWAY }, script: () => ({ first: [fail, fail, fail, fail] }), expected: { outcome: 'server-error', attempts: [FAILED, AGAIN, AGAIN, AGAIN], gaps: [[100, 100], [100, 100], [100, 100]] } },
  { what: 'a wait beyond the call’s time is not waited', fallback: [() => ({ move: 'retry', afterMs: 90_000 })], given: { policy: { limits: { timeoutMs: 5000 } } }, script: (mode) => ({ first: [fail], second: [OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED, SECOND], gaps: [[0, 0]] } },
  { what: 'a model that is not in the plan', fallback: [() => ({ move: 'use', model: 'large' })], given: { models: TWO_MODELS, policy: { model: 'small' } }, script: (mode) => ({ first: [fail, OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED, 'first/large failover ok 200 yes'] } },
  { what: 'a model that is not in the plan, at another provider', fallback: [() => ({ move: 'use', model: 'large', provider: 'second' })], given: { models: TWO_MODELS, policy: { model: 'small' } }, script: (mode) => ({ first: [fail], second: [OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED, 'second/large failover ok 200 yes'] } },
  { what: 'a provider that the policy does not have is not used', fallback: [() => ({ move: 'use', model: 'small', provider: 'second' })], given: { policy: { provider: 'first' }, random: HALFWAY }, script: (mode) => ({ first: [fail, OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED, 'first retry ok 200 yes'] } },
  { what: 'a provider that the data rule does not allow is not used', fallback: [() => ({ move: 'use', model: 'large', provider: 'second' })], given: { models: TWO_MODELS, policy: { model: 'small', data: { training: 'deny' } }, terms: { first: { training: false } }, random: HALFWAY }, script: (mode) => ({ first: [fail, OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED, 'first retry ok 200 yes'] } },
  { what: 'a refused key is not tried again, whatever it says', fallback: [when('unauthorized').wait(100).retry(1)], script: (mode) => ({ first: [problem(401)], second: [OK[mode]] }), expected: { outcome: 'ok', attempts: ['first first unauthorized 401 no', SECOND], gaps: [[0, 0]] } },
]

const RULED: readonly Cell[] = MODES.flatMap((mode) =>
  ROWS.map(({ what, fallback, given, script, expected }) => ({
    title: `${mode} · a rule · ${what}`,
    given: { mode, chain: ['first', 'second'], ...given, policy: { ...given?.policy, fallback } },
    script: script(mode),
    expect: [expected],
  })),
)

/** Giving up while a rule thinks; and rules where text was seen already. */
const BESIDES: readonly Cell[] = [
  ...MODES.map(
    (mode): Cell => ({
      title: `${mode} · a rule · the caller gives up while it thinks`,
      given: { mode, chain: ['first', 'second'], policy: { fallback: [hangs] }, calls: [{ abort: { at: 400 } }] },
      script: { first: [fail] },
      expect: [{ outcome: 'canceled', attempts: [FAILED], totalMs: [400, 400] }],
    }),
  ),
  {
    title: 'stream · a rule · it is asked for what begins anew',
    given: {
      mode: 'stream',
      chain: ['first', 'second', 'third'],
      policy: {
        onBroken: 'restart',
        fallback: [(_failure, { left }) => ({ move: 'use', model: 'small', provider: left.at(-1)?.provider })],
      },
    },
    script: { first: [events(ROLE, words(HALF))], third: [OK.stream] },
    expect: [
      {
        outcome: 'ok',
        attempts: ['first first cut-off 200 maybe', 'third failover ok 200 yes'],
        shown: 'text restart text end',
      },
    ],
  },
  {
    title: 'stream · a rule · it ends what would begin anew',
    given: {
      mode: 'stream',
      chain: ['first', 'second'],
      policy: { onBroken: 'restart', fallback: [when('cut-off').stop()] },
    },
    script: { first: [events(ROLE, words(HALF))] },
    expect: [{ outcome: 'cut-off', attempts: ['first first cut-off 200 maybe'], shown: 'text', text: HALF }],
  },
]

export const RULES: readonly Cell[] = [...RULED, ...BESIDES]
