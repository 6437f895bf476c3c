import { groq, openrouter } from '../provider.ts'

/** The library's own providers, pointed at a sandbox. */
export function providersOf(sandbox: {
  readonly groq: { readonly url: string; readonly apiKey: string }
  readonly openrouter: { readonly url: string; readonly apiKey: string }
}) {
  return [
    groq({ apiKey: sandbox.groq.apiKey, baseURL: sandbox.groq.url }),
    openrouter({ apiKey: sandbox.openrouter.apiKey, baseURL: sandbox.openrouter.url }),
  ] as const
}
