import type { Readable, Writable } from 'node:stream'
import type { Arguments, Option } from './arguments.ts'

/** What a command works with: the process it runs in, or a test. */
export interface Surroundings {
  readonly stdin: Readable
  readonly stdout: Writable & { readonly isTTY?: boolean }
  readonly stderr: Writable
  readonly env: Readonly<Record<string, string | undefined>>
  now(): number
}

export interface Command {
  readonly name: string
  /** What follows the name. */
  readonly usage: string
  readonly says: string
  readonly options: readonly Option[]
  run(given: Arguments, surroundings: Surroundings): Promise<void>
}
