import { openAttempt } from './attempt.ts'
import type { Books } from './books.ts'
import { type Cancellation, createCancellation } from './cancellation.ts'
import type { Input } from './chat.ts'
import { type Completion, completionOf } from './completion.ts'
import { type CompletionStream, createStream } from './completion-stream.ts'
import { refusalsOf } from './drift.ts'
import { errorOf } from './ending.ts'
import { ConfigError } from './errors.ts'
import type { Events } from './events.ts'
import type { Call, Order } from './exchange.ts'
import { type CallOptions, gather, type Sources } from './gather.ts'
import { lateAfter } from './hedge.ts'
import type { Keeping } from './keeping.ts'
import type { Plan } from './plan.ts'
import { makePlan, type Planned, waysTo } from './planner.ts'
import type { Policies } from './policies.ts'
import type { TaskPolicy } from './policy.ts'
import { repin } from './repin.ts'
import { run } from './runner.ts'
import { recordOf } from './settle.ts'
import type { AttemptRecord, UsageRecord } from './usage.ts'
import { createWalk, type Outcome } from './walk.ts'
import { offerKey, type Way } from './way.ts'

/** What calls are made from. */
export interface CallSources {
  readonly sources: Omit<Sources, 'streams'>
  readonly policies: Policies
  readonly events: Events
  readonly keeping: Keeping
  readonly books: Books
  readonly closing: Cancellation
  random(): number
  newId(): string
  /** Keeps a promise until it is over. */
  tracked<T>(promise: Promise<T>): Promise<T>
}

/** The calls of a router, each from its facts to its record: gather, plan, run, settle. */
export interface Calls {
  complete(task: string | TaskPolicy, input: Input, given?: CallOptions): Promise<Completion>
  stream(task: string | TaskPolicy, input: Input, given?: CallOptions): CompletionStream
  plan(task: string | TaskPolicy, input: Input, given?: CallOptions): Promise<Plan>
}

export function createCalls(from: CallSources): Calls {
  const { policies, events, keeping, books, closing, random, newId, tracked } = from
  const { catalog, clock, health, paces } = from.sources
  const { sessions, gates } = keeping
  const sources: Sources = { ...from.sources, streams: false }
  const streaming: Sources = { ...from.sources, streams: true }

  /** Reads, plans, and makes ready to run. */
  async function begin(task: string | TaskPolicy, input: Input, given: CallOptions, how: 'whole' | 'stream') {
    if (closing.canceled) throw new ConfigError('router', 'it is closed: create another one')
    const startedAt = clock.now()
    gates?.hear(health)
    const gathered = await gather(policies.find(task), input, given, how === 'whole' ? sources : streaming)
    const { at, policy, settings, request, facts, session, demand, planning } = gathered
    const planned = makePlan(planning)
    const { plan, ways } = planned
    const visit = session === null ? null : sessions.enter(policy.task, session)
    const cancellation = createCancellation(given.signal, closing)
    const call: Call = {
      id: newId(),
      at,
      policy,
      request,
      settings,
      clock,
      random,
      startedAt,
      deadline: startedAt + policy.limits.timeoutMs,
      utcMinutes: facts.utcMinutes,
      cancellation,
      session,
      demand,
      refuses: refusalsOf(policy, catalog),
    }
    if (events.heard) events.emit({ type: 'plan-made', call: call.id, plan })
    const spending = keeping.spending(call, given.metadata ?? NO_METADATA)
    const more = (model: string, provider?: string) => {
      try {
        return waysTo(model, { ...planning, health: health.view(clock.now()) }, provider)
      } catch (error) {
        // A rule of the user's that cannot answer for this model: there is no way to it.
        events.report('rule', policy, error)
        return []
      }
    }
    return {
      call,
      plan,
      walk: createWalk({ call, ways, rejected: plan.rejected, events, health, spending, more }),
      hedgeAfterMs: ({ way, request }: Order) => lateAfter(policy, request, paces.p95(paceKey(way, how))),
      settle(outcome: Outcome) {
        cancellation.release()
        if (visit !== null) {
          repin(visit, { call, planned, outcome, events, estimatedTokens: facts.needs.promptTokens })
          visit.leave()
        }
        return settle(call, planned, outcome, { given, how })
      },
    }
  }

  async function complete(task: string | TaskPolicy, input: Input, given: CallOptions = {}): Promise<Completion> {
    const { call, plan, walk, hedgeAfterMs, settle } = await begin(task, input, given, 'whole')
    await run(walk, (order) => openAttempt(call, order), { call, hedgeAfterMs })
    const outcome = walk.outcome()
    const usage = settle(outcome)
    const { won } = outcome
    if (won?.answer == null) throw errorOf({ call, plan, outcome, usage })
    const { answer, body: raw, data = null } = won
    return completionOf(answer, { usage, plan, raw, planned: won.way.step.model, data })
  }

  function stream(task: string | TaskPolicy, input: Input, given: CallOptions = {}): CompletionStream {
    return createStream(() => begin(task, input, given, 'stream'), tracked)
  }

  function settle(
    call: Call,
    { plan, ways }: Planned,
    outcome: Outcome,
    { given, how }: { given: CallOptions; how: 'whole' | 'stream' },
  ): UsageRecord {
    const metadata = Object.freeze({ ...given.metadata })
    const usage = recordOf({
      call,
      plan,
      ways,
      outcome,
      catalog,
      metadata,
      stream: how === 'stream',
      usualMs: (way) => paces.p95(paceKey(way, how)),
      tookMs: ({ record }) => (how === 'whole' ? record.durationMs : record.firstTokenMs),
    })
    const { won } = outcome
    if (won !== null) {
      const { offer } = won.way
      for (const { way, record } of outcome.attempts) notePace(way, record, how)
      paces.note(offerKey(offer), { tokensPerSecond: usage.latency.tokensPerSecond, firstMs: null })
    }
    books.note(usage, (kind) => call.policy.drift[kind] !== 'accept')
    return usage
  }

  /** Also of one that was given up for another: it took that long at the least, and would be missed among the slow. */
  function notePace(way: Way, { outcome, durationMs, firstTokenMs }: AttemptRecord, how: 'whole' | 'stream'): void {
    if (outcome !== 'ok' && outcome !== 'canceled') return
    // An answer that comes whole shows nothing before all of it is there.
    const firstMs = how === 'whole' ? durationMs : (firstTokenMs ?? durationMs)
    paces.note(paceKey(way, how), { tokensPerSecond: null, firstMs })
  }

  return {
    complete,
    stream,
    plan: async (task, input, given = {}) =>
      makePlan((await gather(policies.find(task), input, given, sources)).planning).plan,
  }
}

const NO_METADATA: Readonly<Record<string, string>> = Object.freeze({})

/** An answer that comes whole shows nothing before all of it is there: its pace is another. */
function paceKey({ offer }: Way, how: 'whole' | 'stream'): string {
  return `${offerKey(offer)} ${how}`
}
