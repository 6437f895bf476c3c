import { type Cancellation, createCancellation } from './cancellation.ts'
import type { Clock } from './clock.ts'
import { RouterError } from './errors.ts'
import { kindOfStatus } from './failure.ts'
import type { Provider } from './provider.ts'
import { type Await, discard, readText, TooLarge } from './wires/wire.ts'

/** A question to a provider that is no call: its lists, its bills. */
export interface Inquiry {
  readonly clock: Clock
  readonly closing: Cancellation
  readonly signal?: AbortSignal | undefined
  /** What stays as it was, for the error. */
  readonly otherwise: string
  /** What is not there (a 404) is `undefined`, and no error. */
  readonly mayLack?: boolean
}

const MOST_BYTES = 32 * 1024 * 1024
const LONGEST = 30_000

/** The JSON that a provider answers with; a `RouterError` for anything else. */
export async function inquire(provider: Provider, path: string, about: Inquiry): Promise<unknown> {
  const { clock, closing, signal, otherwise, mayLack = false } = about
  // What is asked for by an id is told without it.
  const where = `${provider.name}${path.split('?', 1)[0]}`
  const controller = new AbortController()
  const cancellation = createCancellation(signal, closing)
  const stopTimer = clock.timer(LONGEST, () => cancellation.cancel(undefined))
  cancellation.listen(() => controller.abort())
  const until: Await = (step) =>
    new Promise((resolve, reject) => {
      cancellation.listen(reject)
      step.then(resolve, reject)
    })
  try {
    const reply = await until(provider.send({ method: 'GET', path, signal: controller.signal }))
    if (reply.status !== 200) {
      discard(reply)
      if (reply.status === 404 && mayLack) return undefined
      throw new RouterError(`${where} answered ${reply.status}: ${otherwise}`, { kind: kindOfStatus(reply.status) })
    }
    return JSON.parse(await readText(reply, { most: MOST_BYTES, until }))
  } catch (error) {
    if (RouterError.is(error)) throw error
    if (error instanceof SyntaxError) {
      throw new RouterError(`${where} did not answer with JSON: ${otherwise}`, { kind: 'bad-response' })
    }
    if (error instanceof TooLarge) {
      const message = `${where} answered with more than ${MOST_BYTES} bytes: ${otherwise}`
      throw new RouterError(message, { kind: 'bad-response' })
    }
    const message = `${where} could not be asked: ${otherwise}; check the network and the base URL`
    throw new RouterError(message, { kind: 'unreachable' })
  } finally {
    stopTimer()
    cancellation.release()
  }
}
