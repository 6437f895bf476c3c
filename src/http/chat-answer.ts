import { unixSeconds } from '../clock.ts'
import type { Completion } from '../completion.ts'
import { fields, isPresent } from '../fields.ts'
import { readJson } from '../lenient.ts'
import { choiceOf, FINISH, servedBy, usageOf } from '../openai-answer.ts'

/** An answer as OpenAI's clients read it, with what OpenRouter's look for beside it; `shaped`: it had to fit a schema. */
export function chatAnswer(
  { message, finish, model, provider, host, usage, raw, data, text, toolCalls }: Completion,
  shaped: boolean,
): string {
  const { logprobs = null, native_finish_reason: native, message: told } = choiceOf(raw)
  const { system_fingerprint: fingerprint, service_tier: tier, openrouter_metadata: routed } = fields(raw) ?? {}
  const audio = fields(told)?.audio
  const used = usageOf(usage, raw)
  const isAnswer = toolCalls.length === 0 && (shaped || isPresent(data))
  const content = !isAnswer ? message.content : shaped ? cleanJson(text, data) : bareJson(text)
  return JSON.stringify({
    id: usage.id,
    object: 'chat.completion',
    created: unixSeconds(usage.at),
    model,
    provider: servedBy({ provider, host }),
    system_fingerprint: typeof fingerprint === 'string' ? fingerprint : null,
    ...(typeof tier === 'string' && { service_tier: tier }),
    choices: [
      {
        index: 0,
        message: { ...message, content, refusal: message.refusal ?? null, ...(isPresent(audio) && { audio }) },
        logprobs,
        finish_reason: FINISH[finish.reason],
        ...(typeof native === 'string' && { native_finish_reason: native }),
      },
    ],
    ...(used !== null && { usage: used }),
    ...(isPresent(routed) && { openrouter_metadata: routed }),
  })
}

/** The text as it was written where it is the JSON that was asked for, and that JSON where something stands around it. */
function cleanJson(text: string, data: unknown): string {
  const json = JSON.stringify(data)
  try {
    return JSON.stringify(JSON.parse(text)) === json ? text : json
  } catch {
    return json
  }
}

/** The same by the schema of a task, whose data may be something else than what the model has written. */
function bareJson(text: string): string {
  const read = readJson(text)
  return 'value' in read && !isJson(text) ? JSON.stringify(read.value) : text
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** What a client may want to know that its protocol has no place for. */
export function answerHeaders({ model, provider, host, usage }: Completion): Record<string, string> {
  const { id, task, attempts, cost, generationId } = usage
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'x-modelfirst-call': id,
    'x-modelfirst-task': headerText(task),
    'x-modelfirst-model': headerText(model),
    'x-modelfirst-provider': provider,
    'x-modelfirst-attempts': String(attempts.length),
  }
  if (host !== null) headers['x-modelfirst-host'] = headerText(host)
  if (cost.usd !== null) headers['x-modelfirst-cost-usd'] = String(cost.usd)
  if (generationId !== null) headers['x-generation-id'] = headerText(generationId)
  return headers
}

/** Names are other people's text. */
export function headerText(text: string): string {
  return /^[\x20-\x7e]*$/.test(text) && text.length <= 256 ? text : encodeURIComponent(text.slice(0, 256))
}
