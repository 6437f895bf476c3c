import type { OpenAIError } from '../openai-error.ts'

/** What is wrong with a request, before the router is asked. It is caught at the door and answered. */
export class BadRequest extends Error {
  override readonly name = 'BadRequest'
  readonly status: number
  readonly error: OpenAIError
  readonly headers: Readonly<Record<string, string>>

  constructor(
    message: string,
    parts: {
      readonly status?: number
      readonly param?: string | null
      readonly code?: string
      readonly headers?: Readonly<Record<string, string>>
    } = {},
  ) {
    super(message)
    const { status = 400, param = null, code = 'invalid_value', headers = NONE } = parts
    this.status = status
    this.error = { message, type: status < 500 ? 'invalid_request_error' : 'server_error', param, code }
    this.headers = headers
  }
}

const NONE = Object.freeze({})
