import type { Cancellation } from './cancellation.ts'
import type { Clock } from './clock.ts'
import { fields } from './fields.ts'

export interface Patience {
  readonly clock: Clock
  readonly cancellation: Pick<Cancellation, 'listen'>
  /** Milliseconds that it may take. */
  readonly patienceMs: number
  /** Milliseconds that the call has left. */
  readonly remainingMs: number
}

/**
 * What a function of the user's says, which may take its time. `null` when the call is over before it has spoken: that is
 * not its fault.
 */
export function inTime(said: unknown, { clock, cancellation, patienceMs, remainingMs }: Patience): unknown {
  if (!isThenable(said)) return said
  return new Promise((resolve, reject) => {
    const over = () => {
      stopTimer()
      forget()
    }
    const stopTimer = clock.timer(Math.min(patienceMs, remainingMs), () => {
      over()
      if (remainingMs < patienceMs) resolve(null)
      else reject(new TooSlow())
    })
    // The call is over: nobody needs its word any more.
    let forget = () => {}
    forget = cancellation.listen(() => {
      over()
      resolve(null)
    })
    Promise.resolve(said).then(resolve, reject).finally(over)
  })
}

/** By shape: `await` asks for no more either. */
export function isThenable(said: unknown): said is PromiseLike<unknown> {
  return typeof fields(said)?.then === 'function'
}

class TooSlow extends Error {
  override readonly name = 'RuleTooSlow'
}
