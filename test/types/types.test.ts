import { posix } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openEditor, problemsOf, root, samplesIn, type Virtual } from './compiler.ts'

const SLOW = 60_000

const HEAD = "import { createRouter, groq, openrouter } from 'modelfirst'\n"

function virtual(name: string, text: string): Virtual {
  return new Map([[posix.join(root, `test/types/${name}.virtual.ts`), HEAD + text]])
}

describe('types', () => {
  test(
    'what should compile does, and what should not does not',
    () => {
      const samples = samplesIn('test/types', ['compiler.ts'])
      expect(samples.length).toBeGreaterThanOrEqual(3)
      expect(problemsOf(samples)).toEqual([])
    },
    SLOW,
  )

  test(
    'a sample that compiles although it should not is found, and so is the reverse',
    () => {
      const files = new Map([
        ...virtual(
          'one',
          '// @ts-expect-error nothing is wrong here\ncreateRouter({ providers: [groq()], tasks: {} })',
        ),
        ...virtual('two', 'createRouter({ providers: [openrouter()], tasks: { tag: {} } })'),
      ])
      const lines = problemsOf([...files.keys()], files).filter(({ message }) => !message.includes('never read'))
      expect(lines.map(({ line }) => line)).toEqual([2, 2])
    },
    SLOW,
  )

  test(
    'a wrong id is refused with a sentence, where it stands',
    () => {
      const files = virtual(
        'message',
        `const router = createRouter({
  providers: [groq(), openrouter()],
  tasks: {
    tag: { model: 'openai/gpt-oss-20b', provider: 'groq' },
    reply: {
      model: ['anthropic/claude-sonnet-4.5', 'openai/gpt-oss-2b'],
    },
  },
})
router.complete('tagg', 'Hello')`,
      )
      const [model, task, ...rest] = problemsOf([...files.keys()], files)
      expect(rest).toEqual([])
      expect(model?.message.replaceAll('\\', '')).toContain(
        'the catalogue knows no model "openai/gpt-oss-2b": correct it, or write it "as string" if it is newer',
      )
      expect(model?.line).toBe(7)
      expect(task?.message).toContain('"tagg"')
      expect(task?.message).toMatch(/"tag" \| "reply"|"reply" \| "tag"/)
    },
    SLOW,
  )

  test(
    'an editor offers models, places and tasks',
    () => {
      const editor = openEditor()
      const policy = (inside: string) =>
        `${HEAD}const router = createRouter({ providers: [groq(), openrouter()], tasks: { tag: { ${inside} } } })`
      expect(editor.offers(policy("model: '‸'"))).toEqual(
        expect.arrayContaining(['openai/gpt-oss-20b', 'anthropic/claude-sonnet-4.5', 'llama-3.3-70b-versatile']),
      )
      expect(editor.offers(policy("model: ['‸']"))).toContain('openai/gpt-oss-20b')
      expect(editor.offers(policy("model: 'openai/gpt-oss-20b', provider: '‸'"))).toEqual(
        expect.arrayContaining(['groq', 'openrouter', 'openrouter/azure']),
      )
      expect(editor.offers(policy("model: 'openai/gpt-oss-20b', provider: ['‸']"))).toContain('groq')
      const call = `${policy("model: 'openai/gpt-oss-20b'")}\nrouter.complete('‸', 'Hello')`
      expect(editor.offers(call)).toEqual(['tag'])
      editor.close()
    },
    SLOW,
  )
})
