import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { codeOf, createAppender, reasonOf } from './appender.ts'
import { ConfigError } from './errors.ts'
import { A_FUNCTION, checkOptions, type Expectation, expected, kindOf, plainly } from './options.ts'
import { oneLine } from './redact.ts'
import type { Sink } from './sinks.ts'
import type { UsageRecord } from './usage.ts'

export interface JsonLinesOptions {
  /** A file that would grow beyond this becomes `path.1`, what was `path.1` becomes `path.2`, and so on (left out: never). */
  readonly rotateBytes?: number
  /** How many of those are kept (5). */
  readonly keep?: number
  /** Waits after every write until the disk has it; what is written without survives this process, not a power cut. */
  readonly fsync?: boolean
  /** How many records may wait while the file cannot be written (10,000); what comes later is dropped and counted. */
  readonly most?: number
  /** Told once when the file cannot be written, and once when it can again (left out: a warning of the process). */
  readonly onTrouble?: (trouble: FileTrouble) => void
}

export interface FileTrouble {
  readonly state: 'down' | 'back' | 'not-rotated'
  /** What happened and what becomes of the records, in one line. */
  readonly message: string
  /** The operating system's word for it, such as `ENOSPC`. */
  readonly code: string | null
  /** Records that were dropped since it began. */
  readonly drops: number
}

/** A sink whose promises are kept when the file has the record. */
export interface JsonLines extends Sink {
  (record: UsageRecord): Promise<void>
  batch(records: readonly UsageRecord[]): Promise<void>
  /** Writes what waits; rejects when it cannot be written. */
  close(): Promise<void>
}

const KNOWN: Readonly<Record<string, Expectation>> = {
  rotateBytes: expected('a number of bytes above 0', isCount),
  keep: expected('a whole number above 0', isCount),
  most: expected('a whole number above 0', isCount),
  fsync: expected('true or false', (value) => typeof value === 'boolean'),
  onTrouble: A_FUNCTION,
}

const KEPT_FILES = 5
const MOST_WAITING = 10_000
/** Of one write; what waits beyond it goes with the next. */
const MOST_CHARACTERS = 1024 * 1024
const FIRST_PAUSE = 100
const LONGEST_PAUSE = 10_000

/** Lines that were taken together, until the file has all of them. */
interface Waiting {
  /** The number of its last line, counted from the beginning. */
  readonly last: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** Since when nothing, or not enough, could be written. */
interface Failure {
  readonly error: unknown
  drops: number
}

const TOO_SLOW = new Error('more come than the disk takes')

/**
 * Appends each usage record to a file, as one line of JSON. What comes while a write is on its way goes with the next one;
 * several routers and processes may append to the same file. A half line that a crash has left stays alone on its line. A
 * record that comes a second time, since more became known of it, is a second line with the same `id`.
 *
 * @example
 * ```ts no-run
 * import { createRouter } from 'modelfirst'
 * import { jsonLines } from 'modelfirst/node'
 *
 * const router = createRouter({ tasks, sinks: [jsonLines('logs/usage.jsonl', { rotateBytes: 100_000_000 })] })
 * ```
 */
export function jsonLines(path: string | URL, options: JsonLinesOptions = {}): JsonLines {
  const says = 'an object such as { rotateBytes }'
  checkOptions(options, { of: 'jsonLines', says, known: KNOWN, got: plainly })
  const { keep = KEPT_FILES, most = MOST_WAITING, rotateBytes = null, fsync = false, onTrouble = warn } = options
  const file = createAppender(checkedPath(path), { rotateBytes, keep, fsync, onRotationFailed })
  let lines: string[] = []
  let taken = 0
  let written = 0
  let waiting: Waiting[] = []
  let writing: Promise<void> | null = null
  let closed = false
  let failure: Failure | null = null
  let toldOfRotation = false
  let goOn = () => {}

  function tell(state: FileTrouble['state'], message: string, code: string | null, drops: number): void {
    try {
      onTrouble(Object.freeze({ state, message: oneLine(message, LONGEST_MESSAGE), code, drops }))
    } catch {
      // A listener that throws keeps no record from its file.
    }
  }

  function onRotationFailed(error: unknown): void {
    if (toldOfRotation) return
    toldOfRotation = true
    tell('not-rotated', `${file.path} cannot be rotated and grows on: ${reasonOf(error)}`, codeOf(error), 0)
  }

  function noteFailure(error: unknown): Failure {
    if (failure !== null) return failure
    failure = { error, drops: 0 }
    const message = `usage records cannot be written to ${file.path}: ${reasonOf(error)}; they wait, and it is tried again`
    tell('down', message, codeOf(error), 0)
    return failure
  }

  function noteWritten(count: number): void {
    lines = lines.slice(count)
    written += count
    const over = waiting.filter(({ last }) => last <= written)
    waiting = waiting.filter(({ last }) => last > written)
    for (const { resolve } of over) resolve()
    if (failure === null || lines.length > 0) return
    const { drops } = failure
    failure = null
    tell('back', `usage records are written to ${file.path} again; ${drops} were dropped meanwhile`, null, drops)
  }

  /** Until nothing waits, or until it is closed and cannot be written. */
  async function write(): Promise<void> {
    let pause = FIRST_PAUSE
    // One turn later: what is fed in one go is written in one go.
    await null
    while (lines.length > 0) {
      try {
        noteWritten(await file.append(firstOf(lines)))
        pause = FIRST_PAUSE
      } catch (error) {
        noteFailure(error)
        if (closed) break
        await new Promise<void>((resolve) => {
          // Nobody's process is kept alive for a disk that is full.
          const timer = setTimeout(resolve, pause).unref()
          goOn = () => {
            clearTimeout(timer)
            resolve()
          }
        })
        pause = Math.min(pause * 2, LONGEST_PAUSE)
      }
    }
    // In the same turn: nobody may add a line and think that it is being written.
    writing = null
  }

  function take(records: readonly UsageRecord[]): Promise<void> {
    if (closed) return Promise.reject(new Error(`${file.path} is closed: usage records are not written any more`))
    let readable = true
    for (const record of records) {
      if (lines.length >= most) {
        noteFailure(TOO_SLOW).drops += 1
        continue
      }
      try {
        lines.push(`${JSON.stringify(record)}\n`)
        taken += 1
      } catch {
        readable = false
      }
    }
    const last = taken
    const promise = new Promise<void>((resolve, reject) => {
      if (!readable) reject(new TypeError('a usage record is not plain data'))
      else if (last <= written) resolve()
      else waiting.push({ last, resolve, reject })
    })
    // Whoever does not wait for it hears of trouble all the same, and need not end for it.
    promise.catch(() => {})
    writing ??= write()
    return promise
  }

  async function close(): Promise<void> {
    closed = true
    goOn()
    await writing
    if (lines.length === 0) return
    const reason = failure === null ? 'it was closed' : reasonOf(failure.error)
    const lost = new Error(`${lines.length} usage records were not written to ${file.path}: ${reason}`)
    lines = []
    for (const { reject } of waiting.splice(0)) reject(lost)
    throw lost
  }

  return Object.freeze(Object.assign((record: UsageRecord) => take([record]), { batch: take, close }))
}

const LONGEST_MESSAGE = 500

/** As many as go with one write. */
function firstOf(lines: readonly string[]): readonly string[] {
  let characters = 0
  const end = lines.findIndex((line, index) => {
    characters += line.length
    return characters > MOST_CHARACTERS && index > 0
  })
  return end === -1 ? lines.slice() : lines.slice(0, end)
}

function warn({ message }: FileTrouble): void {
  process.emitWarning(message, { type: 'UsageRecords' })
}

function checkedPath(path: unknown): string {
  if (path instanceof URL && path.protocol === 'file:') return fileURLToPath(path)
  // A process may change its folder later; the file stays where it was meant to be.
  if (typeof path === 'string' && path !== '' && !path.includes('\0')) return resolve(path)
  throw new ConfigError('jsonLines.path', `expected a path such as "usage.jsonl", got ${kindOf(path)}`)
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value > 0
}
