import { aiSdk, aiSdkStreams } from './ai.ts'
import { clientContract } from './contract.ts'
import { groqSdk } from './groq.ts'
import { langchain } from './langchain.ts'
import { openaiCreate, openaiHelpers } from './openai.ts'
import { openrouterSdk } from './openrouter.ts'

clientContract([openaiCreate, openaiHelpers, groqSdk, openrouterSdk, aiSdk, aiSdkStreams, langchain])
