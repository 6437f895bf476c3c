import { type AttemptRecord, compatible, createRouter, type RouterEvent, type UsageRecord } from 'modelfirst'
import type { TestServer } from './server.ts'

/** A router over servers of the test: `first`, `second` and so on, asked in this order for one model. */
export function routerOver(
  servers: readonly (TestServer | string)[],
  more: {
    readonly key?: string
    readonly limits?: { attempts?: number; timeoutMs?: number; maxCostUsd?: number }
    readonly prices?: { readonly input: number; readonly output: number }
  } = {},
) {
  const { key = 'sk-test-0123456789', limits, prices } = more
  const events: RouterEvent[] = []
  const records: UsageRecord[] = []
  const providers = servers.map((server, index) =>
    compatible({
      name: NAMES[index] ?? `provider-${index}`,
      baseURL: typeof server === 'string' ? server : server.url,
      apiKey: key,
      models: ['small'],
      ...(prices && { prices: { small: prices } }),
    }),
  )
  const router = createRouter({
    providers,
    tasks: { say: { model: 'small', ...(limits && { limits }) } },
    on: (event) => void events.push(event),
    random: hasty(),
    sinks: [(record) => void records.push(record)],
  })
  return { router, events, records }
}

/** Chance that makes every pause next to nothing, and no two ids the same. */
export function hasty(): () => number {
  let drawn = 0
  return () => {
    drawn += 1
    return drawn / 2 ** 31
  }
}

const NAMES = ['first', 'second', 'third', 'fourth']

/** What is summed must be its parts. */
export function sumOf(attempts: readonly AttemptRecord[]): { low: number; high: number | null } {
  let low = 0
  let high: number | null = 0
  for (const { cost } of attempts) {
    low += cost.low
    high = high === null || cost.high === null ? null : high + cost.high
  }
  return { low, high }
}
