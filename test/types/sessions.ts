import {
  createRouter,
  groq,
  keyvStore,
  memoryStore,
  openrouter,
  type SessionPolicy,
  type SessionRule,
  type SpendingBudget,
  type Store,
  whilePaying,
  whileWarm,
} from 'modelfirst'

const withSession = (session: 'sticky' | 'derived' | 'off' | SessionPolicy) =>
  createRouter({ providers: [groq(), openrouter()], tasks: { say: { model: 'openai/gpt-oss-20b', session } } })

withSession('derived')
withSession({ id: 'derived', marks: 'off', rule: whilePaying({ margin: 0.1 }) })
withSession({ rule: whileWarm() })
// A rule of one's own chooses among what it is given, and reads what it costs.
const cautious: SessionRule = (places, history) => {
  const [home] = places
  if (home === undefined) throw new Error('there is always one')
  const calls: number = history?.turns ?? 0
  const usd: number | null = home.restUsd
  return { place: home, because: `${calls} calls, ${usd ?? 'unknown'}` }
}
withSession({ rule: cautious })
// @ts-expect-error there is no such word
withSession('always')
// @ts-expect-error a rule says why
withSession({ rule: (places) => ({ place: places[0] }) })
// @ts-expect-error marks are set or they are not
withSession({ marks: true })

const router = withSession('sticky')
const chat = router.session('customer-4711')
const standing = await chat.standing('say')
const profit: number | undefined = standing?.cache.profitUsd
console.log(profit)
// @ts-expect-error there may be none yet
console.log((await chat.standing('say')).home)
// @ts-expect-error there is no such task
chat.standing('sing')
// @ts-expect-error an id is a string
router.session(4711)

// Stores, and what is spent through them.
const over = (store: Store, budgets: readonly SpendingBudget[]) =>
  createRouter({ providers: [groq()], tasks: { say: { model: 'openai/gpt-oss-20b' } }, store, secret: 's', budgets })
over(memoryStore({ most: 10 }), [{ usd: 5, per: 'day' }])
over(keyvStore(new Map()), [{ usd: 5, per: 90_000, by: 'metadata.customer', withoutStore: 'refuse' }])
// @ts-expect-error a map alone is no store
over(new Map(), [])
// @ts-expect-error a budget has a time
over(memoryStore(), [{ usd: 5 }])
// @ts-expect-error there is no such time
over(memoryStore(), [{ usd: 5, per: 'week' }])
// @ts-expect-error a key of the metadata is named
over(memoryStore(), [{ usd: 5, per: 'day', by: 'customer' }])

router.on((event) => {
  if (event.type === 'pin-moved') console.log(event.from.host, event.to.host, event.because, event.dropped.length)
  if (event.type === 'cache-loss') console.log(event.profitUsd)
  if (event.type === 'store-trouble') console.log(event.state, event.error)
})
