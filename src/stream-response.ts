import type { Completion } from './completion.ts'
import { RouterError } from './errors.ts'
import type { StreamEvent } from './glue.ts'
import type { UsageRecord } from './usage.ts'

/** OpenAI's server-sent events from ours: one write for each, pulled as the client reads. */
export function responseOf(
  events: AsyncIterableIterator<StreamEvent, void>,
  about: {
    completion: Promise<Completion>
    running: { readonly model: string; readonly created: number }
    init?: ResponseInit | undefined
  },
): Response {
  const { completion, running, init = {} } = about
  const encoder = new TextEncoder()
  const id = `chatcmpl-${crypto.randomUUID()}`
  const named = new Set<number>()
  let begun = false
  const line = (data: object) => encoder.encode(`data: ${JSON.stringify(data)}\n\n`)
  const chunk = (rest: object) =>
    line({ id, object: 'chat.completion.chunk', created: running.created, model: running.model, ...rest })
  const piece = (event: StreamEvent) => {
    const delta = deltaOf(event, named)
    // What OpenAI's protocol has no word for goes beside it: clients that do not know it pass over it.
    if (delta === null) return chunk({ choices: [], modelfirst: event })
    const role = begun ? {} : { role: 'assistant' }
    begun = true
    const finish = event.type === 'end' ? FINISH[event.finish.reason] : null
    return chunk({ choices: [{ index: 0, delta: { ...role, ...delta }, finish_reason: finish }] })
  }
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await events.next()
          if (done) {
            const { usage } = await completion
            controller.enqueue(chunk({ choices: [], usage: usageOf(usage) }))
            controller.enqueue(encoder.encode('data: [DONE]\n\n'))
          } else if (begun && value.type === 'restart') {
            // This protocol cannot take back what was said: a client would read two answers as one.
            await events.return?.()
            controller.enqueue(line({ error: BEGUN_ANEW }))
          } else return controller.enqueue(piece(value))
        } catch (error) {
          // Not `controller.error`: that cuts the connection, and the client would never read why.
          controller.enqueue(line({ error: told(error) }))
        }
        controller.close()
      },
      async cancel() {
        await events.return?.()
      },
    },
    // Nothing is read ahead of the client.
    { highWaterMark: 0 },
  )
  const headers = new Headers(init.headers)
  if (!headers.has('content-type')) headers.set('content-type', 'text/event-stream; charset=utf-8')
  if (!headers.has('cache-control')) headers.set('cache-control', 'no-cache')
  return new Response(body, { ...init, headers })
}

const BEGUN_ANEW = Object.freeze({
  message: 'the answer broke off and was begun anew, which a client of this protocol cannot be told: ask again',
  type: 'server_error',
  code: 'cut-off',
})

const FINISH = {
  stop: 'stop',
  length: 'length',
  'tool-calls': 'tool_calls',
  'content-filter': 'content_filter',
  unknown: 'stop',
} as const

function deltaOf(event: StreamEvent, named: Set<number>): object | null {
  switch (event.type) {
    case 'text-delta':
      return { content: event.text }
    case 'reasoning-delta':
      return { reasoning: event.text }
    case 'tool-call-delta': {
      const { index, id, name, arguments: json } = event
      if (named.has(index)) return { tool_calls: [{ index, function: { arguments: json } }] }
      // Once only, as OpenAI does: there are clients that put the names of all pieces together.
      if (name !== null) named.add(index)
      return { tool_calls: [{ index, id, type: 'function', function: { name, arguments: json } }] }
    }
    case 'end':
      return {}
  }
  return null
}

/** OpenAI's names, and OpenRouter's for what OpenAI does not tell. Unknown counts are left out. */
export function usageOf({ tokens, cost }: UsageRecord): object {
  const known = (value: number | null) => value ?? undefined
  return {
    prompt_tokens: known(tokens.prompt),
    completion_tokens: known(tokens.completion),
    total_tokens: known(tokens.total),
    cost: known(cost.usd),
    prompt_tokens_details: { cached_tokens: known(tokens.cachedPrompt), cache_write_tokens: known(tokens.cacheWrite) },
    completion_tokens_details: { reasoning_tokens: known(tokens.reasoning) },
  }
}

function told(error: unknown): object {
  if (!RouterError.is(error)) return { message: 'the stream failed', type: 'server_error', code: null }
  return { message: error.message, type: 'server_error', code: error.kind }
}
