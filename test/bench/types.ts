import ts from 'typescript'
import { type Compiler, openCompiler, root } from '../types/compiler.ts'
import { alone, apart, plain, type Sized, shaped } from '../types/generated.ts'
import { columns, median } from './measure.ts'

const SIZE: Sized = { tasks: 20, tools: 20 }

/** Each with the end of a line that somebody has just begun. */
const PROGRAMS = {
  'no schemas': { text: plain(SIZE), line: 'answer7.‸' },
  'z.infer alone': { text: alone(SIZE), line: 'data7.customer.‸' },
  'both, apart': { text: apart(SIZE), line: 'data7.customer.‸' },
  'tasks and tools': { text: shaped(SIZE), line: 'data7.customer.‸' },
} as const

const PATH = `${root}test/types/measured.virtual.ts`

interface Times {
  readonly first: number[]
  readonly stroke: number[]
  instantiations: number
}

/**
 * What an editor waits for in a file of 20 tasks and 20 tools with zod schemas: the first time it is looked through, and
 * after each keystroke. Reading the libraries is left out: it is the same for all, and done once.
 */
export function measureTypes({ rounds }: { rounds: number }): string {
  const registry = ts.createDocumentRegistry()
  // As long as it is open, what the programs import stays read.
  const keeper = openCompiler([], new Map([[PATH, apart(SIZE)]]), registry)
  clean(keeper, 'both, apart')
  const entries = Object.entries(PROGRAMS)
  const times = new Map(entries.map(([name]) => [name, { first: [], stroke: [], instantiations: 0 } as Times]))
  // The first round warms the compiler itself.
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, { text, line }] of round % 2 === 0 ? entries : entries.toReversed()) {
      const compiler = openCompiler([], new Map([[PATH, text]]), registry)
      const first = millisecondsOf(() => clean(compiler, name))
      const instantiations = compiler.instantiations()
      const stroke = millisecondsOf(() => {
        compiler.write(PATH, `${text}${line}\n`)
        if (compiler.offersAt(PATH).length === 0) throw new Error(`${name}: nothing is offered`)
        compiler.problemsOf([PATH])
      })
      compiler.close()
      const own = times.get(name)
      if (own === undefined || round === 0) continue
      own.first.push(first)
      own.stroke.push(stroke)
      own.instantiations = instantiations
    }
  }
  keeper.close()
  const floors = ['no schemas', 'z.infer alone', 'both, apart'] as const
  const ratio = (values: readonly number[], floor: readonly number[] = []) =>
    median(values.map((value, index) => value / (floor[index] ?? Number.NaN))).toFixed(2)
  const rows = [...times].map(([name, { first, stroke, instantiations }]) => [
    name,
    ...[['first', first] as const, ['stroke', stroke] as const].flatMap(([kind, values]) => [
      median(values).toFixed(0),
      ...floors.map((floor) => ratio(values, times.get(floor)?.[kind])),
    ]),
    String(instantiations),
  ])
  const against = floors.map((floor) => `× ${floor}`)
  const head = ['', 'first ms', ...against, 'keystroke ms', ...against, 'instantiations']
  return [
    `types: ${SIZE.tasks} tasks and ${SIZE.tools} tools with zod schemas, ${rounds} rounds, TypeScript ${ts.version}`,
    columns([head, ...rows]),
  ].join('\n')
}

function clean(compiler: Compiler, name: string): void {
  const [problem] = compiler.problemsOf([PATH])
  if (problem !== undefined) throw new Error(`${name}, line ${problem.line}: ${problem.message}`)
}

function millisecondsOf(work: () => void): number {
  const started = performance.now()
  work()
  return performance.now() - started
}
