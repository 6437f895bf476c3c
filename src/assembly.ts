import { type Fields, fields, isPresent, jsonOf, list, string } from './fields.ts'

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
const MOST_COMPARED = 8 * 1024 * 1024
/** Nor does anybody say more, thoughts included: it is held here, and by whoever reads it. */
const MOST_CHARACTERS = 8 * 1024 * 1024

const MALFORMED = Object.freeze({ chunk: null, malformed: true })

interface CallParts {
  id: string | null
  name: string | null
  arguments: string
  /** Characters of it that were looked at to see whether it is whole. */
  compared: number
}

/** What has come so far. */
interface Parts {
  id: unknown
  model: unknown
  provider: unknown
  tier: unknown
  text: string
  reasoning: string
  refusal: string
  content: string | null
  readonly calls: CallParts[]
  /** Where in `calls` the call is that a provider's index stands for just now. */
  readonly places: Map<number, number>
  /** `null`: nobody spoke of any. An empty list is one: DeepSeek wants it back. */
  details: Fields[] | null
  readonly annotations: unknown[]
  readonly images: unknown[]
  finish: string | null
  native: string | null
  usage: Fields | undefined
  done: boolean
  broken: Assembly['broken']
  /** The index of the answer that is followed. */
  followed: unknown
  finished: boolean
  callsTools: boolean
}

/**
 * One set of functions for all assemblies, and not one for each: an engine keeps what it has learned of a function as
 * long as the function lives, and these run for every piece of every stream.
 */
const ASSEMBLY: Pick<Assembly, 'take' | 'body'> & ThisType<Parts> = {
  take(data, event, out) {
    take(this, data, event, out)
  },
  get body() {
    return bodyOf(this)
  },
}

export function createAssembly(): Assembly {
  const parts: Parts = {
    id: null,
    model: null,
    provider: null,
    tier: null,
    text: '',
    reasoning: '',
    refusal: '',
    content: null,
    calls: [],
    places: new Map(),
    details: null,
    annotations: [],
    images: [],
    finish: null,
    native: null,
    usage: undefined,
    done: false,
    broken: null,
    followed: undefined,
    finished: false,
    callsTools: false,
  }
  return Object.setPrototypeOf(parts, ASSEMBLY)
}

function take(parts: Parts, data: string, event: string | undefined, out: Delta[]): void {
  if (parts.done) return
  if (data === '[DONE]') {
    parts.done = true
    return
  }
  const body = parsed(data)
  if (body === undefined) {
    // Once the reason to finish was given, everything was said: what breaks after it takes nothing away.
    if (parts.finish === null && data.trim() !== '') parts.broken ??= MALFORMED
    return
  }
  noteHead(parts, body)
  // After an error nothing more is said of the answer, but what it cost may be.
  if (parts.broken !== null) return
  const choice = choiceOf(parts, body)
  // Looked for before the choice: an error may come with none.
  const error = body.error ?? choice?.error ?? (body.x_groq ? fields(body.x_groq)?.error : undefined)
  if (isPresent(error) || event === 'error') {
    parts.broken = { chunk: { error: isPresent(error) ? error : body }, malformed: false }
  }
  if (choice !== undefined) noteChoice(parts, choice, out)
}

/** Several answers to one question come mixed: the one that begins is followed, as in a body the first is read. */
function choiceOf(parts: Parts, { choices }: Fields): Fields | undefined {
  const first = Array.isArray(choices) ? fields(choices[0]) : undefined
  if (first === undefined) return undefined
  parts.followed ??= first.index
  if (first.index === parts.followed || !isPresent(first.index)) return first
  return list(choices).find(({ index }) => index === parts.followed)
}

function noteHead(parts: Parts, body: Fields): void {
  // Every chunk says the same again: it is read until it is known. Some error chunks carry empty ones.
  parts.id ||= body.id
  parts.model ||= body.model
  parts.provider ||= body.provider
  if (body.service_tier) parts.tier = body.service_tier
  // The same usage may come up to three times: the last word counts, nothing is ever added.
  if (body.usage || body.x_groq) parts.usage = fields(body.usage) ?? parts.usage ?? fields(fields(body.x_groq)?.usage)
}

function noteChoice(parts: Parts, choice: Fields, out: Delta[]): void {
  const delta = fields(choice.delta) ?? fields(choice.message)
  if (delta !== undefined) noteDelta(parts, delta, out)
  parts.finish = string(choice.finish_reason) ?? parts.finish
  parts.finished = parts.finish !== null
  parts.native = string(choice.native_finish_reason) ?? parts.native
}

function noteDelta(parts: Parts, delta: Fields, out: Delta[]): void {
  const thought = string(delta.reasoning) ?? string(delta.reasoning_content)
  if (thought) {
    parts.reasoning += thought
    if (parts.reasoning.length > MOST_CHARACTERS) parts.broken = MALFORMED
    out.push({ type: 'reasoning-delta', text: thought })
  }
  if (Array.isArray(delta.reasoning_details)) {
    parts.details ??= []
    for (const detail of list(delta.reasoning_details)) noteDetail(parts.details, detail)
  }
  const said = typeof delta.content === 'string' ? delta.content : partsOf(delta.content)
  if (said !== null) {
    parts.content = parts.text += said
    if (parts.text.length > MOST_CHARACTERS) parts.broken = MALFORMED
    if (said !== '') out.push({ type: 'text-delta', text: said })
  }
  if (delta.refusal) parts.refusal += string(delta.refusal) ?? ''
  if (delta.tool_calls !== undefined) for (const call of list(delta.tool_calls)) noteCall(parts, call, out)
  // One by one: as arguments of one call, some hundred thousand are too many.
  if (Array.isArray(delta.annotations)) for (const each of delta.annotations) parts.annotations.push(each)
  if (Array.isArray(delta.images)) for (const each of delta.images) parts.images.push(each)
}

/** Pieces of one detail come with the same index and type; signatures and encrypted data come whole. */
function noteDetail(details: Fields[], detail: Fields): void {
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

function noteCall(parts: Parts, delta: Fields, out: Delta[]): void {
  const id = string(delta.id) || null
  const called = fields(delta.function)
  const name = string(called?.name) || null
  const index = indexOf(parts, delta.index, { id, name })
  if (index === null || index >= MOST_CALLS) {
    parts.broken = MALFORMED
    return
  }
  const call = parts.calls[index] ?? { id: null, name: null, arguments: '', compared: 0 }
  parts.calls[index] = call
  parts.callsTools = true
  const piece = jsonOf(called?.arguments)
  // Some hosts repeat both in every piece, others leave them empty after the first.
  call.id ??= id
  call.name ??= name
  call.arguments += piece
  if (call.arguments.length > MOST_ARGUMENTS) {
    parts.broken = MALFORMED
    return
  }
  out.push({ type: 'tool-call-delta', index, id: call.id, name: call.name, arguments: piece })
}

/** Ours are numbered one by one, whatever numbers a provider gives; one that is no number is not followed. */
function indexOf(
  { calls, places }: Parts,
  given: unknown,
  { id, name }: { id: string | null; name: string | null },
): number | null {
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

function bodyOf(parts: Parts): Record<string, unknown> {
  const { id, model, provider, tier, content, reasoning, details, refusal, annotations, images, calls, usage } = parts
  const message: Record<string, unknown> = { role: 'assistant', content }
  if (reasoning !== '') message.reasoning = reasoning
  if (details !== null) message.reasoning_details = details
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
  const { finish, native } = parts
  const choice = { index: 0, message, finish_reason: finish, native_finish_reason: native, logprobs: null }
  const body = { id, model, provider, service_tier: tier, object: 'chat.completion', choices: [choice] }
  return usage === undefined ? body : { ...body, usage }
}

/** Gemini through OpenRouter numbers all its calls 0; other hosts give each piece of one call another id. */
function isAnother(call: CallParts | undefined, id: string | null, name: string | null): boolean {
  if (call === undefined || id === null || name === null || call.id === null || call.id === id) return false
  // Each piece with an id of its own would have all that came before it parsed again.
  call.compared += call.arguments.length
  return call.compared <= MOST_COMPARED && parsed(call.arguments) !== undefined
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
