import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { build } from 'esbuild'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { run } from '../../src/cli/run.ts'
import { root } from '../laws/source.ts'
import { answerOf, eventually, reply, serve, type TestServer } from '../support/server.ts'

const TOKEN = 'zz-token-of-a-program-0123456789'
let folder = ''
const at = (name: string) => join(folder, name)
/** Whether this Node reads TypeScript by itself. */
const isRead = Boolean(Reflect.get(process.features, 'typescript'))

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'modelfirst-serve-'))
  await build({
    entryPoints: { cli: join(root, 'src/cli/cli.ts'), modelfirst: join(root, 'src/index.ts') },
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'silent',
  })
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** The command, in this process. */
async function modelfirst(...args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const code = await run(args, { stdin: Readable.from([]), stdout, stderr, env: {}, now: () => 0 })
  return { code, out: String(stdout.read() ?? ''), err: String(stderr.read() ?? '') }
}

describe('what cannot be served', () => {
  test.each([
    ['a file that is not there', 'nothing.mjs', null, 1, 'no such file'],
    ['a file without a default export', 'empty.mjs', 'export const router = 1', 1, 'expected a router as its default'],
    ['a default export that is no router', 'number.mjs', 'export default 7', 1, 'expected a router as its default'],
    ['a function that makes none', 'none.mjs', 'export default () => null', 1, 'expected a router as its default'],
    ['a file that throws', 'throws.mjs', "throw new Error('no key here')", 1, 'throws.mjs: no key here'],
    ['one that throws lines', 'lines.mjs', "throw new Error('no key:\\n  here')", 1, 'lines.mjs: no key: here'],
  ])('%s', async (_, name, text, expected, message) => {
    if (text !== null) writeFileSync(at(name), text)
    const { code, out, err } = await modelfirst('serve', at(name))
    expect({ code, out }).toEqual({ code: expected, out: '' })
    expect(err).toMatch(/^modelfirst: [^\n]+\n$/)
    expect(err).toContain(message)
  })

  test.each([
    [['serve', 'a', 'b'], 'one router at a time: what is b?'],
    [['serve'], 'no router here: name its file, or call it router.config.ts'],
    [['serve', 'a.mjs', '--port', '99999'], '--port is a number from 0 to 65535'],
    [['serve', 'a.mjs', '--prot', '1'], 'did you mean --port?'],
  ])('%j', async (args, message) => {
    const { code, err } = await modelfirst(...args)
    expect(code).toBe(2)
    expect(err).toContain(message)
  })

  test('the help tells the options', async () => {
    expect((await modelfirst('--help')).out).toContain('modelfirst serve [router.config.ts]')
    expect((await modelfirst('serve', '--help')).out).toContain('-p, --port <number>')
  })
})

describe('as a program', () => {
  const children: ChildProcess[] = []
  let upstream: TestServer
  beforeAll(async () => {
    upstream = await serve(({ response, body }) => {
      if (body.includes('never')) return undefined
      if (!body.includes('slowly')) return reply(response, 200, answerOf('Hello.'))
      setTimeout(() => reply(response, 200, answerOf('At last.')), 150)
    })
  })
  afterAll(() => upstream.close())
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
  })

  const config = (annotation = '') => `
    import { compatible, createRouter } from './modelfirst.mjs'
    const models${annotation} = ['small']
    export default async () => createRouter({
      providers: [compatible({ name: 'local', baseURL: ${JSON.stringify(upstream.url)}, apiKey: 'sk-0123456789', models })],
      tasks: { say: { model: 'small' } },
    })`

  function started(args: readonly string[], env: Record<string, string> = {}) {
    const child = spawn(process.execPath, [at('cli.mjs'), 'serve', ...args], {
      cwd: folder,
      env: { PATH: process.env.PATH, ...env },
    })
    children.push(child)
    const output = { out: '', err: '' }
    const ended = new Promise<{ code: number | null; out: string; err: string }>((resolve) => {
      child.on('close', (code) => resolve({ code, ...output }))
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output.err += text
    })
    const url = new Promise<string>((resolve) => {
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        output.out += text
        if (text.endsWith('\n')) resolve(output.out.trim())
      })
    })
    return { child, url, ended }
  }

  const ask = (url: string, content: string) =>
    fetch(`${url}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'small', messages: [{ role: 'user', content }] }),
    })

  test('it prints its address, answers, and lets an answer under way come to its end', async () => {
    writeFileSync(at('router.config.mjs'), config())
    const { child, url, ended } = started(['--port', '0'], { MODELFIRST_TOKEN: TOKEN })
    const base = await url
    expect(base).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/v1$/)
    expect((await fetch(`${base}/models`)).status).toBe(401)
    expect((await ask(base, 'quickly')).status).toBe(200)
    const slow = ask(base, 'slowly')
    await new Promise((resolve) => setTimeout(resolve, 60))
    child.kill('SIGTERM')
    expect(await (await slow).text()).toContain('At last.')
    const { code, err } = await ended
    expect(code).toBe(0)
    expect(err).toContain('closed after 2 calls')
    expect(err).not.toContain(TOKEN)
  })

  test('whoever tells it twice is not kept waiting, and clients are told', async () => {
    writeFileSync(at('router.config.mjs'), config())
    const { child, url, ended } = started(['--port', '0'], { MODELFIRST_TOKEN: TOKEN })
    const asked = upstream.requests.length
    const answer = ask(await url, 'never')
    await eventually(() => upstream.requests.length > asked)
    child.kill('SIGTERM')
    // Together they would be one.
    await new Promise((resolve) => setTimeout(resolve, 100))
    child.kill('SIGINT')
    expect((await answer).status).toBe(503)
    const { code, err } = await ended
    expect(code).toBe(0)
    expect(err).toContain('closed after 1 call')
  })

  test('everybody may reach it only where there is a token', async () => {
    writeFileSync(at('router.config.mjs'), config())
    const { code, out, err } = await started(['--port', '0', '--host', '0.0.0.0']).ended
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toMatch(/^modelfirst: serve\.token: [^\n]+\n$/)
  })

  test('TypeScript is read where Node reads it, and else it is told what to do', async () => {
    writeFileSync(at('typed.ts'), config(': string[]'))
    const { url, ended, child } = started(['typed.ts', '--port', '0'])
    if (isRead) {
      expect((await ask(await url, 'quickly')).status).toBe(200)
      child.kill('SIGINT')
      expect((await ended).code).toBe(0)
      return
    }
    const { code, err } = await ended
    expect(code).toBe(1)
    expect(err).toMatch(/^modelfirst: typed\.ts: Node 2\d\.[\d.]+ reads no TypeScript: name it \.mjs, [^\n]+\n$/)
  })
})
