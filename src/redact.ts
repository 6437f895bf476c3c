/** What must never be seen is taken out by its value, wherever it appears, not by the name of the field it was in. */
export type Redact = (text: string) => string

const LONGEST_DETAIL = 300
/** Shorter secrets would make every other word a hit. */
const SHORTEST_SECRET = 6

/** Masks each secret as it is, URL-encoded and in base64. Secrets are printable ASCII: others were refused at the door. */
export function redactor(secrets: readonly string[]): Redact {
  const masked = secrets
    .filter((secret) => secret.length >= SHORTEST_SECRET)
    .flatMap((secret) => [secret, encodeURIComponent(secret), btoa(secret).replace(/=+$/, ''), secret.slice(-8)])
    .filter((form) => form.length >= SHORTEST_SECRET)
  return (text) => masked.reduce((rest, form) => rest.replaceAll(form, '[redacted]'), text)
}

/**
 * A provider's own words, fit for an error message: one short line, without control characters, and without any word
 * of five letters or more that also stands in what the user sent (providers like to quote the prompt).
 */
export function quotable(words: string, sent: string): string {
  const line = words
    .slice(0, 2 * LONGEST_DETAIL)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, ' ')
    .trim()
  const kept = line.replace(/[^\s"'`,;:()[\]{}<>]{5,}/g, (word) => (sent.includes(word) ? '[…]' : word))
  const short = kept.replace(/\[…\](?:[\s"'`,;:()]*\[…\])+/g, '[…]')
  return short.length > LONGEST_DETAIL ? `${short.slice(0, LONGEST_DETAIL - 1)}…` : short
}
