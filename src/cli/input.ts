import { createReadStream, type Dirent, readdirSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { Readable } from 'node:stream'
import { nearest } from '../nearest.ts'
import { type RecordLines, recordLines, type Unread } from '../report/lines.ts'
import { shown } from '../report/names.ts'
import type { UsageRecord } from '../usage.ts'
import { meant, type Option } from './arguments.ts'
import { Problem } from './problem.ts'

export const STDIN = '-'

export const SINCE: Option = {
  name: 'since',
  value: '<time>',
  says: '24h, 7d, a date or an ISO time: nothing before it',
}

/** The one file that a command is about. */
export function fileOf(words: readonly string[], command: string): string {
  const [file, more] = words
  if (file === undefined) throw new Problem(`name a file of usage records: modelfirst ${command} usage.jsonl`, 2)
  if (more !== undefined) throw new Problem(`one file at a time: what is ${shown(more)}?`, 2)
  return file
}

export interface Input extends AsyncIterable<UsageRecord> {
  readonly name: string
  readonly unread: Unread
}

/** The usage records of a file, or of what is piped in, from an instant on. */
export function openInput(path: string, stdin: Readable, since: number | null): Input {
  const name = path === STDIN ? 'standard input' : shown(path)
  const lines = recordLines(path === STDIN ? stdin : createReadStream(path, { highWaterMark: 256 * 1024 }))
  return {
    name,
    unread: lines.unread,
    async *[Symbol.asyncIterator]() {
      let records = 0
      try {
        for await (const record of lines) {
          records += 1
          if (since === null || Date.parse(record.at) >= since) yield record
        }
      } catch (error) {
        throw problemOf(error, path, name)
      }
      if (records === 0) refuseForeign(lines, name)
    },
  }
}

/** Nothing but lines that are no records: it is another file than was meant. An empty one is only empty. */
function refuseForeign({ unread }: RecordLines, name: string): void {
  const { broken, foreign, version, cut } = unread
  if (version > 0 && broken + foreign === 0) {
    throw new Problem(`${name}: its usage records are of a later version: update modelfirst`, 1)
  }
  if (broken + foreign + version === 0 && !cut) return
  throw new Problem(`${name}: no usage records in it: one JSON object per line is expected, as a sink writes them`, 1)
}

function problemOf(error: unknown, path: string, name: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  switch (code) {
    case 'ENOENT':
      return new Problem(`${name}: no such file${meant(neighbours(path))}`, 1)
    case 'EISDIR':
      return new Problem(`${name}: a folder, not a file: name the file with the usage records`, 1)
    case 'EACCES':
    case 'EPERM':
      return new Problem(`${name}: may not be read: check its permissions`, 1)
    default:
      return error
  }
}

function neighbours(path: string): readonly string[] {
  try {
    const files = readdirSync(dirname(path), { withFileTypes: true }).filter((entry: Dirent) => entry.isFile())
    return nearest(
      basename(path),
      files.map((entry) => entry.name),
      1,
    ).map(shown)
  } catch {
    return []
  }
}
