import type { Catalog } from './catalog.ts'
import { CHARACTERS_PER_TOKEN, type ChatRequest, type Input, type Needs, type RequestSettings } from './chat.ts'
import { checkedCall, checkedInput, checkedNeeds, checkedSession } from './checks.ts'
import { type Clock, isoTime, utcMinutes } from './clock.ts'
import type { Demand } from './demand.ts'
import type { DataRule } from './dialects/dialect.ts'
import { ConfigError } from './errors.ts'
import { fields } from './fields.ts'
import type { Health } from './health.ts'
import type { Facts } from './model-rule.ts'
import { UNKNOWN } from './money.ts'
import type { Paces } from './pace.ts'
import type { Planning } from './planner.ts'
import { type Limits, type Policy, tightened } from './policy.ts'
import { bound } from './price.ts'
import type { Provider } from './provider.ts'
import { type Schema, type Shape, shapeOf } from './schema.ts'
import { openingOf, type Session, type SessionName, type Sessions } from './session.ts'
import { requestFor, type Settings, withOptions } from './settings.ts'
import { NO_SESSION, type SessionFacts } from './stickiness.ts'
import { takesName } from './structured.ts'
import { type Tool, toolboxOf } from './tools.ts'
import { offerKey } from './way.ts'

export interface CallOptions<
  S extends Schema | undefined = Schema | undefined,
  Tools extends readonly Tool[] | undefined = readonly Tool[] | undefined,
> {
  /** Keeps a conversation where its prompt cache is warm. Any string; only a keyed hash of it is kept. */
  readonly session?: string | undefined
  readonly signal?: AbortSignal | undefined
  readonly request?: RequestSettings | undefined
  /** These may tighten what the policy allows, never relax it. */
  readonly limits?: Limits | undefined
  readonly data?: DataRule | undefined
  /** Kept on the usage record. */
  readonly metadata?: Readonly<Record<string, string>> | undefined
  /** The answer's shape, in the place of the policy's. */
  readonly schema?: S
  /** What the model may call. Calls are checked before anybody sees them; `router.run` also runs them. */
  readonly tools?: Tools | undefined
}

/** Where a call's facts come from. */
export interface Sources {
  /** The answer comes in pieces. */
  readonly streams: boolean
  readonly providers: readonly Provider[]
  readonly catalog: Catalog
  readonly sessions: Sessions
  readonly health: Health
  readonly paces: Paces
  readonly clock: Clock
  /** Settings for every request, below those of a task. */
  readonly defaults: RequestSettings
  /** Settles when the catalogue is there. */
  readonly loaded: Promise<void>
}

/** All that a call is made of, as it was when it began. */
export interface Gathered {
  /** ISO. */
  readonly at: string
  readonly policy: Policy
  readonly settings: Settings
  readonly request: ChatRequest
  readonly facts: Facts
  readonly session: Session | null
  readonly demand: Demand | null
  readonly planning: Planning
}

/** All that a call reads is read here, so that planning can be pure. */
export async function gather(own: Policy, input: Input, given: CallOptions, sources: Sources): Promise<Gathered> {
  const { providers, clock, sessions, health, defaults } = sources
  const policy = tightened(own, checkedCall(given))
  const demand = demandOf(policy, given)
  const asked = withTools(withOptions(checkedInput(input), given.request), demand)
  const settings: Settings = { defaults, policy: policy.request, asked }
  const request = requestFor(settings)
  refuseName(request, demand)
  await sources.loaded
  const date = clock.date()
  const at = isoTime(date)
  const name = nameOf(policy, request, given)
  const session = name === null ? null : await sessions.find(policy.task, name)
  const now = clock.now()
  const today = { date, day: at.slice(0, 10) }
  const shape = demand?.shape ?? null
  const needsOf = (asking: ChatRequest) => needsWith(checkedNeeds(asking), shape, sources.streams)
  const facts = factsOf(needsOf(request), today, sources)
  const planning: Planning = {
    policy,
    providers,
    facts,
    factsWith: (candidate) => factsOf(needsOf(requestFor(settings, { candidate })), today, sources),
    session: session === null ? NO_SESSION : sessionFactsOf(session, request, date),
    shape,
    health: health.view(now),
  }
  return { at, policy, settings, request, facts, session, demand, planning }
}

function demandOf({ shape, accept }: Policy, { schema, tools }: CallOptions): Demand | null {
  const asked = schema === undefined ? shape : shapeOf(schema, 'options.schema')
  const toolbox = tools === undefined || tools.length === 0 ? null : toolboxOf(tools, 'options.tools')
  return asked === null && accept === null && toolbox === null ? null : { shape: asked, toolbox, accept }
}

function withTools(request: ChatRequest, demand: Demand | null): ChatRequest {
  const toolbox = demand?.toolbox ?? null
  const own = request.tools ?? []
  const twice = own.findIndex((each) => each.type === 'function' && toolbox?.find(each.function.name) !== undefined)
  if (twice !== -1) {
    const problem = 'expected a name of its own, got that of one of options.tools'
    throw new ConfigError(`input.tools[${twice}]`, problem)
  }
  return toolbox === null ? request : { ...request, tools: [...own, ...toolbox.definitions] }
}

function refuseName(request: ChatRequest, demand: Demand | null): void {
  if (demand === null || demand.shape === null || !takesName(request)) return
  throw new ConfigError('tools', 'expected other names where there is a schema: "give_answer" is how answers are taken')
}

/** A shape is part of the prompt, one way or the other, and asked for in a way that each offer takes. */
function needsWith(needs: Needs, shape: Shape | null, stream: boolean): Needs {
  if (shape === null) return stream ? { ...needs, stream } : needs
  const promptTokens = needs.promptTokens + Math.ceil(lengthOf(shape) / CHARACTERS_PER_TOKEN)
  return { ...needs, stream, schema: null, promptTokens }
}

const lengths = new WeakMap<Shape, number>()

/** Of the schema as it is written, once for each. */
function lengthOf(shape: Shape): number {
  const known = lengths.get(shape)
  if (known !== undefined) return known
  const { length } = JSON.stringify(shape.json)
  lengths.set(shape, length)
  return length
}

function nameOf(policy: Policy, request: ChatRequest, { session }: CallOptions): SessionName | null {
  if (policy.session === null) return null
  if (session !== undefined) return { id: checkedSession(session) }
  const opening = policy.session.derived ? openingOf(request) : null
  return opening === null ? null : { opening }
}

function sessionFactsOf({ pin }: Session, request: ChatRequest, date: number): SessionFacts {
  const role = request.messages.at(-1)?.role
  return {
    asked: true,
    pin,
    date,
    midTurn: role === 'tool' || role === 'function',
    prefersHosts: request.openrouter?.preferences !== undefined || fields(request)?.provider !== undefined,
  }
}

function factsOf(needs: Facts['needs'], today: { date: number; day: string }, { catalog, paces }: Sources): Facts {
  return {
    needs,
    day: today.day,
    utcMinutes: utcMinutes(today.date),
    catalog,
    estimate: ({ tariff, maxOutput }) =>
      tariff === null
        ? UNKNOWN
        : bound(tariff, { promptTokens: needs.promptTokens, maxCompletionTokens: needs.maxTokens ?? maxOutput }),
    speed: (offer) => paces.speed(offerKey(offer)),
  }
}
