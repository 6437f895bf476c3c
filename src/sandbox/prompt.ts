import { type Fields, fieldsOf, isFields, listOf, textOf } from './json.ts'

/**
 * A prompt as the model reads it. One token is four characters, and every piece is padded to whole tokens, so that a
 * position in the text is a position in tokens: prefixes, cache blocks and bills all count the same.
 */
export interface Prompt {
  readonly text: string
  readonly tokens: number
  readonly images: number
  /** The end of each piece, in tokens, and whether the caller marked it as the end of something to cache. */
  readonly ends: readonly End[]
  /** What conversation it is, as OpenRouter tells them apart when nobody names it. */
  readonly opening: string
}

export interface End {
  readonly at: number
  readonly mark?: '5m' | '1h'
}

const CHARACTERS = 4
/** Every image counts as much, whatever its size. */
const IMAGE_TOKENS = 512

/** The tokens of a text. */
export function tokensOf(text: string): number {
  return Math.ceil(text.length / CHARACTERS)
}

/** What stands before a message: whole tokens, as every piece. */
export function headerOf(role: string): string {
  return `<|${role}|>`.padEnd(role.length > 8 ? 16 : 12)
}

export function readPrompt(body: Fields): Prompt {
  const pieces: string[] = []
  const ends: End[] = []
  let tokens = 0
  let images = 0
  let system = ''
  let first: string | undefined

  function add(piece: string, mark?: End['mark']): void {
    const padded = piece.padEnd(Math.ceil(piece.length / CHARACTERS) * CHARACTERS)
    pieces.push(padded)
    tokens += padded.length / CHARACTERS
    ends.push(mark === undefined ? { at: tokens } : { at: tokens, mark })
  }

  for (const tool of listOf(body.tools)) {
    add(JSON.stringify(withoutMarks(fieldsOf(tool))), markOf(tool))
  }
  if (isFields(body.response_format) && body.response_format.type === 'json_schema') {
    add(JSON.stringify(body.response_format))
  }
  for (const entry of listOf(body.messages)) {
    const message = fieldsOf(entry)
    const start = pieces.length
    add(headerOf(textOf(message.role) ?? ''))
    if (typeof message.content === 'string') add(message.content, markOf(message))
    for (const part of listOf(message.content)) {
      if (!isFields(part)) continue
      if (part.type === 'image_url') {
        images++
        // The picture itself belongs to the prefix, its size does not.
        const address = textOf(fieldsOf(part.image_url).url) ?? ''
        add(`${fingerprint(address)}`.padEnd(IMAGE_TOKENS * CHARACTERS), markOf(part))
      } else add(textOf(part.text) ?? JSON.stringify(withoutMarks(part)), markOf(part))
    }
    if (typeof message.reasoning === 'string') add(message.reasoning)
    if (Array.isArray(message.tool_calls)) add(JSON.stringify(message.tool_calls))
    const read = pieces.slice(start).join('')
    if (message.role === 'system' || message.role === 'developer') system ||= read
    else first ??= read
  }
  if (isFields(body.cache_control) && ends.length > 0) {
    ends[ends.length - 1] = { at: tokens, mark: body.cache_control.ttl === '1h' ? '1h' : '5m' }
  }
  return { text: pieces.join(''), tokens, images, ends, opening: `${fingerprint(system)}.${fingerprint(first ?? '')}` }
}

/** Two hashes of the text up to each of these positions (in tokens, ascending), as keys. */
export function prefixKeys(text: string, positions: readonly number[]): readonly string[] {
  const keys: string[] = []
  let one = 0x811c9dc5
  let two = 0x9747b28c
  let read = 0
  for (const position of positions) {
    const end = Math.min(position * CHARACTERS, text.length)
    for (; read < end; read++) {
      const code = text.charCodeAt(read)
      one = Math.imul(one ^ code, 0x01000193)
      two = Math.imul(two ^ code, 0x5bd1e995) + 0x1b873593
    }
    keys.push(`${position}.${(one >>> 0).toString(36)}.${(two >>> 0).toString(36)}`)
  }
  return keys
}

export function fingerprint(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  return hash >>> 0
}

function markOf(part: unknown): End['mark'] | undefined {
  const control = fieldsOf(part).cache_control
  if (!isFields(control)) return undefined
  return control.ttl === '1h' ? '1h' : '5m'
}

function withoutMarks(part: Fields): Fields {
  const { cache_control: _, ...rest } = part
  return rest
}
