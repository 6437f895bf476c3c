import type { ToolCall } from './chat.ts'
import type { Completion } from './completion.ts'
import { ConfigError } from './errors.ts'
import type { StreamEvent } from './glue.ts'
import { createPartial } from './partial.ts'
import { type Begun, produce, type Running } from './stream.ts'
import { OPEN, type Opening, responseOf } from './stream-response.ts'

/** As far as it has come: what is missing may still come, and a text may go on, also one that will be one of a few. */
export type Partially<Given> = Given extends readonly (infer Each)[]
  ? readonly Partially<Each>[]
  : Given extends string
    ? string
    : Given extends object
      ? { readonly [Key in keyof Given]?: Partially<Given[Key]> }
      : Given

/** An answer as it comes: read it once, as events, as text, or as a response. */
export interface CompletionStream<Data = unknown, Call extends ToolCall = ToolCall, Given = unknown>
  extends AsyncIterable<StreamEvent> {
  /**
   * The text alone. It has no way to say that all is void and begins anew, so a stream that breaks fails here even where
   * the policy says `restart`.
   */
  readonly text: AsyncIterable<string>
  /**
   * The answer as far as the model has written it, each time that more of it is known. Only the last one is checked, and
   * what the schema makes of it is in the completion. Without a schema, any JSON.
   */
  readonly partial: AsyncIterable<Partially<Given>>
  /**
   * The whole, with its usage; also after the loop was left early, then with what there was. When nobody reads the
   * stream, asking for this does.
   */
  readonly completion: Promise<Completion<Data, Call>>
  /** A web `Response`: OpenAI's events, each written as it comes. */
  toResponse(init?: ResponseInit): Response
}

/** `watch` is told of the whole as soon as the call begins. */
export function createStream(
  begin: () => Promise<Begun>,
  watch: (completion: Promise<Completion>) => void,
): CompletionStream {
  const running: Running = {
    linear: false,
    id: '',
    model: '',
    provider: '',
    host: null,
    restore: (value) => value,
    created: 0,
    stopped: false,
    stop: () => {},
    resolve: () => {},
    reject: () => {},
  }
  const completion = new Promise<Completion>((resolve, reject) => {
    running.resolve = resolve
    running.reject = reject
  })
  // Who reads the events hears of an error there; asking for the completion too is not a duty.
  completion.catch(() => {})
  const events = produce(() => {
    watch(completion)
    return begin()
  }, running)
  /** What was asked for on behalf of `completion`, for whoever comes for the events later; in order, some pending. */
  const asked: Promise<IteratorResult<readonly StreamEvent[], void>>[] = []
  /** What is read ahead of whoever comes for it may be of an attempt that was asked in another form. */
  const restores = new WeakMap<Batch, Running['restore']>()
  let reader: string | null = null
  let drained = false

  async function drain(): Promise<void> {
    for (let over = false; !over; ) {
      const next = events.next()
      asked.push(next)
      // An error is heard by whoever reads this promise, and in the completion.
      over = await next.then(
        ({ done, value }) => {
          if (value !== undefined) restores.set(value, running.restore)
          return done === true
        },
        () => true,
      )
    }
  }

  /** Reads as `how`, for what `pick` makes of the events that came together. */
  function claim<T>(how: string, pick: (batch: Batch) => readonly T[]): AsyncIterableIterator<T, void> {
    if (reader !== null) {
      const problem = `it is already read as ${reader}: read it once, and take the whole from stream.completion`
      throw new ConfigError('stream', problem)
    }
    reader = how
    running.linear = how === 'text'
    let batch: readonly T[] = []
    let at = 0
    let pending: Promise<unknown> | null = null
    const more = async (): Promise<IteratorResult<T, void>> => {
      try {
        for (;;) {
          const next = await (asked.shift() ?? events.next())
          if (next.done) return { done: true, value: undefined }
          batch = pick(next.value)
          const [value] = batch
          at = 1
          if (value !== undefined) return { done: false, value }
        }
      } finally {
        pending = null
      }
    }
    const iterator: AsyncIterableIterator<T, void> = {
      next() {
        // Whoever asks twice without waiting is answered in order.
        if (pending !== null) return pending.then(iterator.next, iterator.next)
        const value = batch[at++]
        if (value !== undefined) return Promise.resolve({ done: false, value })
        const next = more()
        pending = next
        return next
      },
      async return() {
        running.stopped = true
        asked.length = 0
        batch = []
        // What is waited for ends at once; the generator itself cannot be ended before it does.
        running.stop()
        // One step more, so that a stream that was never begun, or is only beginning, settles its record too.
        await events.next().catch(() => {})
        await events.return()
        return { done: true, value: undefined }
      },
      [Symbol.asyncIterator]: () => iterator,
    }
    return iterator
  }

  const stream = {
    [Symbol.asyncIterator]: () => claim('events', all),
    text: Object.freeze({ [Symbol.asyncIterator]: () => claim('text', textOf) }),
    partial: Object.freeze({
      [Symbol.asyncIterator]: () =>
        claim(
          'partial',
          partially((batch) => restores.get(batch) ?? running.restore),
        ),
    }),
    [OPEN]: (): Opening => ({ events: claim('a response', all), completion, running }),
    toResponse: (init?: ResponseInit) => responseOf(claim('a response', all), { completion, running, init }),
    [WHOLE]() {
      if (reader === null && !drained) {
        drained = true
        void drain()
      }
      return completion
    },
  }
  return Object.freeze(Object.setPrototypeOf(stream, STREAM))
}

const WHOLE = Symbol('completion')

/**
 * Asking for the completion starts the call: by the prototype, so that whoever copies or prints a stream does not ask.
 */
const STREAM: Pick<CompletionStream, 'completion'> & ThisType<{ [WHOLE](): Promise<Completion> }> = Object.freeze({
  get completion() {
    return this[WHOLE]()
  },
})

type Batch = readonly StreamEvent[]

const all = (batch: Batch) => batch

/** What begins anew is begun anew here as well; several pieces that came together are one step. */
function partially(restoreOf: (batch: Batch) => Running['restore']): (batch: Batch) => readonly unknown[] {
  let growing = createPartial()
  return (batch) => {
    let changed = false
    for (const event of batch) {
      if (event.type === 'restart') growing = createPartial()
      else if (event.type === 'text-delta') changed = growing.feed(event.text) || changed
    }
    return changed ? [restoreOf(batch)(growing.value)] : []
  }
}

/** What came with the same bytes is one piece: in text alone nobody can tell. */
function textOf(batch: Batch): readonly string[] {
  let text = ''
  for (const event of batch) if (event.type === 'text-delta') text += event.text
  return text === '' ? [] : [text]
}
