import {
  type Completion,
  createRouter,
  type FailureKind,
  groq,
  NoRouteError,
  type Rejection,
  RouterError,
  type UsageRecord,
} from 'modelfirst'

const router = createRouter({ providers: [groq()], tasks: { tag: { model: 'openai/gpt-oss-20b' } } })
const completion: Completion = await router.complete('tag', 'Hello')

/** The same type both ways, so that `any` and a wider type fail as well. */
function same<A, B>(_: (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false): void {}

same<typeof completion.text, string>(true)
same<typeof completion.reasoning, string | null>(true)
same<typeof completion.finish.reason, 'stop' | 'length' | 'tool-calls' | 'content-filter' | 'unknown'>(true)
same<typeof completion.provider, string>(true)
same<typeof completion.host, string | null>(true)
same<typeof completion.raw, unknown>(true)
same<typeof completion.usage, UsageRecord>(true)
same<typeof completion.usage.cost.usd, number | null>(true)
same<typeof completion.usage.cost.high, number | null>(true)
same<typeof completion.usage.cost.source, 'reported' | 'computed' | 'bounded' | 'unknown'>(true)
same<typeof completion.usage.cache.discountUsd, number | null>(true)
same<typeof completion.usage.tokens.cachedPrompt, number | null>(true)
same<typeof completion.usage.outcome, 'ok' | FailureKind>(true)
same<(typeof completion.usage.attempts)[number]['outcome'], 'ok' | FailureKind>(true)
// @ts-expect-error unknown is not a number
completion.usage.cost.usd.toFixed(6)
// @ts-expect-error a completion has no such field
completion.content
// @ts-expect-error what is returned is not to be changed
completion.text = ''
// @ts-expect-error nor the record
completion.usage.attempts.push(completion.usage.attempts[0])

// The answer goes back into the history as it is.
router.complete('tag', [{ role: 'user', content: 'Hello' }, completion.message, { role: 'user', content: 'Again' }])

// Errors narrow, and kinds are a closed set.
const error: unknown = null
if (NoRouteError.is(error)) same<typeof error.rejections, readonly Rejection[]>(true)
if (RouterError.is(error)) {
  same<typeof error.kind, FailureKind>(true)
  // @ts-expect-error no failure is called this
  if (error.kind === 'rate-limit') void error.usage?.cost
}
