import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Breaker, createBreaker } from '../../src/breaker.ts'
import { runs } from '../support/runs.ts'

const WINDOW = 3000
const WINDOWS = 10
/** Sums of times lose their last digits. */
const ROUNDING = 1e-6
const LOOKS_BACK = WINDOW * WINDOWS
const LONGEST = 300_000

const windowOf = (at: number) => Math.floor(at / WINDOW)

const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const steps = fc.oneof(
  { weight: 6, arbitrary: fc.nat(400) },
  { weight: 3, arbitrary: fc.nat(8000) },
  { weight: 1, arbitrary: fc.nat(400_000) },
)
const outcome = fc.constantFrom(true, false, false, null)

/** What happened to a breaker while it was well: how much later, and how it ended. */
const history = fc.array(fc.tuple(steps, fc.constantFrom(true, false)), { maxLength: 60, size: 'max' })

function lived(breaker: Breaker, events: readonly (readonly [number, boolean])[], from = 0): number {
  let now = from
  for (const [passed, ok] of events) {
    now += passed
    breaker.note(breaker.begin(now), ok, now)
  }
  return now
}

/** Opens it, so often in a row; gives the time at which it opened last. */
function openedTimes(breaker: Breaker, times: number, from = 0): number {
  let now = from
  for (let failure = 0; failure < 5; failure += 1) breaker.note(breaker.begin(now), false, now)
  for (let again = 1; again < times; again += 1) {
    now = breaker.until
    breaker.note(breaker.begin(now), false, now)
  }
  return now
}

describe('a breaker', () => {
  test('after half a minute in which nothing ended is as one that never saw anything', () => {
    fc.assert(
      fc.property(history, fc.nat(3_600_000), history, (before, idle, after) => {
        const old = createBreaker(() => 0.5)
        const end = lived(old, before)
        fc.pre(old.state === 'closed')
        // The windows begin at whole multiples: ten of them after the last one, nothing is left of it.
        let now = end + LOOKS_BACK + idle
        const fresh = createBreaker(() => 0.5)
        for (const [passed, ok] of after) {
          now += passed
          old.note(old.begin(now), ok, now)
          fresh.note(fresh.begin(now), ok, now)
          expect([old.state, old.admits(now)]).toEqual([fresh.state, fresh.admits(now)])
          if (!old.admits(now)) expect(old.until).toBe(fresh.until)
        }
      }),
      runs(),
    )
  })

  test('in steady traffic counts nothing that is older than half a minute', () => {
    const traffic = fc.array(fc.tuple(fc.nat(1500), fc.boolean()), { minLength: 20, maxLength: 150, size: 'max' })
    fc.assert(
      fc.property(traffic, (events) => {
        const breaker = createBreaker(() => 0)
        const ended: { at: number; ok: boolean }[] = []
        let now = 0
        for (const [passed, well] of events) {
          now += passed
          // Never five in a row: only the share can open it.
          const ok = well || ended.slice(-4).every((each, _, last) => last.length === 4 && !each.ok)
          ended.push({ at: now, ok })
          breaker.note(breaker.begin(now), ok, now)
          const young = ended.filter(({ at }) => windowOf(now) - windowOf(at) < WINDOWS)
          expect(young.every(({ at }) => now - at < LOOKS_BACK)).toBe(true)
          const isBad = young.length >= 10 && young.filter((each) => !each.ok).length * 2 >= young.length
          expect(breaker.state).toBe(isBad && !ok ? 'open' : 'closed')
          if (breaker.state === 'open') break
        }
      }),
      runs(2), // What is young is counted anew for each of 150 outcomes.
    )
  })

  test('that is open admits nobody before its time, whatever ends meanwhile', () => {
    const meanwhile = fc.array(fc.tuple(fc.double({ min: 0, max: 0.999, noNaN: true }), fc.constantFrom(false, null)))
    fc.assert(
      fc.property(chance, fc.integer({ min: 1, max: 12 }), meanwhile, (random, times, events) => {
        const breaker = createBreaker(() => random)
        const late = [breaker.begin(0), breaker.begin(0)]
        const opened = openedTimes(breaker, times)
        const { until } = breaker
        for (const [share, ok] of [...events].sort(([one], [other]) => one - other)) {
          const now = opened + share * (until - opened)
          if (now >= until) continue
          expect(breaker.admits(now)).toBe(false)
          // From before it opened, and from somebody who asked all the same.
          breaker.note(late[0] ?? -1, ok, now)
          breaker.note(breaker.begin(now), ok, now)
          expect([breaker.admits(now), breaker.until, breaker.state]).toEqual([false, until, 'open'])
        }
        expect(breaker.admits(until)).toBe(true)
      }),
      runs(),
    )
  })

  test('stays open from half to all of a time that doubles, up to five minutes', () => {
    fc.assert(
      fc.property(fc.infiniteStream(chance), fc.integer({ min: 1, max: 20 }), (random, times) => {
        const breaker = createBreaker(() => random.next().value ?? 0)
        let now = 0
        for (let n = 0; n < times; n += 1) {
          now = n === 0 ? openedTimes(breaker, 1) : breaker.until
          if (n > 0) breaker.note(breaker.begin(now), false, now)
          const whole = Math.min(5000 * 2 ** n, LONGEST)
          expect(breaker.until - now).toBeGreaterThanOrEqual(whole / 2 - ROUNDING)
          expect(breaker.until - now).toBeLessThanOrEqual(whole + ROUNDING)
        }
      }),
      runs(),
    )
  })

  test('is well again after one success, and has forgotten how often it opened', () => {
    fc.assert(
      fc.property(chance, fc.integer({ min: 1, max: 20 }), fc.nat(1_000_000), (random, times, later) => {
        const breaker = createBreaker(() => random)
        openedTimes(breaker, times)
        const now = breaker.until + later
        expect(breaker.admits(now)).toBe(true)
        breaker.note(breaker.begin(now), true, now)
        expect([breaker.state, breaker.admits(now)]).toEqual(['closed', true])
        // Not by one failure, nor by four.
        for (let failure = 0; failure < 4; failure += 1) breaker.note(breaker.begin(now), false, now)
        expect(breaker.state).toBe('closed')
        breaker.note(breaker.begin(now), false, now)
        expect(breaker.until - now).toBeLessThanOrEqual(5000 + ROUNDING)
      }),
      runs(),
    )
  })

  test('does not care for outcomes that say nothing, nor for those of an epoch that is over', () => {
    const strays = fc.array(fc.nat(59), { maxLength: 30, size: 'max' })
    fc.assert(
      fc.property(history, strays, outcome, (events, places, ok) => {
        const [plain, disturbed] = [createBreaker(() => 0.5), createBreaker(() => 0.5)]
        /** Under way since before it opened for the first time. */
        const old = disturbed.begin(0)
        let now = 0
        for (const [index, [passed, ended]] of events.entries()) {
          now += passed
          plain.note(plain.begin(now), ended, now)
          disturbed.note(disturbed.begin(now), ended, now)
          if (!places.includes(index)) continue
          if (disturbed.state === 'open') disturbed.note(old, ok, now)
          // Where it is open, such an end gives the place of the one who finds out to the next.
          else disturbed.note(disturbed.begin(now), null, now)
          expect([disturbed.state, disturbed.until]).toEqual([plain.state, plain.until])
        }
      }),
      runs(),
    )
  })
})

/** The same in the plainest words: all that ended is kept, and looked at whole each time. */
interface Plain {
  now: number
  epoch: number
  ended: { at: number; ok: boolean }[]
  open: { until: number; times: number; probing: boolean } | null
  times: number
  under: { epoch: number; probe: boolean }[]
}

interface Real {
  readonly breaker: Breaker
  readonly epochs: number[]
}

const RANDOM = 0.25

function isIll({ ended, now }: Plain): boolean {
  let row = 0
  let before: number | null = null
  for (const { at, ok } of ended) {
    if (before !== null && windowOf(at) - windowOf(before) >= WINDOWS) row = 0
    row = ok ? 0 : row + 1
    before = at
  }
  const young = ended.filter(({ at }) => windowOf(now) - windowOf(at) < WINDOWS)
  const failed = young.filter(({ ok }) => !ok).length
  return row >= 5 || (young.length >= 10 && failed * 2 >= young.length)
}

function trip(model: Plain): void {
  const whole = Math.min(5000 * 2 ** model.times, LONGEST)
  model.times += 1
  model.epoch += 1
  model.ended = []
  model.open = { until: model.now + whole / 2 + (RANDOM * whole) / 2, times: model.times, probing: false }
}

function admits({ open, now }: Readonly<Plain>): boolean {
  return open === null || (now >= open.until && !open.probing)
}

function compare(model: Plain, { breaker }: Real): void {
  expect(breaker.state).toBe(model.open === null ? 'closed' : 'open')
  if (model.open !== null) expect(breaker.until).toBe(model.open.until)
  expect(breaker.admits(model.now)).toBe(admits(model))
  // One at a time finds out.
  if (model.open !== null) {
    const probes = model.under.filter(({ epoch, probe }) => probe && epoch === model.epoch)
    expect(probes.length).toBeLessThanOrEqual(1)
  }
}

type Command = fc.Command<Plain, Real>

function passes(milliseconds: number): Command {
  return {
    check: () => true,
    run(model, real) {
      model.now += milliseconds
      compare(model, real)
    },
    toString: () => `passes(${milliseconds})`,
  }
}

function begins(): Command {
  return {
    check: admits,
    run(model, real) {
      if (model.open !== null) model.open.probing = true
      model.under.push({ epoch: model.epoch, probe: model.open !== null })
      real.epochs.push(real.breaker.begin(model.now))
      compare(model, real)
    },
    toString: () => 'begins',
  }
}

function ends(place: number, ok: boolean | null): Command {
  return {
    check: ({ under }) => under.length > 0,
    run(model, real) {
      const at = place % model.under.length
      const [begun] = model.under.splice(at, 1)
      const [epoch = -1] = real.epochs.splice(at, 1)
      real.breaker.note(epoch, ok, model.now)
      if (begun?.epoch === model.epoch) end(model, ok)
      compare(model, real)
    },
    toString: () => `ends(${place}, ${ok})`,
  }
}

function end(model: Plain, ok: boolean | null): void {
  if (ok === null) {
    if (model.open !== null) model.open.probing = false
  } else if (model.open === null) {
    model.ended.push({ at: model.now, ok })
    if (!ok && isIll(model)) trip(model)
  } else if (ok) {
    model.open = null
    model.times = 0
    model.epoch += 1
    model.ended = []
  } else {
    trip(model)
  }
}

describe('under any interleaving of beginnings and ends', () => {
  test('a breaker is what its plainest description says, and one at a time finds out', () => {
    const commands = fc.commands(
      [
        steps.map(passes),
        fc.constant(begins()),
        fc.constant(begins()),
        fc.tuple(fc.nat(50), outcome).map(([place, ok]) => ends(place, ok)),
        fc.tuple(fc.nat(50), fc.constantFrom(false)).map(([place, ok]) => ends(place, ok)),
      ],
      { maxCommands: 120, size: 'max' },
    )
    fc.assert(
      fc.property(commands, (cmds) => {
        const setup = () => {
          const model: Plain = { now: 0, epoch: 0, ended: [], open: null, times: 0, under: [] }
          return { model, real: { breaker: createBreaker(() => RANDOM), epochs: [] } }
        }
        fc.modelRun(setup, cmds)
      }),
      runs(),
    )
  })

  test('one who was not admitted and gives up does not let a second one find out', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 0.99, noNaN: true }), fc.nat(1000), (share, later) => {
        const breaker = createBreaker(() => 0)
        const opened = openedTimes(breaker, 1)
        const forced = breaker.begin(opened + share * (breaker.until - opened))
        const now = breaker.until + later
        breaker.begin(now)
        expect(breaker.admits(now)).toBe(false)
        breaker.note(forced, null, now)
        expect(breaker.admits(now)).toBe(false)
      }),
      runs(),
    )
  })
})
