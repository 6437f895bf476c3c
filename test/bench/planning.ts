import { createRouter, groq, openrouter } from 'modelfirst'
import { median } from './measure.ts'

/** Planning alone: everything a call does before its first attempt, over the bundled catalogue of some 380 models. */
export async function measurePlanning(): Promise<string> {
  const router = createRouter({
    providers: [groq({ apiKey: 'gsk-bench-key' }), openrouter({ apiKey: 'sk-or-bench-key' })],
    tasks: {
      tag: {
        model: ['openai/gpt-oss-20b', 'openai/gpt-oss-120b'],
        provider: ['groq', 'openrouter'],
        request: { max_tokens: 400 },
      },
    },
  })
  await router.ready()
  const input = 'A prompt of some length, as they are. '.repeat(50)
  const plan = () => router.plan('tag', input)
  for (let n = 0; n < 20_000; n += 1) await plan()
  const rounds: number[] = []
  for (let round = 0; round < 15; round += 1) {
    const started = performance.now()
    for (let n = 0; n < 2000; n += 1) await plan()
    rounds.push(((performance.now() - started) * 1000) / 2000)
  }
  const models = router.catalog.models().length
  await router.close()
  return `router.plan() over ${models} models, 2 models × 2 providers: ${median(rounds).toFixed(1)} µs (target 20)`
}
