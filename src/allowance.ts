/**
 * What may be asked a second time, over all calls to one provider: a tenth of what was asked a first time, and a little
 * for those who ask seldom. In an outage it keeps a crowd of callers from becoming a larger one.
 */
export interface Allowance {
  /** Something was asked a first time. */
  earn(): void
  /** Whether something may be asked again now. */
  allows(now: number): boolean
  spend(now: number): void
}

const SHARE = 0.1
const PER_SECOND = 1
const MOST = 10

export function createAllowance(): Allowance {
  let saved = MOST
  let at: number | null = null
  const accrue = (now: number) => {
    if (at !== null) saved = Math.min(MOST, saved + (PER_SECOND * Math.max(0, now - at)) / 1000)
    at = now
  }
  return {
    earn() {
      saved = Math.min(MOST, saved + SHARE)
    },
    allows(now) {
      accrue(now)
      return saved >= 1
    },
    spend(now) {
      accrue(now)
      saved -= 1
    },
  }
}
