import type { ServerResponse } from 'node:http'
import type { Clock } from '../clock.ts'

/** Pieces on their way to a client that may be slow. */
export interface Outflow {
  /** Settles when the next piece may come: at once, or when the client has taken enough. `false`: it never will. */
  take(piece: Uint8Array): Promise<boolean> | true
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
  let held: Uint8Array[] = []
  let size = 0

  function flush(): void {
    const pieces = held
    const length = size
    held = []
    size = 0
    if (length === 0 || response.destroyed) return
    response.write(joined(pieces, length))
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
      if (held.length === 0) nextTick(flush)
      held.push(piece)
      size += piece.byteLength
      if (size >= MOST_HELD) flush()
      return response.writableNeedDrain ? drained() : true
    },
    end() {
      flush()
      response.end()
    },
  }
}

export function joined(pieces: readonly Uint8Array[], length: number): Uint8Array {
  const [only, ...more] = pieces
  if (only !== undefined && more.length === 0) return only
  const whole = new Uint8Array(length)
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.byteLength
  }
  return whole
}
