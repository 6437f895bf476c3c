import { dateOf, isoTime, type Moment } from './clock.ts'
import { ConfigError } from './errors.ts'
import { emptyMeasures, emptySums, measure, measureAttempt, measureCall, merge, type Sums } from './measures.ts'
import { checkOptions, type Expectation, expected, unknown } from './options.ts'
import { rowOf, type TallyRow } from './tally.ts'
import { createTimeline, type Timeline } from './timeline.ts'
import type { UsageRecord } from './usage.ts'

/** What calls are summed by; metadata only by the keys that were named when the router was made. */
export type LedgerBy = 'task' | 'model' | 'provider' | 'host' | 'session' | `metadata.${string}`

export interface SummaryOptions {
  /** Default: `task`. */
  readonly by?: LedgerBy
  /** Milliseconds since 1970, a Date, or an ISO time. Default: all since the router was made. */
  readonly since?: Moment
}

export interface LedgerRow extends TallyRow {
  /**
   * The task, the model that answered (else the one asked for), the provider, the host as in `openrouter/anthropic` (a
   * provider without hosts stands for itself), the keyed hash of the session, the value in the metadata. `null`: the
   * calls that have none.
   */
  readonly key: string | null
  /** The row named `others`: above a thousand keys, those that were not used for longest are folded into it. */
  readonly others: boolean
}

export interface LedgerSummary {
  readonly by: LedgerBy
  /**
   * When what is in the rows really begins. Minutes are kept apart for the last three hours (ten at a time by session and
   * metadata), hours for three days, days (in UTC) for two months, and all of them for less long where very many keys are
   * in use: `since` reaches back to the beginning of the one that it falls into. `null`: there was no call.
   */
  readonly from: string | null
  /** The dearest first, the others last. */
  readonly rows: readonly LedgerRow[]
  readonly total: TallyRow
}

/** Records, kept and summed. */
export interface Ledger {
  /** The newest, newest last, bounded. */
  readonly records: readonly UsageRecord[]
  /**
   * Sums over all calls since the router was made, not only over the records kept: in constant memory, money exact to a
   * pico-dollar, quantiles within 1 %. By model, provider and host, a call counts where it was answered (else where it was
   * tried last), and every attempt with its tokens and its cost counts where it was made: so the cost of a provider is
   * what that provider charges.
   * @throws ConfigError when `by` or `since` is none.
   * @example
   * for (const { key, calls, cost } of router.ledger.summary({ by: 'provider' }).rows) console.log(key, calls, cost.low)
   */
  summary(options?: SummaryOptions): LedgerSummary
}

export interface LedgerOptions {
  /** Records kept; default: 1000. */
  readonly most?: number
  /** Keys of `metadata` to sum by as well; at the most four. */
  readonly metadata?: readonly string[]
}

const MOST_RECORDS = 1000
const MOST_KEYS = 1000
const MOST_METADATA = 4
const MINUTE = 60_000
/** Of sessions there are many, with few calls each. */
const MANY_MINUTES = 10 * MINUTE
/** Of all sums together: some kilobytes each. */
const MOST_CELLS = 10_240
const ENOUGH_FREED = 0.75
const LOOKS_EVERY = 64

/** Sums by what a record has one of. */
interface Whole {
  readonly by: LedgerBy
  readonly timeline: Timeline
  keyOf(record: UsageRecord): string | null
}

/** One thing to sum by: model, provider and host are read off the same sums. */
interface Dimension {
  readonly by: LedgerBy
  readonly timeline: Timeline
  nameOf(key: string | null): string | null
}

export function createLedger(options: LedgerOptions = {}): Ledger & {
  note(record: UsageRecord): void
  /**
   * Puts a record in the place of the one with its id, and corrects every sum. `false`: that one is not kept any more, and
   * nothing was changed.
   */
  replace(record: UsageRecord): boolean
} {
  const { most, metadata } = checkedOptions(options)
  const wholes = wholesOf(metadata)
  const routes = createTimeline({ mostKeys: MOST_KEYS, finest: MINUTE })
  const routeOf = createRoutes()
  const timelines = [routes, ...wholes.map(({ timeline }) => timeline)]
  const dimensions = dimensionsOf(wholes, routes)
  const records: UsageRecord[] = []
  /** Beside each record, by which number its sums are found again. */
  const numbers: number[] = []
  // Used for every record anew: a call leaves nothing behind but its sums.
  const whole = emptyMeasures()
  const part = emptyMeasures()
  let n = 0
  let began = Number.POSITIVE_INFINITY

  function spread(record: UsageRecord, number: number, verb: 'take' | 'takeBack'): number {
    const date = dateOf(record.at)
    const { attempts } = record
    measure(record, whole)
    for (const { timeline, keyOf } of wholes) timeline[verb](keyOf(record), whole, date, number)
    const model = record.model.served ?? record.model.asked
    const route = routeOf(record.provider, record.host, model)
    if (attempts.length <= 1) {
      routes[verb](route, whole, date, number)
      return date
    }
    const answered = record.outcome === 'ok' ? attempts.findLast(({ outcome }) => outcome === 'ok') : undefined
    routes[verb](route, measureCall(record, part), date, number)
    for (const attempt of attempts) {
      const own = attempt === answered ? route : routeOf(attempt.provider, attempt.host, attempt.model)
      routes[verb](own, measureAttempt(attempt, part), date, number)
    }
    return date
  }

  /** Where most is kept, the old is kept more coarsely. Looked at once in a while: a few too many do not matter. */
  function bound(): void {
    if (n % LOOKS_EVERY !== 0 || cellsOf(timelines) <= MOST_CELLS) return
    const byCells = [...timelines]
    while (byCells.length > 0 && cellsOf(timelines) > MOST_CELLS * ENOUGH_FREED) {
      byCells.sort((one, other) => other.cells - one.cells)
      if (byCells[0]?.coarsen() !== true) byCells.shift()
    }
  }

  return Object.freeze({
    get records() {
      return Object.freeze(records.slice(-most))
    },
    note(record: UsageRecord) {
      n += 1
      records.push(record)
      numbers.push(n)
      // Twice the bound before anything moves: the cost of trimming is spread over many calls.
      if (records.length >= 2 * most) {
        records.splice(0, records.length - most)
        numbers.splice(0, numbers.length - most)
      }
      const date = spread(record, n, 'take')
      if (date < began) began = date
      bound()
    },
    replace(record: UsageRecord) {
      const place = records.findLastIndex(({ id }) => id === record.id)
      const old = records[place]
      const number = numbers[place]
      if (old === undefined || number === undefined || place < records.length - most) return false
      spread(old, number, 'takeBack')
      n += 1
      records[place] = record
      numbers[place] = n
      spread(record, n, 'take')
      bound()
      return true
    },
    summary(given: SummaryOptions = {}) {
      const { dimension, since } = checkedSummary(given, dimensions)
      const { by, timeline, nameOf } = dimension
      const all = emptySums()
      const others = emptySums()
      const byName = new Map<string | null, Sums>()
      for (const { key, others: isFolded, sums } of timeline.since(since)) {
        merge(all, sums)
        merge(isFolded ? others : sumsOf(byName, nameOf(key)), sums)
      }
      const rows = [...byName].map(([key, sums]) => ({ key, others: false, ...rowOf(sums) }))
      rows.sort((one, other) => other.cost.low - one.cost.low || other.calls - one.calls)
      rows.push({ key: 'others', others: true, ...rowOf(others) })
      return Object.freeze({
        by,
        from: began === Number.POSITIVE_INFINITY ? null : isoTime(Math.max(timeline.startOf(since), began)),
        rows: Object.freeze(rows.filter(isUsed).map((row) => Object.freeze(row))),
        total: rowOf(all),
      })
    },
  })
}

/** A key of which every record was replaced by one elsewhere is none. */
function isUsed({ calls, attempts }: TallyRow): boolean {
  return calls !== 0 || attempts.count !== 0
}

function sumsOf(byName: Map<string | null, Sums>, name: string | null): Sums {
  const known = byName.get(name)
  if (known !== undefined) return known
  const sums = emptySums()
  byName.set(name, sums)
  return sums
}

function cellsOf(timelines: readonly Timeline[]): number {
  let cells = 0
  for (const timeline of timelines) cells += timeline.cells
  return cells
}

function wholesOf(metadata: readonly string[]): readonly Whole[] {
  return [
    { by: 'task', timeline: createTimeline({ mostKeys: MOST_KEYS, finest: MINUTE }), keyOf: ({ task }) => task },
    {
      by: 'session',
      timeline: createTimeline({ mostKeys: MOST_KEYS, finest: MANY_MINUTES }),
      keyOf: ({ session }) => session,
    },
    ...metadata.map(
      (name): Whole => ({
        by: `metadata.${name}`,
        timeline: createTimeline({ mostKeys: MOST_KEYS, finest: MANY_MINUTES }),
        keyOf: ({ metadata: given }) => (Object.hasOwn(given, name) ? (given[name] ?? null) : null),
      }),
    ),
  ]
}

function dimensionsOf(wholes: readonly Whole[], routes: Timeline): readonly Dimension[] {
  const part = (key: string | null, place: number) => key?.split(SEPARATOR)[place] || null
  return [
    { by: 'model', timeline: routes, nameOf: (key) => part(key, 2) },
    { by: 'provider', timeline: routes, nameOf: (key) => part(key, 0) },
    {
      by: 'host',
      timeline: routes,
      nameOf(key) {
        const [provider, host] = [part(key, 0), part(key, 1)]
        return host === null ? provider : `${provider}/${host}`
      },
    },
    ...wholes.map(({ by, timeline }): Dimension => ({ by, timeline, nameOf: (key) => key })),
  ]
}

/** In no name that a person would give. */
const SEPARATOR = '\0'

interface Route {
  readonly provider: string | null
  readonly host: string | null
  readonly key: string
}

/** Where a call went, in one text: put together once for each, since a new text is dearer to look up than a known one. */
function createRoutes(): (provider: string | null, host: string | null, model: string) => string {
  const byModel = new Map<string, Route[]>()
  let count = 0
  return (provider, host, model) => {
    const known = byModel.get(model)
    for (const route of known ?? []) if (route.provider === provider && route.host === host) return route.key
    const key = `${provider ?? ''}${SEPARATOR}${host ?? ''}${SEPARATOR}${model}`
    if (count >= MOST_KEYS) {
      byModel.clear()
      count = 0
    }
    byModel.set(model, [...(byModel.get(model) ?? []), { provider, host, key }])
    count += 1
    return key
  }
}

const LEDGER: Readonly<Record<string, Expectation>> = {
  most: expected(
    'a whole number from 1 to 100000',
    (value) => typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 100_000,
  ),
  metadata: expected(
    `a list of at most ${MOST_METADATA} different names`,
    (value) =>
      Array.isArray(value) &&
      value.length <= MOST_METADATA &&
      new Set(value).size === value.length &&
      value.every((name) => typeof name === 'string' && name !== ''),
  ),
}

function checkedOptions(options: LedgerOptions): Required<LedgerOptions> {
  checkOptions(options, { of: 'ledger', says: 'an object such as { most: 1000 }', known: LEDGER })
  return { most: options.most ?? MOST_RECORDS, metadata: [...(options.metadata ?? [])] }
}

const SUMMARY: Readonly<Record<string, Expectation>> = {
  by: expected("a name such as 'task'", (value) => typeof value === 'string'),
  since: expected('milliseconds since 1970, a Date or an ISO time', (value) => !Number.isNaN(dateOf(value))),
}

function checkedSummary(
  given: SummaryOptions,
  dimensions: readonly Dimension[],
): { readonly dimension: Dimension; readonly since: number } {
  checkOptions(given, { of: 'summary', says: "an object such as { by: 'task' }", known: SUMMARY })
  const { by = 'task', since } = given
  const dimension = dimensions.find((each) => each.by === by)
  if (dimension === undefined) {
    const names = dimensions.map((each) => each.by)
    const advice = by.startsWith('metadata.') ? '; metadata is summed by the keys that were named beforehand' : ''
    throw new ConfigError('summary.by', `${unknown('name', by, names)}${advice}`)
  }
  return { dimension, since: since === undefined ? Number.NEGATIVE_INFINITY : dateOf(since) }
}
