import { keep } from '../bounded.ts'
import { type Clock, systemClock } from '../clock.ts'
import type { MemoryStore } from './memory.ts'
import { createOutage, type Trouble } from './outage.ts'
import { gatesProblem, isShort, keyProblem, type Store, sumProblem, textProblem } from './store.ts'

/** A store that nobody's call fails or waits for. */
export interface SteadyStore extends Store {
  /** The store is down, or too slow: what is answered is what this process knows, and sums are its own alone. */
  readonly trouble: boolean
  /** Resolves when nothing is on its way to the store any more; after a second at the latest. */
  drained(): Promise<void>
}

export interface SteadyOptions {
  /** What answers when the store does not. */
  readonly memory: MemoryStore
  readonly clock?: Clock
  /** For so long a call waits for the store (50). */
  readonly patienceMs?: number
  /** Told once when an outage begins and once when it is over. */
  readonly onTrouble?: (trouble: Trouble) => void
}

/** What is written waits for nobody, and so may take longer. */
const WRITE_PATIENCE = 1000
/** Above this, what is written goes to memory alone. */
const MOST_UNDER_WAY = 1000
/** Texts that are newer here than in the store. */
const MOST_UNSENT = 10_000
/** Sums that the store has yet to be told of. */
const MOST_DEBTS = 1000
/** For so long it is remembered of a text that it was to be forgotten. */
const FORGOTTEN_MS = 60_000

/** A text that the store has not taken, or not yet: until it has, what memory says counts. */
interface Unsent {
  readonly value: string
  readonly until: number
  readonly forgotten: boolean
}

/** What was added or given back without the store. */
interface Debt {
  readonly amount: number
  readonly until: number
}

/**
 * Puts a store that may be down, slow or wrong behind one that is not. A read is answered by the store, or within
 * `patienceMs` from memory; a write goes to memory at once, and to the store in the background. After a failure the store
 * is left alone for a while, all goes to memory, and one probe beside the calls finds out when it is back.
 *
 * What the store says counts, but for what it does not have, and for what was written here and has not arrived there. A
 * sum goes on in memory from where the store last said it was, in each process for itself; what was added meanwhile is
 * added in the store when it is back. Whether to spend at all without the store is for the caller to say, by `trouble`.
 *
 * What is wrong with a question itself (a key that no store takes) rejects as in any store, and is no outage.
 */
export function steady(store: Store, options: SteadyOptions): SteadyStore {
  const { memory, clock = systemClock, patienceMs = 50, onTrouble } = options
  const unsent = new Map<string, Unsent>()
  const onTheirWay = new Set<string>()
  const debts = new Map<string, Debt>()
  const outage = createOutage({ store, clock, patienceMs, onTrouble, onBack: payDebts })
  const { ask } = outage

  /** Sends something that nobody waits for; whoever sends it hears whether it arrived. */
  function send(run: () => Promise<unknown>, arrived: (answer: unknown) => void, lost: () => void, besides = 0): void {
    if (outage.resting() || outage.underWay >= MOST_UNDER_WAY + besides) {
      lost()
      return
    }
    outage.follow(
      ask(run, WRITE_PATIENCE).then((answer) => {
        if (answer.is === 'given') arrived(answer.value)
        else lost()
      }),
    )
  }
  /** One text of a key after the other, and of several that wait the last: a store may take the second sooner. */
  function sendText(key: string): void {
    const text = unsent.get(key)
    // What the store would refuse is no reason to think that it is down.
    if (text === undefined || onTheirWay.has(key) || !isShort(text.value)) return
    onTheirWay.add(key)
    const settled = (arrived: boolean) => {
      onTheirWay.delete(key)
      if (unsent.get(key) !== text) sendText(key)
      else if (arrived) unsent.delete(key)
    }
    const ttlMs = text.forgotten ? 0 : text.until - clock.now()
    send(
      () => store.write(key, text.value, ttlMs),
      () => settled(true),
      () => settled(false),
    )
  }
  /** What this process knows of a text and the store does not; `undefined`: nothing, the store is to be asked. */
  async function ownText(key: string): Promise<string | null | undefined> {
    const mark = unsent.get(key)
    if (mark === undefined) return undefined
    if (mark.until <= clock.now()) unsent.delete(key)
    else if (mark.forgotten) return null
    return (await memory.read(key)) ?? undefined
  }
  function owe(key: string, amount: number, ttlMs: number): void {
    const owed = debts.get(key)
    const now = clock.now()
    const known = owed !== undefined && owed.until > now ? owed : { amount: 0, until: now + ttlMs }
    if (known.amount + amount === 0) debts.delete(key)
    else keep(debts, MOST_DEBTS, key, { amount: known.amount + amount, until: known.until })
  }
  /** What was added without the store is added there when it is back. */
  function payDebts(): void {
    const now = clock.now()
    const owed = [...debts]
    debts.clear()
    for (const [key, { amount, until }] of owed) {
      const ttlMs = until - now
      if (ttlMs <= 0) continue
      const learn = (sum: unknown) => {
        if (isSum(sum)) memory.learn(key, sum, amount, ttlMs)
      }
      const pay = () => store.add(key, amount, { most: null, ttlMs })
      send(pay, learn, () => owe(key, amount, ttlMs), MOST_DEBTS)
    }
  }
  return Object.freeze({
    get trouble() {
      return outage.down
    },
    drained: () => outage.drained(),
    async read(key) {
      const problem = keyProblem(key)
      if (problem !== null) throw problem
      if (outage.resting()) return memory.read(key)
      const own = await ownText(key)
      if (own !== undefined) return own
      const answer = await ask(() => store.read(key), patienceMs)
      // What was written here meanwhile is newer.
      if (answer.is !== 'given' || typeof answer.value !== 'string' || unsent.has(key)) return memory.read(key)
      return answer.value
    },
    write(key, value, ttlMs) {
      const problem = textProblem(key, value, ttlMs)
      if (problem !== null) return Promise.reject(problem)
      const forgotten = ttlMs <= 0
      keep(unsent, MOST_UNSENT, key, { value, until: clock.now() + (forgotten ? FORGOTTEN_MS : ttlMs), forgotten })
      const written = memory.write(key, value, ttlMs)
      sendText(key)
      return written
    },
    async add(key, amount, limits) {
      const problem = sumProblem(key, amount, limits)
      if (problem !== null) throw problem
      const { ttlMs } = limits
      const byMemory = async () => {
        const sum = await memory.add(key, amount, limits)
        return { sum, added: sum === null ? 0 : amount }
      }
      if (outage.resting()) {
        const { sum, added } = await byMemory()
        owe(key, added, ttlMs)
        return sum
      }
      let own: Awaited<ReturnType<typeof byMemory>> | null = null
      let late: { readonly added: number } | null = null
      // The store and memory may have said two things; the difference is owed.
      const settle = () => {
        if (own !== null && late !== null) owe(key, own.added - late.added, ttlMs)
      }
      const answer = await ask(
        () => store.add(key, amount, limits),
        patienceMs,
        (afterwards) => {
          late = { added: isSum(afterwards) ? amount : 0 }
          settle()
        },
      )
      if (answer.is === 'given' && (answer.value === null || isSum(answer.value))) {
        if (answer.value !== null) memory.learn(key, answer.value, amount, ttlMs)
        return answer.value
      }
      own = await byMemory()
      // One that failed added nothing, as far as anybody knows; one that is late may still say.
      if (answer.is !== 'late') late = { added: 0 }
      settle()
      return own.sum
    },
    close(key, gates) {
      const problem = gatesProblem(key, gates)
      if (problem !== null) return Promise.reject(problem)
      const closed = memory.close(key, gates)
      send(
        () => store.close(key, gates),
        () => {},
        () => {},
      )
      return closed
    },
    async closed(key) {
      const problem = keyProblem(key)
      if (problem !== null) throw problem
      if (outage.resting()) return memory.closed(key)
      const answer = await ask(() => store.closed(key), patienceMs)
      const own = await memory.closed(key)
      return answer.is === 'given' ? later(own, answer.value) : own
    },
  } satisfies SteadyStore)
}

function isSum(value: unknown): value is number {
  return Number.isSafeInteger(value)
}

/** Each gate by its later end. */
function later(own: Readonly<Record<string, number>>, others: unknown): Readonly<Record<string, number>> {
  if (typeof others !== 'object' || others === null) return own
  const left = new Map(Object.entries(own))
  for (const [gate, milliseconds] of Object.entries(others)) {
    if (typeof milliseconds === 'number' && milliseconds > (left.get(gate) ?? 0)) left.set(gate, milliseconds)
  }
  return Object.freeze(Object.fromEntries(left))
}
