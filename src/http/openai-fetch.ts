import type { Router } from '../router.ts'
import { bytesOf, PLAIN_MANNER } from '../stream-response.ts'
import { type Answer, createDoor, type DoorOptions, failed } from './door.ts'
import { type Incoming, incomingOf } from './incoming.ts'

export type OpenAIFetchOptions = DoorOptions

/** Takes what `fetch` takes. */
export type OpenAIFetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

/**
 * The router behind OpenAI's own protocol, in process: give it to any client as its `fetch`, or use it as the handler of
 * a server, a worker or a route. It answers `/chat/completions`, `/models` and `/embeddings` below any prefix, and never
 * rejects, except when the caller's own signal is aborted, as fetch does.
 *
 * @example
 * ```ts
 * const client = new OpenAI({ apiKey: 'unused', fetch: openaiFetch(router) })
 * await client.chat.completions.create({ model: 'task:reply', messages })
 * ```
 */
export function openaiFetch(router: Router, options: OpenAIFetchOptions = {}): OpenAIFetch {
  const door = createDoor(router, options)
  return async (input, init) => {
    let incoming: Incoming
    try {
      incoming = incomingOf(input, init)
    } catch (error) {
      return responseOf(failed(error, PLAIN_MANNER))
    }
    return responseOf(await door(incoming), incoming.signal)
  }
}

function responseOf({ status, headers, body }: Answer, signal: AbortSignal | null = null): Response {
  const content = body === null || typeof body === 'string' ? body : bytesOf(body, signal)
  return new Response(content, { status, headers })
}
