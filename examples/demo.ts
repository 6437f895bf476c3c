/**
 * `npm run demo`: the main job on the sandbox, without a key. `npm run demo -- --live` does the same with the keys in
 * your environment.
 */
import { type Completion, createRouter, groq, openrouter, type UsageRecord } from 'modelfirst'
import { fail, startSandbox } from 'modelfirst/sandbox'

const live = process.argv.includes('--live')
const sandbox = live ? null : await startSandbox({ seed: 1 })
const router = createRouter({
  providers: sandbox === null ? [groq(), openrouter({ title: 'modelfirst demo' })] : sandbox.providers(),
  tasks: {
    tag: {
      model: ['openai/gpt-oss-20b', 'openai/gpt-oss-120b'],
      provider: ['groq', 'openrouter'],
      request: { max_tokens: 200, temperature: 0 },
    },
    reply: {
      model: ['anthropic/claude-sonnet-4.5', 'openai/gpt-5-mini'],
      provider: ['openrouter/anthropic', 'openrouter'],
      // Anthropic caches what it is asked to cache: writing costs a little more, reading a tenth.
      request: { max_tokens: 400, openrouter: { extra: { cache_control: { type: 'ephemeral' } } } },
    },
  },
})
const rows: { what: string; usage: UsageRecord }[] = []
const note = (what: string, { usage }: Completion) => rows.push({ what, usage })

const ticket = 'I was charged twice this month and nobody answers my mails.'
console.log(String(await router.plan('tag', `Tag this ticket: ${ticket}`)))

// 1. A small task on a small model.
const tag = await router.complete('tag', `Tag this ticket with billing, bug or praise: ${ticket}`)
note('tag', tag)
console.log(`\ntag → ${short(tag.text)}`)

// 2. The first provider fails; the same model answers from the next one, and the failure is on the bill.
sandbox?.groq.script([fail(503)])
note(live ? 'tag again' : 'tag, while Groq is down', await router.complete('tag', `Tag this ticket: ${ticket}`))

// 3. A conversation: the second turn reads what the first one left in the cache.
const history = [
  { role: 'system' as const, content: `You answer customers of a shop. ${'Be brief, kind and exact. '.repeat(200)}` },
  { role: 'user' as const, content: ticket },
]
const conversation = router.session('customer-4711')
const first = await conversation.complete('reply', history)
note('reply, first turn', first)
const second = await conversation.complete('reply', [
  ...history,
  first.message,
  { role: 'user', content: 'And my refund?' },
])
note('reply, second turn', second)
console.log(`reply → ${short(second.text)}\n`)

console.log(tableOf(rows))
const total = rows.reduce((sum, { usage }) => sum + (usage.cost.usd ?? Number.NaN), 0)
console.log(`\ntogether: $${total.toFixed(6)}`)
if (sandbox !== null) console.log(`the sandbox's own bill: $${Number(sandbox.bill().usd).toFixed(6)}`)

await router.close()
await sandbox?.close()

function short(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length > 70 ? `${line.slice(0, 69)}…` : line
}

function tableOf(records: readonly { what: string; usage: UsageRecord }[]): string {
  const head = ['call', 'answered by', 'attempts', 'tokens in (cached) + out', 'cost', 'cache saved', 'pin', 'ms']
  const body = records.map(({ what, usage }) => [
    what,
    `${usage.model.served} at ${usage.provider}${usage.host === null ? '' : `/${usage.host}`}`,
    usage.attempts.map(({ provider, outcome }) => `${provider} ${outcome}`).join(', '),
    `${usage.tokens.prompt} (${usage.tokens.cachedPrompt}) + ${usage.tokens.completion}`,
    usage.cost.usd === null ? `${usage.cost.low}–${usage.cost.high ?? '?'}` : `$${usage.cost.usd.toFixed(6)}`,
    usage.cache.discountUsd === null ? '?' : `$${usage.cache.discountUsd.toFixed(6)}`,
    usage.pin,
    usage.latency.totalMs.toFixed(0),
  ])
  const widths = head.map((cell, column) => Math.max(cell.length, ...body.map((row) => row[column]?.length ?? 0)))
  return [head, ...body]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
