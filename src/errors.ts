import type { ToolCall } from './chat.ts'
import { type FailureKind, VERDICTS } from './failure.ts'
import type { Issue } from './json-values.ts'
import type { Plan, Rejection } from './plan.ts'
import { oneLine } from './redact.ts'
import type { AttemptRecord, UsageRecord } from './usage.ts'

/** Survives two copies of the package in one process, where `instanceof` does not. */
const KIND = Symbol.for('modelfirst.error')
const INSPECT = Symbol.for('nodejs.util.inspect.custom')

const LONGEST_MESSAGE = 2000
const LONGEST_FIELD = 200

export interface RouterErrorParts {
  readonly kind: FailureKind
  readonly usage?: UsageRecord | null
  readonly plan?: Plan | null
  readonly retryAfterMs?: number | null
}

/**
 * What every error of the library is. The message is one line and never holds a prompt, an answer or a key; neither
 * does anything else on it.
 */
export class RouterError extends Error {
  override readonly name: string = 'RouterError'
  readonly kind: FailureKind
  readonly usage: UsageRecord | null
  readonly plan: Plan | null
  readonly retryAfterMs: number | null

  constructor(message: string, parts: RouterErrorParts) {
    // Names of tasks, fields and hosts are other people's text.
    super(oneLine(message, LONGEST_MESSAGE))
    this.kind = parts.kind
    this.usage = parts.usage ?? null
    this.plan = parts.plan ?? null
    this.retryAfterMs = parts.retryAfterMs ?? null
    Object.defineProperty(this, KIND, { value: brandsOf(this) })
  }

  static is(value: unknown): value is RouterError {
    return isBranded(value, 'RouterError')
  }

  get attempts(): readonly AttemptRecord[] {
    return this.usage?.attempts ?? []
  }

  /** Whether the same call may succeed later without a change. */
  get retryable(): boolean {
    const verdict = VERDICTS[this.kind]
    return verdict.retry !== 'no' || verdict.blame === 'offer' || verdict.blame === 'gate'
  }

  toJSON(): object {
    const { name, message, kind, retryable, retryAfterMs, usage, plan } = this
    return { name, message, kind, retryable, retryAfterMs, usage, plan }
  }

  [INSPECT](): string {
    return this.stack ?? `${this.name}: ${this.message}`
  }
}

/** An option, a policy or an argument that cannot be right. */
export class ConfigError extends RouterError {
  override readonly name: string = 'ConfigError'
  /** Where, e.g. `tasks.reply.provider[1]`. */
  readonly field: string

  constructor(field: string, problem: string, options: { readonly cause?: unknown } = {}) {
    const where = oneLine(field, LONGEST_FIELD)
    super(`${where}: ${problem}`, { kind: 'invalid-request' })
    this.field = where
    if ('cause' in options) Object.defineProperty(this, 'cause', { value: options.cause, enumerable: false })
  }

  static override is(value: unknown): value is ConfigError {
    return isBranded(value, 'ConfigError')
  }
}

/** No offer fits the policy and the request: nothing was sent. */
export class NoRouteError extends RouterError {
  override readonly name: string = 'NoRouteError'

  static override is(value: unknown): value is NoRouteError {
    return isBranded(value, 'NoRouteError')
  }

  get rejections(): readonly Rejection[] {
    return this.plan?.rejected ?? []
  }
}

/** Every attempt failed, or one failed in a way that allows no other. */
export class AttemptsFailedError extends RouterError {
  override readonly name: string = 'AttemptsFailedError'

  static override is(value: unknown): value is AttemptsFailedError {
    return isBranded(value, 'AttemptsFailedError')
  }
}

/** An answer came that does not have the shape that was asked for: `issues` says where, and what was expected there. */
export class BadOutputError extends AttemptsFailedError {
  override readonly name: string = 'BadOutputError'
  readonly issues: readonly Issue[]
  /** As the model wrote it. Not listed among the error's fields: it is the answer, and errors are logged. */
  declare readonly text: string

  constructor(message: string, parts: RouterErrorParts & { readonly issues: readonly Issue[]; readonly text: string }) {
    super(message, parts)
    this.issues = Object.freeze([...parts.issues])
    Object.defineProperty(this, 'text', { value: parts.text, enumerable: false })
  }

  static override is(value: unknown): value is BadOutputError {
    return isBranded(value, 'BadOutputError')
  }

  override toJSON(): object {
    return { ...super.toJSON(), issues: this.issues }
  }
}

/** As much of an answer as was seen before it broke off. */
export interface PartialAnswer {
  readonly text: string
  readonly reasoning: string
  readonly toolCalls: readonly ToolCall[]
}

/** A stream ended before its answer was whole, after some of it had been seen: what there is, is in `partial`. */
export class StreamBroken extends RouterError {
  override readonly name: string = 'StreamBroken'
  /** Not listed among the error's fields: it is the answer, and errors are logged. */
  declare readonly partial: PartialAnswer

  constructor(message: string, parts: RouterErrorParts & { readonly partial: PartialAnswer }) {
    super(message, parts)
    Object.defineProperty(this, 'partial', { value: Object.freeze(parts.partial), enumerable: false })
  }

  static override is(value: unknown): value is StreamBroken {
    return isBranded(value, 'StreamBroken')
  }
}

/** A limit of the call or of a budget does not allow to go on. */
export class BudgetError extends RouterError {
  override readonly name: string = 'BudgetError'

  static override is(value: unknown): value is BudgetError {
    return isBranded(value, 'BudgetError')
  }
}

/**
 * The call was aborted, as with fetch: `name` is `AbortError`, and `cause` is the caller's own reason. What had been
 * tried until then is in `usage`.
 */
export class AbortError extends RouterError {
  override readonly name: string = 'AbortError'

  constructor(message: string, parts: RouterErrorParts & { readonly reason: unknown }) {
    super(message, parts)
    Object.defineProperty(this, 'cause', { value: parts.reason, enumerable: false })
  }

  static override is(value: unknown): value is AbortError {
    return isBranded(value, 'AbortError')
  }
}

function brandsOf(error: RouterError): ReadonlySet<string> {
  const brands = new Set<string>()
  for (
    let prototype: object | null = Object.getPrototypeOf(error);
    prototype !== null && prototype !== Error.prototype;
    prototype = Object.getPrototypeOf(prototype)
  ) {
    brands.add(BRANDS.get(prototype) ?? '')
  }
  return brands
}

function isBranded(value: unknown, brand: string): boolean {
  if (typeof value !== 'object' || value === null) return false
  try {
    const brands: unknown = Reflect.get(value, KIND)
    return brands instanceof Set && brands.has(brand)
  } catch {
    // A revoked proxy is none of ours, and whoever asks is handling an error already.
    return false
  }
}

/** By prototype and not by `constructor.name`, which a minifier changes. */
const BRANDS = new Map<object, string>([
  [RouterError.prototype, 'RouterError'],
  [ConfigError.prototype, 'ConfigError'],
  [NoRouteError.prototype, 'NoRouteError'],
  [AttemptsFailedError.prototype, 'AttemptsFailedError'],
  [BadOutputError.prototype, 'BadOutputError'],
  [StreamBroken.prototype, 'StreamBroken'],
  [BudgetError.prototype, 'BudgetError'],
  [AbortError.prototype, 'AbortError'],
])
