import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createRawServer, type Server, type Socket } from 'node:net'

/** One request as it came, and the way to answer it. */
export interface Received {
  readonly n: number
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
  readonly response: ServerResponse
  readonly socket: Socket
}

export type Answering = (received: Received) => unknown

export interface TestServer {
  /** With the base path, without a slash at its end. */
  readonly url: string
  readonly requests: readonly Received[]
  /**
   * Exchanges that are under way: their answer is not whole, and their socket is open. Sockets as such say nothing: in
   * the place of one that was given up, Node's fetch opens another and keeps it for a while.
   */
  readonly busy: number
  close(): Promise<void>
}

/** An HTTP server on loopback whose every answer is a function of the test. */
export async function serve(answering: Answering): Promise<TestServer> {
  const requests: Received[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk)
    } catch {
      return
    }
    const received: Received = {
      n: requests.length + 1,
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      body: Buffer.concat(chunks).toString(),
      response,
      socket: request.socket,
    }
    requests.push(received)
    response.on('error', () => {})
    await answering(received)
  })
  return listening(server, requests)
}

/** A TCP server: what it says need not be HTTP. */
export async function serveRaw(onSocket: (socket: Socket) => void): Promise<TestServer> {
  const requests: Received[] = []
  return listening(createRawServer(onSocket), requests)
}

async function listening(server: Server, requests: Received[]): Promise<TestServer> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/api/v1`,
    requests,
    get busy() {
      return requests.filter(({ socket, response }) => !socket.destroyed && !response.writableEnded).length
    },
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      return closed
    },
  }
}

/** A port where nobody listens. */
export async function closedPort(): Promise<string> {
  const server = await serve(() => {})
  await server.close()
  return server.url
}

/** Waits until something is so; the test's own time-out is the limit. */
export async function eventually(holds: () => boolean, patience = 2000): Promise<void> {
  const end = Date.now() + patience
  while (!holds()) {
    if (Date.now() > end) throw new Error(`it did not come to that within ${patience} ms: ${holds}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** An answer as any OpenAI-compatible endpoint gives it. */
export function answerOf(text: string, more: object = {}): string {
  return JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    model: 'small',
    choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
    ...more,
  })
}

export function reply(response: ServerResponse, status: number, body: string | Buffer, headers: object = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(body)
}
