import type { ChatMessage } from './chat.ts'
import { eachMessage } from './history.ts'

/** What each family of models takes for the id of a tool call. The first that fits the model's name. */
const RULES: readonly { readonly model: RegExp; readonly takes: RegExp }[] = [
  { model: /mistral|mixtral|ministral|magistral|codestral|devstral|pixtral/i, takes: /^[a-zA-Z0-9]{9}$/ },
  { model: /claude|amazon\/nova/i, takes: /^[a-zA-Z0-9_-]{1,64}$/ },
  // Gemini's thoughts name the calls that they belong to: such an id stays what it is.
  { model: /gemini/i, takes: /^/ },
  { model: /gpt-oss/i, takes: /^[\s\S]{1,64}$/ },
  { model: /(^|\/)(gpt|chatgpt|codex|o\d)/i, takes: /^[\s\S]{1,40}$/ },
]
const OTHERS = /^[\s\S]{1,64}$/

/**
 * Renames the tool calls whose ids the model would refuse, in calls and results alike. The new name follows from the
 * old one, so that a conversation is the same each time it is sent, and everybody takes it.
 */
export function withToolIds(messages: readonly ChatMessage[], wireModel: string): readonly ChatMessage[] {
  const takes = RULES.find(({ model }) => model.test(wireModel))?.takes ?? OTHERS
  const known = new Set<string>()
  for (const message of messages) noteIds(message, known)
  const strange = [...known].filter((id) => !takes.test(id))
  if (strange.length === 0) return messages
  const names = namesFor(strange, known)
  return eachMessage(messages, (message) => renamed(message, names))
}

function noteIds(message: ChatMessage, known: Set<string>): void {
  if (message.role === 'tool') noteId(message.tool_call_id, known)
  else if (message.role === 'assistant' && Array.isArray(message.tool_calls)) {
    for (const call of message.tool_calls) noteId(call?.id, known)
  }
}

function noteId(id: unknown, known: Set<string>): void {
  if (typeof id === 'string') known.add(id)
}

function namesFor(ids: readonly string[], taken: Set<string>): ReadonlyMap<string, string> {
  const names = new Map<string, string>()
  for (const id of ids) {
    let salt = 0
    let name = nameOf(id, salt)
    while (taken.has(name)) name = nameOf(id, ++salt)
    taken.add(name)
    names.set(id, name)
  }
  return names
}

function renamed(message: ChatMessage, names: ReadonlyMap<string, string>): ChatMessage {
  if (message.role === 'tool') {
    const name = names.get(message.tool_call_id)
    return name === undefined ? message : { ...message, tool_call_id: name }
  }
  if (message.role !== 'assistant' || !Array.isArray(message.tool_calls)) return message
  if (!message.tool_calls.some((call) => names.has(call?.id))) return message
  const calls = message.tool_calls.map((call) => {
    const name = names.get(call?.id)
    return name === undefined ? call : { ...call, id: name }
  })
  return Object.assign({ ...message }, { tool_calls: calls })
}

/** Nine letters and digits. */
function nameOf(id: string, salt: number): string {
  let one = 0x811c9dc5 + salt
  let two = 0x9747b28c - salt
  for (let index = 0; index < id.length; index++) {
    const code = id.charCodeAt(index)
    one = Math.imul(one ^ code, 0x01000193)
    two = Math.imul(two ^ code, 0x5bd1e995) + 0x1b873593
  }
  return word(one).slice(-5) + word(two).slice(-4)
}

function word(hash: number): string {
  return (hash >>> 0).toString(36).padStart(7, '0')
}
