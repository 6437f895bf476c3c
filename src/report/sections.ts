import type { TallyRow } from '../tally.ts'
import { barsOf } from './bars.ts'
import type { Collection } from './collection.ts'
import { drawnRange, drawnShare, drawnSpan } from './drawings.ts'
import { countText, durationText, many, shareText, spanText, UNKNOWN, usdText } from './figures.ts'
import { html, type Markup } from './html.ts'
import { DIMENSIONS, type Dimension, type Group, OTHERS } from './lots.ts'
import { type Cell, tableOf } from './table.ts'

/** As many as somebody reads; the page says how many more there are. */
const MOST_ROWS = 60

const TITLES: Readonly<Record<Dimension, string>> = { task: 'Task', model: 'Model', provider: 'Provider', host: 'Host' }

function section(id: string, title: string, body: Markup | readonly Markup[]): Markup {
  return html`<section aria-labelledby="${id}"><h2 id="${id}">${title}</h2>${body}</section>
`
}

export function spendSection({ groups, series, total }: Collection): Markup {
  return section('spend-over-time', 'Spend over time', [
    html`<fieldset><legend>By</legend>${DIMENSIONS.map((dimension) => {
      const checked = dimension === 'task' ? html` checked` : null
      return html`<input type="radio" name="by" id="by-${dimension}"${checked}><label for="by-${dimension}">${TITLES[dimension]}</label>`
    })}</fieldset>`,
    ...DIMENSIONS.map((dimension) => {
      const drawn = series[dimension]
      const title = `Spend by ${dimension}`
      return html`<div class="panel by-${dimension}"><h3>By ${dimension}</h3>${drawn === null ? null : barsOf(drawn, OTHERS, `${title} over time`)}${groupTable(
        { dimension, rows: groups[dimension], total },
      )}</div>`
    }),
  ])
}

function groupTable({
  dimension,
  rows,
  total,
}: {
  dimension: Dimension
  rows: readonly Group[]
  total: TallyRow
}): Markup {
  const cellsOf = (name: string, row: TallyRow): readonly Cell[] => [
    { text: name },
    count(row.calls),
    count(row.attempts.count),
    costCell(row),
    { text: shareText(total.cost.low > 0 ? row.cost.low / total.cost.low : null), value: row.cost.low },
    discountCell(row),
    { text: shareText(row.cache.share), value: row.cache.share },
    premiumCell(row),
    failedCell(row),
    duration(row.latency.firstTokenMs.p50),
    duration(row.latency.totalMs.p50),
  ]
  return html`${tableOf({
    caption: `By ${dimension}: what was spent there, attempts that failed included`,
    columns: [
      { title: TITLES[dimension] },
      { title: 'Calls' },
      { title: 'Attempts' },
      { title: 'Spend', sorted: 'descending' },
      { title: 'Share' },
      { title: 'Saved by caches' },
      { title: 'Prompt cached' },
      { title: 'Above cheapest' },
      { title: 'Failed' },
      { title: 'First token p50' },
      { title: 'Answer p50' },
    ],
    rows: rows.slice(0, MOST_ROWS).map(({ name, row }) => cellsOf(name, row)),
    foot: cellsOf('All', total),
  })}${moreOf(rows)}`
}

function moreOf(rows: readonly { readonly row: TallyRow }[]): Markup | null {
  const rest = rows.slice(MOST_ROWS)
  if (rest.length === 0) return null
  const low = rest.reduce((sum, { row }) => sum + row.cost.low, 0)
  return html`<p class="soft">And ${countText(rest.length)} more, with at least ${usdText(low)} together.</p>`
}

export function cacheSection({ waterfall }: Collection): Markup {
  const { calls, unknown, cold, read, written, both, rest, paid } = waterfall
  const missing = unknown === 0 ? '' : ` Of ${many(unknown, 'call')} it is not known, and they are left out.`
  if (calls === 0) {
    return section('cache', 'What the caches did', html`<p class="empty">Nothing is known of caches.${missing}</p>`)
  }
  const most = Math.max(cold, cold + Math.max(0, written.usd) + Math.max(0, both.usd) + Math.max(0, rest), paid)
  let level = cold
  const step = (name: string, usd: number, note: string): readonly Cell[] => {
    const from = level
    level += usd
    const tone = usd < 0 ? 'good' : usd > 0 ? 'bad' : undefined
    return [
      { text: name, note },
      { text: drawnSpan({ from, to: level, most, kind: usd < 0 ? 'fill-good' : 'fill-bad' }) },
      { text: `${usd > 0 ? '+' : ''}${usdText(usd)}`, value: usd, ...(tone === undefined ? {} : { tone }) },
    ]
  }
  const whole = (name: string, usd: number, note: string, kind: 'fill-soft' | 'fill-mark'): readonly Cell[] => [
    { text: name, note },
    { text: drawnSpan({ from: 0, to: usd, most, kind }) },
    { text: usdText(usd), value: usd },
  ]
  const rows = [
    whole('With no cache', cold, `${many(calls, 'call')} at cold prices`, 'fill-soft'),
    step('Saved by reading', read.usd, `${many(read.calls, 'call')} that only read`),
    step('Paid for writing', written.usd, `${many(written.calls, 'call')} that wrote`),
  ]
  if (both.calls > 0)
    rows.push(step('Read and wrote', both.usd, `${many(both.calls, 'call')} that did both: the difference`))
  if (rest !== 0) rows.push(step('Attempts beside, and other prices', rest, 'losers, failures, bills off the list'))
  rows.push(whole('Paid', paid, 'what was billed', 'fill-mark'))
  return section('cache', 'What the caches did', [
    html`<p class="soft">From what the same tokens cost with no cache to what was paid for them.${missing}</p>`,
    tableOf({
      caption: 'From the cold cost to what was paid, USD',
      columns: [{ title: 'Step' }, { title: 'USD, from the left', kind: 'wide' }, { title: 'USD' }],
      rows,
      sortable: false,
    }),
  ])
}

export function latencySection({ routes }: Collection): Markup {
  const timed = routes.filter(({ row }) => row.latency.totalMs.count > 0).slice(0, MOST_ROWS)
  if (timed.length === 0)
    return section('latency', 'Latency by route', html`<p class="empty">No call was answered.</p>`)
  const ends = timed.flatMap(({ row: { latency } }) =>
    [latency.firstTokenMs.p50, latency.totalMs.p50, latency.totalMs.p99].filter((each) => each !== null),
  )
  const scale = { least: Math.max(1, Math.min(...ends)), most: Math.max(10, ...ends) }
  return section('latency', 'Latency by route', [
    html`<p class="soft">Of calls that went well, within 1 %. The line goes from the quickest half (dot) over 95 % (tick) to 99 % (end), on a logarithmic scale from ${durationText(scale.least)} to ${durationText(scale.most)}; above to the first token, below to the end.</p>`,
    tableOf({
      caption: 'Latency by model and place',
      columns: [
        { title: 'Route' },
        { title: 'Calls', sorted: 'descending' },
        { title: 'First token and answer', kind: 'wide' },
        { title: 'First p50' },
        { title: 'p95' },
        { title: 'p99' },
        { title: 'Answer p50' },
        { title: 'p95' },
        { title: 'p99' },
        { title: 'Tokens/s' },
      ],
      rows: [...timed]
        .sort((a, b) => b.row.latency.totalMs.count - a.row.latency.totalMs.count)
        .map(({ name, row: { latency } }) => [
          { text: name },
          count(latency.totalMs.count),
          { text: drawnRange([latency.firstTokenMs, latency.totalMs], scale) },
          duration(latency.firstTokenMs.p50),
          duration(latency.firstTokenMs.p95),
          duration(latency.firstTokenMs.p99),
          duration(latency.totalMs.p50),
          duration(latency.totalMs.p95),
          duration(latency.totalMs.p99),
          {
            text: latency.tokensPerSecond.p50 === null ? UNKNOWN : latency.tokensPerSecond.p50.toFixed(0),
            value: latency.tokensPerSecond.p50,
          },
        ]),
    }),
  ])
}

export function failureSection({ troubles, places, rescued }: Collection): Markup {
  if (troubles.length === 0) {
    return section('failures-by-kind', 'Failures and failovers', html`<p class="empty">Nothing failed.</p>`)
  }
  const most = Math.max(...troubles.map(({ rescued: saved, lost }) => saved + lost))
  const failing = places.filter(({ failed }) => failed > 0).slice(0, MOST_ROWS)
  return section('failures-by-kind', 'Failures and failovers', [
    html`<p class="soft">${many(rescued, 'call')} met a failure and ${rescued === 1 ? 'was' : 'were'} answered all the same, by asking again or elsewhere. A call may meet failures of several kinds.</p>`,
    tableOf({
      caption: 'By kind',
      columns: [
        { title: 'Kind' },
        { title: 'Answered all the same, and lost', kind: 'wide' },
        { title: 'Attempts', sorted: 'descending' },
        { title: 'Calls answered all the same' },
        { title: 'Calls lost' },
      ],
      rows: troubles.map(({ kind, attempts, rescued: saved, lost }) => [
        { text: kind },
        { text: drawnShare([saved, lost], most, ['fill-mark', 'fill-bad']) },
        count(attempts),
        count(saved),
        { ...count(lost), ...(lost > 0 ? { tone: 'bad' as const } : {}) },
      ]),
    }),
    html`<h3>Where</h3>`,
    tableOf({
      caption: 'Attempts that failed, by place',
      columns: [
        { title: 'Place' },
        { title: 'Attempts' },
        { title: 'Failed', sorted: 'descending' },
        { title: 'Share' },
        { title: 'Most often', kind: 'name' },
      ],
      rows: failing.map(({ name, attempts, failed, kinds }) => [
        { text: name },
        count(attempts),
        count(failed),
        { text: shareText(failed / attempts), value: failed / attempts },
        {
          text: kinds
            .slice(0, 3)
            .map(({ kind, count: times }) => `${kind} ${countText(times)}`)
            .join(', '),
        },
      ]),
    }),
  ])
}

export function premiumSection({ routes }: Collection): Markup {
  const compared = routes.filter(({ row }) => row.premium.calls > 0)
  if (compared.length === 0) {
    return section('premiums', 'The road not taken', html`<p class="empty">No call had a priced alternative.</p>`)
  }
  const rows = [...compared].sort((a, b) => b.row.premium.low - a.row.premium.low).slice(0, MOST_ROWS)
  const most = Math.max(
    ...rows.map(({ row: { premium } }) => Math.max(Math.abs(premium.low), Math.abs(premium.knownHigh))),
  )
  return section('premiums', 'The road not taken', [
    html`<p class="soft">What each route cost above its cheapest allowed alternative, priced on the same tokens with no cache to help it. To the right of the middle it was dearer, to the left cheaper. Another model counts tokens otherwise, and a cache would have made it cheaper: it is an estimate.</p>`,
    tableOf({
      caption: 'Premium over the cheapest alternative, by route',
      columns: [
        { title: 'Route' },
        { title: 'Calls with one' },
        { title: 'Cheaper, dearer', kind: 'wide' },
        { title: 'Above cheapest', sorted: 'descending' },
        { title: 'Calls that cost more' },
        { title: 'Cheapest most often', kind: 'name' },
      ],
      rows: rows.map(({ name, row, rival }) => [
        { text: name },
        count(row.premium.calls),
        {
          text: drawnSpan({
            from: 0,
            to: row.premium.low,
            most,
            least: -most,
            kind: row.premium.low > 0 ? 'fill-bad' : 'fill-good',
          }),
        },
        premiumCell(row),
        { text: countText(row.premium.dearer), value: row.premium.dearer },
        {
          text: rival === null ? UNKNOWN : rival.name,
          ...(rival === null ? {} : { note: `in ${many(rival.count, 'call')}` }),
        },
      ]),
    }),
  ])
}

export function driftSection({ drifts, total }: Collection): Markup {
  if (drifts.length === 0) {
    return section(
      'drift',
      'Drift',
      html`<p class="empty">Every call landed where it was planned, at the planned price.</p>`,
    )
  }
  return section('drift', 'Drift', [
    html`<p class="soft">${many(total.drifted, 'call')} of ${countText(total.calls)} went otherwise than planned.</p>`,
    tableOf({
      caption: 'Planned and served',
      columns: [
        { title: 'Kind' },
        { title: 'Planned', kind: 'name' },
        { title: 'Served', kind: 'name' },
        { title: 'Times', sorted: 'descending' },
      ],
      rows: drifts
        .slice(0, MOST_ROWS)
        .map(({ kind, planned, served, count: times }) => [
          { text: kind },
          { text: planned === '' ? UNKNOWN : planned },
          { text: served === '' ? UNKNOWN : served },
          count(times),
        ]),
    }),
    drifts.length > MOST_ROWS
      ? html`<p class="soft">And ${countText(drifts.length - MOST_ROWS)} more pairs.</p>`
      : html``,
  ])
}

function count(value: number): Cell {
  return { text: countText(value), value }
}

function duration(milliseconds: number | null): Cell {
  return { text: durationText(milliseconds), value: milliseconds }
}

function costCell({ cost }: TallyRow): Cell {
  const note = cost.unknownParts === 0 ? undefined : `${countText(cost.unknownParts)} unknown`
  return { text: spanText(cost.low, cost.high), value: cost.low, ...(note === undefined ? {} : { note }) }
}

function discountCell({ cache: { known, unknown, discountUsd } }: TallyRow): Cell {
  if (known === 0) return { text: UNKNOWN, value: null }
  const tone = discountUsd > 0 ? 'good' : discountUsd < 0 ? 'bad' : undefined
  const note = unknown === 0 ? undefined : `${countText(unknown)} unknown`
  return {
    text: usdText(discountUsd),
    value: discountUsd,
    ...(note === undefined ? {} : { note }),
    ...(tone === undefined ? {} : { tone }),
  }
}

function premiumCell({ premium: { calls, low, high } }: TallyRow): Cell {
  if (calls === 0) return { text: UNKNOWN, value: null }
  return { text: spanText(low, high), value: low, ...(low > 0 ? { tone: 'bad' as const } : {}) }
}

function failedCell({ calls, ok }: TallyRow): Cell {
  const failed = calls - ok
  return { text: countText(failed), value: failed, ...(failed > 0 ? { tone: 'bad' as const } : {}) }
}
