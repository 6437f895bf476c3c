import { type AttemptResult, attempt, type Call } from './attempt.ts'
import { nextMove } from './chain.ts'
import type { Events } from './events.ts'
import { type Failure, failure } from './failure.ts'
import { toUsd } from './money.ts'
import type { Way } from './planner.ts'

/** How a call ended: every attempt in order, and the answer or the failure that decided it. */
export interface Outcome {
  readonly attempts: readonly AttemptResult[]
  readonly won: AttemptResult | null
  readonly failure: Failure | null
}

/** No attempt is worth starting with less time than this. */
const LEAST_TIME = 5

/** Walks the ways of a plan until one answers or the budget is spent. It never throws. */
export async function run(call: Call, ways: readonly Way[], events: Events): Promise<Outcome> {
  const attempts: AttemptResult[] = []
  const left = [...ways]
  let way = left.shift()
  let role: AttemptResult['record']['role'] = 'first'
  let because = way?.step.because.join('; ') ?? ''
  let last: Failure = failure('no-offer')
  while (way !== undefined) {
    const stopped = overBudget(call, attempts, way)
    if (stopped !== null)
      return { attempts, won: null, failure: attempts.length === 0 ? stopped : keepCause(last, stopped) }
    const n = attempts.length + 1
    if (events.heard) {
      const { model, provider } = way.step
      events.emit({ type: 'attempt-start', call: call.id, n, role, model, provider })
    }
    const result = await attempt(call, way, { n, role, because, timeLimit: timeLimit(call, left.length > 0) })
    attempts.push(result)
    if (events.heard) events.emit({ type: 'attempt-end', call: call.id, attempt: result.record })
    if (result.failure === null) return { attempts, won: result, failure: null }
    last = result.failure
    const move = nextMove(result, left)
    if (move === null) break
    left.splice(left.indexOf(move.way), 1)
    ;({ way, role, because } = move)
  }
  return { attempts, won: null, failure: last }
}

/** While another step is left, a provider that never answers may not use up its time. */
function timeLimit({ clock, deadline }: Call, othersLeft: boolean): number {
  const remaining = deadline - clock.now()
  return othersLeft ? remaining / 2 : remaining
}

/** Why another attempt may not be made; looked at before each one. */
function overBudget(call: Call, attempts: readonly AttemptResult[], way: Way): Failure | null {
  const { limits } = call.policy
  if (call.signal?.aborted) return failure('canceled')
  if (attempts.length >= limits.attempts) return failure('out-of-budget', { code: 'attempts' })
  if (call.deadline - call.clock.now() < LEAST_TIME) return failure('timed-out')
  if (limits.maxCostUsd === null) return null
  const spent = attempts.reduce<number | null>(
    (sum, { cost }) => (sum === null || cost.high === null ? null : sum + toUsd(cost.high)),
    0,
  )
  const { high } = way.step.estimate.usd
  if (spent === null || high === null || spent + high > limits.maxCostUsd)
    return failure('out-of-budget', { code: 'cost' })
  return null
}

/** When the attempts run out, what failed is still the better thing to tell; only money and the caller come first. */
function keepCause(last: Failure, stopped: Failure): Failure {
  return stopped.kind === 'canceled' || stopped.code === 'cost' ? stopped : last
}
