import type { Canaries } from '../support/canaries.ts'
import { type Clocks, pacedClocks, virtualClocks, type Watched } from './clocks.ts'
import { type Loopback, loopback } from './loopback.ts'
import { type MemoryWire, memoryWire, type Playing } from './memory.ts'
import type { Act, Script } from './script.ts'

/** A request as it left. */
export interface Sent {
  readonly provider: string
  readonly at: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

type Transport = Pick<MemoryWire | Loopback, 'send'>

/** Where a cell happens: time, and the way to the providers. */
export interface World {
  readonly kind: 'memory' | 'loopback'
  readonly clock: Watched
  readonly script: Watched
  readonly sent: readonly Sent[]
  /** Requests that the script does not know. */
  readonly unscripted: readonly string[]
  transport(provider: string): Transport
  /** Exchanges under way. */
  busy(): number
  /** Lets time pass until it is settled; false when it never will be. */
  settled(promise: Promise<unknown>): Promise<boolean>
  /** Lets so much time pass. */
  pass(ms: number): Promise<void>
  close(): Promise<void>
}

export interface WorldOptions {
  readonly script: Script
  readonly secrets: Canaries
  /** By provider. */
  readonly keys: ReadonlyMap<string, string>
  readonly pace: number
}

/** A day: nothing in a script takes that long. */
const LONGEST = 86_400_000
/** Milliseconds that may pass on the real clock where only promises are waited for: some are kept by other threads. */
const PATIENCE = 3000
/** And in all. */
const LONGEST_REAL = 12_000

export function memoryWorld(options: WorldOptions): World {
  const clocks = virtualClocks()
  const { virtual, library, script } = clocks
  const { playing, sent, unscripted } = playings(options, clocks)
  const wires = new Map([...options.keys.keys()].map((name) => [name, memoryWire(playing(name))]))

  async function settled(promise: Promise<unknown>): Promise<boolean> {
    let over = false
    promise.then(
      () => {
        over = true
      },
      () => {
        over = true
      },
    )
    let idle = performance.now()
    for (;;) {
      await turn()
      if (over) return true
      const next = nextOf(clocks)
      if (next === null || next > LONGEST) {
        if (performance.now() - idle > PATIENCE) return false
        await new Promise((done) => setTimeout(done, 1))
        continue
      }
      await virtual.advance(next - virtual.now())
      idle = performance.now()
    }
  }

  return {
    kind: 'memory',
    clock: library,
    script,
    sent,
    unscripted,
    transport(name) {
      const wire = wires.get(name)
      if (wire === undefined) throw new Error(`no provider is called ${name}`)
      return wire
    },
    busy: () => [...wires.values()].reduce((count, wire) => count + wire.busy, 0),
    settled,
    pass: (ms) => virtual.advance(ms),
    close: async () => {},
  }
}

export function loopbackWorld(options: WorldOptions): World {
  const clocks = pacedClocks(options.pace)
  const { playing, sent, unscripted } = playings(options, clocks)
  const servers = new Map<string, Loopback>()
  for (const name of options.keys.keys()) servers.set(name, loopback(playing(name)))
  const pass = (ms: number) => new Promise<void>((done) => setTimeout(done, ms / options.pace))
  return {
    kind: 'loopback',
    clock: clocks.library,
    script: clocks.script,
    sent,
    unscripted,
    transport(name) {
      const server = servers.get(name)
      if (server === undefined) throw new Error(`no provider is called ${name}`)
      return server
    },
    busy: () => [...servers.values()].reduce((count, server) => count + server.busy, 0),
    async settled(promise) {
      let stop = () => {}
      const late = new Promise<boolean>((done) => {
        const timer = setTimeout(() => done(false), LONGEST_REAL)
        stop = () => clearTimeout(timer)
      })
      const over = promise.then(
        () => true,
        () => true,
      )
      const result = await Promise.race([over, late])
      stop()
      return result
    },
    pass,
    close: async () => {
      await Promise.all([...servers.values()].map((server) => server.close()))
    },
  }
}

function playings({ script, secrets, keys }: WorldOptions, clocks: Clocks) {
  const sent: Sent[] = []
  const unscripted: string[] = []
  const asked = new Map<string, number>()
  const fill = (name: string) => (text: string) =>
    text.replace(/@(\w+)(?:\+(-?\d+))?@/g, (whole, word: string, ms = '0') => {
      if (word === 'key') return keys.get(name) ?? whole
      if (word === 'date') return new Date(clocks.script.date() + Number(ms)).toUTCString()
      return isSecret(secrets, word) ? secrets[word] : whole
    })
  const playing = (name: string): Playing => ({
    clock: clocks.script,
    fill: fill(name),
    next({ headers, body }): Act {
      const n = asked.get(name) ?? 0
      asked.set(name, n + 1)
      sent.push({ provider: name, at: clocks.script.now(), headers, body: body ?? '' })
      const act = script[name]?.[n]
      if (act === undefined) unscripted.push(`${name} was asked ${n + 1} times`)
      return act ?? [{ do: 'reset' }]
    },
  })
  return { playing, sent, unscripted }
}

function isSecret(secrets: Canaries, word: string): word is keyof Canaries {
  return Object.hasOwn(secrets, word)
}

function nextOf({ library, script }: Clocks): number | null {
  if (library.next === null) return script.next
  return script.next === null ? library.next : Math.min(library.next, script.next)
}

/** Promises that can settle by themselves have settled after it. */
async function turn(): Promise<void> {
  await new Promise((done) => setImmediate(done))
  await new Promise((done) => setImmediate(done))
}
