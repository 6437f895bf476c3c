import type { Host } from './hosts.ts'
import type { NoHost } from './routing.ts'
import type { FailureDetails } from './script.ts'
import type { Plain } from './vendor.ts'

const USER = 'user_sandbox'

/** The body that OpenRouter sends with a status. */
export function failureOfOpenRouter(status: number, details: FailureDetails, model: string): Plain {
  const { code, message, retryAfter } = details
  const known = byStatus(status, model)
  const error = {
    message: message ?? known.message,
    code: typeof code === 'number' ? code : status,
    ...(known.metadata && {
      metadata: typeof code === 'string' ? { ...known.metadata, error_type: code } : known.metadata,
    }),
    ...(known.metadata === undefined && typeof code === 'string' && { metadata: { error_type: code } }),
  }
  return {
    status,
    headers: { ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }), ...details.headers },
    body: details.body ?? (status === 401 ? { error } : { error, user_id: USER }),
  }
}

/** A refusal of OpenRouter itself, with what it says about it. */
export function refuse(status: number, message: string, more: object = {}): Plain {
  return { status, body: { error: { message, code: status, ...more }, user_id: USER } }
}

function byStatus(status: number, model: string): { readonly message: string; readonly metadata?: object } {
  const returned = 'Provider returned error'
  switch (status) {
    case 400:
      return {
        message: returned,
        metadata: {
          raw: JSON.stringify({ error: { message: 'Invalid request.', type: 'invalid_request_error' } }),
          provider_name: 'DeepInfra',
        },
      }
    case 401:
      return { message: 'User not found.' }
    case 402:
      return {
        message:
          'This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only afford 3395. To increase, visit https://openrouter.ai/settings/credits and upgrade to a paid account',
        metadata: { provider_name: null },
      }
    case 403:
      return {
        message: `${model} requires moderation on DeepInfra. Your input was flagged for "violence". No credits were charged.`,
        metadata: { reasons: ['violence'], flagged_input: '...', provider_name: 'DeepInfra', model_slug: model },
      }
    case 404:
      return { message: `No endpoints found for ${model}.` }
    case 408:
      return { message: 'Request timed out' }
    case 413:
      return { message: 'Request Entity Too Large' }
    case 429:
      return {
        message: returned,
        metadata: {
          raw: `${model} is temporarily rate-limited upstream. Please retry shortly, or add your own key to accumulate your rate limits: https://openrouter.ai/settings/integrations`,
          provider_name: 'DeepInfra',
        },
      }
    case 500:
      return { message: 'Internal Server Error' }
    case 502:
    case 503:
      return {
        message: returned,
        metadata: {
          raw: { error: { type: 'Service Unavailable', message: 'No available workers' } },
          provider_name: 'DeepInfra',
          is_byok: false,
        },
      }
    case 524:
      return { message: 'Edge network timeout' }
    case 529:
      return { message: 'Provider overloaded', metadata: { provider_name: 'DeepInfra' } }
    default:
      return { message: returned }
  }
}

export function noHost(none: NoHost, model: string): Plain {
  return refuse(404, none.message, {
    ...(none.metadata && { metadata: none.metadata }),
    availability: {
      code: none.availability,
      retryable: false,
      requested_models: [model],
      ...(none.excludedBy !== undefined && { excluded_by: [none.excludedBy] }),
      docs_url: 'https://openrouter.ai/docs/guides/routing/provider-selection',
    },
  })
}

export function tooLong(context: number, prompt: number, output: number | undefined): Plain {
  const parts = output === undefined ? '' : `, ${output} in the output`
  const message = `This endpoint's maximum context length is ${context} tokens. However, you requested about ${prompt + (output ?? 0)} tokens (${prompt} of text input${parts}). Please reduce the length of either one, or use the context-compression plugin to compress your prompt automatically.`
  return refuse(400, message, { metadata: { provider_name: null } })
}

export function allDown(hosts: readonly Host[]): Plain {
  const last = hosts.at(-1)
  return refuse(503, 'Provider returned error', {
    metadata: {
      raw: { error: { type: 'Service Unavailable', message: 'No available workers' } },
      provider_name: last?.name ?? null,
      is_byok: false,
      previous_errors: hosts.slice(0, -1).map((host) => ({ provider: host.name, code: 503, status: 503 })),
    },
  })
}
