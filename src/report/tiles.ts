import type { TallyRow } from '../tally.ts'
import type { Collection } from './collection.ts'
import { countText, durationText, many, shareText, shortCount, spanText, UNKNOWN, usdText } from './figures.ts'
import { html, type Markup } from './html.ts'

interface Tile {
  readonly id: string
  readonly name: string
  readonly value: string
  readonly number: number | null
  readonly note: string
  readonly tone?: 'good' | 'bad' | 'warn'
}

/** The head figures. */
export function tilesOf(collection: Collection): Markup {
  const tiles = [
    spend(collection),
    calls(collection.total),
    discount(collection.total),
    premium(collection.total),
    failed(collection),
    failovers(collection),
    firstToken(collection.total),
    tokens(collection.total),
  ]
  return html`<section class="tiles" aria-labelledby="in-short"><h2 id="in-short">In short</h2>${tiles.map(tileOf)}</section>`
}

function tileOf({ id, name, value, number, note, tone }: Tile): Markup {
  const long = value.length > 13 ? ' long' : ''
  const figure = tone === undefined ? value : html`<span class="${tone}">${value}</span>`
  return html`<dl><div class="tile" id="${id}"><dt>${name}</dt><dd class="value${long}"><data value="${number === null ? '' : String(number)}">${figure}</data></dd><dd class="note">${note}</dd></div></dl>
`
}

function spend({ total, openCalls }: Collection): Tile {
  const { cost } = total
  const { reported, computed, bounded } = cost.bySource
  const share = cost.low > 0 ? reported.low / cost.low : null
  const sources =
    cost.usd === null
      ? `between ${usdText(cost.low)} and ${usdText(cost.knownHigh)}`
      : computed.parts + bounded.parts === 0 || share === null
        ? 'all of it as billed'
        : `${shareText(share)} as billed, the rest from list prices`
  const unknown = `at least; ${many(openCalls, 'call')} of unknown cost`
  return {
    id: 'spend',
    name: 'Spend',
    value: spanText(cost.low, cost.high),
    number: cost.low,
    note: openCalls > 0 ? unknown : total.calls === 0 ? UNKNOWN : sources,
    ...(openCalls > 0 ? { tone: 'warn' as const } : {}),
  }
}

function calls({ calls: count, ok }: TallyRow): Tile {
  const share = count > 0 ? ok / count : null
  return { id: 'calls', name: 'Calls', value: countText(count), number: count, note: `${shareText(share)} answered` }
}

function discount({ cache }: TallyRow): Tile {
  const { discountUsd, coldUsd, share, known, unknown } = cache
  const read = share === null ? '' : `${shareText(share)} of the prompt was read from caches`
  const saved = coldUsd > 0 && discountUsd > 0 ? `, ${shareText(discountUsd / coldUsd)} of the cold cost` : ''
  return {
    id: 'discount',
    name: discountUsd < 0 ? 'Paid for caches' : 'Saved by caches',
    value: known === 0 ? UNKNOWN : usdText(Math.abs(discountUsd)),
    number: known === 0 ? null : discountUsd,
    note: `${read}${saved}${unknown > 0 ? `; not known of ${many(unknown, 'call')}` : ''}`,
    ...(discountUsd > 0 ? { tone: 'good' as const } : {}),
  }
}

function premium({ premium: { calls: count, low, high, dearer, overpaidUsd } }: TallyRow): Tile {
  return {
    id: 'premium',
    name: low < 0 ? 'Below the cheapest alternative' : 'Above the cheapest alternative',
    value: count === 0 ? UNKNOWN : low < 0 && high !== null && high <= 0 ? spanText(-high, -low) : spanText(low, high),
    number: count === 0 ? null : low,
    note:
      count === 0
        ? 'no call had one'
        : `${many(count, 'call')} had one; ${countText(dearer)} cost more, by ${usdText(overpaidUsd)}`,
  }
}

function failed({ total, troubles }: Collection): Tile {
  const count = total.calls - total.ok
  const [worst] = [...troubles].sort((a, b) => b.lost - a.lost)
  const most = worst === undefined || worst.lost === 0 ? '' : `, most often ${worst.kind}`
  const share = total.calls > 0 ? count / total.calls : null
  return {
    id: 'failures',
    name: 'Calls that failed',
    value: countText(count),
    number: count,
    note: count === 0 ? 'every call was answered' : `${shareText(share)} of all${most}`,
    ...(count > 0 ? { tone: 'bad' as const } : {}),
  }
}

function failovers({ total, rescued }: Collection): Tile {
  const { failovers: count } = total
  return {
    id: 'failovers',
    name: 'Failovers',
    value: countText(count),
    number: count,
    note: `${many(rescued, 'call')} met a failure and ${rescued === 1 ? 'was' : 'were'} answered all the same`,
  }
}

function firstToken({ latency: { firstTokenMs, totalMs } }: TallyRow): Tile {
  return {
    id: 'first-token',
    name: 'First token, half of all calls within',
    value: durationText(firstTokenMs.p50),
    number: firstTokenMs.p50,
    note: `95 % within ${durationText(firstTokenMs.p95)}; whole answer ${durationText(totalMs.p50)}, 95 % ${durationText(totalMs.p95)}`,
  }
}

function tokens({ tokens: { prompt, completion, reasoning } }: TallyRow): Tile {
  const unknown = Math.max(prompt.unknown, completion.unknown)
  const thought = reasoning.sum > 0 ? `, ${shortCount(reasoning.sum)} of it thinking` : ''
  return {
    id: 'tokens',
    name: 'Tokens',
    value: `${shortCount(prompt.sum)} in`,
    number: prompt.sum,
    note: `${shortCount(completion.sum)} out${thought}${unknown > 0 ? `; not known of ${many(unknown, 'attempt')}` : ''}`,
  }
}
