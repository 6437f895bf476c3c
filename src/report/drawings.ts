import type { Percentiles } from '../tally.ts'
import { html, type Markup } from './html.ts'

/** Drawings as wide as their cell. The same figures stand beside them, so they are hidden from who listens. */
const WIDTH = 100

type Fill = 'fill-good' | 'fill-bad' | 'fill-soft' | 'fill-mark' | 'fill-warn'

const percent = (share: number) => `${(WIDTH * Math.min(1, Math.max(0, share))).toFixed(2)}%`

/** One bar between two amounts. With a `least` below zero, nothing stands in the middle. */
export function drawnSpan(span: { from: number; to: number; most: number; least?: number; kind: Fill }): Markup {
  const { from, to, most, least = 0, kind } = span
  const width = most - least
  const at = (usd: number) => (width > 0 ? (usd - least) / width : 0)
  const [left, right] = [Math.min(at(from), at(to)), Math.max(at(from), at(to))]
  const zero =
    least < 0 ? html`<line class="line-soft" x1="${percent(at(0))}" x2="${percent(at(0))}" y1="0" y2="18"/>` : null
  return html`<svg width="100%" height="18" aria-hidden="true">${zero}<rect class="${kind}" x="${percent(left)}" y="3" width="${percent(right - left)}" height="12" rx="2"/></svg>`
}

/** Parts beside each other. */
export function drawnShare(parts: readonly number[], most: number, kinds: readonly Fill[]): Markup {
  let from = 0
  const bars = parts.map((part, index) => {
    const x = most > 0 ? from / most : 0
    from += part
    if (part === 0) return null
    return html`<rect class="${kinds[index] ?? 'fill-soft'}" x="${percent(x)}" y="3" width="${percent(most > 0 ? part / most : 0)}" height="12"/>`
  })
  return html`<svg width="100%" height="18" aria-hidden="true">${bars}</svg>`
}

/** From the median over 95 % to 99 %, one line below another, on a logarithmic scale. */
export function drawnRange(lines: readonly Percentiles[], scale: { least: number; most: number }): Markup {
  const width = Math.log(scale.most) - Math.log(scale.least)
  const at = (milliseconds: number) => {
    const share = width > 0 ? (Math.log(Math.max(milliseconds, scale.least)) - Math.log(scale.least)) / width : 0
    return percent(0.02 + 0.96 * share)
  }
  const drawn = lines.map(({ p50, p95, p99 }, index) => {
    if (p50 === null || p95 === null || p99 === null) return null
    const y = 6 + index * 10
    const ticks = [p95, p99].map(
      (each) => html`<line class="line-mark" x1="${at(each)}" x2="${at(each)}" y1="${y - 3}" y2="${y + 3}"/>`,
    )
    return html`<line class="line-mark" x1="${at(p50)}" x2="${at(p99)}" y1="${y}" y2="${y}"/>${ticks}<circle class="fill-mark" cx="${at(p50)}" cy="${y}" r="3.5"/>`
  })
  return html`<svg width="100%" height="22" aria-hidden="true"><line class="line-soft" x1="0" x2="100%" y1="11" y2="11"/>${drawn}</svg>`
}
