import type { Answer } from './answer.ts'
import type { Offer } from './catalog.ts'
import type { ChatRequest } from './chat.ts'
import type { Bill } from './cost.ts'
import { type Billed, type Failure, VERDICTS } from './failure.ts'
import { count, type Fields, isPresent, list } from './fields.ts'
import { fromUsd, type Interval } from './money.ts'
import { askedOf } from './tariffs.ts'
import { type AttemptRecord, atLeast, type BillNotes, NO_NOTES, type Phase } from './usage.ts'
import type { Way } from './way.ts'

/** Whether an attempt was charged for; where nobody says, by what went wrong and how far it had come. */
export function billing(
  failed: Failure,
  about: { answer: Answer | null; status: number | null; phase: Phase; insured: boolean; said: boolean },
): AttemptRecord['billed'] {
  const { answer, status, phase, insured, said } = about
  if (phase === 'connecting') return 'no'
  if (answer?.reportedUsd != null) return 'yes'
  // Nothing said, and no reason to finish: whoever insures that charges for none of it, the prompt included.
  if (insured && failed.kind === 'empty' && atLeast(answer?.tokens.completion) === 0) return 'no'
  // An answer that says what it used was paid for, whatever is wrong with it.
  if (answer?.tokens.completion != null) return insured && failed.kind === 'server-error' ? 'maybe' : 'yes'
  // An error status instead of an answer: both providers charge for none of them.
  if (answer === null && status !== null && (status < 200 || status >= 300)) {
    return failed.kind === 'bad-output' ? 'maybe' : 'no'
  }
  const { billed } = VERDICTS[failed.kind]
  // An error in the middle of an answer: tokens were made for it.
  return billed === 'no' && answer !== null && said && !insured ? 'maybe' : billed
}

/** Who must have answered, if anybody did. */
function onlyHost({ step }: Way): string | null {
  return step.hosts.length === 1 && !step.othersAllowed ? step.host : null
}

export const NOTHING_KNOWN = Object.freeze({ promptTokens: null, completionTokens: null })
const NOTHING_BESIDES: Interval = Object.freeze({ low: 0, high: 0 })

/** Whose prices may have held for an attempt, and what may have been charged for besides tokens. */
export function pricesOf(about: {
  readonly way: Way
  readonly answer: Answer | null
  readonly body: Fields
  readonly isCapped: boolean
  readonly billed: Billed
}): Pick<Bill, 'tariff' | 'others' | 'atMost' | 'dearest' | 'besides' | 'fee' | 'media' | 'mayKeepAnHour'> {
  const { way, answer, body, isCapped, billed } = about
  const { offer, provider, step } = way
  const { dialect } = provider
  const notes = answer?.notes ?? NO_NOTES
  const host = answer?.host ?? onlyHost(way)
  // One that broke off before it said so may have been served at the tier that was asked for.
  const isUnsaid = answer === null && asksForMore(body)
  const asked = askedOf(offer, { host, tier: notes.tier, aggregated: dialect.supports.hosts })
  const [tariff = null, ...others] = asked.tariffs
  const isOther = mayBeOther(body, { served: answer?.model ?? null, wireModel: step.wireModel })
  const { media } = notes
  const heard = hasSound(body) ? null : 0
  return {
    tariff: isOther ? null : tariff,
    others,
    // Told the most that it may cost, nobody dearer serves: but somebody cheaper may.
    atMost: asked.sure !== 'exact',
    dearest: asked.sure === 'open' ? isCapped && notes.tier === null && !isUnsaid : !isUnsaid,
    // Nothing is done besides an answer that never began.
    besides: answer === null && billed === 'no' ? NOTHING_BESIDES : besidesOf(notes, body),
    fee: notes.feeUsd === null ? null : fromUsd(notes.feeUsd),
    media: {
      audioPrompt: media?.audioPrompt ?? heard,
      audioCompletion: media?.audioCompletion ?? null,
      imageCompletion: media?.imageCompletion ?? null,
    },
    mayKeepAnHour: atLeast(answer?.tokens.cacheWrite) > 0 && tariff?.hourly === true && keepsAnHour(body),
  }
}

/** A faster tier, at a price of its own; `:nitro` lets those compete with the usual one. */
function asksForMore({ service_tier: tier, model }: Fields): boolean {
  return tier === 'priority' || tier === 'fast' || (typeof model === 'string' && model.includes(':nitro'))
}

/** Another model than the one with these prices may have answered, as the aggregator was told to fall back on it. */
function mayBeOther(body: Fields, about: { readonly served: string | null; readonly wireModel: string }): boolean {
  const { served, wireModel } = about
  if (!Array.isArray(body.models) || body.models.length === 0) return false
  // A dated slug is the same model.
  return served === null || (served !== wireModel && !/^-(\d{4}|\d{8})\b/.test(rest(served, wireModel)))
}

function rest(name: string, start: string): string {
  return name.startsWith(start) ? name.slice(start.length) : name
}

/** Searches and files that are read cost what no price list of tokens says. */
function besidesOf({ besidesUsd, searches }: BillNotes, body: Fields): Interval {
  if (besidesUsd !== null) return { low: fromUsd(besidesUsd), high: fromUsd(besidesUsd) }
  return searches === 0 || !mayDoMore(body) ? NOTHING_BESIDES : { low: 0, high: null }
}

/** Plugins that cost nothing but the tokens they spend. */
const FREE_PLUGINS = new Set(['response-healing', 'context-compression', 'moderation', 'auto-router', 'pareto-router'])

/** Whether the request lets somebody do more than answer: search, read files, run tools of the provider. */
function mayDoMore(body: Fields): boolean {
  const { model } = body
  if (isPresent(body.preset) || isPresent(body.web_search_options)) return true
  if (typeof model === 'string' && (model.includes(':online') || model.includes('@preset/'))) return true
  if (list(body.plugins).some(({ id, enabled }) => enabled !== false && !FREE_PLUGINS.has(String(id)))) return true
  if (list(body.tools).some(({ type }) => isPresent(type) && type !== 'function')) return true
  return hasPart(body, 'file')
}

function hasPart(body: Fields, kind: string): boolean {
  return list(body.messages).some(({ content }) => list(content).some(({ type }) => type === kind))
}

function hasSound(body: Fields): boolean {
  return hasPart(body, 'input_audio') || hasPart(body, 'video_url')
}

function keepsAnHour(body: Fields): boolean {
  // In a text its quotation marks would be escaped.
  return JSON.stringify(body).includes('"ttl":"1h"')
}

/** A token is a byte at the least, and nobody reads more than fits: not the picture either that becomes many tokens. */
export function mostPrompt(bytes: number | null, body: Fields, offer: Offer): number | null {
  // Whoever searches reads what is found as well, and answers in several steps.
  if (mayDoMore(body)) return null
  const room = [offer, ...offer.hosts].reduce((most, { context }) => Math.max(most, atLeast(context)), 0)
  if (room === 0) return bytes
  return bytes === null ? room : Math.min(bytes, room)
}

export function mostCompletion(request: ChatRequest, { n }: Fields, { offer, provider }: Way): number | null {
  const asked = request.max_completion_tokens ?? request.max_tokens ?? null
  const own = offer.maxOutput ?? offer.context
  // What an aggregator lists is one host's limit; another may allow more.
  const most = asked === null || (own !== null && !provider.dialect.supports.hosts) ? least(asked, own) : asked
  return most === null ? null : most * Math.max(1, count(n) ?? 1)
}

function least(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.min(one, other)
}
