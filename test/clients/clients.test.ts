import * as compatible from '@ai-sdk/openai-compatible'
import * as langchainOpenai from '@langchain/openai'
import * as ai from 'ai'
import * as openai from 'openai'
import * as zodHelpers from 'openai/helpers/zod'
import { aiSdk, aiSdkStreams } from './ai.ts'
import { clientContract } from './contract.ts'
import { clientExtras } from './extras.ts'
import { groqSdk } from './groq.ts'
import { langchain } from './langchain.ts'
import { openaiCreate, openaiHelpers } from './openai.ts'
import { openrouterSdk } from './openrouter.ts'
import { otherVersion, versionOf } from './versions.ts'

// The newest majors ask for Node 22, and npm gives Node 20 the ones before: the very same programs run on both.
const openai6 = { ...openai, ...zodHelpers }
const openai7 = {
  ...(await otherVersion('openai-7', openai, ['OpenAI'])),
  ...(await otherVersion('openai-7/helpers/zod', zodHelpers, ['zodFunction', 'zodResponseFormat'])),
}
const ai6 = { ...ai, ...compatible }
const ai7 = {
  ...(await otherVersion('ai-7', ai, [
    'generateObject',
    'generateText',
    'Output',
    'stepCountIs',
    'streamText',
    'tool',
  ])),
  ...(await otherVersion('ai-openai-compatible-3', compatible, ['createOpenAICompatible'])),
}
const langchainNewest = await otherVersion('langchain-openai-1.6', langchainOpenai, ['ChatOpenAI'])

clientContract([
  openaiCreate(openai6, versionOf('openai')),
  openaiHelpers(openai6, versionOf('openai')),
  openaiCreate(openai7, versionOf('openai-7')),
  openaiHelpers(openai7, versionOf('openai-7')),
  groqSdk(versionOf('groq-sdk')),
  openrouterSdk(versionOf('@openrouter/sdk')),
  aiSdk(ai6, versionOf('ai')),
  aiSdkStreams(ai6, versionOf('ai')),
  aiSdk(ai7, versionOf('ai-7')),
  aiSdkStreams(ai7, versionOf('ai-7')),
  langchain(langchainOpenai, versionOf('@langchain/openai')),
  langchain(langchainNewest, versionOf('langchain-openai-1.6')),
])
clientExtras()
