import type { Server, ServerResponse } from 'node:http'
import type { Clock } from '../clock.ts'

/** An answer that is under way. */
export interface Exchange {
  readonly response: ServerResponse
  /** Stops what is asked upstream. */
  stop(): void
}

/** What is under way, and the way to an end without losing any of it. */
export interface Drain {
  readonly draining: boolean
  enter(exchange: Exchange): void
  leave(exchange: Exchange): void
  /** No new connection from now on; resolves when the last answer is out, or was cut off because the time is over. */
  end(): Promise<void>
}

export function createDrain(server: Server, { clock, drainMs }: { clock: Clock; drainMs: number }): Drain {
  const exchanges = new Set<Exchange>()
  let ended: Promise<void> | null = null
  let empty = () => {}

  async function end(): Promise<void> {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    // Older versions leave connections open on which nothing is asked.
    server.closeIdleConnections()
    for (const { response } of exchanges) if (!response.headersSent) response.shouldKeepAlive = false
    if (exchanges.size > 0) {
      await new Promise<void>((resolve) => {
        const stop = clock.timer(drainMs, resolve)
        empty = () => {
          stop()
          resolve()
        }
      })
    }
    for (const exchange of exchanges) exchange.stop()
    // What is left has asked for nothing yet, or has had its time.
    server.closeAllConnections()
    await closed
  }

  return {
    get draining() {
      return ended !== null
    },
    enter(exchange) {
      exchanges.add(exchange)
    },
    leave(exchange) {
      exchanges.delete(exchange)
      if (exchanges.size === 0) empty()
    },
    end() {
      ended ??= end()
      return ended
    },
  }
}
