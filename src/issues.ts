import { withoutQuotes, wordsFor } from './issue-words.ts'
import { type Issue, type JsonSchema, MOST_ISSUES } from './json-values.ts'
import { quotable } from './redact.ts'

/** What a library says is wrong. All but the message differs from one to the other. */
export interface Reported {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

interface About {
  readonly value: unknown
  readonly json: JsonSchema
  /** From our own validator: without any text of the value as it is. */
  readonly own: boolean
}

/**
 * What is wrong, in words that hold nothing of the answer: libraries like to quote what they got, and the answer's own
 * keys, and both would end in logs and in error messages.
 */
export function issuesOf(reported: readonly Reported[], { value, json, own }: About): readonly Issue[] {
  const names = namesIn(json)
  let text: string | null = null
  const masked = (message: string): string => {
    text ??= textOf(value)
    return quotable(message, text)
  }
  const issues = reported.slice(0, MOST_ISSUES).map((each): Issue => {
    const path = Array.isArray(each.path) ? each.path : []
    const { shown, found } = followed(path, value, names)
    if (own) return { path: shown, message: each.message }
    const ours = wordsFor(each, found)
    return { path: shown, message: ours ?? masked(withoutQuotes(String(each.message))) }
  })
  return issues.length > 0 ? issues : [{ path: [], message: 'does not fit the schema' }]
}

/** The answer's text in which a message's words are looked for. */
function textOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? ''
  } catch {
    return ''
  }
}

/** The path as it may be told, and what stands at its end. */
function followed(path: readonly unknown[], value: unknown, names: ReadonlySet<string>) {
  const shown: (string | number)[] = []
  let found: unknown = value
  for (const step of path) {
    const key: unknown = typeof step === 'object' && step !== null ? Reflect.get(step, 'key') : step
    const isIndex = Array.isArray(found) && (typeof key === 'number' || (typeof key === 'string' && /^\d+$/.test(key)))
    if (isIndex) shown.push(Number(key))
    else shown.push(typeof key === 'string' && names.has(key) ? key : '*')
    found = inside(found, key)
  }
  return { shown, found }
}

function inside(value: unknown, key: unknown): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  if (typeof key !== 'string' && typeof key !== 'number') return undefined
  return Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined
}

const known = new WeakMap<object, ReadonlySet<string>>()

/** Every key that the schema names anywhere. */
function namesIn(json: JsonSchema): ReadonlySet<string> {
  const before = known.get(json)
  if (before !== undefined) return before
  const names = new Set<string>()
  const visit = (part: unknown): void => {
    if (typeof part !== 'object' || part === null) return
    for (const [word, inner] of Object.entries(part)) {
      if (word === 'properties' && typeof inner === 'object' && inner !== null) {
        for (const name of Object.keys(inner)) names.add(name)
      }
      if (word === 'required' && Array.isArray(inner)) for (const name of inner) names.add(String(name))
      visit(inner)
    }
  }
  visit(json)
  known.set(json, names)
  return names
}
