import { compatible, createRouter, groq, NoRouteError, openrouter } from 'modelfirst'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { list } from '../src/fields.ts'
import { hasty } from './support/router.ts'
import { speaking } from './support/speaking.ts'

const IMAGE = { type: 'image_url' as const, image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } }
const AUDIO = { type: 'input_audio' as const, input_audio: { data: 'UklGRg==', format: 'wav' as const } }
const PDF = {
  type: 'file' as const,
  file: { filename: 'bill.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' },
}
const schema = z.object({ seen: z.string() })
const asking = (part: typeof IMAGE | typeof AUDIO | typeof PDF) => [
  { role: 'user' as const, content: [{ type: 'text' as const, text: 'What is it?' }, part] },
]

function routed() {
  const { wire, bodies } = speaking(() => ({ text: '{"seen":"a bill"}' }))
  const abilities = ['tools', 'json', 'schema'] as const
  const router = createRouter({
    providers: [
      groq({ apiKey: 'gsk_test_0123456789', wire, models: [{ id: 'acme/sees', input: ['text', 'image'], abilities }] }),
      openrouter({ apiKey: 'sk-or-test-0123456789', wire, models: [{ id: 'acme/reads', input: ['text'], abilities }] }),
      compatible({
        name: 'house',
        baseURL: 'http://localhost:1/v1',
        apiKey: 'sk-test-0123456789',
        wire,
        models: [
          { id: 'reads', input: ['text'], abilities },
          { id: 'hears', input: ['text', 'audio'], abilities },
        ],
      }),
    ],
    random: hasty(),
    tasks: {
      look: { model: ['reads', 'hears', 'acme/reads', 'acme/sees'] as string[], schema },
      read: { model: 'reads' as string, schema },
    },
  })
  return { router, bodies }
}

describe('images, sounds and files', () => {
  test.each([
    ['image', IMAGE, 'acme/sees'],
    ['audio', AUDIO, 'hears'],
  ] as const)('an %s goes to who can take it, as it is, beside the schema', async (kind, part, model) => {
    const { router, bodies } = routed()
    const plan = await router.plan('look', asking(part))
    expect(plan.rejected.map(({ code }) => code)).toContain(`lacks:${kind}`)
    expect(plan.steps.map((step) => step.model)).toContain(model)
    const { data, usage } = await router.complete('look', asking(part))
    expect([data, usage.attempts.map((attempt) => attempt.model)]).toEqual([{ seen: 'a bill' }, [model]])
    const content = list(bodies[0]?.messages).at(-1)?.content
    expect(list(content).at(-1)).toEqual(part)
    await router.stream('look', asking(part)).completion
    expect(list(list(bodies[1]?.messages).at(-1)?.content).at(-1)).toEqual(part)
  })

  test("a file goes to OpenRouter, whose parser reads it for models that cannot, and the plugin's settings with it", async () => {
    const { router, bodies } = routed()
    const plugins = [{ id: 'file-parser', pdf: { engine: 'pdf-text' } }]
    const request = { openrouter: { plugins } }
    const { data, provider } = await router.complete('look', asking(PDF), { request })
    expect([data, provider]).toEqual([{ seen: 'a bill' }, 'openrouter'])
    expect(bodies[0]?.plugins).toEqual(plugins)
    expect(list(list(bodies[0]?.messages).at(-1)?.content).at(-1)).toEqual(PDF)
    const codes = (await router.plan('look', asking(PDF))).rejected.map(({ code }) => code)
    expect(codes).toContain('lacks:file')
  })

  test('nobody who can is an error that says what is lacking, and nothing is sent', async () => {
    const { router, bodies } = routed()
    for (const [part, code] of [
      [IMAGE, 'lacks:image'],
      [AUDIO, 'lacks:audio'],
      [PDF, 'lacks:file'],
    ] as const) {
      const error = await router.complete('read', asking(part)).catch((error: unknown) => error)
      expect(NoRouteError.is(error) && error.rejections.map((rejection) => rejection.code)).toContain(code)
      expect(String(error)).not.toContain('base64')
    }
    expect(bodies).toEqual([])
  })
})
