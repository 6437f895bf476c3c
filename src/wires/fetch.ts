import { notFollowed, Redirected, type Wire } from './wire.ts'

export type Fetch = (url: string, init: RequestInit) => Promise<Response>

/**
 * `fetch`, and nothing between it and the bytes.
 *
 * @example
 * ```ts
 * groq({ wire: fetchWire({ fetch: myFetch }) })
 * ```
 */
export function fetchWire(options: { readonly fetch?: Fetch | undefined } = {}): Wire {
  return {
    async send({ method, url, headers, body, signal }) {
      const redirect = refusal()
      const init: RequestInit = { method, headers, body, signal, redirect, window: null }
      try {
        // `fetch` is looked up at each call: tests and tracers replace it after we were made.
        return notFollowed(await (options.fetch ?? fetch)(url, init))
      } catch (error) {
        if (error instanceof Redirected) throw error
        if (redirect === 'error' && !signal.aborted && tellsOfRedirect(error)) throw new Redirected('redirected')
        throw error
      }
    },
  }
}

/**
 * How to refuse redirects. A request with `redirect: 'error'` and no window can never be sent a second time, so Node's
 * fetch does not copy its body for that: a quarter of the CPU of a call. Workers know only `manual`.
 */
function refusal(): 'error' | 'manual' {
  if (refused === undefined) {
    try {
      new Request('http://localhost', { redirect: 'error' })
      refused = 'error'
    } catch {
      refused = 'manual'
    }
  }
  return refused
}

let refused: 'error' | 'manual' | undefined

/**
 * There is no code for it in the standard, nor in any runtime but Bun; an address in the message may say `redirect` as
 * well.
 */
const REFUSED = /unexpected ?redirect|redirect mode/i

function tellsOfRedirect(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return REFUSED.test(error.message) || (error.cause instanceof Error && REFUSED.test(error.cause.message))
}
