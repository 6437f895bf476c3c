import type { Tokens } from './charge.ts'
import { decimal, type Femto } from './decimal.ts'

export interface BillLine {
  readonly provider: 'groq' | 'openrouter'
  readonly model: string
  /** The slug of who ran it. */
  readonly host: string
  readonly generationId: string
  /** Exact, as a decimal. */
  readonly usd: string
  /** What caching saved (positive) or cost (negative); exact, as a decimal. */
  readonly discountUsd: string
  readonly tokens: Tokens
  /** Why it costs what it costs. */
  readonly why: string
}

/** What everything really cost, by the providers' own rules. */
export interface Bill {
  /** Exact, as a decimal. */
  readonly usd: string
  readonly lines: readonly BillLine[]
}

export interface Billing {
  readonly line: Omit<BillLine, 'usd' | 'discountUsd'>
  readonly amount: Femto
  readonly discount: Femto
}

export interface Till {
  add(billing: Billing): void
  bill(): Bill
  clear(): void
}

/** Sums what is owed. The sum is over everything, the lines are the newest. */
export function createTill(keep: number): Till {
  let total = 0n
  let lines: Billing[] = []
  return {
    add(billing) {
      total += billing.amount
      lines.push(billing)
      // Cut in large pieces: taking one off the front of a long list each time would cost more than the request.
      if (lines.length > keep * 1.25) lines = lines.slice(-keep)
    },
    bill: () =>
      Object.freeze({
        usd: decimal(total),
        lines: Object.freeze(
          lines
            .slice(-keep)
            .map(({ line, amount, discount }) =>
              Object.freeze({ ...line, usd: decimal(amount), discountUsd: decimal(discount) }),
            ),
        ),
      }),
    clear() {
      total = 0n
      lines = []
    },
  }
}
