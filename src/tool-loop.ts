import { type Cancellation, createCancellation } from './cancellation.ts'
import type { ChatMessage, ChatRequest, Input, RequestSettings, ToolCall } from './chat.ts'
import { checkedInput } from './checks.ts'
import { type Clock, systemClock } from './clock.ts'
import type { Completion } from './completion.ts'
import { AbortError, ConfigError, RouterError } from './errors.ts'
import { isFields } from './fields.ts'
import type { CallOptions } from './gather.ts'
import { kindOf, plainly } from './options.ts'
import type { TaskPolicy } from './policy.ts'
import { type RunUsage, runUsageOf } from './run-usage.ts'
import type { Schema } from './schema.ts'
import { type Called, idsIn, turnOf } from './tool-calls.ts'
import { runTools } from './tool-run.ts'
import { type CallOf, type Tool, type Toolbox, toolboxOf } from './tools.ts'

export interface RunOptions<
  S extends Schema | undefined = Schema | undefined,
  Tools extends readonly Tool[] = readonly Tool[],
> extends CallOptions<S, Tools> {
  readonly tools: Tools
  /** How often the model may be asked; default 10. Limits of a call hold for each of them. */
  readonly maxSteps?: number | undefined
}

/** What one step of a run is asked with. */
export type StepOptions = Omit<RunOptions, 'maxSteps'>

interface Ran<Data, Tools extends readonly Tool[]> {
  /** The last one. */
  readonly completion: Completion<Data>
  readonly text: string
  /** Calls that nobody has run: push a `tool` message for each to the history and go on from there. */
  readonly calls: readonly CallOf<Tools>[]
  readonly steps: readonly Completion<Data>[]
  /** All that was said, from the first message on: it may be sent to any provider. */
  readonly messages: readonly ChatMessage[]
  readonly usage: RunUsage
}

/**
 * What a run has come to. `answer`: the model had nothing to call any more. `steps`: it had, and was asked often enough.
 * `handed-over`: it called a tool without a `run` of its own.
 */
export type Run<Data = unknown, Tools extends readonly Tool[] = readonly Tool[]> = Ran<Data, Tools> &
  ({ readonly ended: 'answer'; readonly data: Data } | { readonly ended: 'steps' | 'handed-over'; readonly data: null })

/** What was done before an error ended a run. */
export interface StoppedRun {
  readonly steps: readonly Completion[]
  /** As far as it is whole: whoever goes on from here runs no tool a second time. */
  readonly messages: readonly ChatMessage[]
  /** The call that failed included. */
  readonly usage: RunUsage
}

/** Where a run gets what it needs. */
export interface RunSources {
  readonly clock?: Clock
  /** For a run without one; nothing: the task finds it by itself, or keeps none. */
  newSession(task: string | TaskPolicy): string | undefined
  /** Ends all runs. */
  readonly closing?: Cancellation
  /** The settings below those of the call: a tool choice in them is forced once. */
  settingsOf?(task: string | TaskPolicy): RequestSettings | undefined
}

const MOST_STEPS = 10

/** The loop: the model is asked, its tools run beside each other, it is asked again with what they gave. */
export function createToolLoop<Data>(
  complete: (task: string | TaskPolicy, input: ChatRequest, options: StepOptions) => Promise<Completion<Data>>,
  about: RunSources,
) {
  const { clock = systemClock } = about
  return async function run<const Tools extends readonly Tool[]>(
    task: string | TaskPolicy,
    input: Input,
    options: RunOptions<Schema | undefined, Tools>,
  ): Promise<Run<Data, Tools>> {
    const { maxSteps = MOST_STEPS, ...given } = checkedRun(options)
    const toolbox = toolboxOf(given.tools, 'options.tools')
    const request = checkedInput(input)
    refuseTools(request, 'input.tools')
    refuseTools(given.request, 'options.request.tools')
    const session = given.session ?? about.newSession(task)
    const first: StepOptions = { ...given, ...(session !== undefined && { session }) }
    const later = freed(first, [request, about.settingsOf?.(task)])
    const messages = [...request.messages]
    const taken = idsIn(messages)
    const steps: Completion<Data>[] = []
    const cancellation = createCancellation(given.signal, about.closing)

    const soFar = () => ({ steps: Object.freeze([...steps]), messages: Object.freeze([...messages]) })
    const ranWith = (completion: Completion<Data>, open: readonly Called[]): Ran<Data, Tools> => ({
      completion,
      text: completion.text,
      calls: Object.freeze(open.map(({ call }) => call).filter((call) => isCallOf<Tools>(call, toolbox))),
      ...soFar(),
      usage: runUsageOf(steps.map(({ usage }) => usage)),
    })

    try {
      for (let step = 1; ; step += 1) {
        const completion = await complete(task, { ...request, messages: [...messages] }, step === 1 ? first : later)
        steps.push(completion)
        const { message, calls } = turnOf(completion, taken)
        messages.push(message)
        if (calls.length === 0) {
          return Object.freeze({ ...ranWith(completion, calls), ended: 'answer', data: completion.data })
        }
        if (step >= maxSteps) return Object.freeze({ ...ranWith(completion, calls), ended: 'steps', data: null })
        const texts = await runTools(calls, { toolbox, step, cancellation, clock })
        for (const [index, { call }] of calls.entries()) {
          const content = texts[index] ?? null
          if (content !== null) messages.push({ role: 'tool', tool_call_id: call.id, content })
        }
        if (cancellation.canceled) {
          const parts = { kind: 'canceled', plan: completion.plan, reason: cancellation.reason } as const
          throw new AbortError(`task "${completion.usage.task}" was aborted in step ${step}, by its tools`, parts)
        }
        const open = calls.filter((_, index) => texts[index] === null)
        if (open.length > 0) {
          return Object.freeze({ ...ranWith(completion, open), ended: 'handed-over', data: null })
        }
      }
    } catch (error) {
      if (steps.length > 0) noteRun(error, soFar())
      throw error
    } finally {
      cancellation.release()
    }
  }
}

function checkedRun<Tools extends readonly Tool[]>(
  options: RunOptions<Schema | undefined, Tools>,
): RunOptions<Schema | undefined, Tools> {
  if (!isFields(options)) throw new ConfigError('options', `expected { tools }, got ${kindOf(options)}`)
  const { maxSteps } = options
  if (maxSteps !== undefined && !(Number.isSafeInteger(maxSteps) && maxSteps >= 1)) {
    throw new ConfigError('options.maxSteps', `expected a whole number from 1, got ${plainly(maxSteps)}`)
  }
  return options
}

/** Two lists of tools would leave open whose a call is. */
function refuseTools(settings: RequestSettings | undefined, field: string): void {
  if (settings?.tools === undefined || settings.tools.length === 0) return
  throw new ConfigError(field, 'expected all tools of a run in options.tools: those without a "run" are handed over')
}

/** What was forced is forced once: a model that has to call something never comes to an answer. */
function freed(options: StepOptions, below: readonly (RequestSettings | undefined)[]): StepOptions {
  const choice = [options.request, ...below].find((settings) => settings?.tool_choice !== undefined)?.tool_choice
  if (choice === undefined || choice === 'auto' || choice === 'none') return options
  const isListed = typeof choice === 'object' && choice.type === 'allowed_tools'
  const tool_choice = isListed
    ? { ...choice, allowed_tools: { ...choice.allowed_tools, mode: 'auto' as const } }
    : ('auto' as const)
  return { ...options, request: { ...options.request, tool_choice } }
}

/** By its name a call is one of the tools', and its arguments were checked when it came. */
function isCallOf<Tools extends readonly Tool[]>(call: ToolCall, toolbox: Toolbox): call is CallOf<Tools> {
  return toolbox.find(call.name) !== undefined
}

const RUN = Symbol.for('modelfirst.run')

/** Beside the error and not among its fields: it is what was said, and errors are logged. */
function noteRun(error: unknown, { steps, messages }: Pick<StoppedRun, 'steps' | 'messages'>): void {
  if (typeof error !== 'object' || error === null) return
  const records = steps.map(({ usage }) => usage)
  if (RouterError.is(error) && error.usage !== null) records.push(error.usage)
  const value: StoppedRun = Object.freeze({ steps, messages, usage: runUsageOf(records) })
  // A frozen error is thrown as it is.
  Reflect.defineProperty(error, RUN, { value, enumerable: false })
}

/**
 * What a run had done before this error ended it; `null`: it is not from a run, or nothing was done.
 *
 * @example
 * ```ts
 * const before = runOf(error)
 * if (before !== null) console.log(before.steps.length, before.usage.cost)
 * ```
 */
export function runOf(error: unknown): StoppedRun | null {
  if (typeof error !== 'object' || error === null) return null
  try {
    const run: unknown = Reflect.get(error, RUN)
    return isStopped(run) ? run : null
  } catch {
    // A revoked proxy is none of ours, and whoever asks is handling an error already.
    return null
  }
}

function isStopped(value: unknown): value is StoppedRun {
  return isFields(value) && Array.isArray(value.steps) && Array.isArray(value.messages) && isFields(value.usage)
}
