import { oneLine } from './redact.ts'

/** A model reads all of it each time it is asked again. */
const MOST_BYTES = 1024 * 1024
const LONGEST_PROBLEM = 2000
const BYTES_PER_UNIT = 3

/** What a tool gave, as its message to the model: a string as it is, all else as JSON. */
export function resultText(result: unknown): string {
  const text = typeof result === 'string' ? result : written(result)
  if (text === null) return problemText('the result of the tool cannot be put into JSON')
  return isTooLarge(text) ? problemText('the result of the tool is larger than 1 MB: ask for less of it') : text
}

/** One line that tells the model what went wrong, so that it can try otherwise: what was thrown, without a stack. */
export function problemText(thrown: unknown): string {
  const line = oneLine(messageOf(thrown), LONGEST_PROBLEM)
  return `Error: ${line === '' ? 'the tool failed' : line}`
}

function written(result: unknown): string | null {
  if (result === undefined) return 'null'
  try {
    // Functions and symbols are left out of JSON without a word.
    return JSON.stringify(result) ?? null
  } catch {
    // It holds a bigint, refers to itself, or a getter throws.
    return null
  }
}

function isTooLarge(text: string): boolean {
  if (text.length > MOST_BYTES) return true
  return text.length * BYTES_PER_UNIT > MOST_BYTES && new TextEncoder().encode(text).length > MOST_BYTES
}

/** Anything may be thrown, also what throws when it is read. */
function messageOf(thrown: unknown): string {
  if (typeof thrown === 'string') return thrown
  try {
    const message: unknown = typeof thrown === 'object' && thrown !== null ? Reflect.get(thrown, 'message') : undefined
    return typeof message === 'string' ? message : ''
  } catch {
    return ''
  }
}
