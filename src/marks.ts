import type { Caching } from './caching.ts'
import type { ChatMessage } from './chat.ts'
import { type Fields, fields, isFields, isPresent, list } from './fields.ts'

/** What a prompt is, besides its messages. */
export interface Prompt {
  readonly caching: Caching
  /** Of the whole prompt, tools included. */
  readonly promptTokens: number
  readonly tools?: unknown
}

const MARK = Object.freeze({ type: 'ephemeral' })

/** What a message costs besides its text, in characters; and a picture, a recording, a file. */
const MESSAGE_CHARACTERS = 16
const PART_CHARACTERS = 4000

/**
 * Marks what a cache is to keep, where nothing is kept without: the instructions, the conversation as far as it goes, as
 * far as it went before the last answer, and its last question before. Beginnings that are too short to be kept are not
 * marked, and nothing is where the caller has placed a mark himself.
 */
export function marked(
  messages: readonly ChatMessage[],
  { caching, promptTokens, tools }: Prompt,
): readonly ChatMessage[] {
  if (!caching.marked || promptTokens < caching.least) return messages
  if (list(tools).some(isMarked) || messages.some(hasMark)) return messages
  const spots = spotsOf(messages)
  if (spots.size === 0) return messages
  const ends = endsOf(messages, tools)
  const share = promptTokens / (ends.at(-1) ?? 1)
  const fitting = new Set([...spots].filter((index) => (ends[index] ?? 0) * share >= caching.least))
  if (fitting.size === 0) return messages
  return messages.map((message, index) => (fitting.has(index) ? withMark(message) : message))
}

function spotsOf(messages: readonly ChatMessage[]): ReadonlySet<number> {
  const begun = messages.findIndex((message) => !isInstruction(message))
  const first = begun === -1 ? messages.length : begun
  const lastBefore = (end: number, from: number, role?: string) =>
    messages.findLastIndex(
      (message, index) =>
        index < end && index >= from && (role === undefined || message.role === role) && canBeMarked(message),
    )
  const last = lastBefore(messages.length, first)
  const isAnswer = (message: ChatMessage | undefined) => message?.role === 'assistant'
  const answer = messages.findLastIndex((message, index) => isAnswer(message) && !isAnswer(messages[index - 1]))
  // Looked for from each mark, an earlier beginning is found only a few messages back: hence the two in the middle.
  const spots = [lastBefore(first, 0), lastBefore(last, first, 'user'), lastBefore(answer, first), last]
  return new Set(spots.filter((index) => index !== -1))
}

function isInstruction({ role }: ChatMessage): boolean {
  return role === 'system' || role === 'developer'
}

/** Only text can carry a mark, and only text that says something. */
function canBeMarked({ content }: ChatMessage): boolean {
  return isText(content) || (Array.isArray(content) && content.some((part) => isText(fields(part)?.text)))
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== ''
}

function withMark(message: ChatMessage): ChatMessage {
  const { content }: Fields = { ...message }
  const parts: readonly unknown[] = Array.isArray(content) ? content : [{ type: 'text', text: content }]
  const at = parts.findLastIndex((part) => isText(fields(part)?.text))
  const carrying = parts.map((part, index) => (index === at ? { ...fields(part), cache_control: MARK } : part))
  return Object.assign({ ...message }, { content: carrying })
}

/** Where each message ends, in characters from the beginning of the prompt; tools stand before all messages. */
function endsOf(messages: readonly ChatMessage[], tools: unknown): readonly number[] {
  let end = Array.isArray(tools) && tools.length > 0 ? JSON.stringify(tools).length : 0
  return messages.map((message) => {
    end += MESSAGE_CHARACTERS + charactersOf(message)
    return end
  })
}

function charactersOf(message: ChatMessage): number {
  const { content, tool_calls: calls }: Fields = { ...message }
  let characters = typeof content === 'string' ? content.length : 0
  for (const { text } of list(content)) characters += typeof text === 'string' ? text.length : PART_CHARACTERS
  for (const call of list(calls)) {
    const { name, arguments: json } = fields(call.function) ?? {}
    characters += `${name ?? ''}${json ?? ''}`.length
  }
  return characters
}

function hasMark(message: ChatMessage): boolean {
  return isMarked(message) || list(message.content).some(isMarked)
}

function isMarked(value: unknown): boolean {
  return isFields(value) && (isPresent(value.cache_control) || isPresent(value.prompt_cache_breakpoint))
}
