import type { ChildProcess } from 'node:child_process'
import { connect, type Socket } from 'node:net'
import { createChildren } from './serve-children.ts'
import { load, requestOf } from './serve-load.ts'

/** What many slow streams at once cost the process that passes them on. */
export interface Crowd {
  readonly streams: number
  /** Of those, how many were not whole, and how some of them ended. */
  readonly lost: number
  readonly endings: readonly string[]
  /** Above what the process held before, in bytes for each stream, collected. */
  readonly rss: number
  readonly heap: number
  /** What is left of it afterwards. */
  readonly heapAfter: number
}

interface Memory {
  readonly rss: number
  readonly heapUsed: number
  readonly external: number
}

/** `streams` at once, a token a second; measured while all of them are open and halfway through. */
export async function crowd(streams: number, tokens = 12): Promise<Crowd> {
  const children = await createChildren()
  try {
    const upstream = await children.start('serve-upstream')
    const gateway = await children.start('serve-gateway', [`http://127.0.0.1:${upstream.port}/v1`])
    const asking = (drip: string) =>
      requestOf({
        port: gateway.port,
        headers: { connection: 'close' },
        body: { model: 'small', stream: true, messages: [{ role: 'user', content: drip }] },
      })
    // A server that has been at work: what is compiled, loaded, and set aside for work of any kind is no stream's own.
    await load(
      { port: gateway.port, body: { model: 'small', stream: true, messages: [{ role: 'user', content: 'drip 3 1' }] } },
      { connections: 100, count: 3000 },
    )
    await new Promise((resolve) => setTimeout(resolve, 1000))
    const before = await memoryOf(gateway.process)
    const request = asking(`drip ${tokens} 1000`)
    let begun = 0
    const all: Promise<string | null>[] = []
    for (let n = 0; n < streams; n += 1) {
      all.push(
        streamed(gateway.port, request, () => {
          begun += 1
        }),
      )
      // Clients come quickly, but not all in one millisecond.
      if (n % 20 === 19) await new Promise((resolve) => setTimeout(resolve, 10))
    }
    while (begun < streams) await new Promise((resolve) => setTimeout(resolve, 20))
    await new Promise((resolve) => setTimeout(resolve, 1500))
    const during = await memoryOf(gateway.process)
    const endings = (await Promise.all(all)).filter((ending) => ending !== null)
    await new Promise((resolve) => setTimeout(resolve, 500))
    const after = await memoryOf(gateway.process)
    return {
      streams,
      lost: endings.length,
      endings: [...new Set(endings)].slice(0, 5),
      rss: (during.rss - before.rss) / streams,
      heap: (heapOf(during) - heapOf(before)) / streams,
      heapAfter: (heapOf(after) - heapOf(before)) / streams,
    }
  } finally {
    children.end()
  }
}

const heapOf = ({ heapUsed, external }: Memory): number => heapUsed + external

function memoryOf(child: ChildProcess): Promise<Memory> {
  return new Promise((resolve) => {
    child.once('message', ({ memory }: { memory: Memory }) => resolve(memory))
    child.send('memory')
  })
}

/** `null`: it came whole; else how it ended. */
function streamed(port: number, request: Buffer, begun: () => void): Promise<string | null> {
  return new Promise((resolve) => {
    let end = ''
    let problem = 'closed'
    let isBegun = false
    const socket: Socket = connect(port, '127.0.0.1', () => socket.write(request))
    socket.on('data', (chunk) => {
      end = (end + chunk.toString('latin1')).slice(-300)
      if (isBegun) return
      isBegun = true
      begun()
    })
    socket.on('error', ({ message }) => {
      problem = message
    })
    socket.on('close', () => {
      if (!isBegun) begun()
      resolve(end.endsWith('data: [DONE]\n\n\r\n0\r\n\r\n') ? null : `${problem} after ${JSON.stringify(end)}`)
    })
  })
}
