import { type Clock, systemClock } from '../clock.ts'
import { ConfigError } from '../errors.ts'
import {
  closings,
  gatesProblem,
  isShort,
  keyProblem,
  LONGEST_MS,
  latest,
  lengthProblem,
  remaining,
  type Store,
  sumProblem,
  textProblem,
  wholeMs,
} from './store.ts'

/** What a Keyv has, and a `Map` too. */
export interface KeyvLike {
  get(key: string): unknown
  set(key: string, value: string, ttlMs?: number): unknown
  delete(key: string): unknown
}

export interface KeyvStoreOptions {
  /** What keys begin with (`modelfirst`). */
  readonly prefix?: string
  readonly clock?: Clock
}

interface Held {
  readonly end: number
  readonly value: string
}

/** The version, when it ends, and what it is. The end is written down because nobody can ask a Keyv for it. */
const HELD = /^1:(\d{1,16}):(.*)$/s
const SUM = /^\d{1,16}$/
/** Milliseconds after which a turn that does not end is no longer waited for: the next one may have better luck. */
const LONGEST_TURN = 1000

/**
 * Keeps what sessions, budgets and gates need in a Keyv, and so in anything that Keyv has an adapter for.
 *
 * Texts are shared by all processes that share the Keyv. **Sums and gates are exact within one process only**: a Keyv
 * cannot add in one step, so two processes that read, add and write at the same moment lose one of the two. Several
 * processes that keep one budget or one rate gate need `redisStore` from `modelfirst/redis`.
 *
 * A Keyv hides failed reads unless it was made with `throwOnErrors: true`: then a store that is down is known to be.
 *
 * @example
 * ```ts
 * import { keyvStore } from 'modelfirst'
 * import Keyv from 'keyv'
 *
 * const store = keyvStore(new Keyv())
 * await store.write('a-hash', 'a text', 60_000)
 * console.log(await store.read('a-hash'))
 * ```
 */
export function keyvStore(keyv: KeyvLike, options: KeyvStoreOptions = {}): Store {
  const { prefix = 'modelfirst', clock = systemClock } = options
  if (!isKeyvLike(keyv)) throw new ConfigError('keyvStore', 'expected a Keyv, or what has get, set and delete like one')
  if (keyProblem(prefix) !== null || prefix.length > 64) {
    throw new ConfigError('keyvStore.prefix', 'expected 1 to 64 visible ASCII characters')
  }
  const inTurn = createTurns(clock)

  async function held(key: string): Promise<Held | null> {
    const found = await keyv.get(key)
    if (typeof found !== 'string') return null
    const [, end, value] = HELD.exec(found) ?? []
    if (end === undefined || value === undefined) return null
    const left = Number(end) - clock.date()
    return left > 0 && left <= LONGEST_MS ? { end: Number(end), value } : null
  }
  async function hold(key: string, value: string, end: number): Promise<void> {
    const left = Math.max(1, Math.ceil(end - clock.date()))
    // A Keyv tells of a write that failed with `false`, unless it was told to throw.
    if ((await keyv.set(key, `1:${Math.ceil(end)}:${value}`, left)) === false)
      throw new Error('the Keyv did not take it')
  }
  async function gatesOf(key: string): Promise<Map<string, number>> {
    const found = await held(key)
    return new Map(found === null ? [] : endsIn(found.value, clock.date()))
  }
  return Object.freeze({
    async read(key) {
      rejectOn(keyProblem(key))
      const found = await held(`${prefix}:text:${key}`)
      return found !== null && isShort(found.value) ? found.value : null
    },
    async write(key, value, ttlMs) {
      rejectOn(textProblem(key, value, ttlMs) ?? lengthProblem(value))
      const name = `${prefix}:text:${key}`
      if (ttlMs > 0) await hold(name, value, clock.date() + wholeMs(ttlMs))
      else await keyv.delete(name)
    },
    async add(key, amount, limits) {
      rejectOn(sumProblem(key, amount, limits))
      const name = `${prefix}:sum:${key}`
      return inTurn(name, async () => {
        const found = await held(name)
        const known = found !== null && SUM.test(found.value) ? found : null
        const sum = Math.min(Number(known?.value ?? '0'), Number.MAX_SAFE_INTEGER)
        const next = sum + amount
        if (amount > 0 && next > (limits.most ?? Number.MAX_SAFE_INTEGER)) return null
        if (amount !== 0 && (known !== null || amount > 0)) {
          await hold(name, String(Math.max(0, next)), known?.end ?? clock.date() + wholeMs(limits.ttlMs))
        }
        return Math.max(0, next)
      })
    },
    async close(key, gates) {
      rejectOn(gatesProblem(key, gates))
      const closing = closings(gates)
      if (closing.length === 0) return
      const name = `${prefix}:gates:${key}`
      await inTurn(name, async () => {
        const ends = await gatesOf(name)
        const now = clock.date()
        for (const [gate, milliseconds] of closing) ends.set(gate, Math.max(now + milliseconds, ends.get(gate) ?? now))
        const kept = latest([...ends])
        await hold(name, JSON.stringify(kept), Math.max(...kept.map(([, end]) => end)))
      })
    },
    async closed(key) {
      rejectOn(keyProblem(key))
      return remaining(await gatesOf(`${prefix}:gates:${key}`), clock.date())
    },
  } satisfies Store)
}

function isKeyvLike(value: unknown): value is KeyvLike {
  if (typeof value !== 'object' || value === null) return false
  return ['get', 'set', 'delete'].every((name) => typeof Reflect.get(value, name) === 'function')
}

function rejectOn(problem: Error | null): void {
  if (problem !== null) throw problem
}

/** Gates with their ends, of what may be anything. */
function* endsIn(text: string, now: number): Generator<[string, number]> {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return
  }
  if (!Array.isArray(parsed)) return
  for (const each of parsed) {
    if (!Array.isArray(each)) continue
    const [gate, end]: unknown[] = each
    if (typeof gate === 'string' && typeof end === 'number' && end > now && end <= now + LONGEST_MS) yield [gate, end]
  }
}

/** One after the other, for each key: what is read is still so when it is written. */
function createTurns(clock: Clock): <Result>(key: string, run: () => Promise<Result>) => Promise<Result> {
  const last = new Map<string, Promise<unknown>>()
  const ended = (turn: Promise<unknown>) =>
    new Promise<void>((resolve) => {
      const cancel = clock.timer(LONGEST_TURN, resolve)
      const end = () => {
        cancel()
        resolve()
      }
      turn.then(end, end)
    })
  return (key, run) => {
    const before = last.get(key)
    const turn = before === undefined ? run() : ended(before).then(run)
    last.set(key, turn)
    const leave = () => {
      if (last.get(key) === turn) last.delete(key)
    }
    turn.then(leave, leave)
    return turn
  }
}
