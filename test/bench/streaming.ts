import { createParser } from 'eventsource-parser'
import { createRouter, openrouter } from 'modelfirst'
import OpenAI from 'openai'
import { columns, measure, median, table } from './measure.ts'

const MESSAGES = [{ role: 'user' as const, content: 'Tell me something of some length. '.repeat(20) }]
const BODY = JSON.stringify({ model: 'openai/gpt-oss-20b', messages: MESSAGES, stream: true })

function routerFor(base: string, mode: string) {
  return createRouter({
    providers: [openrouter({ apiKey: 'sk-or-bench-key', baseURL: base, headers: { 'x-mode': mode } })],
    tasks: { tell: { model: ['openai/gpt-oss-20b', 'openai/gpt-oss-120b'], request: { max_tokens: 400 } } },
  })
}

/** A stream of 200 pieces: read by hand with the same parser, through a router, through the OpenAI SDK. */
export async function measureStreams(base: string, options: { rounds: number; calls: number }): Promise<string> {
  const parts: string[] = []
  for (const mode of ['burst', 'drip']) {
    const headers = { 'content-type': 'application/json', authorization: 'Bearer sk-or-bench-key', 'x-mode': mode }
    const router = routerFor(base, mode)
    await router.ready()
    const client = new OpenAI({
      apiKey: 'sk-or-bench-key',
      baseURL: base,
      maxRetries: 0,
      defaultHeaders: { 'x-mode': mode },
    })
    const firsts: Record<string, number[]> = { byHand: [], router: [], sdk: [] }
    const byHand = async () => {
      const started = performance.now()
      const response = await fetch(`${base}/chat/completions`, { method: 'POST', headers, body: BODY })
      let text = ''
      const decoder = new TextDecoder()
      const parser = createParser({
        onEvent: ({ data }) => {
          if (data === '[DONE]') return
          const piece: string | undefined = JSON.parse(data).choices[0]?.delta.content
          if (text === '' && piece) firsts.byHand?.push(performance.now() - started)
          text += piece ?? ''
        },
      })
      const reader = response.body?.getReader()
      for (let read = await reader?.read(); read && !read.done; read = await reader?.read()) {
        parser.feed(decoder.decode(read.value, { stream: true }))
      }
    }
    const routed = async () => {
      const started = performance.now()
      let text = ''
      for await (const piece of router.stream('tell', MESSAGES).text) {
        if (text === '') firsts.router?.push(performance.now() - started)
        text += piece
      }
    }
    const sdk = async () => {
      const started = performance.now()
      let text = ''
      const stream = await client.chat.completions.create({
        model: 'openai/gpt-oss-20b',
        messages: MESSAGES,
        stream: true,
      })
      for await (const { choices } of stream) {
        const piece = choices[0]?.delta.content
        if (text === '' && piece) firsts.sdk?.push(performance.now() - started)
        text += piece ?? ''
      }
    }
    const results = await measure(
      { 'fetch, parser, JSON.parse': byHand, 'router.stream()': routed, 'OpenAI SDK': sdk },
      { ...options, warmup: 50 },
    )
    const first = (key: string) => median(firsts[key] ?? []) * 1000
    const ratio = (key: string) => (first(key) / first('byHand')).toFixed(2)
    parts.push(
      `streams of 200 pieces, ${mode === 'burst' ? 'in one write' : 'one write each'}:`,
      table(results, 'fetch, parser, JSON.parse'),
      `first piece after: by hand ${first('byHand').toFixed(0)} µs, router × ${ratio('router')}, SDK × ${ratio('sdk')}`,
    )
    await router.close()
  }
  return parts.join('\n')
}

/** From `abort()` to the moment the caller has its error and the record is settled. */
export async function measureAborts(base: string): Promise<string> {
  const rows: string[][] = [['abort while', 'p50 ms', 'p99 ms', 'max ms']]
  for (const [what, mode] of [
    ['waiting for headers', 'hang'],
    ['waiting for the next piece', 'stall'],
    ['pieces are coming', 'drip'],
  ] as const) {
    const router = routerFor(base, mode)
    await router.ready()
    const took: number[] = []
    for (let n = 0; n < 200; n += 1) {
      const controller = new AbortController()
      const stream = router.stream('tell', MESSAGES, { signal: controller.signal })
      let aborted = 0
      setTimeout(
        () => {
          aborted = performance.now()
          controller.abort()
        },
        mode === 'drip' ? 2 : 12,
      )
      try {
        for await (const _ of stream) {
        }
      } catch {
        await stream.completion.catch(() => {})
        took.push(performance.now() - aborted)
      }
    }
    took.sort((a, b) => a - b)
    const at = (share: number) =>
      (took[Math.min(took.length - 1, Math.floor(share * took.length))] ?? Number.NaN).toFixed(2)
    rows.push([what, at(0.5), at(0.99), at(1)])
    await router.close()
  }
  return columns(rows)
}
