import type { Clock } from './clock.ts'
import type { UsageRecord } from './usage.ts'

/**
 * Takes each usage record. One that returns a promise gets the next record when it has settled, in order; what comes
 * meanwhile waits.
 */
export interface Sink {
  (record: UsageRecord): void | Promise<void>
  /** Takes all that waits at once, where it is given. */
  readonly batch?: (records: readonly UsageRecord[]) => void | Promise<void>
}

/** What there is to tell of a sink; `index` is its place in the list. */
export type SinkTrouble =
  | { readonly type: 'failed'; readonly index: number; readonly sink: Sink; readonly error: unknown }
  /** It is too slow, and records are dropped from now on. */
  | { readonly type: 'dropping'; readonly index: number; readonly sink: Sink }
  /** It has caught up, or is not waited for any longer: so many were dropped. */
  | { readonly type: 'dropped'; readonly index: number; readonly sink: Sink; readonly drops: number }

export interface SinksOptions {
  readonly clock: Clock
  readonly report: (trouble: SinkTrouble) => void
  /** How many records may wait for each sink (1000). */
  readonly most?: number
}

export interface Sinks {
  /** Never throws and never waits. A sink that is not busy has the record when this returns, in the caller's context. */
  feed(record: UsageRecord): void
  /** Resolves when every sink has what it was fed, or after so many milliseconds (5000): one that hangs keeps nobody. */
  drained(patienceMs?: number): Promise<void>
  /** Records that some sink did not get, since the beginning. */
  readonly drops: number
}

const MOST_WAITING = 1000
const PATIENCE = 5000

/**
 * Gives records to sinks, each at its own pace: none waits for another, and no call waits for any. What does not fit the
 * queue of a sink is dropped, the newest first: what was once taken is never lost for something that came later, and the
 * gap is one piece with a beginning and an end that are told.
 */
export function createSinks(given: readonly Sink[], { clock, report, most = MOST_WAITING }: SinksOptions): Sinks {
  const feeders = given.map((sink, index) => createFeeder(sink, { index, most, report }))
  return Object.freeze({
    feed(record: UsageRecord) {
      for (const feeder of feeders) feeder.feed(record)
    },
    async drained(patienceMs = PATIENCE) {
      const idle = feeders.map((feeder) => feeder.idle()).filter((waited) => waited !== null)
      if (idle.length === 0) return
      let stopTimer = () => {}
      const patience = new Promise<void>((resolve) => {
        stopTimer = clock.timer(patienceMs, resolve)
      })
      await Promise.race([Promise.all(idle), patience])
      stopTimer()
      // Whoever closes hears of the losses, also of those to a sink that never comes back.
      for (const feeder of feeders) feeder.tell()
    },
    get drops() {
      return feeders.reduce((sum, feeder) => sum + feeder.drops, 0)
    },
  })
}

interface Feeder {
  readonly drops: number
  feed(record: UsageRecord): void
  /** `null`: there is nothing to wait for. */
  idle(): Promise<void> | null
  /** Reports the drops that have not been told. */
  tell(): void
}

function createFeeder(
  sink: Sink,
  { index, most, report }: { index: number; most: number; report: SinksOptions['report'] },
): Feeder {
  let waiting: UsageRecord[] = []
  let busy = false
  let drops = 0
  let untold = 0
  let resting: (() => void)[] = []

  const failed = (error: unknown) => report({ type: 'failed', index, sink, error })

  /** `null` when it is over already. */
  function give(records: readonly UsageRecord[]): Promise<void> | null {
    try {
      const [record] = records
      const given = records.length > 1 && sink.batch ? sink.batch(records) : record && sink(record)
      // Somebody else's promise may throw when it is looked at.
      return isThenable(given) ? Promise.resolve(given).catch(failed) : null
    } catch (error) {
      failed(error)
      return null
    }
  }

  function take(): readonly UsageRecord[] {
    if (sink.batch === undefined) return waiting.splice(0, 1)
    const all = waiting
    waiting = []
    return all
  }

  function work(records: readonly UsageRecord[]): void {
    busy = true
    for (let next = records; next.length > 0; next = take()) {
      const pending = give(next)
      if (pending === null) continue
      void pending.then(() => work(take()))
      return
    }
    busy = false
    tell()
    const rested = resting
    resting = []
    for (const resolve of rested) resolve()
  }

  function tell(): void {
    if (untold === 0) return
    const told = untold
    untold = 0
    report({ type: 'dropped', index, sink, drops: told })
  }

  return {
    get drops() {
      return drops
    },
    feed(record) {
      if (!busy) return work([record])
      if (waiting.length < most) {
        waiting.push(record)
        return
      }
      drops += 1
      untold += 1
      if (untold === 1) report({ type: 'dropping', index, sink })
    },
    idle: () => (busy ? new Promise((resolve) => resting.push(resolve)) : null),
    tell,
  }
}

function isThenable(value: unknown): value is PromiseLike<void> {
  return typeof value === 'object' && value !== null && typeof Reflect.get(value, 'then') === 'function'
}
