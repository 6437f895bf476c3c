import type { ChatMessage } from './chat.ts'
import { type Fields, fields, isFields, isPresent, list } from './fields.ts'

/** Marks inside content parts that only OpenRouter and the hosts behind it understand. */
const PART_EXTRAS = ['cache_control', 'prompt_cache_breakpoint']

/**
 * Takes out what another provider left in the history: keys that are not `allowed` for a message of its kind, keys set
 * to null (some servers refuse them), and cache marks inside content parts.
 */
export function withoutStrangers(
  messages: readonly ChatMessage[],
  allowed: (role: string) => ReadonlySet<string>,
): readonly ChatMessage[] {
  return eachMessage(messages, (message) => {
    const keys = allowed(message.role)
    let kept: ChatMessage = message
    let key: keyof ChatMessage
    for (key in message) {
      const value = message[key]
      const stays = keys.has(key) && value !== undefined && (value !== null || key === 'content')
      if (!stays) kept = without(kept, key)
    }
    if (Array.isArray(kept.content) && kept.content.some(hasExtras)) {
      const content = kept.content.map((part) => PART_EXTRAS.reduce<object>((rest, key) => without(rest, key), part))
      kept = Object.assign({ ...kept }, { content })
    }
    return kept
  })
}

/**
 * Takes out the thoughts that the next model cannot read, in their order: signatures and ciphers of another family are
 * refused by whoever checks them. `keepsEmpty`: there has to be a list even when nothing is left in it.
 */
export function withThoughts(
  messages: readonly ChatMessage[],
  reads: (thought: Fields) => boolean,
  keepsEmpty: boolean,
): readonly ChatMessage[] {
  return eachMessage(messages, (message) => {
    const thoughts = fields(message)?.reasoning_details
    if (!Array.isArray(thoughts) || thoughts.every((thought) => isFields(thought) && reads(thought))) return message
    const left = list(thoughts).filter(reads)
    if (left.length === 0 && !keepsEmpty) return without(message, 'reasoning_details')
    return { ...message, reasoning_details: left }
  })
}

/** Each message as it is to be; where none changes, the very same list: a clean history costs nothing but the look. */
export function eachMessage(
  messages: readonly ChatMessage[],
  change: (message: ChatMessage) => ChatMessage,
): readonly ChatMessage[] {
  let changed: ChatMessage[] | null = null
  for (let index = 0; index < messages.length; index++) {
    const message = messages[index]
    if (message === undefined) continue
    const next = change(message)
    if (changed !== null) changed.push(next)
    else if (next !== message) changed = [...messages.slice(0, index), next]
  }
  return changed ?? messages
}

/** Keys that may be named: all others are the caller's own words. */
const NAMED = new Set([
  'annotations',
  'audio',
  'cache_control',
  'function_call',
  'id',
  'images',
  'metadata',
  'model',
  'name',
  'reasoning',
  'reasoning_content',
  'reasoning_details',
  'refusal',
  'status',
  'timestamp',
  'tool_call_id',
  'tool_calls',
])

/**
 * What was taken out of a history or renamed on its way, in words without content: as many at the most as there are
 * keys with a name. Marks that were added count for nothing, nor does what was null.
 */
export function dropped(before: readonly ChatMessage[], after: unknown): readonly string[] {
  if (before === after || !Array.isArray(after)) return []
  const counts = new Map<string, number>()
  const renamed = new Set<unknown>()
  before.forEach((message, index) => {
    const sent = after[index] === message ? undefined : fields(after[index])
    if (sent === undefined) return
    const words = new Set(Object.entries(message).flatMap(([key, value]) => taken(key, value, sent[key])))
    for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
    for (const id of renamedIds(message, sent)) renamed.add(id)
  })
  const lines = [...counts].sort().map(([word, count]) => `${word} of ${count} ${count === 1 ? 'message' : 'messages'}`)
  if (renamed.size > 0) lines.push(`${renamed.size} tool call ${renamed.size === 1 ? 'id' : 'ids'} mapped`)
  return Object.freeze(lines)
}

function taken(key: string, value: unknown, sent: unknown): readonly string[] {
  if (!isPresent(value) || value === sent) return []
  if (!isPresent(sent)) return [NAMED.has(key) ? key : 'other keys']
  if (key === 'reasoning_details' && Array.isArray(value) && Array.isArray(sent) && sent.length < value.length) {
    return [sent.length === 0 ? key : `some ${key}`]
  }
  if (key !== 'content' || !Array.isArray(value) || !Array.isArray(sent)) return []
  const lost = value.some((part, index) => hasExtras(part) && !hasExtras(sent[index]))
  return lost ? ['cache marks'] : []
}

function renamedIds(message: ChatMessage, sent: Fields): readonly unknown[] {
  const { tool_calls: calls, tool_call_id: id }: Fields = { ...message }
  const names = list(sent.tool_calls)
  const ids = names.length === 0 ? [] : list(calls).flatMap((call, at) => (call.id === names[at]?.id ? [] : [call.id]))
  return isPresent(sent.tool_call_id) && id !== sent.tool_call_id ? [...ids, id] : ids
}

function hasExtras(part: unknown): boolean {
  return isFields(part) && PART_EXTRAS.some((key) => key in part)
}

function without<T extends object>(from: T, key: string): T {
  const rest = { ...from }
  Reflect.deleteProperty(rest, key)
  return rest
}
