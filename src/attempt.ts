import type { Answer } from './answer.ts'
import type { ChatMessage, ChatRequest } from './chat.ts'
import type { Clock } from './clock.ts'
import { type Failure, failure, kindOfStatus, VERDICTS } from './failure.ts'
import type { Cost } from './money.ts'
import { UNKNOWN } from './money.ts'
import type { Way } from './planner.ts'
import type { Policy } from './policy.ts'
import { quotable } from './redact.ts'
import { retryAfter } from './retry-after.ts'
import { merged } from './settings.ts'
import { type AttemptRecord, costOf, costRecord, NO_TOKENS, type Phase, type Role, UNKNOWN_TOKENS } from './usage.ts'
import { CutOff, readText, TooLarge, type WireReply } from './wires/wire.ts'

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
  readonly signal: AbortSignal | undefined
  /** A keyed hash. */
  readonly session: string | null
}

export interface AttemptOrder {
  readonly n: number
  readonly role: Role
  readonly because: string
  /** Milliseconds this attempt may take. */
  readonly timeLimit: number
}

export interface AttemptResult {
  readonly way: Way
  readonly record: AttemptRecord
  readonly cost: Cost
  readonly answer: Answer | null
  readonly failure: Failure | null
  readonly body: unknown
}

/** Decoded bytes; what a small compressed bomb becomes counts. */
const MOST_BYTES = 32 * 1024 * 1024
/** An error page may be any size; its beginning says it all. */
const MOST_ERROR_BYTES = 64 * 1024

/** The reason our own clock gives: told apart from the caller's by identity. */
const TIMED_OUT = new Error('timed out')

/** One exchange with one offer. It never throws: whatever happens has a record. */
export async function attempt(call: Call, way: Way, order: AttemptOrder): Promise<AttemptResult> {
  const { clock, policy } = call
  const { provider, offer, step } = way
  const startedAt = clock.now()
  const controller = new AbortController()
  const stopTimer = clock.timer(order.timeLimit, () => controller.abort(TIMED_OUT))
  const stop = () => controller.abort(call.signal?.reason)
  if (call.signal?.aborted) stop()
  call.signal?.addEventListener('abort', stop, { once: true })
  let phase: Phase = 'connecting'
  let status: number | null = null
  let firstAt: number | null = null
  let answer: Answer | null = null
  let failed: Failure | null = null
  let body: unknown = null
  let sentBytes = 0
  try {
    const request = merged(merged(provider.settings, way.settings ?? {}), call.request)
    const sent = JSON.stringify(
      provider.dialect.body(request, {
        wireModel: step.wireModel,
        abilities: offer.abilities,
        hosts: step.hosts,
        othersAllowed: step.othersAllowed,
        avoided: way.ranked.avoided,
        session: call.session,
        data: policy.data,
      }),
    )
    sentBytes = sent.length
    phase = 'waiting'
    const reply = await heard(
      provider.send({
        method: 'POST',
        path: '/chat/completions',
        headers: provider.dialect.headers(request),
        body: sent,
        signal: controller.signal,
      }),
      controller.signal,
    )
    status = reply.status
    phase = 'streaming'
    firstAt = clock.now()
    const isAnswer = status >= 200 && status < 300
    const text = await readText(reply, { most: isAnswer ? MOST_BYTES : MOST_ERROR_BYTES, signal: controller.signal })
    phase = 'done'
    body = parsed(text)
    if (isAnswer) ({ answer, failure: failed } = readBody(body, text, way, reply))
    else failed = provider.dialect.fail(body ?? text, reply)
    if (failed !== null)
      failed = { ...failed, retryAfterMs: failed.retryAfterMs ?? retryAfter(reply.headers, clock.date()) }
  } catch (error) {
    failed = failureOf(error, {
      status,
      aborted: controller.signal.aborted,
      ours: controller.signal.reason === TIMED_OUT,
    })
  } finally {
    stopTimer()
    call.signal?.removeEventListener('abort', stop)
  }
  const { kind } = failed ?? { kind: 'ok' as const }
  if (failed?.detail) {
    failed = { ...failed, detail: quotable(provider.redact(failed.detail), contentsOf(call.request.messages)) }
  }
  const billed = failed === null ? 'yes' : billing(failed, answer, status)
  const tokens = answer?.tokens ?? (billed === 'no' ? NO_TOKENS : UNKNOWN_TOKENS)
  const cost =
    // What was never asked cannot cost anything, not even in theory.
    costOf({
      tokens,
      reported: answer?.reportedUsd ?? null,
      billed,
      tariff: offer.tariff,
      most: { promptTokens: sentBytes, completionTokens: mostCompletion(call.request, way) },
      utcMinutes: call.utcMinutes,
    }) ?? UNKNOWN
  const record: AttemptRecord = {
    n: order.n,
    role: order.role,
    model: step.model,
    provider: step.provider,
    host: answer?.host ?? null,
    outcome: kind,
    status: failed?.status ?? status,
    phase,
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
}

function readBody(body: unknown, text: string, way: Way, reply: WireReply) {
  if (body === undefined) {
    const kind = text.trim() === '' ? 'empty' : 'bad-response'
    return { answer: null, failure: failure(kind, { status: reply.status }) }
  }
  return way.provider.dialect.read(body, reply)
}

/** OpenRouter keeps slow answers alive with whitespace in front; JSON does not mind. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A wire may never settle after an abort; the call does. */
function heard(sending: Promise<WireReply>, signal: AbortSignal): Promise<WireReply> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      // Whoever answers after all is let go of.
      sending.then((late) => late.body?.cancel().catch(() => {})).catch(() => {})
      reject(signal.reason)
    }
    if (signal.aborted) return stop()
    signal.addEventListener('abort', stop, { once: true })
    sending.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
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

function failureOf(error: unknown, about: { status: number | null; aborted: boolean; ours: boolean }): Failure {
  const { status } = about
  if (about.aborted) return failure(about.ours ? 'timed-out' : 'canceled', { status })
  if (error instanceof TooLarge) return failure('bad-response', { status, code: 'too-large' })
  if (status !== null && (status < 200 || status >= 300)) return failure(kindOfStatus(status), { status })
  if (error instanceof CutOff) return failure('cut-off', { status })
  return failure('unreachable', { code: codeOf(error) })
}

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
