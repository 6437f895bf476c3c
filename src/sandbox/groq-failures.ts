import type { FailureDetails } from './script.ts'
import type { Plain } from './vendor.ts'

interface GroqError {
  readonly message: string
  readonly type: string
  readonly code?: string
  readonly param?: string
  readonly failed_generation?: string
}

const SEE = "Please adjust your prompt. See 'failed_generation' for more details."
const UPGRADE = 'Need more tokens? Upgrade to Dev Tier today at https://console.groq.com/settings/billing'

/** The body that Groq sends with a status, or with one of its codes. */
export function failureOfGroq(status: number, details: FailureDetails, model: string): Plain {
  const { code, message, retryAfter } = details
  const seconds = retryAfter ?? (status === 429 ? 2 : undefined)
  const known = (code !== undefined ? byCode(String(code), model) : undefined) ?? byStatus(status, model, seconds ?? 2)
  const error = { ...known, ...(message !== undefined && { message }), ...(typeof code === 'string' && { code }) }
  return {
    status,
    headers: {
      ...(seconds !== undefined && { 'retry-after': String(seconds) }),
      'x-request-id': 'req_sandbox',
      ...details.headers,
    },
    body: details.body ?? { error },
  }
}

function byCode(code: string, model: string): GroqError | undefined {
  const type = 'invalid_request_error'
  switch (code) {
    case 'model_decommissioned':
      return {
        message: `The model \`${model}\` has been decommissioned and is no longer supported. Please refer to https://console.groq.com/docs/deprecations for a recommendation on which model to use instead.`,
        type,
        code,
      }
    case 'json_validate_failed':
      return { message: `Failed to generate JSON. ${SEE}`, type, code, failed_generation: '' }
    case 'tool_use_failed':
      return { message: `Failed to call a function. ${SEE}`, type, code, failed_generation: 'maybe' }
    case 'output_parse_failed':
      return {
        message: `Parsing failed. The model generated output that could not be parsed. ${SEE}`,
        type,
        code,
        failed_generation: '',
      }
    case 'context_length_exceeded':
      return { message: 'Please reduce the length of the messages or completion.', type, param: 'messages', code }
    case 'spend_limit_reached':
    case 'blocked_api_access':
      return {
        message:
          'Organization has blocked API access because a spend alert threshold was met. Please visit https://console.groq.com/settings/billing to manage your spend alerts.',
        type,
        code,
      }
    default:
      return undefined
  }
}

function byStatus(status: number, model: string, seconds: number): GroqError {
  const invalid = 'invalid_request_error'
  const internal = 'internal_server_error'
  const where = `for model \`${model}\` in organization \`org_sandbox\` service tier \`on_demand\` on`
  switch (status) {
    case 400:
      return { message: 'The request is invalid.', type: invalid }
    case 401:
      return { message: 'Invalid API Key', type: invalid, code: 'invalid_api_key' }
    case 403:
      return { message: 'Access denied. Please check your network settings.', type: 'permissions_error' }
    case 404:
      return {
        message: `The model \`${model}\` does not exist or you do not have access to it.`,
        type: invalid,
        code: 'model_not_found',
      }
    case 413:
      return {
        message: `Request too large ${where} tokens per minute (TPM): Limit 8000, Requested 9100, please reduce your message size and try again. ${UPGRADE}`,
        type: 'tokens',
        code: 'rate_limit_exceeded',
      }
    case 429:
      return {
        message: `Rate limit reached ${where} requests per minute (RPM): Limit 30, Used 30, Requested 1. Please try again in ${seconds}s. ${UPGRADE}`,
        type: 'requests',
        code: 'rate_limit_exceeded',
      }
    case 498:
      return { message: 'Flex Tier Capacity Exceeded', type: 'capacity', code: 'capacity_exceeded' }
    case 503:
      return {
        message: `${model} is currently over capacity. Please try again and back off exponentially. Visit https://groqstatus.com to see if there is an active incident.`,
        type: internal,
      }
    default:
      return {
        message: status >= 500 ? 'Internal Server Error' : 'The request failed.',
        type: status >= 500 ? internal : invalid,
      }
  }
}
