import type { Answer, HeaderReader } from './answer.ts'
import { billing, mostCompletion, mostPrompt, NOTHING_KNOWN, pricesOf } from './billing.ts'
import type { Cancellation } from './cancellation.ts'
import type { ChatMessage, ChatRequest } from './chat.ts'
import type { Clock } from './clock.ts'
import { costOf } from './cost.ts'
import type { Demand } from './demand.ts'
import type { Target } from './dialects/dialect.ts'
import { told } from './disclosure.ts'
import { type Failure, type FailureKind, failure, kindOfStatus } from './failure.ts'
import type { Fields } from './fields.ts'
import { dropped } from './history.ts'
import type { Cost } from './money.ts'
import { isWorthWriting } from './pin.ts'
import type { Policy } from './policy.ts'
import { retryAfter } from './retry-after.ts'
import type { Issue } from './schema.ts'
import type { Session } from './session.ts'
import type { Settings } from './settings.ts'
import { EventTooLarge } from './sse.ts'
import { unwrapped } from './structured.ts'
import { dearestOf, tariffOf } from './tariffs.ts'
import { type AttemptRecord, costRecord, NO_NOTES, NO_TOKENS, type Phase, type Role, UNKNOWN_TOKENS } from './usage.ts'
import type { Way } from './way.ts'
import { type Await, CutOff, Redirected, TooLarge, type WireReply } from './wires/wire.ts'

/** What all attempts of one call share. Nothing in it changes while the call runs. */
export interface Call {
  readonly id: string
  /** When it began, ISO. */
  readonly at: string
  readonly policy: Policy
  /** Without what belongs to one provider or one candidate. */
  readonly request: ChatRequest
  readonly settings: Settings
  readonly clock: Clock
  /** In [0, 1). */
  random(): number
  /** Monotonic; when the call has to be over. */
  readonly deadline: number
  readonly startedAt: number
  readonly utcMinutes: number
  readonly cancellation: Cancellation
  readonly session: Session | null
  /** What an answer has to be; `null`: whole, and no more. */
  readonly demand: Demand | null
  /** Why an answer is not taken, which came from elsewhere than was planned; `null`: every answer is. */
  readonly refuses:
    | ((
        call: Call,
        way: Way,
        served: Pick<Answer, 'model' | 'host' | 'tier'>,
        result: AttemptResult | null,
      ) => Failure | null)
    | null
}

/** The order to make one attempt. */
export interface Order {
  readonly way: Way
  readonly n: number
  readonly role: Role
  readonly because: string
  /** Milliseconds until it has to be over. */
  readonly timeLimit: number
  /** With the provider's and the candidate's settings; it may take an answer up in the middle. */
  readonly request: ChatRequest
}

export interface AttemptResult {
  readonly way: Way
  readonly record: AttemptRecord
  readonly cost: Cost
  readonly answer: Answer | null
  readonly failure: Failure | null
  readonly body: unknown
  /** Of the reply, where there was one: they tell what is left of the limits. */
  readonly headers: HeaderReader | null
  /** What of the history was left out or given another form, in words. */
  readonly dropped: readonly string[]
  /** As the schema has it. Left out: there is none. */
  readonly data?: unknown
  /** What does not fit the schema. */
  readonly issues?: readonly Issue[]
  /** What is said to the same model next, so that it mends its answer. */
  readonly mend?: readonly ChatMessage[]
}

/** One exchange on its way: its clock, its way to be given up, and at the end its record. */
export interface Exchange {
  readonly until: Await
  /** Sends the request; the reply's headers are there when it resolves. */
  send(options: { readonly stream: boolean }): Promise<WireReply>
  /** Ends it early; what is being waited for rejects at once. */
  giveUp(reason: unknown): void
  /** Hears that it was given up while nothing was waited for. */
  onGivenUp(hear: (error: unknown) => void): void
  /**
   * Sets the time limit anew: so many milliseconds of waiting from now, at the latest the call's deadline. While
   * nothing is waited for, nothing is late.
   */
  limit(milliseconds: number, kind: 'timed-out' | 'stalled'): void
  /** The first content was there. */
  noteFirst(): void
  /** Its record; nothing of it is left running. */
  end(ending: { answer: Answer | null; failure: Failure | null; body: unknown; phase?: Phase }): AttemptResult
  /** What an error thrown on the way means. */
  failureOf(error: unknown): Failure
}

/** The reasons our own clock gives: told apart from the caller's by identity. */
const REASONS = { 'timed-out': new Error('timed out'), stalled: new Error('stalled') }

export function openExchange(call: Call, order: Order): Exchange {
  const { clock } = call
  const { way } = order
  const { provider, step, offer } = way
  const isCapped = call.policy.limits.maxCostUsd !== null
  const startedAt = clock.now()
  const controller = new AbortController()
  let phase: Phase = 'connecting'
  let reply: WireReply | null = null
  let firstAt: number | null = null
  let sentBytes: number | null = 0
  let sentBody: Fields = {}
  let streams = false
  let left: readonly string[] = []
  let givenUp = false
  let reason: unknown
  let stopWaiting: ((reason: unknown) => void) | undefined
  let hear: ((error: unknown) => void) | undefined
  let waiting = false
  const giveUp = (why: unknown) => {
    if (givenUp) return
    givenUp = true
    reason = why
    controller.abort(why)
    if (waiting) stopWaiting?.(why)
    else hear?.(why)
  }
  let late: keyof typeof REASONS = 'timed-out'
  let due = startedAt + order.timeLimit
  let armed = due
  let stopTimer = clock.timer(order.timeLimit, strike)
  /** Timers may strike early, and a limit may have been put off since: then it is set again. */
  function strike(): void {
    const now = clock.now()
    if (now >= call.deadline || (waiting && now >= due)) {
      giveUp(REASONS[now >= call.deadline ? 'timed-out' : late])
      return
    }
    armed = Math.min(call.deadline, waiting ? due : now + order.timeLimit)
    stopTimer = clock.timer(Math.max(armed - now, 1), strike)
  }
  /** Whether anything of an answer came: the message of one that said nothing has an empty text, not none. */
  const said = (answer: Answer | null) =>
    (streams && firstAt !== null) ||
    (answer !== null && (answer.text !== '' || answer.reasoning !== null || answer.toolCalls.length > 0))
  /** With what the reply's headers say of waiting, where its body says nothing. */
  const timed = (failed: Failure): Failure => {
    const retryAfterMs = failed.retryAfterMs ?? (reply === null ? null : retryAfter(reply.headers, clock.date()))
    return { ...failed, retryAfterMs }
  }
  /** A cache is written to where it is worth it, and only in a session, of which more is to come. */
  const marks = (): boolean => {
    const { session, policy } = call
    if (session === null || policy.session?.marks !== true) return false
    const { ttlMs } = provider.dialect.caching({ wireModel: step.wireModel, host: step.host })
    return isWorthWriting(session, { tariff: tariffOf(offer, step.host), ttlMs })
  }
  const forget = call.cancellation.listen(giveUp)
  // Not `Promise.race`: on a promise that lives as long as the exchange, each race would leave something behind.
  const until: Await = (waited) =>
    new Promise((resolve, reject) => {
      if (givenUp) {
        waited.catch(() => {})
        return reject(reason)
      }
      waiting = true
      stopWaiting = reject
      waited.then(
        (value) => {
          waiting = false
          resolve(value)
        },
        (error) => {
          waiting = false
          reject(error)
        },
      )
    })
  return {
    until,
    giveUp,
    onGivenUp(given) {
      hear = given
    },
    async send({ stream }) {
      streams = stream
      const { request } = order
      const target: Target = {
        wireModel: step.wireModel,
        abilities: offer.abilities,
        hosts: step.hosts,
        othersAllowed: step.othersAllowed,
        avoided: way.ranked.avoided,
        session: call.session?.hash ?? null,
        marks: marks(),
        strict: way.form?.kind === 'schema',
        data: call.policy.data,
        dearest: isCapped ? dearestOf(offer) : null,
      }
      const body = provider.dialect.body(request, target)
      left = dropped(request.messages, body.messages)
      if (stream) Object.assign(body, { stream: true }, provider.dialect.streaming)
      const sent = written(body)
      sentBody = body
      sentBytes = hasMedia(request) ? null : bytesOf(sent)
      // Whoever hears of its start may end it: then nothing is sent.
      if (givenUp) throw reason
      phase = 'waiting'
      const headers = provider.dialect.headers(request, target)
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
    limit(milliseconds, kind) {
      const now = clock.now()
      late = kind
      due = now + milliseconds
      // Only a limit that is nearer than the timer needs another one: putting it off costs nothing.
      if (due >= armed) return
      stopTimer()
      armed = due
      stopTimer = clock.timer(milliseconds, strike)
    },
    noteFirst() {
      firstAt ??= clock.now()
    },
    failureOf(error) {
      const status = reply?.status ?? null
      if (givenUp) return failure(kindOfReason(reason), { status })
      if (error instanceof Unwritable) return failure('invalid-request', { code: 'not-json', detail: error.message })
      if (error instanceof Redirected) return failure('redirected')
      if (error instanceof TooLarge || error instanceof EventTooLarge) {
        return failure('bad-response', { status, code: 'too-large' })
      }
      if (status !== null && (status < 200 || status >= 300)) return failure(kindOfStatus(status), { status })
      if (error instanceof CutOff) return failure('cut-off', { status })
      const code = codeOf(error)
      if (NOT_SENT.has(code ?? '')) phase = 'connecting'
      return failure('unreachable', { code })
    },
    end(ending) {
      stopTimer()
      forget()
      const { body } = ending
      const answer = ending.answer === null ? null : unwrapped(ending.answer, way.form)
      const status = reply?.status ?? null
      const failed =
        ending.failure === null
          ? null
          : told(timed(ending.failure), { request: order.request, body, redact: provider.redact })
      const billed =
        failed === null
          ? 'yes'
          : billing(failed, { answer, status, phase, insured: provider.dialect.supports.insured, said: said(answer) })
      const notes = answer?.notes ?? NO_NOTES
      const tokens = answer?.tokens ?? (billed === 'no' ? NO_TOKENS : UNKNOWN_TOKENS)
      const reported = answer?.reportedUsd ?? null
      const cost =
        reported !== null
          ? costOf({ tokens, reported, billed, tariff: null, most: NOTHING_KNOWN, utcMinutes: call.utcMinutes })
          : costOf({
              tokens,
              reported,
              billed,
              ...pricesOf({ way, answer, body: sentBody, isCapped, billed }),
              most: {
                promptTokens: mostPrompt(sentBytes, sentBody, offer),
                completionTokens: mostCompletion(order.request, sentBody, way),
              },
              utcMinutes: call.utcMinutes,
            })
      const record = Object.freeze<AttemptRecord>({
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
        ...(notes.flags.length > 0 && { flags: notes.flags }),
        cost: costRecord(cost),
        billed,
        generationId: answer?.id ?? null,
        because: order.because,
      })
      return { way, record, cost, answer, failure: failed, body, headers: reply?.headers ?? null, dropped: left }
    },
  }
}

function kindOfReason(reason: unknown): FailureKind {
  if (reason === REASONS.stalled) return 'stalled'
  return reason === REASONS['timed-out'] ? 'timed-out' : 'canceled'
}

/** The request cannot be put into JSON: it refers to itself, or holds a bigint. */
class Unwritable extends Error {}

function written(body: unknown): string {
  try {
    return JSON.stringify(body)
  } catch {
    // Without its cause, which may quote the request.
    throw new Unwritable('the request cannot be put into JSON')
  }
}

function hasMedia({ messages }: ChatRequest): boolean {
  return messages.some(({ content }) => Array.isArray(content) && content.some((part) => !('text' in part)))
}

/** In UTF-8, at the most: three for each unit, one where all are ASCII. */
function bytesOf(text: string): number {
  return /^[\u0020-\u007e]*$/.test(text) ? text.length : 3 * text.length
}

/** Codes which prove that nothing was sent: no address, no connection, or not the server it says it is. */
const NOT_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
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
