import type { Wire } from './wire.ts'

export type Fetch = (url: string, init: RequestInit) => Promise<Response>

/**
 * The default wire: `fetch`, and nothing between it and the bytes.
 *
 * @example
 * ```ts
 * groq({ wire: fetchWire({ fetch: myFetch }) })
 * ```
 */
export function fetchWire(options: { readonly fetch?: Fetch | undefined } = {}): Wire {
  return {
    // `fetch` is looked up at each call: tests and tracers replace it after we were made.
    send: ({ method, url, headers, body, signal }) =>
      (options.fetch ?? fetch)(url, { method, headers, body, signal, redirect: 'manual' }),
  }
}
