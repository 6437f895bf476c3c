import pRetry from 'p-retry'
import type { Failure } from './failure.ts'
import { LONGEST_WAIT } from './health.ts'

/** Says to p-retry that there is more to come. */
class Unfinished extends Error {}

/**
 * Goes on until a round ends it. p-retry repeats; how long to pause is decided and waited for inside a round, because
 * its timers know neither the call's clock nor what a provider asks for.
 */
export async function repeated<T>(round: () => Promise<T>, isOver: (came: T) => boolean): Promise<T> {
  const attempt = async () => {
    const came = await round()
    if (!isOver(came)) throw new Unfinished()
    return came
  }
  const shouldRetry = ({ error }: { readonly error: Error }) => error instanceof Unfinished
  return pRetry(attempt, { retries: Number.POSITIVE_INFINITY, minTimeout: 0, maxTimeout: 0, shouldRetry })
}

const SHORTEST_HINT = 50
const LONGEST_BACKOFF = 8000
const BASE = 500
const BASE_OF_LIMITS = 1000
/** What is added to a time that everybody was told, so that not everybody comes back at once. */
const SPREAD = 0.1

/**
 * Milliseconds until the same offer may be asked again: never sooner than it asked for, and otherwise anything up to a
 * bound that doubles each time (full jitter). `null`: it asks for more than anybody should wait.
 */
export function pauseOf(
  failed: Failure,
  about: { readonly times: number; readonly random: () => number },
): number | null {
  const { times, random } = about
  const { kind, retryAfterMs } = failed
  if (retryAfterMs !== null)
    return retryAfterMs > LONGEST_WAIT ? null : spread(Math.max(retryAfterMs, SHORTEST_HINT), random)
  const base = kind === 'rate-limited' ? BASE_OF_LIMITS : BASE
  return random() * Math.min(LONGEST_BACKOFF, base * 2 ** (times - 1))
}

export function spread(milliseconds: number, random: () => number): number {
  return milliseconds * (1 + SPREAD * random())
}
