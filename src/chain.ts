import type { AttemptResult } from './exchange.ts'
import { VERDICTS } from './failure.ts'
import type { Way } from './planner.ts'
import type { Role } from './usage.ts'

export interface Move {
  readonly way: Way
  readonly role: Role
  readonly because: string
}

/** From a failure to the next step of the plan, as its verdict allows; `null` where the call ends. */
export function nextMove(failed: AttemptResult, left: readonly Way[]): Move | null {
  const kind = failed.failure?.kind
  if (kind === undefined) return null
  const { next, says } = VERDICTS[kind]
  if (next === 'nowhere') return null
  const { step, offer } = failed.way
  const way = left.find((candidate) => {
    if (next === 'model' && candidate.step.model === step.model) return false
    // What did not fit is not sent to a context of the same size again.
    return kind !== 'context-too-long' || larger(candidate.offer.context, offer.context)
  })
  if (way === undefined) return null
  return { way, role: 'failover', because: `${step.model} at ${step.provider}: ${says}` }
}

function larger(context: number | null, than: number | null): boolean {
  return context === null || than === null || context > than
}
