import { ConfigError } from '../errors.ts'
import { ADD, CLOSE, CLOSED, type Script } from './redis-scripts.ts'
import {
  closings,
  gatesProblem,
  isShort,
  keyProblem,
  LONGEST_SHARED,
  lengthProblem,
  remaining,
  type Store,
  sumProblem,
  textProblem,
  wholeMs,
} from './store.ts'

/** What is asked of a client of ioredis. */
export interface IoredisClient {
  getrange(key: string, start: number, end: number): Promise<unknown>
  set(key: string, value: string, unit: 'PX', milliseconds: number): Promise<unknown>
  del(key: string): Promise<unknown>
  eval(script: string, keys: number, ...keysAndValues: string[]): Promise<unknown>
  evalsha(sha: string, keys: number, ...keysAndValues: string[]): Promise<unknown>
}

/** What is asked of a client of node-redis (`redis`), from version 4 on; a cluster, a pool and a sentinel have it too. */
export interface NodeRedisClient {
  getRange(key: string, start: number, end: number): Promise<unknown>
  set(key: string, value: string, options: { PX: number }): Promise<unknown>
  del(key: string): Promise<unknown>
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>
  evalSha(sha: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>
}

export interface RedisStoreOptions {
  /** What keys begin with (`modelfirst`). */
  readonly prefix?: string
}

/** The few commands that are needed, whoever sends them. */
interface Commands {
  start(key: string): Promise<unknown>
  set(key: string, value: string, ttlMs: number): Promise<unknown>
  del(key: string): Promise<unknown>
  run(sha: string, key: string, values: readonly string[]): Promise<unknown>
  send(script: string, key: string, values: readonly string[]): Promise<unknown>
}

/** Written before each text: what begins with anything else is not ours, or not of this version. */
const VERSION = '1:'
/** One byte more than the longest there is, so that a longer one is seen to be longer, and is not fetched whole. */
const LAST_BYTE = VERSION.length + LONGEST_SHARED

/**
 * Keeps what sessions, budgets and rate gates need in Redis, for as many processes as share it: sums are added and gates
 * closed in one step, and the time is Redis's own. The client is yours: its address, its TLS, its user and its end. Give
 * it a listener for `error`, as both clients want. One command touches one key, so a cluster will do; Redis 5 or later,
 * or what speaks like it.
 *
 * @param client A client of `ioredis`, or of `redis` (node-redis) from version 4 on; of a cluster too.
 *
 * @example
 * ```ts no-run
 * import { redisStore } from 'modelfirst/redis'
 * import { Redis } from 'ioredis'
 *
 * const store = redisStore(new Redis('redis://localhost:6379'))
 * await store.add('a-hash', 1, { most: 100, ttlMs: 60_000 })
 * ```
 */
export function redisStore(client: IoredisClient | NodeRedisClient, options: RedisStoreOptions = {}): Store {
  const { prefix = 'modelfirst' } = options
  if (!/^[\w.:-]{1,64}$/.test(prefix)) {
    throw new ConfigError('redisStore.prefix', 'expected 1 to 64 letters, digits or any of _ . : -')
  }
  const commands = commandsOf(client)

  /** By its hash, which Redis knows from the first time on, and in full when it does not. */
  async function run(script: Script, key: string, values: readonly string[]): Promise<unknown> {
    try {
      return await commands.run(await script.sha(), key, values)
    } catch (error) {
      if (codeOf(error) !== 'NOSCRIPT') throw error
      return commands.send(script.text, key, values)
    }
  }
  return Object.freeze({
    async read(key) {
      rejectOn(keyProblem(key))
      let found: unknown
      try {
        found = await commands.start(`${prefix}:text:${key}`)
      } catch (error) {
        // A list or a hash of somebody else's is no text of ours.
        if (codeOf(error) !== 'WRONGTYPE') throw error
      }
      const text = textOf(found)
      if (!text.startsWith(VERSION)) return null
      const value = text.slice(VERSION.length)
      return isShort(value) ? value : null
    },
    async write(key, value, ttlMs) {
      rejectOn(textProblem(key, value, ttlMs) ?? lengthProblem(value))
      const name = `${prefix}:text:${key}`
      if (ttlMs > 0) await commands.set(name, VERSION + value, wholeMs(ttlMs))
      else await commands.del(name)
    },
    async add(key, amount, limits) {
      rejectOn(sumProblem(key, amount, limits))
      const { most, ttlMs } = limits
      const values = [amount, most ?? Number.MAX_SAFE_INTEGER, wholeMs(ttlMs)].map(String)
      const sum = await run(ADD, `${prefix}:sum:${key}`, values)
      if (sum === null) return null
      // Clients may be set to give numbers as text.
      if (!Number.isSafeInteger(Number(sum))) throw new TypeError('Redis gave no sum')
      return Number(sum)
    },
    async close(key, gates) {
      rejectOn(gatesProblem(key, gates))
      const closing = closings(gates)
      if (closing.length === 0) return
      const values = closing.flatMap(([gate, milliseconds]) => [gate, String(milliseconds)])
      await run(CLOSE, `${prefix}:gates:${key}`, values)
    },
    async closed(key) {
      rejectOn(keyProblem(key))
      const found = await run(CLOSED, `${prefix}:gates:${key}`, [])
      return remaining(pairsIn(found), 0)
    },
  } satisfies Store)
}

function commandsOf(client: IoredisClient | NodeRedisClient): Commands {
  if (isNodeRedis(client)) {
    return {
      start: (key) => client.getRange(key, 0, LAST_BYTE),
      set: (key, value, ttlMs) => client.set(key, value, { PX: ttlMs }),
      del: (key) => client.del(key),
      run: (sha, key, values) => client.evalSha(sha, { keys: [key], arguments: [...values] }),
      send: (script, key, values) => client.eval(script, { keys: [key], arguments: [...values] }),
    }
  }
  if (isIoredis(client)) {
    return {
      start: (key) => client.getrange(key, 0, LAST_BYTE),
      set: (key, value, ttlMs) => client.set(key, value, 'PX', ttlMs),
      del: (key) => client.del(key),
      run: (sha, key, values) => client.evalsha(sha, 1, key, ...values),
      send: (script, key, values) => client.eval(script, 1, key, ...values),
    }
  }
  throw new ConfigError('redisStore', 'expected a client of ioredis, or one of redis (node-redis) from version 4 on')
}

function isNodeRedis(client: unknown): client is NodeRedisClient {
  return hasMethods(client, ['getRange', 'set', 'del', 'eval', 'evalSha'])
}

function isIoredis(client: unknown): client is IoredisClient {
  return hasMethods(client, ['getrange', 'set', 'del', 'eval', 'evalsha'])
}

function hasMethods(value: unknown, names: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false
  return names.every((name) => typeof Reflect.get(value, name) === 'function')
}

/** Redis says in the first word of an error what it is: that is its code, and the only place where it is. */
function codeOf(error: unknown): string {
  return error instanceof Error ? (error.message.split(' ', 1)[0] ?? '') : ''
}

/** Clients may be set to give bytes. */
function textOf(found: unknown): string {
  if (typeof found === 'string') return found
  return found instanceof Uint8Array ? new TextDecoder().decode(found) : ''
}

function* pairsIn(found: unknown): Generator<[string, number]> {
  if (!Array.isArray(found)) return
  for (let index = 0; index + 1 < found.length; index += 2)
    yield [textOf(found[index]), Number(textOf(found[index + 1]))]
}

function rejectOn(problem: Error | null): void {
  if (problem !== null) throw problem
}
