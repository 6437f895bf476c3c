/** What must never be seen is taken out by its value, wherever it appears, not by the name of the field it was in. */
export type Redact = (text: string) => string

const LONGEST_DETAIL = 300
/** Shorter secrets would make every other word a hit. */
const SHORTEST_SECRET = 6

/**
 * Masks each secret as it is, URL-encoded, inside JSON and in base64, also where it is only a part of what was encoded
 * (`user:key`). Secrets are printable ASCII: others were refused at the door.
 */
export function redactor(secrets: readonly string[]): Redact {
  const masked = secrets
    .filter((secret) => secret.length >= SHORTEST_SECRET)
    .flatMap(formsOf)
    .filter((form) => form.length >= SHORTEST_SECRET)
    // The longest first: a part of a form would leave the rest of it behind.
    .sort((a, b) => b.length - a.length)
  return (text) => masked.reduce((rest, form) => rest.replaceAll(form, '[redacted]'), text)
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
  const theirs = sent.toLowerCase()
  const isTheirs = (word: string) => theirs.includes(word.toLowerCase())
  const line = oneLine(unescaped(words.slice(0, 2 * LONGEST_DETAIL)), 2 * LONGEST_DETAIL)
  const kept = line
    .replace(WORD, (word) => (isTheirs(word) ? '[…]' : word))
    .replace(LETTERS, (letters) => (isTheirs(letters) ? '[…]' : letters))
    // Scripts without spaces have no words to compare, and no provider writes its own errors in them.
    .replace(FOREIGN, (letters) => ([...letters].some(isTheirs) ? '[…]' : letters))
  const short = kept.replace(/\[…\](?:[\s"'`,;:()]*\[…\])+/g, '[…]')
  return short.length > LONGEST_DETAIL ? `${short.slice(0, LONGEST_DETAIL - 1)}…` : short
}
