import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Clock } from '../clock.ts'
import { deliver, type Pace } from './delivery.ts'
import { type Fields, isFields, textOf } from './json.ts'
import type { Step, Steps } from './script.ts'
import type { Plain, Vendor } from './vendor.ts'

/** A request as the sandbox received it, and what became of it. */
export interface SandboxRequest {
  readonly provider: 'groq' | 'openrouter'
  readonly method: string
  /** Without the base URL's path: `/chat/completions`. */
  readonly path: string
  /** As they came, but for the key: `authorization` says only whether it was right. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: unknown
  /** Milliseconds since 1970, by the sandbox's clock. */
  readonly at: number
  /** What was answered; null while it is not. */
  readonly status: number | null
  /** The client hung up before the answer was out. */
  readonly aborted: boolean
  /** Who ran it and under which id, when it came to that. */
  readonly host: string | null
  readonly generationId: string | null
}

type Entry = { -readonly [Key in keyof SandboxRequest]: SandboxRequest[Key] }

/** What to do with a request, decided as it comes; undefined: answer as usual. */
export type Script = (request: SandboxRequest) => Step | undefined

export interface VendorServer {
  readonly url: string
  script(script: Steps | Script): void
  reset(): void
  close(): Promise<void>
}

export interface ServerOptions {
  readonly vendor: Vendor
  readonly apiKey: string
  readonly clock: Clock
  readonly keepAliveMs: number
  readonly pace: (request: { readonly model: string; readonly host: string; readonly stream: boolean }) => Pace
  readonly note: (entry: SandboxRequest) => void
}

const MOST_BYTES = 32 * 1024 * 1024
const HTML =
  '<!DOCTYPE html>\n<html lang="en"><head><title>Attention Required!</title></head><body><h1>Sorry, you have been blocked</h1></body></html>\n'
const NORMAL: Step = Object.freeze({})

export async function serveVendor(options: ServerOptions): Promise<VendorServer> {
  const { vendor, clock } = options
  const timers = new Set<() => void>()
  let queue: Step[] = []
  let decide: Script | undefined

  const server = createServer((request, response) => {
    receive(request, response).catch(() => {
      // Whatever went wrong in here must look like a server's failure, not like none.
      if (response.headersSent) response.destroy()
      else send(response, vendor.failure(500, {}, ''))
    })
  })
  server.keepAliveTimeout = 60_000
  // A client that is slow on purpose must not be cut off by us.
  server.requestTimeout = 0
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo

  async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [fullPath = '', search = ''] = (request.url ?? '').split('?')
    const path = fullPath.startsWith(`${vendor.base}/`) ? fullPath.slice(vendor.base.length) : null
    const method = request.method ?? 'GET'
    const given = request.headers.authorization
    const isRight = given === `Bearer ${options.apiKey}`
    const entry: Entry = {
      provider: vendor.name,
      method,
      path: path ?? fullPath,
      headers:
        given === undefined ? request.headers : { ...request.headers, authorization: isRight ? 'right' : 'wrong' },
      body: null,
      at: clock.date(),
      status: null,
      aborted: false,
      host: null,
      generationId: null,
    }
    options.note(entry)
    let isCut = false
    const cutting = () => {
      isCut = true
    }
    response.once('close', () => {
      entry.aborted = !isCut && !response.writableEnded
      if (response.headersSent) entry.status = response.statusCode
    })
    const answer = (plain: Plain) => {
      entry.status = plain.status
      send(response, plain)
    }

    const text = method === 'POST' ? await read(request) : ''
    if (text === null) {
      response.shouldKeepAlive = false
      return answer(vendor.tooLarge())
    }
    if (path === null) return answer(vendor.notFound(method, fullPath))
    if (!isRight && !(vendor.name === 'openrouter' && path.startsWith('/models'))) {
      return answer(vendor.unauthorized(given !== undefined))
    }
    if (method === 'GET') {
      return answer(vendor.look(path, new URLSearchParams(search)) ?? vendor.notFound(method, fullPath))
    }
    if (method !== 'POST' || path !== '/chat/completions') return answer(vendor.notFound(method, fullPath))
    const body = parse(text)
    if (body === null) return answer(vendor.unreadable())
    entry.body = body
    const step = decide === undefined ? queue.shift() : decide(entry)
    follow(step ?? NORMAL, { body, entry, request, response, answer, cutting })
  }

  interface Exchange {
    readonly body: Fields
    readonly entry: Entry
    readonly request: IncomingMessage
    readonly response: ServerResponse
    readonly answer: (plain: Plain) => void
    readonly cutting: () => void
  }

  function follow(step: Step, { body, entry, request, response, answer, cutting }: Exchange): void {
    if (step.fault === 'hang') return
    const after = timersOf(response)
    const later = (run: () => void) => {
      if (step.delayMs === undefined) run()
      else after(step.delayMs, run)
    }
    if (step.fault === 'reset') {
      later(() => {
        cutting()
        response.socket?.resetAndDestroy()
      })
      return
    }
    const scripted = scriptedAnswer(step, textOf(body.model) ?? '')
    const result =
      scripted === null
        ? vendor.run({ body, headers: request.headers, given: step.answer, host: step.host })
        : { refusal: scripted }
    if ('refusal' in result) {
      later(() => answer(result.refusal))
      return
    }
    const job =
      step.oversized === undefined
        ? result.job
        : { ...result.job, reply: { ...result.job.reply, text: 'x'.repeat(step.oversized) } }
    entry.host = job.host
    entry.generationId = job.id
    entry.status = 200
    const pace = options.pace({ model: job.model, host: job.host, stream: job.stream })
    deliver({ vendor, job, step, pace, response, keepAliveMs: options.keepAliveMs, cutting, after })
  }

  /** What the script answers without asking any model; null when one is asked. */
  function scriptedAnswer(step: Step, model: string): Plain | null {
    if (step.redirect !== undefined) return { status: 307, headers: { location: step.redirect }, body: '' }
    if (step.fail !== undefined) {
      const { status, ...details } = step.fail
      return vendor.failure(status, details, model)
    }
    if (step.fault === 'html') {
      return { status: 200, headers: { 'content-type': 'text/html; charset=UTF-8' }, body: HTML }
    }
    return step.fault === 'empty' ? { status: 200, body: '' } : null
  }

  /** Timers that end with the response, so that none is left when everything is closed. */
  function timersOf(response: ServerResponse): (milliseconds: number, run: () => void) => void {
    let own: Set<() => void> | undefined
    return (milliseconds, run) => {
      if (own === undefined) {
        const mine = new Set<() => void>()
        own = mine
        response.once('close', () => {
          for (const cancel of mine) cancel()
        })
      }
      const mine = own
      const stop = clock.timer(milliseconds, () => {
        mine.delete(cancel)
        timers.delete(cancel)
        run()
      })
      const cancel = () => {
        stop()
        mine.delete(cancel)
        timers.delete(cancel)
      }
      mine.add(cancel)
      timers.add(cancel)
    }
  }

  return {
    url: `http://127.0.0.1:${port}${vendor.base}`,
    script(script) {
      decide = typeof script === 'function' ? script : undefined
      queue = typeof script === 'function' ? [] : script.flat()
    },
    reset() {
      queue = []
      decide = undefined
      vendor.reset()
    },
    close() {
      return new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
        for (const cancel of timers) cancel()
      })
    },
  }
}

function send(response: ServerResponse, { status, headers, body }: Plain): void {
  if (response.destroyed || response.headersSent) return
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    ...headers,
  })
  response.end(text)
}

/** The body, or null when there is more of it than anyone should send. */
async function read(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request) {
    length += chunk.length
    // The rest is still taken in, or the client would never get to read the answer.
    if (length <= MOST_BYTES) chunks.push(chunk)
    else chunks.length = 0
  }
  return length > MOST_BYTES ? null : Buffer.concat(chunks).toString('utf8')
}

function parse(text: string): Fields | null {
  try {
    const value: unknown = JSON.parse(text)
    return isFields(value) ? value : null
  } catch {
    return null
  }
}
