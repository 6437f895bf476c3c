import type { ChatCompletionTool } from 'openai/resources/chat/completions'
import type { ToolCall } from './chat.ts'
import { ConfigError } from './errors.ts'
import { isFields } from './fields.ts'
import { nearest } from './nearest.ts'
import { A_FUNCTION, A_STRING, checkOptions, type Expectation, expected, kindOf } from './options.ts'
import { type Checked, type DataOf, type Schema, type Shape, shapeOf } from './schema.ts'

/** What a tool is told besides its arguments. */
export interface ToolContext {
  /** As the history has it. */
  readonly callId: string
  /** Aborts with the run, and when the tool's own time is over. */
  readonly signal: AbortSignal
  /** Of the run, from 1. */
  readonly step: number
}

/** Something that a model may ask for. */
export interface Tool<Name extends string = string, Args = never, Result = unknown> {
  readonly name: Name
  /** What it does and when to use it: the model reads this. */
  readonly description?: string | undefined
  /** What its arguments are; always an object. */
  readonly input: Schema
  /** Left out: whoever asks runs it, and a run ends where it is called. */
  readonly run?: ((args: Args, context: ToolContext) => Result | Promise<Result>) | undefined
  /** How long it may take; then the model is told that it took too long. Left out: as long as it wants. */
  readonly timeoutMs?: number | undefined
}

/** A call of a tool whose arguments are as its schema gives them. */
export interface TypedCall<Name extends string = string, Args = unknown> extends ToolCall {
  readonly name: Name
  readonly arguments: Args
}

/** The calls that these tools may get: `name` tells which `arguments` they have. */
export type CallOf<Tools extends readonly Tool[]> = Tools[number] extends infer Each
  ? Each extends Tool<infer Name, infer Args, unknown>
    ? TypedCall<Name, [Args] extends [never] ? unknown : Args>
    : never
  : never

/** Tools made ready for a call. */
export interface Toolbox {
  /** As requests hold them. */
  readonly definitions: readonly ChatCompletionTool[]
  find(name: string): Tool | undefined
  /** The arguments as the tool gets them, or what is wrong with the call, in words that quote nothing of it. */
  check(call: Pick<ToolCall, 'name' | 'arguments'>): Checked | Promise<Checked>
}

interface Made {
  readonly tool: Tool
  readonly shape: Shape
  readonly definition: ChatCompletionTool
}

const NAME = /^[a-zA-Z0-9_-]{1,64}$/
const MOST_NAMED = 12

const TOOL: Readonly<Record<string, Expectation>> = {
  name: A_STRING,
  description: A_STRING,
  // What a schema has to be is looked at where it is made ready.
  input: expected('a schema', () => true),
  run: A_FUNCTION,
  timeoutMs: expected('milliseconds above 0', (value) => typeof value === 'number' && value > 0),
}

/** Of tools that cannot change any more. */
const made = new WeakMap<object, Made>()

/**
 * A tool whose arguments have the type of its schema: any Standard Schema of an object.
 *
 * @example
 * ```ts
 * const weather = tool({
 *   name: 'weather',
 *   description: 'The weather in a city, now.',
 *   input: z.object({ city: z.string() }),
 *   run: async ({ city }, { signal }) => (await fetch(`https://wttr.in/${city}?format=3`, { signal })).text(),
 * })
 * ```
 */
export function tool<const Name extends string, S extends Schema, Result = never>(definition: {
  readonly name: Name
  readonly description?: string | undefined
  readonly input: S
  readonly run?: ((args: DataOf<S>, context: ToolContext) => Result | Promise<Result>) | undefined
  readonly timeoutMs?: number | undefined
}): Tool<Name, DataOf<S>, Result> {
  const own: Tool<Name, DataOf<S>, Result> = isFields(definition) ? Object.freeze({ ...definition }) : definition
  const ready = madeOf(own, 'tool')
  made.set(own, ready)
  return own
}

/** All or nothing: names that collide, or a tool that is none, are found before anything is sent. */
export function toolboxOf(tools: readonly Tool[], field: string): Toolbox {
  if (!Array.isArray(tools)) throw new ConfigError(field, `expected a list of tools, got ${kindOf(tools)}`)
  const known = new Map<string, Made>()
  for (const [index, each] of tools.entries()) {
    const ready = madeOf(each, `${field}[${index}]`)
    const { name } = ready.tool
    if (known.has(name)) {
      throw new ConfigError(`${field}[${index}].name`, `expected a name of its own, got a second "${name}"`)
    }
    known.set(name, ready)
  }
  const names = [...known.keys()]
  return Object.freeze<Toolbox>({
    definitions: Object.freeze([...known.values()].map(({ definition }) => definition)),
    find: (name) => known.get(name)?.tool,
    check(call) {
      const called = known.get(call.name)
      if (called !== undefined) return called.shape.check(unwrapped(call.arguments))
      return { ok: false, issues: [{ path: [], message: strange(call.name, names) }] }
    },
  })
}

/** Without the name that was asked for: it is the model's own text. */
function strange(name: string, known: readonly string[]): string {
  const [closest] = nearest(name, known, 1)
  const expected = known.length === 0 ? 'there is none' : `there is ${known.slice(0, MOST_NAMED).join(', ')}`
  return `no tool is called this: ${expected}${closest === undefined ? '' : `; did you mean "${closest}"?`}`
}

/**
 * Arguments are an object: `null` is none at all, as is an empty list, which is how some languages write an empty
 * object; and JSON inside a string was written once too often.
 */
function unwrapped(given: unknown): unknown {
  if (given === null || (Array.isArray(given) && given.length === 0)) return {}
  if (typeof given !== 'string') return given
  try {
    const inside: unknown = JSON.parse(given)
    return isFields(inside) ? inside : given
  } catch {
    return given
  }
}

function madeOf(given: Tool, field: string): Made {
  const known = isFields(given) ? made.get(given) : undefined
  if (known !== undefined) return known
  checkOptions(given, { of: field, says: '{ name, input, run }', known: TOOL })
  const { name, description, input } = given
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw new ConfigError(`${field}.name`, `expected 1 to 64 of a-z, A-Z, 0-9, "_" and "-", got ${kindOf(name)}`)
  }
  const shape = shapeOf(input, `${field}.input`)
  if (shape.json.type !== 'object') {
    const problem = `expected a schema of an object, got one ${saysOf(shape.json.type)}: put it into a property`
    throw new ConfigError(`${field}.input`, problem)
  }
  const described = description === undefined ? { name } : { name, description }
  const definition: ChatCompletionTool = { type: 'function', function: { ...described, parameters: shape.json } }
  return { tool: given, shape, definition: Object.freeze(definition) }
}

function saysOf(type: unknown): string {
  return typeof type === 'string' ? `of ${type}` : 'that says no type of its own'
}
