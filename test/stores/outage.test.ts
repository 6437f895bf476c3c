import { Redis } from 'ioredis'
import { redisStore } from 'modelfirst/redis'
import { createClient } from 'redis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, type TestContext, test } from 'vitest'
import { memoryStore } from '../../src/stores/memory.ts'
import type { Trouble } from '../../src/stores/outage.ts'
import { type SteadyStore, steady } from '../../src/stores/steady.ts'
import type { Store } from '../../src/stores/store.ts'
import { eventually } from '../support/server.ts'
import { createRedis, type RedisServer, redisInstalled, withRedis } from './redis-server.ts'

const LONG = 3_600_000
/** What a call waits for the store, and what a busy machine may add beyond the standstills that are measured. */
const PATIENCE = 50
const SLACK = 400

const seen = { calls: 0, longestMs: 0 }

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

interface Traffic {
  readonly calls: number
  readonly failed: readonly unknown[]
  /** The longest that a call took, beyond what this process stood still meanwhile. */
  readonly longestMs: number
}

/** Calls as a router makes them, several at a time, until it is told to stop. */
function traffic(store: Store): { end(): Promise<Traffic> } {
  let ends = false
  let calls = 0
  let longestMs = 0
  const failed: unknown[] = []
  async function timed(run: () => Promise<unknown>): Promise<void> {
    const start = performance.now()
    let last = start
    let still = 0
    const watch = setInterval(() => {
      still = Math.max(still, performance.now() - last - 1)
      last = performance.now()
    }, 1)
    try {
      await run()
    } catch (error) {
      failed.push(error)
    }
    clearInterval(watch)
    calls += 1
    longestMs = Math.max(longestMs, performance.now() - start - still)
  }
  async function caller(name: number): Promise<void> {
    for (let n = 0; !ends; n += 1) {
      const key = `session-${name}-${n % 7}`
      await timed(() => store.read(key))
      await timed(() => store.closed('gates'))
      await timed(() => store.add('budget', 1, { most: null, ttlMs: LONG }))
      await timed(() => store.close('gates', { [`gate ${n % 3}`]: 1000 }))
      await timed(() => store.write(key, `text ${n}`, LONG))
      await pause(2)
    }
  }
  const callers = [0, 1, 2, 3].map(caller)
  return {
    async end() {
      ends = true
      await Promise.all(callers)
      return { calls, failed, longestMs }
    },
  }
}

function expectUnharmed({ calls, failed, longestMs }: Traffic): void {
  expect(failed).toEqual([])
  expect(calls).toBeGreaterThan(100)
  expect(longestMs).toBeLessThan(PATIENCE + SLACK)
  seen.calls += calls
  seen.longestMs = Math.max(seen.longestMs, longestMs)
}

/** Connecting may take longer than a call would wait, which is no outage. */
async function answering(foreign: Store, store: SteadyStore): Promise<void> {
  await foreign.read('first')
  await eventually(() => {
    void store.read('first')
    return !store.trouble
  }, 5000)
  await store.read('first')
}

const clients = {
  async ioredis(port: number) {
    const client = new Redis(port)
    client.on('error', () => {})
    return { store: redisStore(client), end: () => client.disconnect() }
  },
  async 'node-redis'(port: number) {
    const client = createClient({ socket: { port } })
    client.on('error', () => {})
    await client.connect()
    return { store: redisStore(client), end: () => client.destroy() }
  },
}

describe.skipIf(!redisInstalled)(withRedis('a Redis that fails while calls go on'), () => {
  let server: RedisServer
  let raw: Redis
  beforeAll(async () => {
    server = await createRedis()
    raw = new Redis(server.port)
    raw.on('error', () => {})
  })
  afterAll(async () => {
    raw?.disconnect()
    await server?.close()
  })

  describe.each(Object.entries(clients))('through %s', (_name, make) => {
    let store: SteadyStore
    let end: () => unknown
    let troubles: Trouble[]
    beforeEach(async () => {
      troubles = []
      const made = await make(server.port)
      end = made.end
      const memory = memoryStore()
      store = steady(made.store, { memory, onTrouble: (trouble) => void troubles.push(trouble) })
      await answering(made.store, store)
    })
    afterEach(async () => {
      await store.drained()
      await end()
    })

    /** Whatever it was, it is told of once, and what is written afterwards arrives. */
    async function expectRecovered(): Promise<void> {
      await eventually(() => {
        void store.read('session-0-0')
        return !store.trouble
      }, 12_000)
      expect(troubles.map(({ state }) => state)).toEqual(['down', 'back'])
      for (const { error } of troubles) expect(error ?? '').toMatch(/^\w{0,30}$/)
      await store.drained()
      await store.write('afterwards', 'text', LONG)
      await store.add('afterwards', 5, { most: 10, ttlMs: LONG })
      await store.drained()
      expect(await raw.get('modelfirst:text:afterwards')).toBe('1:text')
      expect(await raw.get('modelfirst:sum:afterwards')).toBe('5')
      await raw.flushall()
    }

    test('killed and started again: nobody notices, and what it lost is known', async () => {
      const calls = traffic(store)
      await pause(100)
      await store.write('kept', 'text', LONG)
      await store.drained()
      await server.kill()
      await pause(300)
      expect(store.trouble).toBe(true)
      expect(await store.read('kept')).toBe('text')
      await server.start()
      await pause(300)
      expectUnharmed(await calls.end())
      expect(await raw.exists('modelfirst:text:kept')).toBe(0)
      expect(await store.read('kept')).toBe('text')
      await expectRecovered()
    })

    test('hanging, and going on', async () => {
      const calls = traffic(store)
      await pause(100)
      server.hang()
      await pause(400)
      expect(store.trouble).toBe(true)
      server.goOn()
      await pause(100)
      expectUnharmed(await calls.end())
      await expectRecovered()
    })
  })
})

/** Each with a server of its own, so that they may wait beside each other. */
describe.skipIf(!redisInstalled).concurrent(withRedis('a Redis that refuses while calls go on'), () => {
  async function watched({ onTestFinished }: TestContext) {
    const server = await createRedis()
    onTestFinished(() => server.close())
    const raw = new Redis(server.port)
    raw.on('error', () => {})
    onTestFinished(() => raw.disconnect())
    const { store: foreign, end } = await clients.ioredis(server.port)
    onTestFinished(() => void end())
    const troubles: Trouble[] = []
    const store = steady(foreign, { memory: memoryStore(), onTrouble: (trouble) => void troubles.push(trouble) })
    await answering(foreign, store)
    return { server, raw, store, troubles }
  }

  test.for<[string, (raw: Redis) => Promise<unknown>, (raw: Redis) => Promise<unknown>]>([
    ['READONLY', (raw) => raw.replicaof('127.0.0.1', 1), (raw) => raw.replicaof('NO', 'ONE')],
    [
      'MASTERDOWN',
      async (raw) => {
        await raw.config('SET', 'replica-serve-stale-data', 'no')
        await raw.replicaof('127.0.0.1', 1)
      },
      (raw) => raw.replicaof('NO', 'ONE'),
    ],
    ['OOM', (raw) => raw.config('SET', 'maxmemory', '1'), (raw) => raw.config('SET', 'maxmemory', '0')],
    [
      'NOPERM',
      (raw) => raw.call('ACL', 'SETUSER', 'default', '-evalsha', '-eval'),
      (raw) => raw.call('ACL', 'SETUSER', 'default', '+@all'),
    ],
  ])('%s fails no call, and is told of once', async ([, begin, finish], context) => {
    const { raw, store, troubles } = await watched(context)
    await begin(raw)
    const calls = traffic(store)
    await pause(200)
    expectUnharmed(await calls.end())
    expect(store.trouble).toBe(true)
    await finish(raw)
    await eventually(() => {
      void store.read('any')
      return !store.trouble
    }, 5000)
    expect(troubles).toEqual([
      { state: 'down', error: 'ReplyError' },
      { state: 'back', error: null },
    ])
    await store.drained()
  })

  test('LOADING fails no call', async (context) => {
    const { server, raw, store } = await watched(context)
    await raw.mset(Array.from({ length: 300 }, (_, n) => [`filling-${n}`, 'x'.repeat(2000)]).flat())
    await raw.save()
    const calls = traffic(store)
    await server.kill()
    // Two milliseconds for each of the keys.
    await server.start(['--key-load-delay', '2000', '--loading-process-events-interval-bytes', '1024'])
    const asking = new Redis(server.port, { enableReadyCheck: false })
    expect(await asking.get('filling-1').catch((error: Error) => error.message)).toMatch(/^LOADING/)
    asking.disconnect()
    await eventually(() => !store.trouble, 10_000)
    expectUnharmed(await calls.end())
    await store.drained()
  })

  test('a script that is forgotten is no outage', async (context) => {
    const { raw, store, troubles } = await watched(context)
    const calls = traffic(store)
    for (let n = 0; n < 10; n += 1) {
      await pause(20)
      await raw.script('FLUSH')
    }
    expectUnharmed(await calls.end())
    expect(troubles).toEqual([])
  })

  test('a store whose address nobody is at answers from memory at once', async ({ onTestFinished }) => {
    const client = new Redis(1, { retryStrategy: () => 100 })
    client.on('error', () => {})
    onTestFinished(() => client.disconnect())
    const troubles: Trouble[] = []
    const store = steady(redisStore(client), {
      memory: memoryStore(),
      onTrouble: (trouble) => void troubles.push(trouble),
    })
    const calls = traffic(store)
    await pause(1300)
    expectUnharmed(await calls.end())
    expect(troubles).toEqual([{ state: 'down', error: 'TimeoutError' }])
    await store.drained()
  })
})

/** Last, so that it is seen: the longest that any call took, over all that happened. */
afterAll(() => {
  if (redisInstalled) console.log(`the longest of ${seen.calls} calls took ${seen.longestMs.toFixed(1)} ms`)
})
