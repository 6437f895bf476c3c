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

/** What a process has only once: its listeners, timers, globals, modules and memory. */
const ONCE_IN_A_PROCESS =
  /\bprocess\.(?:on|off|listenerCount|getActiveResourcesInfo|memoryUsage)\b|\bglobalThis\b|\bvi\.resetModules\b|\bsetGlobal/

/** What compares short times with each other, or fills the memory with what nobody else needs. */
const ON_ITS_OWN = ['matrix', 'types/types', 'laws/size', 'sse', 'security/time', 'report/report'].map(
  (name) => `test/${name}.test.ts`,
)

/**
 * Two kinds of test files. One that measures or changes what a process has once gets a process of its own. All others
 * share a process with those before them: they are the greater part, and the package is loaded once for all of them.
 * What they set in the environment, they set back.
 */
export function filesByNeighbours(): { readonly alone: string[]; readonly together: string[] } {
  const files = readdirSync(`${root}test`, { recursive: true, encoding: 'utf8' })
    .map((name) => posix.join('test', name.replaceAll('\\', '/')))
    .filter((path) => path.endsWith('.test.ts'))
  // Laws only read what others do.
  const isAlone = (path: string) =>
    ON_ITS_OWN.includes(path) ||
    (!path.startsWith('test/laws/') && ONCE_IN_A_PROCESS.test(readFileSync(`${root}${path}`, 'utf8')))
  return { alone: files.filter(isAlone), together: files.filter((path) => !isAlone(path)) }
}

/** First those with a process of their own, then all that share one, in a row; and the longest of each before the others. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId, project }: TestSpecification) => {
      const long = LONGEST.findIndex((path) => moduleId.endsWith(path))
      const among = long < 0 ? LONGEST.length : long
      return project.config.isolate ? among : among + LONGEST.length + 1
    }
    return (await super.sort(files)).sort((one, other) => place(one) - place(other))
  }
}
