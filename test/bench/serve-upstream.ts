/**
 * The floor under the comparison: a provider in a process of its own, whose answers are canned. A stream comes in one
 * piece, or, when its prompt says so, a token at a time: `drip 20 5` is twenty tokens, five milliseconds apart.
 */
import { createServer } from 'node:http'

const words = 'The ticket is about billing; the customer was charged twice and asks for a refund. '.repeat(12)
const usage = { prompt_tokens: 220, completion_tokens: 240, total_tokens: 460 }
const answer = JSON.stringify({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1_786_399_765,
  model: 'small',
  choices: [{ index: 0, logprobs: null, finish_reason: 'stop', message: { role: 'assistant', content: words } }],
  usage,
})
const chunk = (rest: object) =>
  `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1_786_399_765, model: 'small', ...rest })}\n\n`
const piece = (delta: object, finish: string | null = null) =>
  chunk({ choices: [{ index: 0, delta, finish_reason: finish, logprobs: null }] })
const first = piece({ role: 'assistant', content: '' })
const token = piece({ content: ' word' })
const end = `${piece({}, 'stop')}${chunk({ choices: [], usage })}data: [DONE]\n\n`
const burst = first + token.repeat(200) + end

const server = createServer((request, response) => {
  let body = ''
  request.setEncoding('utf8').on('data', (text: string) => {
    body += text
  })
  request.on('end', () => {
    if (!/"stream":\s*true/.test(body)) {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(answer) })
      response.end(answer)
      return
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const [, count, gap] = /drip (\d+) (\d+)/.exec(body) ?? []
    if (count === undefined) return response.end(burst)
    let left = Number(count)
    response.write(first + token)
    const timer = setInterval(() => {
      left -= 1
      if (left > 0) return response.write(token)
      clearInterval(timer)
      response.end(end)
    }, Number(gap))
    response.on('close', () => clearInterval(timer))
  })
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.send?.({ port: typeof address === 'object' && address !== null ? address.port : 0 })
})
process.on('disconnect', () => process.exit(0))
