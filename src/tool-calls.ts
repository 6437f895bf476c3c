import type { AssistantMessage, ChatMessage, ToolCall } from './chat.ts'
import { isFields, replayable } from './fields.ts'

/** One answer of a run, with ids that no other call of its history has. */
export interface Turn {
  readonly message: AssistantMessage
  readonly calls: readonly Called[]
}

export interface Called {
  readonly call: ToolCall
  /** The place of the same call in the same answer, which was said twice; `null`: it is another one. */
  readonly twinOf: number | null
}

/** With a number behind it, short enough for everybody who limits ids. */
const LONGEST_STEM = 30

/** The ids that a history has. */
export function idsIn(messages: readonly ChatMessage[]): Set<string> {
  const ids = new Set<string>()
  for (const message of messages) {
    if (message.role === 'tool') ids.add(message.tool_call_id)
    else if (message.role === 'assistant' && Array.isArray(message.tool_calls)) {
      for (const call of message.tool_calls) ids.add(call.id)
    }
  }
  return ids
}

/**
 * Hosts count their calls from 0 in each answer, and some give all of one answer the same id; others refuse a history
 * in which an id comes twice. The later ones get another id. `taken` grows by what is in the answer.
 */
export function turnOf(
  { message, toolCalls }: { readonly message: AssistantMessage; readonly toolCalls: readonly ToolCall[] },
  taken: Set<string>,
): Turn {
  const own = new Set(toolCalls.map(({ id }) => id))
  /** By the id that came: those that its calls have now, in their order. */
  const ids = new Map<string, string[]>()
  const calls: Called[] = []
  for (const call of toolCalls) {
    const { id, name, json } = call
    const twin = calls.length === 0 ? -1 : toolCalls.findIndex((other) => isSame(other, { id, name, json }))
    const fresh = taken.has(id) ? freshId(id, (other) => taken.has(other) || own.has(other)) : id
    taken.add(fresh)
    ids.set(id, [...(ids.get(id) ?? []), fresh])
    const twinOf = twin === -1 || twin >= calls.length ? null : twin
    calls.push({ call: fresh === id ? call : Object.freeze({ ...call, id: fresh }), twinOf })
  }
  const isClean = calls.every(({ call }, index) => call === toolCalls[index])
  return { message: isClean ? message : withIds(message, calls, ids), calls }
}

function isSame(one: ToolCall, other: Omit<ToolCall, 'arguments'>): boolean {
  return one.id === other.id && one.name === other.name && one.json === other.json
}

function freshId(id: string, isTaken: (id: string) => boolean): string {
  const stem = id.slice(0, LONGEST_STEM)
  let n = 2
  while (isTaken(`${stem}_${n}`)) n += 1
  return `${stem}_${n}`
}

/** Thoughts may name the call that they belong to: they follow it. */
function withIds(
  message: AssistantMessage,
  calls: readonly Called[],
  ids: ReadonlyMap<string, readonly string[]>,
): AssistantMessage {
  const toolCalls = calls.map(({ call: { id, name, json } }) => ({
    id,
    type: 'function' as const,
    function: { name, arguments: replayable(json) },
  }))
  const named = { ...message, tool_calls: toolCalls }
  if (message.reasoning_details === undefined) return named
  const seen = new Map<string, number>()
  const thoughts = message.reasoning_details.map((thought) => {
    const id = isFields(thought) ? thought.id : undefined
    const now = typeof id === 'string' ? ids.get(id) : undefined
    if (typeof id !== 'string' || now === undefined || !isFields(thought)) return thought
    const place = seen.get(id) ?? 0
    seen.set(id, place + 1)
    return { ...thought, id: now[Math.min(place, now.length - 1)] }
  })
  return { ...named, reasoning_details: thoughts }
}
