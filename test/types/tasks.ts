import { compatible, createRouter, groq, openrouter, type TaskPolicy } from 'modelfirst'

const router = createRouter({
  providers: [groq(), openrouter()],
  tasks: {
    tag: { model: ['openai/gpt-oss-20b', 'openai/gpt-oss-120b'], provider: ['groq', 'openrouter'] },
    reply: { model: 'anthropic/claude-sonnet-4.5', provider: ['openrouter/anthropic', 'openrouter'] },
  },
})

// The name of a task.
router.complete('tag', 'Hello')
router.plan('reply', 'Hello')
router.complete({ model: 'openai/gpt-5' }, 'Hello')
// @ts-expect-error there is no task of this name
router.complete('tagg', 'Hello')
// @ts-expect-error nor for a plan
router.plan('tagg', 'Hello')
// @ts-expect-error nor in a session
router.session('customer').complete('tagg', 'Hello')
// @ts-expect-error a task is not left out
router.complete('Hello')

// A policy without a model, or with a field that no policy has.
// @ts-expect-error a policy names a model
createRouter({ providers: [groq()], tasks: { tag: { provider: 'groq' } } })
// @ts-expect-error tasks are not left out
createRouter({ providers: [groq()] })

// The names of providers, and hosts behind the one that has hosts.
createRouter({ providers: [groq()], tasks: { tag: { model: 'openai/gpt-oss-20b', provider: 'groq' } } })
// @ts-expect-error no provider is called this
createRouter({ providers: [groq()], tasks: { tag: { model: 'openai/gpt-oss-20b', provider: 'grok' } } })
// @ts-expect-error nor in a list
createRouter({ providers: [groq()], tasks: { tag: { model: 'openai/gpt-oss-20b', provider: ['groq', 'grok'] } } })
// @ts-expect-error this provider is not among those given
createRouter({ providers: [groq()], tasks: { tag: { model: 'openai/gpt-oss-20b', provider: 'openrouter' } } })
// @ts-expect-error without OpenRouter there are no hosts
createRouter({ providers: [groq()], tasks: { tag: { model: 'openai/gpt-oss-20b', provider: 'openrouter/azure' } } })
createRouter({
  providers: [openrouter()],
  tasks: { tag: { model: 'openai/gpt-oss-20b', provider: 'openrouter/a-host-of-tomorrow' } },
})
createRouter({
  providers: [groq(), compatible({ name: 'ollama', baseURL: 'http://localhost:11434/v1', models: ['qwen3:8b'] })],
  tasks: { tag: { model: 'qwen3:8b', provider: ['ollama', 'groq'] } },
})
createRouter({
  providers: [compatible({ name: 'ollama', baseURL: 'http://localhost:11434/v1', models: ['qwen3:8b'] })],
  // @ts-expect-error the name given to a compatible endpoint counts
  tasks: { tag: { model: 'qwen3:8b', provider: 'olama' } },
})

// A policy that was written elsewhere: what is only a string is looked at when the router is made.
const elsewhere: TaskPolicy = { model: 'openai/gpt-oss-20b', provider: ['groq', 'openrouter'] }
createRouter({ providers: [groq(), openrouter()], tasks: { tag: elsewhere } })
createRouter({ providers: [groq()], tasks: { tag: { model: 'openai/gpt-oss-20b', provider: 'groq' as string } } })

// What belongs to a call.
const signal = AbortSignal.timeout(1)
router.complete('tag', 'Hello', { session: 'customer', signal, limits: { attempts: 1 }, metadata: { feature: 'tags' } })
router.complete('tag', [{ role: 'user', content: 'Hello' }], { data: { training: 'deny', retention: 'zero' } })
router.complete('tag', { messages: [{ role: 'user', content: 'Hello' }], temperature: 0 })
router.session('customer', { metadata: { feature: 'tags' } }).plan('tag', 'Hello')
// @ts-expect-error a session is a string
router.complete('tag', 'Hello', { session: 4711 })
// @ts-expect-error a session has an id
router.session()
// @ts-expect-error a rule can be tightened, not turned round
router.complete('tag', 'Hello', { data: { training: 'allow' } })
// @ts-expect-error limits are numbers
router.complete('tag', 'Hello', { limits: { attempts: 'two' } })
// @ts-expect-error no option is called this
router.complete('tag', 'Hello', { sesion: 'customer' })
// @ts-expect-error a number is no prompt
router.complete('tag', 42)
// @ts-expect-error nobody speaks in this role
router.complete('tag', [{ role: 'robot', content: 'Hello' }])
