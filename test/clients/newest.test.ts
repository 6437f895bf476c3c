import { expect, test, vi } from 'vitest'
import { aiSdk, aiSdkStreams } from './ai.ts'
import { clientContract } from './contract.ts'
import { langchain } from './langchain.ts'
import { openaiCreate, openaiHelpers } from './openai.ts'

// The newest majors ask for Node 22, and npm gives Node 20 the ones before: the very same programs run on both.
vi.mock('openai', () => import('openai-7'))
vi.mock('openai/helpers/zod', () => import('openai-7/helpers/zod'))
vi.mock('ai', () => import('ai-7'))
vi.mock('@ai-sdk/openai-compatible', () => import('ai-openai-compatible-3'))
vi.mock('@langchain/openai', () => import('langchain-openai-1.6'))

test('these are the newest', async () => {
  expect((await import('openai')).OpenAI).toBe((await import('openai-7')).OpenAI)
  expect((await import('ai')).generateText).toBe((await import('ai-7')).generateText)
  expect((await import('@langchain/openai')).ChatOpenAI).toBe((await import('langchain-openai-1.6')).ChatOpenAI)
})

clientContract([openaiCreate, openaiHelpers, aiSdk, aiSdkStreams, langchain])
