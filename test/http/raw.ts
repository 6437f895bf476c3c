import { connect, type Socket } from 'node:net'

/** What comes back on a connection, as it comes. */
export interface Conversation {
  readonly socket: Socket
  /** Everything until now. */
  readonly text: string
  readonly closed: boolean
  say(bytes: string | Uint8Array): void
  /** Waits until what came back holds something. */
  until(found: string | RegExp): Promise<string>
  /** Waits until the other side has hung up. */
  ended(): Promise<string>
}

/** A client that says what it likes, byte for byte. */
export function converse(port: number): Promise<Conversation> {
  return new Promise((resolve, reject) => {
    let text = ''
    let closed = false
    const watchers = new Set<() => void>()
    const socket = connect({ port, host: '127.0.0.1' })
    const changed = () => {
      for (const watcher of [...watchers]) watcher()
    }
    const when = (holds: () => boolean, what: string): Promise<string> =>
      new Promise((found, lost) => {
        const look = () => {
          if (holds()) found(text)
          else if (closed) lost(new Error(`${what} never came; it closed after: ${text.slice(0, 500)}`))
          else return
          watchers.delete(look)
        }
        watchers.add(look)
        look()
      })
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      changed()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      closed = true
      changed()
    })
    socket.once('error', reject)
    socket.once('connect', () =>
      resolve({
        socket,
        get text() {
          return text
        },
        get closed() {
          return closed
        },
        say: (bytes) => void socket.write(bytes),
        until: (found) => when(() => (typeof found === 'string' ? text.includes(found) : found.test(text)), `${found}`),
        ended: () => when(() => closed, 'the end'),
      }),
    )
  })
}

/** Says it all, and waits for the other side to hang up. */
export async function said(port: number, bytes: string | Uint8Array): Promise<string> {
  const conversation = await converse(port)
  conversation.say(bytes)
  return conversation.ended()
}

export interface RawAnswer {
  readonly status: number
  readonly head: string
  readonly body: string
}

/** The first answer in what came back. */
export function answerIn(text: string): RawAnswer {
  const [, status = '0'] = /^HTTP\/1\.1 (\d{3})/.exec(text) ?? []
  const end = text.indexOf('\r\n\r\n')
  return { status: Number(status), head: text.slice(0, end), body: text.slice(end + 4) }
}
