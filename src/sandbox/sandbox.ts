/**
 * Groq and OpenRouter on loopback: real sockets, their real dialects, scripted faults, and a bill of its own. No key,
 * no cost. For demos, for tests, for CI.
 */
import { loadSnapshot } from '../catalog/snapshot.ts'
import { type Clock, systemClock } from '../clock.ts'
import { type Bill, createTill } from './bill.ts'
import { createBook, type SandboxModels } from './book.ts'
import type { Pace } from './delivery.ts'
import { createGroq } from './groq.ts'
import type { SandboxHost } from './hosts.ts'
import type { GroqLimits } from './limits.ts'
import { createOpenRouter } from './openrouter.ts'
import { providersOf } from './providers.ts'
import type { Steps } from './script.ts'
import { type SandboxRequest, type Script, serveVendor } from './server.ts'

export type { Clock } from '../clock.ts'
export type { Bill, BillLine } from './bill.ts'
export type { SandboxModel, SandboxModels } from './book.ts'
export type { Tokens } from './charge.ts'
export type { Pace } from './delivery.ts'
export type { SandboxHost } from './hosts.ts'
export type { GroqLimits } from './limits.ts'
export type { GivenAnswer, SandboxToolCall } from './reply.ts'
export type { FailureDetails, Step, Steps } from './script.ts'
export {
  cutAfter,
  emptyBody,
  errorIn200,
  errorMidStream,
  fail,
  hang,
  htmlPage,
  malformed,
  noDone,
  noFinish,
  ok,
  oversized,
  redirect,
  repeat,
  reset,
  slowFirstToken,
  stallAfter,
  withHost,
} from './script.ts'
export { seeded } from './seeded.ts'
export type { SandboxRequest, Script } from './server.ts'
export { type VirtualClock, virtualClock } from './virtual-clock.ts'

/** What a latency function is told about an answer. */
export interface Asked {
  readonly provider: 'groq' | 'openrouter'
  readonly model: string
  readonly host: string
  readonly stream: boolean
}

export interface SandboxOptions {
  /** Models to add to the bundled catalogue, or to put in the place of its rows. */
  readonly models?: SandboxModels
  /** The hosts of OpenRouter models, by model id, in the place of those that are listed or made up. */
  readonly hosts?: Readonly<Record<string, readonly SandboxHost[]>>
  /** The same seed gives the same answers, hosts and ids. Left out: 1. */
  readonly seed?: number
  /** How long answers take: milliseconds before the first token, a pace, or a function. Left out: no time. */
  readonly latency?: number | Pace | ((asked: Asked) => number | Pace)
  /** Drives caches, limits and delays. Left out: real time. */
  readonly clock?: Clock
  /** Groq's rate limits, for each model. Left out: so generous that nobody meets them. */
  readonly limits?: GroqLimits
  /** USD on the OpenRouter account. Left out: enough. */
  readonly credits?: number
  /** Slugs of OpenRouter hosts that are paid with a key of one's own. */
  readonly byok?: readonly string[]
  /** How long OpenRouter's generation look-up lags behind. Left out: 500. */
  readonly generationDelayMs?: number
  /** How often OpenRouter shows that it is still there while an answer is late. Left out: 1,000. */
  readonly keepAliveMs?: number
  /** How many requests, and lines of the bill, are kept: the newest. Left out: 10,000. */
  readonly keep?: number
}

export interface SandboxProvider {
  /** The base URL. */
  readonly url: string
  /** The one key that is accepted. */
  readonly apiKey: string
  /** What happens to the next requests, one step each, then normal answers again; or a function that decides each time. */
  script(script: Steps | Script): void
}

export interface SandboxOpenRouter extends SandboxProvider {
  /** Takes a host down, for every model; returns what brings it back. */
  outage(host: string): () => void
}

export interface Sandbox {
  readonly groq: SandboxProvider
  readonly openrouter: SandboxOpenRouter
  /** `[groq(…), openrouter(…)]`, pointed at this sandbox: for `createRouter({ providers })`. */
  providers(): ReturnType<typeof providersOf>
  /** Every request as it was received, the newest last. */
  readonly requests: readonly SandboxRequest[]
  /** What everything really cost, by the providers' own rules. */
  bill(): Bill
  /** Forgets scripts, requests, caches, limits, outages and the bill. */
  reset(): void
  /** Ends every connection. */
  close(): Promise<void>
}

const KEEP = 10_000

/**
 * Starts Groq and OpenRouter on free ports of the loopback interface.
 *
 * @example
 * const sandbox = await startSandbox()
 * const router = createRouter({ providers: sandbox.providers(), tasks })
 * sandbox.groq.script([fail(429, { retryAfter: 2 }), ok('Hello')])
 * // …
 * console.log(sandbox.bill().usd)
 * await sandbox.close()
 */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const { seed = 1, clock = systemClock, keep = KEEP, keepAliveMs = 1000, generationDelayMs = 500 } = options
  const snapshot = await loadSnapshot()
  const listed = (provider: string) => snapshot.providers[provider]?.models ?? []
  const listings = { groq: listed('groq'), openrouter: listed('openrouter') }
  const book = createBook(listings, options.models, options.hosts)
  const till = createTill(keep)
  const down = new Set<string>()
  let requests: SandboxRequest[] = []

  const note = (request: SandboxRequest) => {
    requests.push(request)
    if (requests.length > keep * 1.25) requests = requests.slice(-keep)
  }
  const serve = (vendor: Parameters<typeof serveVendor>[0]['vendor'], apiKey: string) =>
    serveVendor({
      vendor,
      apiKey,
      clock,
      keepAliveMs,
      note,
      pace: (asked) => paceOf(options.latency, { ...asked, provider: vendor.name }),
    })

  // Without a clock of its own the sandbox stands still on the catalogue's day, so that no test breaks overnight.
  const today = options.clock === undefined ? snapshot.date : undefined
  const groqKey = 'gsk_sandbox7f3k9q2mzr5t8w1x4y6b'
  const openrouterKey = 'sk-or-v1-sandbox5d8e2a7c4f1b9036'
  const [groq, openrouter] = await Promise.all([
    serve(createGroq({ book, clock, today, seed, till, limits: options.limits }), groqKey),
    serve(
      createOpenRouter({
        book,
        clock,
        seed,
        till,
        down,
        generationDelayMs,
        credits: options.credits,
        byok: options.byok ?? [],
      }),
      openrouterKey,
    ),
  ])

  const sandbox: Sandbox = {
    groq: Object.freeze({ url: groq.url, apiKey: groqKey, script: groq.script }),
    openrouter: Object.freeze({
      url: openrouter.url,
      apiKey: openrouterKey,
      script: openrouter.script,
      outage(host: string) {
        down.add(host)
        return () => {
          down.delete(host)
        }
      },
    }),
    providers: () => providersOf(sandbox),
    get requests() {
      return requests.slice(-keep)
    },
    bill: till.bill,
    reset() {
      requests = []
      down.clear()
      till.clear()
      groq.reset()
      openrouter.reset()
    },
    async close() {
      await Promise.all([groq.close(), openrouter.close()])
    },
  }
  return Object.freeze(sandbox)
}

function paceOf(latency: SandboxOptions['latency'], asked: Asked): Pace {
  const given = typeof latency === 'function' ? latency(asked) : latency
  return typeof given === 'number' ? { firstTokenMs: given } : (given ?? {})
}
