/** JSON as it grows. */
export interface Partial {
  /**
   * Takes the next piece. Tells whether there is something new to show: of a value with thousands of entries not with
   * every piece, since each look at it takes a time in proportion to its entries.
   */
  feed(text: string): boolean
  /** What there is by now; what was read here before never changes. `undefined` before the first bracket. */
  readonly value: unknown
}

const DEEPEST = 128

/** An object or an array that is still open. Nobody has seen it: what is shown is a copy. */
type Frame =
  | { readonly kind: 'list'; readonly items: unknown[] }
  | { readonly kind: 'object'; readonly fields: Record<string, unknown>; key: string; size: number }

type Mode =
  | 'prose'
  | 'value'
  | 'value-or-end'
  | 'key-or-end'
  | 'colon'
  | 'comma-or-end'
  | 'string'
  | 'plain'
  | 'slash'
  | 'line-comment'
  | 'block-comment'

const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const SLASH = 0x2f
const STAR = 0x2a
const NEW_LINE = 0x0a
const BACKSLASH = 0x5c
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

const ESCAPED: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/
const WORDS: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['true', true],
  ['false', false],
  ['null', null],
])
const THINKING = '<think>'
const THOUGHT = '</think>'

/**
 * Reads JSON piece by piece, with the same kindness as `readJson`: prose and fences around it, comments and commas
 * before a closing bracket are passed over. A string is shown as far as it came, never with half an escape or half a
 * character at its end; numbers and words are shown once they are whole. Of several values the longest is shown.
 */
export function createPartial(): Partial {
  let mode: Mode = 'prose'
  /** Where a comment leads back to. */
  let resumed: Mode = 'value'
  let frames: Frame[] = []
  let string = ''
  let isKey = false
  let escaped = ''
  /** The last unit of the string: to ask the string itself would join its pieces each time. */
  let lastUnit = 0
  let plain = ''
  let length = 0
  let whole: { readonly value: unknown; readonly length: number } | null = null
  let head = ''
  let tail = ''
  let wasStar = false
  let visible = false
  let urgent = false
  let unshown = 0
  let shown: unknown
  let stale = false
  let isDead = false

  const put = (value: unknown): void => {
    const frame = frames.at(-1)
    visible = true
    if (frame === undefined) return
    if (frame.kind === 'list') frame.items.push(value)
    else {
      if (!Object.hasOwn(frame.fields, frame.key)) frame.size += 1
      // Assigned, `__proto__` would be no key but another prototype.
      if (frame.key !== '__proto__') frame.fields[frame.key] = value
      else Object.defineProperty(frame.fields, frame.key, { value, ...PLAIN_FIELD })
    }
    mode = 'comma-or-end'
  }

  const open = (code: number): void => {
    frames.push(code === OPEN_LIST ? { kind: 'list', items: [] } : { kind: 'object', fields: {}, key: '', size: 0 })
    mode = code === OPEN_LIST ? 'value-or-end' : 'key-or-end'
    visible = true
  }

  const close = (): void => {
    const frame = frames.pop()
    if (frame === undefined) return
    const value = frame.kind === 'list' ? frame.items : frame.fields
    if (frames.length > 0) {
      put(value)
      return
    }
    visible = true
    urgent = true
    if (whole === null || length >= whole.length) whole = { value, length }
    mode = 'prose'
  }

  /** What looked like JSON was none: it goes on as prose. */
  const drop = (): void => {
    visible = true
    urgent = true
    frames = []
    mode = 'prose'
  }

  const endString = (): void => {
    const frame = frames.at(-1)
    if (isKey && frame?.kind === 'object') {
      frame.key = string
      mode = 'colon'
    } else put(string)
    string = ''
  }

  /** Reads as much of a string as there is; gives the place behind it. */
  const readString = (text: string, from: number): number => {
    let at = from
    while (at < text.length) {
      if (escaped !== '') {
        escaped += text.charAt(at)
        at += 1
        const read = unescaped(escaped)
        if (read === null) drop()
        else if (read !== undefined) add(read)
        if (read === null) return at
        if (read !== undefined) escaped = ''
        continue
      }
      let end = at
      let code = text.charCodeAt(end)
      while (end < text.length && code !== QUOTE && code !== BACKSLASH) {
        end += 1
        code = text.charCodeAt(end)
      }
      if (end > at) add(text.slice(at, end))
      at = end + 1
      if (end === text.length) return end
      if (code === QUOTE) {
        endString()
        return at
      }
      escaped = '\\'
    }
    return at
  }

  const add = (piece: string): void => {
    string += piece
    lastUnit = piece.charCodeAt(piece.length - 1)
    // Half a character alone is nothing to show.
    if (!isKey && (piece.length > 1 || !isHalf(lastUnit))) visible = true
  }

  const startString = (): void => {
    isKey = mode === 'key-or-end'
    mode = 'string'
    string = ''
    escaped = ''
    lastUnit = 0
    if (!isKey) visible = true
  }

  /** Reads as much of a number or a word as there is; gives the place behind it. */
  const readPlain = (text: string, from: number): number => {
    let at = from
    while (at < text.length && isPlain(text.charCodeAt(at))) at += 1
    plain += text.slice(from, at)
    if (plain.length > LONGEST_PLAIN) drop()
    else if (at < text.length) endPlain()
    return at
  }

  const endPlain = (): void => {
    const value: unknown = WORDS.has(plain) ? WORDS.get(plain) : NUMBER.test(plain) ? Number(plain) : undefined
    plain = ''
    if (value === undefined || value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY) drop()
    else put(value)
  }

  const readProse = (code: number): void => {
    if (head.length < THINKING.length && (head !== '' || !isSpace(code))) head += String.fromCharCode(code)
    if (head === THINKING) {
      tail = (tail + String.fromCharCode(code)).slice(-THOUGHT.length)
      if (tail === THOUGHT) head = `${THINKING} `
    } else if (code === OPEN_LIST || code === OPEN_OBJECT) {
      length = 1
      open(code)
    }
  }

  /** One character outside of strings. */
  const read = (code: number): void => {
    if (mode === 'prose') readProse(code)
    else if (mode === 'line-comment') {
      if (code === NEW_LINE) mode = resumed
    } else if (mode === 'block-comment') {
      if (wasStar && code === SLASH) mode = resumed
      wasStar = code === STAR
    } else if (mode === 'slash') {
      wasStar = false
      if (code === SLASH) mode = 'line-comment'
      else if (code === STAR) mode = 'block-comment'
      else drop()
    } else if (code === SLASH) {
      resumed = mode
      mode = 'slash'
    } else if (!isSpace(code)) structure(code)
  }

  const structure = (code: number): void => {
    const frame = frames.at(-1)
    if (code === CLOSE_LIST || code === CLOSE_OBJECT) {
      const mayEnd = mode === 'comma-or-end' || mode === 'value-or-end' || mode === 'key-or-end'
      const closes = frame?.kind === (code === CLOSE_LIST ? 'list' : 'object')
      if (mayEnd && closes) close()
      else drop()
    } else if (mode === 'comma-or-end') {
      if (code === COMMA) mode = frame?.kind === 'list' ? 'value-or-end' : 'key-or-end'
      else drop()
    } else if (mode === 'colon') {
      if (code === COLON) mode = 'value'
      else drop()
    } else if (code === QUOTE) startString()
    else if (mode === 'key-or-end') drop()
    else if (code === OPEN_LIST || code === OPEN_OBJECT) {
      if (frames.length < DEEPEST) open(code)
      else isDead = true
    } else if (isPlain(code)) {
      mode = 'plain'
      plain = String.fromCharCode(code)
    } else drop()
  }

  /** The open ones copied, from the innermost to the root. */
  const snapshot = (): unknown => {
    if (frames.length === 0 || (whole !== null && length < whole.length)) return whole?.value
    let inner: unknown = mode === 'string' && !isKey ? (isHalf(lastUnit) ? string.slice(0, -1) : string) : undefined
    for (let index = frames.length - 1; index >= 0; index -= 1) {
      const frame = frames[index]
      if (frame === undefined) break
      if (frame.kind === 'list') inner = copied(frame.items, inner)
      else if (inner === undefined) inner = { ...frame.fields }
      else inner = { ...frame.fields, [frame.key]: inner }
    }
    return inner
  }

  /** In characters that have to come first, so that all looks together take a time in proportion to the text. */
  const costOfLook = (): number => {
    let cost = 0
    for (const frame of frames) {
      cost += frame.kind === 'list' ? frame.items.length / 4 : frame.size > FEW_KEYS ? frame.size * 8 : 0
    }
    return cost
  }

  return {
    feed(text) {
      if (isDead) return false
      visible = false
      urgent = false
      let at = 0
      while (at < text.length && !isDead) {
        if (mode === 'string') {
          const end = readString(text, at)
          length += end - at
          at = end
          continue
        }
        if (mode === 'plain') {
          const end = readPlain(text, at)
          length += end - at
          at = end
          continue
        }
        length += 1
        read(text.charCodeAt(at))
        at += 1
      }
      if (!visible) return false
      stale = true
      unshown += text.length
      if (!urgent && unshown < costOfLook()) return false
      unshown = 0
      return true
    },
    get value() {
      if (stale) shown = snapshot()
      stale = false
      return shown
    },
  }
}

const PLAIN_FIELD = { writable: true, enumerable: true, configurable: true }
/** Objects of more are slow to copy, key by key. */
const FEW_KEYS = 64
const LONGEST_PLAIN = 400

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09 || code === 0xa0 || code === 0xfeff
}

/** Of a number or a word: letters, digits, plus, minus, point. */
function isPlain(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) ||
    (code >= 0x61 && code <= 0x7a) ||
    code === 0x45 ||
    code === 0x2b ||
    code === 0x2d ||
    code === 0x2e
  )
}

/** Faster than to spread it: the list is copied once, as it is. */
function copied(items: unknown[], last: unknown): unknown[] {
  if (last === undefined) return items.slice()
  items.push(last)
  const copy = items.slice()
  items.pop()
  return copy
}

/** `undefined`: not whole yet; `null`: no escape at all. */
function unescaped(text: string): string | null | undefined {
  const kind = text.charAt(1)
  if (kind !== 'u') return Object.hasOwn(ESCAPED, kind) ? ESCAPED[kind] : null
  if (!/^[\da-fA-F]*$/.test(text.slice(2))) return null
  return text.length < 6 ? undefined : String.fromCharCode(Number.parseInt(text.slice(2), 16))
}

/** The first half of a pair of surrogates: the second one is still to come. */
function isHalf(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff
}
