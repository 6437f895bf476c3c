import type { Router } from '../router.ts'
import { createDoor } from './door.ts'
import { type Serving, serveDoor } from './node-server.ts'
import type { ServeOptions } from './serve-options.ts'

export type { Serving } from './node-server.ts'
export type { ServeLimits, ServeOptions } from './serve-options.ts'

/**
 * The router on a port, for every language: OpenAI's protocol, `/health`, `/usage` and `/usage.html`. Only this machine
 * reaches it unless `host` says otherwise, which takes a `token`.
 *
 * @throws ConfigError for options that cannot be right, a port that is taken, an open door to the world.
 * @example
 * const server = await serve(router, { port: 8787, token: process.env.TOKEN })
 * console.log(`${server.url}/v1`)
 */
export function serve(router: Router, options: ServeOptions = {}): Promise<Serving> {
  // The server counts what comes by `limits.bodyBytes`: the door has nothing to add.
  return serveDoor(createDoor(router, { maxBodyBytes: Number.MAX_SAFE_INTEGER }), router, options)
}
