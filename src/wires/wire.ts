import type { HeaderReader } from '../answer.ts'
import type { Clock } from '../clock.ts'

/** One exchange as it goes out. */
export interface WireRequest {
  readonly method: 'GET' | 'POST'
  readonly url: string
  /** The same, below the base URL: for a client that has a base URL of its own. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | null
  readonly signal: AbortSignal
}

export interface WireReply {
  readonly status: number
  readonly headers: HeaderReader
  readonly body: ByteBody | null
  /** All of the body at once, where the wire can do that more cheaply. */
  text?(): Promise<string>
}

/** What is used of a `ReadableStream<Uint8Array>`: a wire that has something cheaper need not make one. */
export interface ByteBody {
  getReader(): ByteReader
  cancel(reason?: unknown): Promise<void>
}

export type BytesRead =
  | { readonly done: false; readonly value: Uint8Array }
  | { readonly done: true; readonly value?: Uint8Array | undefined }

export interface ByteReader {
  read(): Promise<BytesRead>
  cancel(reason?: unknown): Promise<void>
}

/**
 * How bytes travel. A wire sends once, retries nothing, and gives every answer back as it came, whatever its status.
 * It never follows a redirect: it gives it back, or throws `Redirected`. It throws only when there is no answer.
 */
export interface Wire {
  send(request: WireRequest): Promise<WireReply>
  /** Keys that it has sent of its own accord: an answer that repeats one is not quoted with it. */
  secrets?(): readonly string[]
}

/** The endpoint wanted the request to go elsewhere; it did not. */
export class Redirected extends Error {}

/** A fetch of the user's own may follow a redirect all the same: what comes from there is no answer. */
export function notFollowed(response: Response): Response {
  if (!response.redirected) return response
  discard(response)
  throw new Redirected('redirected')
}

/** A body larger than its cap, in decoded bytes: what a small compressed bomb becomes counts. */
export class TooLarge extends Error {}
/** A body that ended before it was whole. */
export class CutOff extends Error {}

/** Waits for a step of an exchange, or for the exchange to be given up, whichever is first. */
export type Await = <T>(step: Promise<T>) => Promise<T>

export interface ReadOptions {
  /** Decoded bytes at the most. */
  readonly most: number
  readonly until: Await
}

/** Reads a body to its end. */
export async function readText(reply: WireReply, options: ReadOptions): Promise<string> {
  if (reply.text !== undefined && isShort(reply)) return options.until(broken(reply.text()))
  const pile = createPile()
  await read(reply, options, pile)
  return pile.text()
}

/** A body that says how short it is, and is not compressed, needs no counting. */
function isShort({ headers }: WireReply): boolean {
  const length = Number(headers.get('content-length'))
  return length > 0 && length <= SHORT && headers.get('content-encoding') === null
}

const SHORT = 1024 * 1024

/** An error page may be any size, and may never end; its status and its beginning say it all. */
const MOST_ERROR_BYTES = 64 * 1024
const MOST_ERROR_TIME = 2000

class LongEnough extends Error {}

/** Reads the beginning of the page behind an error, as far as it comes soon. */
export async function readError(reply: WireReply, { until, clock }: { until: Await; clock: Clock }): Promise<string> {
  const pile = createPile()
  let stopTimer = () => {}
  const late = new Promise<never>((_, reject) => {
    stopTimer = clock.timer(MOST_ERROR_TIME, () => reject(new LongEnough()))
  })
  late.catch(() => {})
  try {
    await read(reply, { most: MOST_ERROR_BYTES, until: (step) => until(Promise.race([step, late])) }, pile)
  } catch (error) {
    if (!(error instanceof TooLarge || error instanceof CutOff || error instanceof LongEnough)) throw error
  } finally {
    stopTimer()
  }
  return pile.text()
}

/**
 * Each read is raced against giving up: a fetch body may stay pending for ever after its signal was aborted (seen with
 * Node 20).
 */
async function read(reply: WireReply, { most, until }: ReadOptions, pile: Pile): Promise<void> {
  if (reply.body === null) return
  const reader = reply.body.getReader()
  let left = most
  try {
    for (;;) {
      const { done, value } = await until(broken(reader.read()))
      if (done) return
      pile.put(value.byteLength > left ? value.subarray(0, left) : value)
      left -= value.byteLength
      if (left < 0) throw new TooLarge(`more than ${most} bytes`)
    }
  } catch (error) {
    // Not awaited: a body that does not come does not end on request either.
    reader.cancel(error).catch(() => {})
    throw error
  }
}

interface Pile {
  put(bytes: Uint8Array): void
  text(): string
}

const BLOCK = 16 * 1024

/**
 * Bytes as they came, made text at the end: a body that is given up for its size never takes the room of both. Small
 * pieces are put together, for one by one they would take many times their size.
 */
function createPile(): Pile {
  const pieces: Uint8Array[] = []
  let block = new Uint8Array(0)
  let used = 0
  const close = () => {
    if (used > 0) pieces.push(block.subarray(0, used))
    block = block.subarray(used)
    used = 0
  }
  return {
    put(bytes) {
      if (bytes.byteLength >= BLOCK / 4) {
        close()
        pieces.push(bytes)
        return
      }
      if (used + bytes.byteLength > block.byteLength) {
        close()
        block = new Uint8Array(BLOCK)
      }
      block.set(bytes, used)
      used += bytes.byteLength
    },
    text() {
      close()
      const decoder = new TextDecoder()
      let text = ''
      for (const piece of pieces) text += decoder.decode(piece, { stream: true })
      return text + decoder.decode()
    },
  }
}

/** A read that fails means that the body broke off. */
export async function broken<T>(read: Promise<T>): Promise<T> {
  try {
    return await read
  } catch (error) {
    throw new CutOff('the body ended early', { cause: error })
  }
}

/** Lets go of a body that nobody will read, so that its socket is free. */
export function discard(reply: WireReply): void {
  reply.body?.cancel().catch(() => {})
}
