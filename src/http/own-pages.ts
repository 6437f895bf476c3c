import { ConfigError } from '../errors.ts'
import type { LedgerBy, LedgerSummary } from '../ledger.ts'
import type { Router } from '../router.ts'
import { createRefusal, type PlainAnswer } from './refusal.ts'

/** What the server answers from the router's books, without asking any model. */
export interface OwnPages {
  /** By the path as it came; `null`: there is none. */
  at(path: string): ((query: string) => Promise<PlainAnswer>) | null
}

export function createOwnPages(router: Pick<Router, 'ledger'>): OwnPages {
  function sums(query: string): PlainAnswer {
    const since = new URLSearchParams(query).get('since')
    const by = (what: LedgerBy): LedgerSummary => router.ledger.summary({ by: what, ...(since !== null && { since }) })
    try {
      const { from, total, rows } = by('task')
      return page(
        'application/json',
        JSON.stringify({ from, total, task: rows, model: by('model').rows, provider: by('provider').rows }),
      )
    } catch (error) {
      if (!ConfigError.is(error)) throw error
      return createRefusal(400, 'invalid_since', 'since is an ISO time, as in ?since=2026-11-08T00:00:00Z')
    }
  }

  /** Loaded by who looks at it: the drawings are half of the package. */
  async function drawings(): Promise<PlainAnswer> {
    const { reportOf } = await import('../report/report.ts')
    return page('text/html; charset=utf-8', await reportOf(router.ledger.records))
  }

  return {
    at(path) {
      if (path === '/usage') return async (query) => sums(query)
      return path === '/usage.html' ? drawings : null
    },
  }
}

/** Figures of a business: kept by no cache, framed and read by no other page. */
const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

function page(type: string, body: string): PlainAnswer {
  return { status: 200, body, headers: { 'content-type': type, ...HEADERS } }
}
