import { createRouter, type UsageRecord } from 'modelfirst'
import { openaiFetch, serve } from 'modelfirst/http'
import { type Sandbox, startSandbox } from 'modelfirst/sandbox'
import { systemClock } from '../../src/clock.ts'
import { hasty } from '../support/router.ts'
import type { Entrance } from './client.ts'

export const MODEL = 'openai/gpt-oss-120b'
export const TASK = 'task:say'
export const TOKEN = 'a-token-0123456789'

/** A router with one task, asked at Groq first and at OpenRouter next, and where a client meets it. */
export interface Stage {
  readonly sandbox: Sandbox
  readonly entrance: Entrance
  /** What was recorded since the stage was last cleared. */
  readonly records: readonly UsageRecord[]
  /** As if nothing had been asked before. */
  clear(): void
  close(): Promise<void>
}

export interface Place {
  readonly name: 'in process' | 'over a port'
  open(): Promise<Stage>
}

/** What a failure does to the standing of a provider is over by then. */
const LONG_AFTER = 3_600_000

/** Both places are opened once: a router reads the whole catalogue when it is made. */
async function createSetting() {
  const sandbox = await startSandbox()
  const records: UsageRecord[] = []
  let later = 0
  const router = createRouter({
    providers: sandbox.providers(),
    tasks: { say: { model: MODEL, provider: ['groq', 'openrouter'] } },
    clock: { ...systemClock, now: () => systemClock.now() + later },
    random: hasty(),
    sinks: [(record) => void records.push(record)],
  })
  return {
    router,
    stage: {
      sandbox,
      records,
      clear() {
        sandbox.reset()
        records.length = 0
        later += LONG_AFTER
      },
      async close() {
        await router.close()
        await sandbox.close()
      },
    },
  }
}

export const inProcess: Place = {
  name: 'in process',
  async open() {
    const { router, stage } = await createSetting()
    return { ...stage, entrance: { fetch: openaiFetch(router), key: 'nobody-reads-it' } }
  },
}

export const overAPort: Place = {
  name: 'over a port',
  async open() {
    const { router, stage } = await createSetting()
    const server = await serve(router, { port: 0, token: TOKEN, limits: { drainMs: 100 } })
    return {
      ...stage,
      entrance: { origin: server.url, key: TOKEN },
      async close() {
        await server.close()
        await stage.close()
      },
    }
  },
}
