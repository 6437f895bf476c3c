import type { UsageRecord } from '../usage.ts'
import { createCollection } from './collection.ts'
import type { Unread } from './lines.ts'
import { pageOf } from './page.ts'

export type { RecordLines, Unread } from './lines.ts'
export { recordLines } from './lines.ts'

export interface ReportOptions {
  /** Above the page; `Model usage` when left out. */
  readonly title?: string
}

/**
 * One self-contained page of HTML from usage records: spend over time by task, model, provider and host, what the caches
 * did, premiums, latency, failures, drift. It holds sums only, no record; it asks for nothing from the network; it is
 * read without a script and sorted with one. Runs anywhere, in constant memory.
 *
 * @example
 * const page = await reportOf(router.ledger.records, { title: 'Support, this week' })
 */
export async function reportOf(
  records: Iterable<UsageRecord> | AsyncIterable<UsageRecord>,
  options: ReportOptions = {},
): Promise<string> {
  const collection = createCollection()
  if (Symbol.asyncIterator in records) for await (const record of records) collection.add(record)
  else for (const record of records) collection.add(record)
  return pageOf(collection.read(), options.title ?? 'Model usage', unreadOf(records))
}

/** What was passed over while the records were read from lines. */
function unreadOf(records: object): Unread | null {
  return 'unread' in records && isUnread(records.unread) ? records.unread : null
}

function isUnread(value: unknown): value is Unread {
  return typeof value === 'object' && value !== null && 'broken' in value && 'foreign' in value && 'cut' in value
}
