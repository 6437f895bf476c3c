import type { ChatMessage } from './chat.ts'
import { isFields } from './fields.ts'

/** Marks inside content parts that only OpenRouter and the hosts behind it understand. */
const PART_EXTRAS = new Set(['cache_control', 'prompt_cache_breakpoint'])

/**
 * Takes out what another provider left in the history: keys that are not `allowed` for a message of its kind, keys set
 * to null (some servers refuse them), and cache marks inside content parts. Untouched messages are passed on as they
 * are, so a clean history costs nothing but the look.
 */
export function withoutStrangers(
  messages: readonly ChatMessage[],
  allowed: (role: string) => ReadonlySet<string>,
): readonly ChatMessage[] {
  let changed = false
  const cleaned = messages.map((message) => {
    const keys = allowed(message.role)
    let kept: ChatMessage = message
    for (const [key, value] of Object.entries(message)) {
      const stays = keys.has(key) && value !== undefined && (value !== null || key === 'content')
      if (!stays) kept = without(kept, key)
    }
    if (Array.isArray(kept.content) && kept.content.some(hasExtras)) {
      const content = kept.content.map((part) =>
        [...PART_EXTRAS].reduce<object>((rest, key) => without(rest, key), part),
      )
      kept = Object.assign({ ...kept }, { content })
    }
    if (kept !== message) changed = true
    return kept
  })
  return changed ? cleaned : messages
}

function hasExtras(part: unknown): boolean {
  if (!isFields(part)) return false
  for (const key of PART_EXTRAS) if (key in part) return true
  return false
}

function without<T extends object>(from: T, key: string): T {
  const rest = { ...from }
  Reflect.deleteProperty(rest, key)
  return rest
}
