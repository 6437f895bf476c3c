import type { Answer } from './answer.ts'
import type { Cancellation } from './cancellation.ts'
import type { ChatMessage, ChatRequest } from './chat.ts'
import type { Clock } from './clock.ts'
import { type Failure, failure, kindOfStatus, VERDICTS } from './failure.ts'
import type { Cost } from './money.ts'
import type { Way } from './planner.ts'
import type { Policy } from './policy.ts'
import { quotable } from './redact.ts'
import { retryAfter } from './retry-after.ts'
import { merged } from './settings.ts'
import { EventTooLarge } from './sse.ts'
import { type AttemptRecord, costOf, costRecord, NO_TOKENS, type Phase, type Role, UNKNOWN_TOKENS } from './usage.ts'
import { type Await, CutOff, Redirected, TooLarge, type WireReply } from './wires/wire.ts'

/** What all attempts of one call share. Nothing in it changes while the call runs. */
export interface Call {
  readonly id: string
  /** When it began, ISO. */
  readonly at: string
  readonly policy: Policy
  /** Settings merged; what belongs to one model or provider comes on top per attempt. */
  readonly request: ChatRequest
  readonly clock: Clock
  /** Monotonic; when the call has to be over. */
  readonly deadline: number
  readonly startedAt: number
  readonly utcMinutes: number
  readonly cancellation: Cancellation
  /** A keyed hash. */
  readonly session: string | null
}

/** The order to make one attempt. */
export interface Order {
  readonly way: Way
  readonly n: number
  readonly role: Role
  readonly because: string
  /** Milliseconds until it has to be over. */
  readonly timeLimit: number
  /** What goes out instead of the call's own request, when an answer is taken up in the middle. */
  readonly request?: ChatRequest
}

export interface AttemptResult {
  readonly way: Way
  readonly record: AttemptRecord
  readonly cost: Cost
  readonly answer: Answer | null
  readonly failure: Failure | null
  readonly body: unknown
}

/** One exchange on its way: its clock, its way to be given up, and at the end its record. */
export interface Exchange {
  readonly until: Await
  /** Sends the request; the reply's headers are there when it resolves. */
  send(options: { readonly stream: boolean }): Promise<WireReply>
  /** Ends it early; what is being waited for rejects at once. */
  giveUp(reason: unknown): void
  /** Puts off the time limit: milliseconds from now, at the latest the call's deadline. */
  limit(milliseconds: number): void
  /** The first content was there. */
  noteFirst(): void
  readonly elapsed: number
  /** Its record; nothing of it is left running. */
  end(ending: { answer: Answer | null; failure: Failure | null; body: unknown; phase?: Phase }): AttemptResult
  /** What an error thrown on the way means. */
  failureOf(error: unknown): Failure
}

/** The reasons our own clock and our own hands give: told apart from the caller's by identity. */
const TIMED_OUT = new Error('timed out')

export function openExchange(call: Call, order: Order): Exchange {
  const { clock } = call
  const { way } = order
  const { provider, step, offer } = way
  const startedAt = clock.now()
  const controller = new AbortController()
  let phase: Phase = 'connecting'
  let reply: WireReply | null = null
  let firstAt: number | null = null
  let sentBytes = 0
  let givenUp = false
  let reason: unknown
  let stopWaiting: ((reason: unknown) => void) | undefined
  const giveUp = (why: unknown) => {
    if (givenUp) return
    givenUp = true
    reason = why
    controller.abort(why)
    stopWaiting?.(why)
  }
  let stopTimer = clock.timer(order.timeLimit, () => giveUp(TIMED_OUT))
  const forget = call.cancellation.listen(giveUp)
  // Not `Promise.race`: on a promise that lives as long as the exchange, each race would leave something behind.
  const until: Await = (waited) =>
    new Promise((resolve, reject) => {
      stopWaiting = reject
      if (givenUp) {
        waited.catch(() => {})
        reject(reason)
      } else waited.then(resolve, reject)
    })
  return {
    until,
    giveUp,
    async send({ stream }) {
      const request = merged(merged(provider.settings, way.settings ?? {}), order.request ?? call.request)
      const body = provider.dialect.body(request, {
        wireModel: step.wireModel,
        abilities: offer.abilities,
        hosts: step.hosts,
        othersAllowed: step.othersAllowed,
        avoided: way.ranked.avoided,
        session: call.session,
        data: call.policy.data,
      })
      if (stream) Object.assign(body, { stream: true }, provider.dialect.streaming)
      const sent = JSON.stringify(body)
      sentBytes = sent.length
      phase = 'waiting'
      const headers = provider.dialect.headers(request)
      const sending = provider.send({
        method: 'POST',
        path: '/chat/completions',
        headers,
        body: sent,
        signal: controller.signal,
      })
      try {
        reply = await until(sending)
      } catch (error) {
        // A wire may never settle after it was given up, or answer after all: then its body is let go of.
        if (givenUp) sending.then((late) => late.body?.cancel().catch(() => {})).catch(() => {})
        throw error
      }
      phase = 'streaming'
      // An answer that comes whole has its first token when its first byte is there.
      if (!stream) firstAt = clock.now()
      return reply
    },
    limit(milliseconds) {
      stopTimer()
      const left = Math.min(milliseconds, call.deadline - clock.now())
      stopTimer = clock.timer(left, () => giveUp(TIMED_OUT))
    },
    noteFirst() {
      firstAt ??= clock.now()
    },
    get elapsed() {
      return clock.now() - startedAt
    },
    failureOf(error) {
      const status = reply?.status ?? null
      if (givenUp) return failure(reason === TIMED_OUT ? 'timed-out' : 'canceled', { status })
      if (error instanceof Redirected) return failure('redirected')
      if (error instanceof TooLarge || error instanceof EventTooLarge) {
        return failure('bad-response', { status, code: 'too-large' })
      }
      if (status !== null && (status < 200 || status >= 300)) return failure(kindOfStatus(status), { status })
      if (error instanceof CutOff) return failure('cut-off', { status })
      return failure('unreachable', { code: codeOf(error) })
    },
    end(ending) {
      stopTimer()
      forget()
      const { answer, body } = ending
      const status = reply?.status ?? null
      const failed = ending.failure === null ? null : told(ending.failure, { call, way, reply })
      const billed = failed === null ? 'yes' : billing(failed, answer, status)
      const tokens = answer?.tokens ?? (billed === 'no' ? NO_TOKENS : UNKNOWN_TOKENS)
      const cost = costOf({
        tokens,
        reported: answer?.reportedUsd ?? null,
        billed,
        tariff: offer.tariff,
        // A token is a byte at the least, so the request cannot have been read as more tokens than it has characters.
        most: { promptTokens: sentBytes, completionTokens: mostCompletion(call.request, way) },
        utcMinutes: call.utcMinutes,
      })
      const record: AttemptRecord = {
        n: order.n,
        role: order.role,
        model: step.model,
        provider: step.provider,
        host: answer?.host ?? null,
        outcome: failed?.kind ?? 'ok',
        status: failed?.status ?? status,
        phase: ending.phase ?? phase,
        startedMs: startedAt - call.startedAt,
        durationMs: clock.now() - startedAt,
        firstTokenMs: firstAt === null ? null : firstAt - startedAt,
        tokens,
        cost: costRecord(cost),
        billed,
        generationId: answer?.id ?? null,
        because: order.because,
      }
      return { way, record, cost, answer, failure: failed, body }
    },
  }
}

/** A failure as it may be told: the provider's words without keys and without what the user wrote. */
function told(failed: Failure, about: { call: Call; way: Way; reply: WireReply | null }): Failure {
  const { call, way, reply } = about
  const retryAfterMs = failed.retryAfterMs ?? (reply === null ? null : retryAfter(reply.headers, call.clock.date()))
  const detail =
    failed.detail === null ? null : quotable(way.provider.redact(failed.detail), contentsOf(call.request.messages))
  return { ...failed, retryAfterMs, detail }
}

/** Errors of the operating system that prove that nothing was sent. */
const NOT_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
])

/** The system's code, from the chain of causes. */
function codeOf(error: unknown): string | null {
  let at: unknown = error
  for (let depth = 0; depth < 5 && at instanceof Error; depth += 1) {
    if ('code' in at && typeof at.code === 'string') return at.code
    at = at.cause
  }
  return null
}

function billing(failed: Failure, answer: Answer | null, status: number | null): AttemptRecord['billed'] {
  // An answer that says what it used was paid for, whatever is wrong with it.
  if (answer?.reportedUsd != null || answer?.tokens.completion != null) return 'yes'
  if (failed.kind === 'unreachable' && NOT_SENT.has(failed.code ?? '')) return 'no'
  // An error status instead of an answer: both providers charge for none of them.
  if (answer === null && status !== null && (status < 200 || status >= 300)) return 'no'
  return VERDICTS[failed.kind].billed
}

function mostCompletion(request: ChatRequest, { offer }: Way): number | null {
  return request.max_completion_tokens ?? request.max_tokens ?? offer.maxOutput
}

/** All that the user wrote, to recognise it when a provider quotes it. */
function contentsOf(messages: readonly ChatMessage[]): string {
  return messages
    .map(({ content }) => {
      if (typeof content === 'string') return content
      return Array.isArray(content) ? JSON.stringify(content) : ''
    })
    .join('\n')
}
