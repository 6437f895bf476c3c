export interface Stickiness {
  find(key: string): string | undefined
  keep(key: string, host: string): void
  clear(): void
}

/** OpenRouter forgets where a conversation was after ten idle minutes, whatever the cache there would keep. */
const IDLE_MS = 600_000
const MOST = 100_000

export function createStickiness(now: () => number): Stickiness {
  const hosts = new Map<string, { readonly host: string; readonly until: number }>()
  return {
    find(key) {
      const found = hosts.get(key)
      return found !== undefined && found.until > now() ? found.host : undefined
    },
    keep(key, host) {
      if (hosts.size >= MOST) hosts.clear()
      hosts.set(key, { host, until: now() + IDLE_MS })
    },
    clear: () => hosts.clear(),
  }
}
