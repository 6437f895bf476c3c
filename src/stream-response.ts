import type { Finish } from './chat.ts'
import { systemClock } from './clock.ts'
import type { Completion } from './completion.ts'
import type { StreamEvent } from './glue.ts'
import { choiceOf, FINISH, servedBy, usageOf } from './openai-answer.ts'
import { told } from './openai-error.ts'

/** What is known of a stream while it comes; it changes when another model goes on. */
export interface StreamHead {
  readonly id?: string
  readonly model: string
  readonly created: number
  readonly provider?: string
  readonly host?: string | null
}

/** A stream that is read on behalf of a client of OpenAI's protocol. */
export interface Opening {
  readonly events: AsyncIterableIterator<StreamEvent, void>
  readonly completion: Promise<Completion>
  readonly running: StreamHead
}

/** Opens a stream of ours for whoever waits for its first content before the first byte of an answer is sent. */
export const OPEN: unique symbol = Symbol('open')

/** What clients look for, by the address they ask. */
export interface Manner {
  /** An error's code is its status, and in a stream it comes with a whole chunk: OpenRouter's way. */
  readonly numbered: boolean
  /** The usage of a stream also stands where Groq's client reads it. */
  readonly usageTwice: boolean
}

/** OpenAI's own. */
export const PLAIN_MANNER: Manner = Object.freeze({ numbered: false, usageTwice: false })

/** What is known beside the events themselves. */
export interface AboutStream extends Omit<Opening, 'events'> {
  /** What was read ahead of the answer. */
  readonly first?: StreamEvent | null
  readonly manner?: Manner
}

export const STREAM_HEADERS = Object.freeze({
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  // Some proxies hold a stream back until it is over, unless they are told.
  'x-accel-buffering': 'no',
})

export function responseOf(
  events: AsyncIterableIterator<StreamEvent, void>,
  { init = {}, ...about }: AboutStream & { readonly init?: ResponseInit | undefined },
): Response {
  const headers = new Headers(init.headers)
  for (const [name, value] of Object.entries(STREAM_HEADERS)) if (!headers.has(name)) headers.set(name, value)
  return new Response(bytesOf(linesOf(events, about)), { ...init, headers })
}

/** As bytes, one write for each piece, and nothing read ahead of the client, who hears an abort of their own as one. */
export function bytesOf(
  pieces: AsyncIterator<string, void>,
  signal: AbortSignal | null = null,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await pieces.next()
        if (done) controller.close()
        else if (signal?.aborted === true) {
          controller.error(signal.reason)
          await pieces.return?.()
        } else controller.enqueue(encoder.encode(value))
      },
      async cancel() {
        await pieces.return?.()
      },
    },
    { highWaterMark: 0 },
  )
}

/** OpenAI's server-sent events from ours, pulled as the client reads. An error is one of them: it never throws. */
export function linesOf(
  events: AsyncIterableIterator<StreamEvent, void>,
  about: AboutStream,
): AsyncIterableIterator<string, void> {
  const { completion, running, manner = PLAIN_MANNER } = about
  const id = running.id || `chatcmpl-${crypto.randomUUID()}`
  const named = new Set<number>()
  let { first = null } = about
  let begun = false
  let over = false
  /** Something was said that cannot be taken back; what was only thought can be thought again. */
  let said = false
  let headed = ''
  let head = ''
  const headNow = () => {
    const { model, provider = '', host = null } = running
    const now = `${model}\n${provider}\n${host}`
    if (now !== headed) {
      headed = now
      const created = running.created || Math.floor(systemClock.date() / 1000)
      const served = servedBy({ provider, host })
      const shared = { id, object: 'chat.completion.chunk', created, model, ...(served !== '' && { provider: served }) }
      head = `data: ${JSON.stringify(shared).slice(0, -1)},"choices":[`
    }
    return head
  }
  const chunk = (choices: string, rest = '') => `${headNow()}${choices}]${rest}}\n\n`
  const choice = (delta: string, finish = 'null') =>
    `{"index":0,"delta":{${begin()}${delta}},"finish_reason":${finish}}`
  const begin = () => {
    if (begun) return ''
    begun = true
    return '"role":"assistant",'
  }
  const piece = (event: StreamEvent): string | Promise<string> => {
    switch (event.type) {
      case 'text-delta':
        said = true
        return chunk(choice(`"content":${JSON.stringify(event.text)}`))
      case 'reasoning-delta':
        // Some clients take every delta for text that has none.
        return chunk(choice(`"content":"","reasoning":${JSON.stringify(event.text)}`))
      case 'tool-call-delta':
        said = true
        return chunk(choice(`"tool_calls":[${JSON.stringify(callOf(event, named))}]`))
      case 'end':
        return finished(event.finish.reason)
    }
    // What OpenAI's protocol has no word for goes beside it: clients that do not know it pass over it.
    return chunk('', `,"modelfirst":${JSON.stringify(event)}`)
  }
  const finished = async (reason: Finish['reason']) => {
    const { message, raw } = await completion
    const { native_finish_reason: native } = choiceOf(raw)
    const delta = JSON.stringify(extrasOf(message)).slice(1, -1)
    const exact = typeof native === 'string' ? `,"native_finish_reason":${JSON.stringify(native)}` : ''
    return chunk(choice(delta === '' ? '"content":""' : `"content":"",${delta}`, `"${FINISH[reason]}"${exact}`))
  }
  const failed = (error: unknown) => {
    const { error: words, status } = error === BEGUN_ANEW ? BEGUN_ANEW : told(error)
    if (!manner.numbered) return `data: ${JSON.stringify({ error: words })}\n\n`
    const { message, ...metadata } = words
    const whole = JSON.stringify({ code: status, message, metadata })
    return chunk(`{"index":0,"delta":{"content":""},"finish_reason":"error"}`, `,"error":${whole}`)
  }
  const usageFields = (used: object) => {
    const usage = JSON.stringify(used)
    return manner.usageTwice ? `,"usage":${usage},"x_groq":{"id":"${id}","usage":${usage}}` : `,"usage":${usage}`
  }
  /** The last words, if there were any before the end. */
  const ended = async () => {
    const { usage, raw } = await completion
    const used = usageOf(usage, raw)
    return used === null ? DONE : `${chunk('', usageFields(used))}${DONE}`
  }
  const iterator: AsyncIterableIterator<string, void> = {
    async next() {
      if (over) return NO_MORE
      try {
        const ahead = first
        first = null
        const { done, value } = ahead === null ? await events.next() : { done: false as const, value: ahead }
        // This protocol cannot take back what was said: a client would read two answers as one.
        const isVoid = !done && said && value.type === 'restart'
        if (!done && !isVoid) return { done: false, value: await piece(value) }
        over = true
        if (isVoid) await events.return?.()
        return { done: false, value: isVoid ? failed(BEGUN_ANEW) : await ended() }
      } catch (error) {
        // It is told: a connection that is merely cut leaves the client to guess why.
        over = true
        return { done: false, value: failed(error) }
      }
    },
    async return() {
      over = true
      await events.return?.()
      return NO_MORE
    },
    [Symbol.asyncIterator]: () => iterator,
  }
  return iterator
}

const DONE = 'data: [DONE]\n\n'
const NO_MORE = Object.freeze({ done: true, value: undefined })

const BEGUN_ANEW = Object.freeze({
  error: {
    message: 'the answer broke off and was begun anew, which a client of this protocol cannot be told: ask again',
    type: 'server_error',
    param: null,
    code: 'cut_off',
  },
  status: 502,
})

function callOf(event: StreamEvent & { type: 'tool-call-delta' }, named: Set<number>): object {
  const { index, id, name, arguments: json } = event
  if (named.has(index)) return { index, function: { arguments: json } }
  // Once only, as OpenAI does: there are clients that put the names of all pieces together.
  if (name !== null) named.add(index)
  return {
    index,
    ...(id !== null && { id }),
    type: 'function',
    function: { ...(name !== null && { name }), arguments: json },
  }
}

/** What came with the answer and not in pieces: signed thoughts, which some models want back, sources, pictures. */
function extrasOf({ reasoning_details, annotations, images, refusal }: Completion['message']): object {
  return {
    ...(reasoning_details !== undefined && { reasoning_details }),
    ...(annotations !== undefined && { annotations }),
    ...(images !== undefined && { images }),
    ...(refusal !== undefined && { refusal }),
  }
}
