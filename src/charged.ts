import type { Charged } from './cost.ts'
import type { AttemptResult, Call } from './exchange.ts'
import { type Asked, askedOf } from './tariffs.ts'
import { NO_NOTES } from './usage.ts'

/** By whose prices an answer was paid for. */
export function chargedFor({ way, answer, record, cost }: AttemptResult, { utcMinutes }: Call): Charged {
  const notes = answer?.notes ?? NO_NOTES
  const aggregated = way.provider.dialect.supports.hosts
  const { tariffs, sure }: Asked = askedOf(way.offer, { host: record.host, tier: notes.tier, aggregated })
  return { tariffs, isSure: sure === 'exact' || !aggregated, cost, notes, utcMinutes }
}
