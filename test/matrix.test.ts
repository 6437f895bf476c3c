import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kindOf, onSocketsToo } from './matrix/carriers.ts'
import type { Cell } from './matrix/cell.ts'
import { CELLS } from './matrix/cells/all.ts'
import { digestOf, leaksOf, problemsOf } from './matrix/checks.ts'
import { KEY, type Observed, run } from './matrix/run.ts'
import { loopbackWorld, memoryWorld } from './matrix/world.ts'
import { type Canaries, canaries } from './support/canaries.ts'

/**
 * Every fault at every place: each cell happens in memory on a virtual clock, and enough of each kind on real sockets
 * as well. Both have to say the same, so that the one that is fast can be believed.
 */
interface Result {
  readonly memory: string[]
  readonly loopback: string[]
  readonly agreement: string[]
  readonly silent: boolean
  readonly hung: boolean
}

const AT_ONCE = { memory: 64, loopback: 12 }
/** Units in a millisecond of the real clock. */
const PACE = 10

const ON_SOCKETS = onSocketsToo(CELLS)

const secrets = new Map(CELLS.map((cell) => [cell, canaries()]))
const secretsOf = (cell: Cell) => secrets.get(cell) ?? canaries()
let repeated = 0
const results = new Map<Cell, Result>()
const took = { memory: 0, loopback: 0, checks: 0 }
const stray: string[] = []
const prototypes = [Object.prototype, Array.prototype, Function.prototype, Promise.prototype]
const untouched = prototypes.map((prototype) => String(Reflect.ownKeys(prototype).map(String)))
const running = new Set<string>()

const onStray = (what: string) => (reason: unknown) => {
  stray.push(`${what} (${reason instanceof Error ? reason.stack : String(reason)}) while: ${[...running].join('; ')}`)
}
const HEARD = ['unhandledRejection', 'uncaughtException', 'warning'].map((name) => [name, onStray(name)] as const)

beforeAll(async () => {
  for (const [name, hear] of HEARD) process.on(name, hear)
  const memory = await timed('memory', () => all(CELLS, AT_ONCE.memory, (cell) => inMemory(cell, secretsOf(cell))))
  const loopback = await timed('loopback', () =>
    all([...ON_SOCKETS], AT_ONCE.loopback, (cell) => onSockets(cell, secretsOf(cell))),
  )
  await timed('checks', async () => {
    for (const cell of CELLS) results.set(cell, await resultAgainAlone(cell, memory.get(cell), loopback.get(cell)))
  })
}, 600_000)

afterAll(() => {
  for (const [name, hear] of HEARD) process.off(name, hear)
  const all = [...results.values()]
  const count = (holds: (result: Result) => boolean) => all.filter(holds).length
  const known = CELLS.filter((cell) => cell.known !== undefined).length
  const failures = count((result) => result.memory.length + result.loopback.length + result.agreement.length > 0)
  console.log(
    `fault matrix: ${all.length} cells, each in memory and ${ON_SOCKETS.size} on sockets too (${all.length + ON_SOCKETS.size} runs), ${failures} failures (${known} known), ` +
      `${count(({ silent }) => silent)} silent wrong successes, ${count(({ hung }) => hung)} hangs; ` +
      `${(took.memory / 1000).toFixed(1)} s + ${(took.loopback / 1000).toFixed(1)} s + ${(took.checks / 1000).toFixed(1)} s of checks, ${repeated} runs repeated alone`,
  )
})

describe('the matrix', () => {
  test('has no cell twice, and enough of them', () => {
    expect(new Set(CELLS.map(({ title }) => title)).size).toBe(CELLS.length)
    expect(CELLS.length).toBeGreaterThanOrEqual(process.env.MATRIX === undefined ? 350 : 1)
  })

  test('has each kind of cell on sockets too', () => {
    expect(new Set([...ON_SOCKETS].map(kindOf))).toEqual(new Set(CELLS.map(kindOf)))
  })

  test('leaves no rejection, exception or warning behind, and no prototype changed', () => {
    expect(stray).toEqual([])
    expect(prototypes.map((prototype) => String(Reflect.ownKeys(prototype).map(String)))).toEqual(untouched)
  })
})

test.each(titled((cell) => cell.known === undefined))('%s', (_title, cell) => {
  expect(results.get(cell)).toMatchObject({ memory: [], loopback: [], agreement: [], silent: false, hung: false })
})

/** Sentences that are true and not yet kept: each stands beside its reason, and fails here as soon as it is kept. */
test.fails.each(titled((cell) => cell.known !== undefined))('%s', (_title, cell) => {
  expect(results.get(cell)).toMatchObject({ memory: [], loopback: [], agreement: [], silent: false, hung: false })
})

function titled(fits: (cell: Cell) => boolean) {
  return CELLS.filter(fits).map((cell) => [cell.title, cell] as const)
}

/** So many at once; those that move many bytes afterwards, one by one. */
async function all(
  cells: readonly Cell[],
  atOnce: number,
  one: (cell: Cell) => Promise<Observed>,
): Promise<Map<Cell, Observed>> {
  const observed = new Map<Cell, Observed>()
  const workers = async (cells: Cell[], count: number) => {
    const worker = async () => {
      for (let cell = cells.shift(); cell !== undefined; cell = cells.shift()) {
        running.add(cell.title)
        try {
          observed.set(cell, await one(cell))
        } catch (error) {
          stray.push(`${cell.title} could not be run: ${error instanceof Error ? error.stack : String(error)}`)
        }
        running.delete(cell.title)
      }
    }
    await Promise.all(Array.from({ length: count }, worker))
  }
  const isHeavy = (cell: Cell) => cell.given.heavy === true
  await workers(
    cells.filter((cell) => !isHeavy(cell)),
    atOnce,
  )
  await workers(cells.filter(isHeavy), 1)
  return observed
}

/** A machine may be busy once, and everything late; it is not busy three times, for a cell alone. */
async function resultAgainAlone(cell: Cell, inMemory?: Observed, first?: Observed): Promise<Result> {
  const judged = (loopback?: Observed) => resultOf(cell, secretsOf(cell), inMemory, loopback)
  let result = judged(first)
  for (let n = 0; n < 2 && isOnlyOnSockets(result); n += 1) {
    repeated += 1
    result = judged(await onSockets(cell, secretsOf(cell)))
  }
  return result
}

function isOnlyOnSockets({ memory, loopback, agreement }: Result): boolean {
  return memory.length === 0 && loopback.length + agreement.length > 0
}

function optionsOf(cell: Cell, secrets: Canaries) {
  const keys = new Map(cell.given.chain.map((name) => [name, KEY(secrets, name)]))
  return { script: cell.script, secrets, keys, pace: cell.given.pace ?? PACE }
}

async function inMemory(cell: Cell, secrets: Canaries): Promise<Observed> {
  return run(cell, memoryWorld(optionsOf(cell, secrets)), secrets)
}

async function onSockets(cell: Cell, secrets: Canaries): Promise<Observed> {
  const world = loopbackWorld(optionsOf(cell, secrets))
  try {
    return await run(cell, world, secrets)
  } finally {
    await world.close()
  }
}

function resultOf(
  cell: Cell,
  secrets: Canaries,
  inMemory: Observed | undefined,
  onSockets: Observed | undefined,
): Result {
  if (inMemory === undefined || (onSockets === undefined && ON_SOCKETS.has(cell))) {
    return { memory: ['it could not be run'], loopback: [], agreement: [], silent: false, hung: true }
  }
  const pace = cell.given.pace ?? PACE
  const wrong = (observed: Observed, kind: 'memory' | 'loopback') => [
    ...problemsOf(cell, observed, secrets, { kind, pace }),
    ...leaksOf(observed, secrets, { kind, pace }),
  ]
  const both = onSockets === undefined ? [inMemory] : [inMemory, onSockets]
  return {
    memory: wrong(inMemory, 'memory'),
    loopback: onSockets === undefined ? [] : wrong(onSockets, 'loopback'),
    agreement: onSockets === undefined ? [] : differences(inMemory, onSockets).slice(0, 4),
    silent: both.some(({ calls }) =>
      calls.some(({ outcome }, index) => outcome === 'ok' && cell.expect[index]?.outcome !== 'ok'),
    ),
    hung: both.some(({ calls }) => calls.some(({ outcome }) => outcome === 'hung')),
  }
}

function differences(inMemory: Observed, onSockets: Observed): string[] {
  const lines = (observed: Observed) => JSON.stringify(digestOf(observed), null, 1).split('\n')
  const theirs = lines(onSockets)
  return lines(inMemory).flatMap((line, index) =>
    line === theirs[index] ? [] : [`${line.trim()} in memory, ${theirs[index]?.trim()} on sockets`],
  )
}

async function timed<T>(what: keyof typeof took, run: () => Promise<T>): Promise<T> {
  const from = performance.now()
  const value = await run()
  took[what] = performance.now() - from
  return value
}
