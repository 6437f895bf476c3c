import type { UsageRecord } from '../usage.ts'
import { recordFrom, type Strange } from './record.ts'

/** What a file held besides usage records. */
export interface Unread {
  /** Lines that are no JSON. */
  readonly broken: number
  /** JSON that is no usage record. */
  readonly foreign: number
  /** Usage records of a version that is not known here. */
  readonly version: number
  /** The last line has no end: whoever wrote it was stopped, or is writing still. It is no error. */
  readonly cut: boolean
  /** The number of the first line that could not be read. */
  readonly first: number | null
}

export interface RecordLines extends AsyncIterable<UsageRecord> {
  /** As far as was read. */
  readonly unread: Unread
}

/** A record is some kilobytes. What is longer is no line, and is not kept in memory to find out. */
const LONGEST_LINE = 16 * 1024 * 1024

/**
 * The usage records of JSON lines, one after another, however large the file is. A line that is no usage record is
 * counted and passed over.
 *
 * @example
 * const page = await reportOf(recordLines(createReadStream('usage.jsonl')))
 */
export function recordLines(chunks: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>): RecordLines {
  const unread = { broken: 0, foreign: 0, version: 0, cut: false, first: null as number | null }
  let lines = 0
  const missed = (why: Strange | 'broken') => {
    unread[why] += 1
    unread.first ??= lines
  }
  const read = (line: string): UsageRecord | null => {
    lines += 1
    if (line.length > LONGEST_LINE) {
      missed('broken')
      return null
    }
    if (line.trim() === '') return null
    const parsed = parse(line)
    if (parsed === undefined) {
      missed('broken')
      return null
    }
    const record = recordFrom(parsed)
    if (typeof record !== 'string') return record
    missed(record)
    return null
  }
  return {
    unread,
    async *[Symbol.asyncIterator]() {
      const decoder = new TextDecoder()
      let rest = ''
      for await (const chunk of chunks) {
        const text = typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
        let from = 0
        for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', from)) {
          const record = read(rest + text.slice(from, end))
          rest = ''
          from = end + 1
          if (record !== null) yield record
        }
        // Once too long, always too long: what follows up to the end of the line is let go.
        if (rest.length <= LONGEST_LINE) rest += text.slice(from)
      }
      rest += decoder.decode()
      if (rest.trim() === '') return
      // Whole but for its line break: it counts. Else it is what a crash left.
      const last = parse(rest)
      if (last === undefined && rest.length <= LONGEST_LINE) unread.cut = true
      else {
        const record = read(rest)
        if (record !== null) yield record
      }
    },
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
