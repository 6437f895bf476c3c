import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createSecureServer } from 'node:tls'

/** How an address that begins with https disappoints. */
export type Insecurity = 'untrusted' | 'plain' | 'alert' | 'reset'

/** A certificate that nobody trusts, and its key: made for this, good for a hundred years and for nothing else. */
const CERTIFICATE =
  'MIIBejCCAR+gAwIBAgIUBOXVj7YoxwqMQjZXnfa8Afpu+OQwCgYIKoZIzj0EAwIwETEPMA0GA1UEAwwGbm9ib2R5MCAXDTI2MTEyMTA3NDc1NloYDzIxMjYxMDI4MDc0NzU2WjARMQ8wDQYDVQQDDAZub2JvZHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARUgmaWSLXbqomWviJaPUFvstqRoXx4AtEpaZTn9Ki6II8bUWj74bHsqXy2zIOedEonYRQZHr0iIFw4AiCoNiYdo1MwUTAdBgNVHQ4EFgQUp3v5sY/lyNeBMtiBJTQjz9F/PbcwHwYDVR0jBBgwFoAUp3v5sY/lyNeBMtiBJTQjz9F/PbcwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEA9n2p+X7gA6QIz0ioXd5r0/5iZhLf4jhqlrtQ7L5l7RACIQDHNyE162sANmKB3MQq1yFdCcILVRwLSemdPNlqi0gfdQ=='
const KEY =
  'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgukStur49e4Jlwf7YaHNYTettr6hCyl3RtP+PCUJFx4qhRANCAARUgmaWSLXbqomWviJaPUFvstqRoXx4AtEpaZTn9Ki6II8bUWj74bHsqXy2zIOedEonYRQZHr0iIFw4AiCoNiYd'

const pem = (label: string, text: string) =>
  `-----BEGIN ${label}-----\n${text.replace(/.{1,64}/g, '$&\n')}-----END ${label}-----\n`

export interface Insecure {
  readonly url: string
  close(): void
}

export async function insecure(how: Insecurity): Promise<Insecure> {
  const sockets = new Set<Socket>()
  const server = serverOf(how)
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('it has no port')
  return {
    url: `https://127.0.0.1:${address.port}/v1`,
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

function serverOf(how: Insecurity): Server {
  switch (how) {
    case 'untrusted':
      return createSecureServer({ cert: pem('CERTIFICATE', CERTIFICATE), key: pem('PRIVATE KEY', KEY) })
    case 'alert':
      // Without a certificate it has nothing to agree on.
      return createSecureServer({})
    case 'plain':
      return createServer((socket) => void socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')))
    case 'reset':
      return createServer((socket) => void socket.once('data', () => socket.resetAndDestroy()))
  }
}

/** What fetch says of each. */
export const CODES: Readonly<Record<Insecurity, string>> = {
  untrusted: 'DEPTH_ZERO_SELF_SIGNED_CERT',
  plain: 'ERR_SSL_WRONG_VERSION_NUMBER',
  alert: 'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE',
  reset: 'ECONNRESET',
}
