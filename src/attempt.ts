import type { Reading } from './answer.ts'
import { type AttemptResult, type Call, type Order, openExchange } from './exchange.ts'
import { failure } from './failure.ts'
import type { Way } from './planner.ts'
import { readText, type WireReply } from './wires/wire.ts'

/** Decoded bytes; what a small compressed bomb becomes counts. */
const MOST_BYTES = 32 * 1024 * 1024
/** An error page may be any size; its beginning says it all. */
const MOST_ERROR_BYTES = 64 * 1024

/** One exchange with one offer, for an answer that comes whole. It never throws: whatever happens has a record. */
export async function attempt(call: Call, order: Order): Promise<AttemptResult> {
  const exchange = openExchange(call, order)
  try {
    const reply = await exchange.send({ stream: false })
    const isAnswer = isSuccess(reply)
    const text = await readText(reply, { most: isAnswer ? MOST_BYTES : MOST_ERROR_BYTES, until: exchange.until })
    const body = parsed(text)
    const reading = isAnswer ? readingOf(body, text, order.way, reply) : refusal(body, text, order.way, reply)
    return exchange.end({ ...reading, body, phase: 'done' })
  } catch (error) {
    return exchange.end({ answer: null, failure: exchange.failureOf(error), body: null })
  }
}

export function isSuccess({ status }: WireReply): boolean {
  return status >= 200 && status < 300
}

/** What a body that should be an answer says; nothing but an answer passes for one. */
function readingOf(body: unknown, text: string, way: Way, reply: WireReply): Reading {
  if (body !== undefined) return way.provider.dialect.read(body, reply)
  const kind = text.trim() === '' ? 'empty' : 'bad-response'
  return { answer: null, failure: failure(kind, { status: reply.status }) }
}

export function refusal(body: unknown, text: string, way: Way, reply: WireReply): Reading {
  return { answer: null, failure: way.provider.dialect.fail(body ?? text, reply) }
}

/** OpenRouter keeps slow answers alive with whitespace in front; JSON does not mind. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
