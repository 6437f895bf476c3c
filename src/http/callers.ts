import { createRefusal, type PlainAnswer } from './refusal.ts'

/** The headers that say by which name the server was asked, and whose page asks. */
export interface CallerHeaders {
  readonly host?: string | undefined
  readonly origin?: string | undefined
  readonly 'sec-fetch-site'?: string | string[] | undefined
  readonly 'sec-fetch-mode'?: string | string[] | undefined
}

export interface CallerRules {
  /** Whether only this machine reaches the server. */
  readonly loopback: boolean
  /** Names besides the usual ones, in small letters. */
  readonly hosts: readonly string[]
  readonly origins: readonly string[]
}

/**
 * A page from anywhere runs in a browser on this machine, and reaches what listens here: as a foreign origin, or under
 * a name of its own that was made to point here. Both are told apart by what no page can choose: `host` and `origin`.
 */
export interface Callers {
  /** `authority`: from a target that names it itself, which then counts. */
  refusal(headers: CallerHeaders, authority: string | null): PlainAnswer | null
  /** Whether a page of this origin may read answers. */
  isAllowed(origin: string): boolean
}

export function createCallers({ loopback, hosts, origins }: CallerRules): Callers {
  const any = origins.includes('*')
  const isAllowed = (origin: string): boolean => any || origins.includes(origin.toLowerCase())
  return {
    isAllowed,
    refusal(headers, authority) {
      const host = (authority ?? headers.host ?? '').toLowerCase()
      const name = nameIn(host)
      if (name === null) return NO_HOST
      if (loopback && !isLocal(name) && !hosts.includes(name)) return FOREIGN_HOST
      const { origin } = headers
      if (origin !== undefined) {
        return isAllowed(origin) || isSame(origin.toLowerCase(), host) ? null : FOREIGN_ORIGIN
      }
      // No origin comes with what a page merely embeds. Following a link is no embedding.
      const site = headers['sec-fetch-site']
      const isEmbedded = site === 'cross-site' || site === 'same-site'
      return isEmbedded && headers['sec-fetch-mode'] !== 'navigate' && !any ? FOREIGN_ORIGIN : null
    },
  }
}

const NO_HOST = createRefusal(400, 'invalid_host', 'the host header is missing, or is no host and port')
const FOREIGN_HOST = createRefusal(
  403,
  'foreign_host',
  'this server is local and was asked by a name that is not: ask for localhost, or name it in the option hosts',
)
const FOREIGN_ORIGIN = createRefusal(
  403,
  'foreign_origin',
  'pages of this origin may not ask here: name it in the option origins',
)

/** `localhost` in `localhost:8787`, `::1` in `[::1]:8787`; `null`: it is none. */
function nameIn(host: string): string | null {
  const [, six, name] = /^(?:\[([\da-f:.]+)\]|([\w.-]+))(?::\d{1,5})?$/.exec(host) ?? []
  return six ?? name ?? null
}

/** Names that lead nowhere but here, whoever runs the name server. */
function isLocal(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost') || isLoopback(name)
}

/** Of an address, not of a name. */
export function isLoopback(address: string): boolean {
  return /^(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/i.test(address) || address === '::1'
}

/** The same page: whatever stands in front may have added or taken away the s of https. */
function isSame(origin: string, host: string): boolean {
  return origin === `http://${host}` || origin === `https://${host}`
}
