import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { memoryStore } from '../../src/stores/memory.ts'
import type { Store } from '../../src/stores/store.ts'
import { runs } from '../support/runs.ts'

export interface StoreUnderTest {
  readonly name: string
  readonly make: () => Promise<{ readonly store: Store; readonly end?: () => unknown }>
  /** How many times less often the property is tried: each command of it is a message. */
  readonly divisor: number
  /** What its own length for texts is, where it is not the longest there is. */
  readonly longest?: number
}

const LONG = 3_600_000
const SOON = 40

let made = 0
const fresh = () => {
  made += 1
  return `key-${made}-${Math.random().toString(36).slice(2)}`
}
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** What every store has to do, wherever it keeps things. */
export function storeContract({ name, make, divisor, longest = 65_536 }: StoreUnderTest): void {
  describe(name, () => {
    let store: Store
    let end: (() => unknown) | undefined
    beforeAll(async () => {
      const { store: started, end: ending } = await make()
      store = started
      end = ending
    })
    afterAll(async () => {
      await end?.()
    })

    test('a text is there until its time is over, and what comes later takes its place', async () => {
      const key = fresh()
      expect(await store.read(key)).toBeNull()
      await store.write(key, 'one', LONG)
      expect(await store.read(key)).toBe('one')
      await store.write(key, 'two', LONG)
      expect(await store.read(key)).toBe('two')
      await store.write(key, 'three', SOON)
      await pause(SOON + 20)
      expect(await store.read(key)).toBeNull()
    })

    test('a text comes back as it was', async () => {
      const key = fresh()
      const texts = ['', '1', 'null', '{"a":"ä\\u0000"}', '\u0000\r\n"\'', '€😀 ', 'x'.repeat(1024), '__proto__']
      for (const text of texts) {
        await store.write(key, text, LONG)
        expect(await store.read(key)).toBe(text)
      }
    })

    test('a text that lives for no time is forgotten at once', async () => {
      const key = fresh()
      await store.write(key, 'one', LONG)
      await store.write(key, 'two', 0)
      expect(await store.read(key)).toBeNull()
      await store.write(key, 'three', LONG)
      await store.write(key, 'four', -1)
      expect(await store.read(key)).toBeNull()
    })

    test('texts, sums and gates under one key are three things', async () => {
      const key = fresh()
      await store.add(key, 3, { most: null, ttlMs: LONG })
      await store.close(key, { requests: LONG })
      await store.write(key, 'text', LONG)
      await store.write(key, 'text', 0)
      expect(await store.add(key, 1, { most: null, ttlMs: LONG })).toBe(4)
      expect(Object.keys(await store.closed(key))).toEqual(['requests'])
      expect(await store.read(key)).toBeNull()
    })

    test('keys that only look alike are others', async () => {
      const key = fresh()
      const keys = [key, `${key}:`, `${key}{a}`, `{${key}}`, `${key}*`, key.toUpperCase(), '__proto__', 'constructor']
      for (const each of keys) await store.write(each, each, LONG)
      for (const each of keys) expect(await store.read(each)).toBe(each)
    })

    test.each([
      ['an empty key', ''],
      ['a key of a megabyte', 'x'.repeat(1_000_000)],
      ['a key with a line break', 'a\r\nSET b 1'],
      ['a key with a zero', 'a\u0000b'],
      ['a key with a blank', 'a b'],
      ['a key with half a character', 'a\ud800'],
      ['a key that is not in ASCII', 'ключ'],
    ])('%s is refused, and not quoted', async (_title, key) => {
      const questions = [
        store.read(key),
        store.write(key, 'text', LONG),
        store.add(key, 1, { most: null, ttlMs: LONG }),
        store.close(key, { requests: 1 }),
        store.closed(key),
      ]
      for (const outcome of await Promise.allSettled(questions)) {
        expect(outcome).toMatchObject({ status: 'rejected', reason: { name: 'TypeError' } })
        if (outcome.status === 'rejected' && key !== '') expect(outcome.reason.message).not.toContain(key)
      }
    })

    test.each([
      ['half of something', 0.5, { most: null, ttlMs: LONG }],
      ['no number', Number.NaN, { most: null, ttlMs: LONG }],
      ['more than can be counted', 2 ** 53, { most: null, ttlMs: LONG }],
      ['against half of something', 1, { most: 1.5, ttlMs: LONG }],
      ['against less than nothing', 1, { most: -1, ttlMs: LONG }],
      ['for no time', 1, { most: null, ttlMs: 0 }],
      ['for nobody knows how long', 1, { most: null, ttlMs: Number.NaN }],
    ])('an amount that cannot be right is refused: %s', async (_title, amount, limits) => {
      const key = fresh()
      await expect(store.add(key, amount, limits)).rejects.toThrow(TypeError)
      expect(await store.add(key, 0, { most: null, ttlMs: LONG })).toBe(0)
    })

    test('a text that is too long is refused, and what was there stays', async () => {
      const key = fresh()
      await store.write(key, 'short', LONG)
      await expect(store.write(key, 'ä'.repeat(longest + 1), LONG)).rejects.toThrow(/at most/)
      await expect(store.write(key, 'text', Number.NaN)).rejects.toThrow(TypeError)
      expect(await store.read(key)).toBe('short')
    })

    test('a sum grows to its most and not above it, and what is given back is there again', async () => {
      const key = fresh()
      const limits = { most: 10, ttlMs: LONG }
      expect(await store.add(key, 0, limits)).toBe(0)
      expect(await store.add(key, 7, limits)).toBe(7)
      expect(await store.add(key, 4, limits)).toBeNull()
      expect(await store.add(key, 3, limits)).toBe(10)
      expect(await store.add(key, 1, limits)).toBeNull()
      expect(await store.add(key, 0, limits)).toBe(10)
      expect(await store.add(key, -4, { most: 2, ttlMs: LONG }), 'whatever the most is by now').toBe(6)
      expect(await store.add(key, -100, limits), 'never below 0').toBe(0)
      expect(await store.add(key, 10, limits)).toBe(10)
      expect(await store.add(key, 5, { most: null, ttlMs: LONG })).toBe(15)
    })

    test('a sum is as exact as a number, and no sum is above what a number can be exactly', async () => {
      const key = fresh()
      const limits = { most: null, ttlMs: LONG }
      const most = Number.MAX_SAFE_INTEGER
      expect(await store.add(key, most - 1, limits)).toBe(most - 1)
      expect(await store.add(key, 1, limits)).toBe(most)
      expect(await store.add(key, 1, limits)).toBeNull()
      expect(await store.add(key, most, limits)).toBeNull()
      expect(await store.add(key, -1, limits)).toBe(most - 1)
    })

    test('a sum is forgotten so long after it was begun, however often it grew since', async () => {
      const key = fresh()
      const limits = { most: 3, ttlMs: 300 }
      expect(await store.add(key, 2, limits)).toBe(2)
      await pause(40)
      expect(await store.add(key, 1, limits)).toBe(3)
      await pause(280)
      expect(await store.add(key, 1, limits)).toBe(1)
    })

    test('what is given back to nobody begins nothing', async () => {
      const key = fresh()
      expect(await store.add(key, -5, { most: 3, ttlMs: SOON })).toBe(0)
      expect(await store.add(key, 3, { most: 3, ttlMs: LONG })).toBe(3)
      await pause(SOON + 20)
      expect(await store.add(key, 0, { most: 3, ttlMs: LONG })).toBe(3)
    })

    test('of a hundred at the same moment, as many get in as there is room for', async () => {
      const key = fresh()
      const sums = await Promise.all(Array.from({ length: 100 }, () => store.add(key, 3, { most: 100, ttlMs: LONG })))
      const got = sums.filter((sum) => sum !== null).sort((one, other) => one - other)
      expect(got).toEqual(Array.from({ length: 33 }, (_, index) => 3 * (index + 1)))
      expect(await store.add(key, 0, { most: 100, ttlMs: LONG })).toBe(99)
    })

    test.each([
      ['later first', [LONG, SOON]],
      ['later last', [SOON, LONG]],
    ])('of two ends of one gate the later counts: %s', async (_title, ends) => {
      const key = fresh()
      for (const milliseconds of ends) await store.close(key, { requests: milliseconds, [`own ${milliseconds}`]: SOON })
      await pause(SOON + 20)
      const left = await store.closed(key)
      expect(Object.keys(left)).toEqual(['requests'])
      expect(left.requests).toBeGreaterThan(LONG - 5000)
      expect(left.requests).toBeLessThanOrEqual(LONG)
      expect(Number.isInteger(left.requests)).toBe(true)
    })

    test('gates that are closed at the same moment are all closed', async () => {
      const key = fresh()
      const gates = Array.from({ length: 20 }, (_, index) => `gate ${index}`)
      await Promise.all(gates.map((gate) => store.close(key, { [gate]: LONG })))
      expect(Object.keys(await store.closed(key)).sort()).toEqual([...gates].sort())
    })

    test('a gate may be called anything, and one that is closed for no time is open', async () => {
      const key = fresh()
      const gates = { __proto__: null, 'ä €😀': 5, constructor: 0, '-1': -1, "'; DEL *": LONG, half: 0.5 }
      const closing = { ...gates, ...JSON.parse(`{"__proto__":${LONG}}`), 'ä €😀': LONG, half: LONG + 0.5 }
      await store.close(key, closing)
      const left = await store.closed(key)
      expect(Object.keys(left).sort()).toEqual(['__proto__', "'; DEL *", 'half', 'ä €😀'].sort())
      await store.close(key, {})
      expect(Object.keys(await store.closed(key))).toHaveLength(4)
      expect(await store.closed(fresh())).toEqual({})
    })

    test.each([
      ['without a name', { '': 1 }],
      ['with half a character', { '\udc00': 1 }],
      ['with a line break', { 'a\nb': 1 }],
      ['for no number of milliseconds', { requests: Number.NaN }],
    ])('a gate that cannot be right is refused: %s', async (_title, gates) => {
      await expect(store.close(fresh(), gates)).rejects.toThrow(TypeError)
    })

    test('of more gates than are kept, those that end first are forgotten', async () => {
      const key = fresh()
      const gates = Object.fromEntries(Array.from({ length: 80 }, (_, index) => [`gate ${index}`, LONG + index * 1000]))
      await store.close(key, gates)
      await store.close(key, Object.fromEntries(Object.entries(gates).map(([gate, ms]) => [`other ${gate}`, ms * 2])))
      const left = await store.closed(key)
      expect(Object.keys(left)).toHaveLength(100)
      expect(Object.keys(left).filter((gate) => gate.startsWith('other'))).toHaveLength(80)
      expect(left).toHaveProperty(['gate 79'])
      expect(left).not.toHaveProperty(['gate 59'])
    })

    test('any list of commands gives what the memory of one process gives', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(command, { maxLength: 25 }), async (commands) => {
          const prefix = fresh()
          const memory = memoryStore()
          for (const each of commands) {
            expect(await told(store, prefix, each), JSON.stringify(each)).toEqual(await told(memory, prefix, each))
          }
        }),
        runs(divisor),
      )
    })

    test('what begins together ends as if it had come one after the other', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.integer({ min: -3, max: 5 }), { maxLength: 30 }), async (amounts) => {
          const key = fresh()
          const sums = await Promise.all(amounts.map((amount) => store.add(key, amount, { most: 9, ttlMs: LONG })))
          expect(Math.max(0, ...sums.map((sum) => sum ?? 0))).toBeLessThanOrEqual(9)
          const last = await store.add(key, 0, { most: null, ttlMs: LONG })
          const memory = memoryStore()
          const inTurn: (number | null)[] = []
          for (const amount of amounts) inTurn.push(await memory.add(key, amount, { most: 9, ttlMs: LONG }))
          expect(sums).toEqual(inTurn)
          expect(last).toBe(await memory.add(key, 0, { most: null, ttlMs: LONG }))
        }),
        runs(divisor * 2),
      )
    })
  })
}

const key = fc.constantFrom('a', 'b')
const gate = fc.constantFrom('requests', 'tokens', '__proto__')
/** So far apart, and so long, that the milliseconds a command takes tell no two of them apart. */
const long = fc.integer({ min: 1, max: 9 }).map((tens) => tens * 1_000_000)
const command = fc.oneof(
  fc.record({ is: fc.constant('read' as const), key }),
  fc.record({
    is: fc.constant('write' as const),
    key,
    value: fc.string({ maxLength: 20 }),
    ttlMs: fc.oneof(long, fc.constant(0)),
  }),
  fc.record({
    is: fc.constant('add' as const),
    key,
    amount: fc.integer({ min: -5, max: 9 }),
    most: fc.option(fc.nat(20)),
  }),
  fc.record({ is: fc.constant('close' as const), key, gates: fc.array(fc.tuple(gate, long), { maxLength: 3 }) }),
  fc.record({ is: fc.constant('closed' as const), key }),
)
type Command = typeof command extends fc.Arbitrary<infer Each> ? Each : never

async function told(store: Store, prefix: string, command: Command): Promise<unknown> {
  const key = `${prefix}-${command.key}`
  if (command.is === 'read') return store.read(key)
  if (command.is === 'write') return store.write(key, command.value, command.ttlMs)
  if (command.is === 'add') return store.add(key, command.amount, { most: command.most, ttlMs: LONG })
  if (command.is === 'close') return store.close(key, Object.fromEntries(command.gates))
  const left = await store.closed(key)
  return Object.entries(left)
    .map(([each, milliseconds]) => `${each} ${Math.ceil(milliseconds / 1_000_000)}`)
    .sort()
}
