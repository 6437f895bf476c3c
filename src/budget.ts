import type { Call } from './exchange.ts'
import { type Failure, failure } from './failure.ts'
import { type Cost, fromUsd } from './money.ts'
import type { Way } from './way.ts'

/** What one call may use, over retries, fallbacks, hedges and continuations together. */
export interface Budget {
  /** Milliseconds until the call has to be over. */
  readonly remaining: number
  /** Attempts that may still be made. */
  readonly attemptsLeft: number
  /** Why an attempt may not be made; `null`: it may. */
  refusal(way: Way): Failure | null
  /** Sets aside the worst that the attempt can cost; returns its number. */
  reserve(way: Way): number
  /** What it has really cost takes the place of what was set aside. */
  settle(n: number, cost: Cost): void
}

/** No attempt is worth starting with less time than this. */
export const LEAST_TIME = 5

export function createBudget(call: Call): Budget {
  const { clock, deadline, cancellation } = call
  const { attempts, maxCostUsd } = call.policy.limits
  /** By attempt: what it can have cost at the most; `null` is unknown. */
  const costs: (number | null)[] = []
  const most = maxCostUsd === null ? null : fromUsd(maxCostUsd)
  return {
    get remaining() {
      return deadline - clock.now()
    },
    get attemptsLeft() {
      return attempts - costs.length
    },
    refusal(way) {
      if (cancellation.canceled) return failure('canceled')
      if (costs.length >= attempts) return failure('out-of-budget', { code: 'attempts' })
      if (deadline - clock.now() < LEAST_TIME) return failure('timed-out')
      if (most === null) return null
      const committed = costs.reduce((sum, cost) => (sum === null || cost === null ? null : sum + cost), 0)
      const worst = worstOf(way)
      const fits = committed !== null && worst !== null && committed + worst <= most
      return fits ? null : failure('out-of-budget', { code: 'cost' })
    },
    reserve(way) {
      return costs.push(most === null ? 0 : worstOf(way))
    },
    settle(n, cost) {
      costs[n - 1] = cost.high
    },
  }
}

export function worstOf({ step }: Way): number | null {
  const { high } = step.estimate.usd
  return high === null ? null : fromUsd(high)
}
