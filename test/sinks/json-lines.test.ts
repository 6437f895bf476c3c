import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { compatible, createRouter } from 'modelfirst'
import { type FileTrouble, jsonLines } from 'modelfirst/node'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { fields, string } from '../../src/fields.ts'
import { createSinks } from '../../src/sinks.ts'
import { answerOf, eventually, reply, serve } from '../support/server.ts'
import { recordOf, recordsOf } from './records.ts'
import { createWriters, ended, type Writers } from './writer.ts'

let folder = ''
let path = ''
let writers: Writers

beforeAll(async () => {
  writers = await createWriters()
})
afterAll(() => writers.close())
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'json-lines-'))
  path = join(folder, 'usage.jsonl')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** The ids in a file, `broken` for a line that is none. */
function idsIn(file: string): string[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  // After the last line break there is nothing; on a busy machine an empty line may come between.
  return lines.flatMap((line) => {
    if (line === '') return []
    try {
      return string(fields(JSON.parse(line))?.id) ?? 'no id'
    } catch {
      return 'broken'
    }
  })
}

/** A file and those it became, the oldest first. */
function idsInAll(): string[] {
  const numberOf = (name: string) => Number(name.split('.').at(-1)) || 0
  return readdirSync(folder)
    .filter((name) => name.startsWith('usage.jsonl'))
    .sort((one, other) => numberOf(other) - numberOf(one))
    .flatMap((name) => idsIn(join(folder, name)))
}

function listening() {
  const troubles: FileTrouble[] = []
  return { troubles, onTrouble: (trouble: FileTrouble) => void troubles.push(trouble) }
}

const idsOf = (count: number, name = 'call') => recordsOf(count, name).map(({ id }) => id)

describe('jsonLines', () => {
  test('each record is one line of JSON, in a folder that is made for it', async () => {
    const deep = join(folder, 'logs/today/usage.jsonl')
    const sink = jsonLines(pathToFileURL(deep))
    const record = recordOf({ metadata: { note: 'line\nbreak \u2028 and "quotes"' } })
    await sink(record)
    await sink(recordOf({ id: 'call_2' }))
    const [first = '', second] = readFileSync(deep, 'utf8').split('\n')
    expect(JSON.parse(first)).toEqual(record)
    expect(JSON.parse(second ?? '')).toMatchObject({ id: 'call_2' })
    await sink.close()
  })

  test('a file that is there is appended to, and a half line at its end stays alone', async () => {
    writeFileSync(path, `${JSON.stringify(recordOf({ id: 'before' }))}\n{"v":1,"id":"ha`)
    const sink = jsonLines(path)
    await sink(recordOf({ id: 'after' }))
    await sink(recordOf({ id: 'next' }))
    expect(idsIn(path)).toEqual(['before', 'broken', 'after', 'next'])
  })

  test('a line that another process has left half, while this one runs, stays alone too', async () => {
    const sink = jsonLines(path)
    await sink(recordOf({ id: 'first' }))
    writeFileSync(path, '{"v":1,', { flag: 'a' })
    await sink(recordOf({ id: 'second' }))
    expect(idsIn(path)).toEqual(['first', 'broken', 'second'])
  })

  test('what is fed in one go is written in order, and all of it when it is closed', async () => {
    const sink = jsonLines(path)
    for (const record of recordsOf(3000)) void sink(record)
    await sink.close()
    expect(idsIn(path)).toEqual(idsOf(3000))
    await expect(sink(recordOf())).rejects.toThrow('is closed')
  })

  test('when a router is closed, the file has the record of each of its calls', async () => {
    const server = await serve(({ response }) => reply(response, 200, answerOf('Hello')))
    const router = createRouter({
      providers: [compatible({ name: 'own', baseURL: server.url, models: ['small'] })],
      tasks: { say: { model: 'small' } },
      sinks: [jsonLines(path)],
    })
    await Promise.all(Array.from({ length: 50 }, () => router.complete('say', 'Hello')))
    await router.close()
    await server.close()
    expect(idsIn(path)).toEqual(router.ledger.records.map(({ id }) => id))
    expect(idsIn(path).length).toBe(50)
  })

  test('a file that somebody moves away is begun again', async () => {
    const sink = jsonLines(path)
    await sink(recordOf({ id: 'one' }))
    renameSync(path, `${path}.old`)
    await sink(recordOf({ id: 'two' }))
    expect([idsIn(`${path}.old`), idsIn(path)]).toEqual([['one'], ['two']])
  })

  test('a file that has grown is put aside, and so many of those are kept', async () => {
    const line = JSON.stringify(recordOf({ id: 'call_0' })).length + 1
    const sink = jsonLines(path, { rotateBytes: 2 * line, keep: 2 })
    for (const record of recordsOf(9)) await sink(record)
    expect(readdirSync(folder).sort()).toEqual(['usage.jsonl', 'usage.jsonl.1', 'usage.jsonl.2'])
    expect([`${path}.2`, `${path}.1`, path].map(idsIn)).toEqual([
      ['call_4', 'call_5'],
      ['call_6', 'call_7'],
      ['call_8'],
    ])
  })

  test('a record that is larger than a file may be is written all the same', async () => {
    const sink = jsonLines(path, { rotateBytes: 10 })
    for (const record of recordsOf(2)) await sink(record)
    expect(idsInAll()).toEqual(['call_0', 'call_1'])
  })

  test('who rotates waits for nobody; a lock that a crash has left is taken away', async () => {
    const lock = `${path}.lock`
    writeFileSync(lock, '')
    const sink = jsonLines(path, { rotateBytes: 10 })
    for (const record of recordsOf(2)) await sink(record)
    expect(idsIn(path)).toEqual(['call_0', 'call_1'])
    const longAgo = new Date(Date.now() - 60_000)
    utimesSync(lock, longAgo, longAgo)
    await sink(recordOf({ id: 'call_2' }))
    expect(existsSync(lock)).toBe(false)
    await sink(recordOf({ id: 'call_3' }))
    expect([idsIn(`${path}.1`), idsIn(path)]).toEqual([['call_0', 'call_1', 'call_2'], ['call_3']])
  })

  test('a file that cannot be rotated grows on, and that is told once', async () => {
    const { troubles, onTrouble } = listening()
    mkdirSync(`${path}.1`)
    writeFileSync(join(`${path}.1`, 'in-the-way'), '')
    const sink = jsonLines(path, { rotateBytes: 10, keep: 1, onTrouble })
    for (const record of recordsOf(3)) await sink(record)
    expect(idsIn(path)).toEqual(idsOf(3))
    expect(troubles.map(({ state }) => state)).toEqual(['not-rotated'])
    expect(existsSync(`${path}.lock`)).toBe(false)
  })

  test('a path that cannot be written is told in one line, and what waits is written when it can', async () => {
    const { troubles, onTrouble } = listening()
    mkdirSync(path)
    const sink = jsonLines(path, { onTrouble, most: 3 })
    const written = recordsOf(3).map((record) => sink(record))
    await eventually(() => troubles.length > 0)
    for (const record of recordsOf(2, 'late')) void sink(record)
    rmSync(path, { recursive: true })
    await Promise.all(written)
    expect(idsIn(path)).toEqual(idsOf(3))
    expect(troubles).toEqual([
      {
        state: 'down',
        code: 'EISDIR',
        drops: 0,
        message: expect.stringMatching(/^usage records cannot .* tried again$/),
      },
      { state: 'back', code: null, drops: 2, message: expect.stringMatching(/again; 2 were dropped meanwhile$/) },
    ])
    await sink(recordOf({ id: 'later' }))
    expect(idsIn(path).at(-1)).toBe('later')
  })

  test.skipIf(!existsSync('/dev/full'))(
    'a full disk is told, and nothing is lost but what does not fit the queue',
    async () => {
      const { troubles, onTrouble } = listening()
      symlinkSync('/dev/full', path)
      const sink = jsonLines(path, { onTrouble })
      const told: string[] = []
      const sinks = createSinks([sink], { clock: systemClock, report: ({ type }) => void told.push(type), most: 5 })
      for (const record of recordsOf(10)) sinks.feed(record)
      await eventually(() => troubles.length > 0)
      expect(troubles).toMatchObject([{ state: 'down', code: 'ENOSPC' }])
      expect(troubles[0]?.message).toContain('ENOSPC: no space left on device')
      rmSync(path)
      await sinks.drained()
      expect(idsIn(path)).toEqual(idsOf(6))
      expect([told, sinks.drops]).toEqual([['dropping', 'dropped'], 4])
    },
  )

  test.skipIf(!existsSync('/dev/full'))(
    'closing does not wait for a disk that stays full, and says what was lost',
    async () => {
      const { onTrouble } = listening()
      symlinkSync('/dev/full', path)
      const sink = jsonLines(path, { onTrouble })
      const written = sink.batch(recordsOf(3))
      await expect(sink.close()).rejects.toThrow(/^3 usage records were not written to .*usage.jsonl: ENOSPC/)
      await expect(written).rejects.toThrow('3 usage records were not written')
    },
  )

  test('options and paths that cannot be right are named', () => {
    expect(() => jsonLines('')).toThrow('jsonLines.path: expected a path such as "usage.jsonl", got an empty string')
    expect(() => jsonLines(new URL('https://example.com/a'))).toThrow('jsonLines.path')
    expect(() => jsonLines(path, { rotateBytes: -1 })).toThrow('jsonLines.rotateBytes: expected a number of bytes')
    expect(() => jsonLines(path, JSON.parse('{"rotate":1}'))).toThrow('did you mean')
  })
})

describe('processes that append to one file', () => {
  test('one that is killed in the middle of its writing leaves whole lines, and at most one that is not', async () => {
    const child = writers.start(`
      const sink = jsonLines(${JSON.stringify(path)})
      const big = { note: 'x'.repeat(20_000) }
      for (let n = 0; ; n += 1) {
        void sink(recordOf({ id: 'call_' + n, metadata: big }))
        if (n % 200 === 0) await sink(recordOf({ id: 'call_' + n + '_last' }))
      }
    `)
    const over = ended(child)
    await eventually(() => existsSync(path) && statSync(path).size > 20_000_000, 15_000)
    child.kill('SIGKILL')
    await over
    const sink = jsonLines(path)
    await sink(recordOf({ id: 'after' }))
    const ids = idsIn(path)
    expect(ids.length).toBeGreaterThan(500)
    expect(ids.at(-1)).toBe('after')
    expect(ids.filter((id) => id === 'broken').length).toBeLessThanOrEqual(1)
    const whole = ids.filter((id) => /^call_\d+$/.test(id))
    expect(whole).toEqual(whole.map((_, n) => `call_${n}`))
  }, 30_000)

  test('several that write and rotate at the same time lose nothing and tear nothing', async () => {
    const count = 4000
    const over = ['a', 'b', 'c'].map((name) =>
      ended(
        writers.start(`
          const sink = jsonLines(${JSON.stringify(path)}, { rotateBytes: 700_000, keep: 100 })
          let n = 0
          for (const record of recordsOf(${count}, ${JSON.stringify(name)})) {
            const written = sink(record)
            if (++n % 20 === 0) await written
          }
          await sink.close()
        `),
      ),
    )
    for (const { code, stderr } of await Promise.all(over)) expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const ids = idsInAll()
    expect(ids.length).toBe(3 * count)
    expect(new Set(ids)).toEqual(new Set(['a', 'b', 'c'].flatMap((name) => idsOf(count, name))))
    const sizes = readdirSync(folder)
      .filter((name) => name !== 'usage.jsonl')
      .map((name) => statSync(join(folder, name)).size)
    expect(sizes.length).toBeGreaterThan(5)
    // What one has put aside, and begun anew, the others leave alone.
    expect(Math.min(...sizes)).toBeGreaterThan(600_000)
  }, 30_000)

  test('a line that did not fit is written again, whole, when there is room', async () => {
    // The operating system lets a file of this process grow to so many blocks, and then takes a part of a write.
    const child = writers.start(
      `
        const sink = jsonLines(${JSON.stringify(path)}, { onTrouble: ({ code, state }) => console.log(state, code) })
        const busy = setInterval(() => {}, 1000)
        await sink.batch(recordsOf(12))
        clearInterval(busy)
      `,
      { shell: "trap '' XFSZ; ulimit -f 16" },
    )
    let said = ''
    child.stdout?.on('data', (text) => {
      said += text
    })
    const over = ended(child)
    await eventually(() => said.includes('down EFBIG'), 10_000)
    expect(statSync(path).size).toBe(8192)
    renameSync(path, `${path}.1`)
    expect(await over).toMatchObject({ code: 0, stderr: '' })
    expect(idsInAll().filter((id) => id !== 'broken')).toEqual(idsOf(12))
    expect(idsIn(`${path}.1`).at(-1)).toBe('broken')
  }, 30_000)

  test('records are written as fast as they come', async () => {
    const count = 30_000
    const child = writers.start(`
      const sink = jsonLines(${JSON.stringify(path)})
      const records = recordsOf(${count})
      const began = performance.now()
      let n = 0
      for (const record of records) {
        void sink(record)
        if (++n % 1000 === 0) await sink(record)
      }
      await sink.close()
      console.log(Math.round((n + n / 1000) / ((performance.now() - began) / 1000)))
    `)
    const { stdout, stderr } = await ended(child)
    expect(stderr).toBe('')
    console.log(
      `jsonLines: ${Number(stdout).toLocaleString('en')} records/s, ${Math.round(statSync(path).size / count)} bytes each`,
    )
    // Other work goes on beside the tests.
    expect(Number(stdout)).toBeGreaterThan(2000)
    expect(idsIn(path).length).toBe(count + count / 1000)
  }, 30_000)
})
