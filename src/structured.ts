import type { Answer } from './answer.ts'
import type { ChatMessage, ChatRequest } from './chat.ts'
import { fields, isFields } from './fields.ts'
import { readJson } from './lenient.ts'
import type { FormKind } from './plan.ts'
import type { Checked, Issue, JsonSchema, Shape } from './schema.ts'
import { strictly, type Taste } from './strict.ts'
import { idsIn, turnOf } from './tool-calls.ts'

/** A shape as one offer is asked for it. */
export interface Form {
  readonly kind: FormKind
  /** As it is sent. */
  readonly json: JsonSchema
  /** What was sent in another form than it was written, put back; also of a value that is not whole yet. */
  restore(value: unknown): unknown
}

/** What decides on a form. */
export interface Asked {
  /** What a strict schema may say there; `null`: none is taken. */
  readonly taste: Taste | null
  readonly json: boolean
  readonly tools: boolean
  /** The caller's own tools ride along. */
  readonly withTools: boolean
  readonly formatWithTools: boolean
}

/** No tool of the caller's may be called this: see `takesName`. */
const TOOL = 'give_answer'
const NAME = 'answer'
const WRAPPED = 'value'

/**
 * The strictest form that an offer takes. Whatever it is, the answer is checked here as well, so none of them is less
 * than the others; a stricter one only fails less often.
 */
export function formOf(shape: Shape, { taste, json, tools, withTools, formatWithTools }: Asked): Form {
  const takesFormat = formatWithTools || !withTools
  const strict = taste === null || !takesFormat ? null : strictly(shape.json, taste)
  if (strict !== null) return { kind: 'schema', ...strict }
  if (json && takesFormat) return { kind: 'json', ...asObject(shape.json) }
  if (tools) return { kind: 'tool', ...asObject(shape.json) }
  return { kind: 'text', json: shape.json, restore: (value) => value }
}

/** JSON mode and tools give objects and nothing else: any other value is put into one. */
function asObject(json: JsonSchema): Pick<Form, 'json' | 'restore'> {
  if (json.type === 'object') return { json, restore: (value) => value }
  const { $defs, ...inner } = json
  const object = {
    type: 'object',
    properties: { [WRAPPED]: inner },
    required: [WRAPPED],
    additionalProperties: false,
    ...($defs !== undefined && { $defs }),
  }
  return { json: object, restore: (value) => (isWrapped(value) ? value[WRAPPED] : isEmpty(value) ? undefined : value) }
}

/** What it holds is still to come. */
function isEmpty(value: unknown): boolean {
  return isFields(value) && Object.keys(value).length === 0
}

function isWrapped(value: unknown): value is { readonly [WRAPPED]: unknown } {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, WRAPPED)
}

/** The request as this form asks it. */
export function shaped(request: ChatRequest, { kind, json }: Form): ChatRequest {
  const { response_format: _, ...plain } = request
  if (kind === 'schema') {
    const format = { type: 'json_schema' as const, json_schema: { name: NAME, strict: true, schema: json } }
    return { ...plain, response_format: format }
  }
  const tools = request.tools ?? []
  if (kind === 'tool') {
    const taking = { name: TOOL, description: 'Gives the answer, once, as its arguments.', parameters: json }
    return {
      ...plain,
      tools: [...tools, { type: 'function', function: taking }],
      tool_choice: choiceOf(plain),
    }
  }
  const said = instructed(request.messages, json, tools.length > 0)
  return kind === 'json'
    ? { ...plain, messages: said, response_format: { type: 'json_object' } }
    : { ...plain, messages: said }
}

/**
 * With the caller's own beside it, it is the model's choice which one it takes, but not whether; unless the caller has
 * chosen one, or none of them.
 */
function choiceOf({ tools = [], tool_choice: choice }: ChatRequest): NonNullable<ChatRequest['tool_choice']> {
  if (tools.length === 0 || choice === 'none') return { type: 'function', function: { name: TOOL } }
  if (typeof choice !== 'object') return 'required'
  if (choice.type !== 'allowed_tools') return choice
  const allowed = [...choice.allowed_tools.tools, { type: 'function', function: { name: TOOL } }]
  return { ...choice, allowed_tools: { mode: 'required', tools: allowed } }
}

/** Whether a request has a tool of the name that answers are taken under. */
export function takesName({ tools = [] }: Pick<ChatRequest, 'tools'>): boolean {
  return tools.some((tool) => tool.type === 'function' && tool.function.name === TOOL)
}

/** Behind what the caller says first, so that it is the same prefix each time and can be kept by a cache. */
function instructed(messages: readonly ChatMessage[], json: JsonSchema, withTools: boolean): readonly ChatMessage[] {
  const when = withTools ? 'When you have called all the tools you need, answer' : 'Answer'
  const content = `${when} with JSON alone that follows this JSON Schema, without any other text:\n${JSON.stringify(json)}`
  const index = messages.findIndex(({ role }) => role !== 'system' && role !== 'developer')
  const at = index === -1 ? messages.length : index
  return [...messages.slice(0, at), { role: 'system', content }, ...messages.slice(at)]
}

/** Whether a piece of a tool call is a piece of the answer. */
export function isAnswer(form: Form | undefined, name: string | null): boolean {
  return form?.kind === 'tool' && name === TOOL
}

/** An answer that was given as the arguments of a tool call is an answer like any other. */
export function unwrapped(answer: Answer, form: Form | undefined): Answer {
  const given = form?.kind === 'tool' ? answer.toolCalls.find(({ name }) => name === TOOL) : undefined
  if (given === undefined) return answer
  const toolCalls = answer.toolCalls.filter(({ name }) => name !== TOOL)
  const { tool_calls: calls = [], ...message } = answer.message
  const others = calls.filter(({ function: { name } }) => name !== TOOL)
  return {
    ...answer,
    text: given.json,
    toolCalls,
    message: { ...message, content: given.json, ...(others.length > 0 && { tool_calls: others }) },
    finish: toolCalls.length > 0 ? answer.finish : { ...answer.finish, reason: 'stop' },
  }
}

/** What an answer's text is as a value of the shape, or why it is none. */
export function checkedValue(answer: Answer, shape: Shape, form: Form): Checked | Promise<Checked> {
  const { text, finish } = answer
  const read = readJson(text)
  const mayBeCut = finish.reason === 'length' && !isClosed(text)
  if ('value' in read && !mayBeCut) return shape.check(form.restore(read.value))
  const message = mayBeCut || !('problem' in read) ? CUT : PROBLEMS[read.problem]
  return { ok: false, issues: [{ path: NOWHERE, message }] }
}

/** Of what was cut at its limit, a number may be half of one, and an object the draft of another. */
function isClosed(text: string): boolean {
  const bare = text.trim()
  return /^(?:```|[{["])/.test(bare) && /(?:```|[}\]"])$/.test(bare)
}

const NOWHERE: readonly never[] = Object.freeze([])
const CUT = 'the JSON ends in the middle'

const PROBLEMS = {
  empty: 'there is no text',
  'not-json': 'there is no JSON in it',
  cut: CUT,
  'too-deep': 'the JSON is nested too deep',
  'too-large': 'the JSON is too large',
} as const

/** What a model reads and writes a path as: `items[2].price`. */
export function pathOf(path: Issue['path']): string {
  return path.reduce<string>((said, step) => {
    if (typeof step === 'number') return `${said}[${step}]`
    return said === '' ? step : `${said}.${step}`
  }, '')
}

export function lineOf({ path, message }: Issue): string {
  return path.length === 0 ? message : `${pathOf(path)}: ${message}`
}

/** More of an answer than this is not quoted to the model that wrote it: it would be paid for once more. */
const MOST_QUOTED = 20_000

/** What is said to a model whose answer did not fit: its own words, and what is wrong with them. */
export function mended(
  answer: Pick<Answer, 'text' | 'toolCalls' | 'message'>,
  issues: readonly Issue[],
  before: readonly ChatMessage[],
): readonly ChatMessage[] {
  const wrong = issues.map((issue) => `- ${lineOf(issue)}`).join('\n')
  const { text, toolCalls } = answer
  // What was cut off is of no use to go on from, and as long as what is allowed.
  const isCut = issues.some(({ message }) => message === CUT)
  if (isCut) return [{ role: 'user', content: 'Your last answer was cut off. Answer again, shorter.' }]
  if (toolCalls.length > 0) {
    const length = toolCalls.reduce((sum, { json }) => sum + json.length, text.length)
    const content = `Nothing was run, since the calls do not fit:\n${wrong}\nCall again with what is corrected.`
    if (length > MOST_QUOTED) return [{ role: 'user', content }]
    // Some hosts give an id twice, and others refuse what has one twice.
    const { message, calls } = turnOf(answer, idsIn(before))
    return [message, ...calls.map(({ call }): ChatMessage => ({ role: 'tool', tool_call_id: call.id, content }))]
  }
  const content = `Your answer does not fit:\n${wrong}\nAnswer again with the corrected JSON alone.`
  const own: readonly ChatMessage[] =
    text === '' || text.length > MOST_QUOTED ? [] : [{ role: 'assistant', content: text }]
  return [...own, { role: 'user', content }]
}

/** An answer without the calls of tools that nobody has offered: what is left of it is its text. */
export function uncalled(answer: Answer): Answer {
  const { tool_calls: _, ...message } = answer.message
  const { finish, text } = answer
  const ended = finish.reason === 'tool-calls' ? { ...finish, reason: 'stop' as const } : finish
  return { ...answer, toolCalls: [], message: { ...message, content: text }, finish: ended }
}

/** What an endpoint could not use, and whose answer it therefore kept: its issues, and the text, where it is told. */
export function kept(
  body: unknown,
  { answer, form, shape }: { answer: Answer | null; form: Form | undefined; shape: Shape | null },
): { readonly text: string; readonly issues: readonly Issue[] | Promise<readonly Issue[]> } {
  const error = fields(fields(body)?.error)
  const written = error?.failed_generation
  const text = typeof written === 'string' ? written : ''
  // The arguments of a call, which are all that is checked of an answer before it comes here.
  if (answer !== null && error === undefined)
    return { text: '', issues: [{ path: TOOLS, message: answer.finish.reason === 'length' ? CUT : BROKEN }] }
  const unread = [{ path: NOWHERE, message: text === '' ? PROBLEMS.empty : UNREAD }]
  if (text === '' || shape === null || form === undefined || form.kind === 'tool') return { text, issues: unread }
  const read = readJson(text)
  if (!('value' in read)) return { text, issues: [{ path: NOWHERE, message: PROBLEMS[read.problem] }] }
  const issuesOf = (checked: Checked) => (checked.ok ? unread : checked.issues)
  const checked = shape.check(form.restore(read.value))
  return { text, issues: checked instanceof Promise ? checked.then(issuesOf) : issuesOf(checked) }
}

const TOOLS: readonly string[] = Object.freeze(['tools'])
const BROKEN = 'the arguments are not JSON'
const UNREAD = 'the endpoint could not make use of it'

/** The same, of an answer that the endpoint kept. */
export function mendedKept(text: string, issues: readonly Issue[]): readonly ChatMessage[] {
  const answer = { text, toolCalls: NOWHERE, message: { role: 'assistant', content: text } } as const
  return mended(answer, issues, NOWHERE)
}
