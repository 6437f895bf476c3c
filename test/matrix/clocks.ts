import type { Clock } from 'modelfirst'
import { type VirtualClock, virtualClock } from 'modelfirst/sandbox'

/** A clock that knows what is waiting on it, and for when. */
export interface Watched extends Clock {
  readonly pending: number
  /** When the next of its timers is due; `null` when none is. */
  readonly next: number | null
}

function watched(clock: Clock): Watched {
  const due = new Map<object, number>()
  return {
    now: clock.now,
    date: clock.date,
    timer(milliseconds, run) {
      const key = {}
      due.set(key, clock.now() + (Number.isNaN(milliseconds) ? 0 : Math.max(milliseconds, 0)))
      const cancel = clock.timer(milliseconds, () => {
        due.delete(key)
        run()
      })
      return () => {
        due.delete(key)
        cancel()
      }
    },
    get pending() {
      return due.size
    },
    get next() {
      return due.size === 0 ? null : Math.min(...due.values())
    },
  }
}

/** The library's clock, and the one of the script beside it, which is the same time with timers of its own. */
export interface Clocks {
  readonly library: Watched
  readonly script: Watched
}

export function virtualClocks(): Clocks & { readonly virtual: VirtualClock } {
  const virtual = virtualClock()
  return { virtual, library: watched(virtual), script: watched(virtual) }
}

/** The system's time at another pace: what takes seconds in the script is over in tenths of them. */
export function pacedClocks(pace: number): Clocks {
  const origin = performance.now()
  const now = () => (performance.now() - origin) * pace
  const paced: Clock = {
    now,
    date: () => Date.UTC(2026, 0, 1) + now(),
    timer(milliseconds, run) {
      const timer = setTimeout(run, Math.min(Math.max(milliseconds / pace, 0), 2 ** 31 - 1))
      return () => clearTimeout(timer)
    },
  }
  return { library: watched(paced), script: watched(paced) }
}
