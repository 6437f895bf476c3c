import type { ListedModel } from '../src/listing.ts'

/*
 * What no answer of `/models` carries, written by hand from Groq's documentation as of October 2026: which slug an id
 * stands for, when a model goes, and for which other.
 */

/** Groq's ids that are not the canonical slug. */
const SLUGS: Readonly<Record<string, string>> = {
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

/** Groq's deprecations page; since July 2026 for free and developer accounts only. */
const RETIRED: readonly (readonly [id: string, day: string, successor?: string])[] = [
  ['groq/compound', '2026-09-21'],
  ['groq/compound-mini', '2026-09-21'],
  ['qwen/qwen3.6-27b', '2026-09-14', 'qwen/qwen3.8-27b'],
  ['llama-3.1-8b-instant', '2026-08-16', 'openai/gpt-oss-20b'],
  ['llama-3.3-70b-versatile', '2026-08-16', 'openai/gpt-oss-120b'],
  ['qwen/qwen3-32b', '2026-07-17', 'openai/gpt-oss-120b'],
  ['meta-llama/llama-4-scout-17b-16e-instruct', '2026-07-17', 'openai/gpt-oss-120b'],
  ['moonshotai/kimi-k2-instruct-0905', '2026-04-15', 'openai/gpt-oss-120b'],
  ['meta-llama/llama-4-maverick-17b-128e-instruct', '2026-03-09', 'openai/gpt-oss-120b'],
  ['meta-llama/llama-guard-4-12b', '2026-03-05', 'openai/gpt-oss-safeguard-20b'],
  ['moonshotai/kimi-k2-instruct', '2025-10-10', 'moonshotai/kimi-k2-0905'],
  ['gemma2-9b-it', '2025-10-08'],
  ['deepseek-r1-distill-llama-70b', '2025-10-02'],
  ['llama3-70b-8192', '2025-08-30'],
  ['llama3-8b-8192', '2025-08-30'],
]

/** Sold since the list was taken: the models page of 2026-10-02. No cache price is published for it. */
const NEW: readonly ListedModel[] = [
  {
    id: 'qwen/qwen3.8-27b',
    name: 'Qwen/Qwen3.8-27B',
    context: 131_072,
    maxOutput: 16_384,
    input: ['text', 'image'],
    // Strict schemas: Groq’s page on structured outputs, 2026-10-02.
    abilities: ['tools', 'json', 'schema', 'reasoning'],
    prices: { input: 0.8, output: 4 },
    pricedOn: '2026-10-02',
  },
]

/** Groq’s list, with the above; what the list says itself stands. */
export function withGroqFacts(listed: readonly ListedModel[]): ListedModel[] {
  const rows = new Map(listed.map((row) => [row.id, row]))
  for (const row of NEW) rows.set(row.id, { ...row, ...rows.get(row.id) })
  for (const [id, retires, successor] of RETIRED) {
    rows.set(id, { ...(rows.get(id) ?? { id }), retires, ...(successor !== undefined && { successor }) })
  }
  return [...rows.values()].map((row) => {
    const model = SLUGS[row.id]
    return model === undefined ? row : { ...row, model }
  })
}

/** Hosts behind OpenRouter that are often pinned; a hint for the editor, not a limit. */
export const HOSTS: readonly string[] = [
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
