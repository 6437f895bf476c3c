import type { Clock } from '../clock.ts'
import type { Store } from './store.ts'

/** What is told of an outage: that it began, with the name of the error and nothing of its words, or that it is over. */
export interface Trouble {
  readonly state: 'down' | 'back'
  readonly error: string | null
}

/** What came of a question: an answer, a failure, or nothing in time. */
export type Answer<Value> =
  | { readonly is: 'given'; readonly value: Value }
  | { readonly is: 'failed' }
  | { readonly is: 'late' }

export interface Outage {
  readonly down: boolean
  /** How much is on its way that nobody waits for. */
  readonly underWay: number
  /** Whether the store is to be left alone now. When it has been for long enough, a probe starts beside the caller. */
  resting(): boolean
  /**
   * Asks the store, for so long; never rejects. What it says when nobody waits any more goes to `afterwards`: the answer,
   * or `undefined` for a failure.
   */
  ask<Value>(
    run: () => Promise<Value>,
    patienceMs: number,
    afterwards?: (answer: Value | undefined) => void,
  ): Promise<Answer<Value>>
  /** Counts something as on its way until it has settled. */
  follow(way: Promise<void>): void
  drained(): Promise<void>
}

interface OutageOptions {
  readonly store: Store
  readonly clock: Clock
  readonly patienceMs: number
  readonly onTrouble: ((trouble: Trouble) => void) | undefined
  readonly onBack: () => void
}

const LATE = 'TimeoutError'
const FIRST_REST = 1000
const LONGEST_REST = 30_000
/** Only the store's own name for the probe: nobody's text or sum is under it. */
const PROBE = 'probe'
const PROBE_MS = 1000

/** Whether a store answers: notices when it does not, leaves it alone for a while, and finds out when it does again. */
export function createOutage(options: OutageOptions): Outage {
  const { store, clock, patienceMs, onTrouble, onBack } = options
  let down = false
  /** Counts the changes: what was asked before the last one says nothing of the time after it. */
  let epoch = 0
  let restMs = FIRST_REST
  let restUntil = 0
  let upSince = Number.NEGATIVE_INFINITY
  let probing = false
  /** Whether it ever answered: until then it may be that its client has yet to connect. */
  let answered = false
  let told = false
  let underWay = 0
  let waiting: (() => void)[] = []

  function tell(state: Trouble['state'], error: string | null): void {
    told = state === 'down'
    try {
      onTrouble?.(Object.freeze({ state, error }))
    } catch {
      // A listener's own failure is not the store's, and none of the call's.
    }
  }
  function failed(error: string, since: number): void {
    if (since !== epoch) return
    if (down) {
      // It was given the time to connect, and still does not answer.
      if (!told) tell('down', error)
      return
    }
    const now = clock.now()
    // A store that was back for a moment only is left alone for longer than the last time.
    restMs = now - upSince < LONGEST_REST ? Math.min(restMs * 2, LONGEST_REST) : FIRST_REST
    restUntil = now + restMs
    down = true
    epoch += 1
    if (answered || error !== LATE) tell('down', error)
  }
  function ask<Value>(
    run: () => Promise<Value>,
    patience: number,
    afterwards?: (answer: Value | undefined) => void,
  ): Promise<Answer<Value>> {
    const since = epoch
    return new Promise((resolve) => {
      let waited = true
      const late = () => {
        waited = false
        failed(LATE, since)
        resolve({ is: 'late' })
      }
      // The last millisecond apart: after a standstill of this process, what has come meanwhile is heard first.
      let cancel = clock.timer(Math.max(0, patience - 1), () => {
        cancel = clock.timer(1, late)
      })
      const given = (value: Value) => {
        if (!waited) return afterwards?.(value)
        cancel()
        answered = true
        resolve({ is: 'given', value })
      }
      const lost = (error: unknown) => {
        if (!waited) return afterwards?.(undefined)
        cancel()
        failed(nameOf(error), since)
        resolve({ is: 'failed' })
      }
      try {
        Promise.resolve(run()).then(given, lost)
      } catch (error) {
        lost(error)
      }
    })
  }
  /** All that is ever asked of a store, once: one that only reads, or that has no room, is not back. */
  async function answers(): Promise<boolean> {
    const questions: (() => Promise<unknown>)[] = [
      () => store.write(PROBE, PROBE, PROBE_MS),
      () => store.read(PROBE),
      () => store.add(PROBE, 1, { most: null, ttlMs: PROBE_MS }),
      () => store.close(PROBE, { [PROBE]: PROBE_MS }),
      () => store.closed(PROBE),
    ]
    for (const question of questions) {
      const { is } = await ask(question, patienceMs)
      if (is !== 'given') return false
    }
    return true
  }
  async function probe(): Promise<void> {
    probing = true
    const back = await answers()
    probing = false
    const now = clock.now()
    if (back) {
      upSince = now
      down = false
      epoch += 1
      if (told) tell('back', null)
      onBack()
    } else {
      restMs = Math.min(restMs * 2, LONGEST_REST)
      restUntil = now + restMs
    }
  }
  function follow(way: Promise<void>): void {
    underWay += 1
    const arrived = () => {
      underWay -= 1
      if (underWay > 0) return
      for (const resolve of waiting) resolve()
      waiting = []
    }
    way.then(arrived, arrived)
  }
  return {
    get down() {
      return down
    },
    get underWay() {
      return underWay
    },
    resting() {
      if (down && !probing && clock.now() >= restUntil) follow(probe())
      return down
    },
    ask,
    follow,
    drained: () =>
      underWay === 0 ? Promise.resolve() : new Promise((resolve) => void waiting.push(() => resolve(undefined))),
  }
}

/** Names are of a few kinds; whatever else stands there may be somebody's text. */
function nameOf(error: unknown): string {
  const name = error instanceof Error ? error.name : typeof error
  return /^[A-Za-z]\w{0,63}$/.test(name) ? name : 'Error'
}
