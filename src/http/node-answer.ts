import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../clock.ts'
import type { Answer } from './door.ts'
import { createOutflow, endWith } from './outflow.ts'
import { type PlainAnswer, refusalAt } from './refusal.ts'

/** How long, and how much, a refused request may still go on: a client that is cut off in its sending reads no answer. */
const LINGER_MS = 1000
const LINGER_BYTES = 4 * 1024 * 1024

/** One answer to one request, on a socket that may be slow, or gone. */
export interface NodeAnswer {
  /** Whole, at once; or as the pieces come, and no faster than they are taken. */
  give(answer: Answer): Promise<void>
  /** Before the request's body was read to its end: the connection is closed after it. */
  refuse(refusal: PlainAnswer): void
}

export interface NodeAnswerOptions {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly clock: Clock
  readonly nextTick: (run: () => void) => void
  /** How long a client may take nothing. */
  readonly stallMs: number
  /** On every answer to this request. */
  readonly extra: readonly (readonly [string, string])[]
}

type Headers = Answer['headers']

export function createNodeAnswer(options: NodeAnswerOptions): NodeAnswer {
  const { request, response, clock, nextTick, stallMs, extra } = options

  function head(status: number, headers: Headers): void {
    response.statusCode = status
    for (const name in headers) response.setHeader(name, headers[name] ?? '')
    for (const [name, value] of extra) response.setHeader(name, value)
  }

  function linger(): void {
    let left = LINGER_BYTES
    const end = () => {
      stop()
      response.end()
    }
    const stop = clock.timer(LINGER_MS, end)
    request.on('data', (chunk: Uint8Array) => {
      left -= chunk.byteLength
      if (left < 0) end()
    })
    request.once('end', end)
    request.once('close', end)
  }

  async function pieces(status: number, headers: Headers, body: AsyncIterableIterator<string, void>): Promise<void> {
    const leave = () => void body.return?.().catch(() => {})
    if (response.destroyed) return leave()
    response.once('close', leave)
    head(status, headers)
    const outflow = createOutflow({ response, clock, nextTick, stallMs })
    for (;;) {
      const { done, value } = await body.next()
      if (response.destroyed) return
      if (done) break
      const taken = outflow.take(value)
      if (taken !== true && !(await taken)) {
        response.destroy()
        return
      }
    }
    response.off('close', leave)
    outflow.end()
  }

  return {
    async give({ status, headers, body }) {
      if (body !== null && typeof body !== 'string') return pieces(status, headers, body)
      if (response.destroyed) return
      head(status, headers)
      endWith(response, { body, stallMs })
    },
    refuse(refusal) {
      const { status, headers, body } = refusalAt(request.url ?? '', refusal)
      if (response.destroyed) return
      head(status, headers)
      if (request.complete || !hasBody(request)) {
        endWith(response, { body, stallMs })
        return
      }
      const bytes = encoder.encode(body)
      response.setHeader('connection', 'close')
      response.setHeader('content-length', bytes.byteLength)
      response.write(bytes)
      linger()
    },
  }
}

const encoder = new TextEncoder()

/** A request is complete only a moment after it is here, also one that ends with its headers. */
function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
}
