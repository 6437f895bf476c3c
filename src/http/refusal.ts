/** An answer that no model was asked for. */
export interface PlainAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** In the shape of OpenAI's errors. */
export function createRefusal(
  status: number,
  code: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): PlainAnswer {
  const type = status < 500 ? 'invalid_request_error' : 'server_error'
  const body = JSON.stringify({ error: { message, type, param: null, code } })
  return Object.freeze({ status, body, headers: Object.freeze({ 'content-type': 'application/json', ...headers }) })
}

/** The same where OpenRouter's own clients ask: they take an error for one only when its code is a number. */
export function refusalAt(path: string, refusal: PlainAnswer): PlainAnswer {
  if (refusal.status < 400 || !path.includes('/api/v1/')) return refusal
  const { message, ...metadata } = JSON.parse(refusal.body).error
  return { ...refusal, body: JSON.stringify({ error: { code: refusal.status, message, metadata } }) }
}
