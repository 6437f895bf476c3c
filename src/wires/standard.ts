import { fetchWire } from './fetch.ts'
import { nodesDispatcher, undiciWire } from './undici.ts'
import type { Wire } from './wire.ts'

/**
 * The wire of whoever names none: what stands under Node's own `fetch`, where that is the `fetch` there is; anywhere
 * else, and wherever a test or a tracer has put another one in its place, `fetch` itself.
 */
export function standardWire(): Wire {
  const above = fetchWire()
  const below = undiciWire()
  let seen: unknown
  let isBelow = false
  return {
    send(request) {
      // Looked at again whenever it is another: tests replace it after we were made.
      if (globalThis.fetch !== seen) {
        seen = globalThis.fetch
        isBelow = isNodes(seen) && nodesDispatcher() !== null
      }
      return (isBelow ? below : above).send(request)
    },
  }
}

/** Node's own is a few lines that hand over to undici; whoever wraps it has other lines. */
function isNodes(given: unknown): boolean {
  if (typeof given !== 'function') return false
  const text = Function.prototype.toString.call(given)
  return text.length < LONGEST && /\blazyUndici\b|internal\/deps\/undici/.test(text)
}

const LONGEST = 2000
