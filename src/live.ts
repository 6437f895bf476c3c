import type { Reading } from './answer.ts'
import { type Assembly, createAssembly, type Delta } from './assembly.ts'
import { isSuccess, readWhole } from './attempt.ts'
import { type AttemptResult, type Call, type Order, openExchange } from './exchange.ts'
import { type Failure, failure } from './failure.ts'
import { fields } from './fields.ts'
import { createEventReader, type EventReader, EventTooLarge, type SentEvent } from './sse.ts'
import { type ByteReader, type BytesRead, CutOff, TooLarge, type WireReply } from './wires/wire.ts'

/** An answer on its way. */
export interface Live {
  /**
   * Reads until something can be seen, and pushes it to `out`; nothing pushed means that the answer is over. It never
   * throws: what went wrong is in the result.
   */
  read(out: Delta[]): Promise<void>
  /** What it says so far. */
  readonly assembly: Assembly
  /** What there is of an answer; `null`: nothing yet. */
  heard(): Reading['answer']
  /** Stops it now; what has been said and used until then is kept. */
  stop(failed?: Failure): void
  /** The attempt, once it is over; `null` before. */
  readonly result: AttemptResult | null
}

/** Decoded bytes, over the whole stream and before anything can be seen of it. */
const MOST_BYTES = 64 * 1024 * 1024
const MOST_BYTES_UNSEEN = 1024 * 1024
/** After an error some say what it has cost; most close. */
const AFTERWORDS_MS = 100

/** Milliseconds that the usage may take after everything was said. */
const USAGE_MS = 2000
/** Milliseconds that a connection is given to end by itself. */
const LINGER_MS = 20
const NOTHING: SentEvent = { data: '' }

interface Incoming {
  readonly reply: WireReply
  readonly reader: ByteReader
  readonly events: EventReader
}

type Ending = Reading & { readonly body?: unknown }

/**
 * One exchange with one offer, for an answer that comes in pieces. `onUnread` hears that it is over although nobody was
 * reading: the call was canceled, or its time is up.
 */
export function openLive(call: Call, order: Order, onUnread: () => void): Live {
  const { firstTokenMs, idleMs } = call.policy.limits
  const exchange = openExchange(call, { ...order, timeLimit: Math.min(order.timeLimit, firstTokenMs) })
  const { dialect } = order.way.provider
  const assembly = createAssembly()
  /** Events that came with the same bytes, read one by one: the first can be seen before the last is parsed. */
  const queue: SentEvent[] = []
  let taken = 0
  let incoming: Incoming | null = null
  let whole: Ending | null = null
  let bytes = 0
  let seen = false
  let reading = false
  let afterwords = false

  const live: Live & { result: AttemptResult | null } = {
    assembly,
    result: null,
    read,
    heard: () => heard().answer,
    stop(failed = failure('canceled')) {
      if (live.result !== null) return
      end({ ...heard(), failure: failed })
      exchange.giveUp(undefined)
    },
  }
  exchange.onGivenUp((error) => {
    if (reading || live.result !== null) return
    endEarly(error)
    onUnread()
  })

  async function read(out: Delta[]): Promise<void> {
    if (live.result !== null) return
    reading = true
    try {
      if (incoming === null && whole === null) await open()
      if (incoming !== null) {
        progress()
        // In one function: whatever stands between a read and its reader is paid for with every piece.
        while (!take(out) && !isOver()) {
          if (!feed(await exchange.until(incoming.reader.read()))) break
        }
        if (out.length > 0) see()
        else await finish()
      } else if (whole !== null) {
        handOut(whole, out)
      }
    } catch (error) {
      endEarly(error)
    }
    reading = false
  }

  function isOver(): boolean {
    return assembly.done || assembly.broken?.malformed === true
  }

  async function finish(): Promise<void> {
    if (assembly.done) await lastBytes()
    end(said())
  }

  /** Once the reason to finish was given, everything was said: what breaks after it takes nothing away. */
  function endEarly(error: unknown): void {
    const spoken = assembly.finished || assembly.broken !== null
    end(spoken && !call.cancellation.canceled ? said() : { ...heard(), failure: exchange.failureOf(cutOff(error)) })
  }

  /** A read that fails means that the body broke off. */
  function cutOff(error: unknown): unknown {
    const isRead = incoming !== null && !(error instanceof TooLarge || error instanceof EventTooLarge)
    return isRead ? new CutOff('the body ended early', { cause: error }) : error
  }

  /** Only what was said is progress; a keep-alive is not. */
  function progress(): void {
    if (assembly.broken === null) {
      if (seen) exchange.limit(assembly.finished ? Math.min(USAGE_MS, idleMs) : idleMs, 'stalled')
    } else if (!afterwords) {
      afterwords = true
      exchange.limit(Math.min(AFTERWORDS_MS, idleMs), 'stalled')
    }
  }

  /**
   * Parses what has come. The first piece that can be seen goes out at once, before the rest of the same bytes is
   * parsed; after that, all there is goes together.
   */
  function take(out: Delta[]): boolean {
    const before = taken
    while (taken < queue.length && !(out.length > 0 && !seen)) {
      const { data, event } = queue[taken] ?? NOTHING
      assembly.take(data, event, out)
      taken += 1
    }
    if (taken > before && out.length === 0) progress()
    if (taken === queue.length) forget()
    return out.length > 0
  }

  function forget(): void {
    queue.length = 0
    taken = 0
  }

  function see(): void {
    if (seen) return
    seen = true
    exchange.noteFirst()
  }

  /** What was read from the network; false when there is no more. */
  function feed({ done, value }: BytesRead): boolean {
    if (done || value === undefined) return false
    bytes += value.byteLength
    if (bytes > (seen ? MOST_BYTES : MOST_BYTES_UNSEEN)) throw new TooLarge('too many bytes')
    incoming?.events.feed(value)
    return true
  }

  async function open(): Promise<void> {
    const reply = await exchange.send({ stream: true })
    if (isSuccess(reply) && reply.body !== null && isStream(reply)) {
      const events = createEventReader((event) => queue.push(event))
      incoming = { reply, reader: reply.body.getReader(), events }
      return
    }
    // An error, or something that came whole although a stream was asked for: an error in a 200, a page, an answer.
    whole = await readWhole(reply, { call, order, exchange })
  }

  /** An answer that came at once is handed out at once. */
  function handOut(ending: Ending, out: Delta[]): void {
    const { answer } = ending
    if (answer === null || ending.failure !== null || seen) {
      end(ending)
      return
    }
    see()
    if (answer.reasoning) out.push({ type: 'reasoning-delta', text: answer.reasoning })
    if (answer.text !== '') out.push({ type: 'text-delta', text: answer.text })
    for (const [index, { id, name, json }] of answer.toolCalls.entries()) {
      out.push({ type: 'tool-call-delta', index, id, name, arguments: json })
    }
    if (out.length === 0) end(ending)
  }

  /** What the end of the stream makes of what was said. */
  function said(): Ending {
    const reply = incoming?.reply ?? UNANSWERED
    const chunk = assembly.broken
    if (chunk?.malformed)
      return { ...heard(), failure: failure('bad-response', { status: reply.status, code: 'malformed-chunk' }) }
    if (chunk !== null) return { ...heard(), failure: dialect.fail(chunk.chunk, reply) }
    if (assembly.done || assembly.finished) return dialect.read(assembly.body, reply)
    return { ...heard(), failure: failure(bytes === 0 ? 'empty' : 'cut-off', { status: reply.status }) }
  }

  /** What there is of an answer, for the record: who gave it, and what it says it used. */
  function heard(): { answer: Reading['answer'] } {
    return { answer: incoming === null ? null : dialect.read(assembly.body, incoming.reply).answer }
  }

  function end(ending: Ending): void {
    incoming?.reader.cancel().catch(() => {})
    // It was stopped while this was on its way.
    if (live.result !== null) return
    const body = ending.body ?? (incoming === null ? null : bodyOf(assembly))
    live.result = exchange.end({ ...ending, body, ...(ending.failure === null ? { phase: 'done' } : {}) })
  }

  /**
   * After the last word the connection usually ends by itself, and then the next call can use it again: it is given a
   * moment. One that does not end is cut, which takes nothing from the answer.
   */
  async function lastBytes(): Promise<void> {
    exchange.limit(LINGER_MS, 'stalled')
    if (incoming === null) return
    try {
      while (feed(await exchange.until(incoming.reader.read()))) forget()
    } catch {
      // Cut off, given up: there was nothing more to hear.
    }
  }

  return live
}

const UNANSWERED = { status: 0, headers: { get: () => null } }

/** A server may forget to say what it sends; a page or a JSON body says so. */
function isStream({ headers }: WireReply): boolean {
  return !/json|html/i.test(headers.get('content-type') ?? '')
}

/** With the error that ended it: it may quote what was answered, and hold an answer that nobody else has seen. */
function bodyOf({ body, broken }: Assembly): unknown {
  const error = fields(broken?.chunk)
  return error === undefined ? body : { ...body, ...error }
}
