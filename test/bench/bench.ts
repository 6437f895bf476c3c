/**
 * `npm run bench`: what a call costs, as ratios within one interleaved run; absolute figures depend on the machine.
 * Each client makes a batch in each round, in shuffled order; the ratio is the median over the rounds.
 */
import { fork } from 'node:child_process'
import { compatible, createRouter, openrouter } from 'modelfirst'
import OpenAI from 'openai'
import { measureFailover } from './failover.ts'
import { measureDoor } from './http.ts'
import { measure, table } from './measure.ts'
import { measurePlanning } from './planning.ts'
import { measureShapes } from './shapes.ts'
import { measureAborts, measureStreams } from './streaming.ts'
import { measureTypes } from './types.ts'

const ROUNDS = Number(process.env.ROUNDS ?? 15)
const CALLS = Number(process.env.CALLS ?? 300)

const server = fork(new URL('./raw-server.js', import.meta.url), {
  stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
})
const port = await new Promise<string>((resolve) => server.stdout?.once('data', (data) => resolve(String(data).trim())))
const base = `http://127.0.0.1:${port}/api/v1`
const prompt =
  'Tag this ticket with one of billing, bug, praise: I was charged twice this month and nobody answers my mails. '.repeat(
    4,
  )
const messages = [
  { role: 'system' as const, content: 'You tag support tickets. Answer with the tag and one sentence.' },
  { role: 'user' as const, content: prompt },
]
const body = JSON.stringify({ model: 'openai/gpt-oss-20b', messages, max_tokens: 400 })
const headers = {
  'content-type': 'application/json',
  accept: 'application/json',
  authorization: 'Bearer sk-or-bench-key',
}

const client = new OpenAI({ apiKey: 'sk-or-bench-key', baseURL: base, maxRetries: 0 })
const router = createRouter({
  providers: [
    openrouter({ apiKey: 'sk-or-bench-key', baseURL: base }),
    compatible({ name: 'second', baseURL: base, models: ['openai/gpt-oss-20b', 'openai/gpt-oss-120b'] }),
  ],
  tasks: { tag: { model: ['openai/gpt-oss-20b', 'openai/gpt-oss-120b'], request: { max_tokens: 400 } } },
})
await router.ready()

const calls = await measure(
  {
    'bare fetch': async () => {
      const response = await fetch(`${base}/chat/completions`, { method: 'POST', headers, body })
      JSON.parse(await response.text())
    },
    'router.complete()': async () => {
      await router.complete('tag', messages)
    },
    'OpenAI SDK': async () => {
      await client.chat.completions.create({ model: 'openai/gpt-oss-20b', messages, max_tokens: 400 })
    },
  },
  { rounds: ROUNDS, calls: CALLS },
)
console.log(`calls, one after another: ${ROUNDS} rounds × ${CALLS} calls, Node ${process.version}`)
console.log(table(calls, 'bare fetch'))
console.log()
console.log(await measurePlanning())
console.log()
console.log(await measureStreams(base, { rounds: ROUNDS, calls: Math.max(20, CALLS / 6) }))
console.log()
console.log(await measureAborts(base))
console.log()
console.log(await measureFailover())
console.log()
console.log(await measureDoor({ rounds: ROUNDS, calls: CALLS }))
console.log()
console.log(measureTypes({ rounds: ROUNDS }))
console.log()
console.log(await measureShapes({ rounds: ROUNDS, calls: CALLS / 5 }))
await router.close()
server.disconnect()
