import type { Catalog } from './catalog.ts'
import type { ChatRequest, Input, RequestSettings } from './chat.ts'
import { checkedCall, checkedInput, checkedNeeds, checkedSession } from './checks.ts'
import { type Clock, isoTime, utcMinutes } from './clock.ts'
import type { DataRule } from './dialects/dialect.ts'
import { fields } from './fields.ts'
import type { Health } from './health.ts'
import type { Facts } from './model-rule.ts'
import { UNKNOWN } from './money.ts'
import type { Paces } from './pace.ts'
import type { Planning } from './planner.ts'
import { type Limits, type Policy, tightened } from './policy.ts'
import { bound } from './price.ts'
import type { Provider } from './provider.ts'
import { openingOf, type Session, type SessionName, type Sessions } from './session.ts'
import { requestFor, type Settings, withOptions } from './settings.ts'
import { NO_SESSION, type SessionFacts } from './stickiness.ts'
import { offerKey } from './way.ts'

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

/** Where a call's facts come from. */
export interface Sources {
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
  readonly planning: Planning
}

/** All that a call reads is read here, so that planning can be pure. */
export async function gather(own: Policy, input: Input, given: CallOptions, sources: Sources): Promise<Gathered> {
  const { providers, clock, sessions, health, defaults } = sources
  const policy = tightened(own, checkedCall(given))
  const asked = withOptions(checkedInput(input), given.request)
  const settings: Settings = { defaults, policy: policy.request, asked }
  const request = requestFor(settings)
  await sources.loaded
  const date = clock.date()
  const at = isoTime(date)
  const name = nameOf(policy, request, given)
  const session = name === null ? null : await sessions.find(policy.task, name)
  const now = clock.now()
  const today = { date, day: at.slice(0, 10) }
  const facts = factsOf(checkedNeeds(request), today, sources)
  const planning: Planning = {
    policy,
    providers,
    facts,
    factsWith: (candidate) => factsOf(checkedNeeds(requestFor(settings, { candidate })), today, sources),
    session: session === null ? NO_SESSION : { ...session, asked: true, date, ...traitsOf(request) },
    health: health.view(now),
  }
  return { at, policy, settings, request, facts, session, planning }
}

function nameOf(policy: Policy, request: ChatRequest, { session }: CallOptions): SessionName | null {
  if (policy.session === null) return null
  if (session !== undefined) return { id: checkedSession(session) }
  const opening = policy.session.derived ? openingOf(request) : null
  return opening === null ? null : { opening }
}

function traitsOf(request: ChatRequest): Pick<SessionFacts, 'midTurn' | 'prefersHosts'> {
  const role = request.messages.at(-1)?.role
  return {
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
