import { describe, expect, test } from 'vitest'
import { openai } from '../../src/dialects/dialect.ts'
import { groq } from '../../src/dialects/groq.ts'
import { openrouter } from '../../src/dialects/openrouter.ts'

const MINUTE = 60_000

describe('how prompts are cached', () => {
  test('by OpenAI and those who follow it: five minutes, from 1,024 tokens on, without marks', () => {
    expect(openai.caching({ wireModel: 'gpt-5', host: null })).toEqual({
      ttlMs: 5 * MINUTE,
      least: 1024,
      marked: false,
    })
  })

  test('by Groq: two hours, from 128 tokens on, without marks', () => {
    const caching = { ttlMs: 120 * MINUTE, least: 128, marked: false }
    expect(groq.caching({ wireModel: 'openai/gpt-oss-20b', host: null })).toEqual(caching)
    expect(openrouter.caching({ wireModel: 'openai/gpt-oss-20b', host: 'groq' })).toEqual(caching)
  })

  test.each([
    ['anthropic/claude-opus-4.5', 4096],
    ['anthropic/claude-opus-4.8', 4096],
    ['anthropic/claude-4.6-opus-20260205', 4096],
    ['anthropic/claude-haiku-4.5', 4096],
    ['anthropic/claude-3.5-haiku', 2048],
    ['anthropic/claude-3-haiku', 2048],
    ['anthropic/claude-opus-4.1', 1024],
    ['anthropic/claude-opus-4', 1024],
    ['anthropic/claude-sonnet-4.5', 1024],
    ['anthropic/claude-sonnet-4.6:nitro', 1024],
    ['anthropic/claude-opus-5', 1024],
    ['~anthropic/claude-sonnet-latest', 1024],
    ['anthropic/claude-haiku-4.5@preset/support', 4096],
  ])('of %s behind OpenRouter: five minutes, where it is marked, from %i tokens on', (wireModel, least) => {
    for (const host of [null, 'anthropic', 'amazon-bedrock', 'google-vertex/europe', 'azure', 'not-known-yet']) {
      expect(openrouter.caching({ wireModel, host })).toEqual({ ttlMs: 5 * MINUTE, least, marked: true })
    }
  })

  test.each([
    ['openai/gpt-5', 'openai', 5, 1024],
    ['openai/gpt-5', null, 5, 1024],
    ['openai/gpt-oss-120b', 'deepinfra/turbo', 10, 1024],
    ['openai/gpt-oss-120b', null, 10, 1024],
    ['google/gemini-2.5-flash', 'google-vertex', 3, 1024],
    ['google/gemini-2.5-pro', 'google-ai-studio', 3, 4096],
    ['deepseek/deepseek-v3.2', 'deepseek', 60, 64],
    ['deepseek/deepseek-v3.2', null, 10, 1024],
    ['deepseek/deepseek-v3.2', 'novita', 10, 1024],
    ['x-ai/grok-4', 'xai', 10, 1024],
    ['moonshotai/kimi-k2', 'moonshotai', 10, 1024],
    ['z-ai/glm-4.6', 'z-ai', 10, 1024],
    ['qwen/qwen-plus-2025-07-28', 'alibaba', 10, 1024],
    ['qwen/qwen3-235b-a22b-2507', null, 10, 1024],
    ['qwen/qwen3-max', 'somebody-else', 10, 1024],
    ['openrouter/auto', null, 10, 1024],
    ['@preset/support', null, 10, 1024],
    ['', '', 10, 1024],
  ])('of %s at %s: %i minutes from %i tokens on, without marks', (wireModel, host, minutes, least) => {
    expect(openrouter.caching({ wireModel, host })).toEqual({ ttlMs: minutes * MINUTE, least, marked: false })
  })

  test.each([
    ['qwen/qwen3-max', 'alibaba'],
    ['qwen/qwen3-max', null],
    ['qwen/qwen-plus', 'alibaba/international'],
    ['qwen/qwen3-coder-flash', null],
    ['deepseek/deepseek-v3.2', 'alibaba'],
  ])('of %s at %s: only what is marked, for five minutes', (wireModel, host) => {
    expect(openrouter.caching({ wireModel, host })).toEqual({ ttlMs: 5 * MINUTE, least: 1024, marked: true })
  })

  test('where the host is not known beforehand: never longer than OpenRouter stays at one', () => {
    const models = ['openai/gpt-5', 'deepseek/deepseek-chat', 'openai/gpt-oss-20b', 'meta-llama/llama-4-scout', 'x/y']
    for (const wireModel of models) {
      expect(openrouter.caching({ wireModel, host: null }).ttlMs).toBeLessThanOrEqual(10 * MINUTE)
    }
  })
})
