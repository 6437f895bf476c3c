import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../clock.ts'
import { createOutflow } from './outflow.ts'
import { type PlainAnswer, refusalAt } from './refusal.ts'

/** How long, and how much, a refused request may still go on: a client that is cut off in its sending reads no answer. */
const LINGER_MS = 1000
const LINGER_BYTES = 4 * 1024 * 1024

/** One answer to one request, on a socket that may be slow, or gone. */
export interface NodeAnswer {
  /** Whole, at once. */
  whole(answer: { status: number; headers: Iterable<readonly [string, string]>; body: string | Uint8Array }): void
  /** Before the request's body was read to its end: the connection is closed after it. */
  refuse(refusal: PlainAnswer): void
  /** As the pieces come, and no faster than they are taken. */
  pieces(answer: Response): Promise<void>
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

export function createNodeAnswer(options: NodeAnswerOptions): NodeAnswer {
  const { request, response, clock, nextTick, stallMs, extra } = options

  function head(status: number, headers: Iterable<readonly [string, string]>): void {
    response.statusCode = status
    for (const [name, value] of headers) if (!NOT_OURS.has(name)) response.setHeader(name, value)
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

  return {
    whole({ status, headers, body }) {
      if (response.destroyed) return
      head(status, headers)
      response.end(body)
    },
    refuse(refusal) {
      const { status, headers, body } = refusalAt(request.url ?? '', refusal)
      if (response.destroyed) return
      head(status, Object.entries(headers))
      if (request.complete || !hasBody(request)) {
        response.end(body)
        return
      }
      const bytes = encoder.encode(body)
      response.setHeader('connection', 'close')
      response.setHeader('content-length', bytes.byteLength)
      response.write(bytes)
      linger()
    },
    async pieces(answer) {
      const reader = answer.body?.getReader()
      if (reader === undefined || response.destroyed) {
        await reader?.cancel()
        return
      }
      const leave = () => void reader.cancel().catch(() => {})
      response.once('close', leave)
      head(answer.status, answer.headers)
      const outflow = createOutflow({ response, clock, nextTick, stallMs })
      try {
        for (;;) {
          const { done, value } = await reader.read()
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
      } catch {
        // What was sent already was no whole answer: only a cut connection says so.
        response.destroy()
      }
    },
  }
}

const encoder = new TextEncoder()

/** A request is complete only a moment after it is here, also one that ends with its headers. */
function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
}

/** How the bytes travel is this server's own business. */
const NOT_OURS = new Set(['connection', 'content-length', 'keep-alive', 'transfer-encoding'])
