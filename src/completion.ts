import type { Answer } from './answer.ts'
import type { AssistantMessage, Finish, ToolCall } from './chat.ts'
import type { Plan } from './plan.ts'
import type { AttemptRecord, UsageRecord } from './usage.ts'

/** What a call answers. */
export interface Completion<Data = unknown, Call extends ToolCall = ToolCall> {
  readonly text: string
  /** What the model showed of its thinking, if anything. */
  readonly reasoning: string | null
  /** The answer as its schema has it; `null` without a schema, and where tools are called before it is given. */
  readonly data: Data
  /** Of tools that came with the call, the arguments are as their schemas have them. */
  readonly toolCalls: readonly Call[]
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

/** An answer that nobody has taken yet, for the bar to look at. */
export interface Draft<Data = unknown>
  extends Pick<Completion<Data>, 'text' | 'reasoning' | 'data' | 'message' | 'finish' | 'model' | 'provider' | 'host'> {
  readonly attempt: AttemptRecord
}

/** `planned` stands in where the answer does not name its model. */
export function completionOf(
  answer: Answer,
  about: { usage: UsageRecord; plan: Plan; raw: unknown; planned: string; data: unknown },
): Completion {
  const { text, reasoning, toolCalls, message, finish, host } = answer
  const { usage, plan, raw, planned, data } = about
  const model = usage.model.served ?? planned
  const provider = usage.provider ?? ''
  return { text, reasoning, data, toolCalls, message, finish, model, provider, host, usage, plan, raw }
}

export function draftOf(answer: Answer, attempt: AttemptRecord, data: unknown): Draft {
  const { text, reasoning, message, finish, host } = answer
  const { model, provider } = attempt
  return Object.freeze({ text, reasoning, data, message, finish, model, provider, host, attempt })
}
