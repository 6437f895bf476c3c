/**
 * `npx tsx examples/answers.ts`: answers in a shape on the sandbox, without a key; `--live` does the same with the keys
 * in your environment. The smallest model comes first; a bigger one is asked when its answer does not fit or is not good
 * enough, and the record says what that has cost. Then an answer that is read while it grows.
 */
import { createRouter, groq, openrouter, type UsageRecord } from 'modelfirst'
import { ok, startSandbox } from 'modelfirst/sandbox'
import { z } from 'zod'

const ticket = z.object({
  label: z.enum(['billing', 'bug', 'praise', 'other']),
  urgency: z.number().int().min(0).max(5).describe('5: today'),
  sure: z.boolean().describe('whether there is no doubt about the label'),
})
const reply = z.object({
  subject: z.string(),
  paragraphs: z.array(z.string()),
})

const live = process.argv.includes('--live')
const sandbox = live ? null : await startSandbox({ seed: 1, latency: { tokensPerSecond: 500 } })
const router = createRouter({
  providers: sandbox === null ? [groq(), openrouter({ title: 'modelfirst example' })] : sandbox.providers(),
  tasks: {
    sort: {
      model: ['openai/gpt-oss-20b', 'openai/gpt-oss-120b'],
      provider: ['groq', 'openrouter'],
      schema: ticket,
      // The bar: `true`, or why not.
      accept: ({ data }) => data.sure || 'it is not sure',
      request: { max_tokens: 600, temperature: 0 },
    },
    reply: {
      model: 'openai/gpt-oss-120b',
      provider: ['groq', 'openrouter'],
      schema: reply,
      request: { max_tokens: 800 },
    },
  },
})

const mail = 'I was charged twice this month, and nobody answers my mails. Great app otherwise!'

// What the models would say: one that does not fit and is mended, one that is not sure, and one that is.
sandbox?.groq.script([
  ok(JSON.stringify({ label: 'money', urgency: 4, sure: true })),
  ok(JSON.stringify({ label: 'praise', urgency: 1, sure: false })),
  ok(JSON.stringify({ label: 'billing', urgency: 4, sure: true })),
])
const { data, usage } = await router.complete('sort', `Sort this mail: ${mail}`)
console.log(`${data.label}, urgency ${data.urgency}`)
tell(usage)

// In pieces: each part is there as soon as it is written, with its type, and only the last is checked.
sandbox?.groq.script([
  ok(
    JSON.stringify({
      subject: 'Your second payment',
      paragraphs: ['You are right: we have charged you twice.', 'The money is on its way back, and we are sorry.'],
    }),
  ),
])
const stream = router.stream('reply', `Answer this mail in two paragraphs: ${mail}`)
for await (const { subject = '', paragraphs = [] } of stream.partial) {
  console.log(`  ${subject}: ${paragraphs.map((paragraph) => `${paragraph.length} letters`).join(', ')}`)
}
const answer = await stream.completion
console.log(answer.data.paragraphs.join('\n'))
tell(answer.usage)
if (sandbox !== null) console.log(`\nthe sandbox's own bill: $${sandbox.bill().usd}`)

await router.close()
await sandbox?.close()

function tell({ attempts, cost, escalation }: UsageRecord): void {
  for (const { role, model, provider, outcome, cost } of attempts) {
    console.log(`  ${role}: ${model} at ${provider}, ${outcome}, ${usd(cost)}`)
  }
  console.log(`together ${usd(cost)}`)
  if (escalation === undefined) return
  const { from, to, extraUsd, directUsd } = escalation
  console.log(`${from} was not enough: ${usd(extraUsd)} before ${to}, which alone would have cost ${usd(directUsd)}\n`)
}

function usd({ low, high }: { readonly low: number; readonly high: number | null }): string {
  return low === high ? `$${low.toFixed(6)}` : `$${low.toFixed(6)} to ${high === null ? '?' : `$${high.toFixed(6)}`}`
}
