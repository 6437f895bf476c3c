import { ConfigError } from './errors.ts'
import { FAILURE_KINDS, type Failure, type FailureKind } from './failure.ts'
import { kindOf, plainly, unknown } from './options.ts'
import type { Step } from './plan.ts'
import type { AttemptRecord } from './usage.ts'

/** What a rule asks for. `use` names a model that need not be in the plan; the policy's other rules hold for it too. */
export type Move =
  | {
      readonly move: 'retry' | 'next' | 'next-provider' | 'next-model' | 'stop'
      /** Milliseconds to wait before it. */
      readonly afterMs?: number | undefined
    }
  | {
      readonly move: 'use'
      readonly model: string
      readonly provider?: string | undefined
      readonly afterMs?: number | undefined
    }

/** Where a call stands after a failure. */
export interface Standing {
  /** Every attempt so far; the last one is the one that failed. */
  readonly attempts: readonly AttemptRecord[]
  /** What the plan has left, in order. */
  readonly left: readonly Step[]
  /** How often the failed offer was asked again already. */
  readonly retried: number
  /** Milliseconds until the call has to be over. */
  readonly remainingMs: number
}

type Moves = Move | readonly Move[] | null | undefined

/**
 * What to do after a failure: a move, or several of which the first possible one is made. A rule that says nothing, or
 * nothing possible, leaves it to the next one, and the last word has the table of verdicts.
 */
export type FallbackRule = (failure: Failure, standing: Standing) => Moves | Promise<Moves>

/** Which failures a sentence is about. */
export type Cause = FailureKind | readonly FailureKind[] | ((failure: Failure, attempt: AttemptRecord) => boolean)

/** The beginning of a sentence; a verb makes it a rule. */
export interface When {
  /** Milliseconds to wait before what is said next. */
  wait(milliseconds: number): When
  /** The same offer again, so often at the most. */
  retry(times?: number): Sentence
  /** The same model, elsewhere. */
  nextProvider(): Sentence
  /** Another model. */
  nextModel(): Sentence
  /** The end of the call. */
  stop(): FallbackRule
}

/** A rule that can be gone on with: what is said later is done when what was said before is not possible any more. */
export type Sentence = FallbackRule & When

interface Phrase {
  readonly move: 'retry' | 'next-provider' | 'next-model' | 'stop'
  readonly times?: number
  readonly afterMs: number | undefined
}

const MOST_RETRIES = 100
const LONGEST_PAUSE = 600_000

/**
 * A fallback rule that reads as a sentence.
 *
 * @example
 * ```ts
 * fallback: [
 *   when('rate-limited').nextProvider(),
 *   when('bad-output').retry(1).nextModel(),
 *   when((failure) => failure.status === 529).wait(500).retry(1).nextProvider(),
 *   when('refused').stop(),
 * ]
 * ```
 */
export function when(cause: Cause): When {
  return verbs(conditionOf(cause), [], undefined)
}

type Condition = (failure: Failure, attempt: AttemptRecord | undefined) => boolean

function verbs(condition: Condition, said: readonly Phrase[], afterMs: number | undefined): When {
  const say = (phrase: Omit<Phrase, 'afterMs'>): Sentence => {
    const phrases = [...said, { ...phrase, afterMs }]
    return Object.freeze(Object.assign(ruleOf(condition, phrases), verbs(condition, phrases, undefined)))
  }
  return {
    wait: (milliseconds) => verbs(condition, said, checkedWait(milliseconds)),
    retry: (times = 1) => say({ move: 'retry', times: checkedTimes(times) }),
    nextProvider: () => say({ move: 'next-provider' }),
    nextModel: () => say({ move: 'next-model' }),
    stop: () => Object.freeze(ruleOf(condition, [...said, { move: 'stop', afterMs: undefined }])),
  }
}

function ruleOf(condition: Condition, phrases: readonly Phrase[]): FallbackRule {
  return (failure, { attempts, retried }) => {
    if (!condition(failure, attempts.at(-1))) return null
    return phrases.filter(({ times }) => times === undefined || retried < times)
  }
}

function conditionOf(cause: Cause): Condition {
  if (typeof cause === 'function') {
    return (failure, attempt) => attempt !== undefined && cause(failure, attempt)
  }
  const kinds: readonly unknown[] = Array.isArray(cause) ? cause : [cause]
  if (kinds.length === 0) throw new ConfigError('when', 'expected a kind of failure, got an empty array')
  for (const kind of kinds) {
    if (FAILURE_KINDS.some((known) => known === kind)) continue
    throw new ConfigError(
      'when',
      typeof kind === 'string' ? unknown('kind of failure', kind, FAILURE_KINDS) : CAUSE + kindOf(kind),
    )
  }
  const about = new Set(kinds)
  return ({ kind }) => about.has(kind)
}

const CAUSE = 'expected a kind of failure, a list of them, or a function of the failure, got '

function checkedTimes(times: number): number {
  if (Number.isInteger(times) && times > 0 && times <= MOST_RETRIES) return times
  throw new ConfigError('when(…).retry', `expected a whole number from 1 to ${MOST_RETRIES}, got ${plainly(times)}`)
}

function checkedWait(milliseconds: number): number {
  if (typeof milliseconds === 'number' && milliseconds >= 0 && milliseconds <= LONGEST_PAUSE) return milliseconds
  throw new ConfigError(
    'when(…).wait',
    `expected milliseconds from 0 to ${LONGEST_PAUSE}, got ${plainly(milliseconds)}`,
  )
}
