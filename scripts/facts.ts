import type { ListedModel } from '../src/listing.ts'

/**
 * What no `/models` answer says, by Groq's documentation of October 2026: which canonical slug stands behind an id of
 * its own, what has been shut down, and what to use instead. Sources: Groq's pages on models and deprecations.
 */
export const GROQ_FACTS_DATE = '2026-10-07'

/** Groq's own ids whose canonical slug differs. */
export const GROQ_SLUGS: Readonly<Record<string, string>> = {
  'llama-3.3-70b-versatile': 'meta-llama/llama-3.3-70b-instruct',
  'llama-3.1-8b-instant': 'meta-llama/llama-3.1-8b-instruct',
  'meta-llama/llama-4-scout-17b-16e-instruct': 'meta-llama/llama-4-scout',
  'meta-llama/llama-4-maverick-17b-128e-instruct': 'meta-llama/llama-4-maverick',
  'moonshotai/kimi-k2-instruct': 'moonshotai/kimi-k2',
  'moonshotai/kimi-k2-instruct-0905': 'moonshotai/kimi-k2-0905',
  'minimaxai/minimax-m2.7': 'minimax/minimax-m2.7',
  'gemma2-9b-it': 'google/gemma-2-9b-it',
  'deepseek-r1-distill-llama-70b': 'deepseek/deepseek-r1-distill-llama-70b',
  'llama3-70b-8192': 'meta-llama/llama-3-70b-instruct',
  'llama3-8b-8192': 'meta-llama/llama-3-8b-instruct',
}

/** Shut down for free and developer accounts, with the day and the successor that Groq names. */
export const GROQ_RETIRED: readonly ListedModel[] = [
  { id: 'qwen/qwen3.6-27b', retires: '2026-09-14', successor: 'qwen/qwen3.8-27b' },
  { id: 'llama-3.1-8b-instant', retires: '2026-08-16', successor: 'openai/gpt-oss-20b' },
  { id: 'llama-3.3-70b-versatile', retires: '2026-08-16', successor: 'openai/gpt-oss-120b' },
  { id: 'qwen/qwen3-32b', retires: '2026-07-17', successor: 'openai/gpt-oss-120b' },
  { id: 'meta-llama/llama-4-scout-17b-16e-instruct', retires: '2026-07-17', successor: 'openai/gpt-oss-120b' },
  { id: 'moonshotai/kimi-k2-instruct-0905', retires: '2026-04-15', successor: 'openai/gpt-oss-120b' },
  { id: 'meta-llama/llama-4-maverick-17b-128e-instruct', retires: '2026-03-09', successor: 'openai/gpt-oss-120b' },
  { id: 'meta-llama/llama-guard-4-12b', retires: '2026-03-05', successor: 'openai/gpt-oss-safeguard-20b' },
  { id: 'moonshotai/kimi-k2-instruct', retires: '2025-10-10', successor: 'openai/gpt-oss-120b' },
  { id: 'gemma2-9b-it', retires: '2025-10-08', successor: 'openai/gpt-oss-20b' },
  { id: 'deepseek-r1-distill-llama-70b', retires: '2025-10-02', successor: 'openai/gpt-oss-120b' },
  { id: 'llama3-70b-8192', retires: '2025-08-30', successor: 'openai/gpt-oss-120b' },
  { id: 'llama3-8b-8192', retires: '2025-08-30', successor: 'openai/gpt-oss-20b' },
  { id: 'groq/compound', retires: '2026-09-21' },
  { id: 'groq/compound-mini', retires: '2026-09-21' },
]

/** Groq's current general models that its `/models` answer of the snapshot's day may not have had yet. */
export const GROQ_CURRENT: readonly ListedModel[] = [
  {
    id: 'qwen/qwen3.8-27b',
    name: 'Qwen 3.8 27B',
    context: 131_072,
    maxOutput: 16_384,
    input: ['text', 'image'],
    abilities: ['tools', 'json', 'schema', 'reasoning'],
    // No cached price anywhere: reading from a cache costs what input costs.
    prices: { input: 0.8, output: 4 },
  },
]

/** Hosts behind OpenRouter that policies name, by the slug that pins them. */
export const OPENROUTER_HOSTS: readonly string[] = [
  'ai21',
  'alibaba',
  'amazon-bedrock',
  'anthropic',
  'arcee-ai',
  'atlas-cloud',
  'azure',
  'baseten',
  'cerebras',
  'chutes',
  'cloudflare',
  'cohere',
  'crusoe',
  'deepinfra',
  'deepseek',
  'featherless',
  'fireworks',
  'friendli',
  'gmicloud',
  'google-ai-studio',
  'google-vertex',
  'groq',
  'hyperbolic',
  'inception',
  'inference-net',
  'infermatic',
  'liquid',
  'mancer',
  'minimax',
  'mistral',
  'modelrun',
  'moonshotai',
  'morph',
  'nebius',
  'nextbit',
  'novita',
  'nvidia',
  'openai',
  'parasail',
  'perplexity',
  'phala',
  'relace',
  'sambanova',
  'siliconflow',
  'stepfun',
  'switchpoint',
  'together',
  'venice',
  'wandb',
  'xai',
  'z-ai',
]
