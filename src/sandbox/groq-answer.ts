import { fieldsOf, listOf } from './json.ts'
import { tokensOf } from './prompt.ts'
import { type Frame, type Job, piecesOf } from './vendor.ts'

/** A whole answer, as Groq writes it. */
export function jsonOfGroq(job: Job): string {
  const { reply, extras } = job
  const { content, reasoning } = shown(job)
  const message = {
    role: 'assistant',
    ...((content !== '' || reply.toolCalls.length === 0) && { content }),
    ...(reasoning !== '' && { reasoning }),
    ...(reply.toolCalls.length > 0 && { tool_calls: reply.toolCalls.map(call) }),
  }
  return JSON.stringify({
    id: job.id,
    object: 'chat.completion',
    created: job.created,
    model: job.model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: reply.finish }],
    usage: usageOf(job),
    usage_breakdown: null,
    system_fingerprint: extras.fingerprint,
    x_groq: { id: extras.requestId, seed: extras.seed },
    service_tier: extras.tier,
  })
}

/** A streamed answer, chunk by chunk. Usage comes with the last choice whether it was asked for or not. */
export function framesOfGroq(
  job: Job,
  options: { readonly finish: boolean; readonly done: boolean },
): readonly Frame[] {
  const { reply, extras } = job
  const head = `data: {"id":${JSON.stringify(job.id)},"object":"chat.completion.chunk","created":${job.created},"model":${JSON.stringify(job.model)},"system_fingerprint":${JSON.stringify(extras.fingerprint)},`
  const frames: Frame[] = []
  let tokens = 0
  const choice = (delta: string, finish: string | null, rest = '') =>
    `${head}"choices":[{"index":0,"delta":${delta},"logprobs":null,"finish_reason":${JSON.stringify(finish)}}]${rest}}\n\n`
  const add = (data: string) => frames.push({ data, tokens })
  const { content, reasoning } = shown(job)
  const own = JSON.stringify({ id: extras.requestId, seed: extras.seed })

  const opening = reply.toolCalls.length > 0 && content === '' ? 'null' : '""'
  add(choice(`{"role":"assistant","content":${opening}}`, null, `,"x_groq":${own}`))
  const channel = job.model.includes('gpt-oss') ? ',"channel":"analysis"' : ''
  let thought = 0
  for (const piece of piecesOf(reasoning)) {
    thought += piece.length
    tokens = Math.min(Math.ceil(thought / 4), reply.reasoningTokens)
    add(choice(`{"reasoning":${JSON.stringify(piece)}${channel}}`, null))
  }
  tokens = reply.reasoningTokens
  let said = 0
  for (const piece of piecesOf(content)) {
    said += piece.length
    tokens = Math.min(reply.reasoningTokens + Math.ceil(said / 4), reply.completionTokens)
    add(choice(`{"content":${JSON.stringify(piece)}}`, null))
  }
  reply.toolCalls.forEach((made, index) => {
    tokens += tokensOf(made.name) + tokensOf(made.arguments)
    add(choice(`{"tool_calls":[${JSON.stringify({ ...call(made), index })}]}`, null))
  })
  tokens = reply.completionTokens
  const usage = JSON.stringify(usageOf(job))
  if (options.finish) {
    const rest = `,"x_groq":{"id":${JSON.stringify(extras.requestId)},"usage":${usage}},"usage":${usage}`
    add(choice('{}', reply.finish, rest))
    if (fieldsOf(job.body.stream_options).include_usage === true) {
      add(`${head}"choices":[],"usage":${usage},"service_tier":${JSON.stringify(extras.tier)}}\n\n`)
    }
  }
  if (options.done) add('data: [DONE]\n\n')
  return frames
}

/** Where the thinking goes: a field of its own, into the text, or nowhere. */
function shown({ body, reply }: Job): { content: string; reasoning: string } {
  const { text, reasoning } = reply
  if (reasoning === '' || body.include_reasoning === false || body.reasoning_format === 'hidden') {
    return { content: text, reasoning: '' }
  }
  const shaped = listOf(body.tools).length > 0 || fieldsOf(body.response_format).type !== undefined
  if (body.reasoning_format === 'raw' && !shaped)
    return { content: `<think>${reasoning}</think>${text}`, reasoning: '' }
  return { content: text, reasoning }
}

function call({ id, name, arguments: given }: Job['reply']['toolCalls'][number]) {
  return { id: `fc_${id.slice(5)}`, type: 'function', function: { name, arguments: given } }
}

const PROMPT_TOKENS_PER_SECOND = 20_000
const TOKENS_PER_SECOND = 500

function usageOf({ tokens }: Job): object {
  const prompt = Number(((tokens.prompt - tokens.cached) / PROMPT_TOKENS_PER_SECOND + 0.001).toFixed(9))
  const completion = Number((tokens.completion / TOKENS_PER_SECOND).toFixed(9))
  return {
    queue_time: 0.005061019,
    prompt_tokens: tokens.prompt,
    prompt_time: prompt,
    completion_tokens: tokens.completion,
    completion_time: completion,
    total_tokens: tokens.prompt + tokens.completion,
    // The queue is not in it.
    total_time: Number((prompt + completion).toFixed(9)),
    // Both are left out when there is nothing to say.
    ...(tokens.cached > 0 && { prompt_tokens_details: { cached_tokens: tokens.cached } }),
    ...(tokens.reasoning > 0 && { completion_tokens_details: { reasoning_tokens: tokens.reasoning } }),
  }
}
