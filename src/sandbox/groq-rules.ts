import type { ListedModel } from '../listing.ts'
import { type Fields, fieldsOf, isCount, isFields, listOf, numberOf, stringsOf, textOf } from './json.ts'
import type { Prompt } from './prompt.ts'
import type { Plain } from './vendor.ts'

/** Groq's request is a closed schema: any other key is refused, not ignored. */
const KEYS = new Set(
  (
    'model messages citation_options compound_custom disable_tool_validation documents include_domains ' +
    'exclude_domains search_settings frequency_penalty presence_penalty function_call functions include_reasoning ' +
    'reasoning_format reasoning_effort logit_bias logprobs top_logprobs max_completion_tokens max_tokens metadata ' +
    'store n parallel_tool_calls response_format seed service_tier stop stream stream_options temperature top_p ' +
    'tool_choice tools user'
  ).split(' '),
)
const MESSAGE_KEYS: Readonly<Record<string, readonly string[]>> = {
  system: ['role', 'content', 'name'],
  developer: ['role', 'content', 'name'],
  user: ['role', 'content', 'name'],
  assistant: ['role', 'content', 'name', 'tool_calls', 'function_call', 'reasoning'],
  tool: ['role', 'content', 'tool_call_id'],
  function: ['role', 'content', 'name'],
}
const PART_KEYS: Readonly<Record<string, readonly string[]>> = {
  text: ['type', 'text'],
  image_url: ['type', 'image_url'],
  document: ['type', 'document'],
}
const NOT_SUPPORTED = ['logprobs', 'top_logprobs', 'logit_bias'] as const
const MOST_TOOLS = 128
const GPT_OSS_EFFORTS = new Set(['low', 'medium', 'high'])

/** What Groq finds wrong with a request, before it looks at the model; null when nothing is. */
export function faultOfRequest(body: Fields): Plain | null {
  for (const key of Object.keys(body)) {
    if (!KEYS.has(key)) return refuse(`property '${key}' is unsupported${didYouMean(key, KEYS)}`)
  }
  if (!('messages' in body)) return refuse("'messages' : property 'messages' is missing")
  if (!Array.isArray(body.messages)) return refuse("'messages' : value must be an array")
  if (body.messages.length === 0) return refuse("'messages' : minimum number of items is 1")
  if (typeof body.model !== 'string') return refuse("'model' : property 'model' is missing")
  if ((numberOf(body.n) ?? 1) > 1) return refuse("'n' : number must be at most 1")
  for (const key of ['max_completion_tokens', 'max_tokens']) {
    if (isPresent(body[key]) && !isCount(body[key])) return refuse(`'${key}' : value must be an integer of at least 1`)
  }
  const tools = listOf(body.tools)
  if (tools.length > MOST_TOOLS) return refuse(`'tools' : maximum number of items is ${MOST_TOOLS}`)
  const temperature = numberOf(body.temperature)
  if (temperature !== undefined && (temperature < 0 || temperature > 2)) {
    return refuse(`'temperature' : number must be ${temperature < 0 ? 'at least 0' : 'at most 2'}`)
  }
  for (const [index, message] of body.messages.entries()) {
    const fault = faultOfMessage(message, index)
    if (fault !== null) return refuse(fault)
  }
  if (isPresent(body.include_reasoning) && isPresent(body.reasoning_format)) {
    return refuse('cannot specify both `include_reasoning` and `reasoning_format`', 'include_reasoning')
  }
  return null
}

function faultOfMessage(message: unknown, index: number): string | null {
  const at = `'messages.${index}'`
  if (!isFields(message)) return `${at} : value must be an object`
  const role = textOf(message.role) ?? ''
  const keys = MESSAGE_KEYS[role]
  if (keys === undefined) return `${at} : discriminator property 'role' has invalid value`
  const all = (fault: string) => `${at} : for 'role:${role}' the following must be satisfied[(${fault})]`
  for (const key of Object.keys(message)) {
    if (!keys.includes(key)) return all(`${at} : property '${key}' is unsupported${didYouMean(key, keys)}`)
  }
  if (role === 'tool' && typeof message.tool_call_id !== 'string') {
    return all(`${at} : property 'tool_call_id' is missing`)
  }
  if (role !== 'assistant' && message.content === undefined) return all(`${at} : property 'content' is missing`)
  for (const [place, part] of listOf(message.content).entries()) {
    const allowed = PART_KEYS[textOf(fieldsOf(part).type) ?? '']
    const where = `'messages.${index}.content.${place}'`
    if (allowed === undefined) return all(`${where} : discriminator property 'type' has invalid value`)
    for (const key of Object.keys(fieldsOf(part))) {
      if (!allowed.includes(key)) return all(`${where} : property '${key}' is unsupported`)
    }
  }
  return null
}

/** What Groq finds wrong with a request to this model. */
export function faultForModel(body: Fields, model: ListedModel, prompt: Prompt): Plain | null {
  for (const key of NOT_SUPPORTED) {
    if (isPresent(body[key]) && body[key] !== false) return refuse(`\`${key}\` is not supported with this model`, key)
  }
  const can = (ability: string) => model.abilities?.some((known) => known === ability) ?? true
  const tools = listOf(body.tools)
  if (tools.length > 0 && !can('tools')) {
    return refuse('`tool calling` is not supported with this model', 'tool calling')
  }
  if (prompt.images > 0 && model.input?.includes('image') !== true) {
    const index = listOf(body.messages).findIndex((message) => Array.isArray(fieldsOf(message).content))
    return refuse(`messages[${index}].content must be a string`)
  }
  const fault = faultOfReasoning(body, model, can) ?? faultOfFormat(body, prompt, can)
  if (fault !== null) return fault
  const most = model.maxOutput
  for (const key of ['max_completion_tokens', 'max_tokens']) {
    const wanted = numberOf(body[key])
    if (wanted === undefined || most === undefined || wanted <= most) continue
    return refuse(
      `\`${key}\` must be less than or equal to \`${most}\`, the maximum value for \`${key}\` is less than the \`context_window\` for this model`,
      key,
    )
  }
  if (model.context !== undefined && prompt.tokens >= model.context) {
    return refuse('Please reduce the length of the messages or completion.', 'messages')
  }
  return null
}

function faultOfReasoning(body: Fields, model: ListedModel, can: (ability: string) => boolean): Plain | null {
  const { reasoning_format: format, reasoning_effort: effort } = body
  if (!can('reasoning')) {
    if (isPresent(format)) return refuse('reasoning_format is not supported with this model', 'reasoning_format')
    if (isPresent(effort)) return refuse('`reasoning_effort` is not supported with this model', 'reasoning_effort')
    if (isPresent(body.include_reasoning)) {
      return refuse('`include_reasoning` is not supported with this model', 'include_reasoning')
    }
    return null
  }
  if (isPresent(effort) && model.id.includes('gpt-oss') && !GPT_OSS_EFFORTS.has(textOf(effort) ?? '')) {
    return refuse('`reasoning_effort` must be one of `low`, `medium`, or `high`', 'reasoning_effort')
  }
  const shaped = listOf(body.tools).length > 0 || fieldsOf(body.response_format).type === 'json_object'
  if (format === 'raw' && shaped) {
    return refuse('reasoning_format `raw` cannot be used with JSON mode or tool calling', 'reasoning_format')
  }
  return null
}

function faultOfFormat(body: Fields, prompt: Prompt, can: (ability: string) => boolean): Plain | null {
  const format = fieldsOf(body.response_format)
  if (format.type !== 'json_object' && format.type !== 'json_schema') return null
  if (listOf(body.tools).length > 0) return refuse('json mode cannot be combined with tool/function calling')
  if (format.type === 'json_object') {
    if (/json/i.test(prompt.text)) return null
    return refuse(
      "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
      'messages',
    )
  }
  if (!can('schema')) {
    return refuse(
      'This model does not support response format `json_schema`. See supported models at https://console.groq.com/docs/structured-outputs#supported-models',
      'response_format',
    )
  }
  if (body.stream === true) {
    return refuse('response format `json_schema` is not supported with streaming', 'response_format')
  }
  const asked = fieldsOf(format.json_schema)
  if (typeof asked.name !== 'string') return refuse("'response_format.json_schema' : property 'name' is missing")
  const fault = asked.strict === true ? notStrict(asked.schema, '') : null
  return fault === null ? null : refuse(`invalid JSON schema for response_format: '${asked.name}': ${fault}`)
}

/** Constrained decoding wants every property required and no others. */
function notStrict(schema: unknown, path: string): string | null {
  if (!isFields(schema)) return null
  if (isFields(schema.properties)) {
    const required = new Set(stringsOf(schema.required))
    const missing = Object.keys(schema.properties).find((key) => !required.has(key))
    if (missing !== undefined) {
      return `${path}/required: \`required\` is required to be supplied and to be an array including every key in properties. Missing '${missing}'`
    }
    if (schema.additionalProperties !== false) {
      return `${path}/additionalProperties: \`additionalProperties:false\` must be set on every object`
    }
  }
  for (const [key, part] of Object.entries(schema)) {
    const inner = Array.isArray(part) ? part.entries() : isFields(part) ? Object.entries(part) : []
    if (key === 'items') {
      const fault = notStrict(part, `${path}/items`)
      if (fault !== null) return fault
    } else if (key === 'properties' || key === '$defs' || key === 'definitions' || key === 'anyOf') {
      for (const [name, value] of inner) {
        const fault = notStrict(value, `${path}/${key}/${name}`)
        if (fault !== null) return fault
      }
    }
  }
  return null
}

/** A 400 in Groq's words. */
export function refuse(message: string, param?: string, code?: string): Plain {
  return {
    status: 400,
    body: { error: { message, type: 'invalid_request_error', ...(param && { param }), ...(code && { code }) } },
  }
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null
}

function didYouMean(key: string, known: Iterable<string>): string {
  for (const other of known) if (distance(key, other) <= 2) return `, did you mean '${other}'?`
  return ''
}

function distance(one: string, other: string): number {
  if (Math.abs(one.length - other.length) > 2) return 3
  let row = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let i = 1; i <= one.length; i++) {
    const next = [i]
    for (let j = 1; j <= other.length; j++) {
      const swap = (row[j - 1] ?? 0) + (one[i - 1] === other[j - 1] ? 0 : 1)
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, swap))
    }
    row = next
  }
  return row[other.length] ?? 0
}
