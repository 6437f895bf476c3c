import type { Cell, Expected, Given, Hooks } from '../cell.ts'
import { type Act, body, events, HALF, HANG, type Mode, OK, ROLE, words } from '../script.ts'

/** Whoever listens, whatever is asked, wherever it may go: none of it changes what a call does. */
const MODES = ['whole', 'stream'] as const
const FAIL = body(500, { error: { message: 'No.' } })
const FAILED = 'first first server-error 500 no'
const SECOND = 'second failover ok 200 yes'
const FIRST = 'first first ok 200 yes'

const throwing = (): never => {
  throw new Error('it has nothing to do with the call')
}
const rejecting = async (): Promise<never> => throwing()
const hanging = () => new Promise<never>(() => {})

const HOOKS: readonly (readonly [what: string, hooks: Hooks, heard: readonly string[]])[] = [
  ['a listener that throws', { on: throwing }, ['listener-failed']],
  ['a listener that rejects', { on: rejecting }, ['listener-failed']],
  ['a listener that never ends', { on: hanging }, []],
  ['a sink that throws', { sink: throwing }, ['listener-failed']],
  ['a sink that rejects', { sink: rejecting }, ['listener-failed']],
  ['a sink that never ends', { sink: hanging }, []],
  ['a listener and a sink that throw', { on: throwing, sink: throwing }, ['listener-failed']],
]

interface Scene {
  readonly what: string
  readonly modes: readonly Mode[]
  readonly script: (mode: Mode) => Cell['script']
  readonly expected: Expected
}

const SCENES: readonly Scene[] = [
  {
    what: 'an answer',
    modes: MODES,
    script: (mode) => ({ first: [OK[mode]] }),
    expected: { outcome: 'ok', attempts: [FIRST] },
  },
  {
    what: 'a failure and an answer',
    modes: MODES,
    script: (mode) => ({ first: [FAIL], second: [OK[mode]] }),
    expected: { outcome: 'ok', attempts: [FAILED, SECOND] },
  },
  {
    what: 'an error',
    modes: ['whole'],
    script: () => ({ first: [body(400, { error: { message: 'No.' } })] }),
    expected: { outcome: 'invalid-request', attempts: ['first first invalid-request 400 no'] },
  },
  {
    what: 'a stream that breaks',
    modes: ['stream'],
    script: () => ({ first: [events(ROLE, words(HALF))] }),
    expected: { outcome: 'cut-off', attempts: ['first first cut-off 200 maybe'], shown: 'text', text: HALF },
  },
]

const HOOKED: readonly Cell[] = HOOKS.flatMap(([who, hooks, heard]) =>
  SCENES.flatMap(({ what, modes, script, expected }) =>
    modes.map(
      (mode): Cell => ({
        title: `${mode} · ${who} · ${what}`,
        given: { mode, chain: ['first', 'second'], policy: {}, hooks },
        script: script(mode),
        expect: [{ ...expected, heard }],
      }),
    ),
  ),
)

interface Place {
  readonly what: string
  readonly given: Omit<Given, 'mode'>
  readonly script: (mode: Mode) => Cell['script']
  readonly expected: Expected
}

const STRICT = { training: 'deny', retention: 'zero' } as const
const ZERO = { training: false, retention: 'zero' } as const

// biome-ignore format: a table is read by its columns
const PLACES: readonly Place[] = [
  { what: 'nobody who may train is asked', given: { chain: ['first', 'second', 'third'], policy: { data: { training: 'deny' } }, terms: { first: { training: false }, third: { training: false } } }, script: (mode) => ({ first: [FAIL], third: [OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED, 'third failover ok 200 yes'] } },
  { what: 'nobody who may keep is asked', given: { chain: ['first', 'second', 'third'], policy: { data: STRICT }, terms: { first: ZERO, second: { training: false, retention: 'provider' }, third: ZERO } }, script: (mode) => ({ first: [FAIL], third: [OK[mode]] }), expected: { outcome: 'ok', attempts: [FAILED, 'third failover ok 200 yes'] } },
  { what: 'nobody else is asked, whatever happens', given: { chain: ['first', 'second', 'third'], policy: { data: STRICT }, terms: { first: ZERO }, random: () => 0.5 }, script: () => ({ first: [FAIL, FAIL] }), expected: { outcome: 'server-error', attempts: [FAILED, 'first retry server-error 500 no'] } },
  { what: 'nobody at all may be asked', given: { chain: ['first', 'second'], policy: {}, calls: [{ options: { data: STRICT } }] }, script: () => ({}), expected: { outcome: 'no-offer', attempts: [] } },
  { what: 'a call’s own rule is as strict', given: { chain: ['first', 'second'], policy: {}, terms: { second: ZERO }, calls: [{ options: { data: STRICT } }] }, script: (mode) => ({ second: [OK[mode]] }), expected: { outcome: 'ok', attempts: ['second first ok 200 yes'] } },
  { what: 'a silent first is given up, and only who is allowed is asked', given: { chain: ['first', 'second', 'third'], policy: { data: STRICT, limits: { timeoutMs: 12_000, firstTokenMs: 3000 } }, terms: { first: ZERO, third: ZERO } }, script: (mode) => ({ first: [[HANG]], third: [OK[mode]] }), expected: { outcome: 'ok', attempts: ['first first timed-out - maybe', 'third failover ok 200 yes'] } },
  { what: 'only one provider is named', given: { chain: ['first', 'second'], policy: { provider: 'second' }, random: () => 0.5 }, script: (mode) => ({ second: [FAIL, OK[mode]] }), expected: { outcome: 'ok', attempts: ['second first server-error 500 no', 'second retry ok 200 yes'] } },
]

const BOUND: readonly Cell[] = MODES.flatMap((mode) =>
  PLACES.map(({ what, given, script, expected }) => ({
    title: `${mode} · where it may go · ${what}`,
    given: { mode, ...given },
    script: script(mode),
    expect: [expected],
  })),
)

/** A conversation stays where it went well, and goes where it must. */
const SESSIONS: readonly Cell[] = MODES.flatMap((mode): Cell[] => {
  const session = { session: true }
  const cell = (what: string, script: Cell['script'], expect: readonly Expected[]): Cell => ({
    title: `${mode} · a session · ${what}`,
    given: { mode, chain: ['first', 'second'], policy: {}, calls: expect.map(() => session) },
    script,
    expect,
  })
  const ok: Act = OK[mode]
  return [
    cell('stays where it answered', { first: [FAIL], second: [ok, ok] }, [
      { outcome: 'ok', attempts: [FAILED, SECOND] },
      { outcome: 'ok', attempts: ['second first ok 200 yes'] },
    ]),
    cell('comes back when its place has failed once', { first: [ok, FAIL, ok], second: [ok] }, [
      { outcome: 'ok', attempts: [FIRST] },
      { outcome: 'ok', attempts: [FAILED, SECOND] },
      { outcome: 'ok', attempts: [FIRST] },
    ]),
    cell('moves when its place fails twice in a row', { first: [ok, FAIL, FAIL], second: [ok, ok, ok] }, [
      { outcome: 'ok', attempts: [FIRST] },
      { outcome: 'ok', attempts: [FAILED, SECOND] },
      { outcome: 'ok', attempts: [FAILED, SECOND] },
      { outcome: 'ok', attempts: ['second first ok 200 yes'] },
    ]),
  ]
})

export const AROUND: readonly Cell[] = [...HOOKED, ...BOUND, ...SESSIONS]
