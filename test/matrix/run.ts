import {
  type Completion,
  type CompletionStream,
  compatible,
  createRouter,
  groq,
  type Input,
  openrouter,
  type Provider,
  type Router,
  RouterError,
  type RouterEvent,
  type StreamEvent,
  type TaskPolicy,
  type UsageRecord,
} from 'modelfirst'
import { seeded } from 'modelfirst/sandbox'
import type { Canaries } from '../support/canaries.ts'
import type { Abort, CallPlan, Cell, Given } from './cell.ts'
import type { Sent, World } from './world.ts'

/** What came of one call. */
export interface Ended {
  readonly outcome: string
  readonly error: unknown
  readonly completion: Completion | null
  readonly usage: UsageRecord | null
  /** What a reader has who does as the events say. */
  readonly text: string
  readonly shown: string
  readonly settledAt: number
  readonly startedAt: number
  readonly abortedAt: number | null
  readonly oddities: readonly string[]
}

export interface Observed {
  readonly calls: readonly Ended[]
  readonly events: readonly RouterEvent[]
  readonly records: readonly UsageRecord[]
  readonly ledger: readonly UsageRecord[]
  readonly sent: readonly Sent[]
  readonly problems: readonly string[]
}

export const KEY = (secrets: Canaries, name: string) => `${secrets.key}-${name}`
const TASK = 'say'
export const MODEL = 'small'
export const VENDOR_MODEL = 'openai/gpt-oss-20b'

/** Units of time after everything settled, in which nothing may come any more. */
const QUIET = 50

/** One cell in one world. */
export async function run(cell: Cell, world: World, secrets: Canaries): Promise<Observed> {
  const { given } = cell
  const { hooks = {} } = given
  const plans = given.calls ?? [{}]
  const events: RouterEvent[] = []
  const records: UsageRecord[] = []
  const problems: string[] = []
  const hearers = new Set<Hearer>()
  const router = createRouter({
    providers: given.chain.map((name) => providerOf(name, { given, world, key: KEY(secrets, name) })),
    tasks: { [TASK]: policyOf(given) },
    on: (event) => {
      events.push(event)
      for (const hear of [...hearers]) hear(event)
    },
    sinks: [(record) => void records.push(record), ...(hooks.sink ? [hooks.sink] : [])],
    clock: world.clock,
    random: given.random ?? seeded(7),
    secret: given.secret ?? 'of the matrix',
  })
  if (hooks.on) router.on(hooks.on)
  await router.ready()
  const calls: Ended[] = plans.map(() => HUNG)
  const all = async () => {
    const running: Promise<unknown>[] = []
    for (const [index, plan] of plans.entries()) {
      if (!plan.overlaps) await Promise.all(running)
      if (plan.afterMs !== undefined) await wait(world, plan.afterMs)
      const call = callOf({ router, plan, given, world, secrets, hearers })
      running.push(call.then((ended) => (calls[index] = ended)))
    }
    await Promise.all(running)
  }
  if (!(await world.settled(all()))) problems.push('it hangs')
  const before = events.length
  if (world.clock.pending > 0) problems.push(`${world.clock.pending} timers are left`)
  await world.pass(QUIET)
  if (events.length > before) problems.push(`late: ${events.slice(before).map(({ type }) => type)}`)
  const patience = performance.now() + 2000
  while (world.busy() > 0 && performance.now() < patience) await new Promise((done) => setTimeout(done, 2))
  if (world.busy() > 0) problems.push(`${world.busy()} exchanges are still busy`)
  const ledger = [...router.ledger.records]
  if (!(await world.settled(router.close()))) problems.push('closing hangs')
  if (world.clock.pending > 0) problems.push(`${world.clock.pending} timers are left after closing`)
  problems.push(...world.unscripted)
  return { calls, events, records, ledger, sent: [...world.sent], problems }
}

type Hearer = (event: { readonly type: string }) => void

const HUNG: Ended = {
  outcome: 'hung',
  error: null,
  completion: null,
  usage: null,
  text: '',
  shown: '',
  startedAt: 0,
  settledAt: 0,
  abortedAt: null,
  oddities: [],
}

interface Calling {
  readonly router: Pick<Router<typeof TASK>, 'complete' | 'stream' | 'close'>
  readonly plan: CallPlan
  readonly given: Given
  readonly world: World
  readonly secrets: Canaries
  readonly hearers: Set<Hearer>
}

async function callOf({ router, plan, given, world, secrets, hearers }: Calling): Promise<Ended> {
  const { script } = world
  const startedAt = script.now()
  const controller = new AbortController()
  let abortedAt: number | null = null
  const abort = () => {
    abortedAt ??= script.now()
    controller.abort(new Error('the caller has had enough'))
  }
  const disarm = armed(plan.abort, { abort, script, hearers })
  const disarmClose = plan.close === undefined ? () => {} : script.timer(plan.close.at, () => void router.close())
  const options = {
    ...plan.options,
    ...(plan.session && { session: secrets.session }),
    ...(plan.abort && { signal: controller.signal }),
  }
  const input = plan.input ?? messagesOf(secrets)
  const seen = createSeen()
  let completion: Completion | null = null
  let error: unknown = null
  try {
    if (given.mode === 'whole') completion = await router.complete(TASK, input, options)
    else {
      const stream = router.stream(TASK, input, options)
      const hear = (event: StreamEvent) => {
        seen.note(event)
        for (const each of [...hearers]) each(event)
      }
      completion = await read(stream, { plan, world, hear, seen })
    }
  } catch (thrown) {
    error = thrown
  }
  const settledAt = script.now()
  disarm()
  disarmClose()
  const usage = completion?.usage ?? (RouterError.is(error) ? error.usage : null)
  if (!RouterError.is(error) && error !== null) seen.oddities.push(`threw ${String(error)}`)
  return {
    outcome: RouterError.is(error) ? error.kind : error === null ? (usage?.outcome ?? 'nothing') : 'thrown',
    error,
    completion,
    usage,
    text: given.mode === 'stream' ? seen.text : (completion?.text ?? ''),
    shown: seen.shown.join(' '),
    startedAt,
    settledAt,
    abortedAt,
    oddities: seen.oddities,
  }
}

async function read(
  stream: CompletionStream,
  { plan, world, hear, seen }: { plan: CallPlan; world: World; hear: (event: StreamEvent) => void; seen: Seen },
): Promise<Completion> {
  const { reader = {} } = plan
  if (reader.asks !== undefined) return readOtherwise(stream, reader.asks, seen)
  let count = 0
  let thrown: unknown = null
  try {
    for await (const event of stream) {
      hear(event)
      count += 1
      if (reader.leaves !== undefined && count >= reader.leaves) break
      if (reader.pauses !== undefined) await wait(world, reader.pauses)
    }
  } catch (error) {
    thrown = error
  }
  const [whole] = await Promise.allSettled([stream.completion])
  if (thrown === null) {
    if (whole.status === 'rejected') seen.oddities.push(`the loop ended well, but the completion says ${whole.reason}`)
    return stream.completion
  }
  if (whole.status === 'fulfilled') seen.oddities.push(`the loop threw ${thrown}, but there is a completion`)
  else if (whole.reason !== thrown) seen.oddities.push('the loop and the completion throw different errors')
  throw thrown
}

async function readOtherwise(stream: CompletionStream, asks: 'completion' | 'text' | 'response', seen: Seen) {
  if (asks === 'text') {
    for await (const text of stream.text) seen.note({ type: 'text-delta', text })
  } else if (asks === 'response') {
    const text = await stream.toResponse().text()
    seen.note({ type: 'text-delta', text: textOfEvents(text) })
    // A body tells of its failure in an event of its own; the record is where it always is.
  }
  const completion = await stream.completion
  if (asks === 'completion') seen.note({ type: 'text-delta', text: completion.text })
  return completion
}

function textOfEvents(body: string): string {
  let text = ''
  for (const [, data = ''] of body.matchAll(/^data: (\{.*)$/gm)) {
    const [, content = ''] = /"content":("(?:[^"\\]|\\.)*")/.exec(data) ?? []
    if (content !== '') text += JSON.parse(content)
  }
  return text
}

interface Seen {
  text: string
  readonly shown: string[]
  readonly oddities: string[]
  note(event: StreamEvent): void
}

function createSeen(): Seen {
  let ended = false
  const seen: Seen = {
    text: '',
    shown: [],
    oddities: [],
    note(event) {
      if (ended) seen.oddities.push(`${event.type} after the end`)
      const name = SHORT[event.type]
      if (seen.shown.at(-1) !== name) seen.shown.push(name)
      if (event.type === 'text-delta') {
        if (event.text === '') seen.oddities.push('a piece without text')
        seen.text += event.text
      } else if (event.type === 'restart') {
        if (event.discarded !== seen.text.length)
          seen.oddities.push(`restart discards ${event.discarded} of ${seen.text.length}`)
        seen.text = ''
      } else if (event.type === 'seam') {
        if (event.offset > seen.text.length) seen.oddities.push(`a seam at ${event.offset} of ${seen.text.length}`)
      } else if (event.type === 'end') ended = true
    },
  }
  return seen
}

const SHORT: Readonly<Record<StreamEvent['type'], string>> = {
  'text-delta': 'text',
  'reasoning-delta': 'reasoning',
  'tool-call-delta': 'tool',
  restart: 'restart',
  seam: 'seam',
  end: 'end',
}

/** Gets ready to give up; returns what forgets it. */
function armed(
  plan: Abort | undefined,
  { abort, script, hearers }: { abort: () => void; script: World['script']; hearers: Set<Hearer> },
): () => void {
  if (plan === undefined) return () => {}
  if ('on' in plan) {
    let left = plan.nth ?? 1
    const hear: Hearer = ({ type }) => {
      if (type !== plan.on) return
      left -= 1
      if (left === 0) abort()
    }
    hearers.add(hear)
    return () => void hearers.delete(hear)
  }
  if (plan.at === 'before') {
    abort()
    return () => {}
  }
  return script.timer(plan.at, abort)
}

export function wait(world: World, ms: number): Promise<void> {
  return new Promise((done) => {
    world.script.timer(ms, done)
  })
}

function messagesOf({ prompt, system, argument, user }: Canaries): Input {
  return {
    user,
    messages: [
      { role: 'system', content: `You are ${system}.` },
      { role: 'user', content: [{ type: 'text', text: `Say "${prompt}"!` }] },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'call_0', type: 'function', function: { name: 'look', arguments: `{"a":"${argument}"}` } }],
      },
      { role: 'tool', tool_call_id: 'call_0', content: argument },
      { role: 'user', content: 'Well?' },
    ],
  }
}

/** Time for a call where nothing else is said: nobody waits for it. */
export const LONGEST_CALL = 200_000

const PRICES = { input: 1, output: 2 }

function providerOf(name: string, { given, world, key }: { given: Given; world: World; key: string }): Provider {
  const terms = given.terms?.[name]
  const account = {
    apiKey: key,
    baseURL: HOME,
    wire: world.transport(name),
    ...(terms && { dataTerms: terms }),
  }
  if (name === 'groq') return groq(account)
  if (name === 'openrouter') return openrouter(account)
  const models = (given.models ?? [{ id: MODEL }]).map((model) => ({ ...model, prices: PRICES }))
  return compatible({ name, ...account, models })
}

/** Never asked: the wire stands in its place. */
const HOME = 'http://127.0.0.1:2/v1'

function policyOf({ chain, models, policy }: Given): TaskPolicy<string, string> {
  const isVendors = chain.includes('groq') || chain.includes('openrouter')
  return {
    model: models?.map(({ id }) => id) ?? (isVendors ? VENDOR_MODEL : MODEL),
    provider: chain,
    ...policy,
    limits: { timeoutMs: LONGEST_CALL, ...policy?.limits },
    request: { max_tokens: 100, ...policy?.request },
  }
}
