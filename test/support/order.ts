import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** What takes longest begins first, so that no worker is left with it at the end when the others have nothing to do. */
const LONGEST = [
  'matrix',
  'types/types',
  'laws/size',
  'sixteen-faults',
  'report/browser',
  'outage',
  'laws/documents',
  'security/shapes',
  'stream-breaks',
  'attempt',
  'cli/cli',
].map((name) => `test/${name}.test.ts`)

/** What a process has only once: its listeners, environment, globals, memory, and its time, where that is measured. */
const ONCE_IN_A_PROCESS = /\bprocess\.|\bglobalThis\b|\bvi\.|\bperformance\.now\b|\bsetGlobal|\bnode:child_process\b/

/**
 * Two kinds of test files. One that measures or changes what a process has once gets a process of its own, and so does
 * one that takes long. All others share a process with those before them: they are the greater part, and the package
 * is loaded once for all of them.
 */
export function filesByNeighbours(): { readonly alone: string[]; readonly together: string[] } {
  const files = readdirSync(`${root}test`, { recursive: true, encoding: 'utf8' })
    .map((name) => posix.join('test', name.replaceAll('\\', '/')))
    .filter((path) => path.endsWith('.test.ts'))
  const isAlone = (path: string) =>
    LONGEST.includes(path) || ONCE_IN_A_PROCESS.test(readFileSync(`${root}${path}`, 'utf8'))
  return { alone: files.filter(isAlone), together: files.filter((path) => !isAlone(path)) }
}

/** First the longest, then the others with a process of their own, then all that share one, in a row. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId, project }: TestSpecification) => {
      const long = LONGEST.findIndex((path) => moduleId.endsWith(path))
      if (long >= 0) return long
      return project.config.isolate ? LONGEST.length : LONGEST.length + 1
    }
    return (await super.sort(files)).sort((one, other) => place(one) - place(other))
  }
}
