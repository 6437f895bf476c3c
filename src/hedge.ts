import { asksOthers, type ChatRequest } from './chat.ts'
import type { Clock } from './clock.ts'
import type { AttemptResult, Order } from './exchange.ts'
import { VERDICTS } from './failure.ts'
import type { Policy } from './policy.ts'

/** An attempt under way. */
export interface Trial {
  readonly order: Order
  /** Settles when its first content is there, or it is over. It never rejects. */
  readonly started: Promise<void>
  /** Once it is over; `null` before. */
  readonly result: AttemptResult | null
  /** What that is worth to the call, where it is something else. */
  readonly worth?: AttemptResult | null
  /** Ends it now, if it is not over: what was used until then is in its result. */
  stop(): void
}

export interface Hedging<T extends Trial> {
  readonly clock: Clock
  /** Milliseconds after which the first one is late. */
  readonly afterMs: number
  /** Starts a second one, if it may be; asked for while the first is late. */
  second(isLate: () => boolean): Promise<T | null>
  /** One of the two is out of it, and over. */
  lost(trial: T): void
}

/**
 * The trial that counts: the first one, or, when it is late, whichever of two has its first content sooner. The other
 * is given up, and its result is told. A failure does not win while the other is still under way, unless it leads
 * nowhere.
 */
export async function hedged<T extends Trial>(first: T, { clock, afterMs, second, lost }: Hedging<T>): Promise<T> {
  if (await isLate(first, clock, afterMs)) {
    let late = true
    void first.started.then(() => {
      late = false
    })
    const rival = await second(() => late)
    if (rival !== null) return sooner(first, rival, lost)
  }
  await first.started
  return first
}

/** One that is there, and only looked at, is not late. */
function isLate(trial: Trial, clock: Clock, afterMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const stopTimer = clock.timer(afterMs, () => resolve(trial.result === null))
    void trial.started.then(() => {
      stopTimer()
      resolve(false)
    })
  })
}

async function sooner<T extends Trial>(first: T, rival: T, lost: (trial: T) => void): Promise<T> {
  const ahead = await Promise.race([first.started.then(() => first), rival.started.then(() => rival)])
  const behind = ahead === first ? rival : first
  const failed = (ahead.worth ?? ahead.result)?.failure ?? null
  // What is refused here would be refused there: that ends both.
  if (failed !== null && VERDICTS[failed.kind].next !== 'nowhere') {
    lost(ahead)
    await behind.started
    return behind
  }
  behind.stop()
  lost(behind)
  return ahead
}

/** Whatever was measured: less than this is no delay worth paying twice for. */
const LEAST_P95 = 1000

/** Milliseconds after which an attempt is late; `null`: no second one is made. */
export function lateAfter({ hedge }: Policy, request: ChatRequest, p95: number | null): number | null {
  // What tools do where the model is, they would do twice.
  if (hedge === null || asksOthers(request)) return null
  if (hedge.afterMs !== 'p95') return hedge.afterMs
  return p95 === null ? null : Math.max(p95, LEAST_P95)
}
