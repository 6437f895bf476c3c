import { format, inspect } from 'node:util'

/** Secrets that a test plants, to see whether one of them comes out where it must not. */
export type Canaries = {
  readonly key: string
  readonly prompt: string
  readonly system: string
  readonly argument: string
  readonly answer: string
  readonly session: string
  readonly user: string
}

let planted = 0

export function canaries(): Canaries {
  planted += 1
  const mark = (what: string) => `zz${what}${planted}q${Math.floor(Math.random() * 1e9).toString(36)}`
  return {
    key: `sk-${mark('key')}-0123456789`,
    prompt: mark('prompt'),
    system: mark('system'),
    argument: mark('argument'),
    answer: mark('answer'),
    session: mark('session'),
    user: mark('user'),
  }
}

/** Every way in which a value comes out: printed, logged, stored, sent on, looked into. */
export function outputsOf(value: unknown): Record<string, string> {
  const outputs: Record<string, string> = {
    inspect: inspect(value, { depth: Number.POSITIVE_INFINITY, showHidden: true, getters: true }),
    plainInspect: inspect(value, {
      depth: Number.POSITIVE_INFINITY,
      showHidden: true,
      getters: true,
      customInspect: false,
    }),
    format: format('%o %O %s %j', value, value, value, plain(value)),
    json: JSON.stringify(value) ?? '',
  }
  if (value instanceof Error) {
    outputs.message = value.message
    outputs.stack = value.stack ?? ''
    outputs.text = String(value)
  }
  try {
    outputs.clone = inspect(structuredClone(value), { depth: Number.POSITIVE_INFINITY, showHidden: true })
  } catch {
    outputs.clone = ''
  }
  for (const [index, inner] of innards(value).entries()) outputs[`inside ${index}`] = inner
  return outputs
}

/** Where a secret can be seen, with the ways keys are written besides; empty when it is nowhere. */
export function leaks(values: Readonly<Record<string, unknown>>, secrets: Readonly<Record<string, string>>): string[] {
  const found: string[] = []
  for (const [where, value] of Object.entries(values)) {
    for (const [output, text] of Object.entries(outputsOf(value))) {
      for (const [name, secret] of Object.entries(secrets)) {
        const forms = [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64').replace(/=+$/, '')]
        if (forms.some((form) => text.includes(form))) found.push(`${name} in ${output} of ${where}`)
      }
    }
  }
  return found
}

function plain(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? { ...value } : value
}

/** Every string that own properties lead to: hidden ones, symbols and getters too. */
function innards(value: unknown): string[] {
  const seen = new Set<unknown>()
  const found: string[] = []
  const visit = (at: unknown) => {
    if (typeof at === 'string') found.push(at)
    if ((typeof at !== 'object' && typeof at !== 'function') || at === null || seen.has(at)) return
    seen.add(at)
    for (const key of Reflect.ownKeys(at)) {
      if (typeof key === 'string') found.push(key)
      try {
        visit(Reflect.get(at, key))
      } catch {
        // A getter that throws shows nothing.
      }
    }
    if (at instanceof Map || at instanceof Set) for (const entry of at) visit(entry)
  }
  visit(value)
  return found
}
