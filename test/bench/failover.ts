import { createServer, type Server } from 'node:http'
import { compatible, createRouter } from 'modelfirst'
import { columns, median } from './measure.ts'

const MESSAGES = [{ role: 'user' as const, content: 'Tag this ticket: I was charged twice. '.repeat(12) }]
const BODY = JSON.stringify({ model: 'small', messages: MESSAGES })
const HEADERS = { 'content-type': 'application/json', authorization: 'Bearer sk-bench-key' }
const DOWN = JSON.stringify({ error: { message: 'The server is overloaded.', type: 'server_error', code: null } })
const ANSWER = JSON.stringify({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  model: 'small',
  choices: [{ index: 0, message: { role: 'assistant', content: 'billing' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 120, completion_tokens: 1, total_tokens: 121 },
})

interface Endpoint {
  readonly url: string
  down: boolean
  asked: number
  /** When the newest request came. */
  arrivedAt: number
  readonly server: Server
}

/** In this process, so that what comes there and what comes back here is told by one clock. */
async function endpoint(): Promise<Endpoint> {
  const server = createServer((request, response) => {
    made.arrivedAt = performance.now()
    made.asked += 1
    request.resume().on('end', () => {
      const text = made.down ? DOWN : ANSWER
      const length = { 'content-length': String(text.length) }
      response.writeHead(made.down ? 503 : 200, { 'content-type': 'application/json', ...length })
      response.end(text)
    })
  })
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const made: Endpoint = { url: `http://127.0.0.1:${port}/v1`, down: false, asked: 0, arrivedAt: 0, server }
  return made
}

/**
 * How long a call that failed takes to be somewhere else: from the failed reply's arrival here to the next request's
 * arrival at the second server. By hand is the least there can be: two requests, one after the other.
 */
export async function measureFailover({ rounds = 300 }: { rounds?: number } = {}): Promise<string> {
  const [first, second] = await Promise.all([endpoint(), endpoint()])
  let failedAt = 0
  const timed = async (input: string | URL | Request, init?: RequestInit) => {
    const reply = await fetch(input, init)
    if (!reply.ok) failedAt = performance.now()
    return reply
  }
  const routerOver = async () => {
    const provider = (name: string, { url }: Endpoint) =>
      compatible({ name, baseURL: url, apiKey: 'sk-bench-key', models: ['small'], fetch: timed })
    const router = createRouter({
      providers: [provider('first', first), provider('second', second)],
      tasks: { tag: { model: 'small' } },
    })
    await router.ready()
    return router
  }
  const byHand = async ({ url }: Endpoint) => {
    const reply = await timed(`${url}/chat/completions`, { method: 'POST', headers: HEADERS, body: BODY })
    JSON.parse(await reply.text())
    return reply.ok
  }
  const gap = () => second.arrivedAt - failedAt
  const warm = await routerOver()
  const gaps = { byHand: [] as number[], first: [] as number[], warm: [] as number[] }
  const contenders = [
    async () => {
      if (!(await byHand(first))) await byHand(second)
      gaps.byHand.push(gap())
    },
    async () => {
      const router = await routerOver()
      await router.complete('tag', MESSAGES)
      gaps.first.push(gap())
      await router.close()
    },
    async () => {
      await warm.complete('tag', MESSAGES)
      gaps.warm.push(gap())
      // Well in between: what fails all the time is not asked any more.
      first.down = false
      for (let n = 0; n < 2; n += 1) await warm.complete('tag', MESSAGES)
    },
  ]
  for (let round = -50; round < rounds; round += 1) {
    if (round === 0) for (const all of Object.values(gaps)) all.length = 0
    for (let n = 0; n < contenders.length; n += 1) {
      first.down = true
      await contenders[(n + Math.abs(round)) % contenders.length]?.()
    }
  }
  await warm.close()

  const row = (what: string, took: readonly number[]) => {
    const sorted = [...took].sort((a, b) => a - b)
    const added = median(took) - median(gaps.byHand)
    const p99 = sorted[Math.floor(0.99 * sorted.length)] ?? Number.NaN
    return [what, median(took).toFixed(2), p99.toFixed(2), added.toFixed(2)]
  }
  const rows = [
    ['from the failed reply to the next request', 'p50 ms', 'p99 ms', 'added, p50'],
    row('two fetches by hand', gaps.byHand),
    row('the first call of a router', gaps.first),
    row('a later call', gaps.warm),
  ]
  const outage = await attemptsInOutage(await routerOver(), [first, second])
  for (const { server } of [first, second]) {
    server.closeAllConnections()
    server.close()
  }
  return `${columns(rows)}\n(target: 5 ms added)\n${outage}`
}

async function attemptsInOutage(
  router: { complete(task: 'tag', input: typeof MESSAGES): Promise<unknown>; close(): Promise<void> },
  servers: readonly Endpoint[],
): Promise<string> {
  const calls = 1000
  for (const server of servers) {
    server.down = true
    server.asked = 0
  }
  const call = () => router.complete('tag', MESSAGES).catch(() => {})
  for (let n = 0; n < calls; n += 20) await Promise.all(Array.from({ length: 20 }, call))
  await router.close()
  const perCall = servers.map(({ asked }) => (asked / calls).toFixed(3)).join(' and ')
  return `attempts per call while both answer 503, ${calls} calls, 20 at a time: ${perCall} (target 1.1)`
}
