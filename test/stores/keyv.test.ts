import Keyv from 'keyv'
import { describe, expect, test } from 'vitest'
import { ConfigError } from '../../src/errors.ts'
import { type KeyvLike, keyvStore } from '../../src/stores/keyv.ts'
import type { Store } from '../../src/stores/store.ts'
import { quickClock } from '../properties/clock.ts'

const LONG = 3_600_000

describe('a Keyv as the store', () => {
  test('is told how long each thing lives, under a name that says whose it is', async () => {
    const calls: unknown[][] = []
    const clock = quickClock()
    const keyv: KeyvLike = {
      get: () => undefined,
      set: (key, _value, ttlMs) => void calls.push([key, ttlMs]),
      delete: (key) => void calls.push([key]),
    }
    const store = keyvStore(keyv, { clock, prefix: 'app' })
    await store.write('key', 'text', 1000.5)
    await store.write('key', 'text', 0)
    await store.add('key', 1, { most: null, ttlMs: 2000 })
    await store.close('key', { a: 3000, b: 4000 })
    expect(calls).toEqual([['app:text:key', 1001], ['app:text:key'], ['app:sum:key', 2000], ['app:gates:key', 4000]])
  })

  test('that forgets nothing by itself is a store all the same', async () => {
    const clock = quickClock()
    const store = keyvStore(new Map<string, string>(), { clock })
    await store.write('key', 'text', 1000)
    await store.add('key', 1, { most: null, ttlMs: 1000 })
    await store.close('key', { requests: 1000 })
    await clock.advance(1000)
    expect(await store.read('key')).toBeNull()
    expect(await store.closed('key')).toEqual({})
    expect(await store.add('key', 1, { most: null, ttlMs: 1000 })).toBe(1)
  })

  test.each([
    ['nothing', ''],
    ['what is no text', 5],
    ['an object', { value: '1:9999999999999:text' }],
    ['bytes', Buffer.from('1:9999999999999:5')],
    ['another version', '2:9999999999999:5'],
    ['no end', '1::5'],
    ['an end in a million years', '1:9999999999999999:5'],
    ['an end that is past', '1:1:5'],
    ['a megabyte', 'x'.repeat(1_000_000)],
    ['a megabyte that looks like ours', `1:${Date.now() + LONG}:${'x'.repeat(1_000_000)}`],
  ])('what is under a name of ours and not ours is nothing, and is overwritten: %s', async (_title, strange) => {
    const map = new Map<string, unknown>()
    const store = keyvStore(map)
    for (const kind of ['text', 'sum', 'gates']) map.set(`modelfirst:${kind}:key`, strange)
    expect(await store.read('key')).toBeNull()
    expect(await store.closed('key')).toEqual({})
    expect(await store.add('key', 2, { most: 5, ttlMs: LONG })).toBe(2)
    await store.write('key', 'ours', LONG)
    await store.close('key', { tokens: LONG })
    expect([await store.read('key'), Object.keys(await store.closed('key'))]).toEqual(['ours', ['tokens']])
  })

  test.each(['x', '{}', '[1,["a"],["a",null],[5,5],["a",1],["a",1e999]]', 'null', '-5', '1.5', '99999999999999999'])(
    'what is no sum and no gates inside is nothing: %s',
    async (inside) => {
      const map = new Map<string, unknown>()
      const store = keyvStore(map)
      for (const kind of ['sum', 'gates']) map.set(`modelfirst:${kind}:key`, `1:${Date.now() + LONG}:${inside}`)
      expect(await store.closed('key')).toEqual({})
      expect(await store.add('key', 2, { most: 5, ttlMs: LONG })).toBe(2)
    },
  )

  test('that says it did not take a text has failed', async () => {
    const keyv = new Keyv({
      store: {
        get: () => undefined,
        set() {
          throw new Error('down')
        },
        delete: () => true,
        clear: () => {},
      },
    })
    keyv.on('error', () => {})
    const store = keyvStore(keyv)
    await expect(store.write('key', 'text', LONG)).rejects.toThrow()
    await expect(store.add('key', 1, { most: null, ttlMs: LONG })).rejects.toThrow()
    await expect(store.close('key', { requests: LONG })).rejects.toThrow()
  })

  test('that never answers one question is asked the next one after a second', async () => {
    const clock = quickClock()
    const map = new Map<string, string>()
    let hangs = true
    const store = keyvStore(
      {
        get: (key) => (hangs ? new Promise(() => {}) : map.get(key)),
        set: (key, value) => map.set(key, value),
        delete() {},
      },
      { clock },
    )
    void store.add('key', 1, { most: null, ttlMs: LONG })
    hangs = false
    let sum: number | null = null
    void store.add('key', 2, { most: null, ttlMs: LONG }).then((given) => {
      sum = given
    })
    await clock.advance(999)
    expect(sum).toBeNull()
    await clock.advance(2)
    expect(sum).toBe(2)
    expect(clock.pending).toBe(0)
  })

  test('whose failure ends one turn does not end the next', async () => {
    const map = new Map<string, string>()
    let fails = true
    const store = keyvStore({
      get: (key) => map.get(key),
      set(key, value) {
        if (fails) throw new Error('down')
        map.set(key, value)
      },
      delete() {},
    })
    const first = store.add('key', 1, { most: null, ttlMs: LONG })
    const second = store.add('key', 2, { most: null, ttlMs: LONG })
    first.catch(() => {
      fails = false
    })
    await expect(first).rejects.toThrow('down')
    expect(await second).toBe(2)
  })
})

test.each([[undefined], [null], ['keyv'], [{}], [{ get() {}, set() {} }]])('what is no Keyv is refused: %j', (keyv) => {
  const make = keyvStore as (keyv: unknown) => Store
  expect(() => make(keyv)).toThrow(ConfigError)
})

test.each(['', 'a b', 'x'.repeat(65), 'ä'])('a prefix that cannot be one is refused: %j', (prefix) => {
  expect(() => keyvStore(new Map<string, string>(), { prefix })).toThrow(ConfigError)
})
