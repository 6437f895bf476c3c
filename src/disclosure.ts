import type { ChatRequest } from './chat.ts'
import type { Failure } from './failure.ts'
import { fields, list } from './fields.ts'
import { quotable, type Redact } from './redact.ts'

/** A code is a word; whatever else a provider puts there is not told. */
const CODE = /^[\w.:-]{1,64}$/

/** A failure as it may be told: the provider's words without keys, without what the user wrote or the model answered. */
export function told(
  failed: Failure,
  about: { readonly request: ChatRequest; readonly body: unknown; readonly redact: Redact },
): Failure {
  const { request, body, redact } = about
  if (failed.code === null && failed.detail === null) return failed
  // What the model had written when it failed is quoted as well: names of tools that nobody has, and keys of its own.
  const given = fields(body)
  const written = [list(given?.choices).map(({ message }) => message), fields(given?.error)?.failed_generation]
  const sent = textsOf([request, written]).join('\n')
  // Once more afterwards: what was escaped may have come to light.
  const quoted = (words: string | null) => (words === null ? null : redact(quotable(redact(words), sent)))
  const code = quoted(failed.code)
  return { ...failed, code: code !== null && CODE.test(code) ? code : null, detail: quoted(failed.detail) }
}

/** Nobody nests what a model reads deeper than this. */
const DEEPEST = 32

/** What stands here are the protocol's words, and models' names: an error may quote them. */
const PROTOCOL = new Set([
  'role',
  'type',
  'service_tier',
  'effort',
  'reasoning_effort',
  'verbosity',
  'preferences',
  'models',
  'transforms',
])

/** All that the user wrote, to recognise it when it is quoted. */
function textsOf(value: unknown, found: string[] = [], depth = 0): string[] {
  if (typeof value === 'string') found.push(value)
  else if (typeof value === 'object' && value !== null && depth < DEEPEST) {
    for (const [key, part] of Object.entries(value)) {
      if (PROTOCOL.has(key)) continue
      // What a schema's fields are called is the user's as well.
      if (key === 'properties') textsOf(Object.keys(fields(part) ?? {}), found, depth + 1)
      textsOf(part, found, depth + 1)
    }
  }
  return found
}
