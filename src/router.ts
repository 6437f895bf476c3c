import { attempt } from './attempt.ts'
import { createCancellation } from './cancellation.ts'
import { loadSnapshot } from './catalog/snapshot.ts'
import { type Catalog, createCatalog } from './catalog.ts'
import type { Input, RequestSettings } from './chat.ts'
import {
  checkedCall,
  checkedInput,
  checkedNeeds,
  checkedOptions,
  checkedProviders,
  checkedReach,
  checkedSession,
} from './checks.ts'
import { type Clock, isoTime, systemClock, utcMinutes } from './clock.ts'
import { type Completion, completionOf } from './completion.ts'
import { type CompletionStream, createStream } from './completion-stream.ts'
import type { DataRule } from './dialects/dialect.ts'
import { errorOf } from './door.ts'
import { ConfigError } from './errors.ts'
import { createEvents, type Listener } from './events.ts'
import type { Call } from './exchange.ts'
import { frozen } from './frozen.ts'
import type { CheckedTasks, ModelOf, PlaceOf } from './known.ts'
import { createLedger, type Ledger } from './ledger.ts'
import type { ListedModel } from './listing.ts'
import type { Facts } from './model-rule.ts'
import { UNKNOWN } from './money.ts'
import { kindOf, unknown } from './options.ts'
import type { Plan } from './plan.ts'
import { isAskedFor, makePlan, type Planned } from './planner.ts'
import { type Limits, type Policy, policyOf, type TaskPolicy, tightened } from './policy.ts'
import { bound, type PriceList } from './price.ts'
import type { Provider } from './provider.ts'
import { type Refreshed, type RefreshOptions, refresh } from './refresh.ts'
import { createWalk, type Outcome, run } from './runner.ts'
import { createSessions } from './session.ts'
import { requestFor, type Settings, withOptions } from './settings.ts'
import { recordOf } from './settle.ts'
import type { UsageRecord } from './usage.ts'

export interface CallOptions {
  /** Keeps a conversation where its prompt cache is warm. Any string; only a keyed hash of it is kept. */
  readonly session?: string | undefined
  readonly signal?: AbortSignal | undefined
  readonly request?: RequestSettings | undefined
  /** These may tighten what the policy allows, never relax it. */
  readonly limits?: Limits | undefined
  readonly data?: DataRule | undefined
  /** Kept on the usage record. */
  readonly metadata?: Readonly<Record<string, string>> | undefined
}

export interface CatalogOptions {
  /** Models that no list knows, or that are listed wrong, each with the provider that sells it. */
  readonly models?: readonly (ListedModel & { readonly provider: string })[]
  /** By model id: USD per million tokens, at every provider that sells it. */
  readonly prices?: Readonly<Record<string, PriceList>>
}

export type Sink = (record: UsageRecord) => void | Promise<void>

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
  /** Each gets every usage record; what it throws stops nobody. */
  readonly sinks?: readonly Sink[]
  readonly on?: Listener
  /** Keys the hashes of session ids; set it to have the same ones in several processes. */
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
  session(id: string, options?: CallOptions): Pick<Router<Task>, 'complete' | 'stream' | 'plan'>
  readonly catalog: RouterCatalog
  readonly ledger: Ledger
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
  const { clock = systemClock, random, sinks = [], defaults = {} } = checkedOptions(options)
  const providers = checkedProviders(options.providers)
  const names = providers.map(({ name }) => name)
  const policies = new Map<string, Policy>()
  for (const [task, policy] of Object.entries<unknown>(options.tasks)) {
    policies.set(task, checkedPolicy(policy, { task, field: `tasks.${task}`, providers: names }))
  }
  const catalog = createCatalog()
  const events = createEvents()
  if (options.on !== undefined) events.on(options.on)
  const ledger = createLedger()
  const sessions = createSessions(options.secret ?? newId(random))
  const closing = createCancellation()
  const running = new Set<Promise<unknown>>()
  const adHoc = new WeakMap<object, Policy>()
  const speeds = new Map<string, number>()
  const failedSinks = new WeakSet<Sink>()
  const loaded = load()
  // Whoever waits for it hears of a failure; nobody else has to.
  loaded.catch(() => {})

  function checkedPolicy(
    policy: unknown,
    about: { task: string; field: string; providers: readonly string[] },
  ): Policy {
    const own = policyOf(policy, about)
    const all = { limits: options.limits, data: options.data }
    return checkedReach(tightened(own, all, 'createRouter'), { providers, field: about.field })
  }

  async function load(): Promise<void> {
    const snapshot = await loadSnapshot()
    const date = isoTime(clock.date()).slice(0, 10)
    const { models = [], prices = {} } = options.catalog ?? {}
    for (const provider of providers) {
      const { name } = provider
      const listed = snapshot.providers[provider.dialect.name]
      if (listed !== undefined) catalog.put(name, { ...listed, source: 'snapshot' })
      const own = [...provider.models, ...models.filter((model) => model.provider === name)]
      if (own.length > 0) catalog.put(name, { date, source: 'user', models: own })
      const priced = Object.entries(prices).flatMap(([id, list]) => {
        const found = catalog.lookup(id)
        if ('several' in found)
          throw new ConfigError('catalog.prices', `"${id}" fits several: ${found.several.join(', ')}`)
        // A price alone declares its model, wherever a model that no list knows would be asked for.
        if (!('model' in found)) return isAskedFor(id, provider) ? [{ id, prices: list }] : []
        const offer = catalog.offer(name, found.model.id)
        return offer === null ? [] : [{ id: offer.wireModel, prices: list }]
      })
      // Last, so that a price stands above whatever else was said of the model.
      if (priced.length > 0) catalog.put(name, { date, source: 'user', models: withPrices(own, priced) })
    }
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

  /** All that a call reads is read here, so that planning can be pure. */
  async function gather(task: string | TaskPolicy, input: Input, given: CallOptions) {
    const own = policyFor(task)
    const policy = tightened(own, checkedCall(given))
    const asked = withOptions(checkedInput(input), given.request)
    const settings: Settings = { defaults, policy: policy.request, asked }
    const request = requestFor(settings)
    await loaded
    const date = clock.date()
    const at = isoTime(date)
    const isSticky = given.session !== undefined && policy.sticky
    const session = isSticky ? await sessions.hash(checkedSession(given.session)) : null
    const today = { date, day: at.slice(0, 10) }
    const facts = factsOf(checkedNeeds(request), today)
    const factsWith = (candidate: RequestSettings) => factsOf(checkedNeeds(requestFor(settings, { candidate })), today)
    const warm = session === null ? null : sessions.warm(session, clock.now())
    const planning = { policy, providers, facts, factsWith, session: { asked: isSticky, warm } }
    return { at, policy, settings, request, facts, session, planning }
  }

  function factsOf(needs: Facts['needs'], { date, day }: { date: number; day: string }): Facts {
    return {
      needs,
      day,
      utcMinutes: utcMinutes(date),
      catalog,
      estimate: ({ tariff, maxOutput }) =>
        tariff === null
          ? UNKNOWN
          : bound(tariff, { promptTokens: needs.promptTokens, maxCompletionTokens: needs.maxTokens ?? maxOutput }),
      speed: ({ provider, model }) => speeds.get(`${provider} ${model}`) ?? null,
    }
  }

  /** Reads, plans, and makes ready to run. */
  async function begin(task: string | TaskPolicy, input: Input, given: CallOptions) {
    if (closing.canceled) throw new ConfigError('router', 'it is closed: create another one')
    const startedAt = clock.now()
    const { at, policy, settings, request, facts, session, planning } = await gather(task, input, given)
    const planned = makePlan(planning)
    const cancellation = createCancellation(given.signal, closing)
    const call: Call = {
      id: newId(random),
      at,
      policy,
      request,
      settings,
      clock,
      startedAt,
      deadline: startedAt + policy.limits.timeoutMs,
      utcMinutes: facts.utcMinutes,
      cancellation,
      session,
    }
    const { plan, ways } = planned
    if (events.heard) events.emit({ type: 'plan-made', call: call.id, plan })
    return {
      call,
      plan,
      walk: createWalk(call, ways, events),
      settle(outcome: Outcome) {
        cancellation.release()
        return settle(call, planned, outcome, given)
      },
    }
  }

  async function complete(task: string | TaskPolicy, input: Input, given: CallOptions = {}): Promise<Completion> {
    const begun = await begin(task, input, given)
    const { call, plan, walk } = begun
    const outcome = await run(walk, (order) => attempt(call, order))
    const usage = begun.settle(outcome)
    const { won } = outcome
    if (won?.answer == null) throw errorOf({ call, plan, outcome, usage })
    return completionOf(won.answer, { usage, plan, raw: won.body, planned: won.way.step.model })
  }

  function stream(task: string | TaskPolicy, input: Input, given: CallOptions = {}): CompletionStream {
    return createStream(() => begin(task, input, given), tracked)
  }

  function settle(call: Call, { plan, ways }: Planned, outcome: Outcome, given: CallOptions): UsageRecord {
    const metadata = { ...given.metadata }
    const usage = frozen(recordOf({ call, plan, ways, outcome, catalog, metadata }))
    const { won } = outcome
    if (won !== null) {
      const { offer, provider } = won.way
      noteSpeed(`${offer.provider} ${offer.model}`, usage.latency.tokensPerSecond)
      if (call.session !== null) {
        const place = { model: offer.model, provider: offer.provider, host: won.record.host }
        sessions.note(call.session, place, clock.now() + provider.cacheTtlMs)
      }
    }
    ledger.note(usage)
    if (events.heard) {
      for (const drift of usage.drift) events.emit({ type: 'drift', call: call.id, drift })
      events.emit({ type: 'call-end', call: call.id, usage })
    }
    for (const sink of sinks) feed(sink, usage)
    return usage
  }

  function noteSpeed(offer: string, speed: number | null): void {
    if (speed === null) return
    const before = speeds.get(offer)
    speeds.set(offer, before === undefined ? speed : before + SPEED_WEIGHT * (speed - before))
  }

  function feed(sink: Sink, usage: UsageRecord): void {
    const report = (error: unknown) => {
      if (failedSinks.has(sink)) return
      failedSinks.add(sink)
      events.emit({ type: 'listener-failed', what: 'sink', error: error instanceof Error ? error.name : typeof error })
    }
    try {
      tracked(Promise.resolve(sink(usage))).catch(report)
    } catch (error) {
      report(error)
    }
  }

  /** A call that ends may still feed its sinks. */
  async function drained(): Promise<void> {
    while (running.size > 0) await Promise.all(running)
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
      makePlan((await gather(task, input, given)).planning).plan,
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
      })
    },
    catalog: Object.freeze({
      ...catalog,
      refresh: async (asked: RefreshOptions = {}) => {
        await loaded
        return refresh({ providers, catalog, clock, closing }, asked)
      },
    }),
    ledger,
    on: events.on,
    ready: () => loaded,
    async close() {
      closing.cancel(new Error('the router was closed'))
      let stopTimer = () => {}
      const patience = new Promise<void>((resolve) => {
        stopTimer = clock.timer(LONGEST_CLOSE, resolve)
      })
      await Promise.race([drained(), patience])
      stopTimer()
    },
  })
}

/** Milliseconds that closing waits for sinks: one that hangs keeps nobody. */
const LONGEST_CLOSE = 5000

/** How much the newest call counts in an offer's speed. */
const SPEED_WEIGHT = 0.2

function withPrices(own: readonly ListedModel[], priced: readonly ListedModel[]): readonly ListedModel[] {
  const rows = new Map(own.map((model) => [model.id, model]))
  for (const row of priced) rows.set(row.id, { ...rows.get(row.id), ...row })
  return [...rows.values()]
}

function newId(random: (() => number) | undefined): string {
  if (random === undefined) return `call_${crypto.randomUUID()}`
  const digits = () =>
    Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0')
  return `call_${digits()}${digits()}${digits()}${digits()}`
}
