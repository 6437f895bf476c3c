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

const server = createServer((request, response) => {
  request.resume()
  request.on('end', () => {
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
