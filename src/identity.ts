import { keep } from './bounded.ts'

/** Turns names into keyed hashes: the same name gives the same hash under one secret, and nobody gets back. */
export type Identity = (kind: string, ...names: readonly string[]) => Promise<string> | string

const MOST_REMEMBERED = 10_000
const LONGEST_REMEMBERED = 200
const BYTES = 16

export function createIdentity(secret: string): Identity {
  const encoder = new TextEncoder()
  // Signing takes longer than all the rest of a plan, and a conversation comes back.
  const remembered = new Map<string, string>()
  let key: Promise<CryptoKey> | undefined

  async function sign(text: string): Promise<string> {
    key ??= crypto.subtle.importKey('raw', encoder.encode(secret), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
    const signature = await crypto.subtle.sign('HMAC', await key, encoder.encode(text))
    const hash = Array.from(new Uint8Array(signature, 0, BYTES), (byte) => byte.toString(16).padStart(2, '0')).join('')
    return text.length > LONGEST_REMEMBERED ? hash : keep(remembered, MOST_REMEMBERED, text, hash)
  }

  return (...names) => {
    // As JSON no two lists of names are the same text, not even where they hold halves of characters.
    const text = JSON.stringify(names)
    return remembered.get(text) ?? sign(text)
  }
}
