import type { Answer } from './answer.ts'
import type { AssistantMessage, Finish, ToolCall } from './chat.ts'
import type { Plan } from './plan.ts'
import type { UsageRecord } from './usage.ts'

/** What a call answers. */
export interface Completion {
  readonly text: string
  /** What the model showed of its thinking, if anything. */
  readonly reasoning: string | null
  readonly toolCalls: readonly ToolCall[]
  /** Push it to the history as it is: it may be sent to any provider. */
  readonly message: AssistantMessage
  readonly finish: Finish
  /** Who really answered. */
  readonly model: string
  readonly provider: string
  readonly host: string | null
  readonly usage: UsageRecord
  readonly plan: Plan
  /** The provider's body, untouched. */
  readonly raw: unknown
}

/** `planned` stands in where the answer does not name its model. */
export function completionOf(
  answer: Answer,
  about: { usage: UsageRecord; plan: Plan; raw: unknown; planned: string },
): Completion {
  const { text, reasoning, toolCalls, message, finish, host } = answer
  const { usage, plan, raw, planned } = about
  const model = usage.model.served ?? planned
  return { text, reasoning, toolCalls, message, finish, model, provider: usage.provider ?? '', host, usage, plan, raw }
}
