import { existsSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Serving } from '../http/serve.ts'
import { many } from '../report/figures.ts'
import { shown } from '../report/names.ts'
import type { Router } from '../router.ts'
import type { Command } from './command.ts'
import { Problem } from './problem.ts'

const USUAL = ['router.config.ts', 'router.config.mts', 'router.config.js', 'router.config.mjs']
const TOKEN = 'MODELFIRST_TOKEN'

/** A router from a file, on a port, until it is told to end. */
export const serveCommand: Command = {
  name: 'serve',
  usage: '[router.config.ts]',
  says: "put a router on a port, in OpenAI's protocol",
  options: [
    { name: 'port', short: 'p', value: '<number>', says: 'where to listen (8787; 0: any that is free)' },
    { name: 'host', value: '<address>', says: `whom to listen to (127.0.0.1; any other needs ${TOKEN} to be set)` },
    { name: 'hosts', value: '<names>', says: 'names it is asked by besides its own, with commas between' },
    { name: 'origins', value: '<origins>', says: 'pages that may ask, with commas between' },
  ],
  async run({ words, options }, { stdout, stderr, env }) {
    const [named, more] = words
    if (more !== undefined) throw new Problem(`one router at a time: what is ${shown(more)}?`, 2)
    const port = portOf(options.get('port'))
    const host = options.get('host')
    const hosts = listOf(options.get('hosts'))
    const origins = listOf(options.get('origins'))
    const router = await routerFrom(named ?? usual())
    // The other commands start without all of this.
    const { serve } = await import('../http/serve.ts')
    const token = env[TOKEN]
    const serving = await serve(router, {
      ...(port !== undefined && { port }),
      ...(host !== undefined && { host }),
      ...(token !== undefined && { token }),
      ...(hosts !== undefined && { hosts }),
      ...(origins !== undefined && { origins }),
    })
    stdout.write(`${serving.url}/v1\n`)
    const who = token === undefined ? 'no token is asked for' : 'clients send the token as their key'
    stderr.write(`modelfirst listens; ${who}; the figures are at ${serving.url}/usage.html; Ctrl+C ends it\n`)
    await told()
    stderr.write('closing: answers under way may end; Ctrl+C again ends them\n')
    const end = ended(serving, router)
    // Whoever asks is answered that it is over, which is how the server comes to its end.
    await Promise.race([end, told().then(() => router.close().then(() => end))])
    const { calls } = router.ledger.summary().total
    stderr.write(`closed after ${many(calls, 'call')}\n`)
  },
}

async function ended(serving: Serving, router: Router): Promise<void> {
  await serving.close()
  await router.close()
}

/** Whoever wants it to end: a person at a terminal, or whatever started it. */
function told(): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, end)
      resolve()
    }
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, end)
  })
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new Problem('--port is a number from 0 to 65535', 2)
  return Number(text)
}

function listOf(text: string | undefined): readonly string[] | undefined {
  return text
    ?.split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '')
}

function usual(): string {
  const found = USUAL.find((name) => existsSync(name))
  if (found === undefined) throw new Problem(`no router here: name its file, or call it ${USUAL[0]}`, 2)
  return found
}

async function routerFrom(path: string): Promise<Router> {
  const name = shown(basename(path))
  if (!existsSync(path)) throw new Problem(`${shown(path)}: no such file`, 1)
  const module = await loaded(path, name)
  const given: unknown = module.default
  const made: unknown = typeof given === 'function' ? await given() : given
  if (isRouter(made)) return made
  throw new Problem(`${name}: expected a router as its default export, or a function that makes one`, 1)
}

async function loaded(path: string, name: string): Promise<{ readonly default?: unknown }> {
  try {
    return await import(pathToFileURL(resolve(path)).href)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ERR_UNKNOWN_FILE_EXTENSION' && /\.m?ts$/.test(path)) {
      throw new Problem(
        `${name}: Node ${process.versions.node} reads no TypeScript: name it .mjs, take Node 22.18 or later, or run node --import tsx node_modules/modelfirst/dist/cli.js serve`,
        1,
      )
    }
    throw new Problem(`${name}: ${error instanceof Error ? error.message : String(error)}`, 1)
  }
}

function isRouter(value: unknown): value is Router {
  if (typeof value !== 'object' || value === null || !('ledger' in value) || !('close' in value)) return false
  return 'complete' in value && typeof value.complete === 'function' && 'stream' in value
}
