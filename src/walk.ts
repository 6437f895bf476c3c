import { createBudget, LEAST_TIME, worstOf } from './budget.ts'
import { type Cancelable, createCancellation, pause } from './cancellation.ts'
import { firstTurn, fits, type Situation, type Tried, type Turn, turnByMove, turnByVerdict, whenOpen } from './chain.ts'
import { type ChatMessage, type ChatRequest, needsOf } from './chat.ts'
import type { Events } from './events.ts'
import type { AttemptResult, Call, Order } from './exchange.ts'
import { type Failure, failure } from './failure.ts'
import { type Block, type Health, LONGEST_WAIT, wholeMs } from './health.ts'
import { FREE, fromUsd, toUsd } from './money.ts'
import type { Rejection } from './plan.ts'
import { bound } from './price.ts'
import { spread } from './retry.ts'
import { movesOf } from './rules.ts'
import { requestAt } from './settings.ts'
import type { Reservation, Spending } from './spending.ts'
import { shaped } from './structured.ts'
import { isSame, type Way } from './way.ts'

/** How a call ended: every attempt in order, and the answer or the failure that decided it. */
export interface Outcome {
  readonly attempts: readonly AttemptResult[]
  readonly won: AttemptResult | null
  /** The one that decided how it ended, which need not be the one that began last. */
  readonly last: AttemptResult | null
  readonly failure: Failure | null
}

/** The walk along a plan: which attempt comes next is decided here and nowhere else, for answers and for streams. */
export interface Walk {
  /** The next attempt, as `adapted` makes it, when its time has come; `null` when the call is over. */
  next(adapted?: (order: Order) => Order): Promise<Order | null>
  /** A second attempt beside one that is late, at another provider; `null` where none may be made. */
  beside(late: Order, isLate?: () => boolean): Promise<Order | null>
  /**
   * What came of an attempt, told once, and what it is worth to the call when that is something else. One that lost
   * against another does not decide what comes next.
   */
  note(result: AttemptResult, more?: { readonly worth?: AttemptResult; readonly lost?: boolean }): void
  /** It has something to show. */
  shown(order: Order): void
  /** No further attempt; a pause ends. */
  stop(): void
  outcome(): Outcome
}

/** What a walk follows, besides the call itself. */
export interface Course {
  readonly call: Call
  readonly ways: readonly Way[]
  /** What the plan could not use, and why. */
  readonly rejected: readonly Rejection[]
  readonly events: Events
  readonly health: Health
  /** Budgets that are shared with other calls; `null`: none. */
  readonly spending: Spending | null
  /** Ways that the plan does not have, under the same policy. */
  more(model: string, provider?: string): readonly Way[]
}

export function createWalk({ call, ways, rejected, events, health, spending, more }: Course): Walk {
  const { clock } = call
  const budget = createBudget(call)
  const attempts: AttemptResult[] = []
  const left = [...ways]
  const tried: Tried[] = []
  const epochs: number[] = []
  const reservations: (Reservation | null)[] = []
  const ruled = call.policy.fallback.length > 0
  let halt: Cancelable | null = null
  let stopped = false
  let failed: Tried | null = null
  let won: AttemptResult | null = null
  let decided: AttemptResult | null = null
  let besides = 0
  let last: Failure | null = ways.length === 0 ? noWay(rejected) : null

  function situation(of: Tried): Situation {
    return {
      now: clock.now(),
      latest: latest(),
      failed: of,
      tried,
      left,
      blockOf,
      mayRepeat: ({ step }) => health.allowance(step.provider).allows(clock.now()),
      random: call.random,
      more,
    }
  }

  function blockOf({ step }: Way) {
    return health.calm ? null : health.blockOf(step, clock.now())
  }

  function first(): Turn | null {
    return firstTurn(left, { now: clock.now(), latest: latest(), blockOf, random: call.random })
  }

  function latest(): number {
    return call.deadline - LEAST_TIME
  }

  /** What the policy's rules say; `null` leaves it to the table of verdicts. */
  async function byRules(failed: Tried): Promise<Turn | 'stop' | null> {
    for (const rule of call.policy.fallback) {
      if (halting().canceled || budget.remaining < LEAST_TIME) return 'stop'
      const standing = Object.freeze({
        attempts: attempts.map(({ record }) => record),
        left: left.map(({ step }) => step),
        retried: failed.times - 1,
        remainingMs: budget.remaining,
      })
      const asking = { clock, cancellation: halting(), events }
      for (const move of await movesOf(rule, { failure: failed.failure, standing }, asking)) {
        const made = turnByMove(move, situation(failed))
        if (made !== null) return made
      }
    }
    return null
  }

  function chosen(told: Turn | null): Turn | null {
    if (failed === null) return first()
    // While a rule thought, another call may have begun to find out whether the offer is well again.
    return told !== null && blockOf(told.way)?.opens !== false ? told : turnByVerdict(situation(failed))
  }

  /** What ends a pause, and the thinking of a rule. */
  function halting(): Cancelable {
    halt ??= createCancellation(undefined, call.cancellation)
    if (stopped) halt.cancel(undefined)
    return halt
  }

  /** Waits for a turn's time; false where its gate has closed again for longer than anybody waits. */
  async function isDue({ way, at }: Turn): Promise<boolean> {
    let due = at
    const patience = Math.min(latest(), clock.now() + spread(LONGEST_WAIT, () => 1))
    while (clock.now() < due && !halting().canceled) {
      await pause(clock, due - clock.now(), halting())
      // Timers may strike early; and of many that waited for one gate, the first may have found it closed.
      if (clock.now() < due || blockOf(way)?.opens !== true) continue
      const [opens] = whenOpen(way, { now: clock.now(), latest: patience, blockOf, random: call.random })
      if (opens === undefined) return false
      due = opens
    }
    return true
  }

  /** Whether it was left; now it is not any more. */
  function taken(way: Way): boolean {
    const index = left.indexOf(way)
    if (index !== -1) left.splice(index, 1)
    return index !== -1
  }

  function begin(turn: Turn, adapted: (order: Order) => Order, reserved: Reservation | null): Order {
    const { way, role, because } = turn
    taken(way)
    const n = budget.reserve(withMend(turn))
    reservations[n] = reserved
    epochs[n] = health.begin(way.step, clock.now())
    const allowance = health.allowance(way.step.provider)
    if (role === 'hedge') allowance.spend(clock.now())
    else if (role !== 'retry' && role !== 'repair') allowance.earn()
    const othersMayFollow = left.length > 0 && budget.attemptsLeft > 0
    const timeLimit = othersMayFollow ? budget.remaining / 2 : budget.remaining
    const { provider, settings: candidate } = way
    const asked = requestAt(call.request, call.settings, { provider: provider.settings, candidate })
    const fitting = reserved?.maxTokens == null ? asked : shortened(asked, reserved.maxTokens)
    const request = inForm(fitting, way, role === 'repair' ? mendOf(way) : NOTHING)
    const order = adapted({ way, role, because, request, n, timeLimit })
    if (events.heard) {
      const { model, provider } = way.step
      events.emit({ type: 'attempt-start', call: call.id, n, role: order.role, model, provider })
    }
    return order
  }

  /** A way as it is paid for: what is said of the answer before is read as well. */
  function withMend({ way, role }: Turn): Way {
    const { usd } = way.step.estimate
    const mend = role === 'repair' ? mendOf(way) : NOTHING
    if (mend.length === 0 || usd.high === null) return way
    const { promptTokens } = needsOf({ messages: mend })
    const { tariff } = way.offer
    const more = tariff === null ? null : bound(tariff, { promptTokens, maxCompletionTokens: 0 }).high
    const high = more === null ? null : usd.high + toUsd(more)
    return { ...way, step: { ...way.step, estimate: { ...way.step.estimate, usd: { low: usd.low, high } } } }
  }

  function mendOf(way: Way): readonly ChatMessage[] {
    return tried.find((each) => each.way === way)?.mend ?? NOTHING
  }

  /** While the budgets were asked, another call may have begun to find out whether the offer is well again. */
  function stillFits(way: Way, before: Block | null, priced = way): boolean {
    return !stopped && budget.refusal(priced) === null && (blockOf(way) === null || before !== null)
  }

  /** Nothing was tried: everything is closed for longer than anybody waits. */
  function allClosed(): Failure {
    const waits = left.map((way) => (blockOf(way)?.until ?? clock.now()) - clock.now())
    return failure('rate-limited', { retryAfterMs: wholeMs(Math.min(...waits)) })
  }

  function retire({ step, offer }: Way): void {
    const { model, provider } = step
    const { successor } = offer
    if (events.heard) events.emit({ type: 'model-retired', call: call.id, model, provider, successor })
    if (successor === null) return
    const known = (way: Way) => left.some((each) => isSame(each, way)) || tried.some((each) => isSame(each.way, way))
    // Who else has the model comes before what came after it.
    const after = left.findLastIndex((way) => way.step.model === model)
    left.splice(after + 1, 0, ...more(successor).filter((way) => !known(way)))
  }

  return {
    async next(adapted = asItIs) {
      let refused: Failure | null = null
      while (!stopped && ways.length > 0) {
        // Nobody is asked what to do when there is nothing that could be done.
        if (call.cancellation.canceled || budget.attemptsLeft === 0) break
        const told = failed !== null && ruled ? await byRules(failed) : null
        if (told === 'stop') break
        const turned = chosen(told)
        // Paid for when it is decided on: of many calls that pause, each would find the same retry affordable.
        if (turned?.role === 'retry') health.allowance(turned.way.step.provider).spend(clock.now())
        if (turned === null) break
        const priced = withMend(turned)
        // What cannot be paid is not waited for.
        refused = budget.refusal(priced)
        // Without a pause nothing may come in between: of many calls at once, one asks whether an offer is well again.
        if (refused === null && turned.at > clock.now()) {
          if (!(await isDue(turned))) break
          if (stopped) return null
          refused = budget.refusal(priced)
        }
        if (refused === null) {
          if (spending === null) return begin(turned, adapted, null)
          const before = blockOf(turned.way)
          const reserved = await spending.reserve(priced)
          if ('settle' in reserved) {
            if (stillFits(turned.way, before, priced)) return begin(turned, adapted, reserved)
            reserved.settle(FREE)
            continue
          }
          refused = reserved
        }
        // What is too dear is passed over for what is not.
        const isFinal = refused.kind !== 'out-of-budget' || refused.code === 'attempts'
        if (isFinal || (refused.code !== 'cost' && spending?.refuses === true) || !taken(turned.way)) break
      }
      if (stopped) return null
      if (call.cancellation.canceled) last = failure('canceled')
      else if (last === null || refused?.kind === 'out-of-budget') last = refused ?? last ?? allClosed()
      return null
    },
    async beside(late, isLate = () => true) {
      const { maxExtraUsd } = call.policy.hedge ?? { maxExtraUsd: null }
      // One in a call: `maxExtraUsd` is all that it may cost.
      if (besides > 0) return null
      const way = left.find((each) => {
        if (each.step.provider === late.way.step.provider || blockOf(each) !== null || !fits(each, tried)) return false
        const worst = worstOf(each)
        return maxExtraUsd === null || (worst !== null && worst <= fromUsd(maxExtraUsd))
      })
      if (stopped || way === undefined || budget.refusal(way) !== null) return null
      if (!health.allowance(way.step.provider).allows(clock.now())) return null
      const reserved = spending === null ? null : await spending.reserve(way)
      if (reserved !== null) {
        if (!('settle' in reserved)) return null
        if (!isLate() || !left.includes(way) || !stillFits(way, null)) {
          reserved.settle(FREE)
          return null
        }
      }
      besides += 1
      const { model, provider } = late.way.step
      return begin(
        { way, role: 'hedge', because: `${model} at ${provider} is late`, at: clock.now() },
        asItIs,
        reserved,
      )
    },
    note(result, { worth = result, lost = false } = {}) {
      const { way, record, cost, headers } = result
      if (attempts.some((noted) => noted.record.n === record.n)) return
      const now = clock.now()
      attempts.push(worth)
      budget.settle(record.n, cost)
      reservations[record.n]?.settle(cost)
      const { durationMs } = record
      health.note(way.step, { epoch: epochs[record.n] ?? NEVER, durationMs, failure: result.failure, headers }, now)
      if (events.heard) {
        events.emit({ type: 'attempt-end', call: call.id, attempt: worth.record })
        const { model, provider } = way.step
        const { dropped } = result
        if (dropped.length > 0) {
          events.emit({ type: 'history-cleaned', call: call.id, n: record.n, model, provider, dropped })
        }
      }
      if (worth.failure === null) {
        // Both answered in the same moment: one is heard, both are paid for.
        if (lost) return
        won = decided = worth
        last = null
        return
      }
      // Given up for another that was sooner: nothing speaks against it, should that one break.
      if (lost && worth.failure.kind === 'canceled') {
        left.unshift(way)
        return
      }
      const index = tried.findIndex((each) => each.way === way)
      const times = (tried[index]?.times ?? 0) + 1
      const once = { way, times, failure: worth.failure, endedAt: now, mend: worth.mend ?? null }
      if (index !== -1) tried.splice(index, 1)
      tried.push(once)
      if (worth.failure.kind === 'model-gone') retire(way)
      if (lost) return
      failed = once
      decided = worth
      last = worth.failure
    },
    shown: ({ way, n }) => health.shown(way.step, epochs[n] ?? NEVER, clock.now()),
    stop() {
      stopped = true
      halt?.cancel(undefined)
    },
    outcome() {
      halt?.release()
      attempts.sort((one, other) => one.record.n - other.record.n)
      return { attempts, won, last: decided, failure: last }
    },
  }
}

function shortened(request: ChatRequest, maxTokens: number): ChatRequest {
  const { max_tokens: _, max_completion_tokens: __, ...others } = request
  return { ...others, max_tokens: maxTokens }
}

/** As the way asks for its shape; with what is said of an answer that did not have it. */
function inForm(request: ChatRequest, { form }: Way, mend: readonly ChatMessage[]): ChatRequest {
  const asked = form === undefined ? request : shaped(request, form)
  return mend.length === 0 ? asked : { ...asked, messages: [...asked.messages, ...mend] }
}

const NOTHING: readonly never[] = Object.freeze([])

/** The epoch of what never began. */
const NEVER = Number.NaN

const asItIs = (order: Order) => order

/** Where only limits are in the way, it is said when the first of them is over. */
function noWay(rejected: readonly Rejection[]): Failure {
  const waits = rejected.flatMap(({ code, value }) => (code === 'rate-limited' && value !== undefined ? [value] : []))
  return waits.length === 0 ? failure('no-offer') : failure('rate-limited', { retryAfterMs: Math.min(...waits) })
}
