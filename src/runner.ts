import { nextMove } from './chain.ts'
import type { Events } from './events.ts'
import type { AttemptResult, Call, Order } from './exchange.ts'
import { type Failure, failure } from './failure.ts'
import { toUsd } from './money.ts'
import type { Way } from './planner.ts'
import { requestAt } from './settings.ts'

/** How a call ended: every attempt in order, and the answer or the failure that decided it. */
export interface Outcome {
  readonly attempts: readonly AttemptResult[]
  readonly won: AttemptResult | null
  readonly failure: Failure | null
}

/** The walk along a plan: which attempt comes next is decided here and nowhere else, for answers and for streams. */
export interface Walk {
  /** The next attempt, as `adapted` makes it; `null` when the call is over. */
  next(adapted?: (order: Order) => Order): Order | null
  /** What came of it. */
  note(result: AttemptResult): void
  outcome(): Outcome
}

/** No attempt is worth starting with less time than this. */
const LEAST_TIME = 5

export function createWalk(call: Call, ways: readonly Way[], events: Events): Walk {
  const attempts: AttemptResult[] = []
  const left = [...ways]
  const first = left.shift()
  let move =
    first === undefined
      ? null
      : { way: first, role: 'first' as AttemptResult['record']['role'], because: first.step.because.join('; ') }
  let last: Failure | null = first === undefined ? failure('no-offer') : null
  return {
    next(adapted = asItIs) {
      if (move === null) return null
      const stopped = overBudget(call, attempts, move.way)
      if (stopped !== null) {
        last = last === null || stopped.kind === 'canceled' || stopped.code === 'cost' ? stopped : last
        return null
      }
      const n = attempts.length + 1
      const othersMayFollow = left.length > 0 && n < call.policy.limits.attempts
      const { provider, settings: candidate } = move.way
      const request = requestAt(call.request, call.settings, { provider: provider.settings, candidate })
      const order = adapted({ ...move, request, n, timeLimit: timeLimit(call, othersMayFollow) })
      if (events.heard) {
        const { role, way } = order
        const { model, provider } = way.step
        events.emit({ type: 'attempt-start', call: call.id, n, role, model, provider })
      }
      return order
    },
    note(result) {
      attempts.push(result)
      if (events.heard) events.emit({ type: 'attempt-end', call: call.id, attempt: result.record })
      last = result.failure
      move = result.failure === null ? null : nextMove(result, left)
      if (move !== null) left.splice(left.indexOf(move.way), 1)
    },
    outcome() {
      const final = attempts.at(-1)
      return { attempts, won: last === null && final !== undefined ? final : null, failure: last }
    },
  }
}

const asItIs = (order: Order) => order

/** Makes one attempt after another until one answers or the budget is spent. It never throws. */
export async function run(walk: Walk, attempt: (order: Order) => Promise<AttemptResult>): Promise<Outcome> {
  for (let order = walk.next(); order !== null; order = walk.next()) walk.note(await attempt(order))
  return walk.outcome()
}

/** While another attempt may follow, a provider that never answers may not use up its time. */
function timeLimit({ clock, deadline }: Call, othersMayFollow: boolean): number {
  const remaining = deadline - clock.now()
  return othersMayFollow ? remaining / 2 : remaining
}

/** Why another attempt may not be made; looked at before each one. */
function overBudget(call: Call, attempts: readonly AttemptResult[], way: Way): Failure | null {
  const { limits } = call.policy
  if (call.cancellation.canceled) return failure('canceled')
  if (attempts.length >= limits.attempts) return failure('out-of-budget', { code: 'attempts' })
  if (call.deadline - call.clock.now() < LEAST_TIME) return failure('timed-out')
  if (limits.maxCostUsd === null) return null
  const spent = attempts.reduce<number | null>(
    (sum, { cost }) => (sum === null || cost.high === null ? null : sum + toUsd(cost.high)),
    0,
  )
  const { high } = way.step.estimate.usd
  if (spent === null || high === null || spent + high > limits.maxCostUsd) {
    return failure('out-of-budget', { code: 'cost' })
  }
  return null
}
