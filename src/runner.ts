import type { Call, Order } from './exchange.ts'
import { hedged, type Trial } from './hedge.ts'
import { repeated } from './retry.ts'
import type { Walk } from './walk.ts'

/**
 * Makes one attempt after another until one has its first content or the call is over; then `null`. What was never seen
 * is noted here; what was, by whoever reads it.
 */
export async function run<T extends Trial>(
  walk: Walk,
  start: (order: Order) => T,
  about: {
    readonly call: Call
    readonly hedgeAfterMs: (order: Order) => number | null
    adapted?: (order: Order) => Order
  },
): Promise<T | null> {
  const { call, hedgeAfterMs, adapted } = about
  const round = async () => {
    const order = await walk.next(adapted)
    if (order === null) return null
    let trial = start(order)
    const afterMs = call.policy.hedge === null ? null : hedgeAfterMs(order)
    if (afterMs === null) await trial.started
    else {
      const second = async (isLate: () => boolean) => {
        const beside = await walk.beside(order, isLate)
        return beside && start(beside)
      }
      trial = await hedged(trial, {
        clock: call.clock,
        afterMs,
        second,
        lost: ({ result, worth }) => result !== null && walk.note(result, { worth: worth ?? result, lost: true }),
      })
    }
    if (trial.result === null) walk.shown(trial.order)
    else walk.note(trial.result, { worth: trial.worth ?? trial.result })
    return trial
  }
  const first = await round()
  return isOver(first) ? first : repeated(round, isOver)
}

/** Either it has something to show, or nothing comes any more. */
function isOver(trial: Trial | null): boolean {
  const came = trial?.worth ?? trial?.result ?? null
  return came === null || came.failure === null
}
