/** A user's program, as it is run on every runtime. */
export function program(subpaths: readonly string[]): string {
  return `
import { compatible, createRouter, groq, openrouter } from 'modelfirst'

const env = globalThis.process?.env ?? Deno.env.toObject()
let asked = 0
// The first answer is a failure: what repeats is another package, whose versions differ as well.
const failingOnce = (url, init) => ((asked += 1) === 1 ? Promise.resolve(new Response('{}', { status: 500 })) : fetch(url, init))
for (const subpath of ${JSON.stringify(subpaths)}) {
  const module = await import(subpath)
  if (Object.keys(module).length === 0) throw new Error(subpath + ' exports nothing')
}
const router = createRouter({
  providers: [
    groq({ apiKey: env.SANDBOX_GROQ_KEY, baseURL: env.SANDBOX_GROQ_URL }),
    openrouter({ apiKey: env.SANDBOX_OPENROUTER_KEY, baseURL: env.SANDBOX_OPENROUTER_URL }),
    compatible({
      name: 'failing',
      apiKey: env.SANDBOX_GROQ_KEY,
      baseURL: env.SANDBOX_GROQ_URL,
      models: ['openai/gpt-oss-20b'],
      fetch: failingOnce,
    }),
  ],
  tasks: {
    tag: { model: 'openai/gpt-oss-20b', provider: 'groq' },
    reply: { model: 'openai/gpt-5-mini', provider: 'openrouter' },
    again: { model: 'openai/gpt-oss-20b', provider: 'failing' },
  },
})
const tag = await router.complete('tag', 'Tag this ticket: I was charged twice.')
const reply = await router.complete('reply', 'Where is my parcel?')
if (tag.text === '' || reply.text === '') throw new Error('an empty answer')
if (reply.usage.cost.source !== 'reported') throw new Error('no cost was reported')
const again = await router.complete('again', 'Tag this ticket.')
const roles = again.usage.attempts.map(({ role, outcome }) => role + ' ' + outcome).join(', ')
if (roles !== 'first server-error, retry ok') throw new Error('it was not asked again: ' + roles)
await router.close()
console.log(JSON.stringify({ providers: [tag.provider, reply.provider], usd: tag.usage.cost.usd + reply.usage.cost.usd }))
`
}

/** The same through the user's own OpenAI client. */
export const CLIENT = `
import { createRouter, compatible } from 'modelfirst'
import OpenAI from 'openai'

const { SANDBOX_GROQ_URL: baseURL, SANDBOX_GROQ_KEY: apiKey } = process.env
const client = new OpenAI({ apiKey, baseURL })
const router = createRouter({
  providers: [compatible({ name: 'mine', client, baseURL, models: ['openai/gpt-oss-20b'] })],
  tasks: { tag: { model: 'openai/gpt-oss-20b' } },
})
const { text, provider } = await router.complete('tag', 'Tag this ticket.')
if (text === '') throw new Error('an empty answer')
await router.close()
console.log(provider)
`

/** CommonJS takes the one copy that there is. */
export const COMMON = `
const { createRouter } = require('modelfirst')
if (typeof createRouter !== 'function') throw new Error('nothing was required')
`

/** Leaves a file of usage records behind. */
export const RECORDED = `
import { createRouter, groq } from 'modelfirst'
import { jsonLines } from 'modelfirst/node'

const router = createRouter({
  providers: [groq({ apiKey: process.env.SANDBOX_GROQ_KEY, baseURL: process.env.SANDBOX_GROQ_URL })],
  tasks: { tag: { model: 'openai/gpt-oss-20b' } },
  sinks: [jsonLines('usage.jsonl')],
})
await router.complete('tag', 'Tag this ticket.')
await router.close()
`

/** What a user's compiler sees: right uses, and wrong ones that it has to refuse. */
export const TYPED = `
import { type Completion, createRouter, groq, openrouter, RouterError } from 'modelfirst'
import { jsonLines } from 'modelfirst/node'
import { openaiWire } from 'modelfirst/openai'
import { openTelemetry } from 'modelfirst/otel'
import OpenAI from 'openai'

const client = new OpenAI({ apiKey: 'sk' })
export const router = createRouter({
  providers: [groq({ client }), openrouter({ wire: openaiWire(client) })],
  tasks: {
    tag: { model: ['openai/gpt-oss-20b', 'openai/gpt-oss-120b'], provider: ['groq', 'openrouter/azure'] },
  },
  sinks: [jsonLines('usage.jsonl'), openTelemetry()],
})
const completion: Completion = await router.complete('tag', [{ role: 'user', content: 'Hello' }])
export const usd: number | null = completion.usage.cost.usd
// @ts-expect-error no task is called this
router.complete('tagg', 'Hello')
// @ts-expect-error no model is called this
createRouter({ providers: [groq()], tasks: { tag: { model: 'openai/gpt-oss-2b' } } })
try {
  await router.plan('tag', 'Hello')
} catch (error) {
  if (RouterError.is(error)) console.log(error.kind)
}
`

/** And of the sandbox, which is for Node. */
export const TYPED_SANDBOX = `
import { createRouter } from 'modelfirst'
import { fail, startSandbox } from 'modelfirst/sandbox'

const sandbox = await startSandbox({ seed: 1 })
sandbox.groq.script([fail(429, { retryAfter: 2 })])
export const router = createRouter({ providers: sandbox.providers(), tasks: { tag: { model: 'openai/gpt-oss-20b' } } })
export const usd: string = sandbox.bill().usd
await sandbox.close()
`
