import type { Reading } from './answer.ts'
import { type AttemptResult, type Call, type Exchange, type Order, openExchange } from './exchange.ts'
import { type FailureKind, failure } from './failure.ts'
import type { Trial } from './hedge.ts'
import { type Judging, judging } from './judgement.ts'
import { readError, readText, type WireReply } from './wires/wire.ts'

/** Decoded bytes; what a small compressed bomb becomes counts. */
const MOST_BYTES = 32 * 1024 * 1024

/** One exchange with one offer, for an answer that comes whole. It never rejects: whatever happens has a record. */
export function openAttempt(call: Call, order: Order): Trial {
  const exchange = openExchange(call, order)
  let result: AttemptResult | null = null
  let worth: AttemptResult | null = null
  let looking: Judging | null = null
  async function ask(): Promise<void> {
    let ending: Parameters<Exchange['end']>[0]
    try {
      const reply = await exchange.send({ stream: false })
      ending = { ...(await readWhole(reply, { call, order, exchange })), phase: 'done' }
    } catch (error) {
      ending = { answer: null, failure: exchange.failureOf(error), body: null }
    }
    // It may have been stopped meanwhile.
    if (result !== null) return
    result = exchange.end(ending)
    const planned = asPlanned(call, result)
    if (call.demand === null) {
      worth = planned
      return
    }
    looking = judging(call, planned)
    await looking.done
  }
  return {
    order,
    started: ask(),
    get result() {
      return result
    },
    get worth() {
      return worth ?? looking?.worth ?? null
    },
    stop() {
      looking?.giveUp()
      if (result !== null) return
      result = worth = exchange.end({ answer: null, failure: failure('canceled'), body: null })
      exchange.giveUp(undefined)
    },
  }
}

/** An answer from elsewhere than was planned is worth what the policy says: it may be none. */
function asPlanned(call: Call, result: AttemptResult): AttemptResult {
  const { way, answer, failure: failed, record } = result
  const refused = failed !== null || answer === null ? null : (call.refuses?.(call, way, answer, result) ?? null)
  return refused === null
    ? result
    : { ...result, failure: refused, record: Object.freeze({ ...record, outcome: refused.kind }) }
}

export function isSuccess({ status }: WireReply): boolean {
  return status >= 200 && status < 300
}

/** What a body says that does not come in pieces; nothing but an answer passes for one. */
export async function readWhole(
  reply: WireReply,
  { call, order, exchange }: { call: Call; order: Order; exchange: Exchange },
): Promise<Reading & { readonly body: unknown }> {
  const { dialect } = order.way.provider
  const { until } = exchange
  if (!isSuccess(reply)) {
    const text = await readError(reply, { until, clock: call.clock })
    const body = parsed(text)
    return { answer: null, failure: dialect.fail(body ?? text, reply), body }
  }
  const text = await readText(reply, { most: MOST_BYTES, until })
  const body = parsed(text)
  if (body !== undefined) return { ...dialect.read(body, reply), body }
  return { answer: null, failure: failure(unreadable(text.trim()), { status: reply.status }), body: null }
}

/** A connection may end in good order in the middle of an answer, when nobody has said how long it is. */
function unreadable(text: string): FailureKind {
  if (text === '') return 'empty'
  return text.startsWith('{') && !text.endsWith('}') ? 'cut-off' : 'bad-response'
}

/** OpenRouter keeps slow answers alive with whitespace in front; JSON does not mind. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
