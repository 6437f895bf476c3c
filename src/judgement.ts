import type { Answer } from './answer.ts'
import type { ChatMessage, ToolCall } from './chat.ts'
import { draftOf } from './completion.ts'
import type { Demand } from './demand.ts'
import type { AttemptResult, Call } from './exchange.ts'
import { type Failure, failure } from './failure.ts'
import { kindOf } from './options.ts'
import { inTime } from './patience.ts'
import { quotable } from './redact.ts'
import type { Checked, Issue } from './schema.ts'
import { lineOf, mended, checkedValue } from './structured.ts'

/**
 * What a whole answer is worth: one that does not have its shape, calls tools as they cannot be called, or stays below
 * the bar is a failure of its model, although its provider did all it could.
 */
export async function judged(call: Call, result: AttemptResult): Promise<AttemptResult> {
  const { demand } = call
  const { answer } = result
  if (demand === null || result.failure !== null || answer === null) return result
  const called = await calls(demand, answer, call)
  if (called === null) return refused(result, overdue(call))
  if ('issues' in called) return unfit(result, answer, called.issues)
  const { toolCalls } = called
  const sound: AttemptResult = toolCalls === answer.toolCalls ? result : { ...result, answer: { ...answer, toolCalls } }
  // Tools are called first: the answer is still to come.
  if (toolCalls.length > 0) return sound
  const valued = await value(demand, result, answer, call)
  if (valued === null) return refused(result, overdue(call))
  if (!valued.ok) return unfit(result, answer, valued.issues)
  const whole: AttemptResult = demand.shape === null ? sound : { ...sound, data: valued.value }
  const below = await bar(demand, whole, call)
  return below === null ? whole : refused(whole, below)
}

/** The calls with their arguments as the tools take them. `null`: the call was over before that was known. */
async function calls(
  { toolbox }: Demand,
  { toolCalls }: Answer,
  call: Call,
): Promise<{ readonly toolCalls: readonly ToolCall[] } | { readonly issues: readonly Issue[] } | null> {
  if (toolbox === null || toolCalls.length === 0) return { toolCalls }
  const checked: ToolCall[] = []
  const issues: Issue[] = []
  for (const each of toolCalls) {
    const result = await within(toolbox.check(each), call)
    if (result === null) return null
    if (result.ok) checked.push({ ...each, arguments: result.value })
    else {
      // A name that no tool has is the model's own text.
      const name = toolbox.find(each.name) === undefined ? 'tools' : each.name
      for (const { path, message } of result.issues) issues.push({ path: [name, ...path], message })
    }
  }
  return issues.length > 0 ? { issues } : { toolCalls: checked }
}

function value({ shape }: Demand, { way }: AttemptResult, answer: Answer, call: Call): Promise<Checked | null> {
  if (shape === null || way.form === undefined) return Promise.resolve(NO_SHAPE)
  return within(checkedValue(answer, shape, way.form), call)
}

const NO_SHAPE: Checked = Object.freeze({ ok: true, value: null })

/** Why the bar was not cleared; `null`: it was. */
async function bar({ accept }: Demand, result: AttemptResult, call: Call): Promise<Failure | null> {
  const { answer, record, data = null } = result
  if (accept === null || answer === null) return null
  let said: unknown
  try {
    said = await inTime(accept(draftOf(answer, record, data)), patience(call))
  } catch (error) {
    return failure('below-bar', { detail: `accept threw ${error instanceof Error ? error.name : kindOf(error)}` })
  }
  if (said === true) return null
  if (said === null && isOver(call)) return overdue(call)
  if (typeof said === 'string') return failure('below-bar', { detail: quotable(said, answer.text) })
  return failure('below-bar', { detail: said === false ? null : `accept gave ${kindOf(said)}, not true or a reason` })
}

/** What a schema says, which may take its time; `null` when the call was over before. */
async function within(checked: Checked | Promise<Checked>, call: Call): Promise<Checked | null> {
  if (!(checked instanceof Promise)) return checked
  const said = await inTime(checked, patience(call))
  return said === null ? null : checked
}

function patience({ clock, cancellation, deadline }: Call) {
  const remainingMs = Math.max(0, deadline - clock.now())
  return { clock, cancellation, remainingMs, patienceMs: Number.POSITIVE_INFINITY }
}

function isOver({ cancellation, clock, deadline }: Call): boolean {
  return cancellation.canceled || clock.now() >= deadline
}

function overdue({ cancellation }: Call): Failure {
  return failure(cancellation.canceled ? 'canceled' : 'timed-out')
}

/** As many as can be read in one line. */
const MOST_TOLD = 5

function unfit(result: AttemptResult, answer: Answer, issues: readonly Issue[]): AttemptResult {
  const told = issues.slice(0, MOST_TOLD).map(lineOf)
  const more = issues.length > MOST_TOLD ? [`and ${issues.length - MOST_TOLD} more`] : []
  const failed = failure('bad-output', { detail: [...told, ...more].join('; ') })
  const mend: readonly ChatMessage[] = mended(answer, issues)
  return { ...refused(result, failed), issues, mend }
}

function refused(result: AttemptResult, failed: Failure): AttemptResult {
  const { record } = result
  // It came with a good status: what is wrong is in the answer.
  return { ...result, failure: failed, record: Object.freeze({ ...record, outcome: failed.kind }) }
}
