import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { fetchWire, undiciWire, type Wire } from 'modelfirst'
import type { Playing } from './memory.ts'
import { type Act, BY_FETCH, GRACE } from './script.ts'
import { type Insecure, insecure } from './secure.ts'

/** Carries a request to the server, or to where nobody is. */
export interface Loopback extends Wire {
  readonly busy: number
  close(): Promise<void>
}

const real = BY_FETCH ? fetchWire() : undiciWire()

/** A port below those that are given out, where nothing is known to listen: one that was let go of may be given out again. */
const NOBODY = 'http://127.0.0.1:2/v1'
/** A label longer than any name may have: no resolver is ever asked for it. */
const NOWHERE = `http://${'x'.repeat(64)}.test/v1`

/** Only the real address is ever asked; it is known when the first request comes. */
export const HOME = 'http://127.0.0.1:2/v1'

/** The script on a real socket. Many a server is never asked: it listens when it is. */
export function loopback({ clock, fill, next }: Playing): Loopback {
  const acts: Act[] = []
  const others: Insecure[] = []
  const sockets = new Set<Socket>()
  const open = new Map<object, Socket>()
  const server = createServer(async (request, response) => {
    const { socket } = request
    const act = acts[Number(request.headers['x-act'])] ?? []
    if (act[0]?.do === 'unread') return
    try {
      for await (const _ of request) {
        // Only that it is all there counts: what it says was seen when it was sent.
      }
    } catch {
      return
    }
    response.on('error', () => {})
    const key = {}
    open.set(key, socket)
    response.on('close', () => open.delete(key))
    await play(act, { response, socket })
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  let listens: Promise<string> | null = null

  const pause = (ms: number, response: ServerResponse) =>
    new Promise<void>((done) => {
      const closed = () => {
        cancel()
        done()
      }
      const cancel = clock.timer(ms, () => {
        response.off('close', closed)
        done()
      })
      response.once('close', closed)
    })

  async function play(act: Act, { response, socket }: { response: ServerResponse; socket: Socket }): Promise<void> {
    const packed = act.some((step) => step.do === 'head' && step.headers['content-encoding'] === 'gzip')
    const bytesOf = (text: string | Uint8Array) => {
      const bytes = typeof text === 'string' ? Buffer.from(fill(text)) : Buffer.from(text)
      return packed ? gzipSync(bytes) : bytes
    }
    const write = (bytes: Uint8Array) =>
      new Promise<void>((done) => {
        if (socket.destroyed) return done()
        response.once('close', done)
        response.write(bytes, () => {
          response.off('close', done)
          done()
        })
      })
    let said = false
    for (const step of act) {
      if (socket.destroyed) return
      switch (step.do) {
        case 'refuse':
        case 'unknown-host':
        case 'insecure':
        case 'unread':
          return
        case 'raw':
          socket.end(step.text)
          return
        case 'wait':
          await pause(step.ms, response)
          break
        case 'head': {
          const headers: Record<string, string> = {}
          for (const [name, value] of Object.entries(step.headers)) headers[name] = fill(value)
          if (typeof step.framing === 'number') headers['content-length'] = String(step.framing)
          if (step.framing === 'close') {
            headers.connection = 'close'
            response.useChunkedEncodingByDefault = false
          }
          response.sendDate = false
          response.writeHead(step.status, headers)
          response.flushHeaders()
          break
        }
        case 'say':
          await write(bytesOf(step.text))
          said = true
          break
        case 'repeat':
          for (const bytes = bytesOf(step.text); !socket.destroyed; await pause(step.everyMs, response))
            await write(bytes)
          return
        case 'flood': {
          const bytes = bytesOf(step.text)
          for (let n = 0; n < step.times && !socket.destroyed; n += 1) await write(bytes)
          break
        }
        case 'garble':
          await write(Buffer.from('this was never packed'))
          response.end()
          return
        case 'hang':
          return
        case 'close':
        case 'reset':
          if (said) await pause(GRACE, response)
          if (step.do === 'reset') socket.resetAndDestroy()
          else socket.destroy()
          return
        case 'end':
          response.end()
          return
      }
    }
  }

  async function baseOf(act: Act): Promise<string> {
    const first = act.find((step) => step.do !== 'wait')
    switch (first?.do) {
      case 'refuse':
        return NOBODY
      case 'unknown-host':
        return NOWHERE
      case 'insecure': {
        const other = await insecure(first.how)
        others.push(other)
        return other.url
      }
    }
    listens ??= listening(server)
    return listens
  }

  return {
    async send(request) {
      const { headers, body, url } = request
      const act = next({ headers, body })
      const numbered = { ...headers, 'x-act': String(acts.push(act) - 1) }
      const base = await baseOf(act)
      return real.send({ ...request, url: url.replace(HOME, base), headers: numbered })
    },
    get busy() {
      return [...open.values()].filter((socket) => !socket.destroyed).length
    },
    async close() {
      for (const other of others) other.close()
      if (listens === null) return
      await listens
      const over = new Promise<void>((done) => server.close(() => done()))
      for (const socket of sockets) socket.destroy()
      await over
    },
  }
}

async function listening(server: ReturnType<typeof createServer>): Promise<string> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const address: AddressInfo | string | null = server.address()
  if (address === null || typeof address === 'string') throw new Error('it has no port')
  return `http://127.0.0.1:${address.port}/v1`
}
