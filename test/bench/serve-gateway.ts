/** The router on a port, in a process of its own, before a provider whose address is given. */
import { compatible, createRouter } from 'modelfirst'
import { serve } from '../../src/http/serve.ts'

const [, , baseURL = ''] = process.argv
const router = createRouter({
  providers: [compatible({ name: 'upstream', baseURL, apiKey: 'sk-bench', models: ['small'] })],
  tasks: { say: { model: 'small' } },
})
await router.ready()
const server = await serve(router, { port: 0, token: 'sk-bench' })
process.send?.({ port: server.port })
process.on('message', async (asked) => {
  if (asked !== 'memory') return
  // Pages that a collection has emptied are given back by other threads, a moment later.
  for (let n = 0; n < 3; n += 1) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
  const { rss, heapUsed, external } = process.memoryUsage()
  process.send?.({ memory: { rss, heapUsed, external } })
})
process.on('disconnect', () => process.exit(0))
