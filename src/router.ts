import { createBooks } from './books.ts'
import { createCalls } from './calls.ts'
import { createCancellation } from './cancellation.ts'
import { type Catalog, createCatalog } from './catalog.ts'
import type { Input, RequestSettings } from './chat.ts'
import { checkedOptions, checkedProviders, checkedSession } from './checks.ts'
import { type Clock, isoTime, systemClock, systemRandom } from './clock.ts'
import type { Completion } from './completion.ts'
import type { CompletionStream } from './completion-stream.ts'
import type { Accept } from './demand.ts'
import type { DataRule } from './dialects/dialect.ts'
import { type EmbeddingInput, type Embeddings, type EmbedOptions, embed } from './embeddings.ts'
import { createEvents, type Listener } from './events.ts'
import type { CallOptions } from './gather.ts'
import { createHealth, type HealthReport } from './health.ts'
import { createKeeping } from './keeping.ts'
import type { CheckedTasks, ModelOf, PlaceOf } from './known.ts'
import { createLedger, type Ledger, type LedgerOptions } from './ledger.ts'
import { createPaces } from './pace.ts'
import { type SessionStanding, standingOf } from './pin.ts'
import type { Plan } from './plan.ts'
import { createPolicies } from './policies.ts'
import type { DataIn, GivenIn, Limits, TaskPolicy } from './policy.ts'
import type { Provider } from './provider.ts'
import type { ReconcileOptions } from './reconcile.ts'
import { type Refreshed, type RefreshOptions, refresh } from './refresh.ts'
import type { DataOf, GivenOf, Schema } from './schema.ts'
import type { Sink } from './sinks.ts'
import { checkedBudgets, type SpendingBudget } from './spending.ts'
import { type CatalogOptions, stock } from './stock.ts'
import type { Store } from './stores/store.ts'
import { createToolLoop, type Run, type RunOptions } from './tool-loop.ts'
import type { CallOf, Tool, TypedCall } from './tools.ts'
import type { UsageRecord } from './usage.ts'

export interface RouterOptions<Providers extends readonly Provider[], Tasks, Schemas = unknown> {
  /** Default: every built-in provider whose key is in the environment. Their order is the default preference. */
  readonly providers?: Providers
  readonly tasks: Tasks & CheckedTasks<Tasks, Providers[number]> & Barred<Schemas>
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

/** By the names of the tasks, of which no bar knows yet what it is shown. */
type Policies<P extends Provider, Task extends string> = Readonly<
  Record<Task, TaskPolicy<ModelOf<P>, PlaceOf<P>, never>>
>

/** Beside what a task is in itself: its bar is shown what its schema makes of an answer. */
type Barred<Schemas> = {
  readonly [Task in keyof Schemas]: {
    readonly schema?: Schemas[Task]
    readonly accept?: Accept<Schemas[Task] extends Schema ? DataOf<Schemas[Task]> : null> | undefined
  }
}

type Known<Task extends string> = Readonly<Record<Task, unknown>>

/** What a call gives: by its own schema, by its task's, or by that of the policy in the task's place. */
type DataAt<Asked, S, Task extends string, Data extends Known<Task>> = S extends Schema
  ? DataOf<S>
  : Data[Extract<Asked, string> & Task] | DataIn<Exclude<Asked, string>>

/** What its model writes, before the schema has made anything of it. */
type GivenAt<Asked, S, Task extends string, Given extends Known<Task>> = S extends Schema
  ? GivenOf<S>
  : Given[Extract<Asked, string> & Task] | GivenIn<Exclude<Asked, string>>

/** With tools, it may be that they are called first. */
type OrNone<Data, Tools> = Tools extends readonly Tool[] ? Data | null : Data

type CallsOf<Tools> = Tools extends readonly Tool[] ? CallOf<Tools> : TypedCall

/** What can be asked of a router, and of a session. */
export interface Asking<
  Task extends string = string,
  Data extends Known<Task> = Known<Task>,
  Given extends Known<Task> = Known<Task>,
> {
  /**
   * Asks for an answer: the policy's best way first, the next when it fails.
   *
   * @example
   * ```ts
   * const { text, usage } = await router.complete('tag', 'Tag this ticket: …')
   * ```
   */
  complete<
    const Asked extends Task | TaskPolicy,
    S extends Schema | undefined = undefined,
    const Tools extends readonly Tool[] | undefined = undefined,
  >(
    task: Asked,
    input: Input,
    options?: CallOptions<S, Tools>,
  ): Promise<Completion<OrNone<DataAt<Asked, S, Task, Data>, Tools>, CallsOf<Tools>>>
  /**
   * The same, as it comes. Nothing is sent before it is read.
   *
   * @example
   * ```ts
   * for await (const text of router.stream('reply', messages).text) process.stdout.write(text)
   * ```
   */
  stream<
    const Asked extends Task | TaskPolicy,
    S extends Schema | undefined = undefined,
    const Tools extends readonly Tool[] | undefined = undefined,
  >(
    task: Asked,
    input: Input,
    options?: CallOptions<S, Tools>,
  ): CompletionStream<OrNone<DataAt<Asked, S, Task, Data>, Tools>, CallsOf<Tools>, GivenAt<Asked, S, Task, Given>>
  /**
   * Asks, runs the tools that are called, each once, and asks again with what they gave, until there is an answer.
   *
   * @example
   * ```ts
   * const { text, usage } = await router.run('reply', 'Where is my parcel?', { tools: [findParcel] })
   * ```
   */
  run<
    const Asked extends Task | TaskPolicy,
    const Tools extends readonly Tool[],
    S extends Schema | undefined = undefined,
  >(task: Asked, input: Input, options: RunOptions<S, Tools>): Promise<Run<DataAt<Asked, S, Task, Data>, Tools>>
  /** What `complete` would do, and why, without sending anything. */
  plan(task: Task | TaskPolicy, input: Input, options?: CallOptions): Promise<Plan>
}

/** A conversation: the router's verbs, bound to it. */
export interface BoundSession<
  Task extends string = string,
  Data extends Known<Task> = Known<Task>,
  Given extends Known<Task> = Known<Task>,
> extends Asking<Task, Data, Given> {
  /** Where a task of it is at home, and what caching has come to; `null`: nowhere yet. */
  standing(task: Task | TaskPolicy): Promise<SessionStanding | null>
}

export interface Router<
  Task extends string = string,
  Data extends Known<Task> = Known<Task>,
  Given extends Known<Task> = Known<Task>,
> extends Asking<Task, Data, Given> {
  /** Their names. */
  readonly tasks: readonly Task[]
  /** In order of preference; `hosts`: it passes calls on to others. */
  readonly providers: readonly { readonly name: string; readonly hosts: boolean }[]
  /** The same verbs, bound to a session. */
  session(id: string, options?: CallOptions): BoundSession<Task, Data, Given>
  readonly catalog: RouterCatalog
  readonly ledger: Ledger
  /**
   * Vectors from the first provider that has the model, and from the next when it fails; never from another model.
   *
   * @example
   * ```ts
   * const { vectors, usage } = await router.embed('openai/text-embedding-3-small', ['Where is my parcel?'])
   * ```
   */
  embed(model: string, input: EmbeddingInput, options?: EmbedOptions): Promise<Embeddings>
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

/** What a router does, whatever its tasks are: which data belongs to which task is a matter of types alone. */
interface Verbs extends Pick<Router, 'plan'> {
  complete(task: string | TaskPolicy, input: Input, options?: CallOptions): Promise<Completion>
  stream(task: string | TaskPolicy, input: Input, options?: CallOptions): CompletionStream
  run(task: string | TaskPolicy, input: Input, options: RunOptions): Promise<Run>
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
  const Tasks extends Policies<Providers[number], keyof Schemas & string>,
  Schemas extends Readonly<Record<string, unknown>> = Readonly<Record<string, unknown>>,
>(
  options: RouterOptions<Providers, Tasks, Schemas>,
): Router<
  keyof Tasks & string,
  { readonly [Task in keyof Tasks & string]: DataIn<Tasks[Task]> },
  { readonly [Task in keyof Tasks & string]: GivenIn<Tasks[Task]> }
>
export function createRouter(
  options: RouterOptions<readonly Provider[], Readonly<Record<string, TaskPolicy>>>,
): Omit<Router, keyof Verbs | 'session'> & Verbs & { session(id: string, options?: CallOptions): Verbs } {
  const { clock = systemClock, random = systemRandom, sinks = [], defaults = {} } = checkedOptions(options)
  const providers = checkedProviders(options.providers)
  const { limits, data, store, secret } = options
  const policies = createPolicies(options.tasks, { providers, all: { limits, data } })
  const catalog = createCatalog()
  const events = createEvents()
  if (options.on !== undefined) events.on(options.on)
  const ledger = createLedger(options.ledger)
  const budgets = checkedBudgets(options.budgets, policies.tasks)
  const keeping = createKeeping({ store, secret, budgets, clock, events, newSecret: newId })
  const { sessions } = keeping
  const health = createHealth(random, keeping.gates?.tell)
  const paces = createPaces()
  const closing = createCancellation()
  const running = new Set<Promise<unknown>>()
  const looksUp = options.reconcile === 'unknown'
  const books = createBooks({ ledger, sinks, events, providers, clock, closing, looksUp, tracked })
  const loaded = stock(catalog, { providers, given: options.catalog, day: isoTime(clock.date()).slice(0, 10) })
  // Whoever waits for it hears of a failure; nobody else has to.
  loaded.catch(() => {})
  const sources = { providers, catalog, sessions, health, paces, clock, defaults, loaded }
  const { complete, stream, plan } = createCalls({
    ...{ sources, policies, events, keeping, books, closing, random, newId, tracked },
  })

  function newId(): string {
    return idOf(options.random)
  }

  function noteVectors(record: UsageRecord): void {
    books.note(record, () => false)
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

  const loop = createToolLoop(complete, {
    clock,
    closing,
    settingsOf: (task) => ({ ...defaults, ...policies.find(task).request }),
    // A run comes back to the same prompt with each step.
    newSession: (task) => (policies.find(task).session?.derived === false ? newId() : undefined),
  })
  const verbs: Verbs = {
    complete: (task, input, given) => tracked(complete(task, input, given)),
    stream,
    run: (task, input, given) => tracked(loop(task, input, given)),
    plan,
  }

  return Object.freeze({
    ...verbs,
    tasks: policies.tasks,
    providers: Object.freeze(
      providers.map(({ name, dialect }) => Object.freeze({ name, hosts: dialect.supports.hosts })),
    ),
    session(id: string, bound: CallOptions = {}) {
      checkedSession(id)
      return Object.freeze({
        complete: (task: string | TaskPolicy, input: Input, given: CallOptions = {}) =>
          verbs.complete(task, input, { ...bound, ...given, session: id }),
        stream: (task: string | TaskPolicy, input: Input, given: CallOptions = {}) =>
          stream(task, input, { ...bound, ...given, session: id }),
        run: (task: string | TaskPolicy, input: Input, given: RunOptions) =>
          verbs.run(task, input, { ...bound, ...given, session: id }),
        plan: (task: string | TaskPolicy, input: Input, given: CallOptions = {}) =>
          verbs.plan(task, input, { ...bound, ...given, session: id }),
        async standing(task: string | TaskPolicy) {
          const { pin } = await sessions.find(policies.find(task).task, { id })
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
    embed: (model: string, input: EmbeddingInput, given: EmbedOptions = {}) =>
      tracked(embed(model, input, given, { providers, catalog, clock, closing, data, newId, note: noteVectors })),
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

/** Milliseconds that closing waits for sinks: one that hangs keeps nobody. */
const LONGEST_CLOSE = 5000
const LAST_WORDS = 100

function idOf(random: (() => number) | undefined): string {
  if (random === undefined) return `call_${crypto.randomUUID()}`
  const digits = () =>
    Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0')
  return `call_${digits()}${digits()}${digits()}${digits()}`
}
