/**
 * Runs before a document's code: what is meant for the providers goes to the sandbox, so that the very code that
 * readers copy is the code that runs.
 */
const origins: Readonly<Record<string, string | undefined>> = {
  'https://api.groq.com': process.env.SANDBOX_GROQ,
  'https://openrouter.ai': process.env.SANDBOX_OPENROUTER,
}

const realFetch = globalThis.fetch

globalThis.fetch = (input, init) => {
  const url = new URL(input instanceof Request ? input.url : input)
  const origin = origins[url.origin]
  if (origin !== undefined) {
    const target = new URL(url.pathname + url.search, origin)
    return realFetch(input instanceof Request ? new Request(target, input) : target, init)
  }
  if (url.hostname === '127.0.0.1' || url.hostname === 'localhost') return realFetch(input, init)
  throw new Error(`a document asks ${url.origin}, which is not the sandbox`)
}

export {}
