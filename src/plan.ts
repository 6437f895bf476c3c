import type { PinState } from './usage.ts'

/** Why an offer is not in the plan. */
export type RejectionCode =
  | 'context'
  | 'max-output'
  | 'data-policy'
  | 'breaker-open'
  | 'rate-limited'
  | 'account-out'
  | 'too-dear'
  | 'retired'
  | 'no-key'
  | 'not-sold'
  | 'avoided'
  | `lacks:${string}`

export interface Rejection {
  readonly model: string
  readonly provider: string
  readonly code: RejectionCode
  readonly because: string
  readonly limit?: number
  readonly value?: number
}

/** USD; `high: null` is unknown. */
export interface UsdInterval {
  readonly low: number
  readonly high: number | null
}

/** How an offer is asked for a shape: by a strict schema, by JSON mode, by a tool that takes it, or in words alone. */
export type FormKind = 'schema' | 'json' | 'tool' | 'text'

/** One request the plan would send, and why it stands where it stands. */
export interface Step {
  readonly model: string
  readonly provider: string
  /** The host that is asked for, behind an aggregator. */
  readonly host: string | null
  /** All hosts that are asked for, in order; others may step in only when `othersAllowed`. */
  readonly hosts: readonly string[]
  readonly othersAllowed: boolean
  readonly wireModel: string
  readonly because: readonly string[]
  readonly estimate: { readonly usd: UsdInterval; readonly cachedTokens: number }
  /** How a shape is asked for there; left out: none is. */
  readonly form?: FormKind
}

/** The frozen, ranked list of what to try. `complete()` runs exactly this. */
export interface Plan {
  readonly task: string
  readonly steps: readonly Step[]
  readonly rejected: readonly Rejection[]
  readonly estimate: { readonly usd: UsdInterval; readonly worstCaseUsd: number | null }
  readonly session: { readonly pin: PinState; readonly because: string }
  /** A table for a person. */
  toString(): string
}

export function freezePlan(parts: Omit<Plan, 'toString'>): Plan {
  const { task, steps, rejected, estimate, session } = parts
  for (const step of steps) {
    // Often none at all, and then it is frozen already.
    if (step.hosts.length > 0) Object.freeze(step.hosts)
    Object.freeze(step.because)
    Object.freeze(step.estimate.usd)
    Object.freeze(step.estimate)
    Object.freeze(step)
  }
  for (const rejection of rejected) Object.freeze(rejection)
  for (const part of [steps, rejected, estimate.usd, estimate, session]) Object.freeze(part)
  // By its prototype: a plan is data, and compares, prints and copies as data.
  return Object.freeze({ __proto__: PLAN, task, steps, rejected, estimate, session })
}

const PLAN = {
  toString(this: Omit<Plan, 'toString'>): string {
    return tableOf(this)
  },
}

function tableOf(plan: Omit<Plan, 'toString'>): string {
  const rows = plan.steps.map((step, index) => [
    `${index + 1}.`,
    step.model,
    placeOf(step),
    money(step.estimate.usd),
    step.because.join('; '),
  ])
  const rejected = plan.rejected.map((rejection) => [
    '✗',
    rejection.model,
    rejection.provider,
    rejection.code,
    rejection.because,
  ])
  const head = `plan for ${plan.task}: ${plan.steps.length} ${plan.steps.length === 1 ? 'step' : 'steps'}, ${money(plan.estimate.usd)}`
  return [head, ...columns([...rows, ...rejected]), `session: ${plan.session.pin} (${plan.session.because})`].join('\n')
}

function placeOf(step: Step): string {
  if (step.hosts.length === 0) return step.provider
  const hosts = step.hosts.map((host) => `${step.provider}/${host}`).join(', ')
  return step.othersAllowed ? `${hosts}, then others` : hosts
}

/** Never as `2.25e-7`. Made where it is used: a formatter takes longer to make than all the rest to load. */
const DIGITS = { maximumSignificantDigits: 3, useGrouping: false }

function money(usd: UsdInterval): string {
  const digits = (value: number) => `$${value.toLocaleString('en-US', DIGITS)}`
  if (usd.high === null) return usd.low === 0 ? 'price unknown' : `${digits(usd.low)} or more`
  return usd.low === usd.high ? digits(usd.low) : `${digits(usd.low)}–${digits(usd.high)}`
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows) {
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length)
  }
  return rows.map((row) => `  ${row.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join('  ')}`.trimEnd())
}
