import type { Answer } from './answer.ts'
import type { Assembly, Delta } from './assembly.ts'
import { unixSeconds } from './clock.ts'
import { type Completion, completionOf } from './completion.ts'
import { errorOf } from './ending.ts'
import type { PartialAnswer } from './errors.ts'
import type { AttemptResult, Call, Order } from './exchange.ts'
import { failure, VERDICTS } from './failure.ts'
import { continuing, type Glue, placeOf, plain, restarting, type StreamEvent } from './glue.ts'
import type { Trial } from './hedge.ts'
import { answersAlone, type Judging, judging } from './judgement.ts'
import { openLive } from './live.ts'
import type { Plan } from './plan.ts'
import { run } from './runner.ts'
import { seamOf } from './seam.ts'
import { type Form, isAnswer } from './structured.ts'
import type { UsageRecord } from './usage.ts'
import type { Outcome, Walk } from './walk.ts'
import type { Way } from './way.ts'

interface Ended {
  readonly answer: Answer | null
  readonly error: Error | null
}

/** A call that is ready to run. */
export interface Begun {
  readonly call: Call
  readonly plan: Plan
  readonly walk: Walk
  /** Milliseconds after which an attempt without content is late; `null`: a second one is never made. */
  hedgeAfterMs(order: Order): number | null
  /** Settles the call, once: its record. */
  settle(outcome: Outcome): UsageRecord
}

/** What can be reached from outside while the events are waited for. */
export interface Running {
  /** Whoever reads has no ear for a restart. */
  linear: boolean
  /** The call's. */
  id: string
  /** Who is being asked. */
  model: string
  provider: string
  host: string | null
  /** What was asked for in another form than the schema has, put back. */
  restore(value: unknown): unknown
  /** When the call began, in seconds since 1970. */
  created: number
  /** The loop was left early: what there is, is all there will be. */
  stopped: boolean
  /** Ends what is being waited for. */
  stop(): void
  resolve(completion: Completion): void
  reject(error: unknown): void
}

const NO_SEAM = failure('bad-response', { code: 'seam', detail: 'it did not go on where the text broke off' })

/**
 * Walks the plan until an answer is whole, and hands it out as it comes. Until something of it can be seen, a failure
 * is the next attempt's business and nobody else's; after that, the policy's `onBroken` decides, and the events say so.
 * What came with the same bytes goes out together.
 */
export async function* produce(
  begin: () => Promise<Begun>,
  running: Running,
): AsyncGenerator<readonly StreamEvent[], void> {
  let begun: Begun
  try {
    begun = await begin()
  } catch (error) {
    running.reject(error)
    throw error
  }
  const { call, walk } = begun
  running.created = unixSeconds(call.at)
  running.id = call.id
  const seen = { text: '', reasoning: '' }
  const takes: Take[] = []
  let take: Take | null = null
  let glue: Glue = plain()
  /** The attempt that broke after something of it was seen, which those that joined it could not mend. */
  let broke: AttemptResult | null = null
  let over = false
  let ended: Ended | null = null
  running.stop = () => {
    walk.stop()
    for (const each of takes) each.stop()
  }
  try {
    for (take = await next(); take !== null; take = await next()) {
      attend(take.order.way)
      for (let out = take.first; out.length > 0; out = await take.read()) {
        for (const event of out) note(event)
        yield out
      }
      if (ended !== null) break
      await take.judge()
      if (ended !== null) break
      const last = settleTake()
      const released = last?.failure === null ? take.released() : []
      if (released.length > 0) yield released
      if (last === null || last.failure === null || running.stopped) break
      const then = afterBreak(take)
      if (then === null) break
      broke = last
      glue = then
      take = null
    }
    over = true
    const { answer, error } = ending()
    if (error !== null) throw error
    if (answer !== null && !running.stopped) yield [{ type: 'end', finish: answer.finish }]
  } finally {
    if (!over) {
      // Left in the middle, by `break`, by an error of the consumer's, or by `return`.
      running.stopped = true
      running.stop()
      settleTake()
      ending()
    }
  }

  /** The next attempt that has something to show, or that ended well with nothing. */
  async function next(): Promise<Take | null> {
    if (running.stopped) return null
    const joins = seen.text !== '' || seen.reasoning !== ''
    const start = (order: Order): Take => {
      const started = openTake(order, { call, glue, joins, onUnread: endUnread })
      takes.push(started)
      return started
    }
    // Two answers cannot both go on from one text.
    const hedgeAfterMs = (order: Order) => (broke === null && !joins ? begun.hedgeAfterMs(order) : null)
    return run(walk, start, { call, hedgeAfterMs, adapted: glue.fit })
  }

  function note(event: StreamEvent): void {
    if (event.type === 'text-delta') seen.text += event.text
    else if (event.type === 'reasoning-delta') seen.reasoning += event.text
    else if (event.type === 'restart') seen.text = seen.reasoning = ''
  }

  function attend({ step, form }: Way): void {
    running.model = step.model
    running.provider = step.provider
    running.host = step.host
    running.restore = form?.restore ?? asItIs
  }

  /** The attempt that has just ended goes on the bill. */
  function settleTake(): AttemptResult | null {
    const result = take?.result ?? null
    if (result === null) return null
    const worth = take?.judgement ?? result
    walk.note(result, { worth })
    return worth
  }

  function afterBreak({ order, assembly, result }: Take): Glue | null {
    if (call.cancellation.canceled) return null
    // Text alone cannot take back what it has said.
    if (call.policy.onBroken === 'restart')
      return running.linear && seen.text !== '' ? null : restarting(seen.text.length)
    // One that came whole and is not taken has no end to go on from.
    if (call.policy.onBroken === 'fail' || result?.failure === null) return null
    // No text to go on from: what was thought so far is thought again.
    if (seen.text === '' && !assembly.callsTools) return restarting(0)
    const seam = seamOf(seen.text, { assembly, request: order.request })
    return seam === null ? null : continuing(seam, placeOf(order))
  }

  /** Nobody is there to take what comes: whoever comes back finds it settled. */
  function endUnread(): void {
    // Before anything of it was taken, it is still the walk's.
    if (take === null) return
    settleTake()
    ending()
  }

  /** The record, then the completion or the error: settled once, whoever asks. */
  function ending(): Ended {
    ended ??= settled()
    return ended
  }

  function settled(): Ended {
    const walked = walk.outcome()
    const left = running.stopped && walked.won === null
    const outcome = left ? { ...walked, failure: failure('canceled') } : withBreak(walked)
    const usage = begun.settle(outcome)
    const { plan } = begun
    const result = outcome.last
    const planned = result?.way.step.model ?? ''
    if (outcome.won?.answer != null || (running.stopped && !call.cancellation.canceled)) {
      const answer = whole(result?.answer ?? NOTHING, result?.way.form)
      const { body: raw = null, data = null } = result ?? {}
      running.resolve(completionOf(answer, { usage, plan, raw, planned, data }))
      return { answer, error: null }
    }
    const error = errorOf({ call, plan, outcome, usage, partial: partial(result) })
    running.reject(error)
    return { answer: null, error }
  }

  /** The attempt that broke it decides: what failed after it does not hide it. */
  function withBreak(walked: Outcome): Outcome {
    if (broke === null || glue.shown || walked.won !== null || walked.failure?.kind === 'canceled') return walked
    return { ...walked, last: broke, failure: broke.failure }
  }

  /** The answer as it was seen, which is more than the last attempt's when several were joined. */
  function whole(answer: Answer, form: Form | undefined): Answer {
    // What is said before a tool takes the answer is no part of it.
    if (answer.text === seen.text || form?.kind === 'tool') return answer
    const { reasoning_details: _, reasoning: __, ...message } = answer.message
    const reasoning = seen.reasoning || null
    const joined = { ...message, content: seen.text, ...(reasoning !== null && { reasoning }) }
    return { ...answer, text: seen.text, reasoning, message: joined }
  }

  /** What was seen of an answer that is not whole; `null` when nothing was. */
  function partial(last: AttemptResult | null): PartialAnswer | null {
    const toolCalls = last?.answer?.toolCalls ?? []
    return seen.text === '' && seen.reasoning === '' && !glue.shown ? null : { ...seen, toolCalls }
  }
}

/** One attempt of a stream, as its pieces join what was seen before. */
interface Take extends Trial {
  readonly order: Order
  readonly assembly: Assembly
  /** What could be seen of it first. */
  readonly first: readonly StreamEvent[]
  /** What can be seen next; nothing: it is over. */
  read(): Promise<readonly StreamEvent[]>
  /** Calls of tools, which nobody sees before they are checked. */
  released(): readonly StreamEvent[]
  /** Finds out what a whole answer is worth. */
  judge(): Promise<void>
  /** What it is worth, once that is known. */
  readonly judgement: AttemptResult | null
}

function openTake(
  order: Order,
  about: { readonly call: Call; readonly glue: Glue; readonly joins: boolean; onUnread(): void },
): Take {
  const { call, glue, joins, onUnread } = about
  const live = openLive(call, order, onUnread)
  const deltas: Delta[] = []
  let first: readonly StreamEvent[] = []
  let unchecked = call.refuses !== null
  let looking: Judging | null = null
  const { form } = order.way
  const isTextOf = textsOf(form)
  const held: Delta[] = []
  const holds = call.demand !== null && call.demand.toolbox !== null
  const alone = answersAlone(call, order.way)

  async function read(): Promise<readonly StreamEvent[]> {
    const out: StreamEvent[] = []
    while (out.length === 0) {
      deltas.length = 0
      await live.read(deltas)
      if (deltas.length === 0) break
      if (unchecked) {
        unchecked = false
        // By the first piece it is known who answers; later it has been seen.
        const refused = call.refuses?.(call, order.way, live.heard() ?? NOTHING, null) ?? null
        if (refused !== null) {
          live.stop(refused)
          return out
        }
      }
      for (const each of deltas) {
        const delta = isTextOf(each)
        // A call where there is nothing to call is no part of the answer.
        if (delta === null || (alone && delta.type === 'tool-call-delta')) continue
        if (holds && delta.type === 'tool-call-delta' && (glue.shown || !glue.continues)) {
          held.push(delta)
          continue
        }
        if (glue.take(delta, out)) continue
        live.stop(NO_SEAM)
        return out
      }
    }
    return out
  }

  async function judge(): Promise<void> {
    const { result } = live
    if (result === null || call.demand === null) return
    looking ??= judging(call, result)
    await looking.done
  }

  const started = read().then((out) => {
    first = out
    // An answer of which nothing can be seen may still be none that is asked for.
    return out.length === 0 ? judge() : undefined
  })
  return {
    order,
    assembly: live.assembly,
    started,
    read,
    released() {
      const out: StreamEvent[] = []
      for (const delta of held.splice(0)) glue.take(delta, out)
      return out
    },
    judge,
    get judgement() {
      return looking?.worth ?? null
    },
    get first() {
      return first
    },
    get result() {
      return live.result
    },
    get worth() {
      const result = looking?.worth ?? live.result
      return result !== null && joins && !glue.shown ? unfitting(result, glue) : result
    },
    stop() {
      live.stop()
      looking?.giveUp()
    },
  }
}

/** The arguments of the tool that takes the answer are its text; those of a second call of it are nobody's. */
function textsOf(form: Form | undefined): (delta: Delta) => Delta | null {
  let taking: number | null = null
  return (delta) => {
    if (delta.type !== 'tool-call-delta' || !isAnswer(form, delta.name)) return delta
    taking ??= delta.index
    const text = delta.index === taking ? delta.arguments : ''
    return text === '' ? null : { type: 'text-delta', text }
  }
}

const asItIs = (value: unknown) => value

/**
 * An attempt of which nothing was joined. One that ended before it had written again what was said has continued
 * nothing; one that was refused may be for what only a continuation asks, and says nothing against another.
 */
function unfitting(result: AttemptResult, { continues }: Glue): AttemptResult {
  if (result.failure === null) {
    return { ...result, failure: NO_SEAM, record: Object.freeze({ ...result.record, outcome: NO_SEAM.kind }) }
  }
  return continues && VERDICTS[result.failure.kind].next === 'nowhere' && result.failure.kind !== 'canceled'
    ? { ...result, failure: NO_SEAM }
    : result
}

const NOTHING: Answer = {
  id: null,
  model: null,
  host: null,
  message: { role: 'assistant', content: null },
  text: '',
  reasoning: null,
  toolCalls: [],
  finish: { reason: 'unknown', raw: null },
  tokens: { prompt: null, cachedPrompt: null, cacheWrite: null, completion: null, reasoning: null, total: null },
  reportedUsd: null,
  tier: null,
  queueMs: null,
}
