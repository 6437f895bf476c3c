import { APIError, type OpenAI } from 'openai'
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
        if (error instanceof APIError && typeof error.status === 'number') return replyOf(error)
        throw error
      }
    },
  }
}

/** The client throws what is not 2xx; its parts make up the answer again. */
function replyOf(error: APIError): WireReply {
  const body = error.error === undefined ? error.message : JSON.stringify({ error: error.error })
  return { status: error.status ?? 0, headers: error.headers ?? new Headers(), body: new Response(body).body }
}
