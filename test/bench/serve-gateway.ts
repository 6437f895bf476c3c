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
process.on('message', (asked) => {
  if (asked !== 'memory') return
  globalThis.gc?.()
  globalThis.gc?.()
  const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage()
  process.send?.({ memory: { rss, heapUsed, external, arrayBuffers } })
})
process.on('disconnect', () => process.exit(0))
