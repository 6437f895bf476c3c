import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

describe('the demo', () => {
  let printed = ''
  beforeAll(async () => {
    // Without any key: it has to run for whoever has just installed the package.
    const { GROQ_API_KEY: _, OPENROUTER_API_KEY: __, ...env } = process.env
    const run = promisify(execFile)
    const { stdout } = await run(process.execPath, ['--import', 'tsx', 'examples/demo.ts'], { cwd: ROOT, env })
    printed = stdout
  }, 60_000)

  const rowOf = (call: string) => printed.split('\n').find((line) => line.startsWith(call)) ?? ''

  test('shows the plan before anything is sent', () => {
    expect(printed).toMatch(/^plan for tag: 4 steps/)
  })

  test('shows the failover, with the failure in its row', () => {
    expect(rowOf('tag, while Groq is down')).toMatch(/ at openrouter\/\S+ +groq overloaded, openrouter ok /)
  })

  test('shows a second turn that reads what the first one wrote, on the same host', () => {
    const [first, second] = [rowOf('reply, first turn'), rowOf('reply, second turn')]
    expect(first).toMatch(/ at openrouter\/anthropic .* \d+ \(0\) \+ .* new /)
    expect(second).toMatch(/ at openrouter\/anthropic .* \d+ \(\d{4}\) \+ .* kept /)
    // Writing costs more than it saves, reading saves.
    expect(first).toMatch(/\$-0\.\d+/)
    expect(second).not.toContain('$-')
  })

  test("adds up to the sandbox's own bill", () => {
    const together = /^together: (\$\d+\.\d{6})$/m.exec(printed)?.[1]
    const billed = /^the sandbox's own bill: (\$\d+\.\d{6})$/m.exec(printed)?.[1]
    expect(together).toBeDefined()
    expect(together).toBe(billed)
    expect(together).not.toBe('$0.000000')
  })
})
