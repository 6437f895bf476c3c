import type { HeaderReader } from '../answer.ts'

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
  readonly body: ReadableStream<Uint8Array> | null
}

/**
 * How bytes travel. A wire sends once, follows no redirect, retries nothing, and gives every answer back as it came,
 * whatever its status; it throws only when there is no answer.
 */
export interface Wire {
  send(request: WireRequest): Promise<WireReply>
}

/** A body larger than its cap, in decoded bytes: what a small compressed bomb becomes counts. */
export class TooLarge extends Error {}
/** A body that ended before it was whole. */
export class CutOff extends Error {}

/**
 * Reads a body to its end, up to `most` bytes. The signal is raced against each read: a fetch body may stay pending
 * for ever after its own signal was aborted (seen with Node 20).
 */
export async function readText(reply: WireReply, options: { most: number; signal: AbortSignal }): Promise<string> {
  if (reply.body === null) return ''
  const { most, signal } = options
  const reader = reply.body.getReader()
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  let abort = () => {}
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason)
  })
  // Its rejection is heard below, in the race; this one is for when nobody is racing.
  aborted.catch(() => {})
  signal.addEventListener('abort', abort, { once: true })
  try {
    if (signal.aborted) throw signal.reason
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), aborted])
      if (done) return text + decoder.decode()
      bytes += value.byteLength
      if (bytes > most) throw new TooLarge(`more than ${most} bytes`)
      text += decoder.decode(value, { stream: true })
    }
  } catch (error) {
    // Not awaited: a body that does not come does not end on request either.
    reader.cancel(error).catch(() => {})
    if (signal.aborted || error instanceof TooLarge) throw error
    throw new CutOff('the body ended early', { cause: error })
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** Lets go of a body that nobody will read, so that its socket is free. */
export function discard(reply: WireReply): void {
  reply.body?.cancel().catch(() => {})
}
