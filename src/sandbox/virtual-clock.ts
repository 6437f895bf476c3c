import type { Clock } from '../clock.ts'

/** A clock that stands still until it is told to go on. */
export interface VirtualClock extends Clock {
  /** Moves on by so many milliseconds; what falls due runs in order, and promises settle in between. */
  advance(milliseconds: number): Promise<void>
  /** Runs timers in order, also those they set themselves, until none is left. */
  runAll(): Promise<void>
  /** How many timers are waiting. */
  readonly pending: number
}

interface Timer {
  readonly due: number
  readonly order: number
  readonly run: () => void
}

/** Above this, timers that keep setting timers are taken for an endless loop. */
const MOST_TIMERS = 100_000

/**
 * A clock for tests: a day of outages in a millisecond, the same each time.
 *
 * @param date The date it starts at, in milliseconds since 1970 (left out: 2026-01-01T00:00:00Z).
 */
export function virtualClock(date = Date.UTC(2026, 0, 1)): VirtualClock {
  let elapsed = 0
  let order = 0
  const timers = new Set<Timer>()

  function next(until: number): Timer | undefined {
    let first: Timer | undefined
    for (const timer of timers) {
      if (timer.due > until) continue
      if (first === undefined || timer.due < first.due || (timer.due === first.due && timer.order < first.order))
        first = timer
    }
    return first
  }

  async function run(timer: Timer): Promise<void> {
    timers.delete(timer)
    elapsed = Math.max(elapsed, timer.due)
    timer.run()
    await settle()
  }

  return Object.freeze({
    now: () => elapsed,
    date: () => date + elapsed,
    timer(milliseconds: number, run: () => void) {
      // As with real timers: what is no number, or in the past, is due at once.
      const timer = { due: elapsed + (Number.isNaN(milliseconds) ? 0 : Math.max(milliseconds, 0)), order: order++, run }
      timers.add(timer)
      return () => {
        timers.delete(timer)
      }
    },
    get pending() {
      return timers.size
    },
    async advance(milliseconds: number) {
      const until = elapsed + milliseconds
      await settle()
      for (let timer = next(until); timer !== undefined; timer = next(until)) await run(timer)
      elapsed = until
    },
    async runAll() {
      await settle()
      for (let count = 0; timers.size > 0; count++) {
        if (count >= MOST_TIMERS) throw new Error('virtualClock: timers keep setting timers; use advance() instead')
        const timer = next(Number.POSITIVE_INFINITY)
        if (timer !== undefined) await run(timer)
      }
    },
  })
}

/** One turn of the event loop: every promise that can settle by itself has settled after it. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0))
}
