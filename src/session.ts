import { keep } from './bounded.ts'
import type { WarmPlace } from './way.ts'

/** Where sessions are at home, in this process, for as long as their cache is warm. */
export interface Sessions {
  /** The same id gives the same hash; nobody gets from the hash to the id. */
  hash(id: string): Promise<string>
  warm(hash: string, now: number): WarmPlace | null
  note(hash: string, place: WarmPlace, until: number): void
}

interface Pinned extends WarmPlace {
  readonly until: number
}

const MOST_SESSIONS = 100_000

export function createSessions(secret: string): Sessions {
  const pins = new Map<string, Pinned>()
  const encoder = new TextEncoder()
  let key: Promise<CryptoKey> | undefined
  return {
    async hash(id) {
      key ??= crypto.subtle.importKey('raw', encoder.encode(secret), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
      const signature = await crypto.subtle.sign('HMAC', await key, encoder.encode(id))
      return Array.from(new Uint8Array(signature, 0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('')
    },
    warm(hash, now) {
      const pin = pins.get(hash)
      if (pin === undefined) return null
      if (pin.until > now) return pin
      pins.delete(hash)
      return null
    },
    note(hash, place, until) {
      keep(pins, MOST_SESSIONS, hash, { model: place.model, provider: place.provider, host: place.host, until })
    },
  }
}
