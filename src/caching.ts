/** How an offer caches prompts, as far as its provider says. */
export interface Caching {
  /** Milliseconds that a prefix stays warm without use. */
  readonly ttlMs: number
  /** Prompts that are shorter, in tokens, are not cached. */
  readonly least: number
  /** Nothing is cached but what the request marks. */
  readonly marked: boolean
}

/** Where a prompt is cached. */
export interface CachedAt {
  readonly wireModel: string
  /** The host behind an aggregator; `null`: nobody knows which it will be, or there is none. */
  readonly host: string | null
}
