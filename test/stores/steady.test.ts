import { describe, expect, test } from 'vitest'
import { memoryStore } from '../../src/stores/memory.ts'
import type { Trouble } from '../../src/stores/outage.ts'
import { steady } from '../../src/stores/steady.ts'
import type { Store } from '../../src/stores/store.ts'
import { quickClock } from '../properties/clock.ts'

const LONG = 3_600_000
const NO_LIMIT = { most: null, ttlMs: LONG }

type Fault = 'none' | 'rejects' | 'throws' | 'hangs' | 'slow'

/** A store of somebody else's, on a clock that stands still, with whatever may be wrong with it. */
function setting(fault: Fault = 'none') {
  const clock = quickClock()
  const shared = memoryStore({ clock })
  const memory = memoryStore({ clock })
  const state = { fault, slowMs: 200, asked: 0 }
  const troubles: Trouble[] = []
  const faulty = <Value>(run: () => Promise<Value>): Promise<Value> => {
    state.asked += 1
    if (state.fault === 'throws') throw new Error('not even a promise: secret')
    if (state.fault === 'rejects') return Promise.reject(new RangeError('a reason with a secret'))
    if (state.fault === 'hangs') return new Promise(() => {})
    if (state.fault === 'none') return run()
    return new Promise((resolve, reject) => clock.timer(state.slowMs, () => run().then(resolve, reject)))
  }
  const foreign: Store = {
    read: (key) => faulty(() => shared.read(key)),
    write: (key, value, ttlMs) => faulty(() => shared.write(key, value, ttlMs)),
    add: (key, amount, limits) => faulty(() => shared.add(key, amount, limits)),
    close: (key, gates) => faulty(() => shared.close(key, gates)),
    closed: (key) => faulty(() => shared.closed(key)),
  }
  const store = steady(foreign, { memory, clock, onTrouble: (trouble) => void troubles.push(trouble) })
  /** What it says, and after how many milliseconds. */
  async function timed<Value>(asked: Promise<Value>): Promise<{ value: Value; ms: number }> {
    const start = clock.now()
    let done = false
    const settled = asked.then((value) => ({ value, ms: clock.now() - start }))
    const leave = () => {
      done = true
    }
    settled.then(leave, leave)
    await clock.runUntil(() => done)
    return settled
  }
  const end = async <Value>(asked: Promise<Value>) => (await timed(asked)).value
  /** It answers again, its rest is over, and somebody has asked. */
  async function back(restMs = 1000) {
    state.fault = 'none'
    await clock.advance(restMs)
    await end(store.read('anything'))
    await clock.advance(1)
    expect(store.trouble).toBe(false)
  }
  return { clock, shared, memory, store, state, troubles, timed, end, back }
}

const FAULTS: readonly Fault[] = ['rejects', 'throws', 'hangs', 'slow']

describe('a store that is there', () => {
  test('answers, also over what this process knows', async () => {
    const { store, shared, memory } = setting()
    await memory.write('key', 'old', LONG)
    await shared.write('key', 'new', LONG)
    expect(await store.read('key')).toBe('new')
  })

  test('gets what is written, and nobody waits for it', async () => {
    const { store, shared, state, timed } = setting('slow')
    state.slowMs = 40
    expect((await timed(store.write('key', 'text', LONG))).ms).toBe(0)
    expect((await timed(store.close('key', { requests: LONG }))).ms).toBe(0)
    expect(await timed(store.read('key')), 'it is known here').toEqual({ value: 'text', ms: 0 })
    await timed(store.drained())
    expect(await shared.read('key')).toBe('text')
    expect(Object.keys(await shared.closed('key'))).toEqual(['requests'])
  })

  test('that has lost what is known here does not make it forgotten', async () => {
    const { store, shared } = setting()
    await store.write('key', 'text', LONG)
    await store.close('key', { requests: LONG })
    await store.drained()
    await shared.write('key', '', 0)
    expect(await store.read('key')).toBe('text')
    await shared.close('key', { requests: 5, tokens: 2 * LONG })
    expect(await store.closed('key')).toEqual({ requests: LONG, tokens: 2 * LONG })
  })

  test('is not asked for what was written and has not arrived; what others write later counts again', async () => {
    const { store, shared, state, end, back } = setting()
    await shared.write('key', 'others', LONG)
    await fail()
    expect(await store.read('key')).toBe('own')
    await back()
    expect(await store.read('key')).toBe('own')
    await store.write('key', 'own again', LONG)
    await store.drained()
    await shared.write('key', 'others again', LONG)
    expect(await store.read('key')).toBe('others again')

    async function fail() {
      state.fault = 'rejects'
      await store.write('key', 'own', LONG)
      await end(store.drained())
      expect(store.trouble).toBe(true)
    }
  })

  test('is not believed about what was written here while it was asked', async () => {
    const { store, shared, state, end } = setting()
    await shared.write('key', 'old', LONG)
    state.fault = 'slow'
    state.slowMs = 30
    const asked = store.read('key')
    // It is on its way to the store before anything is written.
    await Promise.resolve()
    await Promise.resolve()
    await store.write('key', 'new', LONG)
    expect(await end(asked)).toBe('new')
  })

  test('has in the end what was written last, however it hurries', async () => {
    const { store, shared, state, end } = setting('slow')
    for (const [slowMs, text] of [
      [100, 'first'],
      [50, 'second'],
      [10, 'third'],
    ] as const) {
      state.slowMs = slowMs
      await store.write('key', text, LONG)
    }
    await end(store.drained())
    expect(await shared.read('key')).toBe('third')
    expect(state.asked, 'what nobody would have read is not sent').toBe(2)
    expect(await end(store.read('key'))).toBe('third')
  })

  test('is told to forget, and until it has, nobody remembers', async () => {
    const { store, shared, state, timed } = setting()
    await store.write('key', 'text', LONG)
    await store.drained()
    state.fault = 'slow'
    state.slowMs = 30
    await store.write('key', '', 0)
    expect(await timed(store.read('key'))).toEqual({ value: null, ms: 0 })
    await timed(store.drained())
    expect(await shared.read('key')).toBeNull()
  })

  test('refuses nothing that a call would fail for: a long text stays here', async () => {
    const { store, shared, troubles } = setting()
    await shared.write('key', 'old', LONG)
    await store.write('key', 'x'.repeat(5000), LONG)
    await store.drained()
    expect(await store.read('key')).toHaveLength(5000)
    expect(await shared.read('key')).toBe('old')
    expect(troubles).toEqual([])
  })

  test('leaves no timer behind', async () => {
    const { store, clock } = setting()
    await store.write('key', 'text', LONG)
    await Promise.all([store.read('key'), store.add('key', 1, NO_LIMIT), store.closed('key')])
    await store.drained()
    expect(clock.pending).toBe(0)
  })
})

describe('a store that is not there', () => {
  test.each(FAULTS)('fails nobody, and nobody waits longer than 50 ms for it: %s', async (fault) => {
    const { store, timed } = setting(fault)
    for (let round = 0; round < 3; round += 1) {
      const key = `key-${round}`
      const outcomes = [
        await timed(store.read(key)),
        await timed(store.write(key, 'text', LONG)),
        await timed(store.read(key)),
        await timed(store.add(key, 5, { most: 7, ttlMs: LONG })),
        await timed(store.add(key, 3, { most: 7, ttlMs: LONG })),
        await timed(store.close(key, { requests: LONG })),
        await timed(store.closed(key)),
      ]
      expect(
        outcomes.map(({ value }) => (typeof value === 'object' && value !== null ? Object.keys(value) : value)),
      ).toEqual([null, undefined, 'text', 5, null, undefined, ['requests']])
      expect(Math.max(...outcomes.map(({ ms }) => ms))).toBeLessThanOrEqual(50)
    }
  })

  test.each(FAULTS)('is waited for once, then left alone for a second: %s', async (fault) => {
    const { store, state, end, clock } = setting()
    await store.read('key')
    state.fault = fault
    await end(store.read('key'))
    const asked = state.asked
    expect(store.trouble).toBe(true)
    for (let n = 0; n < 100; n += 1)
      await Promise.all([store.read('key'), store.write('key', 'a', LONG), store.add('key', 1, NO_LIMIT)])
    await clock.advance(900)
    await Promise.all([store.closed('key'), store.close('key', { a: 1 })])
    expect(state.asked).toBe(asked)
  })

  test('is asked again by one probe beside the calls, at longer and longer intervals', async () => {
    const { store, state, clock, end } = setting()
    await store.read('key')
    state.fault = 'hangs'
    await end(store.read('key'))
    const probes: number[] = []
    let asked = state.asked
    for (let ms = 0; ms < 120_000; ms += 60) {
      await Promise.all([1, 2, 3].map(() => store.read('key')))
      if (state.asked !== asked) {
        expect(state.asked, 'one at a time').toBe(asked + 1)
        probes.push(clock.now())
      }
      asked = state.asked
      await clock.advance(60)
    }
    const gaps = probes.map((at, n) => Math.floor((at - (probes[n - 1] ?? 0)) / 1000))
    expect(gaps).toEqual([1, 2, 4, 8, 16, 30, 30])
  })

  test('costs a call that starts the probe nothing', async () => {
    const { store, state, clock, end, timed } = setting()
    await store.read('key')
    state.fault = 'hangs'
    await end(store.read('key'))
    await clock.advance(1000)
    const asked = state.asked
    expect((await timed(store.read('key'))).ms).toBe(0)
    expect(state.asked).toBe(asked + 1)
  })

  test.each(FAULTS)('is told of once when it begins and once when it is over: %s', async (fault) => {
    const { store, state, troubles, end, clock, back } = setting()
    await store.read('key')
    state.fault = fault
    const all = Array.from({ length: 50 }, () => [
      store.read('key'),
      store.add('key', 1, NO_LIMIT),
      store.closed('key'),
    ])
    await end(Promise.all(all.flat()))
    for (let n = 0; n < 5; n += 1) {
      await clock.advance(1000)
      await end(store.read('key'))
    }
    const error = { rejects: 'RangeError', throws: 'Error', hangs: 'TimeoutError', slow: 'TimeoutError', none: '' }[
      fault
    ]
    expect(troubles).toEqual([{ state: 'down', error }])
    await back(30_000)
    await back(30_000)
    expect(troubles).toEqual([
      { state: 'down', error },
      { state: 'back', error: null },
    ])
  })

  test('and that is late for the first time only, as while it connects, is nothing to tell of', async () => {
    const { store, state, troubles, end, back } = setting('slow')
    await end(Promise.all([store.read('key'), store.read('key'), store.add('key', 1, NO_LIMIT)]))
    expect(store.trouble).toBe(true)
    await back()
    expect(troubles).toEqual([])
    state.fault = 'slow'
    await end(store.read('key'))
    expect(troubles).toEqual([{ state: 'down', error: 'TimeoutError' }])
  })

  test('and that never answers is told of after a second', async () => {
    const { store, troubles, end, clock } = setting('hangs')
    await end(store.read('key'))
    expect(troubles).toEqual([])
    await clock.advance(1000)
    await store.read('key')
    await clock.advance(60)
    expect(troubles).toEqual([{ state: 'down', error: 'TimeoutError' }])
  })

  test('and is only half back is not back', async () => {
    const { clock, memory } = setting()
    const shared = memoryStore({ clock })
    const readOnly: Store = { ...shared, write: () => Promise.reject(new Error('READONLY')) }
    const troubles: Trouble[] = []
    const store = steady(readOnly, { memory, clock, onTrouble: (trouble) => void troubles.push(trouble) })
    await store.write('key', 'text', LONG)
    await store.drained()
    for (let n = 0; n < 60; n += 1) {
      await clock.advance(1000)
      await store.read('key')
    }
    expect(troubles).toEqual([{ state: 'down', error: 'Error' }])
  })

  test('and comes and goes is left alone for longer each time', async () => {
    const { store, state, end, clock, troubles } = setting()
    await store.read('key')
    for (let n = 0; n < 200; n += 1) {
      state.fault = 'rejects'
      await end(store.read('key'))
      state.fault = 'none'
      await clock.advance(1000)
      await end(store.read('key'))
    }
    expect(troubles.filter(({ state }) => state === 'down').length).toBeLessThan(15)
  })

  test('and whose listener throws fails nobody', async () => {
    const { clock, memory } = setting()
    const store = steady(memoryStore({ clock }), {
      memory,
      clock,
      onTrouble() {
        throw new Error('of the listener')
      },
    })
    expect(await store.read('key')).toBeNull()
  })

  test.each(FAULTS)('does not keep what is closed from closing: %s', async (fault) => {
    const { store, timed, clock } = setting(fault)
    for (let n = 0; n < 20; n += 1) void store.write(`key-${n}`, 'text', LONG)
    expect((await timed(store.drained())).ms).toBeLessThanOrEqual(1000)
    expect(clock.pending).toBeLessThanOrEqual(fault === 'slow' ? 1 : 0)
  })

  test('and hangs is not sent more than a thousand writes', async () => {
    const { store, state, end } = setting('hangs')
    for (let n = 0; n < 5000; n += 1) void store.write(`key-${n}`, 'text', LONG)
    expect(state.asked).toBe(1000)
    await end(store.drained())
    expect(await store.read('key-4999')).toBe('text')
  })

  test('and says what is no answer is taken for one that says nothing', async () => {
    const { clock, memory } = setting()
    const shared = memoryStore({ clock })
    const odd = (value: unknown) =>
      Object.assign({ ...shared }, { read: async () => value, add: async () => value, closed: async () => value })
    for (const value of [undefined, 5.5, 'text'.length, {}, [], Number.NaN, { requests: 'soon' }, { requests: -1 }]) {
      const store = steady(odd(value), { memory, clock })
      expect(await store.read('key'), String(value)).toBeNull()
      expect(await store.closed('key'), String(value)).toEqual({})
      expect(await store.add(`key-${typeof value}`, 1, { most: 100, ttlMs: 1 })).toEqual(expect.any(Number))
      await clock.advance(1)
    }
  })
})

describe('a sum, when the store goes', () => {
  test('goes on from where the store said it was', async () => {
    const { store, shared, state, end } = setting()
    await shared.add('key', 8, NO_LIMIT)
    expect(await store.add('key', 1, { most: 10, ttlMs: LONG })).toBe(9)
    state.fault = 'rejects'
    expect(await end(store.add('key', 1, { most: 10, ttlMs: LONG }))).toBe(10)
    expect(await end(store.add('key', 1, { most: 10, ttlMs: LONG }))).toBeNull()
  })

  test.each(FAULTS)('is added up in the store when it is back: %s', async (fault) => {
    const { store, shared, state, end, back, clock } = setting()
    await shared.add('key', 10, NO_LIMIT)
    expect(await store.add('key', 1, NO_LIMIT)).toBe(11)
    state.fault = fault
    for (let n = 0; n < 5; n += 1) await end(store.add('key', 2, NO_LIMIT))
    await end(store.add('key', -1, NO_LIMIT))
    await clock.advance(300)
    await back()
    await end(store.drained())
    // Of the first one, which never came back, nobody knows whether it was counted.
    const sum = fault === 'hangs' ? 18 : 20
    expect(await shared.add('key', 0, NO_LIMIT)).toBe(sum)
    expect(await store.add('key', 1, NO_LIMIT)).toBe(sum + 1)
  })

  test('that was refused late and let in here is owed, and one that was counted late and refused here is given back', async () => {
    const { store, shared, state, end, back, clock } = setting()
    await shared.add('full', 10, NO_LIMIT)
    await store.add('free', 5, NO_LIMIT)
    await shared.add('free', -5, NO_LIMIT)
    state.fault = 'slow'
    const limits = { most: 10, ttlMs: LONG }
    expect(await end(Promise.all([store.add('full', 2, limits), store.add('free', 6, limits)]))).toEqual([2, null])
    await clock.advance(300)
    await back()
    await end(store.drained())
    expect(await shared.add('full', 0, NO_LIMIT)).toBe(12)
    expect(await shared.add('free', 0, NO_LIMIT)).toBe(0)
  })

  test('that is over by then is not owed any more', async () => {
    const { store, shared, state, end, back } = setting()
    await store.read('key')
    state.fault = 'rejects'
    await end(store.add('key', 5, { most: 10, ttlMs: 900 }))
    await back()
    await end(store.drained())
    expect(await shared.add('key', 0, NO_LIMIT)).toBe(0)
  })
})
