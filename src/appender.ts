import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, rename, stat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { string } from './fields.ts'
import { kindOf } from './options.ts'

export interface Appender {
  readonly path: string
  /** How many of the lines are whole in the file: all, or fewer when there was no room for more; rejects for none. */
  append(lines: readonly string[]): Promise<number>
}

export interface AppenderOptions {
  readonly rotateBytes: number | null
  readonly keep: number
  readonly fsync: boolean
  readonly onRotationFailed: (error: unknown) => void
}

/** Whoever left a lock behind for so long has crashed. */
const STALE_LOCK = 10_000
/** Another process may be in the middle of its write: so often, and with such pauses, it is looked again. */
const LOOKS = 11
const SHORT_WHILE = 10

/**
 * Opened for each write: then it does not matter who else has renamed or removed the file, and nothing is left open.
 */
export function createAppender(
  path: string,
  { rotateBytes, keep, fsync, onRotationFailed }: AppenderOptions,
): Appender {
  // For reading too: how the file ends has to be known.
  const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT

  async function opened(): Promise<FileHandle> {
    try {
      return await open(path, flags)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
      await mkdir(dirname(path), { recursive: true })
      return open(path, flags)
    }
  }

  async function isFull(file: FileHandle, bytes: number): Promise<{ readonly ino: number } | null> {
    if (rotateBytes === null) return null
    const about = await file.stat()
    return about.isFile() && about.size > 0 && about.size + bytes > rotateBytes ? about : null
  }

  /** One process at a time; whoever finds another at it writes on, and looks again with its next write. */
  async function rotate({ ino }: { readonly ino: number }): Promise<void> {
    const lock = `${path}.lock`
    try {
      await (await open(lock, 'wx')).close()
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
      const since = await stat(lock).catch(unlessMissing)
      if (since && Date.now() - since.mtimeMs > STALE_LOCK) await unlink(lock).catch(unlessMissing)
      return
    }
    try {
      // Somebody else may just have done it.
      const now = await stat(path).catch(unlessMissing)
      if (now?.ino !== ino) return
      for (let n = keep - 1; n > 0; n -= 1) await rename(`${path}.${n}`, `${path}.${n + 1}`).catch(unlessMissing)
      await rename(path, `${path}.1`)
    } finally {
      await unlink(lock).catch(unlessMissing)
    }
  }

  return {
    path,
    async append(lines) {
      const text = lines.join('')
      let file = await opened()
      try {
        const full = await isFull(file, Buffer.byteLength(text))
        if (full !== null) {
          // Open until then: nobody else's file can be taken for it.
          await rotate(full).catch(onRotationFailed)
          await file.close()
          file = await opened()
        }
        const torn = await isTorn(file)
        const bytes = Buffer.from(torn ? `\n${text}` : text)
        // One call of the operating system, which puts it behind whatever others have written: no line is torn.
        const { bytesWritten } = await file.write(bytes)
        if (fsync) await file.datasync()
        const whole = bytesWritten === bytes.length ? lines.length : wholeLines(lines, bytesWritten - (torn ? 1 : 0))
        if (whole === 0) throw new Error('there was room for a part of a line alone')
        return whole
      } finally {
        // A second time, where it could not be opened again, does no harm.
        await file.close()
      }
    },
  }
}

/**
 * Whether the file ends in the middle of a line that nobody is writing on. Whoever is held up in the middle of a write for
 * longer than this looks makes the answer wrong: then an empty line is written, and nothing is lost.
 */
async function isTorn(file: FileHandle): Promise<boolean> {
  const last = Buffer.alloc(1)
  for (let look = 0; look < LOOKS; look += 1) {
    if (look > 0) await new Promise((resolve) => setTimeout(resolve, SHORT_WHILE))
    const { size } = await file.stat()
    if (size === 0) return false
    await file.read(last, 0, 1, size - 1)
    if (last.toString() === '\n') return false
  }
  return true
}

function wholeLines(lines: readonly string[], bytes: number): number {
  let left = bytes
  const torn = lines.findIndex((line) => {
    left -= Buffer.byteLength(line)
    return left < 0
  })
  return torn === -1 ? lines.length : torn
}

function unlessMissing(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error
}

export function codeOf(error: unknown): string | null {
  return error instanceof Error ? string(Reflect.get(error, 'code')) : null
}

/** Node puts the call and the path behind a comma. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? (error.message.split(', ', 1)[0] ?? '') : kindOf(error)
}
