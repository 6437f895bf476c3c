import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ConfigError } from '../../src/errors.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { createShelf } from '../../src/stores/shelf.ts'
import { quickClock } from '../properties/clock.ts'
import { runs } from '../support/runs.ts'

const LONG = 3_600_000

describe('the memory of one process', () => {
  test('forgets first what was not used for longest; a read is a use', async () => {
    const store = memoryStore({ most: 3 })
    for (const key of ['a', 'b', 'c']) await store.write(key, key, LONG)
    await store.read('a')
    await store.write('b', 'b again', LONG)
    await store.write('d', 'd', LONG)
    expect(await Promise.all(['a', 'b', 'c', 'd'].map((key) => store.read(key)))).toEqual(['a', 'b again', null, 'd'])
  })

  test('keeps what lives in preference to what is over', async () => {
    const clock = quickClock()
    const store = memoryStore({ most: 3, clock })
    await store.write('old', 'old', LONG)
    await store.write('over', 'over', 10)
    await store.write('also-over', 'x', 10)
    await store.read('old')
    await clock.advance(10)
    await store.write('new', 'new', LONG)
    expect(await store.read('old')).toBe('old')
  })

  test('goes by its clock: to the millisecond, and never later', async () => {
    const clock = quickClock()
    const store = memoryStore({ clock })
    await store.write('key', 'text', 1000)
    await store.add('key', 1, { most: null, ttlMs: 1000 })
    await store.close('key', { requests: 1000 })
    await clock.advance(999)
    expect(await store.read('key')).toBe('text')
    expect(await store.add('key', 1, { most: null, ttlMs: 1000 })).toBe(2)
    expect(await store.closed('key')).toEqual({ requests: 1 })
    await clock.advance(1)
    expect(await store.read('key')).toBeNull()
    expect(await store.add('key', 0, { most: null, ttlMs: 1000 })).toBe(0)
    expect(await store.closed('key')).toEqual({})
  })

  test('sets no timer', async () => {
    const clock = quickClock()
    const store = memoryStore({ clock })
    await store.write('key', 'text', 1000)
    await store.close('key', { requests: 1000 })
    expect(clock.pending).toBe(0)
  })

  test('bounds sums and gates as it bounds texts', async () => {
    const store = memoryStore({ most: 10 })
    for (let n = 0; n < 30; n += 1) {
      await store.add(`key-${n}`, 1, { most: null, ttlMs: LONG })
      await store.close(`key-${n}`, { requests: LONG })
    }
    expect(await store.add('key-0', 0, { most: null, ttlMs: LONG })).toBe(0)
    expect(await store.add('key-29', 0, { most: null, ttlMs: LONG })).toBe(1)
    expect(await store.closed('key-0')).toEqual({})
    expect(Object.keys(await store.closed('key-29'))).toEqual(['requests'])
  })

  test.each([0, -1, 1.5, Number.NaN, 1e9])('a bound that is none is refused: %d', (most) => {
    expect(() => memoryStore({ most })).toThrow(ConfigError)
  })

  test('learns a sum from a store that knows better', async () => {
    const clock = quickClock()
    const store = memoryStore({ clock })
    const ask = () => store.add('key', 0, { most: null, ttlMs: 1 })
    store.learn('key', 0, -1, 1000)
    expect(await ask()).toBe(0)
    store.learn('key', 8, 3, 1000)
    await clock.advance(600)
    store.learn('key', 9, 1, 1000)
    expect(await ask()).toBe(9)
    await clock.advance(400)
    expect(await ask(), 'it ends when it was going to').toBe(0)
    store.learn('key', 9, 1, 1000)
    await clock.advance(600)
    store.learn('key', 2, 2, 1000)
    await clock.advance(600)
    expect(await ask(), 'it was begun anew').toBe(2)
  })
})

test('a shelf is a map that forgets what was not used for longest, and what is over', () => {
  const key = fc.constantFrom(...'abcdefgh')
  const step = fc.oneof(
    fc.record({ is: fc.constant('put' as const), key, ttl: fc.integer({ min: 1, max: 20 }) }),
    fc.record({ is: fc.constant('find' as const), key }),
    fc.record({ is: fc.constant('drop' as const), key }),
    fc.record({ is: fc.constant('wait' as const), key, ms: fc.nat(6) }),
  )
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(step, { maxLength: 60, size: 'max' }), (most, steps) => {
      const shelf = createShelf<number>(most)
      /** In the order of their use. */
      let model: { key: string; value: number; end: number }[] = []
      let now = 0
      for (const [value, each] of steps.entries()) {
        const at = model.findIndex((entry) => entry.key === each.key)
        const known = model[at]
        if (each.is === 'wait') now += each.ms
        if (each.is === 'drop') {
          shelf.drop(each.key)
          model = model.filter((entry) => entry !== known)
        }
        if (each.is === 'find') {
          const slot = shelf.find(each.key, now)
          expect(slot >= 0).toBe(known !== undefined && known.end > now)
          model = model.filter((entry) => entry !== known)
          if (slot >= 0 && known !== undefined) {
            expect([shelf.valueAt(slot), shelf.endAt(slot)]).toEqual([known.value, known.end])
            model.push(known)
          }
        }
        if (each.is === 'put') {
          const { ttl } = each
          shelf.put(each.key, value, now + ttl, now)
          model = model.filter((entry) => entry !== known)
          if (known === undefined) {
            for (let swept = 0; swept < 2 && (model[0]?.end ?? Number.POSITIVE_INFINITY) <= now; swept += 1)
              model.shift()
            if (model.length >= most) model.shift()
          }
          model.push({ key: each.key, value, end: now + ttl })
        }
        expect(shelf.size).toBe(model.length)
        expect(shelf.size).toBeLessThanOrEqual(most)
      }
    }),
    runs(4), // Each is sixty steps, and asks after every one of them.
  )
})
