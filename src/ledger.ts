import type { UsageRecord } from './usage.ts'

/** Records kept, newest last, bounded. */
export interface Ledger {
  readonly records: readonly UsageRecord[]
}

const MOST_RECORDS = 1000

export function createLedger(): Ledger & { note(record: UsageRecord): void } {
  const records: UsageRecord[] = []
  return {
    get records() {
      return Object.freeze(records.slice(-MOST_RECORDS))
    },
    note(record) {
      records.push(record)
      // Twice the bound before anything moves: the cost of trimming is spread over a thousand calls.
      if (records.length >= 2 * MOST_RECORDS) records.splice(0, records.length - MOST_RECORDS)
    },
  }
}
