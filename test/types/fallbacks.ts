import { createRouter, type FallbackRule, groq, openrouter, when } from 'modelfirst'

const policy = (fallback: readonly FallbackRule[]) =>
  createRouter({ providers: [groq(), openrouter()], tasks: { say: { model: 'openai/gpt-oss-20b', fallback } } })

// Sentences, each ended by a verb.
policy([
  when('rate-limited').nextProvider(),
  when(['refused', 'below-bar']).stop(),
  when('bad-output').retry(1).nextModel().stop(),
  when((failure, attempt) => failure.status === 529 && attempt.n < 3)
    .wait(500)
    .retry()
    .nextProvider(),
])
// @ts-expect-error there is no such kind of failure
when('rate-limit')
// @ts-expect-error nor in a list
when(['refused', 'rate-limit'])
// @ts-expect-error a beginning is no rule: it says nothing yet
policy([when('refused')])
// @ts-expect-error nor is a pause
policy([when('refused').retry(1).wait(5)])
// @ts-expect-error after the end nothing is said
when('refused').stop().retry(1)
// @ts-expect-error milliseconds are a number
when('refused').wait('5s')

// Functions, in their own time.
policy([
  () => ({ move: 'stop' }),
  async (_failure, { attempts, left }) => (attempts.length > 2 || left.length === 0 ? { move: 'stop' } : null),
  ({ retryAfterMs }) => (retryAfterMs === null ? undefined : [{ move: 'retry', afterMs: retryAfterMs }]),
  () => ({ move: 'use', model: 'openai/gpt-5-mini', provider: 'openrouter' }),
])
// @ts-expect-error there is no such move
policy([() => ({ move: 'again' })])
// @ts-expect-error whoever uses a model names it
policy([() => ({ move: 'use' })])
// @ts-expect-error a rule is a function
policy(['stop'])

// A second attempt beside a late one.
const hedged = (hedge: { afterMs: number | 'p95'; maxExtraUsd?: number }) =>
  createRouter({ providers: [groq(), openrouter()], tasks: { say: { model: 'openai/gpt-oss-20b', hedge } } })
hedged({ afterMs: 800 })
hedged({ afterMs: 'p95', maxExtraUsd: 0.01 })
// @ts-expect-error only this percentile is kept
hedged({ afterMs: 'p99' })
// @ts-expect-error a hedge says when
hedged({ maxExtraUsd: 1 })

// What is known of the offers is read only.
const { offers } = policy([]).health()
const state: 'well' | 'breaker-open' | 'rate-limited' | 'account-out' | 'retired' | undefined = offers[0]?.state
console.log(state)
// @ts-expect-error a snapshot cannot be written to
offers[0] = undefined
