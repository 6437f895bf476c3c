/**
 * A breaker's states, apart from any judgement of what a failure is. Every outcome belongs to the epoch in which its
 * attempt began: what comes late, from before the last change of state, changes nothing.
 */
export interface Breaker {
  readonly state: 'closed' | 'open'
  /** Monotonic: until then it is open; after it, one attempt at a time may find out. */
  readonly until: number
  /** Whether an attempt may begin now. */
  admits(now: number): boolean
  /** An attempt begins, admitted or not; what it gives back belongs to `note`. */
  begin(now: number): number
  /** How it ended; `null`: in a way that says nothing. */
  note(epoch: number, ok: boolean | null, now: number): void
}

/** So many windows of so many milliseconds are looked back on. */
const WINDOWS = 10
const WINDOW_MS = 3000
const FAILURES_IN_A_ROW = 5
const LEAST_SEEN = 10
const SHARE = 0.5
const SHORTEST_MS = 5000
const LONGEST_MS = 300_000

export function createBreaker(random: () => number): Breaker {
  const seen = new Array<number>(WINDOWS).fill(0)
  const failed = new Array<number>(WINDOWS).fill(0)
  let window = 0
  let inARow = 0
  let open = false
  let until = 0
  /** How often it has opened since it was last well. */
  let openings = 0
  let probing = false
  let epoch = 0

  function forget(): void {
    seen.fill(0)
    failed.fill(0)
    inARow = 0
  }

  /** Moves on by time and not by use: after an idle hour, nothing of before it counts. */
  function moveTo(now: number): number {
    const at = Math.max(Math.floor(now / WINDOW_MS), window)
    if (at - window >= WINDOWS) forget()
    else for (let passed = window + 1; passed <= at; passed += 1) seen[passed % WINDOWS] = failed[passed % WINDOWS] = 0
    window = at
    return at % WINDOWS
  }

  function isIll(): boolean {
    if (inARow >= FAILURES_IN_A_ROW) return true
    const all = sum(seen)
    return all >= LEAST_SEEN && sum(failed) >= SHARE * all
  }

  function trip(now: number): void {
    const longest = Math.min(SHORTEST_MS * 2 ** openings, LONGEST_MS)
    open = true
    // Half of it at least: many breakers that opened together do not close together.
    until = now + longest / 2 + (random() * longest) / 2
    openings += 1
    turn()
  }

  function turn(): void {
    epoch += 1
    probing = false
    forget()
  }

  return {
    get state() {
      return open ? 'open' : 'closed'
    },
    get until() {
      return until
    },
    admits: (now) => !open || (now >= until && !probing),
    begin(now) {
      if (!open) return epoch
      // Not admitted and asked all the same, for want of another: only that it is well again will count.
      if (now < until || probing) return -epoch
      probing = true
      return epoch
    },
    note(of, ok, now) {
      if (of !== epoch && !(of === -epoch && ok)) return
      if (ok === null) {
        probing = false
      } else if (!open) {
        const at = moveTo(now)
        seen[at] = (seen[at] ?? 0) + 1
        inARow = ok ? 0 : inARow + 1
        if (ok) return
        failed[at] = (failed[at] ?? 0) + 1
        if (isIll()) trip(now)
      } else if (ok) {
        open = false
        openings = 0
        turn()
      } else if (now >= until) {
        trip(now)
      }
    },
  }
}

function sum(counts: readonly number[]): number {
  return counts.reduce((all, count) => all + count, 0)
}
