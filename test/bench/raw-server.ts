/**
 * The floor under the benchmark: a server in a process of its own that gives OpenRouter's answer to everything, as fast
 * as `node:http` can. Prints its port.
 */
import { createServer } from 'node:http'

const words = 'The ticket is about billing; the customer was charged twice and asks for a refund. '.repeat(12)
const answer = JSON.stringify({
  id: 'gen-1786399765-UqWqSwEF7vO9domfFBMm',
  object: 'chat.completion',
  created: 1_786_399_765,
  model: 'openai/gpt-oss-20b',
  provider: 'Groq',
  system_fingerprint: null,
  choices: [
    {
      index: 0,
      logprobs: null,
      finish_reason: 'stop',
      native_finish_reason: 'stop',
      message: { role: 'assistant', content: words, refusal: null, reasoning: null },
    },
  ],
  usage: {
    prompt_tokens: 220,
    completion_tokens: 240,
    total_tokens: 460,
    cost: 0.000_037_8,
    is_byok: false,
    prompt_tokens_details: { cached_tokens: 128, cache_write_tokens: 0, audio_tokens: 0, video_tokens: 0 },
    cost_details: {
      upstream_inference_cost: 0.000_037_8,
      upstream_inference_prompt_cost: 0.000_006_6,
      upstream_inference_completions_cost: 0.000_031_2,
    },
    completion_tokens_details: { reasoning_tokens: 0, image_tokens: 0, audio_tokens: 0 },
  },
})
const headers = {
  'content-type': 'application/json',
  'content-length': String(Buffer.byteLength(answer)),
  'x-generation-id': 'gen-1786399765-UqWqSwEF7vO9domfFBMm',
  'access-control-allow-origin': '*',
  'referrer-policy': 'no-referrer, strict-origin-when-cross-origin',
  'x-content-type-options': 'nosniff',
}

/** As OpenRouter streams: a keep-alive, 200 pieces, the reason to finish, the usage, the end. */
const chunk = (rest: object) =>
  `data: ${JSON.stringify({ id: 'gen-1', object: 'chat.completion.chunk', created: 1_786_399_765, model: 'openai/gpt-oss-20b', provider: 'Groq', ...rest })}\n\n`
const piece = (delta: object, finish: string | null = null) =>
  chunk({ choices: [{ index: 0, delta, finish_reason: finish, native_finish_reason: finish, logprobs: null }] })
const events = [
  ': OPENROUTER PROCESSING\n\n',
  piece({ role: 'assistant', content: '' }),
  ...Array.from({ length: 200 }, (_, index) => piece({ role: 'assistant', content: ` word${index}` })),
  piece({ role: 'assistant', content: '' }, 'stop'),
  chunk({ choices: [], usage: JSON.parse(answer).usage }),
  'data: [DONE]\n\n',
]
const burst = Buffer.from(events.join(''))
const streamHeaders = { 'content-type': 'text/event-stream', 'x-generation-id': 'gen-1' }

const server = createServer((request, response) => {
  const mode = request.headers['x-mode']
  request.resume()
  request.on('end', () => {
    if (mode === 'burst') {
      response.writeHead(200, streamHeaders)
      response.end(burst)
      return
    }
    if (mode === 'drip' || mode === 'stall') {
      // One write per event, one turn of the loop apart, as tokens really come; `stall` stops in the middle.
      response.writeHead(200, streamHeaders)
      let next = 0
      const drip = () => {
        if (next === events.length) return response.end()
        if (mode === 'stall' && next === 50) return
        response.write(events[next++])
        setImmediate(drip)
      }
      drip()
      return
    }
    if (mode === 'hang') return
    response.writeHead(200, headers)
    response.end(answer)
  })
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  console.log(typeof address === 'object' && address !== null ? address.port : '')
})
process.on('disconnect', () => process.exit(0))
