import { type Allowance, createAllowance } from './allowance.ts'
import type { HeaderReader } from './answer.ts'
import { keep } from './bounded.ts'
import { type Breaker, createBreaker } from './breaker.ts'
import { type Failure, type FailureKind, VERDICTS } from './failure.ts'
import { frozen } from './frozen.ts'
import { type Headroom, headroomOf } from './headroom.ts'
import type { RejectionCode, Step } from './plan.ts'

/** Why an offer is better not asked now. */
export interface Block {
  readonly code: RejectionCode
  readonly because: string
  /** Monotonic: when that is over, as far as anybody knows. */
  readonly until: number
  /** It opens by itself at that time, and waiting for it makes sense; illness is not waited for. */
  readonly opens: boolean
}

/** What all calls of a router know of its offers together. Everything else belongs to one call alone. */
export interface Health {
  /** Nothing speaks against any offer. */
  readonly calm: boolean
  blockOf(step: Step, now: number): Block | null
  /** What speaks against offers at one moment; `null`: nothing does. */
  view(now: number): HealthView | null
  /** An attempt begins; what it gives back belongs to `note`. */
  begin(step: Step, now: number): number
  /** It has something to show: a probe that is under way keeps nobody else out any longer. */
  shown(step: Step, epoch: number, now: number): void
  /** How an attempt ended: `null` is well. `headers` tell what is left of the limits. */
  note(step: Step, ended: Ended, now: number): void
  /** What may be asked a second time at a provider. */
  allowance(provider: string): Allowance
  /** What another router that shares its store has found closed. */
  learn(gate: SharedGate, now: number): void
  report(now: number): HealthReport
}

/** A gate as others hear of it: an offer's, or an account's. */
export interface SharedGate {
  readonly name: string
  readonly kind: FailureKind
  readonly forMs: number
}

export interface HealthView {
  readonly now: number
  blockOf(step: Step): Block | null
}

export interface Ended {
  /** As `begin` gave it. */
  readonly epoch: number
  readonly durationMs: number
  readonly failure: Failure | null
  readonly headers: HeaderReader | null
}

/** One offer as it is known from its last answers. */
export interface OfferHealth {
  readonly provider: string
  readonly model: string
  /** The hosts it is bound to, behind an aggregator; none: any. */
  readonly hosts: readonly string[]
  readonly state: 'well' | 'breaker-open' | 'rate-limited' | 'account-out' | 'retired'
  readonly because: string | null
  /** Milliseconds until that is over. */
  readonly forMs: number | null
  readonly headroom: { readonly requests: Headroom | null; readonly tokens: Headroom | null }
}

export interface HealthReport {
  readonly offers: readonly OfferHealth[]
}

interface Known {
  readonly step: Step
  readonly breaker: Breaker
  gate: Gate | null
  headers: HeaderReader | null
}

interface Account {
  gate: Gate | null
  readonly allowance: Allowance
}

/** Closed for a while. */
interface Gate {
  readonly kind: FailureKind
  readonly until: number
  /** How often it closed with no word of how long, since the last success. */
  readonly guesses: number
}

/** A gate that opens later is not waited for. */
export const LONGEST_WAIT = 30_000
const MOST_OFFERS = 10_000
const HOUR = 3_600_000
/** Nobody says when an account or a model comes back: it is looked for again after so long. */
const SHUT_FOR: Partial<Readonly<Record<FailureKind, number>>> = {
  unauthorized: 300_000,
  'out-of-credit': 300_000,
  forbidden: 300_000,
  'quota-exhausted': 300_000,
  'model-gone': HOUR,
}
const FIRST_GUESS = 1000
const LONGEST_GUESS = 60_000

const CODES: Partial<Readonly<Record<FailureKind, OfferHealth['state'] & RejectionCode>>> = {
  unauthorized: 'account-out',
  'out-of-credit': 'account-out',
  forbidden: 'account-out',
  'model-gone': 'retired',
}

/** `onShut` hears of every limit that closes a gate, or closes it for longer. */
export function createHealth(random: () => number, onShut?: (gate: SharedGate) => void): Health {
  const offers = new Map<string, Known>()
  const accounts = new Map<string, Account>()
  const shared = new Map<string, Gate>()
  /** Until something has gone wrong for the first time, nobody has to look. */
  let troubled = false

  function knownOf(step: Step): Known {
    const key = keyOf(step)
    // Model ids may come from outside: there is no end of them.
    return (
      offers.get(key) ??
      keep(offers, MOST_OFFERS, key, { step, breaker: createBreaker(random), gate: null, headers: null })
    )
  }

  function accountOf(provider: string): Account {
    return accounts.get(provider) ?? keep(accounts, MOST_OFFERS, provider, { gate: null, allowance: createAllowance() })
  }

  function blockOf(step: Step, now: number): Block | null {
    const account = closed(accounts.get(step.provider)?.gate, now) ?? closed(shared.get(step.provider), now)
    if (account !== null) return shut(account, now)
    const key = keyOf(step)
    const known = offers.get(key)
    const own = closed(known?.gate, now) ?? closed(shared.get(key), now)
    if (own !== null) return shut(own, now)
    if (known === undefined) return null
    if (known.breaker.admits(now)) return null
    const { until } = known.breaker
    const because = now < until ? `it kept failing: asked again ${inTime(until - now)}` : 'another call is finding out'
    return { code: 'breaker-open', because, until, opens: false }
  }

  return {
    get calm() {
      return !troubled
    },
    blockOf,
    view: (now) => (troubled ? { now, blockOf: (step) => blockOf(step, now) } : null),
    begin: (step, now) => knownOf(step).breaker.begin(now),
    shown: (step, epoch, now) => offers.get(keyOf(step))?.breaker.note(epoch, null, now),
    note(step, { epoch, durationMs, failure, headers }, now) {
      const known = knownOf(step)
      known.headers = headers ?? known.headers
      const verdict = failure === null ? null : VERDICTS[failure.kind]
      known.breaker.note(epoch, isWell(failure, durationMs), now)
      if (failure === null || verdict === null) {
        for (const holder of [known, accounts.get(step.provider)]) {
          if (holder?.gate != null && holder.gate.until <= now) holder.gate = null
        }
        return
      }
      troubled = true
      // Who is ill and says for how long is left alone for that time, whatever its breaker says.
      if (verdict.blame === 'nobody' || (verdict.blame === 'offer' && failure.retryAfterMs === null)) return
      const holder = verdict.blame === 'account' || failure.scope === 'account' ? accountOf(step.provider) : known
      const before = holder.gate
      holder.gate = later(before, failure, now)
      // A key that was refused here may be another there.
      if (onShut === undefined || verdict.blame !== 'gate' || holder.gate === before || holder.gate === null) return
      const name = holder === known ? keyOf(step) : step.provider
      onShut({ name, kind: failure.kind, forMs: holder.gate.until - now })
    },
    learn({ name, kind, forMs }, now) {
      if (VERDICTS[kind].blame !== 'gate' || !(forMs > 0)) return
      const until = now + Math.min(forMs, HOUR)
      if ((shared.get(name)?.until ?? now) >= until) return
      keep(shared, MOST_OFFERS, name, { kind, until, guesses: 0 })
      troubled = true
    },
    allowance: (provider) => accountOf(provider).allowance,
    report(now) {
      const rows = [...offers.values()].map(({ step, headers }): OfferHealth => {
        const block = blockOf(step, now)
        const room = (of: 'requests' | 'tokens') => (headers === null ? null : headroomOf(headers, of))
        return {
          provider: step.provider,
          model: step.model,
          hosts: step.othersAllowed ? [] : step.hosts,
          state: stateOf(block),
          because: block?.because ?? null,
          forMs: block === null ? null : wholeMs(block.until - now),
          headroom: { requests: room('requests'), tokens: room('tokens') },
        }
      })
      return frozen<HealthReport>({ offers: rows })
    },
  }
}

/** What an attempt says of its offer's health; `null`: nothing. */
function isWell(failure: Failure | null, durationMs: number): boolean | null {
  if (failure === null) return true
  if (VERDICTS[failure.kind].blame !== 'offer') return null
  // Whoever has no patience learns nothing that others have to know.
  return IMPATIENT.has(failure.kind) && durationMs < LEAST_PATIENCE ? null : false
}

const IMPATIENT: ReadonlySet<FailureKind> = new Set(['timed-out', 'stalled'])
const LEAST_PATIENCE = 1000

/** A variant, and a host that alone may answer, is an offer of its own. */
function keyOf({ provider, wireModel, hosts, othersAllowed }: Step): string {
  return othersAllowed ? `${provider} ${wireModel}` : `${provider} ${wireModel} ${hosts.join()}`
}

function closed(gate: Gate | null | undefined, now: number): Gate | null {
  return gate != null && gate.until > now ? gate : null
}

/** The later end counts, so that two calls that ran into the same limit do not open it early for each other. */
function later(gate: Gate | null, { kind, retryAfterMs }: Failure, now: number): Gate | null {
  const guesses = gate?.guesses ?? 0
  const guess = Math.min(FIRST_GUESS * 2 ** guesses, LONGEST_GUESS)
  const fixed = SHUT_FOR[kind]
  const hint = retryAfterMs === null ? undefined : Math.min(retryAfterMs, HOUR)
  // A hint that comes with a key that was refused or a model that is gone opens neither any sooner.
  const told = fixed === undefined || kind === 'quota-exhausted' ? (hint ?? fixed) : Math.max(fixed, hint ?? 0)
  // Of several calls that found it closed at the same time, the first has guessed for all.
  if (told === undefined && closed(gate, now) !== null) return gate
  const until = now + (told ?? guess)
  if (gate !== null && gate.until >= until) return gate
  return { kind, until, guesses: told === undefined ? guesses + 1 : guesses }
}

function shut({ kind, until }: Gate, now: number): Block {
  const { blame } = VERDICTS[kind]
  // Whoever is ill and says so is waited for as long as anybody is; for longer, it is ill and no more.
  const code = CODES[kind] ?? (blame === 'offer' && until - now > LONGEST_WAIT ? 'breaker-open' : 'rate-limited')
  return { code, because: `${VERDICTS[kind].says}: open ${inTime(until - now)}`, until, opens: code === 'rate-limited' }
}

function stateOf(block: Block | null): OfferHealth['state'] {
  switch (block?.code) {
    case 'breaker-open':
    case 'rate-limited':
    case 'account-out':
    case 'retired':
      return block.code
  }
  return 'well'
}

/** Up, but for what a clock of fractions is off by. */
export function wholeMs(milliseconds: number): number {
  return Math.max(0, Math.ceil(milliseconds - 1e-6))
}

function inTime(milliseconds: number): string {
  return milliseconds < 1000 ? `in ${Math.ceil(milliseconds)} ms` : `in ${Math.ceil(milliseconds / 1000)} s`
}
