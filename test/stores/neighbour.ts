import { Redis } from 'ioredis'
import { BudgetError, createRouter, groq, openrouter } from '../../src/index.ts'
import { redisStore } from '../../src/stores/redis.ts'

/**
 * Another process with a router of its own on the same Redis: `neighbour <what> <json>`. What it has to say, it says as
 * one line of JSON.
 */
export interface NeighbourOptions {
  readonly redis: number
  readonly secret: string
  readonly groq: { readonly url: string; readonly apiKey: string }
  readonly openrouter: { readonly url: string; readonly apiKey: string }
  readonly usd?: number
}

export const POLICY = {
  model: 'openai/gpt-oss-20b',
  provider: ['openrouter', 'groq'],
  request: { max_tokens: 40 },
} as const

export function neighbour({ redis, secret, groq: first, openrouter: second, usd }: NeighbourOptions) {
  const client = new Redis(redis)
  const router = createRouter({
    providers: [
      groq({ apiKey: first.apiKey, baseURL: first.url }),
      openrouter({ apiKey: second.apiKey, baseURL: second.url }),
    ],
    tasks: { chat: POLICY, tag: { ...POLICY, provider: 'groq' } },
    store: redisStore(client),
    secret,
    ...(usd !== undefined && { budgets: [{ usd, per: 'day', withoutStore: 'refuse' }] }),
  })
  return { router, client }
}

/** Calls until the budget says no, and still says so when a machine that is busy has had time to ask; USD of each. */
export async function spend({ router }: Pick<ReturnType<typeof neighbour>, 'router'>): Promise<number[]> {
  const paid: number[] = []
  const one = async () => {
    for (let refused = 0; refused < 5; ) {
      try {
        const { usage } = await router.complete('tag', 'Tag this')
        paid.push(usage.cost.usd ?? Number.NaN)
        refused = 0
      } catch (error) {
        if (!BudgetError.is(error)) throw error
        refused += 1
        await new Promise((resolve) => setTimeout(resolve, 400))
      }
    }
  }
  await Promise.all([one(), one(), one()])
  return paid
}

const [, file = '', what, json] = process.argv
if (file.endsWith('neighbour.ts') && json !== undefined) {
  const options: NeighbourOptions = JSON.parse(json)
  const { router, client } = neighbour(options)
  await client.ping()
  const say = (said: unknown) => process.stdout.write(`${JSON.stringify(said)}\n`)
  if (what === 'session') {
    // No call waits longer than 50 ms for a store, and a process that has just begun may take longer the first time.
    await router.complete('chat', 'Hi', { session: 'another' })
    for (let tries = 0; tries < 100 && (await router.session('shared').standing('chat')) === null; tries += 1)
      await new Promise((resolve) => setTimeout(resolve, 50))
    const { usage } = await router.complete('chat', [{ role: 'user', content: 'Once more' }], { session: 'shared' })
    say({ pin: usage.pin, provider: usage.provider, host: usage.host, session: usage.session })
  } else if (what === 'spend') say(await spend({ router }))
  else if (what === 'gates') {
    // What others have found is heard beside the calls.
    // What others have found is heard beside the calls.
    const reasons = async () => {
      const { steps, rejected } = await router.plan('tag', 'Hi')
      return [...steps.flatMap(({ because }) => because), ...rejected.map(({ because }) => because)]
    }
    let because = await reasons()
    for (let tries = 0; tries < 200 && !because.join().includes('rate limit'); tries += 1) {
      await router.complete('chat', 'Hi')
      await new Promise((resolve) => setTimeout(resolve, 50))
      because = await reasons()
    }
    say({ because })
  }
  await router.close()
  client.disconnect()
}
