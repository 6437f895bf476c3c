import type { OpenAI } from 'openai'
import { ConfigError } from '../errors.ts'
import { secretsIn } from '../redact.ts'
import { notFollowed, Redirected, type Wire } from './wire.ts'

/** Our own clocks decide when it has taken too long; this only keeps the client's from striking first. */
const A_DAY = 86_400_000

/**
 * A wire that sends through your own OpenAI client: its base URL, key, proxy, headers and fetch. Its retries are off,
 * and every answer is read by the router, errors too.
 *
 * @example
 * ```ts
 * groq({ wire: openaiWire(new OpenAI({ baseURL: 'https://api.groq.com/openai/v1', apiKey })) })
 * ```
 */
export function openaiWire(client: OpenAI): Wire {
  const send = fetchOf(client)
  // The client reads an error to its end, however long it is, and keeps of it what it understands. So it is shown an
  // empty answer in the place of an error, which is then put back.
  const errors = new WeakMap<Response, Response>()
  const sent = new Map<string, readonly string[]>()
  const borrowed = client.withOptions({
    maxRetries: 0,
    timeout: A_DAY,
    async fetch(url, init) {
      noteKeys(init?.headers, sent)
      const response = await send(url, init)
      if (response.ok) return response
      const shown = new Response(null)
      errors.set(shown, response)
      return shown
    },
  })
  return {
    async send({ method, path, headers, body, signal }) {
      const { authorization: _, ...own } = headers
      const options = {
        headers: own,
        signal,
        fetchOptions: { redirect: 'manual' as const },
        // As a string it goes out as it is, byte by byte.
        ...(body === null ? {} : { body }),
      }
      try {
        const shown = await (method === 'GET' ? borrowed.get(path, options) : borrowed.post(path, options)).asResponse()
        return notFollowed(errors.get(shown) ?? shown)
      } catch (error) {
        if (error instanceof Redirected) throw error
        // The client has an error of its own for an abort; the reason is the caller's.
        throw signal.aborted ? signal.reason : error
      }
    },
    secrets: () => [...sent.values()].flat(),
  }
}

/** A client may ask for a new key at any time; answers to the last few may still be on their way. */
const MOST_KEYS = 8

function noteKeys(given: RequestInit['headers'], sent: Map<string, readonly string[]>): void {
  const headers = given instanceof Headers ? given : new Headers(given)
  const authorization = headers.get('authorization') ?? ''
  if (sent.has(authorization)) return
  sent.set(authorization, secretsIn(headers))
  if (sent.size > MOST_KEYS) for (const [oldest] of sent) return void sent.delete(oldest)
}

type ClientFetch = (url: string | URL | Request, init?: RequestInit) => Promise<Response>

/** By shape and not by class: the client may come from another copy of the package. */
function fetchOf(client: OpenAI): ClientFetch {
  const given: unknown = client
  if (typeof given === 'object' && given !== null && 'withOptions' in given) {
    const own: unknown = Reflect.get(given, 'fetch')
    // Without its `this`: some platforms refuse a fetch that is bound to something.
    if (typeof own === 'function') return (url, init) => Reflect.apply(own, undefined, [url, init])
  }
  throw new ConfigError('client', 'expected an OpenAI client: new OpenAI({ … }) of openai 6 or newer')
}
