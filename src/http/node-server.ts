import type { Server } from 'node:http'
import { systemClock } from '../clock.ts'
import { ConfigError } from '../errors.ts'
import type { Router } from '../router.ts'
import { createCallers, isLoopback } from './callers.ts'
import type { Door } from './door.ts'
import { createDrain } from './drain.ts'
import { createListener } from './listener.ts'
import { createOwnPages } from './own-pages.ts'
import { type CheckedOptions, checkedServeOptions, type ServeOptions } from './serve-options.ts'
import { createTokenCheck } from './token.ts'

/** A server that listens. */
export interface Serving {
  /** Clients ask below it: `${url}/v1`. */
  readonly url: string
  readonly port: number
  /**
   * Takes nothing new, lets the answers under way come to their end, for so long as `limits.drainMs`, and resolves when
   * everything is closed. The router stays open.
   */
  close(): Promise<void>
}

/** Puts a door on a port; the pages about what it has cost are the router's. */
export async function serveDoor(
  door: Door,
  router: Pick<Router, 'ledger'>,
  options: ServeOptions = {},
): Promise<Serving> {
  const checked = checkedServeOptions(options)
  const { port, host, tokens, hosts, origins, signal, limits } = checked
  signal?.throwIfAborted()
  const { http, crypto, lookup, nextTick } = await nodesModules()
  const address = await addressOf(host, lookup)
  const loopback = isLoopback(address)
  if (!loopback && tokens.length === 0) {
    throw new ConfigError(
      'serve.token',
      'expected one, since others than this machine reach the address: anybody could spend your money',
    )
  }
  const server = http.createServer({
    headersTimeout: limits.headersMs,
    requestTimeout: limits.headersMs + limits.bodyMs,
    connectionsCheckingInterval: Math.min(1000, Math.ceil(limits.headersMs / 4)),
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: MOST_HEADER_BYTES,
    // Both are answered by the listener, with a word of explanation.
    requireHostHeader: false,
    insecureHTTPParser: false,
    // Or a client whose machine is gone would be waited for for ever.
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
    noDelay: true,
  })
  server.maxConnections = limits.connections
  const drain = createDrain(server, { clock: systemClock, drainMs: limits.drainMs })
  const listener = createListener({
    door,
    pages: createOwnPages(router),
    callers: createCallers({ loopback, hosts: [...hosts, host.toLowerCase()], origins }),
    tokens: createTokenCheck(tokens, crypto),
    drain,
    clock: systemClock,
    nextTick,
    bodyBytes: limits.bodyBytes,
    stallMs: limits.bodyMs,
  })
  server.on('request', listener.request)
  server.on('checkContinue', listener.checkContinue)
  server.on('checkExpectation', listener.checkExpectation)
  server.on('connect', listener.connect)
  server.on('clientError', listener.clientError)
  const bound = await listening(server, { port, address, host })
  const close = () => {
    signal?.removeEventListener('abort', close)
    return drain.end()
  }
  if (signal?.aborted === true) {
    await close()
    signal.throwIfAborted()
  }
  signal?.addEventListener('abort', close, { once: true })
  return Object.freeze({ url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`, port: bound, close })
}

/** As long as others that stand before a server keep theirs, and a little more: who closes first loses requests. */
const KEEP_ALIVE_MS = 65_000
const MOST_WAITING = 4096
const MOST_HEADER_BYTES = 16 * 1024

type Lookup = typeof import('node:dns/promises')['lookup']

/** Only here, so that everything else in this folder runs where there is no Node. */
async function nodesModules() {
  try {
    const [http, crypto, dns, { nextTick }] = await Promise.all([
      import(/* webpackIgnore: true */ 'node:http'),
      import(/* webpackIgnore: true */ 'node:crypto'),
      import(/* webpackIgnore: true */ 'node:dns/promises'),
      import(/* webpackIgnore: true */ 'node:process'),
    ])
    return { http, crypto, lookup: dns.lookup, nextTick }
  } catch {
    throw new ConfigError('serve', 'there is no node:http here: export default { fetch: openaiFetch(router) } instead')
  }
}

/** What a name stands for is looked up once: it is this address that is judged, and this one that is bound. */
async function addressOf(host: string, lookup: Lookup): Promise<string> {
  try {
    return (await lookup(host)).address
  } catch {
    throw new ConfigError('serve.host', 'expected an address of this machine, got a name that leads nowhere')
  }
}

async function listening(
  server: Server,
  { port, address, host }: Pick<CheckedOptions, 'port' | 'host'> & { address: string },
): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, { port, host })))
    // As many as the system allows may knock while we are busy: whoever finds the queue full is turned away.
    server.listen({ port, host: address, backlog: MOST_WAITING }, resolve)
  })
  // A connection that the system could not hand over is that client's trouble, and no end of the server.
  server.on('error', () => {})
  const bound = server.address()
  return typeof bound === 'object' && bound !== null ? bound.port : port
}

function listenError(error: Error, { port, host }: { port: number; host: string }): Error {
  switch ('code' in error ? error.code : undefined) {
    case 'EADDRINUSE':
      return new ConfigError('serve.port', `${port} is in use: name another, or 0 for any that is free`)
    case 'EACCES':
      return new ConfigError('serve.port', `${port} is not for everybody: name one from 1024 on`)
    case 'EADDRNOTAVAIL':
      return new ConfigError('serve.host', `${host} is no address of this machine`)
    default:
      return new ConfigError('serve', 'the server could not listen', { cause: error })
  }
}
