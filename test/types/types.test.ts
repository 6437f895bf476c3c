import { existsSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Program, programsIn } from '../laws/documents.ts'
import { type Compiler, openCompiler, root, samplesIn } from './compiler.ts'
import { apart, shaped } from './generated.ts'

const HEAD = "import { createRouter, groq, openrouter } from 'modelfirst'\n"
const pathOf = (name: string) => posix.join(root, `test/types/${name}.virtual.ts`)

/** Its own types alone take as long as all the rest: otherwise it is left to `npm run typecheck`. */
const SLOW = process.env.MODELFIRST_DEEP === '1' ? [] : ['arktype.ts']
const samples = samplesIn('test/types', ['compiler.ts', 'generated.ts', ...SLOW])
const readme = existsSync(`${root}README.md`) ? programsIn(readFileSync(`${root}README.md`, 'utf8'), 'README.md') : []
const broken = programsIn(
  ['text', '', '```ts no-run', 'const text: string = 42', '```', '```json', '{', '```'].join('\n'),
  'a document',
)
/** Where a program of a document is compiled. */
const documents = new Map([...readme, ...broken].map((program, index) => [program, pathOf(`document-${index}`)]))

const policy = (inside: string) =>
  `${HEAD}const router = createRouter({ providers: [groq(), openrouter()], tasks: { tag: { ${inside} } } })`

const own = {
  idle: `${HEAD}// @ts-expect-error nothing is wrong here\ncreateRouter({ providers: [groq()], tasks: {} })`,
  wrong: `${HEAD}createRouter({ providers: [openrouter()], tasks: { tag: {} } })`,
  message: `${HEAD}const router = createRouter({
  providers: [groq(), openrouter()],
  tasks: {
    tag: { model: 'openai/gpt-oss-20b', provider: 'groq' },
    reply: {
      model: ['anthropic/claude-sonnet-4.5', 'openai/gpt-oss-2b'],
    },
  },
})
router.complete('tagg', 'Hello')`,
  model: policy("model: '‸'"),
  models: policy("model: ['‸']"),
  place: policy("model: 'openai/gpt-oss-20b', provider: '‸'"),
  places: policy("model: 'openai/gpt-oss-20b', provider: ['‸']"),
  task: `${policy("model: 'openai/gpt-oss-20b'")}\nrouter.complete('‸', 'Hello')`,
  data: `${HEAD}import { z } from 'zod'
const schema = z.object({ label: z.string(), customer: z.object({ name: z.string(), mail: z.email() }) })
const router = createRouter({ providers: [groq()], tasks: { tag: { model: 'openai/gpt-oss-20b', schema } } })
const { data } = await router.complete('tag', 'Hello')
data.customer.‸`,
}

const TIMES_MORE = 3
/** The first pays for what is made once. */
const SIZES = [1, 3, 3 * TIMES_MORE].map((count) => ({ tasks: count, tools: count }))
/** Schemas beside tasks that know nothing of them, and the same ones as the shapes of answers and the inputs of tools. */
const sized = SIZES.flatMap((size) => [
  [pathOf(`apart-${size.tasks}`), apart(size)] as const,
  [pathOf(`shaped-${size.tasks}`), shaped(size)] as const,
])

/** A document may leave a result unused; it only shows how to get it. */
const UNUSED = /never (read|used)|declared but/

let compiler: Compiler

beforeAll(() => {
  const virtual = [
    ...Object.entries(own).map(([name, text]) => [pathOf(name), text] as const),
    ...[...documents].map(([{ text }, path]) => [path, text] as const),
    ...sized,
  ]
  compiler = openCompiler(samples, new Map(virtual))
})
afterAll(() => compiler.close())

function problemsIn(programs: readonly Program[]): string[] {
  return programs.flatMap((program) =>
    compiler
      .problemsOf([documents.get(program) ?? ''])
      .filter(({ message }) => !UNUSED.test(message))
      .map(({ line, message }) => `${program.title.replace(/:\d+$/, '')}:${line} ${message}`),
  )
}

const offersAt = (name: keyof typeof own) => compiler.offersAt(pathOf(name))

// Whoever comes first waits for the libraries to be read.
describe('types', { timeout: 60_000 }, () => {
  test('what should compile does, and what should not does not', () => {
    expect(samples.length).toBeGreaterThanOrEqual(3)
    expect(compiler.problemsOf(samples)).toEqual([])
  })

  test('a sample that compiles although it should not is found, and so is the reverse', () => {
    const problems = compiler.problemsOf([pathOf('idle'), pathOf('wrong')])
    const lines = problems.filter(({ message }) => !message.includes('never read')).map(({ line }) => line)
    expect(lines).toEqual([2, 2])
  })

  test('a wrong id is refused with a sentence, where it stands', () => {
    const [model, task, ...rest] = compiler.problemsOf([pathOf('message')])
    expect(rest).toEqual([])
    expect(model?.message.replaceAll('\\', '')).toContain(
      'the catalogue knows no model "openai/gpt-oss-2b": correct it, or write it "as string" if it is newer',
    )
    expect(model?.line).toBe(7)
    expect(task?.message).toContain('"tagg"')
    // In whichever order: that is by what was compiled before.
    for (const name of ['"tag"', '"reply"']) expect(task?.message).toContain(name)
  })

  test('an editor offers models, places and tasks', () => {
    expect(offersAt('model')).toEqual(
      expect.arrayContaining(['openai/gpt-oss-20b', 'anthropic/claude-sonnet-4.5', 'llama-3.3-70b-versatile']),
    )
    expect(offersAt('models')).toContain('openai/gpt-oss-20b')
    expect(offersAt('place')).toEqual(expect.arrayContaining(['groq', 'openrouter', 'openrouter/azure']))
    expect(offersAt('places')).toContain('groq')
    expect(offersAt('task')).toEqual(['tag'])
  })

  test('an editor offers what an answer has', () => {
    expect(offersAt('data')).toEqual(['mail', 'name'])
  })

  // Time would depend on the machine; this is the work itself.
  test('shapes cost the compiler less than half of what their own library does, and no more for being many', () => {
    const cost = (name: string) => {
      const before = compiler.instantiations()
      expect(compiler.problemsOf([pathOf(name)])).toEqual([])
      return compiler.instantiations() - before
    }
    const [, few, many] = SIZES.map(({ tasks }) => {
      const without = cost(`apart-${tasks}`)
      return { without, added: cost(`shaped-${tasks}`) - without }
    })
    if (few === undefined || many === undefined) throw new Error('there are three sizes')
    expect(many.added).toBeLessThan(many.without / 2)
    expect(many.added / few.added).toBeLessThan(TIMES_MORE * 1.15)
  })
})

describe('documents', { timeout: 60_000 }, () => {
  test.skipIf(readme.length === 0)('every block of TypeScript in the README compiles', () => {
    expect(problemsIn(readme)).toEqual([])
  })

  test('a block that does not compile is found where it stands', () => {
    expect(broken.map(({ runs }) => runs)).toEqual([false])
    expect(problemsIn(broken)).toEqual(["a document:4 Type 'number' is not assignable to type 'string'."])
  })
})
