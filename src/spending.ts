import { worstOf } from './budget.ts'
import { type Clock, monthOf } from './clock.ts'
import { ConfigError } from './errors.ts'
import type { Call } from './exchange.ts'
import { type Failure, failure } from './failure.ts'
import { fields } from './fields.ts'
import type { Identity } from './identity.ts'
import { type Cost, fromUsd, type Money } from './money.ts'
import { checkOptions, type Expectation, expected, plainly, unknown } from './options.ts'
import type { Store } from './stores/store.ts'
import type { Way } from './way.ts'

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
  /**
   * When an attempt does not fit any more: `cheaper` (the default) takes the next way of the plan that does; `shorten`
   * first asks for a shorter answer, of 64 tokens at the least; `refuse` ends the call.
   */
  readonly whenShort?: 'cheaper' | 'shorten' | 'refuse'
  /** While the store is down: `count-here` (the default) goes on in this process alone, `refuse` stops spending. */
  readonly withoutStore?: 'count-here' | 'refuse'
}

/** The budgets that a call belongs to. */
export interface Spending {
  /** One that does not fit ends the call. */
  readonly refuses: boolean
  /** Sets aside what an attempt can cost at the most, in each of them; or says why it may not be made. */
  reserve(way: Way): Promise<Reservation | Failure>
}

export interface Reservation {
  /** The answer may have so many tokens and no more; `null`: as many as it was to have. */
  readonly maxTokens: number | null
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
  whenShort: expected('"cheaper", "shorten" or "refuse"', (value) =>
    ['cheaper', 'shorten', 'refuse'].some((word) => word === value),
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
      refuses: own.some(({ whenShort }) => whenShort === 'refuse'),
      async reserve(way) {
        const dearest = worstOf(way)
        if (dearest === null) return failure('out-of-budget', { code: 'budgets, since its price is not known' })
        const date = clock.date()
        const open: Open[] = []
        for (const budget of own) {
          const { began, ends } = periodOf(budget.per, date)
          const index = budgets.indexOf(budget)
          const key = await identity('budget', String(index), whose(budget, { call, metadata }), String(began))
          open.push({ budget, key, ttlMs: ends - date + SETTLING_MS, index, endsIn: ends - date })
        }
        let worst = dearest
        let maxTokens: number | null = null
        let short = await take(open, worst)
        if (short?.budget.whenShort === 'shorten') {
          maxTokens = await fitting(way, open, call)
          if (maxTokens !== null) {
            worst = dearest - savedBy(way, maxTokens, call)
            short = await take(open, worst)
          }
        }
        if (short !== null) {
          const code = wordsOf(short.budget, short.index)
          return failure('out-of-budget', { code, retryAfterMs: short.endsIn })
        }
        return {
          maxTokens,
          settle: ({ high }) => {
            const more = (high ?? worst) - worst
            if (more !== 0) for (const { key } of open) give(key, more, SETTLING_MS)
          },
        }
      },
    }
  }

  /** Sets it aside in all of them, or in none: then the one that is short. */
  async function take(open: readonly Open[], worst: Money): Promise<Open | null> {
    for (const [n, each] of open.entries()) {
      if ((await sumAfter(each, worst)) !== null) continue
      for (const { key, ttlMs } of open.slice(0, n)) give(key, -worst, ttlMs)
      return each
    }
    return null
  }

  /** Nobody waits for it: at the worst, less is left than there might be. */
  function give(key: string, amount: Money, ttlMs: number): void {
    store.add(key, amount, { most: null, ttlMs }).catch(() => {})
  }

  /** The tokens that the tightest of them leaves for an answer; `null`: too few. */
  async function fitting(way: Way, open: readonly Open[], call: Call): Promise<number | null> {
    let left = Number.POSITIVE_INFINITY
    for (const { budget, key, ttlMs } of open) {
      const sum = await store.add(key, 0, { most: null, ttlMs }).catch(() => null)
      left = Math.min(left, fromUsd(budget.usd) - (sum ?? 0))
    }
    const each = wordOf(way)
    const most = mostOf(way, call)
    const spare = left - ((worstOf(way) ?? left) - (most ?? 0) * each)
    const tokens = Math.floor(spare / each)
    return most !== null && each > 0 && tokens >= LEAST_ANSWER && tokens < most ? tokens : null
  }

  async function sumAfter({ budget, key, ttlMs }: Open, worst: Money): Promise<number | null> {
    const sum = await store.add(key, worst, { most: fromUsd(budget.usd), ttlMs }).catch(() => null)
    if (store.trouble !== true || budget.withoutStore !== 'refuse' || sum === null) return sum
    give(key, -worst, ttlMs)
    return null
  }
}

/** A budget of this call's, in this period. */
interface Open {
  readonly budget: SpendingBudget
  readonly index: number
  readonly key: string
  readonly ttlMs: number
  readonly endsIn: number
}

/** A shorter answer says nothing. */
const LEAST_ANSWER = 64

/** What a token of the answer costs at the most, at this way's offer and its hosts. */
function wordOf({ offer }: Way): Money {
  const tariffs = [offer, ...offer.hosts].flatMap(({ tariff }) => tariff ?? [])
  return Math.max(0, ...tariffs.map(({ base: { output, reasoning = output } }) => Math.max(output, reasoning)))
}

function mostOf({ offer }: Way, { request }: Call): number | null {
  return request.max_completion_tokens ?? request.max_tokens ?? offer.maxOutput
}

function savedBy(way: Way, maxTokens: number, call: Call): Money {
  return ((mostOf(way, call) ?? maxTokens) - maxTokens) * wordOf(way)
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
