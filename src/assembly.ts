import { type Fields, fields, isPresent, list, string } from './fields.ts'

/** What is handed out while an answer is on its way. */
export type Delta =
  | { readonly type: 'text-delta'; readonly text: string }
  | { readonly type: 'reasoning-delta'; readonly text: string }
  | {
      readonly type: 'tool-call-delta'
      readonly index: number
      readonly id: string | null
      readonly name: string | null
      /** The piece of JSON that was added. */
      readonly arguments: string
    }

/**
 * Puts the chunks of a stream together again: what comes out is the body that the provider would have sent at once, so
 * that one reader reads both.
 */
export interface Assembly {
  /** One event's data; what can be seen of it is pushed to `out`. */
  take(data: string, event: string | undefined, out: Delta[]): void
  /** The chunk that reports an error, or that is none at all; after an error, only its cost is still listened for. */
  readonly broken: { readonly chunk: unknown; readonly malformed: boolean } | null
  /** `[DONE]` was said. */
  readonly done: boolean
  /** A reason to finish was given. */
  readonly finished: boolean
  /** Anything at all was said of an answer. */
  readonly body: Record<string, unknown>
  readonly text: string
  readonly reasoning: string
  readonly callsTools: boolean
}

/** Nobody calls more tools at once, or with longer arguments. */
const MOST_CALLS = 128
const MOST_ARGUMENTS = 1024 * 1024

const MALFORMED = Object.freeze({ chunk: null, malformed: true })

interface CallParts {
  id: string | null
  name: string | null
  arguments: string
}

export function createAssembly(): Assembly {
  const head: { id: unknown; model: unknown; provider: unknown; service_tier: unknown } = {
    id: null,
    model: null,
    provider: null,
    service_tier: null,
  }
  let text = ''
  let reasoning = ''
  let refusal = ''
  let content: string | null = null
  const calls: CallParts[] = []
  /** Where in `calls` the call is that a provider's index stands for just now. */
  const places = new Map<number, number>()
  const details: Fields[] = []
  const annotations: unknown[] = []
  const images: unknown[] = []
  let finish: string | null = null
  let native: string | null = null
  let usage: Fields | undefined
  let done = false
  let broken: Assembly['broken'] = null
  let followed: unknown

  function take(data: string, event: string | undefined, out: Delta[]): void {
    if (done) return
    if (data === '[DONE]') {
      done = true
      return
    }
    const body = parsed(data)
    if (body === undefined) {
      // Once the reason to finish was given, everything was said: what breaks after it takes nothing away.
      if (finish === null && data.trim() !== '') broken ??= MALFORMED
      return
    }
    noteHead(body)
    // After an error nothing more is said of the answer, but what it cost may be.
    if (broken !== null) return
    const choice = choiceOf(body)
    // Looked for before the choice: an error may come with none.
    const error = body.error ?? choice?.error ?? (body.x_groq ? fields(body.x_groq)?.error : undefined)
    if (isPresent(error) || event === 'error') {
      broken = { chunk: { error: isPresent(error) ? error : body }, malformed: false }
    }
    if (choice !== undefined) noteChoice(choice, out)
  }

  /** Several answers to one question come mixed: the one that begins is followed, as in a body the first is read. */
  function choiceOf({ choices }: Fields): Fields | undefined {
    const first = Array.isArray(choices) ? fields(choices[0]) : undefined
    if (first === undefined) return undefined
    followed ??= first.index
    if (first.index === followed || !isPresent(first.index)) return first
    return list(choices).find(({ index }) => index === followed)
  }

  function noteHead(body: Fields): void {
    // Every chunk says the same again: it is read until it is known. Some error chunks carry empty ones.
    head.id ||= body.id
    head.model ||= body.model
    head.provider ||= body.provider
    if (body.service_tier) head.service_tier = body.service_tier
    // The same usage may come up to three times: the last word counts, nothing is ever added.
    if (body.usage || body.x_groq) usage = fields(body.usage) ?? usage ?? fields(fields(body.x_groq)?.usage)
  }

  function noteChoice(choice: Fields, out: Delta[]): void {
    const delta = fields(choice.delta) ?? fields(choice.message)
    if (delta !== undefined) noteDelta(delta, out)
    finish = string(choice.finish_reason) ?? finish
    native = string(choice.native_finish_reason) ?? native
  }

  function noteDelta(delta: Fields, out: Delta[]): void {
    const thought = string(delta.reasoning) ?? string(delta.reasoning_content)
    if (thought) {
      reasoning += thought
      out.push({ type: 'reasoning-delta', text: thought })
    }
    if (Array.isArray(delta.reasoning_details)) for (const detail of list(delta.reasoning_details)) noteDetail(detail)
    const said = typeof delta.content === 'string' ? delta.content : partsOf(delta.content)
    if (said !== null) {
      content = text += said
      if (said !== '') out.push({ type: 'text-delta', text: said })
    }
    refusal += string(delta.refusal) ?? ''
    if (delta.tool_calls !== undefined) for (const call of list(delta.tool_calls)) noteCall(call, out)
    if (Array.isArray(delta.annotations)) annotations.push(...delta.annotations)
    if (Array.isArray(delta.images)) images.push(...delta.images)
  }

  /** Pieces of one detail come with the same index and type; signatures and encrypted data come whole. */
  function noteDetail(detail: Fields): void {
    const last = details.at(-1)
    if (last === undefined || last.type !== detail.type || last.index !== detail.index || detail.index === undefined) {
      details.push({ ...detail })
      return
    }
    const merged: Record<string, unknown> = { ...last, ...detail }
    for (const key of ['text', 'summary', 'data']) {
      if (typeof last[key] === 'string' || typeof detail[key] === 'string') {
        merged[key] = `${string(last[key]) ?? ''}${string(detail[key]) ?? ''}`
      }
    }
    for (const key of ['signature', 'id', 'format']) if (!isPresent(detail[key]) && key in last) merged[key] = last[key]
    details[details.length - 1] = merged
  }

  function noteCall(delta: Fields, out: Delta[]): void {
    const id = string(delta.id) || null
    const called = fields(delta.function)
    const name = string(called?.name) || null
    const index = indexOf(delta.index, id, name)
    if (index === null || index >= MOST_CALLS) {
      broken = MALFORMED
      return
    }
    const call = calls[index] ?? { id: null, name: null, arguments: '' }
    calls[index] = call
    const piece = string(called?.arguments) ?? ''
    // Some hosts repeat both in every piece, others leave them empty after the first.
    call.id ??= id
    call.name ??= name
    call.arguments += piece
    if (call.arguments.length > MOST_ARGUMENTS) {
      broken = MALFORMED
      return
    }
    out.push({ type: 'tool-call-delta', index, id: call.id, name: call.name, arguments: piece })
  }

  /** Ours are numbered one by one, whatever numbers a provider gives; one that is no number is not followed. */
  function indexOf(given: unknown, id: string | null, name: string | null): number | null {
    if (!isPresent(given)) {
      const known = id === null ? calls.length - 1 : calls.findIndex((call) => call.id === id)
      return known === -1 ? calls.length : known
    }
    if (typeof given !== 'number' || !Number.isInteger(given) || given < 0 || given >= MOST_CALLS) return null
    const known = places.get(given)
    if (known !== undefined && !isAnother(calls[known], id, name)) return known
    places.set(given, calls.length)
    return calls.length
  }

  return {
    take,
    get broken() {
      return broken
    },
    get done() {
      return done
    },
    get finished() {
      return finish !== null
    },
    get text() {
      return text
    },
    get reasoning() {
      return reasoning
    },
    get callsTools() {
      return calls.length > 0
    },
    get body() {
      const message: Record<string, unknown> = { role: 'assistant', content }
      if (reasoning !== '') message.reasoning = reasoning
      if (details.length > 0) message.reasoning_details = details
      if (refusal !== '') message.refusal = refusal
      if (annotations.length > 0) message.annotations = annotations
      if (images.length > 0) message.images = images
      if (calls.length > 0) {
        message.tool_calls = calls.map(({ id, name, arguments: json }) => ({
          id,
          type: 'function',
          function: { name, arguments: json },
        }))
      }
      const choice = { index: 0, message, finish_reason: finish, native_finish_reason: native, logprobs: null }
      return { ...head, object: 'chat.completion', choices: [choice], ...(usage && { usage }) }
    },
  }
}

/** Gemini through OpenRouter numbers all its calls 0; other hosts give each piece of one call another id. */
function isAnother(call: CallParts | undefined, id: string | null, name: string | null): boolean {
  if (call === undefined || id === null || name === null || call.id === null || call.id === id) return false
  return parsed(call.arguments) !== undefined
}

function parsed(json: string): Fields | undefined {
  try {
    return fields(JSON.parse(json))
  } catch {
    return undefined
  }
}

function partsOf(content: unknown): string | null {
  if (!Array.isArray(content)) return null
  return list(content)
    .map((part) => string(part.text) ?? '')
    .join('')
}
