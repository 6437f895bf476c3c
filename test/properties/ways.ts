import { compatible, type Provider } from 'modelfirst'
import type { Offer } from '../../src/catalog.ts'
import type { Step } from '../../src/plan.ts'
import type { Way } from '../../src/way.ts'

export function stepOf(provider: string, model: string, high: number | null = 0): Step {
  return {
    model,
    provider,
    host: null,
    hosts: [],
    othersAllowed: true,
    wireModel: model,
    because: ['named'],
    estimate: { usd: { low: 0, high }, cachedTokens: 0 },
  }
}

const accounts = new Map<string, Provider>()

function accountOf(name: string): Provider {
  const known = accounts.get(name)
  if (known !== undefined) return known
  const made = compatible({ name, baseURL: 'http://localhost/v1' })
  accounts.set(name, made)
  return made
}

/** A way of which little is known but its name. */
export function wayTo(
  provider: string,
  model: string,
  known: { context?: number | null; high?: number | null } = {},
): Way {
  const offer: Offer = {
    model,
    provider,
    host: null,
    wireModel: model,
    context: known.context ?? null,
    maxOutput: null,
    tariff: null,
    prices: null,
    priceSource: 'unknown',
    priceDate: null,
    abilities: null,
    input: null,
    parameters: null,
    retires: null,
    successor: null,
    hostName: null,
    hosts: [],
  }
  return {
    step: stepOf(provider, model, known.high === undefined ? 0 : known.high),
    offer,
    provider: accountOf(provider),
    settings: undefined,
    ranked: { offer, because: ['named'], hosts: [], othersAllowed: true, avoided: [] },
  }
}
