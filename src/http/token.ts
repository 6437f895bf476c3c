/** As much of `node:crypto` as is used. */
type Crypto = Pick<typeof import('node:crypto'), 'createHmac' | 'randomBytes' | 'timingSafeEqual'>

/** Whether a header of a request holds one of the tokens. */
export interface TokenCheck {
  /** There is none: everybody may. */
  readonly open: boolean
  /** `Bearer` and a token. */
  isRight(authorization: string | undefined): boolean
  /** The same, or a token as the password of a form that a browser shows. */
  isRightInBrowser(authorization: string | undefined): boolean
}

/**
 * What is compared are keyed hashes, each with each: how long it takes tells neither how much of a token was right, nor
 * how long it is, nor which one it was.
 */
export function createTokenCheck(tokens: readonly string[], crypto: Crypto): TokenCheck {
  const key = crypto.randomBytes(32)
  const digestOf = (text: string) => crypto.createHmac('sha256', key).update(text).digest()
  const digests = tokens.map(digestOf)
  const open = digests.length === 0
  const isOneOf = (token: string): boolean => {
    const given = digestOf(token)
    let right = false
    for (const digest of digests) right = crypto.timingSafeEqual(digest, given) || right
    return right
  }
  const isRight = (authorization: string | undefined): boolean => {
    if (open) return true
    const token = behind('bearer ', authorization)
    return token !== null && isOneOf(token)
  }
  return {
    open,
    isRight,
    isRightInBrowser(authorization) {
      if (isRight(authorization)) return true
      const credentials = decoded(behind('basic ', authorization))
      const colon = credentials.indexOf(':')
      return colon !== -1 && isOneOf(credentials.slice(colon + 1))
    },
  }
}

/** Schemes have no case, and there may be more spaces than one. */
function behind(scheme: string, authorization: string | undefined): string | null {
  if (authorization === undefined || authorization.slice(0, scheme.length).toLowerCase() !== scheme) return null
  return authorization.slice(scheme.length).trim()
}

function decoded(base64: string | null): string {
  try {
    return base64 === null ? '' : atob(base64)
  } catch {
    return ''
  }
}
