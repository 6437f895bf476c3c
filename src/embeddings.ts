import type { Reading } from './answer.ts'
import { type Cancelable, type Cancellation, createCancellation } from './cancellation.ts'
import type { Catalog } from './catalog.ts'
import { type Clock, isoTime, utcMinutes } from './clock.ts'
import { costOf } from './cost.ts'
import type { DataRule } from './dialects/dialect.ts'
import { AbortError, AttemptsFailedError, ConfigError, NoRouteError } from './errors.ts'
import { type Failure, type FailureKind, failure, kindOfStatus, VERDICTS } from './failure.ts'
import { type Fields, fields, list } from './fields.ts'
import { kindOf } from './options.ts'
import { isAskedFor } from './planner.ts'
import { type Provider, satisfies } from './provider.ts'
import { retryAfter } from './retry-after.ts'
import {
  type AttemptRecord,
  costRecord,
  costSum,
  sumTokens,
  type Tokens,
  UNKNOWN_TOKENS,
  type UsageRecord,
} from './usage.ts'
import { type Await, Redirected, readError, readText, TooLarge } from './wires/wire.ts'

/** Texts, or tokens, to be told as vectors. */
export type EmbeddingInput = string | readonly string[] | readonly number[] | readonly (readonly number[])[]

export interface EmbedOptions {
  readonly signal?: AbortSignal | undefined
  readonly data?: DataRule | undefined
  /** Kept on the usage record. */
  readonly metadata?: Readonly<Record<string, string>> | undefined
  /** What else the request says, by OpenAI's names: `dimensions`, `encoding_format`, `user`. */
  readonly request?: Readonly<Record<string, unknown>> | undefined
}

export interface Embeddings {
  /** As they came: lists of numbers, or base64 where that was asked for. */
  readonly vectors: readonly unknown[]
  readonly model: string
  readonly provider: string
  readonly usage: UsageRecord
  /** The provider's body, untouched. */
  readonly raw: unknown
}

export interface EmbeddingSources {
  readonly providers: readonly Provider[]
  readonly catalog: Catalog
  readonly clock: Clock
  readonly closing: Cancellation
  /** A rule for all calls; a call may only tighten it. */
  readonly data: DataRule | undefined
  newId(): string
  /** Keeps the record. */
  note(record: UsageRecord): void
}

/** Thousands of long vectors, as text. */
const MOST_BYTES = 128 * 1024 * 1024
const LONGEST = 120_000

/** What a provider would have to say instead of an answer, so that its dialect reads the rest of what it says. */
const SILENT = Object.freeze([{ message: { role: 'assistant', content: '-' }, finish_reason: 'stop' }])

/**
 * Vectors from the first provider that has the model, in the order of the router's, and from the next when one fails.
 * Each attempt is on the record. Vectors of two models do not compare: another model is never asked.
 */
export async function embed(
  model: string,
  input: EmbeddingInput,
  given: EmbedOptions,
  sources: EmbeddingSources,
): Promise<Embeddings> {
  const { clock, closing, note } = sources
  check(model, input)
  const rule: DataRule = {
    training: given.data?.training ?? sources.data?.training,
    retention: given.data?.retention ?? sources.data?.retention,
  }
  const having = sources.providers.filter((provider) => hasModel(provider, model))
  const allowed = having.filter((provider) => satisfies(provider, rule))
  if (allowed.length === 0) {
    const kind = having.length === 0 ? 'model-gone' : 'policy-refused'
    const why = having.length === 0 ? 'no provider has it' : 'nobody who has it satisfies the data rule'
    throw new NoRouteError(`embeddings have no way to go: ${why}`, { kind })
  }
  const startedAt = clock.now()
  const at = isoTime(clock.date())
  const cancellation = createCancellation(given.signal, closing)
  const attempts: Tried[] = []
  try {
    for (const provider of allowed) {
      const tried = await attempt(provider, {
        model,
        input,
        given,
        rule,
        sources,
        cancellation,
        startedAt,
        n: attempts.length + 1,
      })
      attempts.push(tried)
      if (tried.failure === null || VERDICTS[tried.failure.kind].next === 'nowhere') break
    }
  } finally {
    cancellation.release()
  }
  const usage = recordOf({ model, at, given, attempts, id: sources.newId(), totalMs: clock.now() - startedAt })
  note(usage)
  const last = attempts.at(-1)
  if (last === undefined || last.failure !== null) {
    const kind = last?.failure?.kind ?? 'no-offer'
    const parts = { kind, usage, retryAfterMs: last?.failure?.retryAfterMs ?? null }
    if (kind === 'canceled') throw new AbortError('embeddings were aborted', { ...parts, reason: cancellation.reason })
    const { says, advice } = VERDICTS[kind]
    const where = `${last?.record.provider}${last?.failure?.status == null ? '' : ` (${last.failure.status})`}`
    const times = attempts.length === 1 ? '1 attempt' : `${attempts.length} attempts`
    throw new AttemptsFailedError(`embeddings failed after ${times}: ${where}: ${says}; ${advice}`, parts)
  }
  const vectors = inOrder(list(fields(last.body)?.data)).map(({ embedding }) => embedding)
  return { vectors, model: usage.model.served ?? model, provider: usage.provider ?? '', usage, raw: last.body }
}

function check(model: unknown, input: unknown): void {
  if (typeof model !== 'string' || model === '') {
    throw new ConfigError('model', `expected a model id, got ${kindOf(model)}`)
  }
  const isText = typeof input === 'string' && input !== ''
  if (!isText && !(Array.isArray(input) && input.length > 0)) {
    throw new ConfigError('input.input', `expected a text or a list of them, got ${kindOf(input)}`)
  }
}

function hasModel(provider: Provider, model: string): boolean {
  return provider.models.some(({ id }) => id === model) || isAskedFor(model, provider)
}

interface Tried {
  readonly record: AttemptRecord
  readonly cost: ReturnType<typeof costOf>
  readonly served: string | null
  readonly failure: Failure | null
  readonly body: unknown
}

interface Asking {
  readonly model: string
  readonly input: EmbeddingInput
  readonly given: EmbedOptions
  readonly rule: DataRule
  readonly sources: EmbeddingSources
  readonly cancellation: Cancelable
  readonly startedAt: number
  readonly n: number
}

/** One exchange with one provider. It never rejects: whatever happens has a record. */
async function attempt(provider: Provider, asking: Asking): Promise<Tried> {
  const { model, sources, cancellation, startedAt, n } = asking
  const { clock, catalog } = sources
  const began = clock.now()
  const controller = new AbortController()
  let late = false
  let stop: ((reason: unknown) => void) | undefined
  const giveUp = () => {
    controller.abort()
    stop?.(undefined)
  }
  const stopTimer = clock.timer(LONGEST, () => {
    late = true
    giveUp()
  })
  const forget = cancellation.listen(giveUp)
  const until: Await = (step) =>
    new Promise((resolve, reject) => {
      stop = reject
      step.then(resolve, reject)
      if (controller.signal.aborted) reject(undefined)
    })
  let read: Reading & { body: unknown; status: number | null } = {
    answer: null,
    failure: null,
    body: null,
    status: null,
  }
  try {
    const body = JSON.stringify(bodyOf(provider, asking))
    const reply = await until(provider.send({ method: 'POST', path: '/embeddings', body, signal: controller.signal }))
    const isRight = reply.status >= 200 && reply.status < 300
    const text = isRight ? await readText(reply, { most: MOST_BYTES, until }) : await readError(reply, { until, clock })
    const said = parsed(text)
    read = isRight
      ? { ...readingOf(provider, { said, reply, input: asking.input }), body: said, status: reply.status }
      : { answer: null, failure: provider.dialect.fail(said ?? text, reply), body: null, status: reply.status }
    const { failure: failed } = read
    if (failed !== null && failed.retryAfterMs === null) {
      read = { ...read, failure: { ...failed, retryAfterMs: retryAfter(reply.headers, clock.date()) } }
    }
  } catch (error) {
    read = { ...read, answer: null, failure: failure(kindOfError(error, { late, canceled: cancellation.canceled })) }
  } finally {
    stopTimer()
    forget()
  }
  const { answer, failure: failed } = read
  const tokens = answer === null ? UNKNOWN_TOKENS : withoutAnswer(answer.tokens)
  const billed = failed === null ? 'yes' : VERDICTS[failed.kind].billed
  const offer = catalog.offers(model).find((each) => each.provider === provider.name)
  const cost = costOf({
    tokens,
    reported: answer?.reportedUsd ?? null,
    billed,
    tariff: offer?.tariff ?? null,
    most: { promptTokens: null, completionTokens: null },
    utcMinutes: utcMinutes(clock.date()),
  })
  const record: AttemptRecord = Object.freeze({
    n,
    role: n === 1 ? 'first' : 'failover',
    model,
    provider: provider.name,
    host: answer?.host ?? null,
    outcome: failed?.kind ?? 'ok',
    status: read.status,
    phase: failed === null ? 'done' : 'waiting',
    startedMs: began - startedAt,
    durationMs: clock.now() - began,
    firstTokenMs: null,
    tokens,
    cost: costRecord(cost),
    billed,
    generationId: answer?.id ?? null,
    because: n === 1 ? 'the first that has the model' : 'the next that has the model',
  })
  return { record, cost, served: answer?.model ?? null, failure: failed, body: read.body }
}

function bodyOf({ dialect }: Provider, { model, input, given, rule }: Asking): object {
  const { model: _, input: __, provider: asked, ...request } = given.request ?? {}
  if (!dialect.supports.dataRules) return { ...request, model, input }
  const provider = {
    ...fields(asked),
    ...((rule.training === 'deny' || rule.retention === 'zero') && { data_collection: 'deny' }),
    ...(rule.retention === 'zero' && { zdr: true }),
  }
  return { ...request, model, input, ...(Object.keys(provider).length > 0 && { provider }) }
}

/** What is told beside the vectors is told as it is beside any answer. */
function readingOf(
  { dialect }: Provider,
  {
    said,
    reply,
    input,
  }: {
    readonly said: Fields | undefined
    readonly reply: Parameters<Provider['dialect']['read']>[1]
    readonly input: EmbeddingInput
  },
): Reading {
  if (said === undefined) return { answer: null, failure: failure('bad-response', { status: reply.status }) }
  const reading = dialect.read({ ...said, choices: SILENT }, reply)
  if (reading.failure !== null) return reading
  const vectors = list(said.data)
  if (vectors.length === 0) return { ...reading, failure: failure('empty', { status: reply.status }) }
  // One too few, and every text behind it would have another one's.
  const isWhole = vectors.length === countOf(input) && vectors.every(({ embedding }) => isVector(embedding))
  return isWhole ? reading : { ...reading, failure: failure('bad-response', { status: reply.status }) }
}

/** How many vectors are asked for: tokens that are not in lists of their own are one text. */
function countOf(input: EmbeddingInput): number {
  return typeof input === 'string' || typeof input[0] === 'number' ? 1 : input.length
}

/** Numbers, or their bytes as text. */
function isVector(value: unknown): boolean {
  return (Array.isArray(value) || typeof value === 'string') && value.length > 0
}

/** Each says which text it belongs to, where they do. */
function inOrder(vectors: readonly Fields[]): readonly Fields[] {
  const placed = vectors.map((vector) => ({ vector, index: Number(vector.index ?? Number.NaN) }))
  if (placed.some(({ index }) => Number.isNaN(index))) return vectors
  return placed.sort((one, other) => one.index - other.index).map(({ vector }) => vector)
}

/** There is no answer beside the vectors: its tokens are none, and not unknown. */
function withoutAnswer({ prompt, cachedPrompt, cacheWrite, total }: Tokens): Tokens {
  const counted = prompt ?? total
  return Object.freeze({
    prompt: counted,
    cachedPrompt,
    cacheWrite,
    completion: 0,
    reasoning: 0,
    total: total ?? counted,
  })
}

function kindOfError(error: unknown, { late, canceled }: { late: boolean; canceled: boolean }): FailureKind {
  if (canceled) return 'canceled'
  if (late) return 'timed-out'
  if (error instanceof Redirected) return kindOfStatus(302)
  return error instanceof TooLarge ? 'bad-response' : 'unreachable'
}

function recordOf(about: {
  readonly model: string
  readonly at: string
  readonly given: EmbedOptions
  readonly attempts: readonly Tried[]
  readonly id: string
  readonly totalMs: number
}): UsageRecord {
  const { model, at, given, attempts, id, totalMs } = about
  const last = attempts.at(-1)
  return Object.freeze({
    v: 1,
    id,
    task: 'embeddings',
    session: null,
    at,
    outcome: last?.record.outcome ?? 'no-offer',
    model: Object.freeze({ asked: model, served: last?.served ?? null }),
    provider: last?.record.provider ?? null,
    host: last?.record.host ?? null,
    generationId: last?.record.generationId ?? null,
    tokens: sumTokens(attempts.map(({ record }) => record.tokens)),
    cost: costSum(attempts.map(({ cost }) => cost)),
    cache: Object.freeze({ discountUsd: null, coldUsd: null, source: 'unknown' }),
    alternatives: Object.freeze([]),
    latency: Object.freeze({ totalMs, firstTokenMs: null, queueMs: null, tokensPerSecond: null }),
    attempts: Object.freeze(attempts.map(({ record }) => record)),
    pin: 'off',
    pinBecause: 'vectors have no session',
    drift: Object.freeze([]),
    metadata: Object.freeze({ ...given.metadata }),
  })
}

function parsed(text: string): Fields | undefined {
  try {
    return fields(JSON.parse(text))
  } catch {
    return undefined
  }
}
