import { type Clock, monthOf } from './clock.ts'
import { ConfigError } from './errors.ts'
import type { Call } from './exchange.ts'
import { type Failure, failure } from './failure.ts'
import { fields } from './fields.ts'
import type { Identity } from './identity.ts'
import { type Cost, fromUsd, type Money } from './money.ts'
import { checkOptions, type Expectation, expected, plainly, unknown } from './options.ts'
import type { Store } from './stores/store.ts'

/** Money that may be spent within a time, by all calls together. */
export interface SpendingBudget {
  /** USD at the most; an attempt whose high estimate could break it is not made. */
  readonly usd: number
  /** UTC days and months, or so many milliseconds, counted from 1970. */
  readonly per: 'minute' | 'hour' | 'day' | 'month' | number
  /** For these tasks; default: for all together. */
  readonly task?: string | readonly string[]
  /** One budget for each task, each session, or each value of a metadata key; calls without one share theirs. */
  readonly by?: 'task' | 'session' | `metadata.${string}`
  /** While the store is down: `count-here` (the default) goes on in this process alone, `refuse` stops spending. */
  readonly withoutStore?: 'count-here' | 'refuse'
}

/** The budgets that a call belongs to. */
export interface Spending {
  /** Sets aside what an attempt can cost at the most, in each of them; or says why it may not be made. */
  reserve(worst: Money | null): Promise<Reservation | Failure>
}

export interface Reservation {
  /** What it has really cost takes the place of what was set aside. */
  settle(cost: Cost): void
}

/** A store that may be in trouble says so. */
interface Sums extends Pick<Store, 'add'> {
  readonly trouble?: boolean
}

const PERIODS = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const
/** Attempts that began in one period may end in the next. */
const SETTLING_MS = 3_600_000

const BUDGET: Readonly<Record<keyof SpendingBudget, Expectation>> = {
  usd: expected('USD above 0', (value) => typeof value === 'number' && value > 0 && value <= 9000),
  per: expected(
    '"minute", "hour", "day", "month" or milliseconds from 1000 on',
    (value) => value === 'month' || isPeriod(value) || (typeof value === 'number' && value >= 1000 && value < 1e12),
  ),
  task: expected('the name of a task or a list of them', (value) =>
    namesOf(value).every((name) => typeof name === 'string'),
  ),
  by: expected(
    '"task", "session" or "metadata." and a key',
    (value) => value === 'task' || value === 'session' || (typeof value === 'string' && /^metadata\../.test(value)),
  ),
  withoutStore: expected('"count-here" or "refuse"', (value) => value === 'count-here' || value === 'refuse'),
}

function isPeriod(value: unknown): boolean {
  return typeof value === 'string' && Object.hasOwn(PERIODS, value)
}

function namesOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value]
}

/** Checks budgets once, when the router is made. */
export function checkedBudgets(
  budgets: readonly SpendingBudget[] | undefined,
  tasks: readonly string[],
): readonly SpendingBudget[] {
  for (const [index, budget] of (budgets ?? []).entries()) {
    const of = `budgets[${index}]`
    checkOptions(budget, { of, says: "{ usd, per: 'day' }", known: BUDGET, got: plainly })
    const given = fields(budget) ?? {}
    for (const field of ['usd', 'per'] as const) {
      if (given[field] === undefined)
        throw new ConfigError(`${of}.${field}`, `expected ${BUDGET[field].says}, got nothing`)
    }
    for (const name of budget.task === undefined ? [] : namesOf(budget.task)) {
      if (typeof name === 'string' && !tasks.includes(name))
        throw new ConfigError(`${of}.task`, unknown('task', name, tasks))
    }
  }
  return Object.freeze([...(budgets ?? [])])
}

/** Budgets over a store; `null` for a call that belongs to none of them. */
export function createSpending(
  budgets: readonly SpendingBudget[],
  { store, identity, clock }: { store: Sums; identity: Identity; clock: Clock },
): (call: Call, metadata: Readonly<Record<string, string>>) => Spending | null {
  return (call, metadata) => {
    const { task } = call.policy
    const own = budgets.filter((budget) => budget.task === undefined || namesOf(budget.task).includes(task))
    if (own.length === 0) return null
    return {
      async reserve(worst) {
        if (worst === null) return failure('out-of-budget', { code: 'budgets, since its price is not known' })
        const date = clock.date()
        const taken: string[] = []
        const give = (back: Money, ttlMs: number) => {
          // Nobody waits for it: at the worst, less is left than there might be.
          for (const key of taken) store.add(key, back, { most: null, ttlMs }).catch(() => {})
        }
        for (const budget of own) {
          const { began, ends } = periodOf(budget.per, date)
          const ttlMs = ends - date + SETTLING_MS
          const index = budgets.indexOf(budget)
          const key = await identity('budget', String(index), whose(budget, { call, metadata }), String(began))
          const sum = await sumAfter(key, worst, { budget, ttlMs })
          if (sum === null) {
            give(-worst, ttlMs)
            return failure('out-of-budget', { code: wordsOf(budget, index), retryAfterMs: ends - date })
          }
          taken.push(key)
        }
        return {
          settle: ({ high }) => {
            const back = (high ?? worst) - worst
            if (back !== 0) give(back, SETTLING_MS)
          },
        }
      },
    }
  }

  async function sumAfter(key: string, worst: Money, { budget, ttlMs }: { budget: SpendingBudget; ttlMs: number }) {
    const sum = await store.add(key, worst, { most: fromUsd(budget.usd), ttlMs }).catch(() => null)
    if (store.trouble !== true || budget.withoutStore !== 'refuse' || sum === null) return sum
    store.add(key, -worst, { most: null, ttlMs }).catch(() => {})
    return null
  }
}

function wordsOf({ usd, per }: SpendingBudget, index: number): string {
  return `budgets[${index}] of $${usd} per ${typeof per === 'number' ? `${per} ms` : per}`
}

function whose(
  { by }: SpendingBudget,
  { call, metadata }: { call: Call; metadata: Readonly<Record<string, string>> },
): string {
  if (by === undefined) return ''
  if (by === 'task') return call.policy.task
  if (by === 'session') return call.session?.hash ?? ''
  const key = by.slice('metadata.'.length)
  return Object.hasOwn(metadata, key) ? `=${metadata[key]}` : ''
}

function periodOf(per: SpendingBudget['per'], date: number): { began: number; ends: number } {
  if (per === 'month') return monthOf(date)
  const length = typeof per === 'number' ? per : PERIODS[per]
  const began = Math.floor(date / length) * length
  return { began, ends: began + length }
}
