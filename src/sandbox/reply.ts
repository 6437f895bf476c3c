import { type Fields, fieldsOf, isFields, listOf, textOf } from './json.ts'
import { fingerprint, headerOf, type Prompt, tokensOf } from './prompt.ts'
import { sample } from './schema.ts'
import { seeded } from './seeded.ts'

export interface SandboxToolCall {
  readonly name: string
  /** An object, or the raw text a model might get wrong. */
  readonly arguments: unknown
}

/** An answer as a script may give it; what is left out is made up. */
export interface GivenAnswer {
  readonly text?: string
  readonly toolCalls?: readonly SandboxToolCall[]
  readonly reasoning?: string
  readonly finish?: string
}

/** What a model says to a prompt. */
export interface Reply {
  readonly text: string
  readonly reasoning: string
  readonly toolCalls: readonly { readonly id: string; readonly name: string; readonly arguments: string }[]
  readonly finish: string
  readonly completionTokens: number
  readonly reasoningTokens: number
}

export interface Asked {
  readonly body: Fields
  readonly prompt: Prompt
  readonly seed: number
  readonly maxTokens: number
  /** How much it thinks before it answers, in tokens; 0 for a model that does not. */
  readonly thinking: number
  readonly given: GivenAnswer | undefined
}

const OPENINGS = [
  'Yes, that can be done in a few small steps.',
  'Here is the short version.',
  'The main point is simple.',
  'There are two things to keep in mind.',
  'That depends on what you want to keep.',
]
const MIDDLES = [
  'Start with the part that changes least and leave the rest as it is.',
  'Measure it once before and once after, with the same input.',
  'The first option costs less, the second one is easier to undo.',
  'Most of the work is in the details that nobody wrote down.',
  'If two answers look alike, take the one that is shorter.',
  'A small test on real data tells more than a long plan.',
  'Keep the names plain, and the order will explain itself.',
]
const CLOSINGS = [
  'That should be enough to begin with.',
  'Tell me if you want an example.',
  'Everything else can wait.',
  'I would try that first.',
]
const THOUGHTS = [
  'The user wants a direct answer.',
  'Let me check what is given and what is missing.',
  'The shorter way seems right here.',
  'I should keep the answer brief and say what it depends on.',
]
/** Questions that one answers with a tool rather than from memory. */
const NEEDS_TOOL =
  /\b(weather|temperature|forecast|search|look ?up|find|fetch|get|call|use|compute|calculate|convert|book|send|check|price|stock|add|run|query|list|read|create|schedule)\b/i

/** The same request and the same seed give the same reply, whichever model is asked. */
export function makeReply(asked: Asked): Reply {
  const { body, prompt, given } = asked
  const start = fingerprint(prompt.text) ^ asked.seed
  const random = seeded(start)
  const calls = given === undefined ? chosenCalls(body, random) : given.toolCalls?.map((call) => ({ ...call }))
  const toolCalls = (calls ?? []).map((call) => ({
    id: `call_${Math.floor(random() * 2 ** 32).toString(36)}${Math.floor(random() * 2 ** 32).toString(36)}`,
    name: call.name,
    arguments: typeof call.arguments === 'string' ? call.arguments : JSON.stringify(call.arguments ?? {}),
  }))
  // A scripted answer is taken at its word: no thinking that the script does not mention.
  const reasoning =
    given?.reasoning ?? (given === undefined && asked.thinking > 0 ? think(asked.thinking, seeded(start + 1)) : '')
  const text = given === undefined ? (toolCalls.length > 0 ? '' : words(asked, seeded(start))) : (given.text ?? '')
  return limited({ text, reasoning, toolCalls, finish: given?.finish }, asked.maxTokens)
}

interface Whole {
  readonly text: string
  readonly reasoning: string
  readonly toolCalls: Reply['toolCalls']
  readonly finish: string | undefined
}

/** Cuts at the limit: thinking counts first, then the text, then the calls. */
function limited(whole: Whole, most: number): Reply {
  const reasoningTokens = Math.min(tokensOf(whole.reasoning), most)
  const room = most - reasoningTokens
  const textTokens = Math.min(tokensOf(whole.text), room)
  let left = room - textTokens
  const toolCalls: Reply['toolCalls'][number][] = []
  let callTokens = 0
  for (const call of whole.toolCalls) {
    const size = tokensOf(call.name) + tokensOf(call.arguments)
    if (left <= 0) break
    const kept = size <= left ? call : { ...call, arguments: call.arguments.slice(0, left * 4) }
    toolCalls.push(kept)
    callTokens += Math.min(size, left)
    left -= size
  }
  const cut =
    tokensOf(whole.reasoning) > reasoningTokens || tokensOf(whole.text) > textTokens || (left < 0 && callTokens > 0)
  const missing = toolCalls.length < whole.toolCalls.length
  return {
    text: whole.text.slice(0, textTokens * 4),
    reasoning: whole.reasoning.slice(0, reasoningTokens * 4),
    toolCalls,
    finish: cut || missing ? 'length' : (whole.finish ?? (toolCalls.length > 0 ? 'tool_calls' : 'stop')),
    completionTokens: reasoningTokens + textTokens + callTokens,
    reasoningTokens,
  }
}

function words(asked: Asked, random: () => number): string {
  const format = fieldsOf(asked.body.response_format)
  if (format.type === 'json_schema') return JSON.stringify(sample(fieldsOf(format.json_schema).schema, random))
  if (format.type === 'json_object') return JSON.stringify({ answer: prose(random), ok: true })
  const last = fieldsOf(listOf(asked.body.messages).at(-1))
  if (last.role !== 'assistant' || typeof last.content !== 'string') return prose(random)
  // An answer that was begun is taken up where it stops, as if it had never been cut.
  const before = listOf(asked.body.messages).slice(0, -1)
  const whole = words({ ...asked, body: { ...asked.body, messages: before } }, seeded(begun(asked)))
  return whole.startsWith(last.content) ? whole.slice(last.content.length) : prose(random)
}

/** The seed of the prompt without the answer that was begun. */
function begun(asked: Asked): number {
  const last = fieldsOf(listOf(asked.body.messages).at(-1))
  const content = textOf(last.content) ?? ''
  const tail = Math.ceil(content.length / 4) * 4 + headerOf('assistant').length
  return fingerprint(asked.prompt.text.slice(0, -tail)) ^ asked.seed
}

function prose(random: () => number): string {
  const middles = [...MIDDLES]
  const chosen = [pick(OPENINGS, random)]
  for (let count = 1 + Math.floor(random() * 3); count > 0; count--) {
    chosen.push(...middles.splice(Math.floor(random() * middles.length), 1))
  }
  chosen.push(pick(CLOSINGS, random))
  return chosen.join(' ')
}

function think(tokens: number, random: () => number): string {
  let text = pick(THOUGHTS, random)
  while (tokensOf(text) < tokens) text += ` ${pick(THOUGHTS, random)}`
  return text.slice(0, tokens * 4).trimEnd()
}

function chosenCalls(body: Fields, random: () => number): readonly SandboxToolCall[] {
  const tools = listOf(body.tools)
    .map((tool) => fieldsOf(fieldsOf(tool).function))
    .filter((tool) => typeof tool.name === 'string')
  const first = tools[0]
  if (first === undefined || body.tool_choice === 'none') return []
  const choice = body.tool_choice
  const named = isFields(choice) ? tools.find((tool) => tool.name === fieldsOf(choice.function).name) : undefined
  const last = fieldsOf(listOf(body.messages).at(-1))
  const forced = named ?? (choice === 'required' ? first : undefined)
  if (forced !== undefined) return [callOf(forced, random)]
  // What a tool returned is answered in words.
  if (last.role !== 'user' || !NEEDS_TOOL.test(spoken(last))) return []
  const asked = spoken(last).toLowerCase()
  const fitting = tools.find((tool) =>
    String(tool.name)
      .toLowerCase()
      .split(/[_\-.]/)
      .some((word) => word.length > 2 && asked.includes(word)),
  )
  return [callOf(fitting ?? first, random)]
}

function callOf(tool: Fields, random: () => number): SandboxToolCall {
  const parameters = isFields(tool.parameters) ? tool.parameters : { type: 'object' }
  return { name: String(tool.name), arguments: sample(parameters, random) }
}

function spoken(message: Fields): string {
  if (typeof message.content === 'string') return message.content
  return listOf(message.content)
    .map((part) => textOf(fieldsOf(part).text) ?? '')
    .join(' ')
}

function pick(list: readonly string[], random: () => number): string {
  return list[Math.floor(random() * list.length)] ?? ''
}
