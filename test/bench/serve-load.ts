import { connect, type Socket } from 'node:net'

/** A client that costs next to nothing: a request in bytes, sent again when its answer is whole. */
export interface Load {
  /** Answers, and how long it took for them, in milliseconds. */
  readonly answers: number
  readonly elapsed: number
  /** From the request to the first piece with content, in milliseconds, sorted. */
  readonly first: readonly number[]
  /** Answers that were none: another status than 200, or cut off. */
  readonly lost: number
}

export interface Asked {
  readonly port: number
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body: object
}

export function requestOf({ port, path = '/v1/chat/completions', headers = {}, body }: Asked): Buffer {
  const text = JSON.stringify(body)
  const lines = Object.entries({
    host: `127.0.0.1:${port}`,
    authorization: 'Bearer sk-bench',
    'content-type': 'application/json',
    'content-length': `${Buffer.byteLength(text)}`,
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n${text}`)
}

/** `count` answers over `connections` at once. */
export async function load(asked: Asked, about: { connections: number; count: number }): Promise<Load> {
  const request = requestOf(asked)
  const first: number[] = []
  let [left, answers, lost] = [about.count, 0, 0]
  const started = performance.now()
  const worker = async () => {
    const socket = await opened(asked.port)
    try {
      while (left > 0) {
        left -= 1
        const { ok, firstMs } = await ask(socket, request)
        if (ok) answers += 1
        else lost += 1
        first.push(firstMs)
      }
    } finally {
      socket.destroy()
    }
  }
  await Promise.all(Array.from({ length: about.connections }, worker))
  return { answers, lost, elapsed: performance.now() - started, first: first.sort((a, b) => a - b) }
}

function opened(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket)).setNoDelay(true)
    socket.once('error', reject)
  })
}

export interface Answer {
  readonly ok: boolean
  readonly firstMs: number
  readonly text: string
}

function ask(socket: Socket, request: Buffer): Promise<Answer> {
  return new Promise((resolve) => {
    const started = performance.now()
    let text = ''
    let firstMs = Number.NaN
    const end = (isWhole: boolean) => {
      socket.off('data', take).off('close', cut).off('error', cut)
      resolve({ ok: isWhole && text.startsWith('HTTP/1.1 200'), firstMs, text })
    }
    const cut = () => end(false)
    const take = (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (Number.isNaN(firstMs) && text.includes('"content":"')) firstMs = performance.now() - started
      if (isWhole(text)) end(true)
    }
    socket.on('data', take).on('close', cut).on('error', cut)
    socket.write(request)
  })
}

/** One answer at a time comes on a connection: what is looked at is only where it ends. */
function isWhole(text: string): boolean {
  if (text.endsWith('\r\n0\r\n\r\n')) return true
  const head = text.indexOf('\r\n\r\n')
  const length = head === -1 ? null : /\r\ncontent-length: (\d+)/i.exec(text.slice(0, head))
  return length !== null && text.length >= head + 4 + Number(length[1])
}
