import type { UsageRecord } from '../usage.ts'

/** How many records may come before one is put right by a later one of the same id: a bill that follows the answer. */
const PATIENCE = 5000

/**
 * Records, each once: one that comes again, narrowed by what became known since, takes the place of the first. It is
 * looked for among the newest only, so that the memory is bounded.
 */
export function createLatest(settle: (record: UsageRecord) => void): {
  add(record: UsageRecord): void
  flush(): void
  readonly replaced: number
} {
  const waiting = new Map<string, UsageRecord>()
  /** A ring: a map alone would be searched for its oldest. */
  const order: string[] = []
  let next = 0
  let replaced = 0
  return {
    add(record) {
      const { id } = record
      if (waiting.has(id)) {
        replaced += 1
        waiting.set(id, record)
        return
      }
      waiting.set(id, record)
      const oldest = order[next]
      order[next] = id
      next = (next + 1) % PATIENCE
      const settled = oldest === undefined ? undefined : waiting.get(oldest)
      if (oldest === undefined || settled === undefined) return
      waiting.delete(oldest)
      settle(settled)
    },
    flush() {
      for (const record of waiting.values()) settle(record)
      waiting.clear()
      order.length = 0
      next = 0
    },
    get replaced() {
      return replaced
    },
  }
}
