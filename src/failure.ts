/**
 * Every way a call can fail, and the one table that says what follows from each. The kind says what happened;
 * what to do about it stands in the table and nowhere else.
 */
export const FAILURE_KINDS = [
  // the account
  'rate-limited',
  'too-large-for-limit',
  'quota-exhausted',
  'out-of-credit',
  // the door
  'unauthorized',
  'forbidden',
  'model-gone',
  'no-offer',
  'policy-refused',
  // the request
  'invalid-request',
  'context-too-long',
  'refused',
  // the provider
  'overloaded',
  'server-error',
  'unreachable',
  'timed-out',
  'redirected',
  // the answer on its way
  'stalled',
  'cut-off',
  'bad-response',
  'empty',
  // the answer itself
  'bad-output',
  'below-bar',
  // us
  'out-of-budget',
  'canceled',
] as const

export type FailureKind = (typeof FAILURE_KINDS)[number]

export type Billed = 'yes' | 'no' | 'maybe'

/** What follows from a failure. */
export interface Verdict {
  /**
   * Whether the same offer may be asked again, once: `first`, before going on, since another answer is likely at once;
   * or `last`, after a pause, when there is no other way open.
   */
  readonly retry: 'no' | 'first' | 'last'
  /** Where to go next: any further step, only one at another provider or with another model, or nowhere. */
  readonly next: 'step' | 'provider' | 'model' | 'nowhere'
  /** Whose health it counts against: `model` is one model at one account; a `gate` closes for a while and is no illness. */
  readonly blame: 'offer' | 'gate' | 'account' | 'model' | 'nobody'
  /** Whether the provider charges for the attempt when it says nothing about it. */
  readonly billed: Billed
  /**
   * What becomes of a session that is at home there when another has answered in its place: it comes back while its
   * cache is warm (`stays`), or it lives with the other from now on (`goes`), since waiting would not mend it.
   */
  readonly pin: 'stays' | 'goes'
  /** What happened, in words for an error message. */
  readonly says: string
  /** What the reader can do about it. */
  readonly advice: string
}

function verdict(
  retry: Verdict['retry'],
  next: Verdict['next'],
  blame: Verdict['blame'],
  billed: Billed,
  pin: Verdict['pin'],
  says: string,
  advice: string,
): Verdict {
  return Object.freeze({ retry, next, blame, billed, pin, says, advice })
}

// biome-ignore format: a table is read by its columns
export const VERDICTS: Readonly<Record<FailureKind, Verdict>> = Object.freeze({
  //                             retry    next        blame      billed   pin
  'rate-limited':        verdict('last',  'step',     'gate',    'no',    'stays', 'the rate limit was reached', 'wait, or add another provider for the model'),
  'too-large-for-limit': verdict('no',    'step',     'nobody',  'no',    'goes',  'the request is larger than the rate limit allows', 'lower max_tokens or shorten the messages'),
  'quota-exhausted':     verdict('no',    'step',     'gate',    'no',    'goes',  'the quota is used up', 'wait for its reset or raise it'),
  'out-of-credit':       verdict('no',    'provider', 'account', 'no',    'goes',  'the account has no credit left for this request', 'add credit or lower max_tokens'),
  'unauthorized':        verdict('no',    'provider', 'account', 'no',    'goes',  'the key was refused', 'check the API key'),
  'forbidden':           verdict('no',    'step',     'model',   'no',    'goes',  'the provider denied access', 'check the account, its region and its permissions'),
  'model-gone':          verdict('no',    'step',     'model',   'no',    'goes',  'the model is not there any more', 'name its successor in the policy'),
  'no-offer':            verdict('no',    'step',     'nobody',  'no',    'goes',  'nobody offers the model under these conditions', 'widen the policy or name another model'),
  'policy-refused':      verdict('no',    'step',     'nobody',  'no',    'goes',  'no host satisfies the data policy', 'name a model that a permitted host serves'),
  'invalid-request':     verdict('no',    'nowhere',  'nobody',  'no',    'stays', 'the request was refused as invalid', 'correct the request'),
  'context-too-long':    verdict('no',    'model',    'nobody',  'no',    'goes',  'the messages do not fit the context', 'shorten them or name a model with a larger context'),
  'refused':             verdict('no',    'nowhere',  'nobody',  'maybe', 'stays', 'the content was refused', 'change the request, or allow a fallback for refusals'),
  'overloaded':          verdict('last',  'step',     'offer',   'no',    'stays', 'the provider is over capacity', 'try again later or add another provider'),
  'server-error':        verdict('last',  'step',     'offer',   'no',    'stays', 'the provider failed', 'try again later or add another provider'),
  'unreachable':         verdict('last',  'step',     'offer',   'maybe', 'stays', 'the provider could not be reached', 'check the network and the base URL'),
  'timed-out':           verdict('no',    'step',     'offer',   'maybe', 'stays', 'no answer came in time', 'raise limits.timeoutMs or add another provider'),
  'redirected':          verdict('no',    'nowhere',  'nobody',  'no',    'goes',  'the endpoint answered with a redirect, which is never followed', 'correct the base URL'),
  'stalled':             verdict('no',    'step',     'offer',   'maybe', 'stays', 'the answer stopped coming', 'raise limits.idleMs or add another provider'),
  'cut-off':             verdict('last',  'step',     'offer',   'maybe', 'stays', 'the connection ended before the answer was whole', 'try again'),
  'bad-response':        verdict('no',    'step',     'offer',   'maybe', 'stays', 'the answer could not be understood', 'check the base URL; if it is right, the provider is at fault'),
  'empty':               verdict('last',  'step',     'offer',   'maybe', 'stays', 'the answer was empty', 'try again'),
  'bad-output':          verdict('first', 'model',    'nobody',  'maybe', 'stays', 'the answer does not have the shape that was asked for', 'name a more capable model or relax the schema'),
  'below-bar':           verdict('no',    'model',    'nobody',  'yes',   'stays', 'the answer was not accepted', 'name a more capable model'),
  'out-of-budget':       verdict('no',    'nowhere',  'nobody',  'no',    'stays', 'the budget does not allow another attempt', 'raise the limits'),
  'canceled':            verdict('no',    'nowhere',  'nobody',  'maybe', 'stays', 'the caller gave up', ''),
})

/** What went wrong with one attempt. */
export interface Failure {
  readonly kind: FailureKind
  /** The HTTP status, or the one a provider put into a 200. */
  readonly status: number | null
  /** The provider's own code, when it gave one. */
  readonly code: string | null
  /** The provider's own words: quoted only after redaction. */
  readonly detail: string | null
  /** How long the provider asks to wait. */
  readonly retryAfterMs: number | null
  /** How far a limit reaches: over this model alone, or over all that the account asks for. */
  readonly scope: 'model' | 'account'
}

export function failure(kind: FailureKind, parts: Partial<Omit<Failure, 'kind'>> = {}): Failure {
  return {
    kind,
    status: parts.status ?? null,
    code: parts.code ?? null,
    detail: parts.detail ?? null,
    retryAfterMs: parts.retryAfterMs ?? null,
    scope: parts.scope ?? 'model',
  }
}

/** What an HTTP status says where no code says more. */
export function kindOfStatus(status: number): FailureKind {
  if (status >= 300 && status < 400) return 'redirected'
  switch (status) {
    case 401:
      return 'unauthorized'
    case 402:
      return 'out-of-credit'
    case 403:
      return 'forbidden'
    case 404:
    case 410:
      return 'model-gone'
    case 408:
    case 504:
    case 524:
      return 'timed-out'
    case 409:
    case 424:
    case 499:
      return 'server-error'
    // A proxy on the way there wants to know who asks.
    case 407:
      return 'unreachable'
    case 429:
      return 'rate-limited'
    case 498:
    case 503:
    case 529:
      return 'overloaded'
  }
  if (status >= 500) return 'server-error'
  if (status >= 400) return 'invalid-request'
  return 'bad-response'
}
