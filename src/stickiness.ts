import { type Offer, parseReference } from './catalog.ts'
import type { Facts } from './model-rule.ts'
import { isSamePlace, type Pin, type Place, type WarmPlace } from './pin.ts'
import type { Plan, Rejection } from './plan.ts'
import type { Policy } from './policy.ts'
import { sameHost } from './provider-rule.ts'
import { placeAt, type SessionPlace } from './stay.ts'
import { tariffOf } from './tariffs.ts'
import { leadsTo, pinnedTo, type Way } from './way.ts'

/** What is known of a call's session when it is planned. */
export interface SessionFacts {
  /** Whether the call is one of a session. */
  readonly asked: boolean
  readonly pin: Pin | null
  /** Milliseconds since 1970. */
  readonly date: number
  /** A model waits for what its tools say: nobody else can go on with what it was thinking. */
  readonly midTurn: boolean
  /** The request itself says which hosts it prefers. */
  readonly prefersHosts: boolean
}

export const NO_SESSION: SessionFacts = Object.freeze({
  asked: false,
  pin: null,
  date: 0,
  midTurn: false,
  prefersHosts: false,
})

/** What a plan follows from, as far as it concerns sessions. */
interface Planning {
  readonly policy: Policy
  readonly facts: Facts
  readonly session: SessionFacts
}

/** What the policy leaves open, now and later, and what it does not. */
interface Routes {
  readonly open: readonly Way[]
  readonly late: readonly Way[]
  readonly rejected: readonly Rejection[]
}

/** The ways in the order in which the session wants them. */
export interface Led {
  readonly ordered: readonly Way[]
  readonly session: Plan['session']
  /** Its home is given up for where this call goes; else it is left alone for once. */
  readonly leaves: boolean
}

/** A place where the conversation may go on, the way to it, and what it is expected to come to there. */
interface Candidate {
  readonly way: Way
  readonly host: string | null
  readonly warm: WarmPlace | null
  readonly place: SessionPlace
}

/**
 * Where a session goes on, among the ways that the policy leaves open. Models keep the order in which a policy names
 * them; where to run the model is a question of what that costs from now on. What opens only later comes last.
 */
export function withSession(planning: Planning, routes: Routes): Led {
  const { open, late } = routes
  const { policy, session } = planning
  const { pin, date } = session
  const ways = late.length === 0 ? open : [...open, ...late]
  if (!session.asked || policy.session === null) return { ordered: ways, session: OFF, leaves: false }
  if (pin !== null && session.midTurn) {
    const way = open.find((each) => leadsTo(pin.home, each))
    if (way !== undefined) {
      const kept = candidateOf({ way, host: pin.home.host, warm: pin.home.until > date ? pin.home : null }, planning)
      const because = `${nameOf(pin.home)} waits for what its tools say`
      return {
        ordered: orderOf(kept, [kept], ways, 'the session waits for its tools here'),
        session: { pin: 'kept', because },
        leaves: false,
      }
    }
  }
  const candidates = candidatesFor(planning, open)
  const history = pin?.history ?? null
  const [only] = candidates
  if (only === undefined) return { ordered: ways, session: NEW, leaves: false }
  const ruled =
    candidates.length === 1
      ? null
      : policy.session.rule(
          candidates.map(({ place }) => place),
          history,
        )
  const chosen = candidates.find(({ place }) => place === ruled?.place) ?? only
  const ordered = orderOf(chosen, candidates, ways)
  const home = pin !== null && pin.home.until > date ? pin.home : null
  if (home !== null && chosen.warm === home) {
    const because = ruled?.because ?? `the cache is warm at ${placeOf(home)}${aside(chosen, home)}`
    return { ordered, session: { pin: 'kept', because }, leaves: false }
  }
  if (home !== null) {
    const away = candidates.some(({ warm }) => warm === home) ? null : awayFrom(home, routes)
    const because = away === null ? (ruled?.because ?? '') : `${nameOf(home)} is warm, but ${away.because}`
    return { ordered, session: { pin: 'moved', because }, leaves: away?.forGood ?? true }
  }
  if (chosen.warm !== null) {
    const because = `the cache is warm at ${placeOf(chosen.warm)}, where it was answered of late`
    return { ordered, session: { pin: 'moved', because }, leaves: true }
  }
  const because = ruled === null ? NEW.because : `${NEW.because}: ${ruled.because}`
  return { ordered, session: { pin: 'new', because }, leaves: false }
}

const OFF = Object.freeze({ pin: 'off', because: 'no session' } as const)
const NEW = Object.freeze({ pin: 'new', because: 'nothing is warm yet' } as const)

/** Where it is warm, its home first; then the hosts that may be chosen; at last where the policy would go by itself. */
function candidatesFor(planning: Planning, open: readonly Way[]): readonly Candidate[] {
  const { pin, date } = planning.session
  const [first] = open
  if (first === undefined) return []
  const found: Candidate[] = []
  for (const warm of pin === null ? [] : [pin.home, pin.standIn]) {
    if (warm === null || warm.until <= date) continue
    const way = open.find((each) => leadsTo(warm, each) && !isOutranked(each, first, planning.policy))
    if (way !== undefined) found.push(candidateOf({ way, host: warm.host, warm }, planning))
  }
  const hosts = openHosts(first, planning).map((host) => candidateOf({ way: first, host, warm: null }, planning))
  found.push(...hosts.filter(({ place }) => !found.some((each) => isSamePlace(each.place, place))))
  if (hosts.length > 0) found.push({ way: first, host: null, warm: null, place: drawn(hosts) })
  else if (!found.some(({ way }) => way === first))
    found.push(candidateOf({ way: first, host: first.step.host, warm: null }, planning))
  return found
}

/** An aggregator that chooses by itself draws a host, the cheaper the likelier: by the inverse square of its price. */
function drawn(hosts: readonly Candidate[]): SessionPlace {
  let weights = 0
  let least = Number.POSITIVE_INFINITY
  let usd = 0
  let restUsd = 0
  for (const { place } of hosts) {
    const weight = 1 / Math.max(place.usd ?? 0, 1e-12) ** 2
    weights += weight
    usd += weight * (place.usd ?? 0)
    restUsd += weight * (place.restUsd ?? 0)
    least = Math.min(least, place.restUsd ?? 0)
  }
  const { model, provider } = hosts[0]?.place ?? NOWHERE
  // Where all ask the same, the mean is not to fall a last bit below them.
  const mean = Math.max(least, restUsd / weights)
  return { model, provider, host: null, warm: false, cachedTokens: 0, usd: usd / weights, restUsd: mean }
}

const NOWHERE: Place = Object.freeze({ model: '', provider: '', host: null })

/** A policy that names its models means their order: a cache does not keep a session from one that is open again. */
function isOutranked({ step }: Way, first: Way, { named }: Policy): boolean {
  return named.models.length > 0 && step.model !== first.step.model
}

function candidateOf(
  { way, host, warm }: Omit<Candidate, 'place'>,
  { policy, facts, session: { pin } }: Planning,
): Candidate {
  const { offer, provider, step } = way
  const { model } = step
  // Hosts that the policy names stand before the one that is warm.
  const asked = step.hosts.length === 0 || host === null || step.hosts.some((named) => sameHost(named, host))
  const { promptTokens, maxTokens } = facts.needs
  const caching = provider.dialect.caching({ wireModel: step.wireModel, host })
  const isMarked = !caching.marked || policy.session?.marks === true
  const priced = placeAt(
    {
      model,
      provider: step.provider,
      host,
      tariff: tariffOf(offer, host),
      caching: isMarked ? caching : { ...caching, ttlMs: 0 },
      warmTokens: warm === null || !asked ? 0 : warm.tokens,
    },
    {
      history: pin?.history ?? null,
      coming: { promptTokens: Math.round(promptTokens * (pin?.scale ?? 1)), maxTokens, utcMinutes: facts.utcMinutes },
    },
  )
  // A prompt too short to be cached leaves nothing there, and the session is at home there all the same.
  return { way, host, warm, place: warm === null ? priced : { ...priced, warm: true } }
}

/**
 * The hosts behind an aggregator of which one may be chosen for its price: those whose prices are known, where neither
 * the policy nor the request has a say in it. With tools the aggregator knows better who uses them well.
 */
function openHosts(way: Way, { policy, facts, session }: Planning): readonly string[] {
  const { offer, provider, step, settings, ranked } = way
  if (!provider.dialect.supports.hosts || step.hosts.length > 0 || session.prefersHosts || facts.needs.tools) return []
  const { training, retention } = policy.data
  if (training !== undefined || retention !== undefined) return []
  if ([provider.settings, settings].some((each) => each?.openrouter?.preferences !== undefined)) return []
  const { variant, preset } = parseReference(step.wireModel)
  if (variant !== null || preset !== null) return []
  return offer.hosts.flatMap((sold) =>
    sold.host === null || ranked.avoided.includes(sold.host) || !fits(sold, facts) ? [] : [sold.host],
  )
}

function fits({ tariff, context, maxOutput }: Offer, { needs }: Facts): boolean {
  const most = needs.maxTokens ?? 0
  return (
    tariff !== null &&
    (context === null || needs.promptTokens + most <= context) &&
    (maxOutput === null || most <= maxOutput)
  )
}

/** The chosen one, then where else it is warm, then as the policy has it. */
function orderOf(
  chosen: Candidate,
  candidates: readonly Candidate[],
  ways: readonly Way[],
  otherwise = 'it costs least from here on',
): readonly Way[] {
  const warm = candidates.filter((each) => each !== chosen && each.warm !== null)
  const first: Way[] = []
  for (const each of [chosen, ...warm]) {
    if (first.some(({ ranked }) => ranked === each.way.ranked)) continue
    const also = warm.filter(({ way }) => way === each.way)
    const hosts = [each, ...also].flatMap(({ host }) => host ?? [])
    if (each.warm === null && (each.host === null || each.way.step.hosts.length > 0)) first.push(each.way)
    else {
      const because = each.warm === null ? otherwise : 'the session is warm here'
      first.push(pinnedTo(each.way, { hosts: [...new Set(hosts)], because, cachedTokens: each.place.cachedTokens }))
    }
  }
  return [...first, ...ways.filter((way) => !first.some(({ ranked }) => ranked === way.ranked))]
}

/** Why it is not at home although its home is warm, and whether that will pass. */
function awayFrom(home: Place, { open, late, rejected }: Routes): { because: string; forGood: boolean } {
  const [first] = open
  if (open.some((way) => leadsTo(home, way)) && first !== undefined) {
    return { because: `the policy asks for ${first.step.model} before it`, forGood: true }
  }
  const { code } = rejected.find(({ model, provider }) => model === home.model && provider === home.provider) ?? {}
  const passes = late.some((way) => leadsTo(home, way)) || code === 'breaker-open' || code === 'rate-limited'
  return { because: passes ? 'closed for a while' : 'not in the plan any more', forGood: !passes }
}

function aside({ way }: Candidate, home: Place): string {
  const [named] = way.step.hosts
  const elsewhere = home.host !== null && named !== undefined && !sameHost(named, home.host)
  return elsewhere ? `, and the policy asks for ${home.provider}/${named} before it` : ''
}

function nameOf(place: Place): string {
  return `${place.model} at ${placeOf(place)}`
}

function placeOf({ provider, host }: Place): string {
  return host === null ? provider : `${provider}/${host}`
}
