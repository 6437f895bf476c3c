import type { GivenAnswer } from './reply.ts'

/** How a request fails; what is left out is what the provider really sends with that status. */
export interface FailureDetails {
  /** Seconds. */
  readonly retryAfter?: number
  readonly code?: string | number
  readonly message?: string
  /** In the place of the provider's own body: an object is sent as JSON, a string as it is. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** What happens to one request. Made by the functions below; they compose: `slowFirstToken(9_000, ok('Hi'))`. */
export interface Step {
  readonly answer?: GivenAnswer
  readonly fail?: FailureDetails & { readonly status: number }
  readonly delayMs?: number
  readonly cut?: { readonly bytes?: number; readonly chunks?: number; readonly reset?: boolean }
  readonly stallAfter?: number
  readonly fault?: 'reset' | 'hang' | 'html' | 'empty' | 'malformed'
  readonly errorIn200?: string | number
  readonly errorAfter?: { readonly code: string | number; readonly chunks: number }
  readonly oversized?: number
  readonly redirect?: string
  readonly noDone?: boolean
  readonly noFinish?: boolean
  readonly host?: string
}

/** Steps, and lists of steps as `repeat` makes them. */
export type Steps = readonly (Step | readonly Step[])[]

/** A normal answer, with these words or calls. */
export function ok(answer: string | GivenAnswer = {}): Step {
  return step({ answer: typeof answer === 'string' ? { text: answer } : answer })
}

/** An HTTP error, with the body and headers that the provider really sends with it. */
export function fail(status: number, details: FailureDetails = {}): Step {
  return step({ fail: { status, ...details } })
}

/** The connection dies after so many bytes of the body, or so many chunks of the stream. */
export function cutAfter(
  after: number | { readonly bytes?: number; readonly chunks?: number; readonly reset?: boolean },
  inner?: Step,
): Step {
  return step({ cut: typeof after === 'number' ? { bytes: after } : after }, inner)
}

/** The answer starts late; OpenRouter sends comments or white space meanwhile, Groq nothing. */
export function slowFirstToken(milliseconds: number, inner?: Step): Step {
  return step({ delayMs: milliseconds }, inner)
}

/** The stream stops after so many chunks and stays open. */
export function stallAfter(chunks: number, inner?: Step): Step {
  return step({ stallAfter: chunks }, inner)
}

/** The connection is reset before any header. */
export function reset(): Step {
  return step({ fault: 'reset' })
}

/** The request is read and never answered. */
export function hang(): Step {
  return step({ fault: 'hang' })
}

/** A 200 with a web page, as a proxy or a captive portal sends it. */
export function htmlPage(): Step {
  return step({ fault: 'html' })
}

/** A 200 with nothing in it. */
export function emptyBody(): Step {
  return step({ fault: 'empty' })
}

/** A 200 with an error in the place of the answer. */
export function errorIn200(code: string | number): Step {
  return step({ errorIn200: code })
}

/** The stream begins well, and an error follows in it. */
export function errorMidStream(code: string | number, afterChunks = 2, inner?: Step): Step {
  return step({ errorAfter: { code, chunks: afterChunks } }, inner)
}

/** A 200 whose JSON is broken. */
export function malformed(): Step {
  return step({ fault: 'malformed' })
}

/** An answer with a body of at least so many bytes. */
export function oversized(bytes: number, inner?: Step): Step {
  return step({ oversized: bytes }, inner)
}

/** A 307 to another address. */
export function redirect(url: string): Step {
  return step({ redirect: url })
}

/** A whole stream without `[DONE]`. */
export function noDone(inner?: Step): Step {
  return step({ noDone: true }, inner)
}

/** A stream that ends properly, though nothing in it says that the answer is finished. */
export function noFinish(inner?: Step): Step {
  return step({ noFinish: true }, inner)
}

/** The same so many times. */
export function repeat(times: number, repeated: Step): readonly Step[] {
  return Object.freeze(Array.from({ length: times }, () => repeated))
}

/** OpenRouter runs it on this host, whatever was asked for. */
export function withHost(name: string, inner?: Step): Step {
  return step({ host: name }, inner)
}

function step(own: Step, inner: Step = {}): Step {
  return Object.freeze({ ...inner, ...own })
}
