import fc from 'fast-check'
import { Cluster, Redis } from 'ioredis'
import { redisStore } from 'modelfirst/redis'
import { createClient, createCluster } from 'redis'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { ConfigError } from '../../src/errors.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { steady } from '../../src/stores/steady.ts'
import type { Store } from '../../src/stores/store.ts'
import { runs } from '../support/runs.ts'
import { eventually } from '../support/server.ts'
import { storeContract } from './contract.ts'
import { createRedis, type RedisServer, redisInstalled, withRedis } from './redis-server.ts'

const LONG = 3_600_000

let server: RedisServer
let raw: Redis

beforeAll(async () => {
  if (!redisInstalled) return
  server = await createRedis()
  raw = new Redis(server.port)
})
afterAll(async () => {
  raw?.disconnect()
  await server?.close()
})

const clients = {
  async ioredis() {
    const client = new Redis(server.port)
    return { store: redisStore(client), end: () => client.disconnect() }
  },
  async 'node-redis'() {
    const client = createClient({ socket: { port: server.port } })
    await client.connect()
    return { store: redisStore(client), end: () => client.destroy() }
  },
}

describe.skipIf(!redisInstalled)(withRedis('a real Redis'), () => {
  for (const [name, make] of Object.entries(clients)) {
    storeContract({ name: `redisStore(${name})`, make, divisor: 20, longest: 1024 })
  }
  storeContract({
    name: 'steady(redisStore(ioredis))',
    async make() {
      const { store, end } = await clients.ioredis()
      return { store: steady(store, { memory: memoryStore(), patienceMs: 5000 }), end }
    },
    divisor: 20,
  })

  describe.each(Object.entries(clients))('through %s', (_name, make) => {
    let store: Store
    let end: () => unknown
    beforeAll(async () => {
      const made = await make()
      store = made.store
      end = made.end
      await raw.flushall()
    })
    afterAll(() => end())

    test('everything that is kept has an end, and a name that says whose it is', async () => {
      await raw.flushall()
      await store.write('hash', 'text', 60_000)
      await store.add('hash', 1, { most: null, ttlMs: 60_000 })
      await store.add('hash', 1, { most: null, ttlMs: 900_000 })
      await store.close('hash', { requests: 60_000, tokens: 1000 })
      const keys = (await raw.keys('*')).sort()
      expect(keys).toEqual(['modelfirst:gates:hash', 'modelfirst:sum:hash', 'modelfirst:text:hash'])
      for (const key of keys) {
        const left = await raw.pttl(key)
        expect(left, key).toBeGreaterThan(50_000)
        expect(left, key).toBeLessThanOrEqual(60_000)
      }
    })

    test('what is under a name of ours and not ours is nothing, and is overwritten', async () => {
      const strange: Record<string, (key: string) => Promise<unknown>> = {
        'a list': (key) => raw.rpush(key, 'a', 'b'),
        'a set': (key) => raw.sadd(key, 'a', 'b'),
        'a sorted set': (key) => raw.zadd(key, 1, 'a'),
        'a hash of other things': (key) => raw.hset(key, { requests: 'soon', tokens: '-5', other: '1e999', a: '' }),
        'a hash of ten thousand': (key) =>
          raw.hset(
            key,
            Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`g${n}`, `${Date.now() + LONG}`])),
          ),
        'bytes that are no text': (key) => raw.set(key, Buffer.from([0xff, 0xfe, 0, 0x80])),
        'a megabyte': (key) => raw.set(key, `1:${'x'.repeat(1_000_000)}`),
        'digits without an end': (key) => raw.set(key, '9'.repeat(40)),
        'a number that is not whole': (key) => raw.set(key, '1.5'),
        'a number that is none': (key) => raw.set(key, 'nan'),
        'an end in ten thousand years': (key) => raw.hset(key, { requests: '253402300799000' }),
        'a later version': (key) => raw.set(key, '2{"some":"thing"}'),
        nothing: (key) => raw.set(key, ''),
      }
      for (const [what, put] of Object.entries(strange)) {
        const names = ['text', 'sum', 'gates'].map((kind) => `modelfirst:${kind}:strange`)
        for (const name of names) {
          await raw.del(name)
          await put(name)
        }
        expect(await store.read('strange'), what).toBeNull()
        expect(await store.closed('strange'), what).toEqual({})
        expect(await store.add('strange', 0, { most: null, ttlMs: LONG }), what).toBe(0)
        expect(await store.add('strange', 2, { most: 5, ttlMs: LONG }), what).toBe(2)
        await store.write('strange', 'ours', LONG)
        await store.close('strange', { tokens: LONG })
        expect(await store.read('strange'), what).toBe('ours')
        expect(await store.add('strange', 3, { most: 5, ttlMs: LONG }), what).toBe(5)
        expect(Object.keys(await store.closed('strange')), what).toEqual(['tokens'])
        for (const name of names) expect(await raw.pttl(name), what).toBeGreaterThan(0)
      }
    })

    test('whatever bytes are under a name of ours, nothing fails, and what is written then is there', async () => {
      const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array))
      const near = fc.oneof(
        bytes,
        fc.stringMatching(/^1?:?[0-9-]{0,20}$/).map((text) => Buffer.from(text)),
      )
      await fc.assert(
        fc.asyncProperty(near, fc.array(fc.tuple(near, near), { minLength: 1, maxLength: 5 }), async (value, pairs) => {
          await raw.set('modelfirst:text:fuzzed', value)
          await raw.set('modelfirst:sum:fuzzed', value)
          await raw.del('modelfirst:gates:fuzzed')
          await raw.hset('modelfirst:gates:fuzzed', ...pairs.flat())
          const text = await store.read('fuzzed')
          if (text !== null) expect(value.toString()).toBe(`1:${text}`)
          expect(Object.values(await store.closed('fuzzed')).every((ms) => Number.isSafeInteger(ms) && ms > 0)).toBe(
            true,
          )
          const sum = await store.add('fuzzed', 0, { most: null, ttlMs: LONG })
          expect(sum === 0 || String(sum) === value.toString().replace(/^0+/, '')).toBe(true)
          await store.write('fuzzed', 'ours', LONG)
          await store.close('fuzzed', { ours: LONG })
          expect(await store.read('fuzzed')).toBe('ours')
          expect(await store.closed('fuzzed')).toHaveProperty('ours')
        }),
        runs(20), // Each is a dozen messages.
      )
    })

    test('a sum that somebody left without an end gets one', async () => {
      await raw.set('modelfirst:sum:endless', '4')
      expect(await store.add('endless', 1, { most: null, ttlMs: LONG })).toBe(5)
      expect(await raw.pttl('modelfirst:sum:endless')).toBeGreaterThan(0)
    })

    test('a script that Redis has forgotten is sent again', async () => {
      await raw.script('FLUSH')
      expect(await store.add('forgotten', 1, { most: null, ttlMs: LONG })).toBe(1)
      await raw.script('FLUSH')
      await store.close('forgotten', { requests: LONG })
      await raw.script('FLUSH')
      expect(Object.keys(await store.closed('forgotten'))).toEqual(['requests'])
    })

    test('a text of a megabyte that is not ours stays where it is', async () => {
      await raw.set('modelfirst:text:large', `1:${'x'.repeat(1_000_000)}`)
      const before = await sent()
      expect(await store.read('large')).toBeNull()
      expect((await sent()) - before).toBeLessThan(10_000)
    })

    test('Redis sees keys and values as they were given, as keys and values, and nothing else', async () => {
      const monitor = await raw.monitor()
      const seen: string[][] = []
      monitor.on('monitor', (_time: string, args: string[]) => seen.push(args))
      const hostile = `"]] redis.call('FLUSHALL') --`
      const key = `key-${Math.random().toString(36).slice(2)}`
      await store.write(key, hostile, LONG)
      await store.close(key, { [hostile]: LONG })
      await store.add(key, 7, { most: 10, ttlMs: LONG })
      expect(Object.keys(await store.closed(key))).toEqual([hostile])
      expect(await store.read(key)).toBe(hostile)
      const own = () => seen.filter(([command = '']) => /^(set|getrange|eval|evalsha)$/i.test(command))
      await eventually(() => own().length >= 5)
      monitor.disconnect()
      const allowed = new Set([key, hostile, `1:${hostile}`, '7', '10', `${LONG}`, '1', '0', '1026', 'PX'])
      for (const [command = '', first = '', ...others] of own()) {
        const script = /^eval/i.test(command)
        if (script) expect(first).not.toContain(key)
        if (script) expect(first).not.toContain('FLUSHALL')
        for (const each of script ? others : [first, ...others]) {
          expect(allowed.has(each.replace(/^modelfirst:(text|sum|gates):/, '')), `${command} ${each}`).toBe(true)
        }
      }
      expect(await store.read(key)).toBe(hostile)
    })
  })

  test('two processes with two clients share one sum and one gate', async () => {
    const [one, other] = await Promise.all(Object.values(clients).map((make) => make()))
    if (one === undefined || other === undefined) throw new Error('there are two')
    const limits = { most: 50, ttlMs: LONG }
    const sums = await Promise.all(
      Array.from({ length: 100 }, (_, n) => (n % 2 === 0 ? one : other).store.add('shared', 1, limits)),
    )
    expect(sums.filter((sum) => sum !== null).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 50 }, (_, n) => n + 1),
    )
    await Promise.all([one.store.close('shared', { a: LONG }), other.store.close('shared', { a: 1000, b: LONG })])
    const left = await one.store.closed('shared')
    expect(left.a).toBeGreaterThan(LONG / 2)
    expect(await other.store.closed('shared')).toHaveProperty('b')
    await one.end()
    await other.end()
  })

  test('two prefixes are two stores', async () => {
    const one = redisStore(raw, { prefix: 'one' })
    const other = redisStore(raw, { prefix: 'other' })
    await one.write('key', 'text', LONG)
    expect(await other.read('key')).toBeNull()
    expect(await raw.exists('one:text:key')).toBe(1)
  })

  test('a client that gives bytes, or numbers as text, is understood', async () => {
    const client = new Redis(server.port, { stringNumbers: true })
    expect(await redisStore(client).add('numbers', 3, { most: null, ttlMs: LONG })).toBe(3)
    client.disconnect()
  })

  test('a client with a prefix of its own keeps it', async () => {
    const client = new Redis(server.port, { keyPrefix: 'app:' })
    const store = redisStore(client)
    await store.write('prefixed', 'text', LONG)
    await store.add('prefixed', 1, { most: null, ttlMs: LONG })
    expect(await store.read('prefixed')).toBe('text')
    expect(await raw.exists('app:modelfirst:text:prefixed', 'app:modelfirst:sum:prefixed')).toBe(2)
    client.disconnect()
  })

  test('a cluster takes every command, through either client', async () => {
    const node = await createRedis(['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'])
    onTestFinished(() => node.close())
    const admin = new Redis(node.port)
    await admin.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
    let info = ''
    await eventually(() => {
      void admin.call('CLUSTER', 'INFO').then((said) => {
        info = String(said)
      })
      return info.includes('cluster_state:ok')
    }, 10_000)
    const url = { host: '127.0.0.1', port: node.port }
    const first = new Cluster([url])
    const second = createCluster({ rootNodes: [{ socket: url }] })
    await second.connect()
    for (const [name, store] of [
      ['ioredis', redisStore(first)],
      ['node-redis', redisStore(second)],
    ] as const) {
      for (let n = 0; n < 20; n += 1) {
        const key = `${name}-${n}`
        await store.write(key, 'text', LONG)
        await store.close(key, { requests: LONG })
        expect(await store.add(key, n + 1, { most: null, ttlMs: LONG })).toBe(n + 1)
        expect([await store.read(key), Object.keys(await store.closed(key))]).toEqual(['text', ['requests']])
      }
    }
    first.disconnect()
    second.destroy()
    admin.disconnect()
  })

  async function sent(): Promise<number> {
    const info = await raw.info('stats')
    return Number(/total_net_output_bytes:(\d+)/.exec(info)?.[1])
  }
})

test.each([
  ['nothing', undefined],
  ['an address', 'redis://localhost'],
  ['an object', {}],
  ['a Map', new Map()],
  ['half a client', { get() {}, set() {}, eval() {} }],
])('what is no client is refused: %s', (_title, client) => {
  const make = redisStore as (client: unknown) => Store
  expect(() => make(client)).toThrow(ConfigError)
  expect(() => make(client)).toThrow(/ioredis.*node-redis/)
})

test.each(['', 'a b', '{a}', 'x'.repeat(65), 'ä'])('a prefix that cannot be one is refused: %j', (prefix) => {
  const client = new Redis({ lazyConnect: true })
  expect(() => redisStore(client, { prefix })).toThrow(ConfigError)
})
