import type { OpenAI } from 'openai'
import { fields, isFields } from '../fields.ts'
import type { Wire, WireReply } from './wire.ts'

/** Our own clocks decide when it has taken too long; this only keeps the client's from striking first. */
const A_DAY = 86_400_000

/**
 * A wire that sends through your own OpenAI client: its base URL, key, proxy, headers and fetch. Its retries are off,
 * its errors are turned back into answers, and the raw response is read by the router.
 *
 * @example
 * ```ts
 * groq({ wire: openaiWire(new OpenAI({ baseURL: 'https://api.groq.com/openai/v1', apiKey })) })
 * ```
 */
export function openaiWire(client: OpenAI): Wire {
  return {
    async send({ method, path, headers, body, signal }) {
      const { authorization: _, ...own } = headers
      const options = {
        headers: own,
        signal,
        maxRetries: 0,
        timeout: A_DAY,
        fetchOptions: { redirect: 'manual' as const },
        ...(body === null ? {} : { body: JSON.parse(body) }),
      }
      try {
        return await (method === 'GET' ? client.get(path, options) : client.post(path, options)).asResponse()
      } catch (error) {
        const reply = replyOf(error)
        if (reply !== null) return reply
        throw error
      }
    },
  }
}

/**
 * The client throws what is not 2xx; its parts make up the answer again. By shape and not by class: the client may come
 * from another copy of the package.
 */
function replyOf(error: unknown): WireReply | null {
  if (!(error instanceof Error)) return null
  const thrown: object = error
  if (!('status' in thrown) || typeof thrown.status !== 'number') return null
  const headers = 'headers' in thrown && thrown.headers instanceof Headers ? thrown.headers : new Headers()
  const inside = 'error' in thrown ? thrown.error : undefined
  const body = isFields(inside) ? JSON.stringify(fields(inside.error) === undefined ? { error: inside } : inside) : ''
  return { status: thrown.status, headers, body: new Response(body).body }
}
