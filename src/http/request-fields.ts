import { type Fields, fields, isPresent } from '../fields.ts'
import { type Expectation, expected, kindOf } from '../options.ts'
import { BadRequest } from './bad-request.ts'

/** JSON has no infinity, but `1e999` is read as one, and would be sent on as `null`. */
const A_NUMBER = expected('a number', (value) => typeof value === 'number' && Number.isFinite(value))
const A_COUNT = expected('a whole number above 0', (value) => Number.isInteger(value) && Number(value) > 0)
const A_WORD = expected('a string', (value) => typeof value === 'string')
const YES_OR_NO = expected('true or false', (value) => typeof value === 'boolean')
const AN_OBJECT = expected('an object', (value) => fields(value) !== undefined)
const OBJECTS = expected('a list of objects', (value) => isListOf(value, (each) => fields(each) !== undefined))
const WORDS = expected('a list of strings', (value) => isListOf(value, A_WORD.holds))

/** What the fields of a request have to be. What stands in none of the lists is the provider's to judge. */
const FIELDS: Readonly<Record<string, Expectation>> = {
  audio: AN_OBJECT,
  cache_control: AN_OBJECT,
  frequency_penalty: A_NUMBER,
  include_reasoning: YES_OR_NO,
  logit_bias: AN_OBJECT,
  logprobs: YES_OR_NO,
  max_completion_tokens: A_COUNT,
  max_tokens: A_COUNT,
  messages: expected('a list of messages', Array.isArray),
  // OpenAI's own limits: it is kept with the record of the call.
  metadata: expected('an object of up to 16 strings, each of up to 512 characters', isMetadata),
  min_p: A_NUMBER,
  modalities: WORDS,
  model: A_WORD,
  models: expected('a list of 1 to 32 model ids', (value) => isListOf(value, isModel) && isFew(value)),
  n: A_COUNT,
  parallel_tool_calls: YES_OR_NO,
  plugins: expected('a list of objects, each with an id', (value) =>
    isListOf(value, (each) => typeof fields(each)?.id === 'string'),
  ),
  prediction: AN_OBJECT,
  presence_penalty: A_NUMBER,
  preset: A_WORD,
  prompt_cache_key: A_WORD,
  reasoning: AN_OBJECT,
  reasoning_effort: A_WORD,
  repetition_penalty: A_NUMBER,
  response_format: expected('an object with a type', (value) => typeof fields(value)?.type === 'string'),
  seed: A_NUMBER,
  service_tier: A_WORD,
  session_id: A_WORD,
  stop: expected('a string or a list of strings', (value) => A_WORD.holds(value) || WORDS.holds(value)),
  stream: YES_OR_NO,
  stream_options: AN_OBJECT,
  temperature: A_NUMBER,
  tool_choice: expected('a string or an object', (value) => A_WORD.holds(value) || AN_OBJECT.holds(value)),
  tools: OBJECTS,
  top_a: A_NUMBER,
  top_k: A_NUMBER,
  top_logprobs: A_NUMBER,
  top_p: A_NUMBER,
  trace: AN_OBJECT,
  transforms: WORDS,
  usage: AN_OBJECT,
  user: A_WORD,
  verbosity: A_WORD,
}

/** What cannot be done faithfully is refused rather than left out. */
const REFUSED: Readonly<Record<string, string>> = {
  functions: 'it has been replaced by tools: send tools',
  function_call: 'it has been replaced by tool_choice: send tools and tool_choice',
}

/** Every field that is there is what it has to be; `null` stands for what is not there, as OpenAI takes it. */
export function checkFields(body: Fields): void {
  for (const name in body) {
    const value = body[name]
    if (value === undefined || value === null) continue
    const expectation = Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined
    if (expectation !== undefined && !expectation.holds(value)) {
      throw new BadRequest(`${name}: expected ${expectation.says}, got ${kindOf(value)}`, {
        param: name,
        code: 'invalid_type',
      })
    }
    if (Object.hasOwn(REFUSED, name)) throw unsupported(name, REFUSED[name] ?? '')
  }
  if (isPresent(body.n) && body.n !== 1) throw unsupported('n', 'one answer is given: ask n times')
  if (body.stream !== true) return
  if (body.logprobs === true) throw unsupported('logprobs', 'they come with a whole answer only: ask without stream')
  if (Array.isArray(body.modalities) && body.modalities.includes('audio')) {
    throw unsupported('modalities', 'sound comes with a whole answer only: ask without stream')
  }
}

export function unsupported(param: string, problem: string): BadRequest {
  return new BadRequest(`${param}: ${problem}`, { param, code: 'unsupported_parameter' })
}

const LONGEST_MODEL = 256
const MOST_MODELS = 32

export function isModel(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= LONGEST_MODEL
}

function isMetadata(value: unknown): boolean {
  const entries = Object.entries(fields(value) ?? { none: 0 })
  return entries.length <= 16 && entries.every(([key, each]) => isShort(key, 64) && isShort(each, 512))
}

function isShort(value: unknown, most: number): boolean {
  return typeof value === 'string' && value.length <= most
}

function isFew(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.length <= MOST_MODELS
}

function isListOf(value: unknown, fits: (value: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(fits)
}
