import { systemClock } from '../../src/clock.ts'

const TWO_DAYS = 172_800_000

/** The system's clock, and a way to let days go by: what was learned of a provider that failed is forgotten by then. */
export function leapingClock() {
  let leapt = 0
  return {
    now: () => systemClock.now() + leapt,
    date: () => systemClock.date() + leapt,
    timer: systemClock.timer,
    leap() {
      leapt += TWO_DAYS
    },
  }
}
