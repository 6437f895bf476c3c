import { OpenAI } from 'openai'
import { compatible, createRouter } from '../../src/index.ts'

/**
 * A process of its own that asks a server which answers with a bomb, and tells what came of it and how much memory it
 * took at the most: another server's plain answers, asked for first, take what a process takes anyway.
 */
const [wire, how = '', plain = '', bomb = ''] = process.argv.slice(2)

async function outcomeAt(baseURL: string, asked: string): Promise<string> {
  const client = wire === 'openai' ? new OpenAI({ apiKey: 'sk-test', baseURL, logLevel: 'off' }) : undefined
  const provider = compatible({ name: 'own', baseURL, apiKey: 'sk-test', models: ['small'], client })
  const router = createRouter({
    providers: [provider],
    tasks: { say: { model: 'small', limits: { attempts: 1 } } },
  })
  if (asked === 'list') {
    const { own } = (await router.catalog.refresh()).providers
    return own !== undefined && 'error' in own ? 'refused' : 'ok'
  }
  try {
    if (asked === 'whole') await router.complete('say', 'hi')
    else for await (const _ of router.stream('say', 'hi'));
  } catch {
    // It is in the record.
  }
  return router.ledger.records.at(-1)?.outcome ?? 'none'
}

async function main(): Promise<void> {
  for (let n = 0; n < 20; n += 1) for (const asked of ['whole', 'stream', 'list']) await outcomeAt(plain, asked)
  const before = process.memoryUsage.rss()
  let most = before
  const watch = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss())
  }, 1)
  const outcome = await outcomeAt(bomb, how)
  most = Math.max(most, process.memoryUsage.rss())
  clearInterval(watch)
  process.stdout.write(JSON.stringify({ outcome, grown: most - before }))
  process.exit()
}

void main()
