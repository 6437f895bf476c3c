/** Groq's limits for one model; what is left out has none. */
export interface GroqLimits {
  readonly requestsPerDay?: number
  readonly requestsPerMinute?: number
  readonly tokensPerMinute?: number
  readonly tokensPerDay?: number
}

export interface Limit {
  readonly status: 413 | 429
  readonly words: string
  readonly type: 'tokens' | 'requests'
  readonly retryAfterMs: number | null
}

export interface RateLimits {
  /** Says no, or notes the request. `requested` is what Groq reserves: the prompt and the most it may answer. */
  admit(model: string, requested: number): Limit | null
  spend(model: string, tokens: number): void
  headers(model: string): Readonly<Record<string, string>>
  clear(): void
}

const DAY = 86_400_000
const MINUTE = 60_000
/** A paid account's, and then some: a test that does not care never meets them. */
export const GENEROUS = { requestsPerDay: 14_400_000, tokensPerMinute: 300_000_000 } as const satisfies GroqLimits

interface Bucket {
  used: number
  at: number
}

/** Buckets that refill all the time, by model, as Groq's do: `reset` is when they are full again. */
export function createRateLimits(limits: GroqLimits, now: () => number): RateLimits {
  const buckets = new Map<string, Bucket>()

  function bucket(name: string, limit: number, period: number): Bucket {
    const time = now()
    const found = buckets.get(name) ?? { used: 0, at: time }
    found.used = Math.max(0, found.used - ((time - found.at) * limit) / period)
    found.at = time
    buckets.set(name, found)
    return found
  }

  const kinds = [
    { short: 'RPM', words: 'requests per minute', type: 'requests', limit: limits.requestsPerMinute, period: MINUTE },
    { short: 'RPD', words: 'requests per day', type: 'requests', limit: limits.requestsPerDay, period: DAY },
    { short: 'TPM', words: 'tokens per minute', type: 'tokens', limit: limits.tokensPerMinute, period: MINUTE },
    { short: 'TPD', words: 'tokens per day', type: 'tokens', limit: limits.tokensPerDay, period: DAY },
  ] as const

  return {
    admit(model, requested) {
      for (const { short, words, type, limit, period } of kinds) {
        if (limit === undefined) continue
        const wanted = type === 'requests' ? 1 : requested
        const { used } = bucket(`${model}|${short}`, limit, period)
        const head = `on ${words} (${short}): Limit ${limit}`
        if (wanted > limit) {
          return {
            status: 413,
            type,
            retryAfterMs: null,
            words: `${head}, Requested ${wanted}, please reduce your message size and try again.`,
          }
        }
        // A refill is a fraction: without the grain, a bucket that is full to the eye would still refuse.
        if (used + wanted <= limit + 1e-6) continue
        const retryAfterMs = ((used + wanted - limit) * period) / limit
        return {
          status: 429,
          type,
          retryAfterMs,
          words: `${head}, Used ${Math.ceil(used)}, Requested ${wanted}. Please try again in ${duration(retryAfterMs)}.`,
        }
      }
      for (const { short, type, limit, period } of kinds) {
        if (limit !== undefined && type === 'requests') bucket(`${model}|${short}`, limit, period).used += 1
      }
      return null
    },
    spend(model, tokens) {
      for (const { short, type, limit, period } of kinds) {
        if (limit !== undefined && type === 'tokens') bucket(`${model}|${short}`, limit, period).used += tokens
      }
    },
    headers(model) {
      const headers: Record<string, string> = {}
      for (const { short, type, limit, period } of kinds) {
        // There are headers for these two only.
        if (limit === undefined || (short !== 'RPD' && short !== 'TPM')) continue
        const { used } = bucket(`${model}|${short}`, limit, period)
        headers[`x-ratelimit-limit-${type}`] = String(limit)
        headers[`x-ratelimit-remaining-${type}`] = String(Math.max(0, Math.floor(limit - used + 1e-6)))
        headers[`x-ratelimit-reset-${type}`] = duration((used * period) / limit)
      }
      return headers
    },
    clear: () => buckets.clear(),
  }
}

/** As Go prints durations: `1m26.4s`, `585ms`, `2h0m3s`. */
export function duration(milliseconds: number): string {
  if (milliseconds <= 0) return '0s'
  if (milliseconds < 1000) return `${trimmed(milliseconds)}ms`
  const hours = Math.floor(milliseconds / 3_600_000)
  const minutes = Math.floor(milliseconds / 60_000) % 60
  const seconds = `${trimmed((milliseconds % 60_000) / 1000)}s`
  if (hours > 0) return `${hours}h${minutes}m${seconds}`
  return minutes > 0 ? `${minutes}m${seconds}` : seconds
}

function trimmed(value: number): string {
  return String(Number(value.toFixed(3)))
}
