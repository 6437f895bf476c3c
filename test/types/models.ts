import { cheapest, compatible, createRouter, firstOf, groq, openrouter, type TaskPolicy } from 'modelfirst'

const providers = [groq(), openrouter()] as const

// Known ids, a provider's own ids, variants and presets.
createRouter({ providers, tasks: { tag: { model: 'openai/gpt-oss-20b' } } })
createRouter({ providers, tasks: { tag: { model: 'llama-3.3-70b-versatile' } } })
createRouter({ providers, tasks: { tag: { model: 'openai/gpt-oss-20b:nitro' } } })
createRouter({ providers, tasks: { tag: { model: 'openai/gpt-oss-20b@preset/brief' } } })
createRouter({ providers, tasks: { tag: { model: { model: 'openai/gpt-oss-20b', request: { temperature: 0 } } } } })
createRouter({ providers, tasks: { tag: { model: cheapest({ among: ['openai/gpt-oss-20b'] }) } } })
createRouter({ providers, tasks: { tag: { model: firstOf('openai/gpt-oss-20b', 'openai/gpt-oss-120b') } } })

// An author that the catalogue has never heard of may have any model.
createRouter({ providers, tasks: { tag: { model: 'newcomer/first-model' } } })

// A model that is newer than the catalogue.
createRouter({ providers, tasks: { tag: { model: 'openai/gpt-7' as string } } })

// A wrong model of an author that the catalogue knows.
// @ts-expect-error it is 20b
createRouter({ providers, tasks: { tag: { model: 'openai/gpt-oss-2b' } } })
// @ts-expect-error in a list too
createRouter({ providers, tasks: { tag: { model: ['openai/gpt-oss-20b', 'openai/gpt-oss-2b'] } } })
// @ts-expect-error with settings of its own too
createRouter({ providers, tasks: { tag: { model: { model: 'openai/gpt-oss-2b' } } } })
// @ts-expect-error a variant does not make it right
createRouter({ providers, tasks: { tag: { model: 'openai/gpt-oss-2b:free' } } })
// @ts-expect-error one wrong task among right ones
createRouter({ providers, tasks: { tag: { model: 'openai/gpt-oss-20b' }, reply: { model: 'anthropic/claude-5' } } })
// @ts-expect-error a number is no model
createRouter({ providers, tasks: { tag: { model: 20 } } })

// What a compatible endpoint declares is known, though its author has no such model elsewhere.
createRouter({
  providers: [compatible({ name: 'vllm', baseURL: 'http://localhost:8000/v1', models: ['openai/gpt-oss-2b'] })],
  tasks: { tag: { model: 'openai/gpt-oss-2b', provider: 'vllm' } },
})
createRouter({
  providers: [compatible({ name: 'vllm', baseURL: 'http://localhost:8000/v1', models: ['openai/gpt-oss-2b'] })],
  // @ts-expect-error and what it does not declare is not
  tasks: { tag: { model: 'openai/gpt-oss-3b', provider: 'vllm' } },
})

// A policy that is made elsewhere keeps its names when it is constant.
const policy = {
  model: ['openai/gpt-oss-20b', 'openai/gpt-oss-120b'],
  provider: ['groq', 'openrouter/azure'],
  limits: { maxCostUsd: 0.01 },
} as const satisfies TaskPolicy
createRouter({ providers, tasks: { tag: policy } })
// @ts-expect-error its fields are typed there too
const wrong: TaskPolicy = { model: 'openai/gpt-oss-20b', limits: { maxCostUsd: 'cheap' } }
void wrong
