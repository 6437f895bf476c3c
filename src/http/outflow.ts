import type { ServerResponse } from 'node:http'
import type { Clock } from '../clock.ts'

/** Pieces on their way to a client that may be slow. */
export interface Outflow {
  /** Settles when the next piece may come: at once, or when the client has taken enough. `false`: it never will. */
  take(piece: string): Promise<boolean> | true
  /** What is held goes out, and with it the end. */
  end(): void
}

export interface OutflowOptions {
  readonly response: ServerResponse
  readonly clock: Clock
  /** Runs when everything that can go on by itself has done so. */
  readonly nextTick: (run: () => void) => void
  /** How long a client may take nothing. */
  readonly stallMs: number
}

/** More than one turn of the loop brings: beyond it, the next one has to wait. */
const MOST_HELD = 64 * 1024

/** Pieces that come together go out together: one write for each would cost as much as making them. */
export function createOutflow({ response, clock, nextTick, stallMs }: OutflowOptions): Outflow {
  let held = ''

  function flush(): void {
    const text = held
    held = ''
    if (text !== '' && !response.destroyed) response.write(text)
  }

  /** Whether the client took it in time. */
  function drained(): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (taken: boolean) => {
        stop()
        response.off('drain', onDrain)
        response.off('close', onClose)
        resolve(taken)
      }
      const onDrain = () => end(true)
      const onClose = () => end(false)
      const stop = clock.timer(stallMs, onClose)
      response.on('drain', onDrain)
      response.on('close', onClose)
    })
  }

  return {
    take(piece) {
      if (held === '') nextTick(flush)
      held += piece
      if (held.length >= MOST_HELD) flush()
      return response.writableNeedDrain ? drained() : true
    },
    end() {
      flush()
      endWith(response, { stallMs })
    },
  }
}

/** Ends an answer, all of which is with us by now: a client that takes nothing of it for too long is cut off. */
export function endWith(
  response: ServerResponse,
  { body, stallMs }: { readonly body?: string | null; readonly stallMs: number },
): void {
  response.end(body)
  // Node's own: it sees how much of a long text has gone, and is put back when the answer is out.
  if (response.writableLength > 0) response.socket?.setTimeout(stallMs)
}
