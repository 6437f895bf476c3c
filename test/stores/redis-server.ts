import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A Redis of the operating system, on loopback, that a test starts, kills, and starts again on the same port. */
export interface RedisServer {
  readonly port: number
  /** Resolves when it answers; with what it saved before, it answers at first that it is loading. */
  start(more?: readonly string[]): Promise<void>
  /** As a machine that loses its power. */
  kill(): Promise<void>
  /** Its sockets stay open, and nothing is answered. */
  hang(): void
  goOn(): void
  close(): Promise<void>
}

export const redisInstalled: boolean = spawnSync('redis-server', ['--version']).status === 0

/** The title of what needs it: whoever reads the report sees that it did not run. */
export function withRedis(title: string): string {
  return redisInstalled ? title : `${title} (redis-server is not installed: skipped)`
}

export async function createRedis(args: readonly string[] = []): Promise<RedisServer> {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'redis-'))
  let child: ChildProcess | null = null
  const signal = (name: NodeJS.Signals) => void child?.kill(name)
  const leave = () => signal('SIGKILL')
  process.once('exit', leave)
  const server: RedisServer = {
    port,
    async start(more = []) {
      const settings = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder]
      child = spawn('redis-server', [...settings, ...args, ...more], { stdio: 'ignore' })
      const end = Date.now() + 5000
      while (!/^(\+PONG|-LOADING)/.test(await greeting(port))) {
        if (Date.now() > end) throw new Error('redis-server did not start')
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    },
    async kill() {
      const dying = child
      if (dying === null || dying.exitCode !== null || dying.signalCode !== null) return
      const gone = new Promise((resolve) => dying.once('exit', resolve))
      dying.kill('SIGKILL')
      await gone
    },
    hang: () => signal('SIGSTOP'),
    goOn: () => signal('SIGCONT'),
    async close() {
      await server.kill()
      process.removeListener('exit', leave)
      rmSync(folder, { recursive: true, force: true })
    },
  }
  await server.start()
  return server
}

async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    await new Promise((resolve) => server.close(resolve))
    // A cluster's nodes speak to each other ten thousand ports above.
    if (port < 55_000) return port
  }
}

/** What it says to PING; empty when nobody is there. */
function greeting(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'))
    socket.setTimeout(500, () => socket.destroy())
    socket.once('data', (data) => {
      resolve(data.toString().trim())
      socket.destroy()
    })
    socket.once('error', () => {})
    socket.once('close', () => resolve(''))
  })
}
