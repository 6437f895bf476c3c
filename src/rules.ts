import type { Cancellation } from './cancellation.ts'
import type { Clock } from './clock.ts'
import type { Events } from './events.ts'
import type { Failure } from './failure.ts'
import type { FallbackRule, Move, Standing } from './fallback.ts'
import { isFields } from './fields.ts'
import { inTime } from './patience.ts'

/** Milliseconds that a rule may think. */
const PATIENCE = 1000
const MOVES = ['retry', 'next', 'next-provider', 'next-model', 'stop', 'use']

interface Asking {
  readonly clock: Clock
  readonly cancellation: Cancellation
  readonly events: Events
}

/**
 * What one rule of the policy says: its moves, in order. A rule that throws, says what cannot be understood, or takes too
 * long has said nothing; that is reported once.
 */
export async function movesOf(
  rule: FallbackRule,
  about: { readonly failure: Failure; readonly standing: Standing },
  asking: Asking,
): Promise<readonly Move[]> {
  try {
    const said: unknown = await inTime(rule(Object.freeze({ ...about.failure }), about.standing), {
      ...asking,
      patienceMs: PATIENCE,
      remainingMs: about.standing.remainingMs,
    })
    const moves: readonly unknown[] = Array.isArray(said) ? said : said === null || said === undefined ? [] : [said]
    if (moves.every(isMove)) return moves
    throw new TypeError('no move')
  } catch (error) {
    asking.events.report('rule', rule, error)
    return []
  }
}

function isMove(said: unknown): said is Move {
  if (!isFields(said) || !MOVES.some((move) => move === said.move)) return false
  const { move, model, provider, afterMs } = said
  if (move === 'use' && (typeof model !== 'string' || model === '')) return false
  if (provider !== undefined && typeof provider !== 'string') return false
  return afterMs === undefined || (typeof afterMs === 'number' && afterMs >= 0 && Number.isFinite(afterMs))
}
