import { cacheUse } from './cost.ts'
import type { Events } from './events.ts'
import type { Call } from './exchange.ts'
import { VERDICTS } from './failure.ts'
import { toUsd } from './money.ts'
import { isLosing, isSamePlace, type Pin, type Place } from './pin.ts'
import type { Planned } from './planner.ts'
import type { Visit } from './session.ts'
import { tariffOf } from './tariffs.ts'
import type { Outcome } from './walk.ts'
import { leadsTo } from './way.ts'

/** What the end of a call means for its session. */
export interface Return {
  readonly call: Call
  readonly planned: Planned
  readonly outcome: Outcome
  readonly events: Events
  /** Of the prompt, before it was counted. */
  readonly estimatedTokens: number
}

/**
 * The pin is learned from what really answered, and from answers alone. Whoever only stands in for a home that is in
 * trouble does not become one: the cache at home is still warm.
 */
export function repin(visit: Visit, { call, planned, outcome, events, estimatedTokens }: Return): void {
  const { won } = outcome
  if (won === null) return
  const { offer, provider, step } = won.way
  const place = { model: step.model, provider: step.provider, host: won.record.host }
  const { tokens } = won.record
  const served = {
    place,
    caching: provider.dialect.caching({ wireModel: step.wireModel, host: place.host }),
    at: call.clock.date(),
    tokens,
    estimated: estimatedTokens,
    cached: cacheUse(tokens, tariffOf(offer, place.host), call.utcMinutes),
  }
  const home = call.session?.pin?.home ?? null
  const gone = home === null ? null : goneFrom(home, outcome)
  const leaves = planned.leavesHome || gone !== null
  const wasAsked = planned.plan.session.pin === 'kept'
  const { before, after } = visit.serve({ ...served, leaves, wasAsked }, (pin) => told(pin, { call, events }))
  if (!events.heard || before === null || call.session === null) return
  if (isSamePlace(before.home, after.home) || before.home.until <= served.at) return
  events.emit({
    type: 'pin-moved',
    call: call.id,
    session: call.session.hash,
    from: placeOf(before.home),
    to: placeOf(after.home),
    because: gone ?? (wasAsked ? 'its home did not answer twice in a row' : planned.plan.session.because),
    dropped: won.dropped,
  })
}

/** Why the session will not come back to its home; `null`: it will, or it was not asked. */
function goneFrom(home: Place, { attempts }: Outcome): string | null {
  const last = attempts.findLast(({ way, failure }) => failure !== null && leadsTo(home, way))
  if (last?.failure == null) return null
  const { pin, says } = VERDICTS[last.failure.kind]
  return pin === 'goes' ? says : null
}

/** Once for each session. */
function told(pin: Pin, { call, events }: Pick<Return, 'call' | 'events'>): Pin {
  if (!isLosing(pin)) return pin
  const { saved, paid, unknown } = pin.balance
  if (events.heard && call.session !== null) {
    const usd = { savedUsd: toUsd(saved), paidUsd: toUsd(paid), profitUsd: toUsd(saved - paid) }
    events.emit({ type: 'cache-loss', call: call.id, session: call.session.hash, ...usd, unknownCalls: unknown })
  }
  return { ...pin, balance: { ...pin.balance, told: true } }
}

function placeOf({ model, provider, host }: Place): Place {
  return Object.freeze({ model, provider, host })
}
