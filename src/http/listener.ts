import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Clock } from '../clock.ts'
import type { Callers } from './callers.ts'
import type { Door } from './door.ts'
import type { Drain } from './drain.ts'
import { createNodeAnswer, type NodeAnswer } from './node-answer.ts'
import { bodyRefusal, headerOf, readBody, targetOf } from './node-request.ts'
import type { OwnPages } from './own-pages.ts'
import { createRefusal, type PlainAnswer } from './refusal.ts'
import type { TokenCheck } from './token.ts'

export interface ListenerOptions {
  /** Answers what the server does not answer by itself. */
  readonly door: Door
  readonly pages: OwnPages
  readonly callers: Callers
  readonly tokens: TokenCheck
  readonly drain: Drain
  readonly clock: Clock
  readonly nextTick: (run: () => void) => void
  readonly bodyBytes: number
  readonly stallMs: number
}

/** What a server does with what comes: its own checks first, the cheap ones before the dear ones, then the door. */
export interface Listener {
  request(request: IncomingMessage, response: ServerResponse): void
  /** Before a client that asked whether it may sends its body. */
  checkContinue(request: IncomingMessage, response: ServerResponse): void
  /** Of a client that expects something else. */
  checkExpectation(request: IncomingMessage, response: ServerResponse): void
  /** No tunnel leads through here. */
  connect(request: IncomingMessage, socket: Duplex): void
  /** What is no HTTP, or takes too long to become a request. */
  clientError(error: Error, socket: Duplex): void
}

export function createListener(options: ListenerOptions): Listener {
  const { door, pages, callers, tokens, drain, clock, nextTick, bodyBytes, stallMs } = options
  /** The last answer on each connection: a client that sends ahead is answered in turn. */
  const last = new WeakMap<Duplex, { readonly response: ServerResponse; readonly waiting: number }>()

  function inTurn(request: IncomingMessage, response: ServerResponse, run: () => void): void {
    const { socket } = request
    // A connection may be idle for long after: nothing of what was asked on it is kept for that.
    response.once('close', () => last.get(socket)?.response === response && last.delete(socket))
    const before = last.get(socket)
    if (before === undefined || before.response.closed) {
      last.set(socket, { response, waiting: 0 })
      run()
      return
    }
    const waiting = before.waiting + 1
    last.set(socket, { response, waiting })
    if (waiting > MOST_AHEAD) socket.destroy()
    else before.response.once('close', () => socket.destroyed || run())
  }

  function receive(request: IncomingMessage, response: ServerResponse, expects: boolean): void {
    request.on('error', ignored)
    response.on('error', ignored)
    inTurn(request, response, () => {
      // The client of the answer before may have been slow to take it; this one may be long in coming.
      request.socket.setTimeout(0)
      const controller = new AbortController()
      const exchange = { response, stop: () => controller.abort() }
      drain.enter(exchange)
      response.once('close', () => {
        drain.leave(exchange)
        if (!response.writableFinished) controller.abort()
      })
      const extra = corsOf(request)
      const answer = createNodeAnswer({ request, response, clock, nextTick, stallMs, extra })
      const { signal } = controller
      // Whatever is wrong in here is one request's trouble, and told without a word about the inside.
      respond({ request, response, answer, expects, signal }).catch(() => {
        if (response.headersSent) response.destroy()
        else answer.refuse(FAILED)
      })
    })
  }

  interface Asked {
    readonly request: IncomingMessage
    readonly response: ServerResponse
    readonly answer: NodeAnswer
    readonly expects: boolean
    readonly signal: AbortSignal
  }

  async function respond({ request, response, answer, expects, signal }: Asked): Promise<void> {
    const { method = 'GET', headers } = request
    const target = targetOf(request.url ?? '')
    if (target === null) return answer.refuse(NO_TARGET)
    if (target.path === '/health') {
      return isRead(method) ? answer.refuse(drain.draining ? DRAINING : HEALTHY) : answer.refuse(READ_ONLY)
    }
    if (drain.draining) return answer.refuse(DRAINING)
    const refusal = callers.refusal(headers, target.authority)
    if (refusal !== null) return answer.refuse(refusal)
    if (
      method === 'OPTIONS' &&
      headers.origin !== undefined &&
      headers['access-control-request-method'] !== undefined
    ) {
      return answer.refuse(PREFLIGHT)
    }
    if (method === 'TRACE') return answer.refuse(NO_TRACE)
    if (headers.expect !== undefined && headers.expect.toLowerCase() !== '100-continue') {
      return answer.refuse(NO_PROMISE)
    }
    const page = pages.at(target.path)
    if (!(page === null ? tokens.isRight : tokens.isRightInBrowser)(headers.authorization)) {
      return answer.refuse(page === null ? NO_TOKEN : NO_TOKEN_IN_BROWSER)
    }
    if (page !== null) return answer.refuse(isRead(method) ? await page(target.query) : READ_ONLY)

    let body: string | null = null
    if (!isRead(method)) {
      const against = bodyRefusal(request, bodyBytes)
      if (against !== null) return answer.refuse(against)
      if (expects) response.writeContinue()
      const read = await readBody(request, bodyBytes)
      if (read === null) return
      if (typeof read !== 'string') return answer.refuse(read)
      body = read
    }
    const url = `${ORIGIN}${target.path}${target.query}`
    const header = (name: string) => headerOf(request, name)
    const given = await door({ method, url, header, signal, body, request: null })
    if (drain.draining) response.shouldKeepAlive = false
    await answer.give(given)
  }

  /** For the pages that may ask: what their browser must be told before it shows them the answer. */
  function corsOf({ headers }: IncomingMessage): readonly (readonly [string, string])[] {
    const { origin } = headers
    if (origin === undefined || !callers.isAllowed(origin)) return NOTHING
    const cors: [string, string][] = [
      ['access-control-allow-origin', origin],
      ['access-control-expose-headers', '*'],
      ['vary', 'origin'],
    ]
    if (headers['access-control-request-method'] !== undefined) {
      const asked = headers['access-control-request-headers'] ?? ''
      cors.push(['access-control-allow-methods', 'GET, POST'], ['access-control-max-age', '600'])
      if (HEADER_NAMES.test(asked)) cors.push(['access-control-allow-headers', asked])
      // A page of the web that asks a server at home needs a word more.
      if (headers['access-control-request-private-network'] === 'true') {
        cors.push(['access-control-allow-private-network', 'true'])
      }
    }
    return cors
  }

  return {
    request: (request, response) => receive(request, response, false),
    checkContinue: (request, response) => receive(request, response, true),
    checkExpectation: (request, response) => receive(request, response, false),
    connect(_request, socket) {
      socket.on('error', ignored)
      socket.end(rawOf(NO_TUNNEL))
    },
    clientError(error, socket) {
      socket.on('error', ignored)
      const before = last.get(socket)
      const isBusy = before !== undefined && !before.response.closed && before.response.headersSent
      // In the middle of another answer, a word would be read as a part of it.
      if (isBusy || !socket.writable) socket.destroy()
      else socket.end(rawOf(refusalOf(error)), () => socket.destroy())
    },
  }
}

const MOST_AHEAD = 32
const ORIGIN = 'http://localhost'
const HEADER_NAMES = /^[\w, -]{1,2000}$/
const NOTHING: readonly (readonly [string, string])[] = []

const isRead = (method: string): boolean => method === 'GET' || method === 'HEAD'
const ignored = (): void => {}

const JSON_TYPE = { 'content-type': 'application/json' }
const HEALTHY: PlainAnswer = {
  status: 200,
  headers: { ...JSON_TYPE, 'cache-control': 'no-store' },
  body: '{"status":"ok"}',
}
const PREFLIGHT: PlainAnswer = { status: 204, headers: {}, body: '' }
const READ_ONLY = createRefusal(405, 'method_not_allowed', 'this path is read with GET', { allow: 'GET, HEAD' })
const NO_TRACE = createRefusal(405, 'method_not_allowed', 'TRACE is not answered', { allow: 'GET, HEAD, POST' })
const NO_PROMISE = createRefusal(417, 'invalid_expectation', 'only 100-continue is known of what may be expected')
const NO_TUNNEL = createRefusal(405, 'method_not_allowed', 'this is no proxy: CONNECT is not answered')
const NO_TARGET = createRefusal(400, 'invalid_path', 'the path does not begin with a slash')
const NO_TOKEN = createRefusal(401, 'invalid_api_key', 'the token is missing or wrong: authorization: Bearer …', {
  'www-authenticate': 'Bearer',
})
const NO_TOKEN_IN_BROWSER = createRefusal(401, 'invalid_api_key', 'the token is missing or wrong: it is the password', {
  'www-authenticate': 'Basic realm="modelfirst", charset="UTF-8"',
})
const DRAINING = createRefusal(503, 'closing', 'this server is closing: ask another, or again soon', {
  'retry-after': '1',
  connection: 'close',
})
const FAILED = createRefusal(500, 'internal_error', 'this server could not answer')
const NO_HTTP = createRefusal(400, 'invalid_request', 'this is no request that HTTP/1.1 knows')
const LARGE_HEADERS = createRefusal(431, 'headers_too_large', 'the headers are longer than this server takes')
const LATE = createRefusal(408, 'request_timeout', 'the request took too long to arrive')

function refusalOf(error: Error): PlainAnswer {
  const code = 'code' in error ? error.code : undefined
  if (code === 'HPE_HEADER_OVERFLOW') return LARGE_HEADERS
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? LATE : NO_HTTP
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
}

/** Where there is no request, there is no response object either. */
function rawOf({ status, body, headers }: PlainAnswer): string {
  const lines = Object.entries({ ...headers, 'content-length': `${new TextEncoder().encode(body).length}` })
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return `HTTP/1.1 ${status} ${REASONS[status] ?? ''}\r\n${head}connection: close\r\n\r\n${body}`
}
