import { createRouter, groq, openrouter } from 'modelfirst'
import { median } from './measure.ts'

const ANSWER = JSON.stringify({
  id: 'bench',
  model: 'openai/gpt-oss-20b',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Yes.' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 2500, completion_tokens: 3, total_tokens: 2503 },
})

/** Nothing leaves this machine. */
const answering = async () => new Response(ANSWER, { headers: { 'content-type': 'application/json' } })

/** Planning alone: everything a call does before its first attempt, over the bundled catalogue of some 380 models. */
export async function measurePlanning(): Promise<string> {
  const router = createRouter({
    providers: [
      groq({ apiKey: 'gsk-bench-key', fetch: answering }),
      openrouter({ apiKey: 'sk-or-bench-key', fetch: answering }),
    ],
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
  const plain = await timed(() => router.plan('tag', input))
  // Sessions that have been somewhere: each is read from the store, priced, and kept or moved.
  const ids = Array.from({ length: 1000 }, (_, index) => `session-${index}`)
  for (const session of ids) await router.complete('tag', input, { session })
  let next = 0
  const kept = await timed(() => {
    next += 1
    return router.plan('tag', input, { session: ids[next % ids.length] ?? '' })
  })
  const pin = (await router.plan('tag', input, { session: ids[0] ?? '' })).session.pin
  const models = router.catalog.models().length
  await router.close()
  return [
    `router.plan() over ${models} models, 2 models × 2 providers: ${plain.toFixed(1)} µs (target 20)`,
    `the same in a session (pin ${pin}), memory store: ${kept.toFixed(1)} µs (target 30)`,
  ].join('\n')
}

/** Microseconds, in the middle of 15 rounds. */
async function timed(run: () => Promise<unknown>): Promise<number> {
  for (let n = 0; n < 20_000; n += 1) await run()
  const rounds: number[] = []
  for (let round = 0; round < 15; round += 1) {
    const started = performance.now()
    for (let n = 0; n < 2000; n += 1) await run()
    rounds.push(((performance.now() - started) * 1000) / 2000)
  }
  return median(rounds)
}
