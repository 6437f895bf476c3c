import type { ByteBody, ByteReader, Wire, WireReply } from './wire.ts'

/** As much of undici's `Dispatcher` as is used: an `Agent`, a `Pool`, a `ProxyAgent`. */
export interface Dispatcher {
  request(options: {
    readonly origin: string
    readonly path: string
    readonly method: 'GET' | 'POST'
    readonly headers: Readonly<Record<string, string>>
    readonly body: string | null
    readonly signal: AbortSignal
    readonly headersTimeout: number
    readonly bodyTimeout: number
  }): Promise<DispatcherReply>
}

interface DispatcherReply {
  readonly statusCode: number
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: NodeBody
}

/** A readable stream of Node's. */
interface NodeBody {
  read(): Uint8Array | null
  on(event: string, listener: (error?: unknown) => void): unknown
  destroy(error?: unknown): unknown
  text(): Promise<string>
  readonly destroyed: boolean
}

/**
 * Node's own HTTP client, one floor below `fetch`: half of its cost, and none of what a web page would need. Without a
 * dispatcher, it is the one that Node's `fetch` uses, so that proxies and agents set for all of Node hold here too.
 *
 * @example
 * ```ts
 * groq({ wire: undiciWire({ dispatcher: new ProxyAgent('http://proxy:3128') }) })
 * ```
 */
export function undiciWire(options: { readonly dispatcher?: Dispatcher } = {}): Wire {
  return {
    async send({ method, url, headers, body, signal }) {
      const dispatcher = options.dispatcher ?? nodesDispatcher()
      if (dispatcher === null) throw new TypeError('there is no dispatcher: pass one, or use fetchWire()')
      const { origin, pathname, search } = new URL(url)
      const reply = await dispatcher.request({
        origin,
        path: pathname + search,
        method,
        // Some firewalls let nobody in who does not say who it is; what comes compressed would have to be unpacked.
        headers: { 'user-agent': 'node', 'accept-encoding': 'identity', ...headers },
        body,
        signal,
        // The call's own clock says how long.
        headersTimeout: 0,
        bodyTimeout: 0,
      })
      return replyOf(reply)
    },
  }
}

const SLOT = Symbol.for('undici.globalDispatcher.1')

/** The client inside of Node, which all copies of undici share; `null` where there is none. */
export function nodesDispatcher(): Dispatcher | null {
  // Node loads it when one of its classes is asked for.
  const found: unknown = Reflect.get(globalThis, SLOT) ?? (globalThis.Headers && Reflect.get(globalThis, SLOT))
  return isDispatcher(found) ? found : null
}

function isDispatcher(value: unknown): value is Dispatcher {
  return typeof value === 'object' && value !== null && typeof Reflect.get(value, 'request') === 'function'
}

function replyOf({ statusCode: status, headers, body }: DispatcherReply): WireReply {
  // Whoever lets go of it before its end hears of it as an error, which is nobody's.
  body.on('error', () => {})
  const reader = { get: (name: string) => textOf(headers[name.toLowerCase()]) }
  const encoding = reader.get('content-encoding')
  if (encoding !== null) return { status, headers: reader, body: unpacked(bytesOf(body), encoding) }
  return { status, headers: reader, body: bytesOf(body), text: () => body.text() }
}

function textOf(value: string | readonly string[] | undefined): string | null {
  return value === undefined ? null : typeof value === 'string' ? value : value.join(', ')
}

/** Reads what is there without asking twice: one promise for each time that nothing was. */
function bytesOf(body: NodeBody): ByteBody {
  return { getReader: () => readerOf(body), cancel: async () => void body.destroy() }
}

function readerOf(body: NodeBody): ByteReader {
  let wake = () => {}
  let over = false
  let failed: unknown = null
  body.on('readable', () => wake())
  body.on('end', () => {
    over = true
    wake()
  })
  body.on('close', () => {
    over = true
    wake()
  })
  body.on('error', (error) => {
    failed = error
    wake()
  })
  return {
    async read() {
      for (;;) {
        const value = body.read()
        if (value !== null) return { done: false, value }
        if (failed !== null) throw failed
        if (over) return { done: true, value: undefined }
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
    cancel: async () => void body.destroy(),
  }
}

/** Some compress without being asked. What cannot be unpacked is left as it is, and found to be no answer. */
function unpacked(body: ByteBody, encoding: string): ByteBody {
  if (encoding !== 'gzip' && encoding !== 'deflate') return body
  const reader = body.getReader()
  const packed = new ReadableStream<BufferSource>({
    async pull(controller) {
      const { done, value } = await reader.read()
      if (done) controller.close()
      else controller.enqueue(new Uint8Array(value))
    },
    cancel: (reason) => reader.cancel(reason),
  })
  return packed.pipeThrough(new DecompressionStream(encoding))
}
