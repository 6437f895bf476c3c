import { ConfigError } from '../errors.ts'
import { A_STRING, checkOptions, type Expectation, expected, plainly } from '../options.ts'

export interface ServeLimits {
  /** Of a request, in bytes; default: 32 MiB. */
  readonly bodyBytes?: number
  /** How long a request may take until its headers are here; default: 10 seconds. */
  readonly headersMs?: number
  /** How long its body may take, and how long a client may take nothing of its answer; default: a minute. */
  readonly bodyMs?: number
  /** Open at once; default: 8192. Above it, connections are closed unheard. */
  readonly connections?: number
  /** How long `close()` waits for the answers under way; default: 30 seconds. */
  readonly drainMs?: number
}

export interface ServeOptions {
  /** Default: 8787; 0: any that is free. */
  readonly port?: number
  /** Default: 127.0.0.1, which nobody but this machine reaches. Any other address needs a token. */
  readonly host?: string
  /** What clients must send as `authorization: Bearer …`; any of several. */
  readonly token?: string | readonly string[] | undefined
  /**
   * On loopback, names of the server besides its own, as clients write them: behind a proxy that keeps the name it was
   * asked by, for example. Any other name is how a page from elsewhere gets in.
   */
  readonly hosts?: readonly string[]
  /** Pages whose scripts may ask, as in `https://app.example.com`; `*` (with a token only) is any. Default: none. */
  readonly origins?: readonly string[]
  /** Closes the server, as `close()` does. */
  readonly signal?: AbortSignal
  readonly limits?: ServeLimits
}

/** The options with nothing left open. */
export interface CheckedOptions {
  readonly port: number
  readonly host: string
  readonly tokens: readonly string[]
  readonly hosts: readonly string[]
  readonly origins: readonly string[]
  readonly signal: AbortSignal | undefined
  readonly limits: Required<ServeLimits>
}

const LIMITS: Required<ServeLimits> = {
  bodyBytes: 32 * 1024 * 1024,
  headersMs: 10_000,
  bodyMs: 60_000,
  connections: 8192,
  drainMs: 30_000,
}

const isList = (value: unknown): boolean => Array.isArray(value) && value.every((each) => typeof each === 'string')
const whole = (from: number, to: number): Expectation =>
  expected(
    `a whole number from ${from} to ${to}`,
    (value) => typeof value === 'number' && Number.isInteger(value) && value >= from && value <= to,
  )

const OPTIONS: Readonly<Record<string, Expectation>> = {
  port: whole(0, 65_535),
  host: A_STRING,
  token: expected('a string or a list of strings', (value) => typeof value === 'string' || isList(value)),
  hosts: expected('a list of names', isList),
  origins: expected("a list such as ['https://app.example.com']", isList),
  signal: expected('an AbortSignal', (value) => value instanceof AbortSignal),
  limits: expected('an object such as { drainMs: 10_000 }', (value) => typeof value === 'object' && value !== null),
}

const A_DAY = 86_400_000
const LIMIT_OPTIONS: Readonly<Record<keyof ServeLimits, Expectation>> = {
  // A string of JavaScript is not much longer.
  bodyBytes: whole(1, 512 * 1024 * 1024),
  headersMs: whole(1, A_DAY),
  bodyMs: whole(1, A_DAY),
  connections: whole(1, 1_000_000),
  drainMs: whole(0, A_DAY),
}

/** What a header can carry behind `Bearer `. */
const TOKEN = /^[\x21-\x7e]+$/

/** @throws ConfigError that names the field, and never tells a token. */
export function checkedServeOptions(given: ServeOptions): CheckedOptions {
  checkOptions(given, { of: 'serve', says: 'an object such as { port: 8787 }', known: OPTIONS })
  checkOptions(given.limits ?? {}, {
    of: 'serve.limits',
    says: 'an object such as { drainMs: 10_000 }',
    known: LIMIT_OPTIONS,
    got: plainly,
  })
  const { port = 8787, host = '127.0.0.1', token, hosts = [], origins = [], signal } = given
  const tokens = token === undefined ? [] : typeof token === 'string' ? [token] : [...token]
  if (host === '') throw new ConfigError('serve.host', 'expected an address such as 127.0.0.1, got an empty string')
  if (token !== undefined && (tokens.length === 0 || !tokens.every((each) => TOKEN.test(each)))) {
    throw new ConfigError('serve.token', 'expected visible ASCII without spaces, got something empty or unprintable')
  }
  for (const [at, origin] of origins.entries()) checkOrigin(origin, { at, tokens })
  return {
    port,
    host,
    tokens,
    hosts: hosts.map((name) => name.toLowerCase()),
    origins: origins.map((origin) => origin.toLowerCase()),
    signal,
    limits: { ...LIMITS, ...defined(given.limits ?? {}) },
  }
}

function checkOrigin(origin: string, { at, tokens }: { at: number; tokens: readonly string[] }): void {
  if (origin === '*') {
    if (tokens.length > 0) return
    throw new ConfigError(`serve.origins[${at}]`, 'any page of the web could spend your money: * needs a token')
  }
  if (/^[a-z][a-z\d+.-]*:\/\/[^/\s]+$/i.test(origin)) return
  throw new ConfigError(`serve.origins[${at}]`, 'expected a scheme and a host as in https://app.example.com, no path')
}

function defined(limits: ServeLimits): ServeLimits {
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined))
}
