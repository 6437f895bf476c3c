import { memoryStore } from '../../src/stores/memory.ts'

/** A process of its own that fills a memory store with so many sessions, and tells what they take. */
const MANY = Number(process.argv[2])
const FEW = 1000
const READS = 50_000
const HOUR = 3_600_000

export interface Measured {
  /** Of an entry, its text included and its key not. */
  readonly bytes: number
  readonly nsFew: number
  readonly nsMany: number
  /** The longest that one call took while the store filled and while it was full. */
  readonly longestMs: number
  /** What is left when everything has been used, of those that were put in first. */
  readonly left: number
}

function hash(n: number): string {
  const part = Math.imul(n, 2_654_435_761) >>> 0
  return part.toString(16).padStart(8, '0').repeat(4)
}

function text(n: number): string {
  return JSON.stringify({
    v: 1,
    model: 'openai/gpt-oss-120b',
    place: 'openrouter/groq',
    at: 1_770_000_000_000 + n,
    sum: n,
  })
}

/** Keys as they come from a hash: each in one piece, and kept by whoever made it. */
function keysOf(count: number): readonly string[] {
  return Array.from({ length: count }, (_, n) => Buffer.from(hash(n), 'latin1').toString('latin1'))
}

function taken(): number {
  for (let n = 0; n < 2; n += 1) globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

async function nsPerRead(store: ReturnType<typeof memoryStore>, keys: readonly string[]): Promise<number> {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < 2; round += 1) {
    let at = 1
    const start = performance.now()
    for (let n = 0; n < READS; n += 1) {
      at = (at * 48_271) % 2_147_483_647
      void store.read(keys[at % keys.length] ?? '')
    }
    best = Math.min(best, ((performance.now() - start) * 1e6) / READS)
    await null
  }
  return best
}

async function main(): Promise<void> {
  const keys = keysOf(MANY)
  const few = memoryStore({ most: FEW })
  for (const [n, key] of keys.slice(0, FEW).entries()) await few.write(key, text(n), HOUR)
  const nsFew = await nsPerRead(few, keys.slice(0, FEW))
  const before = taken()
  const store = memoryStore({ most: MANY })
  let longestMs = 0
  const write = (key: string, n: number) => {
    const value = text(n)
    const start = performance.now()
    void store.write(key, value, HOUR)
    longestMs = Math.max(longestMs, performance.now() - start)
  }
  for (let n = 0; n < MANY; n += 1) write(keys[n] ?? '', n)
  const bytes = (taken() - before) / MANY
  const nsMany = await nsPerRead(store, keys)
  // A tenth is new: as many go, those that nobody asked for since.
  for (let n = 0; n < MANY / 10; n += 1) write(hash(MANY + n), n)
  let left = 0
  for (let n = 0; n < MANY; n += 1000) if ((await store.read(keys[n] ?? '')) !== null) left += 1000
  process.stdout.write(JSON.stringify({ bytes, nsFew, nsMany, longestMs, left } satisfies Measured))
}

void main()
