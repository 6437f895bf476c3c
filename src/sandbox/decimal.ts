/**
 * Money as whole femto-dollars (1e-15 USD) in a BigInt. This is the sandbox's own arithmetic on purpose: its bill is
 * there to check the library's.
 */
export type Femto = bigint

const USD = 10n ** 15n

/** What one token costs, from a price per million tokens. Prices have at most nine decimals; the rest is float noise. */
export function perToken(perMillion: number): Femto {
  return scaled(perMillion, 9)
}

export function femto(usd: number): Femto {
  return scaled(usd, 15)
}

/** The exact decimal, without an exponent and without trailing zeros. */
export function decimal(amount: Femto): string {
  const sign = amount < 0n ? '-' : ''
  const absolute = amount < 0n ? -amount : amount
  const fraction = (absolute % USD).toString().padStart(15, '0').replace(/0+$/, '')
  return `${sign}${absolute / USD}${fraction === '' ? '' : `.${fraction}`}`
}

/** The number nearest to the exact decimal, for JSON. */
export function number(amount: Femto): number {
  return Number(decimal(amount))
}

function scaled(value: number, digits: number): bigint {
  return BigInt(value.toFixed(digits).replace('.', ''))
}
