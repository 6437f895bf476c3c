/**
 * `tsx test/bench/serve.ts`: the router on a port beside another gateway, one after the other in each round, before the
 * same provider in a process of its own. The other one is not a dependency: MODELFIRST_PORTKEY is the folder of an
 * installed @portkey-ai/gateway; without it only our own figures are shown. (1.15.2 answers no stream over versions of
 * @hono/node-server above 1.13.8, and holds every stream's second piece back for 25 ms by itself.)
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { columns, median } from './measure.ts'
import { createChildren } from './serve-children.ts'
import { crowd } from './serve-crowd.ts'
import { type Asked, load } from './serve-load.ts'

const ROUNDS = Number(process.env.ROUNDS ?? 7)
const CALLS = Number(process.env.CALLS ?? 3000)
const CONNECTIONS = Number(process.env.CONNECTIONS ?? 32)
const PORTKEY = process.env.MODELFIRST_PORTKEY

const children = await createChildren()
const upstream = await children.start('serve-upstream')
const base = `http://127.0.0.1:${upstream.port}/v1`

interface Gateway {
  readonly name: string
  readonly pid: number
  readonly port: number
  readonly headers: Readonly<Record<string, string>>
}

async function ours(): Promise<Gateway> {
  const { port, process } = await children.start('serve-gateway', [base])
  return { name: 'modelfirst', port, pid: process.pid ?? 0, headers: {} }
}

async function portkey(path: string): Promise<Gateway> {
  const port = await freePort()
  const child = spawn(process.execPath, [join(path, 'build/start-server.js'), `--port=${port}`, '--headless'], {
    stdio: 'ignore',
  })
  children.adopt(child)
  const { version }: { version: string } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'))
  for (let tries = 0; ; tries += 1) {
    try {
      await fetch(`http://127.0.0.1:${port}/`)
      break
    } catch (error) {
      if (tries > 100) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  const headers = { 'x-portkey-provider': 'openai', 'x-portkey-custom-host': base }
  return { name: `@portkey-ai/gateway ${version}`, port, pid: child.pid ?? 0, headers }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

/** Of a process, in milliseconds; NaN where there is no /proc. */
function cpuOf(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    return (Number(fields[11]) + Number(fields[12])) * 10
  } catch {
    return Number.NaN
  }
}

const gateways = [await ours()]
if (PORTKEY === undefined) console.log('no comparison: MODELFIRST_PORTKEY names no installed @portkey-ai/gateway\n')
else gateways.push(await portkey(PORTKEY))

const messages = [
  { role: 'system', content: 'You tag support tickets. Answer with the tag and one sentence.' },
  { role: 'user', content: 'Tag this ticket: I was charged twice this month and nobody answers my mails. '.repeat(4) },
]
const drip = [{ role: 'user', content: 'drip 20 5' }]
const scenes: readonly {
  readonly name: string
  readonly body: object
  readonly connections: number
  readonly count: number
}[] = [
  { name: 'answers', body: { model: 'small', messages }, connections: CONNECTIONS, count: CALLS },
  {
    name: 'streams of 200 pieces',
    body: { model: 'small', messages, stream: true },
    connections: CONNECTIONS,
    count: CALLS / 3,
  },
  {
    name: 'dripping streams',
    body: { model: 'small', messages: drip, stream: true },
    connections: 8,
    count: CALLS / 20,
  },
]

for (const { name, body, connections, count } of scenes) {
  const figures = gateways.map((gateway) => ({
    gateway,
    rate: [] as number[],
    cpu: [] as number[],
    first: [] as number[],
    late: [] as number[],
  }))
  let lost = 0
  for (let round = -1; round < ROUNDS; round += 1) {
    // Whoever comes first in a round comes last in the next.
    for (const figure of round % 2 === 0 ? figures : [...figures].reverse()) {
      const { port, headers, pid } = figure.gateway
      const asked: Asked = { port, headers, body }
      const before = cpuOf(pid)
      const result = await load(asked, { connections, count: Math.ceil(count) })
      lost += result.lost
      // The first round warms up.
      if (round < 0) continue
      figure.cpu.push((1000 * (cpuOf(pid) - before)) / result.answers)
      figure.rate.push((1000 * result.answers) / result.elapsed)
      figure.first.push(result.first[Math.floor(result.first.length / 2)] ?? Number.NaN)
      figure.late.push(result.first[Math.floor(result.first.length * 0.99)] ?? Number.NaN)
    }
  }
  const floor = figures.at(-1)
  const rows = figures.map(({ gateway, rate, cpu, first, late }) => [
    gateway.name,
    median(rate).toFixed(0),
    median(rate.map((value, index) => value / (floor?.rate[index] ?? value))).toFixed(2),
    median(cpu).toFixed(0),
    median(first).toFixed(2),
    median(late).toFixed(2),
  ])
  console.log(
    `${name}: ${ROUNDS} rounds × ${Math.ceil(count)}, ${connections} at once, lost ${lost}, Node ${process.version}`,
  )
  console.log(columns([['', 'per second', '×', 'CPU µs each', 'first ms p50', 'p99'], ...rows]))
  console.log()
}
children.end()

const { streams, lost, rss, heap, heapAfter } = await crowd(Number(process.env.STREAMS ?? 2000))
const kb = (bytes: number) => `${(bytes / 1000).toFixed(1)} kB`
console.log(
  `${streams} slow streams at once: lost ${lost}; each ${kb(rss)} of RSS, ${kb(heap)} of heap; left ${kb(heapAfter)}`,
)
