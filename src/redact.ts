/** What must never be seen is taken out by its value, wherever it appears, not by the name of the field it was in. */
export type Redact = (text: string) => string

const LONGEST_DETAIL = 300
/** Nobody quotes more, and looking for parts of a secret takes a while. */
const LONGEST_TEXT = 64 * 1024
/** Shorter secrets would make every other word a hit. */
const SHORTEST_SECRET = 6
/** So many characters of a secret in a row are one, wherever it was cut off. */
const SHORTEST_PART = 12

/**
 * Masks each secret as it is, URL-encoded, inside JSON and in base64, also where it is only a part of what was encoded
 * (`user:key`), and any longer part of it. Secrets are printable ASCII: others were refused at the door. `others` are
 * asked for each time: a client may change its key.
 */
export function redactor(secrets: readonly string[], others: () => readonly string[] = () => []): Redact {
  let known: string | null = null
  let mask: Redact = (text) => text
  return (text) => {
    const all = [...secrets, ...others()].filter((secret) => secret.length >= SHORTEST_SECRET)
    const now = all.join('\n')
    if (now !== known) mask = maskOf(all)
    known = now
    return mask(text.slice(0, LONGEST_TEXT))
  }
}

function maskOf(secrets: readonly string[]): Redact {
  const forms = secrets.flatMap(formsOf).filter((form) => form.length >= SHORTEST_SECRET)
  // The longest first: a part of a form would leave the rest of it behind.
  const masked = [...new Set(forms)].sort((a, b) => b.length - a.length)
  const parts = new Set<string>()
  for (const form of masked) {
    for (let at = 0; at + SHORTEST_PART <= form.length; at += 1) parts.add(form.slice(at, at + SHORTEST_PART))
  }
  const whole: Redact = (text) => masked.reduce((rest, form) => rest.replaceAll(form, MASK), text)
  return (text) => whole(withoutParts(text, parts))
}

const MASK = '[redacted]'

function withoutParts(text: string, parts: ReadonlySet<string>): string {
  let kept = ''
  let hidden = -1
  for (let at = 0; at + SHORTEST_PART <= text.length; at += 1) {
    if (!parts.has(text.slice(at, at + SHORTEST_PART))) continue
    if (at > hidden) kept += text.slice(Math.max(hidden, 0), at) + MASK
    hidden = at + SHORTEST_PART
  }
  return kept + text.slice(Math.max(hidden, 0))
}

function formsOf(secret: string): string[] {
  const encoded = encodeURIComponent(secret)
  const lower = encoded.replace(/%../g, (code) => code.toLowerCase())
  // Three bytes make four letters: what stands in front of the secret shifts it, and its edges mix with its neighbours.
  const shifted = [0, 1, 2].map((before) => {
    const letters = btoa(' '.repeat(before) + secret)
    return letters.replace(/.?=+$/, '').slice(before === 0 ? 0 : before + 1)
  })
  const safe = shifted.map((form) => form.replaceAll('+', '-').replaceAll('/', '_'))
  return [secret, encoded, lower, JSON.stringify(secret).slice(1, -1), ...shifted, ...safe, secret.slice(-8)]
}

/** Headers that carry a secret, by what they are usually called. */
const SECRET_HEADER = /auth|key|token|secret|cookie|pass|credential|signature|session|jwt|bearer/i
/** A scheme or a cookie's name in front of a secret is shorter than this. */
const SHORTEST_VALUE = 12

/** What is secret in headers: the values as they are, and what stands behind a scheme or a name in them. */
export function secretsIn(headers: Iterable<readonly [string, string]>): string[] {
  return [...headers].flatMap(([name, value]) => {
    if (!SECRET_HEADER.test(name)) return []
    return [value, ...value.split(/[\s;,=]+/).filter((part) => part.length >= SHORTEST_VALUE)]
  })
}

/** Without line breaks, control characters and changes of direction: safe in a log and on a terminal. */
export function oneLine(text: string, longest: number): string {
  const line = text
    .slice(0, 4 * longest)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
    .replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+/g, ' ')
    .trim()
  return line.length > longest ? `${line.slice(0, longest - 1)}…` : line
}

/** Between spaces, quotes and brackets; a number with its dashes or an address is one. */
const WORD = /[\p{L}\p{N}][^\s"'`,;:()[\]{}<>]{3,}[\p{L}\p{N}]/gu
const LETTERS = /[\p{L}\p{N}\p{M}_]{5,}/gu
const FOREIGN = /(?:(?!\p{ASCII})[\p{L}\p{M}])+/gu

/** Escapes of JSON undone, so that what is quoted through them is seen as what it is. */
function unescaped(text: string): string {
  return text.replace(/\\+(?:u([\da-f]{4})|[nrtbf])/gi, (_, code?: string) =>
    code === undefined ? ' ' : String.fromCharCode(Number.parseInt(code, 16)),
  )
}

/**
 * A provider's own words, fit for an error message: one short line, without control characters, and without any word
 * of five letters or more that also stands in what the user sent (providers like to quote the prompt, in part, with
 * other capitals, or escaped inside JSON).
 */
export function quotable(words: string, sent: string): string {
  const isTheirs = finderIn(sent.toLowerCase())
  const line = oneLine(unescaped(words.slice(0, 2 * LONGEST_DETAIL)), 2 * LONGEST_DETAIL)
  const kept = line
    .replace(WORD, (word) => (isTheirs(word) ? '[…]' : word))
    .replace(LETTERS, (letters) => (isTheirs(letters) ? '[…]' : letters))
    // Scripts without spaces have no words to compare, and no provider writes its own errors in them.
    .replace(FOREIGN, (letters) => ([...letters].some(isTheirs) ? '[…]' : letters))
  const short = kept.replace(/\[…\](?:[\s"'`,;:()]*\[…\])+/g, '[…]')
  return short.length > LONGEST_DETAIL ? `${short.slice(0, LONGEST_DETAIL - 1)}…` : short
}

/** Looking for many words in a long prompt of few letters takes seconds: beyond this, a word counts as found. */
const MOST_COMPARED = 128 * 1024 * 1024

function finderIn(text: string): (word: string) => boolean {
  const known = new Map<string, boolean>()
  let left = MOST_COMPARED
  return (word) => {
    const wanted = word.toLowerCase()
    let found = known.get(wanted)
    if (found === undefined) {
      left -= text.length
      found = left < 0 || text.includes(wanted)
      known.set(wanted, found)
    }
    return found
  }
}
