/**
 * `npx tsx examples/tools.ts`: a run with tools on the sandbox, without a key; `--live` does the same with the keys in
 * your environment. One tool runs here, one fails and the model hears why, one is handed over to a person.
 */
import { createRouter, groq, openrouter, type Run, tool } from 'modelfirst'
import { fail, ok, startSandbox } from 'modelfirst/sandbox'
import { z } from 'zod'

const live = process.argv.includes('--live')
const sandbox = live ? null : await startSandbox({ seed: 1 })
const router = createRouter({
  providers: sandbox === null ? [groq(), openrouter({ title: 'modelfirst example' })] : sandbox.providers(),
  tasks: {
    support: {
      model: 'openai/gpt-oss-120b',
      provider: ['groq', 'openrouter'],
      request: { max_tokens: 800, temperature: 0 },
    },
  },
})

const parcels = new Map([['A-12', { state: 'on its way', city: 'Bern' }]])

const findParcel = tool({
  name: 'find_parcel',
  description: 'Where a parcel is. Its number looks like A-12.',
  input: z.object({ number: z.string() }),
  run: async ({ number }) => {
    const parcel = parcels.get(number)
    // The model reads this, and may try otherwise.
    if (parcel === undefined) throw new Error('there is no parcel of this number')
    return parcel
  },
})

// Without a `run`: nobody but a person gives money back.
const refund = tool({
  name: 'refund',
  description: 'Gives the customer money back.',
  input: z.object({ usd: z.number().max(50), reason: z.string() }),
})

// What the model would say. With keys, it says something like it by itself.
sandbox?.groq.script([
  ok({
    toolCalls: [
      { name: 'find_parcel', arguments: { number: 'A-12' } },
      { name: 'find_parcel', arguments: { number: 'A-13' } },
    ],
  }),
  fail(503), // in the middle of the run: OpenRouter goes on, and no tool runs a second time
  ok('Parcel A-12 is on its way to Bern. For A-13, which is lost, you have been given back $20.'),
])
sandbox?.openrouter.script([
  ok({ toolCalls: [{ name: 'refund', arguments: { usd: 20, reason: 'parcel A-13 is lost' } }] }),
])

const tools = [findParcel, refund]
const question = 'Find my parcels A-12 and A-13. If one of them is lost, give me back the $20 that I paid for it.'
const first = await router.run('support', question, { tools, session: 'customer-4711' })
tell(first, 0)

if (first.ended === 'handed-over') {
  // A person looks at what was called, does it or not, and says so in a message for each call.
  const decided = first.calls.map((call) => {
    if (call.name === 'refund') console.log(`\n→ a person allows $${call.arguments.usd}: ${call.arguments.reason}\n`)
    return { role: 'tool' as const, tool_call_id: call.id, content: 'done' }
  })
  const second = await router.run('support', [...first.messages, ...decided], { tools, session: 'customer-4711' })
  tell(second, first.messages.length)
}
if (sandbox !== null) console.log(`\nthe sandbox's own bill: $${sandbox.bill().usd}`)

await router.close()
await sandbox?.close()

function tell({ messages, usage, ended, text }: Run, from: number): void {
  for (const message of messages.slice(from)) {
    if (message.role === 'tool') console.log(`  ${message.tool_call_id}: ${message.content}`)
    if (message.role !== 'assistant') continue
    for (const call of message.tool_calls ?? []) {
      if (call.type === 'function') console.log(`  ${call.id} = ${call.function.name}(${call.function.arguments})`)
    }
  }
  if (text !== '') console.log(`  ${text}`)
  const { cost, calls, attempts } = usage
  const usd = cost.usd === null ? `${cost.low} to ${cost.high ?? '?'}` : cost.usd.toFixed(6)
  console.log(`ended: ${ended}; ${calls} calls, ${attempts} attempts, $${usd}`)
}
