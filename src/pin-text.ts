import type { Pin, WarmPlace } from './pin.ts'

/**
 * A pin as a store keeps it: a short list with its version in front. Another version, somebody else's value, or half of
 * one is no pin; the next answer writes over it.
 */
const VERSION = 1
const LONGEST = 1000
const LONGEST_NAME = 256

export function pinText({ home, standIn, misses, at, promptTokens, scale, history, balance }: Pin): string {
  const warm = ({ model, provider, host, until, tokens }: WarmPlace) => [model, provider, host, until - at, tokens]
  const { turns, gapMs, growth, completionTokens, share } = history
  const numbers = [misses, promptTokens, scale, turns, gapMs, growth, completionTokens, share].map(short)
  const { saved, paid, unknown, told } = balance
  return JSON.stringify([
    VERSION,
    at,
    warm(home),
    standIn === null ? null : warm(standIn),
    numbers,
    [saved, paid, unknown, told ? 1 : 0],
  ])
}

/** Four digits say enough of what is smoothed or estimated. */
function short(value: number | null): number | null {
  return value === null || Number.isInteger(value) ? value : Number(value.toPrecision(4))
}

export function pinOf(text: string | null): Pin | null {
  if (text === null || text.length > LONGEST) return null
  const [version, at, home, standIn, ...rest] = listOf(text)
  if (version !== VERSION || !isCount(at)) return null
  const there = warmOf(home, at)
  const [numbers, balance] = rest.map(numbersOf)
  const [misses, promptTokens, scale, turns, gapMs, growth, completionTokens, share] = numbers ?? []
  const [saved, paid, unknown, told = null] = balance ?? []
  if (there === null || !isCount(scale) || !isCount(turns) || !isCount(saved) || !isCount(paid) || !isCount(unknown)) {
    return null
  }
  return {
    home: there,
    standIn: warmOf(standIn, at),
    misses: countOf(misses) ?? 0,
    at,
    promptTokens: countOf(promptTokens),
    scale,
    history: {
      turns,
      gapMs: countOf(gapMs),
      growth: growth ?? null,
      completionTokens: countOf(completionTokens),
      share: countOf(share),
    },
    balance: { saved, paid, unknown, told: told === 1 },
  }
}

function listOf(text: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? value : []
  } catch {
    return []
  }
}

function warmOf(value: unknown, at: number): WarmPlace | null {
  if (!Array.isArray(value)) return null
  const [model, provider, host, forMs, tokens]: readonly unknown[] = value
  if (!isName(model) || !isName(provider) || !(host === null || isName(host)) || !isCount(forMs) || !isCount(tokens)) {
    return null
  }
  return { model, provider, host, until: at + forMs, tokens }
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= LONGEST_NAME
}

function isCount(value: unknown): value is number {
  return isNumber(value) && value >= 0
}

/** Whatever is no number that can be counted with is unknown. */
function numbersOf(value: unknown): readonly (number | null)[] {
  return Array.isArray(value) ? value.map((each: unknown) => (isNumber(each) ? each : null)) : []
}

function countOf(value: unknown): number | null {
  return isCount(value) ? value : null
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}
