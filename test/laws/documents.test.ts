import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { type Sandbox, startSandbox } from 'modelfirst/sandbox'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Program, programsIn, runAgainst } from './documents.ts'
import { root } from './source.ts'

const textOf = (path: string) => readFileSync(`${root}${path}`, 'utf8')
const readme = existsSync(`${root}README.md`) ? programsIn(textOf('README.md'), 'README.md') : []
const examples: readonly Program[] = readdirSync(`${root}examples`)
  .filter((name) => name.endsWith('.ts'))
  .map((name) => ({ title: `examples/${name}`, text: textOf(`examples/${name}`), runs: true }))

let sandbox: Sandbox

beforeAll(async () => {
  sandbox = await startSandbox()
})
afterAll(() => sandbox.close())

describe('documents', () => {
  test.each(readme.filter(({ runs }) => runs))(
    '$title runs as it stands',
    async ({ text }) => {
      sandbox.reset()
      expect(await runAgainst(sandbox, text)).toMatchObject({ code: 0, stderr: '' })
    },
    30_000,
  )

  test.each(examples)(
    '$title runs as it stands',
    async ({ text }) => {
      sandbox.reset()
      const { code, stderr, stdout } = await runAgainst(sandbox, text)
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).not.toBe('')
    },
    30_000,
  )

  test('what a document asks of a provider reaches the sandbox', async () => {
    sandbox.reset()
    const [program] = programsIn(
      [
        '```ts',
        "import { createRouter } from 'modelfirst'",
        "const router = createRouter({ tasks: { tag: { model: 'openai/gpt-oss-20b' } } })",
        '```',
        'and then',
        '```ts',
        "const { provider } = await router.complete('tag', 'Hello')",
        'console.log(provider)',
        '```',
      ].join('\n'),
      'a document',
    )
    const ran = await runAgainst(sandbox, program?.text ?? '')
    expect(ran).toEqual({ code: 0, stdout: 'groq\n', stderr: '' })
    expect(sandbox.requests.map(({ provider }) => provider)).toEqual(['groq'])
  }, 30_000)

  test('a block that throws, or that asks anybody else, is found', async () => {
    const thrown = await runAgainst(sandbox, "throw new Error('no')")
    expect(thrown.code).toBe(1)
    const strange = await runAgainst(sandbox, "await fetch('https://example.com')")
    expect(strange.stderr).toContain('which is not the sandbox')
  }, 30_000)
})
