import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answerOf, reply, serve, type TestServer } from '../support/server.ts'

const MiB = 1024 * 1024
const UNPACKED = 200 * MiB
const MOST = 64 * MiB

/** Members one behind the other are one file to gzip, so a bomb is made as fast as its first piece. */
function gzipped(head: string, filling: Buffer): Buffer {
  const piece = gzipSync(Buffer.alloc(MiB, filling), { level: 9 })
  return Buffer.concat([gzipSync(head), ...Array.from({ length: UNPACKED / MiB }, () => piece)])
}

function brotlied(head: string, filling: Buffer): Buffer {
  const unpacked = Buffer.concat([Buffer.from(head), Buffer.alloc(UNPACKED, filling)])
  return brotliCompressSync(unpacked, { params: { [constants.BROTLI_PARAM_QUALITY]: 2 } })
}

const PACKED = { gzip: gzipped, br: brotlied }
const FIRST = 'data: {"choices":[{"delta":{"content":"once"}}]}\n\n'

interface Bomb {
  readonly title: string
  readonly how: 'whole' | 'stream' | 'list'
  readonly status?: number
  readonly type?: string
  readonly head?: string
  readonly filling: string
  readonly outcome: string
}

const STREAM = { how: 'stream', type: 'text/event-stream', outcome: 'bad-response' } as const

const BOMBS: readonly Bomb[] = [
  { title: 'an answer of blanks', how: 'whole', filling: ' ', outcome: 'bad-response' },
  { title: 'an answer of bytes that are no text', how: 'whole', filling: '\xff', outcome: 'bad-response' },
  {
    title: 'an error',
    how: 'whole',
    status: 500,
    head: '{"error":{"message":"',
    filling: 'x',
    outcome: 'server-error',
  },
  { title: 'an error in the place of a stream', how: 'stream', status: 503, filling: ' ', outcome: 'overloaded' },
  { title: 'a whole answer in the place of a stream', how: 'stream', filling: ' ', outcome: 'bad-response' },
  { ...STREAM, title: 'a stream without a line break', filling: 'x' },
  { ...STREAM, title: 'a stream of blank lines', filling: '\n' },
  { ...STREAM, title: 'a stream of comments', filling: ': still here\n\n\n' },
  { ...STREAM, title: 'a stream that is one line after its first words', head: FIRST, filling: 'x' },
  { ...STREAM, title: 'a stream of comments after its first words', head: FIRST, filling: ': still here\n\n\n' },
  { title: 'a list of models', how: 'list', head: '{"data":[', filling: '{},\n', outcome: 'refused' },
]

const WAYS = [
  ['gzip', 'fetch'],
  ['gzip', 'openai'],
  ['br', 'fetch'],
  ['br', 'openai'],
] as const
const DEEP = process.env.MODELFIRST_DEEP === '1'
/** Each is a process: when time is short, some of them, each one way. */
const CASES = BOMBS.flatMap((bomb, index) => {
  const ways = DEEP ? WAYS : index % 2 === 1 ? [] : WAYS.slice((index / 2) % 3).slice(0, 1)
  return ways.map(([encoding, wire]) => [bomb.title, encoding, wire, bomb] as const)
})

describe('a small answer that unpacks to 200 MiB costs at most 64, and is given up', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bombed-'))
  const script = join(folder, 'bombed.mjs')
  const servers: TestServer[] = []

  beforeAll(async () => {
    await build({
      entryPoints: [fileURLToPath(new URL('bombed.ts', import.meta.url))],
      bundle: true,
      platform: 'node',
      format: 'esm',
      outfile: script,
    })
  })
  afterAll(async () => {
    await Promise.all(servers.map((server) => server.close()))
    rmSync(folder, { recursive: true })
  })

  test.each(CASES)('%s, packed with %s, over the wire of %s', async (_title, encoding, wire, bomb) => {
    const { status = 200, type = 'application/json', head = '' } = bomb
    const packed = PACKED[encoding](head, Buffer.from(bomb.filling, 'latin1'))
    const plain = await serve(({ response }) => reply(response, 200, answerOf('hi')))
    const server = await serve(({ response }) =>
      reply(response, status, packed, { 'content-type': type, 'content-encoding': encoding }),
    )
    servers.push(plain, server)
    const { stdout } = await promisify(execFile)(process.execPath, [script, wire, bomb.how, plain.url, server.url])
    const { outcome, grown }: { outcome: string; grown: number } = JSON.parse(stdout)
    expect(packed.length).toBeLessThan(MiB)
    expect(outcome).toBe(bomb.outcome)
    expect(grown).toBeLessThan(MOST)
  })
})
