import fc from 'fast-check'
import type { ChatRequest } from '../../src/chat.ts'
import type { Target } from '../../src/dialects/dialect.ts'

/** Requests of every kind: typed settings with any value, strangers, and histories that come from anywhere. */

export function target(over: Partial<Target> = {}): Target {
  return {
    wireModel: 'openai/gpt-oss-20b',
    abilities: null,
    hosts: [],
    othersAllowed: true,
    avoided: [],
    session: null,
    data: {},
    ...over,
  }
}

const part = fc.record(
  {
    type: fc.constantFrom('text', 'image_url', 'input_audio', 'file'),
    text: fc.string(),
    cache_control: fc.constant({ type: 'ephemeral', ttl: '1h' }),
    prompt_cache_breakpoint: fc.constant({ mode: 'explicit' }),
  },
  { requiredKeys: ['type'] },
)

const left = {
  content: fc.oneof(fc.string(), fc.constant(null), fc.array(part, { maxLength: 3 })),
  name: fc.option(fc.string()),
  tool_calls: fc.option(
    fc.array(
      fc.record({
        id: fc.string(),
        type: fc.constant('function'),
        function: fc.record({ name: fc.string(), arguments: fc.string() }),
      }),
      { maxLength: 2 },
    ),
  ),
  tool_call_id: fc.option(fc.string()),
  reasoning: fc.option(fc.string()),
  reasoning_content: fc.option(fc.string()),
  reasoning_details: fc.option(fc.array(fc.jsonValue(), { maxLength: 2 })),
  annotations: fc.option(fc.array(fc.jsonValue(), { maxLength: 2 })),
  refusal: fc.option(fc.string()),
  images: fc.option(fc.array(fc.jsonValue(), { maxLength: 1 })),
  audio: fc.option(fc.record({ id: fc.string() })),
  function_call: fc.option(fc.jsonValue()),
  cache_control: fc.constant({ type: 'ephemeral' }),
  model: fc.string(),
  id: fc.string(),
  status: fc.string(),
  metadata: fc.jsonValue(),
  timestamp: fc.nat(),
}

const message = fc
  .tuple(
    fc.constantFrom('system', 'developer', 'user', 'assistant', 'tool'),
    fc.record(left, { requiredKeys: ['content'] }),
    fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 2 }),
  )
  .map(([role, known, strangers]) => ({ ...strangers, ...known, role }))

const effort = fc.constantFrom('none', 'default', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max', 'ultra', null)
const any = fc.option(fc.jsonValue(), { nil: null })

/** Every name in `RequestSettings`, and names that belong to other providers. */
const NAMES = (
  'temperature top_p top_k top_a min_p repetition_penalty frequency_penalty presence_penalty logit_bias logprobs ' +
  'top_logprobs n seed stop user store metadata modalities audio prediction parallel_tool_calls tool_choice tools ' +
  'response_format web_search_options verbosity prompt_cache_key safety_identifier stream stream_options model models ' +
  'provider plugins route transforms session_id trace preset usage include_reasoning cache_control debug image_config ' +
  'documents citation_options search_settings disable_tool_validation functions function_call'
).split(' ')

const settings = fc.record(
  {
    max_tokens: fc.option(fc.nat()),
    max_completion_tokens: fc.option(fc.nat()),
    service_tier: fc.constantFrom(
      'auto',
      'default',
      'flex',
      'scale',
      'priority',
      'fast',
      'on_demand',
      'toString',
      null,
    ),
    reasoning_effort: effort,
    reasoning: fc.option(
      fc.record(
        { effort, max_tokens: fc.nat(), exclude: fc.boolean(), enabled: fc.boolean(), summary: fc.constant('auto') },
        { requiredKeys: [] },
      ),
    ),
    openrouter: fc.record(
      {
        preferences: fc.record({ order: fc.array(fc.string()), zdr: fc.boolean() }, { requiredKeys: [] }),
        plugins: fc.constant([{ id: 'web' }]),
        models: fc.array(fc.string()),
        preset: fc.string(),
        extra: fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 2 }),
      },
      { requiredKeys: [] },
    ),
    groq: fc
      .tuple(
        fc.record(
          {
            reasoning_format: fc.constantFrom('hidden', 'raw', 'parsed'),
            citation_options: fc.constantFrom('enabled', 'disabled'),
            disable_tool_validation: fc.boolean(),
          },
          { requiredKeys: [] },
        ),
        fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 2 }),
      )
      .map(([known, strangers]) => ({ ...strangers, ...known })),
  },
  { requiredKeys: [] },
)

const loose = fc.dictionary(fc.oneof(fc.constantFrom(...NAMES), fc.string()), any, { maxKeys: 12 })

export const anyRequest: fc.Arbitrary<ChatRequest> = fc
  .tuple(loose, settings, fc.array(message, { maxLength: 4 }))
  // Such requests come in over HTTP: no type has seen them.
  .map(([strangers, known, messages]) => ({ ...strangers, ...known, messages }) as unknown as ChatRequest)
