import type { Cell, Expected } from '../cell.ts'
import { type Act, type Mode, OK } from '../script.ts'
import {
  CONNECTIONS,
  ERROR_BODIES,
  type Fault,
  REDIRECTS,
  STATUS_FAULTS,
  STREAM_BODIES,
  WHOLE_BODIES,
} from './faults.ts'
import { ODDITIES } from './oddities.ts'

/** Limits that end a silence soon. */
const SOON = { timeoutMs: 12_000, firstTokenMs: 3000, idleMs: 3000 }

export function lineOf({ kind, status, billed }: Fault, place = 'first', role = 'first'): string {
  const seen = kind === 'redirected' ? '@' : (status ?? '-')
  return `${place} ${role} ${kind} ${seen} ${billed}`
}

export const ANSWERED = 'second failover ok 200 yes'

const FAULTS: Readonly<Record<Mode, readonly Fault[]>> = {
  whole: [...CONNECTIONS, ...STATUS_FAULTS, ...REDIRECTS, ...ERROR_BODIES, ...WHOLE_BODIES],
  stream: [...CONNECTIONS, ...STATUS_FAULTS, ...REDIRECTS, ...ERROR_BODIES, ...STREAM_BODIES],
}

export const BEFORE: readonly Cell[] = (['whole', 'stream'] as const).flatMap((mode) =>
  FAULTS[mode].flatMap((fault) =>
    isHeavy(fault.act) ? [another(mode, fault)] : [another(mode, fault), once(mode, fault), alone(mode, fault)],
  ),
)

/** Another provider has the same model. */
function another(mode: Mode, fault: Fault): Cell {
  const { what, act, kind, goes, silent } = fault
  const stays = goes === 'stop' || goes === 'larger'
  const again = goes === 'model'
  const expected: Expected = again
    ? { outcome: kind, attempts: [lineOf(fault), lineOf(fault, 'first', 'retry')], gaps: [[0, 0]] }
    : stays
      ? { outcome: kind, attempts: [lineOf(fault)] }
      : { outcome: 'ok', attempts: [lineOf(fault), ANSWERED], gaps: [[0, 0]] }
  const script: Record<string, readonly Act[]> = { first: again ? [act, act] : [act], second: [OK[mode]] }
  return {
    title: `${mode} · ${what} · another provider has the model`,
    given: {
      mode,
      chain: ['first', 'second'],
      policy: silent ? { limits: SOON } : {},
      models: [{ id: 'small', context: 9000 }],
      heavy: isHeavy(act),
    },
    script,
    expect: [expected],
  }
}

/** Only one attempt is allowed: it is made, and told. */
function once(mode: Mode, fault: Fault): Cell {
  const { what, act, kind, silent } = fault
  const limits = { ...(silent && SOON), attempts: 1 }
  return {
    title: `${mode} · ${what} · one attempt is allowed`,
    given: { mode, chain: ['first', 'second'], policy: { limits } },
    script: { first: [act] },
    expect: [
      {
        outcome: kind,
        attempts: [lineOf(fault)],
        ...(silent && { totalMs: mode === 'stream' ? [3000, 3000] : [12_000, 12_000] }),
      },
    ],
  }
}

/** There is nothing else: what makes sense to ask again is asked again after a pause, once. */
function alone(mode: Mode, fault: Fault): Cell {
  const { what, act, kind, goes, again, silent } = fault
  const given = {
    mode,
    chain: ['first'],
    policy: silent ? { limits: SOON } : {},
    random: () => 0.5,
    heavy: isHeavy(act),
  }
  const title = `${mode} · ${what} · nobody else has the model`
  if (again === 0) {
    return { title, given, script: { first: [act] }, expect: [{ outcome: kind, attempts: [lineOf(fault)] }] }
  }
  // Half of what the pause may be; a limit without a hint closes its gate for a second; another shape needs no pause.
  const pause = goes === 'model' ? 0 : kind === 'rate-limited' ? 1050 : 250
  return {
    title,
    given,
    script: { first: [act, OK[mode]] },
    expect: [{ outcome: 'ok', attempts: [lineOf(fault), 'first retry ok 200 yes'], gaps: [[pause, pause]] }],
  }
}

/** What is an answer all the same. */
export const ANSWERS: readonly Cell[] = ODDITIES.map(({ what, mode, act, text }) => ({
  title: `${mode} · an answer with ${what}`,
  given: { mode, chain: ['first', 'second'], policy: {} },
  script: { first: [act] },
  expect: [{ outcome: 'ok', attempts: [`first first ok ${statusOf(act)} yes`], ...(text !== undefined && { text }) }],
}))

function isHeavy(act: Act): boolean {
  return act.some((step) => step.do === 'flood')
}

function statusOf(act: Act): number {
  for (const step of act) if (step.do === 'head') return step.status
  return 0
}
