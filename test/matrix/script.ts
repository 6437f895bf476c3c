import type { Insecurity } from './secure.ts'

/**
 * What a server does with one request, step by step. The same script is played by real sockets and by a wire in memory,
 * so it speaks of bytes, headers and connections, and of nothing that only one of them has. Times are units of the
 * cell's clock.
 */
export type Step =
  /** Nobody listens at the address. */
  | { readonly do: 'refuse' }
  /** The address has no number. */
  | { readonly do: 'unknown-host' }
  /** The address begins with https, and is not what that promises. */
  | { readonly do: 'insecure'; readonly how: Insecurity }
  /** The request is not taken: it stays on its way. */
  | { readonly do: 'unread' }
  | { readonly do: 'wait'; readonly ms: number }
  | {
      readonly do: 'head'
      readonly status: number
      readonly headers: Readonly<Record<string, string>>
      /** How the end of the body is told: by the last chunk, by a length, or only by the end of the connection. */
      readonly framing: 'chunks' | number | 'close'
    }
  | { readonly do: 'say'; readonly text: string | Uint8Array }
  /** The same again and again, until nobody listens any more. */
  | { readonly do: 'repeat'; readonly text: string; readonly everyMs: number }
  /** So many times as fast as it is taken. */
  | { readonly do: 'flood'; readonly text: string; readonly times: number }
  /** Bytes that are not of the encoding that was announced. */
  | { readonly do: 'garble' }
  /** Bytes that are no HTTP. */
  | { readonly do: 'raw'; readonly text: string }
  /** In good order; or the connection is closed, reset, or kept open and silent. */
  | { readonly do: 'end' | 'close' | 'reset' | 'hang' }

export type Act = readonly Step[]

/** By provider: what it does with its first request, its second and so on. More requests than that are an error. */
export type Script = Readonly<Record<string, readonly Act[]>>

/** `MATRIX_WIRE=fetch`: as by `fetch`; left out: as by what stands under it in Node, which is the default. */
export const BY_FETCH = process.env.MATRIX_WIRE === 'fetch'

/** Time in which what was said is read before the connection breaks: a break overtakes what is unread, in fetch too. */
export const GRACE = 120

type Headers = Readonly<Record<string, string>>

export const REFUSE: Step = { do: 'refuse' }
export const UNKNOWN_HOST: Step = { do: 'unknown-host' }
export const END: Step = { do: 'end' }
export const CLOSE: Step = { do: 'close' }
export const RESET: Step = { do: 'reset' }
export const HANG: Step = { do: 'hang' }

export const wait = (ms: number): Step => ({ do: 'wait', ms })
export const say = (text: string | Uint8Array): Step => ({ do: 'say', text })
export const repeat = (text: string, everyMs: number): Step => ({ do: 'repeat', text, everyMs })
export const flood = (text: string, times: number): Step => ({ do: 'flood', text, times })

export function head(status: number, headers: Headers = {}, framing: 'chunks' | number | 'close' = 'chunks'): Step {
  return { do: 'head', status, headers, framing }
}

const JSON_TYPE = { 'content-type': 'application/json' }
export const SSE_TYPE = { 'content-type': 'text/event-stream' }

/** A whole body, and the end. */
export function body(status: number, content: object | string, headers: Headers = {}): Act {
  const text = typeof content === 'string' ? content : JSON.stringify(content)
  return [head(status, { ...JSON_TYPE, ...headers }), say(text), END]
}

/** A stream of events; what is no step is said. */
export function events(...parts: readonly (string | Step)[]): Act {
  const steps = parts.map((part) => (typeof part === 'string' ? say(part) : part))
  const last = steps.at(-1)?.do
  const open = last === 'end' || last === 'close' || last === 'reset' || last === 'hang' || last === 'repeat'
  return [head(200, SSE_TYPE), ...steps, ...(open ? [] : [END])]
}

/** `@answer@` stands for what the model says in this cell, `@key@`, `@prompt@` and so on for what it must not say. */
export const TEXT = 'What you ask is answered so: @answer@, and nothing else, because that is all of it. 😀 Done.'
/** Where it breaks off, and where somebody has to go on: the last 24 characters are written again. */
export const HALF = TEXT.slice(0, 76)
export const REST = TEXT.slice(52)
export const USAGE = { prompt_tokens: 10, completion_tokens: 20, total_tokens: 30 }

const CHOICE = { index: 0, message: { role: 'assistant', content: TEXT }, finish_reason: 'stop' }

/** An answer that came whole. */
export function answer(more: object = {}, choice: object = {}): object {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    model: 'small',
    choices: [{ ...CHOICE, ...choice }],
    usage: USAGE,
    ...more,
  }
}

/** One event of a stream. */
export function chunk(delta: object, finish: string | null = null, more: object = {}): string {
  const choices = [{ index: 0, delta, finish_reason: finish }]
  return event({ id: 'chatcmpl-1', object: 'chat.completion.chunk', model: 'small', choices, ...more })
}

export function event(data: object | string): string {
  return `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`
}

export const ROLE = chunk({ role: 'assistant', content: '' })
export const FINISH = chunk({}, 'stop')
export const LAST = event({ id: 'chatcmpl-1', choices: [], usage: USAGE })
export const DONE = event('[DONE]')
export const THOUGHT = chunk({ reasoning: 'Let me think of @answer@.' })

/** Text in pieces, as a model says it. A stand-in is never cut: its pieces would not be found. */
export function words(text: string): string {
  return (text.match(/@\w+@|[^@]{1,9}/gsu) ?? []).map((content) => chunk({ content })).join('')
}

export function toolCall(json: string, index: number = 0): string {
  return chunk({ tool_calls: [{ index, id: 'call_a', type: 'function', function: { name: 'look', arguments: json } }] })
}

export const WHOLE_STREAM = ROLE + words(TEXT) + FINISH + LAST + DONE

/** A good answer, whichever way it was asked for; from the middle of the text, if it is to be gone on with. */
export const OK: Readonly<Record<Mode, Act>> = {
  whole: body(200, answer()),
  stream: events(WHOLE_STREAM),
}

export type Mode = 'whole' | 'stream'

export function after(ms: number, act: Act): Act {
  return [wait(ms), ...act]
}
