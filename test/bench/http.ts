import { createRouter, groq, openrouter } from 'modelfirst'
import { openaiFetch } from 'modelfirst/http'
import { measure, median } from './measure.ts'

const ANSWER = JSON.stringify({
  id: 'bench',
  model: 'openai/gpt-oss-20b',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Billing: charged twice.' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 130, completion_tokens: 7, total_tokens: 137 },
})

/** Nothing leaves this machine. */
const answering = async () => new Response(ANSWER, { headers: { 'content-type': 'application/json' } })

/** What the door adds to a call: the same calls with it and without, in turns. */
export async function measureDoor({ rounds, calls }: { rounds: number; calls: number }): Promise<string> {
  const router = createRouter({
    providers: [
      groq({ apiKey: 'gsk-bench-key', fetch: answering }),
      openrouter({ apiKey: 'sk-or-bench-key', fetch: answering }),
    ],
    tasks: { tag: { model: 'openai/gpt-oss-20b', request: { max_tokens: 400 } } },
  })
  await router.ready()
  const content = 'Tag this ticket: I was charged twice this month and nobody answers my mails. '.repeat(4)
  const messages = [{ role: 'user' as const, content }]
  const ask = openaiFetch(router)
  const init = {
    method: 'POST',
    headers: new Headers({ 'content-type': 'application/json', authorization: 'Bearer unused' }),
    body: JSON.stringify({ model: 'task:tag', messages, max_tokens: 400 }),
  }
  const measured = await measure(
    {
      'router.complete()': async () => {
        await router.complete('tag', { messages, max_tokens: 400 })
      },
      openaiFetch: async () => {
        await ask('https://api.openai.com/v1/chat/completions', init)
      },
      'openaiFetch, and its body read': async () => {
        await (await ask('https://api.openai.com/v1/chat/completions', init)).json()
      },
    },
    { rounds, calls, warmup: 2000 },
  )
  await router.close()
  const [bare, ...doors] = measured
  const over = (values: readonly number[], floors: readonly number[] = []) =>
    median(values.map((value, round) => value - (floors[round] ?? Number.NaN))).toFixed(1)
  return doors
    .map(
      ({ name, cpu, latency }) =>
        `${name}: ${over(cpu, bare?.cpu)} µs of CPU and ${over(latency, bare?.latency)} µs of waiting above router.complete() (target 60)`,
    )
    .join('\n')
}
