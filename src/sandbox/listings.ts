import type { ListedModel } from '../listing.ts'
import type { Listings } from './book.ts'

const reasoning = ['tools', 'json', 'schema', 'reasoning'] as const
const plain = ['tools', 'json', 'schema'] as const
const claude = { context: 200_000, maxOutput: 64_000, input: ['text', 'image', 'file'], abilities: reasoning } as const

const GROQ: readonly ListedModel[] = [
  groq('openai/gpt-oss-20b', { input: 0.075, cachedInput: 0.0375, output: 0.3 }),
  groq('openai/gpt-oss-120b', { input: 0.15, cachedInput: 0.075, output: 0.6 }),
  { ...groq('qwen/qwen3.8-27b', { input: 0.8, output: 4 }), maxOutput: 16_384, input: ['text', 'image'] },
  {
    ...groq('llama-3.3-70b-versatile', { input: 0.59, cachedInput: 0.295, output: 0.79 }),
    model: 'meta-llama/llama-3.3-70b-instruct',
    maxOutput: 32_768,
    abilities: ['tools', 'json'],
  },
  {
    ...groq('llama-3.1-8b-instant', { input: 0.05, cachedInput: 0.025, output: 0.08 }),
    model: 'meta-llama/llama-3.1-8b-instruct',
    abilities: ['tools', 'json'],
  },
]

const OPENROUTER: readonly ListedModel[] = [
  {
    id: 'anthropic/claude-sonnet-4.5',
    ...claude,
    prices: { input: 3, output: 15, cachedInput: 0.3, cacheWrite: 3.75, cacheWrite1h: 6 },
  },
  {
    id: 'anthropic/claude-haiku-4.5',
    ...claude,
    prices: { input: 1, output: 5, cachedInput: 0.1, cacheWrite: 1.25, cacheWrite1h: 2 },
  },
  open('openai/gpt-oss-20b', { input: 0.03, cachedInput: 0.03, output: 0.13 }, reasoning),
  open('openai/gpt-oss-120b', { input: 0.15, cachedInput: 0.075, output: 0.6 }, reasoning),
  open('openai/gpt-5', { input: 1.25, cachedInput: 0.125, output: 10 }, reasoning, 400_000),
  open('openai/gpt-5-mini', { input: 0.25, cachedInput: 0.025, output: 2 }, reasoning, 400_000),
  open('openai/gpt-4o-mini', { input: 0.15, cachedInput: 0.075, output: 0.6 }, plain, 128_000),
  open('google/gemini-2.5-flash', { input: 0.3, cachedInput: 0.075, output: 2.5 }, reasoning, 1_048_576),
  open('meta-llama/llama-3.3-70b-instruct', { input: 0.13, output: 0.4 }, plain),
  open('deepseek/deepseek-chat', { input: 0.27, cachedInput: 0.07, output: 1.1 }, plain),
  open('qwen/qwen3.8-27b', { input: 0.15, cachedInput: 0.0375, output: 1.875 }, reasoning, 262_144),
]

/** What the sandbox sells where the bundled catalogue is missing. */
export const FEW: Listings = { groq: GROQ, openrouter: OPENROUTER }

function groq(id: string, prices: NonNullable<ListedModel['prices']>): ListedModel {
  return { id, context: 131_072, maxOutput: 65_536, abilities: reasoning, prices }
}

function open(
  id: string,
  prices: NonNullable<ListedModel['prices']>,
  abilities: NonNullable<ListedModel['abilities']>,
  context = 131_072,
): ListedModel {
  return { id, context, maxOutput: 65_536, abilities, prices }
}
