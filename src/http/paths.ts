/** What a request is for, by its address alone. */
export type Purpose =
  | { readonly to: 'chat' | 'embeddings' | 'responses' | 'models' | 'nothing' }
  | { readonly to: 'model'; readonly id: string }

const CHAT: Purpose = Object.freeze({ to: 'chat' })
const EMBEDDINGS: Purpose = Object.freeze({ to: 'embeddings' })
const RESPONSES: Purpose = Object.freeze({ to: 'responses' })
const MODELS: Purpose = Object.freeze({ to: 'models' })
const NOTHING: Purpose = Object.freeze({ to: 'nothing' })

/**
 * Clients keep the addresses they have: whatever stands before the last words (`/v1`, `/api/v1`, `/openai/v1`) is theirs.
 * The path is read as URLs are: dots are gone from it, and a slash that is written `%2F` is a part of a name.
 */
export function purposeOf(address: string): Purpose {
  const path = pathOf(address)
  if (path === null) return NOTHING
  if (path.endsWith('/chat/completions')) return CHAT
  if (path.endsWith('/embeddings')) return EMBEDDINGS
  if (path.endsWith('/responses')) return RESPONSES
  if (path.endsWith('/models')) return MODELS
  const at = path.indexOf('/models/')
  if (at === -1) return NOTHING
  try {
    return { to: 'model', id: decodeURIComponent(path.slice(at + '/models/'.length)) }
  } catch {
    return NOTHING
  }
}

/** Usual addresses are cut where they have to be; a parser is asked about those with anything odd in them. */
const PLAIN = /^https?:\/\/[\w.:-]+(\/[\w/-]*)$/

function pathOf(address: string): string | null {
  const plain = PLAIN.exec(address)?.[1]
  if (plain !== undefined && !plain.includes('//') && !plain.endsWith('/')) return plain
  try {
    const { pathname } = new URL(address, 'http://localhost')
    let end = pathname.length
    while (end > 0 && pathname[end - 1] === '/') end -= 1
    return pathname.slice(0, end)
  } catch {
    return null
  }
}
