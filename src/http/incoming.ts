import { type Fields, isFields } from '../fields.ts'
import { BadRequest } from './bad-request.ts'

/** A request as it came, whichever way: of a server, or of a client that takes us for `fetch`. */
export interface Incoming {
  readonly method: string
  readonly url: string
  header(name: string): string | null
  readonly signal: AbortSignal | null
  /** Read once. */
  readonly body: BodyInit | null
  /** Of a `Request`, which reads its own. */
  readonly request: Request | null
}

/** As `fetch` reads its arguments: what `init` says stands above what the request says. */
export function incomingOf(input: string | URL | Request, init: RequestInit | undefined): Incoming {
  if (typeof input === 'string' || input instanceof URL) {
    return {
      method: (init?.method ?? 'GET').toUpperCase(),
      url: typeof input === 'string' ? input : input.href,
      header: headerReader(init?.headers),
      signal: init?.signal ?? null,
      body: init?.body ?? null,
      request: null,
    }
  }
  return {
    method: (init?.method ?? input.method).toUpperCase(),
    url: input.url,
    header: init?.headers === undefined ? (name) => input.headers.get(name) : headerReader(init.headers),
    signal: init?.signal ?? input.signal,
    body: init?.body ?? null,
    request: init?.body === undefined || init.body === null ? input : null,
  }
}

function headerReader(headers: HeadersInit | undefined): (name: string) => string | null {
  if (headers === undefined) return () => null
  const read = headers instanceof Headers ? headers : checkedHeaders(headers)
  return (name) => read.get(name)
}

function checkedHeaders(headers: HeadersInit): Headers {
  try {
    return new Headers(headers)
  } catch {
    throw new BadRequest('a header cannot be read', { code: 'invalid_header' })
  }
}

/** Deeper than any schema, and less deep than what breaks those who read it. */
const MOST_LEVELS = 128

/** The body as a JSON object. */
export async function jsonOf(incoming: Incoming, most: number): Promise<Fields> {
  const type = incoming.header('content-type')
  // Forms and plain text are what a page of another origin may send without being asked: nobody means JSON by them.
  if (type !== null && !/^\s*application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type)) {
    throw noJson()
  }
  // So is a body without any type, in the browsers that let a page send one: they say whose page it is.
  if (type === null && incoming.header('origin') !== null) throw noJson()
  const encoding = incoming.header('content-encoding')
  if (encoding !== null && encoding.trim().toLowerCase() !== 'identity') {
    throw new BadRequest('the body is compressed: send it as it is', { status: 415, code: 'unsupported_encoding' })
  }
  const text = await textOf(incoming, most)
  if (text === '') throw new BadRequest('expected a JSON object as the body, got nothing', { code: 'invalid_json' })
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // Without the parser's own words, which quote what it read.
    throw new BadRequest('the body is not JSON', { code: 'invalid_json' })
  }
  if (!isFields(value)) throw new BadRequest('expected a JSON object as the body', { code: 'invalid_json' })
  if (!isShallow(value, MOST_LEVELS)) {
    throw new BadRequest(`the body is nested more than ${MOST_LEVELS} levels deep`, { code: 'invalid_json' })
  }
  return value
}

function noJson(): BadRequest {
  return new BadRequest('the content-type must be application/json', { status: 415, code: 'unsupported_media_type' })
}

function isShallow(value: object, levels: number): boolean {
  if (levels === 0) return false
  if (Array.isArray(value)) {
    for (const each of value)
      if (typeof each === 'object' && each !== null && !isShallow(each, levels - 1)) return false
    return true
  }
  for (const each of Object.values(value)) {
    if (typeof each === 'object' && each !== null && !isShallow(each, levels - 1)) return false
  }
  return true
}

async function textOf(incoming: Incoming, most: number): Promise<string> {
  const { body, request } = incoming
  if (typeof body === 'string') {
    // A character is three bytes at the most: only long ones have to be counted.
    const bytes = body.length * 3 <= most ? body.length : new TextEncoder().encode(body).byteLength
    if (bytes > most) throw tooLarge(most)
    return body
  }
  if (Number(incoming.header('content-length')) > most) throw tooLarge(most)
  const stream = request === null ? streamOf(body) : request.body
  if (request?.bodyUsed === true || stream?.locked === true) {
    throw new BadRequest('the body has been read already', { code: 'invalid_body' })
  }
  return stream === null ? '' : readBounded(stream, most, incoming.signal)
}

function streamOf(body: BodyInit | null): ReadableStream<Uint8Array> | null {
  if (body === null) return null
  try {
    return new Response(body).body
  } catch {
    throw new BadRequest('the body cannot be read', { code: 'invalid_body' })
  }
}

async function readBounded(
  stream: ReadableStream<Uint8Array>,
  most: number,
  signal: AbortSignal | null,
): Promise<string> {
  const reader = stream.getReader()
  const leave = () => void reader.cancel().catch(() => {})
  signal?.addEventListener('abort', leave)
  const decoder = new TextDecoder('utf-8', { fatal: true })
  // What a body that breaks off throws may be a TypeError as well.
  const decode = (piece?: Uint8Array): string => {
    try {
      return decoder.decode(piece, { stream: piece !== undefined })
    } catch {
      throw new BadRequest('the body is not UTF-8', { code: 'invalid_body' })
    }
  }
  let bytes = 0
  let text = ''
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (signal?.aborted === true) throw signal.reason
      if (done) return text + decode()
      bytes += value.byteLength
      if (bytes > most) throw tooLarge(most)
      text += decode(value)
    }
  } catch (error) {
    leave()
    if (error instanceof BadRequest || signal?.aborted === true) throw error
    throw new BadRequest('the body ended in the middle', { code: 'invalid_body' })
  } finally {
    signal?.removeEventListener('abort', leave)
  }
}

function tooLarge(most: number): BadRequest {
  return new BadRequest(`the body is longer than ${most} bytes`, { status: 413, code: 'request_too_large' })
}
