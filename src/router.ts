import { openAttempt } from './attempt.ts'
import { createBooks } from './books.ts'
import { createCancellation } from './cancellation.ts'
import { type Catalog, createCatalog } from './catalog.ts'
import type { Input, RequestSettings } from './chat.ts'
import { checkedOptions, checkedProviders, checkedReach, checkedSession } from './checks.ts'
import { type Clock, isoTime, systemClock, systemRandom } from './clock.ts'
import { type Completion, completionOf } from './completion.ts'
import { type CompletionStream, createStream } from './completion-stream.ts'
import type { DataRule } from './dialects/dialect.ts'
import { errorOf } from './door.ts'
import { refusalsOf } from './drift.ts'
import { ConfigError } from './errors.ts'
import { createEvents, type Listener } from './events.ts'
import type { Call, Order } from './exchange.ts'
import { type CallOptions, gather, type Sources } from './gather.ts'
import { createHealth, type HealthReport } from './health.ts'
import { lateAfter } from './hedge.ts'
import { createKeeping } from './keeping.ts'
import type { CheckedTasks, ModelOf, PlaceOf } from './known.ts'
import { createLedger, type Ledger, type LedgerOptions } from './ledger.ts'
import { kindOf, unknown } from './options.ts'
import { createPaces } from './pace.ts'
import { type SessionStanding, standingOf } from './pin.ts'
import type { Plan } from './plan.ts'
import { makePlan, type Planned, waysTo } from './planner.ts'
import { type Limits, type Policy, policyOf, type TaskPolicy, tightened } from './policy.ts'
import type { Provider } from './provider.ts'
import type { ReconcileOptions } from './reconcile.ts'
import { type Refreshed, type RefreshOptions, refresh } from './refresh.ts'
import { repin } from './repin.ts'
import { run } from './runner.ts'
import { recordOf } from './settle.ts'
import type { Sink } from './sinks.ts'
import { checkedBudgets, type SpendingBudget } from './spending.ts'
import { type CatalogOptions, stock } from './stock.ts'
import type { Store } from './stores/store.ts'
import type { AttemptRecord, UsageRecord } from './usage.ts'
import { createWalk, type Outcome } from './walk.ts'
import { offerKey, type Way } from './way.ts'

export interface RouterOptions<Providers extends readonly Provider[], Tasks> {
  /** Default: every built-in provider whose key is in the environment. Their order is the default preference. */
  readonly providers?: Providers
  readonly tasks: Tasks & CheckedTasks<Tasks, Providers[number]>
  /** A data rule for all tasks; a task may only tighten it. */
  readonly data?: DataRule
  /** Limits for all tasks; a task may only tighten them. */
  readonly limits?: Limits
  /** Settings for every request, below those of a task. */
  readonly defaults?: RequestSettings
  readonly catalog?: CatalogOptions
  /** How many records are kept, and by which keys of the metadata they are summed as well. */
  readonly ledger?: LedgerOptions
  /** Each gets every usage record; what it throws stops nobody. */
  readonly sinks?: readonly Sink[]
  /**
   * `unknown`: what a call has cost that did not say so, as aborted streams do not, is looked up beside the calls where
   * the provider keeps a record of it; default `off`.
   */
  readonly reconcile?: 'unknown' | 'off'
  readonly on?: Listener
  /** Where sessions are kept, and what several processes share; default: in this process. */
  readonly store?: Store
  /** Money that may be spent within a time, by all calls together; through the store, by all processes. */
  readonly budgets?: readonly SpendingBudget[]
  /** Keys the hashes of session ids; the same in all processes that share a store. */
  readonly secret?: string
  readonly clock?: Clock
  /** In [0, 1); with a clock, it makes a run repeatable. */
  readonly random?: () => number
}

/** The catalogue as a router knows it. */
export interface RouterCatalog extends Catalog {
  /** From the providers' live lists; `hosts`: also the per-host prices of these models. */
  refresh(options?: RefreshOptions): Promise<Refreshed>
}

/** A conversation: the router's verbs, bound to it. */
export interface BoundSession<Task extends string = string> extends Pick<Router<Task>, 'complete' | 'stream' | 'plan'> {
  /** Where a task of it is at home, and what caching has come to; `null`: nowhere yet. */
  standing(task: Task | TaskPolicy): Promise<SessionStanding | null>
}

export interface Router<Task extends string = string> {
  /**
   * Asks for an answer: the policy's best way first, the next when it fails.
   *
   * @example
   * ```ts
   * const { text, usage } = await router.complete('tag', 'Tag this ticket: …')
   * ```
   */
  complete(task: Task | TaskPolicy, input: Input, options?: CallOptions): Promise<Completion>
  /**
   * The same, as it comes. Nothing is sent before it is read.
   *
   * @example
   * ```ts
   * for await (const text of router.stream('reply', messages).text) process.stdout.write(text)
   * ```
   */
  stream(task: Task | TaskPolicy, input: Input, options?: CallOptions): CompletionStream
  /** What `complete` would do, and why, without sending anything. */
  plan(task: Task | TaskPolicy, input: Input, options?: CallOptions): Promise<Plan>
  /** The same verbs, bound to a session. */
  session(id: string, options?: CallOptions): BoundSession<Task>
  readonly catalog: RouterCatalog
  readonly ledger: Ledger
  /**
   * Asks the provider what a call was really billed, where it keeps a record of it (OpenRouter does): the record as it is
   * narrowed, in the ledger and once more for the sinks, under the same id. A record that was narrowed stays as it is.
   */
  reconcile(record: UsageRecord | string, options?: ReconcileOptions): Promise<UsageRecord>
  /** How the offers that were asked have been, and what is left of their limits: a snapshot. */
  health(): HealthReport
  on(listener: Listener): () => void
  /** Settles when the bundled catalogue is there; every call waits for it by itself. */
  ready(): Promise<void>
  /** Aborts what runs, and waits until the sinks have their records, five seconds at most; further calls are refused. */
  close(): Promise<void>
}

/**
 * One client over all your providers.
 *
 * @example
 * ```ts
 * const router = createRouter({
 *   providers: [groq(), openrouter()],
 *   tasks: { tag: { model: 'openai/gpt-oss-20b', provider: ['groq', 'openrouter'] } },
 * })
 * ```
 */
export function createRouter<
  const Providers extends readonly Provider[],
  const Tasks extends Readonly<Record<string, TaskPolicy<ModelOf<Providers[number]>, PlaceOf<Providers[number]>>>>,
>(options: RouterOptions<Providers, Tasks>): Router<keyof Tasks & string> {
  const { clock = systemClock, random = systemRandom, sinks = [], defaults = {} } = checkedOptions(options)
  const providers = checkedProviders(options.providers)
  const names = providers.map(({ name }) => name)
  const policies = new Map<string, Policy>()
  for (const [task, policy] of Object.entries<unknown>(options.tasks)) {
    policies.set(task, checkedPolicy(policy, { task, field: `tasks.${task}`, providers: names }))
  }
  const catalog = createCatalog()
  const events = createEvents()
  if (options.on !== undefined) events.on(options.on)
  const ledger = createLedger(options.ledger)
  const budgets = checkedBudgets(options.budgets, Object.keys(options.tasks))
  const { store, secret } = options
  const keeping = createKeeping({ store, secret, budgets, clock, events, newSecret: () => newId(options.random) })
  const { sessions, gates } = keeping
  const health = createHealth(random, gates?.tell)
  const paces = createPaces()
  const closing = createCancellation()
  const running = new Set<Promise<unknown>>()
  const looksUp = options.reconcile === 'unknown'
  const books = createBooks({ ledger, sinks, events, providers, clock, closing, looksUp, tracked })
  const adHoc = new WeakMap<object, Policy>()
  const loaded = stock(catalog, { providers, given: options.catalog, day: isoTime(clock.date()).slice(0, 10) })
  // Whoever waits for it hears of a failure; nobody else has to.
  loaded.catch(() => {})
  const sources: Sources = { providers, catalog, sessions, health, paces, clock, defaults, loaded }

  function checkedPolicy(
    policy: unknown,
    about: { task: string; field: string; providers: readonly string[] },
  ): Policy {
    const own = policyOf(policy, about)
    const all = { limits: options.limits, data: options.data }
    return checkedReach(tightened(own, all, 'createRouter'), { providers, field: about.field })
  }

  function policyFor(task: string | TaskPolicy): Policy {
    if (typeof task === 'string') {
      const policy = policies.get(task)
      if (policy === undefined) throw new ConfigError('task', unknown('task', task, [...policies.keys()]))
      return policy
    }
    if (typeof task !== 'object' || task === null) {
      throw new ConfigError('task', `expected the name of a task or a policy, got ${kindOf(task)}`)
    }
    const known = adHoc.get(task)
    if (known !== undefined) return known
    const policy = checkedPolicy(task, { task: 'ad hoc', field: 'policy', providers: names })
    adHoc.set(task, policy)
    return policy
  }

  /** Reads, plans, and makes ready to run. */
  async function begin(task: string | TaskPolicy, input: Input, given: CallOptions, how: 'whole' | 'stream') {
    if (closing.canceled) throw new ConfigError('router', 'it is closed: create another one')
    const startedAt = clock.now()
    gates?.hear(health)
    const gathered = await gather(policyFor(task), input, given, sources)
    const { at, policy, settings, request, facts, session, planning } = gathered
    const planned = makePlan(planning)
    const { plan, ways } = planned
    const visit = session === null ? null : sessions.enter(policy.task, session)
    const cancellation = createCancellation(given.signal, closing)
    const call: Call = {
      id: newId(options.random),
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
    return completionOf(won.answer, { usage, plan, raw: won.body, planned: won.way.step.model })
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

  /** A call that ends may still feed its sinks. */
  async function drained(latest: number): Promise<void> {
    while (running.size > 0) await Promise.all(running)
    // A little sooner than whoever waits for this gives up: then the losses are told, and no timer is left.
    await Promise.all([books.drained(Math.max(0, latest - LAST_WORDS - clock.now())), keeping.drained()])
  }

  /** Kept until it is over, so that `close` can wait for it. */
  function tracked<T>(promise: Promise<T>): Promise<T> {
    const over: Promise<unknown> = promise.catch(() => {}).then(() => running.delete(over))
    running.add(over)
    return promise
  }

  const verbs = {
    complete: (task: string | TaskPolicy, input: Input, given?: CallOptions) => tracked(complete(task, input, given)),
    stream,
    plan: async (task: string | TaskPolicy, input: Input, given: CallOptions = {}) =>
      makePlan((await gather(policyFor(task), input, given, sources)).planning).plan,
  }
  return Object.freeze({
    ...verbs,
    session(id: string, bound: CallOptions = {}) {
      checkedSession(id)
      return Object.freeze({
        complete: (task: string | TaskPolicy, input: Input, given: CallOptions = {}) =>
          verbs.complete(task, input, { ...bound, ...given, session: id }),
        stream: (task: string | TaskPolicy, input: Input, given: CallOptions = {}) =>
          stream(task, input, { ...bound, ...given, session: id }),
        plan: (task: string | TaskPolicy, input: Input, given: CallOptions = {}) =>
          verbs.plan(task, input, { ...bound, ...given, session: id }),
        async standing(task: string | TaskPolicy) {
          const { pin } = await sessions.find(policyFor(task).task, { id })
          return pin === null ? null : standingOf(pin, clock.date())
        },
      })
    },
    catalog: Object.freeze({
      ...catalog,
      refresh: async (asked: RefreshOptions = {}) => {
        await loaded
        return refresh({ providers, catalog, clock, closing }, asked)
      },
    }),
    ledger: Object.freeze({
      get records() {
        return ledger.records
      },
      summary: ledger.summary,
    }),
    reconcile: (record: UsageRecord | string, given?: ReconcileOptions) => tracked(books.reconcile(record, given)),
    health: () => health.report(clock.now()),
    on: events.on,
    ready: () => loaded,
    async close() {
      closing.cancel(new Error('the router was closed'))
      let stopTimer = () => {}
      const patience = new Promise<void>((resolve) => {
        stopTimer = clock.timer(LONGEST_CLOSE, resolve)
      })
      await Promise.race([drained(clock.now() + LONGEST_CLOSE), patience])
      stopTimer()
    },
  })
}

const NO_METADATA: Readonly<Record<string, string>> = Object.freeze({})

/** Milliseconds that closing waits for sinks: one that hangs keeps nobody. */
const LONGEST_CLOSE = 5000
const LAST_WORDS = 100

/** An answer that comes whole shows nothing before all of it is there: its pace is another. */
function paceKey({ offer }: Way, how: 'whole' | 'stream'): string {
  return `${offerKey(offer)} ${how}`
}

function newId(random: (() => number) | undefined): string {
  if (random === undefined) return `call_${crypto.randomUUID()}`
  const digits = () =>
    Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0')
  return `call_${digits()}${digits()}${digits()}${digits()}`
}
