import { number } from './decimal.ts'
import { type Fields, fieldsOf } from './json.ts'
import { tokensOf } from './prompt.ts'
import { type Frame, type Job, piecesOf } from './vendor.ts'

/** A whole answer, as OpenRouter writes it. */
export function jsonOfOpenRouter(job: Job): string {
  const { reply, extras } = job
  const reasoning = shownReasoning(job)
  const message = {
    role: 'assistant',
    content: reply.text === '' && reply.toolCalls.length > 0 ? null : reply.text,
    refusal: null,
    reasoning: reasoning === '' ? null : reasoning,
    ...(reply.toolCalls.length > 0 && {
      tool_calls: reply.toolCalls.map(({ id, name, arguments: given }, index) => ({
        type: 'function',
        index,
        id,
        function: { name, arguments: given },
      })),
    }),
    ...(reasoning !== '' && { reasoning_details: [detail(reasoning, job)] }),
  }
  return JSON.stringify({
    id: job.id,
    object: 'chat.completion',
    created: job.created,
    model: job.model,
    provider: job.hostName,
    system_fingerprint: null,
    service_tier: extras.tier,
    choices: [
      {
        index: 0,
        logprobs: null,
        finish_reason: reply.finish,
        native_finish_reason: nativeFinish(job),
        message,
      },
    ],
    usage: usageOf(job),
    ...(extras.metadata !== undefined && { openrouter_metadata: extras.metadata }),
  })
}

/** A streamed answer, chunk by chunk; the usage comes once, after the finish. */
export function framesOfOpenRouter(
  job: Job,
  options: { readonly finish: boolean; readonly done: boolean },
): readonly Frame[] {
  const { reply, extras } = job
  const head = headOf(job)
  const frames: Frame[] = []
  let tokens = 0
  const choice = (delta: string, finish: string | null = null, native: string | null = null, rest = '') =>
    `${head}"choices":[{"index":0,"delta":{"role":"assistant",${delta}},"finish_reason":${JSON.stringify(finish)},"native_finish_reason":${JSON.stringify(native)},"logprobs":null}]${rest}}\n\n`
  const add = (data: string) => frames.push({ data, tokens })

  let thought = 0
  for (const piece of piecesOf(shownReasoning(job))) {
    thought += piece.length
    tokens = Math.min(Math.ceil(thought / 4), reply.reasoningTokens)
    add(
      choice(
        `"content":"","reasoning":${JSON.stringify(piece)},"reasoning_details":[${JSON.stringify(detail(piece, job))}]`,
      ),
    )
  }
  tokens = reply.reasoningTokens
  if (reply.text === '' && reply.toolCalls.length === 0) add(choice('"content":""'))
  let said = 0
  for (const piece of piecesOf(reply.text)) {
    said += piece.length
    tokens = Math.min(reply.reasoningTokens + Math.ceil(said / 4), reply.completionTokens)
    add(choice(`"content":${JSON.stringify(piece)}`))
  }
  reply.toolCalls.forEach((made, index) => {
    const call = (fields: Fields) =>
      `"content":null,"tool_calls":[${JSON.stringify({ index, type: 'function', ...fields })}]`
    tokens += tokensOf(made.name)
    add(choice(call({ id: made.id, function: { name: made.name, arguments: '' } })))
    const before = tokens
    let written = 0
    for (const piece of made.arguments.match(/[\s\S]{1,12}/g) ?? []) {
      written += piece.length
      tokens = before + Math.ceil(written / 4)
      add(choice(call({ function: { arguments: piece } })))
    }
  })
  tokens = reply.completionTokens
  if (options.finish) {
    const native = nativeFinish(job)
    add(choice('"content":""', reply.finish, native))
    const rest = `,"service_tier":${JSON.stringify(extras.tier)},"usage":${JSON.stringify(usageOf(job))}${
      extras.metadata === undefined ? '' : `,"openrouter_metadata":${JSON.stringify(extras.metadata)}`
    }`
    add(choice('"content":""', reply.finish, native, rest))
  }
  if (options.done) add('data: [DONE]\n\n')
  return frames
}

/** An error in a stream whose status was 200. */
export function errorFrameOf(job: Job, error: object): string {
  return `${headOf(job)}"error":${JSON.stringify(error)},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error","native_finish_reason":null}]}\n\n`
}

function headOf(job: Job): string {
  return `data: {"id":${JSON.stringify(job.id)},"provider":${JSON.stringify(job.hostName)},"model":${JSON.stringify(job.model)},"object":"chat.completion.chunk","created":${job.created},`
}

function shownReasoning({ body, reply }: Job): string {
  const hidden = fieldsOf(body.reasoning).exclude === true || body.include_reasoning === false
  return hidden ? '' : reply.reasoning
}

function detail(text: string, job: Job): object {
  const format = job.model.startsWith('anthropic/') ? 'anthropic-claude-v1' : 'unknown'
  return { type: 'reasoning.text', text, format, index: 0 }
}

const NATIVE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  anthropic: { stop: 'end_turn', tool_calls: 'tool_use', length: 'max_tokens' },
  google: { stop: 'STOP', tool_calls: 'STOP', length: 'MAX_TOKENS' },
}

export function nativeFinish(job: Job): string {
  const author = job.model.split('/')[0] ?? ''
  return NATIVE[author]?.[job.reply.finish] ?? job.reply.finish
}

function usageOf({ tokens, charge, extras }: Job): object {
  return {
    prompt_tokens: tokens.prompt,
    completion_tokens: tokens.completion,
    total_tokens: tokens.prompt + tokens.completion,
    cost: extras.byok === true ? 0 : number(charge.total),
    is_byok: extras.byok === true,
    prompt_tokens_details: {
      cached_tokens: tokens.cached,
      cache_write_tokens: tokens.written + tokens.written1h,
      audio_tokens: 0,
      video_tokens: 0,
    },
    cost_details: {
      upstream_inference_cost: number(charge.total),
      upstream_inference_prompt_cost: number(charge.prompt),
      upstream_inference_completions_cost: number(charge.completion),
    },
    completion_tokens_details: { reasoning_tokens: tokens.reasoning, image_tokens: 0, audio_tokens: 0 },
  }
}
