import {
  AbortError,
  AttemptsFailedError,
  BadOutputError,
  BudgetError,
  NoRouteError,
  type PartialAnswer,
  type RouterError,
  StreamBroken,
} from './errors.ts'
import type { Call } from './exchange.ts'
import { type Failure, VERDICTS } from './failure.ts'
import type { Plan } from './plan.ts'
import type { UsageRecord } from './usage.ts'
import type { Outcome } from './walk.ts'

/** What a call throws, once, when everything else is settled. */
export interface Ending {
  readonly call: Call
  readonly plan: Plan
  readonly outcome: Outcome
  readonly usage: UsageRecord
  /** What was seen of a stream. */
  readonly partial?: PartialAnswer | null
}

const MOST_REJECTIONS = 4

export function errorOf({ call, plan, outcome, usage, partial = null }: Ending): RouterError {
  const { attempts, failure, last } = outcome
  const task = `task "${call.policy.task}"`
  const kind = failure?.kind ?? 'no-offer'
  const parts = { kind, usage, plan, retryAfterMs: failure?.retryAfterMs ?? null }
  if (kind === 'canceled') {
    const after = attempts.length === 0 ? 'before anything was sent' : `after ${times(attempts.length)}`
    return new AbortError(`${task} was aborted ${after}`, { ...parts, reason: call.cancellation.reason })
  }
  const where = last === null ? '' : `${last.way.step.model} at ${last.way.step.provider}${hostOf(last.record.host)}: `
  const why = failure === null ? kind : sentence(failure)
  if (kind === 'bad-output' && (partial === null || last?.issues !== undefined)) {
    const seen = partial === null ? '' : `, although ${partial.text.length} characters had been seen`
    const message = `${task} failed after ${times(attempts.length)}${seen}: ${where}${why}`
    return new BadOutputError(message, { ...parts, issues: last?.issues ?? [], text: last?.answer?.text ?? '' })
  }
  if (partial !== null) {
    const message = `${task} broke off after ${partial.text.length} characters: ${where}${why}`
    return new StreamBroken(message, { ...parts, partial })
  }
  if (plan.steps.length === 0) return new NoRouteError(`${task} has no way to go: ${rejections(plan)}`, parts)
  if (kind === 'out-of-budget') {
    const limit = limitOf(failure, call)
    const message = `${task} stopped after ${times(attempts.length)}: the next one could break ${limit}; raise it or set a smaller max_tokens`
    return new BudgetError(message, parts)
  }
  const when = attempts.length === 0 ? 'before anything was sent' : `after ${times(attempts.length)}`
  const message = `${task} failed ${when}: ${where}${why}`
  return new AttemptsFailedError(message, parts)
}

function limitOf(failure: Failure | null, { policy }: Call): string {
  const code = failure?.code ?? 'attempts'
  if (code === 'attempts') return 'limits.attempts'
  return code === 'cost' ? `limits.maxCostUsd of $${policy.limits.maxCostUsd}` : code
}

function sentence(failure: Failure): string {
  const { says, advice } = VERDICTS[failure.kind]
  const codes = [failure.status, failure.code].filter((part) => part !== null && part !== undefined)
  const answered = codes.length === 0 ? '' : ` (${codes.join(', ')})`
  const words = failure.detail ? `: "${failure.detail}"` : ''
  const { retryAfterMs } = failure
  const longer = retryAfterMs === null ? '' : `, for ${Math.ceil(retryAfterMs / 1000)} s more`
  return `${says}${answered}${longer}${words}; ${advice}`
}

function rejections({ rejected }: Plan): string {
  if (rejected.length === 0) return 'its rules name no model; name one'
  const listed = rejected
    .slice(0, MOST_REJECTIONS)
    .map(({ model, provider, code, because }) => `${model} at ${provider}: ${code} (${because})`)
  const more =
    rejected.length > MOST_REJECTIONS ? `; and ${rejected.length - MOST_REJECTIONS} more in error.rejections` : ''
  return `${listed.join('; ')}${more}`
}

function hostOf(host: string | null): string {
  return host === null ? '' : `/${host}`
}

function times(attempts: number): string {
  return attempts === 1 ? '1 attempt' : `${attempts} attempts`
}
