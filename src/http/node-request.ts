import type { IncomingMessage } from 'node:http'
import { createRefusal, type PlainAnswer } from './refusal.ts'

/** What a request asks for, as its first line says it. */
export interface Target {
  /** As it came, dots and all, without the query. */
  readonly path: string
  /** With the question mark, or empty. */
  readonly query: string
  /** Of a target that names its host, which then counts for more than the header. */
  readonly authority: string | null
}

/** `null`: it is none that a server has, as in `CONNECT a:1` or `OPTIONS *`. */
export function targetOf(url: string): Target | null {
  let rest = url
  let authority: string | null = null
  if (!rest.startsWith('/')) {
    const [whole, named] = /^https?:\/\/([^/?#]*)/i.exec(rest) ?? []
    if (whole === undefined || named === undefined) return null
    authority = named
    rest = rest.slice(whole.length)
    if (!rest.startsWith('/')) rest = `/${rest}`
  }
  const end = rest.indexOf('?')
  return end === -1
    ? { path: rest, query: '', authority }
    : { path: rest.slice(0, end), query: rest.slice(end), authority }
}

/** As text; one that a request has several of counts for none. */
export function headerOf({ headers }: IncomingMessage, name: string): string | null {
  const value = headers[name]
  return typeof value === 'string' ? value : null
}

const TOO_LARGE = createRefusal(413, 'request_too_large', 'the body is longer than this server takes')
const NOT_UTF8 = createRefusal(400, 'invalid_body', 'the body is not UTF-8')
const ENCODED = createRefusal(415, 'unsupported_encoding', 'the body is compressed: send it as it is', {
  'accept-encoding': 'identity',
})

/** What can be said against a body before any of it is here. */
export function bodyRefusal({ headers }: IncomingMessage, most: number): PlainAnswer | null {
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') return ENCODED
  return Number(headers['content-length'] ?? 0) > most ? TOO_LARGE : null
}

/** The body as text; `null`: the client left in the middle of it. */
export function readBody(request: IncomingMessage, most: number): Promise<string | PlainAnswer | null> {
  return new Promise((resolve) => {
    let chunks: Uint8Array[] = []
    let length = 0
    const take = (chunk: Uint8Array) => {
      length += chunk.byteLength
      if (length <= most) return void chunks.push(chunk)
      request.off('data', take)
      chunks = []
      resolve(TOO_LARGE)
    }
    request.on('data', take)
    request.on('end', () => {
      resolve(textOf(chunks, length))
      // The request lives as long as its answer, and what was listening to it as well.
      chunks = []
    })
    request.on('close', () => resolve(null))
  })
}

const decoder = new TextDecoder('utf-8', { fatal: true })

function textOf(chunks: readonly Uint8Array[], length: number): string | PlainAnswer {
  try {
    return decoder.decode(joined(chunks, length))
  } catch {
    return NOT_UTF8
  }
}

function joined(pieces: readonly Uint8Array[], length: number): Uint8Array {
  const [only, ...more] = pieces
  if (only !== undefined && more.length === 0) return only
  const whole = new Uint8Array(length)
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.byteLength
  }
  return whole
}
