import { type Prompt, prefixKeys } from './prompt.ts'

/** How a host caches prompts. */
export type Caching =
  | { readonly kind: 'none' }
  /** Prefixes are kept in blocks without being asked. `billsWrites`: writing has its price even then. */
  | {
      readonly kind: 'implicit'
      readonly block: number
      readonly least: number
      readonly ttlMs: number
      readonly billsWrites: boolean
    }
  /** Only what the caller marked is kept. */
  | { readonly kind: 'explicit'; readonly least: number }

export interface CacheUse {
  readonly cached: number
  readonly written: number
  readonly written1h: number
}

/** A prompt, as far as a cache looks at it: its text, or else keys of its own for what stands before a position. */
export type Cacheable = Pick<Prompt, 'tokens' | 'ends'> &
  (Pick<Prompt, 'text'> | { readonly keysAt: (positions: readonly number[]) => readonly string[] })

export interface PromptCache {
  /** What is read from and written to the cache by this prompt; it is kept for the next one. */
  use(place: string, prompt: Cacheable, caching: Caching): CacheUse
  clear(): void
}

const NOTHING: CacheUse = { cached: 0, written: 0, written1h: 0 }
const FIVE_MINUTES = 300_000
const HOUR = 3_600_000
/** How many pieces before a mark are looked at for an earlier entry. */
const LOOK_BACK = 20
const MOST_MARKS = 4
const MOST_ENTRIES = 200_000

/** Prompt caches of all hosts: `place` names host and model. Entries live on as long as they are read. */
export function createPromptCache(now: () => number): PromptCache {
  const entries = new Map<string, number>()

  function keep(key: string, ttlMs: number): void {
    if (entries.size >= MOST_ENTRIES) sweep()
    entries.set(key, now() + ttlMs)
  }

  function sweep(): void {
    const time = now()
    for (const [key, end] of entries) if (end <= time) entries.delete(key)
    if (entries.size >= MOST_ENTRIES) entries.clear()
  }

  const alive = (key: string) => (entries.get(key) ?? 0) > now()

  return {
    clear: () => entries.clear(),
    use(place, prompt, caching) {
      if (caching.kind === 'none' || prompt.tokens < caching.least) return NOTHING
      if (caching.kind === 'explicit') return marked(place, prompt, caching.least)
      const { block, least, ttlMs, billsWrites } = caching
      // The last token is always computed: without it there is nothing to answer from.
      const whole = Math.floor((prompt.tokens - 1) / block) * block
      const positions: number[] = []
      for (let at = Math.max(block, Math.ceil(least / block) * block); at <= whole; at += block) positions.push(at)
      const keys = keysOf(prompt, positions)
      let cached = 0
      keys.forEach((key, index) => {
        if (cached === (positions[index - 1] ?? 0) && alive(`${place}|${key}`)) cached = positions[index] ?? 0
      })
      for (const key of keys) keep(`${place}|${key}`, ttlMs)
      return { cached, written: billsWrites ? whole - cached : 0, written1h: 0 }
    },
  }

  function marked(place: string, prompt: Cacheable, least: number): CacheUse {
    const marks = prompt.ends.filter((end) => end.mark !== undefined && end.at >= least).slice(-MOST_MARKS)
    const last = marks.at(-1)
    if (last === undefined) return NOTHING
    const pieces = prompt.ends.filter((end) => end.at <= last.at && end.at >= least).slice(-LOOK_BACK)
    const wanted = [...new Set([...pieces, ...marks].map((end) => end.at))].sort((a, b) => a - b)
    const keys = new Map(keysOf(prompt, wanted).map((key, index) => [wanted[index] ?? 0, `${place}|${key}`]))
    const ttls = (['5m', '1h'] as const).map((mark) => ({ mark, ttlMs: mark === '1h' ? HOUR : FIVE_MINUTES }))
    let cached = 0
    for (const at of wanted) {
      for (const { mark, ttlMs } of ttls) {
        const key = `${keys.get(at)}|${mark}`
        if (!alive(key)) continue
        cached = at
        keep(key, ttlMs)
      }
    }
    let written = 0
    let written1h = 0
    let from = cached
    for (const { at, mark } of marks) {
      if (at > cached) {
        if (mark === '1h') written1h += at - from
        else written += at - from
        from = at
        keep(`${keys.get(at)}|${mark}`, mark === '1h' ? HOUR : FIVE_MINUTES)
      }
    }
    return { cached, written, written1h }
  }
}

function keysOf(prompt: Cacheable, positions: readonly number[]): readonly string[] {
  return 'keysAt' in prompt ? prompt.keysAt(positions) : prefixKeys(prompt.text, positions)
}
