import { type Clock, systemClock } from '../clock.ts'
import { ConfigError } from '../errors.ts'
import { createShelf } from './shelf.ts'
import {
  closings,
  gatesProblem,
  keyProblem,
  latest,
  remaining,
  type Store,
  sumProblem,
  textProblem,
  wholeMs,
} from './store.ts'

/** A store in this process: what is written can be read at once. */
export interface MemoryStore extends Store {
  /** A sum is this, by another store that knows better; one that was begun anew lives from now on. */
  learn(key: string, sum: number, amount: number, ttlMs: number): void
}

const MOST = 100_000
/** A map holds no more. */
const MOST_OF_ALL = 16_000_000

const NOTHING: Promise<null> = Promise.resolve(null)
const DONE: Promise<void> = Promise.resolve()
const OPEN: Promise<Readonly<Record<string, number>>> = Promise.resolve(Object.freeze({}))

/**
 * Keeps everything in this process, and forgets, above `most` texts, sums or gates, what was not used for longest.
 *
 * @param options.most How many texts are kept, and how many sums, and gates of how many keys (100,000). A text of a
 * hundred characters takes 250 bytes at the most.
 *
 * @example
 * ```ts
 * import { memoryStore } from 'modelfirst'
 *
 * const store = memoryStore({ most: 10_000 })
 * await store.write('a-hash', 'a text', 60_000)
 * console.log(await store.read('a-hash'))
 * ```
 */
export function memoryStore(options: { readonly most?: number; readonly clock?: Clock } = {}): MemoryStore {
  const { most = MOST, clock = systemClock } = options
  if (!(Number.isSafeInteger(most) && most >= 1 && most <= MOST_OF_ALL)) {
    throw new ConfigError('memoryStore.most', `expected a whole number from 1 to ${MOST_OF_ALL}`)
  }
  const texts = createShelf<string>(most)
  const sums = createShelf<number>(most)
  const gates = createShelf<ReadonlyMap<string, number>>(most)
  return Object.freeze({
    read(key: string) {
      const problem = keyProblem(key)
      if (problem !== null) return Promise.reject(problem)
      const slot = texts.find(key, clock.now())
      return slot < 0 ? NOTHING : Promise.resolve(texts.valueAt(slot) ?? null)
    },
    write(key, value, ttlMs) {
      const problem = textProblem(key, value, ttlMs)
      if (problem !== null) return Promise.reject(problem)
      const at = clock.now()
      if (ttlMs > 0) texts.put(key, value, at + wholeMs(ttlMs), at)
      else texts.drop(key)
      return DONE
    },
    add(key, amount, limits) {
      const problem = sumProblem(key, amount, limits)
      if (problem !== null) return Promise.reject(problem)
      const at = clock.now()
      const slot = sums.find(key, at)
      const sum = (slot < 0 ? undefined : sums.valueAt(slot)) ?? 0
      const next = sum + amount
      if (amount > 0 && next > (limits.most ?? Number.MAX_SAFE_INTEGER)) return NOTHING
      if (slot >= 0) sums.put(key, Math.max(0, next), sums.endAt(slot), at)
      else if (amount > 0) sums.put(key, next, at + wholeMs(limits.ttlMs), at)
      return Promise.resolve(Math.max(0, next))
    },
    close(key, closing) {
      const problem = gatesProblem(key, closing)
      if (problem !== null) return Promise.reject(problem)
      const at = clock.now()
      const slot = gates.find(key, at)
      const ends = new Map<string, number>()
      for (const [gate, end] of (slot < 0 ? undefined : gates.valueAt(slot)) ?? []) if (end > at) ends.set(gate, end)
      for (const [gate, milliseconds] of closings(closing)) {
        ends.set(gate, Math.max(at + milliseconds, ends.get(gate) ?? at))
      }
      if (ends.size === 0) return DONE
      const kept = new Map(latest([...ends]))
      gates.put(key, kept, Math.max(...kept.values()), at)
      return DONE
    },
    closed(key) {
      const problem = keyProblem(key)
      if (problem !== null) return Promise.reject(problem)
      const at = clock.now()
      const slot = gates.find(key, at)
      const ends = slot < 0 ? undefined : gates.valueAt(slot)
      return ends === undefined ? OPEN : Promise.resolve(remaining(ends, at))
    },
    learn(key, sum, amount, ttlMs) {
      const at = clock.now()
      const slot = sums.find(key, at)
      if (slot < 0 && sum === 0) return
      const goesOn = slot >= 0 && sum !== amount
      sums.put(key, sum, goesOn ? sums.endAt(slot) : at + wholeMs(ttlMs), at)
    },
  } satisfies MemoryStore)
}
