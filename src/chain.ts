import type { ChatMessage } from './chat.ts'
import { type Failure, VERDICTS } from './failure.ts'
import type { Move } from './fallback.ts'
import { type Block, LONGEST_WAIT } from './health.ts'
import { pauseOf, spread } from './retry.ts'
import type { Role } from './usage.ts'
import { isSame, type Way } from './way.ts'

/** Which way is gone next, and when. */
export interface Turn {
  readonly way: Way
  readonly role: Role
  readonly because: string
  /** Monotonic; not later than now means at once. */
  readonly at: number
}

/** A way that was gone and led nowhere. */
export interface Tried {
  readonly way: Way
  /** How often. */
  readonly times: number
  /** What came of it the last time. */
  readonly failure: Failure
  readonly endedAt: number
  /** What is said to it so that it mends its answer; `null`: there is none to mend. */
  readonly mend: readonly ChatMessage[] | null
}

/** All that the next turn follows from. */
export interface Situation {
  readonly now: number
  /** No attempt may begin later. */
  readonly latest: number
  readonly failed: Tried
  /** Every way that failed, this one too. */
  readonly tried: readonly Tried[]
  /** What is left of the plan, in order. */
  readonly left: readonly Way[]
  blockOf(way: Way): Block | null
  /** Whether a provider may be asked a second time, for all that was asked of it lately. */
  mayRepeat(way: Way): boolean
  random(): number
  /** Ways that the plan does not have, under the same policy. */
  more(model: string, provider: string | undefined): readonly Way[]
}

/** An offer is asked again once, unless a rule says otherwise. */
const MOST_TIMES = 2

/** The first turn of a call; `null` where all is closed for longer than anybody waits. */
export function firstTurn(
  left: readonly Way[],
  about: Pick<Situation, 'now' | 'latest' | 'blockOf' | 'random'>,
): Turn | null {
  const turn = (way: Way, at: number): Turn => ({ way, role: 'first', because: way.step.because.join('; '), at })
  const { blockOf, now } = about
  const open = left.find((way) => blockOf(way) === null) ?? left.find((way) => blockOf(way)?.opens === false)
  if (open !== undefined) return turn(open, now)
  return soonest(
    left.flatMap((way) => whenOpen(way, about).map((at) => turn(way, at))),
    about,
  )
}

/** What the table of verdicts says: another way at once if one is open; only then the same again, after a pause. */
export function turnByVerdict(situation: Situation): Turn | null {
  const { failed, now, left, tried, blockOf, mayRepeat } = situation
  const { retry, next } = VERDICTS[failed.failure.kind]
  if (next === 'nowhere') return null
  const again = (once: Tried, at: number): Turn => ({
    way: once.way,
    role: repeating(once),
    because: reasonOf(failed),
    at,
  })
  const onward = (way: Way, at: number): Turn => ({ way, role: onto(way, failed), because: reasonOf(failed), at })
  const fitting = left.filter((way) => fits(way, tried))
  const atOnce = retry === 'first' && failed.times < MOST_TIMES && blockOf(failed.way) === null
  // A repair goes to one who is well: it is not the load that retries are held back for.
  if (atOnce && (failed.mend !== null || mayRepeat(failed.way))) return again(failed, now)
  const open = fitting.find((way) => blockOf(way) === null)
  if (open !== undefined) return onward(open, now)
  // The last candidate is never locked out by its illness.
  const ill = fitting.find((way) => blockOf(way)?.opens === false)
  if (ill !== undefined) return onward(ill, now)
  const gated = fitting.flatMap((way) => whenOpen(way, situation).map((at) => onward(way, at)))
  const once = tried
    .filter(({ failure, times }) => VERDICTS[failure.kind].retry === 'last' && times < MOST_TIMES)
    .filter(({ way }) => mayRepeat(way) && fits(way, tried))
    .flatMap((each) => whenRepeatable(each, situation).map((at) => again(each, at)))
  return soonest([...gated, ...once], situation)
}

/** What a rule asks for, where it is possible; `stop` ends the call. */
export function turnByMove(move: Move, situation: Situation): Turn | 'stop' | null {
  if (move.move === 'stop') return 'stop'
  const { failed, now, left } = situation
  const at = now + (move.afterMs ?? 0)
  if (move.move === 'retry') return retryByMove(move.afterMs, situation)
  const { model, provider } = failed.way.step
  const onward = (ways: readonly Way[]): Turn | null => {
    const way = ways.find((each) => isOpenAt(each, at, situation) && hasRoom(each, situation.tried))
    if (way === undefined || at > situation.latest) return null
    return { way, role: onto(way, failed), because: `${reasonOf(failed)}; by a rule`, at }
  }
  switch (move.move) {
    case 'next':
      return onward(left)
    case 'next-provider':
      return onward(left.filter(({ step }) => step.model === model && step.provider !== provider))
    case 'next-model':
      return onward(left.filter(({ step }) => step.model !== model))
    case 'use':
      return onward(used(situation.more(move.model, move.provider), situation))
  }
}

/** A rule that says to wait is obeyed even where another way is open; a closed gate is waited for by all. */
function retryByMove(afterMs: number | undefined, situation: Situation): Turn | null {
  const { failed, now, latest, random, mayRepeat } = situation
  if (failed.mend === null && !mayRepeat(failed.way)) return null
  const own =
    VERDICTS[failed.failure.kind].retry === 'first' ? 0 : pauseOf(failed.failure, { times: failed.times, random })
  const pause = afterMs === undefined ? own : Math.max(afterMs, failed.failure.retryAfterMs ?? 0)
  const [open] = whenOpen(failed.way, situation)
  if (pause === null || open === undefined) return null
  const at = Math.max(now + pause, open)
  return at > latest
    ? null
    : { way: failed.way, role: repeating(failed), because: `${reasonOf(failed)}; by a rule`, at }
}

/** What the plan has under that name already is taken from there; what was tried is not tried again this way. */
function used(ways: readonly Way[], { left, tried }: Situation): readonly Way[] {
  return ways
    .filter((way) => !tried.some((each) => isSame(each.way, way)))
    .map((way) => left.find((planned) => isSame(planned, way)) ?? way)
}

/** When a way may be gone: now, or when its gate opens; nothing for one that nobody should wait for. */
export function whenOpen(
  way: Way,
  { now, latest, blockOf, random }: Pick<Situation, 'now' | 'latest' | 'blockOf' | 'random'>,
): number[] {
  const block = blockOf(way)
  if (block === null) return [now]
  const wait = block.until - now
  if (!block.opens || wait > LONGEST_WAIT) return []
  const at = now + spread(wait, random)
  return at > latest ? [] : [at]
}

function whenRepeatable(each: Tried, situation: Situation): number[] {
  const pause = pauseOf(each.failure, { times: each.times, random: situation.random })
  const [open] = whenOpen(each.way, situation)
  if (pause === null || open === undefined) return []
  const at = Math.max(each.endedAt + pause, open)
  return at > situation.latest ? [] : [at]
}

function soonest(turns: readonly Turn[], { latest }: Pick<Situation, 'latest'>): Turn | null {
  let first: Turn | null = null
  for (const turn of turns) if (turn.at <= latest && (first === null || turn.at < first.at)) first = turn
  return first
}

function isOpenAt(way: Way, at: number, { blockOf }: Situation): boolean {
  const block = blockOf(way)
  return block === null || (block.opens && block.until <= at)
}

/** Whether a way makes sense after all that was learned in this call. */
export function fits(way: Way, tried: readonly Tried[]): boolean {
  return hasRoom(way, tried) && tried.every(({ way: before, failure }) => !isRuledOut(way, before, failure))
}

function isRuledOut({ step }: Way, { step: before }: Way, { kind }: Failure): boolean {
  const { next } = VERDICTS[kind]
  if (next === 'provider') return step.provider === before.provider
  return next === 'model' && step.model === before.model
}

/** What did not fit is not sent to a context of the same size again. */
function hasRoom({ offer }: Way, tried: readonly Tried[]): boolean {
  return tried.every(({ way, failure }) => {
    if (failure.kind !== 'context-too-long') return true
    return offer.context === null || way.offer.context === null || offer.context > way.offer.context
  })
}

/** Whoever has answered, though not as it was asked, is told what to mend; all others are asked the same again. */
function repeating({ mend }: Tried): Role {
  return mend === null ? 'retry' : 'repair'
}

/** Another model because of what the first has said, and not because nobody could ask it. */
function onto({ step }: Way, { way: before, failure }: Tried): Role {
  const { kind } = failure
  const isJudged = kind === 'bad-output' || kind === 'below-bar'
  return isJudged && step.model !== before.step.model ? 'escalation' : 'failover'
}

function reasonOf({ way, failure }: Tried): string {
  return `${way.step.model} at ${way.step.provider}: ${VERDICTS[failure.kind].says}`
}
