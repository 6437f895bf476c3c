import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { widthOf } from '../../src/cli/grid.ts'
import { run } from '../../src/cli/run.ts'
import { root } from '../laws/source.ts'
import { sample } from '../report/sample.ts'
import { spendBy, sumsOf } from '../report/sums.ts'

const records = [...sample(400, 1)]
const lines = records.map((record) => JSON.stringify(record))
const NOW = Date.parse('2026-11-23T00:00:00Z')

let folder = ''
let file = ''
const at = (name: string) => join(folder, name)

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'modelfirst-cli-'))
  file = at('usage.jsonl')
  writeFileSync(file, `${lines.join('\n')}\n`)
  mkdirSync(at('folder'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** The command, in this process, with streams of its own. */
async function modelfirst(
  args: readonly string[],
  options: { stdin?: string; isTTY?: boolean; env?: Record<string, string> } = {},
): Promise<{ code: number; out: string; err: string }> {
  const stdout = Object.assign(new PassThrough(), { isTTY: options.isTTY === true })
  const stderr = new PassThrough()
  const stdin = Readable.from(options.stdin === undefined ? [] : [Buffer.from(options.stdin)])
  const code = await run(args, { stdin, stdout, stderr, env: options.env ?? {}, now: () => NOW })
  return { code, out: String(stdout.read() ?? ''), err: String(stderr.read() ?? '') }
}

const rowsOf = (out: string) =>
  out
    .split('\n')
    .filter((line) => / {2}\d/.test(line))
    .map((line) => line.split(/ {2,}/))

describe('modelfirst usage', () => {
  test('sums a file up, by task when nothing else is said, the dearest first', async () => {
    const { code, out, err } = await modelfirst(['usage', file])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    const spent = [...spendBy(records, ({ task }) => task)].sort(([, a], [, b]) => b - a)
    const rows = rowsOf(out)
    expect(rows.map(([name]) => name)).toEqual([...spent.map(([name]) => name), 'all'])
    const sums = sumsOf(records)
    const all = rows.at(-1) ?? []
    expect(all.slice(1, 4)).toEqual([`${sums.calls}`, `${sums.failed}`, `${sums.failovers}`])
    expect(Number(all[4]?.replace(/[^\d.]/g, ''))).toBeCloseTo(sums.low, 2)
    expect(out).toContain(`${sums.open} call${sums.open === 1 ? '' : 's'} of unknown cost`)
  })

  test('its columns stand below each other, with names of any letters', async () => {
    const strange = lines.slice(0, 50).map((line) => line.replace('"task":"tag"', '"task":"\\u001b[2J日本語 é🙂"'))
    const { out } = await modelfirst(['usage', '-'], { stdin: strange.join('\n') })
    expect(out).not.toContain('\u001b')
    const table = out.split('\n').filter((line) => / {2}(calls|\d)/.test(line))
    const ends = table.map((line) => widthOf(line))
    expect(table.length).toBeGreaterThan(3)
    expect(new Set(ends).size).toBe(1)
  })

  test.each(['model', 'provider', 'host', 'session'])('by %s', async (by) => {
    const { code, out } = await modelfirst(['usage', file, '--by', by, '--top=1000'])
    expect(code).toBe(0)
    const rows = rowsOf(out)
    const expected = spendBy(records, ({ session }, { model, provider, host }) => {
      if (by === 'session') return session ?? '(none)'
      if (by === 'host') return host === null ? provider : `${provider}/${host}`
      return by === 'model' ? model : provider
    })
    expect(new Set(rows.slice(0, -1).map(([name]) => name))).toEqual(new Set(expected.keys()))
  })

  test('the dearest only, and says how many more there are', async () => {
    const { out } = await modelfirst(['usage', file, '--by', 'host', '--top', '2'])
    expect(rowsOf(out)).toHaveLength(3)
    expect(out).toMatch(/\d+ more rows: --top \d+/)
  })

  test('since a time', async () => {
    const since = '2026-11-15'
    const { out } = await modelfirst(['usage', file, '--since', since])
    const wanted = records.filter(({ at: when }) => when >= since)
    expect(rowsOf(out).at(-1)?.[1]).toBe(`${wanted.length}`)
    const week = await modelfirst(['usage', file, '--since', '7d'])
    expect(rowsOf(week.out).at(-1)?.[1]).toBe(
      `${records.filter(({ at: when }) => Date.parse(when) >= NOW - 7 * 86_400_000).length}`,
    )
    expect((await modelfirst(['usage', file, '--since', '2030-01-01'])).out).toBe('no calls since then\n')
  })

  test('has colours for eyes alone, and for those who want them', async () => {
    expect((await modelfirst(['usage', file], { isTTY: true })).out).toContain('\u001b[1m')
    expect((await modelfirst(['usage', file], { isTTY: true, env: { NO_COLOR: '1' } })).out).not.toContain('\u001b')
    expect((await modelfirst(['usage', file])).out).not.toContain('\u001b')
  })

  test('passes over what is no record, and says so; half a last line is no error', async () => {
    const { code, out } = await modelfirst(['usage', '-'], { stdin: `${lines[0]}\nnonsense\n${lines[1]}\n{"v":1,"id"` })
    expect(code).toBe(0)
    expect(rowsOf(out).at(-1)?.[1]).toBe('2')
    expect(out).toContain('1 line could not be read and is in no sum: 1 no JSON, the first is line 2.')
    expect(out).toContain('The last line is half a record')
  })

  test('an empty file is no error', async () => {
    expect(await modelfirst(['usage', '-'], { stdin: '' })).toEqual({ code: 0, out: 'no calls yet\n', err: '' })
  })
})

describe('modelfirst report', () => {
  test('writes a page, and says where', async () => {
    const page = at('out.html')
    const { code, out, err } = await modelfirst(['report', file, '-o', page, '--title', 'Mine'])
    expect({ code, out }).toEqual({ code: 0, out: '' })
    expect(err).toMatch(/out\.html: 400 calls, ≥ \$[\d.]+; open it in a browser\n$/)
    expect(readFileSync(page, 'utf8')).toContain('<title>Mine</title>')
    expect((await modelfirst(['report', file, '-o', page])).code).toBe(0)
  })

  test('prints it where that is asked for, and when it reads what is piped in', async () => {
    for (const args of [
      ['report', file, '-o', '-'],
      ['report', '-'],
    ]) {
      const { code, out, err } = await modelfirst(args, { stdin: lines.join('\n') })
      expect({ code, err }).toEqual({ code: 0, err: '' })
      expect(out).toMatch(/^<!doctype html>[\s\S]*<\/html>\n$/)
    }
  })

  test('says why it could not be written', async () => {
    const { code, err } = await modelfirst(['report', file, '-o', join(folder, 'none', 'out.html')])
    expect(code).toBe(1)
    expect(err).toMatch(/^modelfirst: .*out\.html: could not be written \(ENOENT\): name another with -o\n$/)
  })

  test('never writes over what it reads', async () => {
    expect((await modelfirst(['report', file, '-o', file])).code).toBe(2)
    expect(readFileSync(file, 'utf8')).toContain(lines[0])
  })
})

describe('what is asked for wrongly ends with one line that says what to do', () => {
  test.each([
    [[], 2, 'name a command: modelfirst --help'],
    [['usge', 'x'], 2, 'unknown command usge: did you mean usage?'],
    [['frobnicate'], 2, 'unknown command frobnicate: there is serve, report, usage'],
    [['usage'], 2, 'name a file of usage records: modelfirst usage usage.jsonl'],
    [['usage', 'a', 'b'], 2, 'one file at a time: what is b?'],
    [['usage', '--bye', 'task', 'x'], 2, 'unknown option --bye: did you mean --by?'],
    [['usage', '--zzzzzz', 'x'], 2, 'unknown option --zzzzzz: there is --by, --since, --top, --help'],
    [['usage', '--by', 'taks', 'x'], 2, '--by is one of task, model, provider, host, session: did you mean task?'],
    [['usage', 'x', '--by'], 2, '--by needs a value: --by <what>'],
    [['usage', 'x', '--top', '0'], 2, '--top is a number of rows, from 1 on'],
    [
      ['usage', 'x', '--since', 'monday'],
      2,
      '--since is a time like 90m, 24h, 7d or 4w ago, a date like 2026-11-08, or an ISO time',
    ],
    [['usage', '--help=yes'], 2, '--help takes no value'],
  ] as const)('%j', async (args, code, message) => {
    expect(await modelfirst(args)).toEqual({ code, out: '', err: `modelfirst: ${message}\n` })
  })

  test.each([
    ['usage.jsonll', 'no such file: did you mean usage.jsonl?'],
    ['folder', 'a folder, not a file: name the file with the usage records'],
    ['other.json', 'no usage records in it: one JSON object per line is expected, as a sink writes them'],
    ['later.jsonl', 'its usage records are of a later version: update modelfirst'],
  ])('%s', async (name, message) => {
    writeFileSync(at('other.json'), '{\n  "name": "other"\n}\n')
    writeFileSync(at('later.jsonl'), `${lines[0]?.replace('"v":1', '"v":2')}\n`)
    const { code, out, err } = await modelfirst(['usage', at(name)])
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toMatch(/^modelfirst: [^\n]+\n$/)
    expect(err).toContain(`${message}\n`)
    expect((await modelfirst(['report', at(name), '-o', at('no.html')])).err).toBe(err)
  })
})

test('helps, and tells its version', async () => {
  const { version }: { version: string } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  expect(await modelfirst(['--version'])).toEqual({ code: 0, out: `${version}\n`, err: '' })
  const { code, out } = await modelfirst(['--help'])
  expect(code).toBe(0)
  expect(out).toContain('modelfirst report <file.jsonl | ->')
  const help = await modelfirst(['usage', '--help'])
  expect(help.out).toContain('--by <what>')
  expect(help.out).toContain('-h, --help')
  expect((await modelfirst(['report', '-h'])).out).toContain('-o, --output <page.html | ->')
})

describe('as a program', () => {
  let program = ''
  beforeAll(async () => {
    program = at('cli.mjs')
    await build({
      entryPoints: [join(root, 'src/cli/cli.ts')],
      outfile: program,
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      logLevel: 'silent',
    })
  })

  function started(args: readonly string[], nodeArgs: readonly string[] = []) {
    const child = spawn(process.execPath, [...nodeArgs, program, ...args], {
      cwd: folder,
      env: { PATH: process.env.PATH },
    })
    const output = { out: '', err: '' }
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output.out += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output.err += text
    })
    const ended = new Promise<{ code: number | null; out: string; err: string }>((resolve) => {
      child.on('close', (code) => resolve({ code, ...output }))
    })
    return { child, ended }
  }

  test('it ends with its code', async () => {
    expect((await started(['usage', 'usage.jsonl']).ended).code).toBe(0)
    expect((await started(['usage', 'nothing.jsonl']).ended).code).toBe(1)
    expect((await started(['usage', '--nothing']).ended).code).toBe(2)
  })

  test('beside the file it read there is a page of that name, and nobody else is written over', async () => {
    expect((await started(['report', 'usage.jsonl']).ended).code).toBe(0)
    expect(readFileSync(at('usage.html'), 'utf8')).toContain('<title>Model usage: usage.jsonl</title>')
    expect((await started(['report', 'usage.jsonl']).ended).code).toBe(0)
    writeFileSync(at('usage.html'), '<html>mine</html>')
    const { code, err } = await started(['report', 'usage.jsonl']).ended
    expect(code).toBe(1)
    expect(err).toBe('modelfirst: usage.html is there already and is no report: name another with -o\n')
    expect(readFileSync(at('usage.html'), 'utf8')).toBe('<html>mine</html>')
  })

  test('whoever stops reading is no error', async () => {
    const { child, ended } = started(['report', 'usage.jsonl', '-o', '-'])
    child.stdout.destroy()
    expect(await ended).toMatchObject({ code: 0, err: '' })
  })

  test('what is piped in may be larger than memory', async () => {
    const { child, ended } = started(['usage', '-'], ['--max-old-space-size=48'])
    const total = 40_000
    await new Promise<void>((resolve, reject) => {
      const source = Readable.from(
        (function* () {
          for (let n = 0; n < total; n += 100) {
            const hundred = lines.slice(n % 300, (n % 300) + 100)
            yield `${hundred.map((line, index) => line.replace(/"id":"[^"]*"/, `"id":"${n + index}"`)).join('\n')}\n`
          }
        })(),
      )
      source.pipe(child.stdin).on('finish', resolve).on('error', reject)
    })
    const { code, out, err } = await ended
    expect(err).toBe('')
    expect(code).toBe(0)
    expect(rowsOf(out).at(-1)?.[1]).toBe('40,000')
  }, 40_000)
})
