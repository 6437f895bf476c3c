import type { Completion } from './completion.ts'
import { ConfigError } from './errors.ts'
import type { StreamEvent } from './glue.ts'
import { type Begun, produce, type Running } from './stream.ts'
import { responseOf } from './stream-response.ts'

/** An answer as it comes: read it once, as events, as text, or as a response. */
export interface CompletionStream extends AsyncIterable<StreamEvent> {
  /** The text alone. */
  readonly text: AsyncIterable<string>
  /**
   * The whole, with its usage; also after the loop was left early, then with what there was. When nobody reads the
   * stream, asking for this does.
   */
  readonly completion: Promise<Completion>
  /** A web `Response`: OpenAI's events, each written as it comes. */
  toResponse(init?: ResponseInit): Response
}

/** `watch` is told of the whole as soon as the call begins. */
export function createStream(
  begin: () => Promise<Begun>,
  watch: (completion: Promise<Completion>) => void,
): CompletionStream {
  const running: Running = { live: null, model: '', stopped: false, resolve: () => {}, reject: () => {} }
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
  const asked: Promise<IteratorResult<StreamEvent, void>>[] = []
  let reader: string | null = null
  let drained = false

  async function drain(): Promise<void> {
    for (let over = false; !over; ) {
      const next = events.next()
      asked.push(next)
      // An error is heard by whoever reads this promise, and in the completion.
      over = await next.then(
        ({ done }) => done === true,
        () => true,
      )
    }
  }

  function claim(how: string): AsyncIterableIterator<StreamEvent, void> {
    if (reader !== null) {
      const problem = `it is already read as ${reader}: read it once, and take the whole from stream.completion`
      throw new ConfigError('stream', problem)
    }
    reader = how
    return {
      next: () => asked.shift() ?? events.next(),
      async return() {
        running.stopped = true
        asked.length = 0
        // What is waited for ends at once; the generator itself cannot be ended before it does.
        running.live?.stop()
        // One step more, so that a stream that was never begun, or is only beginning, settles its record too.
        await events.next().catch(() => {})
        await events.return()
        return { done: true, value: undefined }
      },
      [Symbol.asyncIterator]() {
        return this
      },
    }
  }

  async function* texts(): AsyncGenerator<string, void> {
    const all: AsyncIterable<StreamEvent> = { [Symbol.asyncIterator]: () => claim('text') }
    for await (const event of all) if (event.type === 'text-delta') yield event.text
  }

  return Object.freeze({
    [Symbol.asyncIterator]: () => claim('events'),
    text: Object.freeze({ [Symbol.asyncIterator]: texts }),
    get completion() {
      if (reader === null && !drained) {
        drained = true
        void drain()
      }
      return completion
    },
    toResponse: (init?: ResponseInit) => responseOf(claim('a response'), { completion, running, init }),
  })
}
