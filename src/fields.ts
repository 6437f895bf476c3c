/** A provider's object: any key may be missing, of any type. */
export type Fields = Readonly<Record<string, unknown>>

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function fields(value: unknown): Fields | undefined {
  return isFields(value) ? value : undefined
}

export function list(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.filter(isFields) : []
}

export function string(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

/** Arguments as text, as nearly everybody sends them, or as the value itself; nothing at all is an empty text. */
export function jsonOf(value: unknown): string {
  return typeof value === 'string' ? value : isPresent(value) ? JSON.stringify(value) : ''
}

/** Arguments as everybody takes them back: where nothing was written, or nothing that is an object, an empty one. */
export function replayable(json: string): string {
  return ['', 'null', '[]'].includes(json.trim()) ? '{}' : json
}

/** What a table says of a word from outside; nothing for words that every object answers to (`constructor`). */
export function entry<T>(table: Readonly<Record<string, T>>, word: unknown): T | undefined {
  return typeof word === 'string' && Object.hasOwn(table, word) ? table[word] : undefined
}

/** Counts of tokens: whole, not negative, and not absurd. */
const MOST_TOKENS = 1e12

export function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < MOST_TOKENS ? value : null
}

export function amount(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null
}

export function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null
}
