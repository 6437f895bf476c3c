import type { CallOptions, Input, RouterEvent, TaskPolicy, UsageRecord } from 'modelfirst'
import type { Mode, Script } from './script.ts'

/** One row of the matrix: a fault at a place, what is there against it, and what has to come of it. */
export interface Cell {
  readonly title: string
  /** What is not yet as it has to be: the cell is expected to fail, and fails once it no longer does. */
  readonly known?: string | undefined
  readonly given: Given
  readonly script: Script
  /** One for each call. */
  readonly expect: readonly Expected[]
}

export interface Given {
  readonly mode: Mode
  /** Providers in the order of preference. `groq` and `openrouter` speak their own dialects, all others OpenAI's. */
  readonly chain: readonly string[]
  readonly policy?: Partial<TaskPolicy<string, string>>
  readonly models?: readonly { readonly id: string; readonly context?: number }[]
  /** What the account at a provider guarantees, by provider. */
  readonly terms?: Readonly<Record<string, { readonly training?: false; readonly retention?: 'zero' | 'provider' }>>
  readonly random?: () => number
  readonly secret?: string
  /** One after the other, or each so long after the one before; default: one. */
  readonly calls?: readonly CallPlan[]
  readonly hooks?: Hooks
  /** It moves so many bytes that others beside it would be late. */
  readonly heavy?: boolean
  /** Units of time in a millisecond of the real clock. */
  readonly pace?: number
}

export interface CallPlan {
  readonly options?: Omit<CallOptions, 'signal'>
  readonly input?: Input
  readonly session?: boolean
  /** Time that passes before it. */
  readonly afterMs?: number
  readonly abort?: Abort
  readonly reader?: Reader
  /** It begins while the one before it is still running. */
  readonly overlaps?: boolean
  readonly close?: { readonly at: number }
}

/** When the caller gives up: before the call, so long after it began, or as soon as something is heard of it. */
export type Abort =
  | { readonly at: 'before' }
  | { readonly at: number }
  | {
      readonly on: RouterEvent['type'] | 'text-delta' | 'reasoning-delta' | 'tool-call-delta' | 'end'
      readonly nth?: number
    }

/** How a stream is read; default: to its end. */
export interface Reader {
  /** The loop is left after so many events. */
  readonly leaves?: number
  /** Time between one event and the next. */
  readonly pauses?: number
  readonly asks?: 'completion' | 'text' | 'response'
}

export interface Hooks {
  readonly on?: (event: RouterEvent) => unknown
  readonly sink?: (record: UsageRecord) => void | Promise<void>
}

export interface Expected {
  readonly outcome: string
  /** The error's name; default: as the outcome says. */
  readonly error?: string
  /** In order: `place role outcome status billed`. */
  readonly attempts: readonly string[]
  /** Units between the end of an attempt and the start of the next: at least, at most. */
  readonly gaps?: readonly (readonly [number, number])[]
  /** What can be seen of a stream, in order: `reasoning text tool restart seam end`. */
  readonly shown?: string
  /** What a reader has in the end; default: the whole answer when it is one. */
  readonly text?: string
  readonly retryAfterMs?: number | null | readonly [number, number]
  /** Units that the call may take at least, and at the most. */
  readonly totalMs?: readonly [number, number]
  /** Requests that reach a wire, where these are not all attempts. */
  readonly sent?: number
  /** Events that have to be heard. */
  readonly heard?: readonly string[]
  /** Looks at whatever else is of interest: a sentence says what is wrong. */
  readonly also?: (ended: {
    readonly usage: UsageRecord
    readonly error: unknown
    readonly events: readonly RouterEvent[]
  }) => string | null
}
