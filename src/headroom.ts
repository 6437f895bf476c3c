import type { HeaderReader } from './answer.ts'
import { count } from './fields.ts'
import { goDuration } from './retry-after.ts'

/** What is left of one limit, as the provider said with its last answer. */
export interface Headroom {
  readonly limit: number | null
  readonly remaining: number | null
  /** Milliseconds from then until it is whole again. */
  readonly resetMs: number | null
}

export type Limited = 'requests' | 'tokens'

export const LIMITED: readonly Limited[] = ['requests', 'tokens']

/** `x-ratelimit-remaining-tokens` and its kin, as Groq, OpenAI and those who follow them send them; `null`: not said. */
export function headroomOf(headers: HeaderReader, of: Limited): Headroom | null {
  const limit = whole(headers.get(`x-ratelimit-limit-${of}`))
  const remaining = whole(headers.get(`x-ratelimit-remaining-${of}`))
  if (limit === null && remaining === null) return null
  return { limit, remaining, resetMs: goDuration(headers.get(`x-ratelimit-reset-${of}`) ?? '') }
}

function whole(text: string | null): number | null {
  return text === null || text === '' ? null : count(Number(text))
}
