import { emptyMeasures, measure, measureAttempt, measureCall, type TallyRow } from '../tally.ts'
import type { Alternative, UsageRecord } from '../usage.ts'
import { instantOf } from './calendar.ts'
import { createCounts } from './counts.ts'
import { createLatest } from './latest.ts'
import { createLots, type Dimension, type Group, OTHERS } from './lots.ts'
import { routeOf, shown } from './names.ts'
import { createSeries, type Series } from './series.ts'
import { createTroubles, type Place, type Trouble } from './troubles.ts'
import { createWaterfall, type Waterfall } from './waterfall.ts'

/** Calls that read from a cache, and still cost more than a plain cold call elsewhere. */
export interface DearCached {
  readonly calls: number
  readonly usd: number
}

export interface Route extends Group {
  /** The alternative that was the cheapest most often. */
  readonly rival: { readonly name: string; readonly count: number } | null
}

export interface DriftPair {
  readonly kind: string
  readonly planned: string
  readonly served: string
  readonly count: number
}

/** All that a page shows, and nothing of any one record. */
export interface Collection {
  /** Milliseconds since 1970; `null` when there was no record. */
  readonly from: number | null
  readonly until: number | null
  readonly total: TallyRow
  /** Calls whose cost has no upper bound. */
  readonly openCalls: number
  /** Records that a later one of the same id took the place of. */
  readonly replaced: number
  readonly groups: Readonly<Record<Dimension, readonly Group[]>>
  readonly series: Readonly<Record<Dimension, Series | null>>
  readonly routes: readonly Route[]
  readonly waterfall: Waterfall
  readonly dearCached: DearCached
  readonly troubles: readonly Trouble[]
  readonly places: readonly Place[]
  readonly drifts: readonly DriftPair[]
  /** Calls that failed at first and were answered in the end. */
  readonly rescued: number
}

/**
 * Sums records up for the page, in constant memory. What a call spent is shown where it was spent: every attempt under
 * its own model, provider and host, so that these sums agree with each other; the call itself is where it ended.
 */
export function createCollection(): { add(record: UsageRecord): void; read(): Collection } {
  const lots = createLots()
  const series = createSeries()
  const waterfall = createWaterfall()
  const troubles = createTroubles(OTHERS)
  const drifts = createCounts(OTHERS)
  const sums = { from: Number.POSITIVE_INFINITY, until: Number.NEGATIVE_INFINITY, openCalls: 0, rescued: 0 }
  const dear = { calls: 0, usd: 0 }
  // Used for every record anew.
  const measures = emptyMeasures()

  const latest = createLatest((record) => {
    const instant = instantOf(record.at)
    if (instant === null) return
    sums.from = Math.min(sums.from, instant)
    sums.until = Math.max(sums.until, instant)
    if (record.cost.high === null) sums.openCalls += 1
    const { task, attempts, outcome, provider, host } = record
    if (outcome === 'ok' && attempts.some((attempt) => attempt.outcome !== 'ok')) sums.rescued += 1

    const model = record.model.served ?? attempts.at(-1)?.model ?? record.model.asked
    const ended = lots.of(task, model, provider, host)
    const [only] = attempts
    if (only === undefined || (attempts.length === 1 && only.provider === provider && only.host === host)) {
      lots.add(ended, measure(record, measures))
      series.add(instant, ended.names, record.cost)
    } else {
      lots.add(ended, measureCall(record, measures))
      for (const attempt of attempts) {
        // Who answered is known by the name that the answer bears.
        const own = attempt.outcome === 'ok' && outcome === 'ok' ? model : attempt.model
        const lot = lots.of(task, own, attempt.provider, attempt.host)
        lots.add(lot, measureAttempt(attempt, measures))
        series.add(instant, lot.names, attempt.cost)
      }
    }
    waterfall.add(record)
    troubles.add(record)
    for (const { kind, planned, served } of record.drift) {
      // A price drifts by another amount each time: what counts is that it does.
      const pair = kind === 'host' || kind === 'model' ? [shown(planned), shown(served)] : ['', '']
      drifts.add([kind, ...pair].join('\n'))
    }
    const cheapest = cheapestOf(record.alternatives)
    if (cheapest === null) return
    ended.rivals.add(routeOf(cheapest.model, cheapest.provider, cheapest.host))
    if (cheapest.premiumUsd.low > 0 && record.cache.discountUsd !== null && record.cache.discountUsd > 0) {
      dear.calls += 1
      dear.usd += cheapest.premiumUsd.low
    }
  })
  return {
    add: latest.add,
    read() {
      latest.flush()
      const read = <T>(each: (dimension: Dimension) => T): Record<Dimension, T> => ({
        task: each('task'),
        model: each('model'),
        provider: each('provider'),
        host: each('host'),
      })
      return {
        from: Number.isFinite(sums.from) ? sums.from : null,
        until: Number.isFinite(sums.until) ? sums.until : null,
        total: lots.total(),
        openCalls: sums.openCalls,
        rescued: sums.rescued,
        replaced: latest.replaced,
        groups: read(lots.by),
        series: read(series.by),
        routes: lots.by('route').map(({ name, row }) => {
          const [first] = lots.rivals(name)
          return { name, row, rival: first === undefined ? null : { name: first.word, count: first.count } }
        }),
        waterfall: waterfall.read(),
        dearCached: { ...dear },
        troubles: troubles.kinds(),
        places: troubles.places(),
        drifts: drifts.read().map(({ word, count }) => {
          const [kind = '', planned = '', served = ''] = word.split('\n')
          return { kind, planned, served, count }
        }),
      }
    },
  }
}

/** Of which the premium is the highest. */
function cheapestOf(alternatives: readonly Alternative[]): Alternative | null {
  let cheapest: Alternative | null = null
  for (const each of alternatives) {
    if (cheapest === null || each.premiumUsd.low > cheapest.premiumUsd.low) cheapest = each
  }
  return cheapest
}
