import { isFields } from './fields.ts'

/** Nobody's answer; and what reads it has to hold it several times over. */
const LARGEST = 8 * 1024 * 1024
const DEEPEST = 128

export type Read =
  | { readonly value: unknown; readonly repaired: boolean }
  | { readonly problem: 'empty' | 'not-json' | 'cut' | 'too-deep' | 'too-large' }

/**
 * Reads the JSON in an answer: strict about what it means, kind about what it is wrapped in. Prose and code fences
 * around it, comments, commas before a closing bracket and raw line breaks inside strings do no harm. Nothing is
 * guessed: quotes, names or brackets that are missing are not put in, and what ends too early is `cut`.
 *
 * Of several objects or arrays, the last one that is whole inside a code fence is meant; without a fence the longest,
 * and the later one of two equally long. An unfinished one that is longer than any whole one makes the answer `cut`.
 * Takes a time in proportion to the text, whatever it holds.
 */
export function readJson(text: string): Read {
  if (text.length > LARGEST) return { problem: 'too-large' }
  const answer = text.replace(/^\ufeff/, '').trim()
  if (answer === '') return { problem: 'empty' }
  const whole = parsed(answer)
  if (whole !== undefined) return judged(whole, false)
  const thought = answer.startsWith('<think>') ? answer.indexOf('</think>') : -1
  return search(thought === -1 ? answer : answer.slice(thought + '</think>'.length))
}

/** `undefined` is what JSON cannot say. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function judged(value: unknown, repaired: boolean): Read {
  const problem = problemIn(value, 0)
  return problem === null ? { value, repaired } : { problem }
}

function problemIn(value: unknown, depth: number): 'too-deep' | 'not-json' | null {
  // 1e999 is no number that JSON could give back.
  if (typeof value === 'number') return Number.isFinite(value) ? null : 'not-json'
  if (typeof value !== 'object' || value === null) return null
  if (depth >= DEEPEST) return 'too-deep'
  if (Array.isArray(value)) {
    for (const each of value) {
      const problem = problemIn(each, depth + 1)
      if (problem !== null) return problem
    }
    return null
  }
  if (!isFields(value)) return null
  for (const key in value) {
    const problem = problemIn(value[key], depth + 1)
    if (problem !== null) return problem
  }
  return null
}

interface Found {
  readonly start: number
  readonly scan: Scan
}

const FENCE = '```'
/** Where something may begin: an object, an array, a fence. */
const BEGINNING = /[{[]|```/g

function search(text: string): Read {
  let fenced = false
  let inFence: Found | null = null
  let longest: Found | null = null
  let cut: { readonly length: number; readonly fenced: boolean } | null = null
  BEGINNING.lastIndex = 0
  for (let at = next(text, 0); at !== -1; ) {
    if (text.startsWith(FENCE, at)) {
      fenced = !fenced
      at = next(text, at + FENCE.length)
      continue
    }
    const scan = scanned(text, at)
    if (scan.state === 'too-deep') return { problem: 'too-deep' }
    if (scan.state === 'cut') cut = { length: scan.end - at, fenced }
    if (scan.state === 'whole') {
      const found = { start: at, scan }
      if (fenced) inFence = found
      if (longest === null || lengthOf(found) >= lengthOf(longest)) longest = found
    }
    // What is inside something broken is only a part of what was meant: it goes on behind it.
    at = next(text, Math.max(scan.end, at + 1))
  }
  const chosen = inFence ?? longest
  const isCut = cut !== null && (chosen === null || (inFence === null ? cut.length > lengthOf(chosen) : cut.fenced))
  if (isCut) return { problem: 'cut' }
  if (chosen === null) return scalar(text)
  const value = parsed(mended(text.slice(chosen.start, chosen.scan.end), chosen))
  return value === undefined ? { problem: 'not-json' } : judged(value, true)
}

function next(text: string, from: number): number {
  BEGINNING.lastIndex = from
  return BEGINNING.exec(text)?.index ?? -1
}

function lengthOf({ start, scan }: Found): number {
  return scan.end - start
}

/** A fence around a string, a number or a word; or a string that does not end. */
function scalar(text: string): Read {
  const bare = text.trim()
  const opening = /^```[\w-]*\s/.exec(bare)?.[0]
  const isFenced = opening !== undefined && bare.endsWith(FENCE)
  const value = parsed(isFenced ? bare.slice(opening.length, -FENCE.length) : bare)
  if (value !== undefined) return judged(value, true)
  return { problem: bare.startsWith('"') && stringEnd(bare, 0, []) === UNENDED ? 'cut' : 'not-json' }
}

/** A place where the text has to change so that it is JSON. */
interface Edit {
  readonly from: number
  readonly to: number
  readonly by: string
}

function mended(slice: string, { start, scan }: Found): string {
  if (scan.edits.length === 0) return slice
  const parts: string[] = []
  let at = 0
  for (const { from, to, by } of scan.edits) {
    parts.push(slice.slice(at, from - start), by)
    at = to - start
  }
  parts.push(slice.slice(at))
  return parts.join('')
}

interface Scan {
  readonly state: 'whole' | 'cut' | 'broken' | 'too-deep'
  /** Behind what was read. */
  readonly end: number
  readonly edits: readonly Edit[]
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const HEX = /[\da-fA-F]{4}/y
const WORDS = ['true', 'false', 'null']

const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const SLASH = 0x2f
const STAR = 0x2a
const BACKSLASH = 0x5c
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/** What may come next. After a comma a closing bracket may come as well: then the comma is taken out. */
type Expecting = 'value' | 'value-or-end' | 'key-or-end' | 'colon' | 'comma-or-end'

/** Follows an object or an array from its first bracket to its last, and notes what has to change in it. */
function scanned(text: string, start: number): Scan {
  const open: number[] = []
  const edits: Edit[] = []
  let at = start
  let comma = -1
  let expecting: Expecting = 'value'
  const stop = (state: Scan['state'], end: number): Scan => ({ state, end, edits })

  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) {
      at += 1
      continue
    }
    if (code === 0xa0 || code === 0xfeff) {
      edits.push({ from: at, to: at + 1, by: ' ' })
      at += 1
      continue
    }
    if (code === SLASH) {
      const end = commentEnd(text, at)
      if (end === -1) return stop('broken', at)
      edits.push({ from: at, to: end, by: ' ' })
      at = end
      continue
    }
    if (code === CLOSE_LIST || code === CLOSE_OBJECT) {
      const closes = code === CLOSE_LIST ? OPEN_LIST : OPEN_OBJECT
      const mayEnd = expecting === 'comma-or-end' || expecting === 'value-or-end' || expecting === 'key-or-end'
      if (open.at(-1) !== closes || !mayEnd) return stop('broken', at)
      if (comma !== -1) takeOut(edits, comma)
      comma = -1
      open.pop()
      at += 1
      if (open.length === 0) return stop('whole', at)
      expecting = 'comma-or-end'
      continue
    }
    if (expecting === 'comma-or-end') {
      if (code !== COMMA) return stop('broken', at)
      comma = at
      expecting = open.at(-1) === OPEN_LIST ? 'value-or-end' : 'key-or-end'
      at += 1
      continue
    }
    comma = -1
    if (expecting === 'colon') {
      if (code !== COLON) return stop('broken', at)
      expecting = 'value'
      at += 1
      continue
    }
    if (code === QUOTE) {
      const end = stringEnd(text, at, edits)
      if (end < 0) return stop(end === UNENDED ? 'cut' : 'broken', end === UNENDED ? text.length : ~end)
      at = end
      expecting = expecting === 'key-or-end' ? 'colon' : 'comma-or-end'
      continue
    }
    if (expecting === 'key-or-end') return stop('broken', at)
    if (code === OPEN_LIST || code === OPEN_OBJECT) {
      if (open.length >= DEEPEST) return stop('too-deep', at)
      open.push(code)
      expecting = code === OPEN_LIST ? 'value-or-end' : 'key-or-end'
      at += 1
      continue
    }
    const end = plainEnd(text, at)
    if (isBegun(text, end === -1 ? at : end, end !== -1)) return stop('cut', text.length)
    if (end === -1) return stop('broken', at)
    at = end
    expecting = 'comma-or-end'
  }
  return stop('cut', text.length)
}

/** Comments may stand behind the comma: edits stay in the order of the text. */
function takeOut(edits: Edit[], comma: number): void {
  let index = edits.length
  for (; index > 0; index -= 1) {
    const before = edits[index - 1]
    if (before === undefined || before.from < comma) break
  }
  edits.splice(index, 0, { from: comma, to: comma + 1, by: '' })
}

/** -1 where it is no comment. */
function commentEnd(text: string, at: number): number {
  const second = text.charCodeAt(at + 1)
  if (second === SLASH) {
    const end = text.indexOf('\n', at)
    return end === -1 ? text.length : end
  }
  if (second === STAR) {
    const end = text.indexOf('*/', at + 2)
    return end === -1 ? text.length : end + 2
  }
  return at + 1 === text.length ? text.length : -1
}

const UNENDED = Number.NEGATIVE_INFINITY

/** Behind the closing quote; `UNENDED`, or the inverted place of what no string may hold. */
function stringEnd(text: string, start: number, edits: Edit[]): number {
  for (let at = start + 1; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) return at + 1
    if (code === BACKSLASH) {
      at += 1
      if (at === text.length) return UNENDED
      const escaped = text.charAt(at)
      if (escaped === 'u') {
        HEX.lastIndex = at + 1
        if (!HEX.test(text)) return at + 5 > text.length ? UNENDED : ~at
        at += 4
      } else if (!'"\\/bfnrt'.includes(escaped)) return ~at
    } else if (code < 0x20) {
      edits.push({ from: at, to: at + 1, by: `\\u${code.toString(16).padStart(4, '0')}` })
    }
  }
  return UNENDED
}

/** Behind a number or a word; -1 where it is neither. */
function plainEnd(text: string, at: number): number {
  for (const word of WORDS) if (text.startsWith(word, at)) return at + word.length
  NUMBER.lastIndex = at
  return NUMBER.test(text) ? NUMBER.lastIndex : -1
}

/** Whether the text ends in the middle of a word, or of a number of which more has to come. */
function isBegun(text: string, at: number, isNumber: boolean): boolean {
  if (text.length - at >= 'false'.length) return false
  const rest = text.slice(at)
  if (isNumber) return /^(?:\.|[eE][+-]?)$/.test(rest)
  return rest === '-' || WORDS.some((word) => word.startsWith(rest))
}
