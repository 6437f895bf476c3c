/** The router behind OpenAI's own protocol: in process, as a handler, or on a port. */
import { type OpenAIFetch, type OpenAIFetchOptions, openaiFetch } from './openai-fetch.ts'

export { type ServeLimits, type ServeOptions, type Serving, serve } from './serve.ts'
export type { OpenAIFetch, OpenAIFetchOptions }
export { openaiFetch }
