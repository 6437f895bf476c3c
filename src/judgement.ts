import type { ChatCompletionTool } from 'openai/resources/chat/completions'
import type { Answer } from './answer.ts'
import { createCancellation } from './cancellation.ts'
import type { ChatMessage, ToolCall } from './chat.ts'
import { draftOf } from './completion.ts'
import type { Demand } from './demand.ts'
import type { AttemptResult, Call } from './exchange.ts'
import { type Failure, failure } from './failure.ts'
import { fields } from './fields.ts'
import { kindOf, nameOfThrown } from './options.ts'
import { inTime, isThenable } from './patience.ts'
import { quotable } from './redact.ts'
import type { Checked, Issue } from './schema.ts'
import { checkedValue, kept, lineOf, mended, mendedKept, uncalled } from './structured.ts'
import type { Way } from './way.ts'

/**
 * What a whole answer is worth: one that does not have its shape, calls tools as they cannot be called, or stays below
 * the bar is a failure of its model, although its provider did all it could.
 */
async function judged(call: Call, result: AttemptResult): Promise<AttemptResult> {
  const { demand } = call
  if (demand === null) return result
  if (result.failure !== null) return result.failure.kind === 'bad-output' ? unusable(call, demand, result) : result
  if (result.answer === null) return result
  const { answer, strange } = offered(call, result.answer, result)
  const called = strange ? STRANGE : await calls(demand, answer, call, result)
  if (called === null) return refused(result, overdue(call))
  if ('issues' in called) return unfit(result, answer, called.issues, call)
  const { toolCalls } = called
  const isAsItCame = answer === result.answer && toolCalls === answer.toolCalls
  const sound: AttemptResult = isAsItCame ? result : { ...result, answer: { ...answer, toolCalls } }
  // Tools are called first: the answer is still to come.
  if (toolCalls.length > 0) return sound
  const valued = await value(demand, result, answer, call)
  if (valued === null) return refused(result, overdue(call))
  if (!valued.ok) return unfit(result, answer, valued.issues, call)
  const whole: AttemptResult = demand.shape === null ? sound : { ...sound, data: valued.value }
  const below = await bar(demand, whole, call)
  return below === null ? whole : refused(whole, below)
}

/** An answer that is looked at. */
export interface Judging {
  /** What it is worth, once that is known. */
  readonly worth: AttemptResult | null
  /** Settles when it is; never rejects. */
  readonly done: Promise<void>
  /** Nobody waits for it any more: it was one too many. */
  giveUp(): void
}

export function judging(call: Call, result: AttemptResult): Judging {
  const cancellation = createCancellation(undefined, call.cancellation)
  let worth: AttemptResult | null = null
  const look = async (): Promise<void> => {
    try {
      const found = await judged({ ...call, cancellation }, result)
      worth ??= found
    } finally {
      cancellation.release()
    }
  }
  return {
    done: look(),
    get worth() {
      return worth
    },
    giveUp() {
      worth ??= refused(result, failure('canceled'))
      // What a bar or a schema still has to say ends with it, and its timer.
      cancellation.cancel(undefined)
    },
  }
}

/** What did not even come through its endpoint, or not as JSON: what is known of it is told all the same. */
async function unusable(call: Call, { shape }: Demand, result: AttemptResult): Promise<AttemptResult> {
  const { text, issues } = kept(result.body, { answer: result.answer, form: result.way.form, shape })
  const known = issues instanceof Promise ? await inTime(issues, patience(call)) : issues
  if (known === null) return refused(result, overdue(call))
  const found = await issues
  // Where it said nothing, there is nothing to mend: it is asked the same again.
  const mend = text === '' && result.answer === null ? {} : { mend: mendedKept(text, found) }
  return { ...result, issues: found, ...mend }
}

/** Whether an answer has a shape, and nothing to call beside it. */
export function answersAlone({ request, demand }: Call, way: Way): boolean {
  const own = [request.tools, way.settings?.tools, way.provider.settings.tools]
  return demand?.shape != null && own.every((tools) => (tools ?? []).length === 0)
}

/** Calls of tools where there are none to call are no answer; where there is a text beside them, that is it. */
function offered(call: Call, answer: Answer, { way }: AttemptResult) {
  const none = answer.toolCalls.length > 0 && answersAlone(call, way)
  return none ? { answer: uncalled(answer), strange: answer.text === '' } : { answer, strange: false }
}

const STRANGE = Object.freeze({ issues: [{ path: ['tools'], message: 'there are none: answer in text' }] })

/** The calls with their arguments as the tools take them. `null`: the call was over before that was known. */
async function calls(
  { toolbox }: Demand,
  { toolCalls }: Answer,
  call: Call,
  { way }: AttemptResult,
): Promise<{ readonly toolCalls: readonly ToolCall[] } | { readonly issues: readonly Issue[] } | null> {
  if (toolbox === null || toolCalls.length === 0) return { toolCalls }
  const others = new Set(
    [...(call.request.tools ?? []), ...(way.settings?.tools ?? []), ...(way.provider.settings.tools ?? [])].map(nameOf),
  )
  const checked: ToolCall[] = []
  const issues: Issue[] = []
  for (const each of toolCalls) {
    const isOurs = toolbox.find(each.name) !== undefined
    // Of tools that came with the request itself, nothing is known but their names.
    if (!isOurs && others.has(each.name)) {
      checked.push(each)
      continue
    }
    const result = await within(toolbox.check(each), call)
    if (result === null) return null
    if (result.ok) checked.push({ ...each, arguments: result.value })
    else {
      // A name that no tool has is the model's own text.
      const name = isOurs ? each.name : 'tools'
      for (const { path, message } of result.issues) issues.push({ path: [name, ...path], message })
    }
  }
  return issues.length > 0 ? { issues } : { toolCalls: checked }
}

function nameOf(tool: ChatCompletionTool): string | null {
  return tool.type === 'function' ? tool.function.name : tool.type === 'custom' ? tool.custom.name : null
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
    said = accept(draftOf(answer, record, data))
    if (isThenable(said)) {
      // In a box: `null` may be what it says.
      const boxed = Promise.resolve(said).then((word) => ({ word }))
      const heard = fields(await inTime(boxed, patience(call)))
      if (heard === undefined) return overdue(call)
      said = heard.word
    }
  } catch (error) {
    return failure('below-bar', { detail: `accept threw ${told(nameOfThrown(error), call, answer)}` })
  }
  if (said === true) return null
  if (typeof said === 'string') return failure('below-bar', { detail: told(said, call, answer) })
  return failure('below-bar', { detail: said === false ? null : `accept gave ${kindOf(said)}, not true or a reason` })
}

/** Words of the user's own, without what was asked and answered. */
function told(words: string, { request }: Call, { text, reasoning }: Answer): string {
  return quotable(words, [JSON.stringify(request), text, reasoning ?? ''].join('\n'))
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

function overdue({ cancellation }: Call): Failure {
  return failure(cancellation.canceled ? 'canceled' : 'timed-out')
}

/** As many as can be read in one line. */
const MOST_TOLD = 5

function unfit(result: AttemptResult, answer: Answer, issues: readonly Issue[], { request }: Call): AttemptResult {
  const told = issues.slice(0, MOST_TOLD).map(lineOf)
  const more = issues.length > MOST_TOLD ? [`and ${issues.length - MOST_TOLD} more`] : []
  const failed = failure('bad-output', { detail: [...told, ...more].join('; ') })
  const mend: readonly ChatMessage[] = mended(answer, issues, request.messages)
  return { ...refused(result, failed), issues, mend }
}

function refused(result: AttemptResult, failed: Failure): AttemptResult {
  const { record } = result
  // It came with a good status: what is wrong is in the answer.
  return { ...result, failure: failed, record: Object.freeze({ ...record, outcome: failed.kind }) }
}
