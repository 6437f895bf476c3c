import { DAY, dateText, HOUR, MINUTE, shortDate, timeText } from './calendar.ts'
import { countText, fixedUsd, many, spanText, usdText } from './figures.ts'
import { html, type Markup } from './html.ts'
import { MONDAY, type Series, type Slot } from './series.ts'
import { tableOf } from './table.ts'

/** As many as have a colour; the rest is one. */
const MOST_COLOURS = 7
const OTHERS_COLOUR = 7

const HEIGHT = 220
const TOP = 18
const BOTTOM = 26
/** Across, in units of its own: it is as wide as the page. */
const STEP = 10
const BAR = 8

interface Pile {
  readonly label: string
  readonly short: string
  /** From the bottom up, the largest of all first. */
  readonly parts: readonly number[]
  readonly low: number
  readonly high: number
  readonly open: number
  readonly attempts: number
}

/** Spending over time as stacked bars, with the same figures as a table below. */
export function barsOf(series: Series, others: string, title: string): Markup {
  const names = rankedNames(series, others)
  const piles = series.slots.map((slots, index) => pileOf(slots, names, labelsOf(series, index)))
  const most = Math.max(...piles.map(({ high }) => high))
  const ticks = ticksUpTo(most)
  const top = ticks.at(-1) ?? 1
  const y = (usd: number) => TOP + (HEIGHT - TOP) * (1 - usd / top)
  const paths = names.map((_, rank) => {
    const path = piles.map(({ parts }, index) => {
      const below = parts.slice(0, rank).reduce((sum, part) => sum + part, 0)
      return boxOf(index, y(below), y(below + (parts[rank] ?? Number.NaN)))
    })
    return html`<path class="${colourOf(rank, names, others)}" d="${path.join('')}"/>`
  })
  const maybe = piles.map(({ low, high }, index) => boxOf(index, y(low), y(high))).join('')
  const hits = piles.map((pile, index) => {
    return html`<rect class="hit" x="${index * STEP}" y="${TOP}" width="${STEP}" height="${HEIGHT - TOP}"><title>${tipOf(pile, names)}</title></rect>`
  })
  const width = piles.length * STEP
  const at = (index: number) => `${(((index + 0.5) / piles.length) * 100).toFixed(2)}%`
  const total = HEIGHT + BOTTOM
  return html`<figure aria-label="${title}">
<div class="chart"><svg class="axis" height="${total}" aria-hidden="true">${ticks.map(
    (tick) =>
      html`<text x="100%" dx="-10" y="${(y(tick) + 4).toFixed(1)}" text-anchor="end">${tickText(tick, ticks[1])}</text>`,
  )}</svg><svg class="plot" height="${total}" role="img" aria-label="${title}: the same figures are in the table below">${ticks.map(
    (tick) => html`<line class="grid" x1="0" x2="100%" y1="${y(tick).toFixed(1)}" y2="${y(tick).toFixed(1)}"/>`,
  )}<svg width="100%" height="${HEIGHT}" viewBox="0 0 ${width} ${HEIGHT}" preserveAspectRatio="none">${paths}${
    maybe === '' ? null : html`<path class="maybe" d="${maybe}"/>`
  }${hits}</svg>${piles.map(({ open, high }, index) => {
    if (open === 0) return null
    return html`<text class="mark" x="${at(index)}" y="${(y(high) - 4).toFixed(1)}" text-anchor="middle">?</text>`
  })}${labelled(series).map(({ index, sparse }) => {
    const { short } = piles[index] ?? { short: '' }
    return html`<text${sparse ? html` class="sparse"` : null} x="${at(index)}" y="${HEIGHT + 18}" text-anchor="middle">${short}</text>`
  })}</svg></div>
<ul class="legend">${names.map((name, rank) => {
    return html`<li><svg width="11" height="11" aria-hidden="true"><rect class="${colourOf(rank, names, others)}" width="11" height="11" rx="3"/></svg><bdi>${name}</bdi></li>`
  })}${maybe === '' ? null : html`<li><svg width="11" height="11" aria-hidden="true"><rect class="maybe" width="11" height="11" rx="3"/></svg>at the most</li>`}${
    piles.some(({ open }) => open > 0) ? html`<li>? with attempts of unknown cost</li>` : null
  }</ul>
<details><summary>The same as a table</summary>${tableOf({
    caption: `${title}, USD, times in UTC`,
    columns: [
      { title: 'From' },
      ...names.map((name) => ({ title: name })),
      { title: 'Together' },
      { title: 'Attempts' },
    ],
    rows: piles.map((pile, index) => [
      { text: pile.label, value: index },
      ...pile.parts.map((usd) => ({ text: usd === 0 ? '' : usdText(usd), value: usd })),
      { text: `${spanText(pile.low, pile.high)}${pile.open > 0 ? ` + ${pile.open} unknown` : ''}`, value: pile.low },
      { text: countText(pile.attempts), value: pile.attempts },
    ]),
  })}</details>
</figure>`
}

function boxOf(index: number, bottom: number, top: number): string {
  const height = bottom - top
  // Thinner than this is nothing to see, and would weigh as much as what can be seen.
  if (!(height > 0.02)) return ''
  return `M${index * STEP + (STEP - BAR) / 2} ${bottom.toFixed(1)}h${BAR}V${top.toFixed(1)}h-${BAR}z`
}

function colourOf(rank: number, names: readonly string[], others: string): string {
  return `c${names[rank] === others && rank === names.length - 1 ? OTHERS_COLOUR : rank}`
}

/** The largest first; what has no colour of its own is the last. */
function rankedNames({ slots }: Series, others: string): readonly string[] {
  const sums = new Map<string, number>()
  for (const cells of slots)
    for (const [name, { low, attempts }] of cells) {
      // What costs nothing is still ranked by how much of it there is.
      sums.set(name, (sums.get(name) ?? 0) + low + attempts * 1e-15)
    }
  const ranked = [...sums].sort(([, a], [, b]) => b - a).map(([name]) => name)
  const own = ranked.filter((name) => name !== others)
  if (own.length <= MOST_COLOURS && !sums.has(others)) return own
  return [...own.slice(0, MOST_COLOURS), others]
}

function pileOf(
  cells: ReadonlyMap<string, Slot>,
  names: readonly string[],
  labels: { label: string; short: string },
): Pile {
  const parts = names.map(() => 0)
  let [low, high, open, attempts] = [0, 0, 0, 0]
  for (const [name, cell] of cells) {
    const own = names.indexOf(name)
    const rank = own === -1 ? names.length - 1 : own
    parts[rank] = (parts[rank] ?? 0) + cell.low
    low += cell.low
    high += cell.high
    open += cell.open
    attempts += cell.attempts
  }
  return { ...labels, parts, low, high, open, attempts }
}

function labelsOf({ from, widthMs }: Series, index: number): { label: string; short: string } {
  const instant = from + index * widthMs
  const date = dateText(instant)
  const label = widthMs < DAY ? `${date}, ${timeText(instant)}` : date
  const midnight = timeText(instant) === '00:00'
  const short = widthMs >= DAY || (midnight && widthMs >= HOUR) ? shortDate(instant) : timeText(instant)
  return { label, short }
}

function tipOf({ label, parts, low, high, open, attempts }: Pile, names: readonly string[]): string {
  const lines = names.flatMap((name, rank) => {
    const usd = parts[rank]
    return usd === undefined || usd === 0 ? [] : [`${name}: ${usdText(usd)}`]
  })
  const unknown = open === 0 ? '' : ` + ${many(open, 'attempt')} of unknown cost`
  return [`${label} UTC`, `${spanText(low, high)}${unknown} · ${many(attempts, 'attempt')}`, ...lines.reverse()].join(
    '\n',
  )
}

/** Round figures from nothing to at least the most. */
function ticksUpTo(most: number): readonly number[] {
  if (!(most > 0)) return [0, 1]
  const rough = most / 4
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * ([1, 2, 2.5, 5, 10].find((each) => each * power >= rough * 0.999) ?? 10)
  const count = Math.ceil(most / step - 1e-9)
  return Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(6)))
}

/** As many digits on each as the step between them needs, and cents below a dollar. */
function tickText(tick: number, step = 1): string {
  if (tick === 0) return '$0'
  const digits = Number.isInteger(step) ? 0 : Math.max(2, (String(step).split('.')[1] ?? '').length)
  return step < 1e-6 ? usdText(tick) : fixedUsd(tick, digits)
}

/** Stretches that a label may stand for: they begin where a reader expects it. */
const INTERVALS = [1, 5, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 4320, 10_080, 20_160, 40_320].map(
  (minutes) => minutes * MINUTE,
)
const MOST_LABELS = 9

/** Which bars are named below: at round times, and on a narrow page every other one of them. */
function labelled({ from, widthMs, slots }: Series): readonly { index: number; sparse: boolean }[] {
  const fits = (interval: number) => interval % widthMs === 0 && (slots.length * widthMs) / interval <= MOST_LABELS
  const interval = INTERVALS.find(fits) ?? widthMs * Math.ceil(slots.length / MOST_LABELS)
  const indexes = slots.flatMap((_, index) => ((from + index * widthMs - MONDAY) % interval === 0 ? [index] : []))
  return indexes.map((index, n) => ({ index, sparse: n % 2 === 1 }))
}
