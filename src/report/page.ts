import { dateText, timeText } from './calendar.ts'
import type { Collection } from './collection.ts'
import { countText, many, usdText } from './figures.ts'
import { html, type Markup, raw } from './html.ts'
import type { Unread } from './lines.ts'
import { shown } from './names.ts'
import { SCRIPT } from './script.ts'
import { cacheSection, driftSection, failureSection, latencySection, premiumSection, spendSection } from './sections.ts'
import { STYLE } from './style.ts'
import { tilesOf } from './tiles.ts'

/**
 * The page's own policy lets in this style and this script, by their fingerprints, and nothing else: no address is ever
 * asked for, and what a record brings along does not run, even where it would come through unescaped.
 */
export const STYLE_HASH = 'sha256-hbnWfEeZC6AXiKHl03da1C4A7KRAw8uyc+CFddf8/P4='
export const SCRIPT_HASH = 'sha256-znG4DEs2XYglzI9L1NvCurcf56OkkXTGzNUeYFS2Hu4='
const POLICY = [
  "default-src 'none'",
  `style-src '${STYLE_HASH}'`,
  `script-src '${SCRIPT_HASH}'`,
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

/** Tells a page of this kind from any other file. */
export const GENERATOR = 'modelfirst report'

export function pageOf(collection: Collection, title: string, unread: Unread | null): string {
  const { from, until, total } = collection
  const period =
    from === null || until === null
      ? 'No calls yet.'
      : `${many(total.calls, 'call')} from ${dateText(from)}, ${timeText(from)} to ${dateText(until)}, ${timeText(until)} UTC`
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="${GENERATOR}">
<meta name="referrer" content="no-referrer">
<title>${shown(title)}</title>
<style>${raw(STYLE)}</style>
</head>
<body>
<header><h1><bdi>${shown(title)}</bdi></h1><p class="soft">${period}</p></header>
<main>
${tilesOf(collection)}${notesOf(collection, unread)}${
  total.calls === 0
    ? null
    : [
        spendSection(collection),
        cacheSection(collection),
        premiumSection(collection),
        latencySection(collection),
        failureSection(collection),
        driftSection(collection),
      ]
}</main>
<footer><p>Spend is what providers billed where they say so, else it comes from tokens and list prices, else from bounds: “≥” has no upper bound, “to” lies between two, and ${'–'} is not known. Nothing that is unknown is counted as 0. Attempts that failed, were given up or lost a race are in every sum. Money is shown rounded and sorted exactly. Times are UTC.</p></footer>
<script>${raw(SCRIPT)}</script>
</body>
</html>
`.markup
}

/** What somebody should know before the figures are believed, and what is worth a look. */
function notesOf({ openCalls, replaced, dearCached, total }: Collection, unread: Unread | null): Markup | null {
  const warnings: string[] = []
  const notes: string[] = []
  if (unread !== null) warnings.push(...unreadNotes(unread))
  if (openCalls > 0) {
    warnings.push(
      `${many(openCalls, 'call')} of unknown cost: neither a bill nor a bound. The spend is at least what is shown, and may be more.`,
    )
  }
  if (dearCached.calls > 0) {
    notes.push(
      `${many(dearCached.calls, 'call')} read from a cache and still cost ${usdText(dearCached.usd)} more than cold calls to their cheapest alternatives.`,
    )
  }
  if (total.drifted > 0)
    notes.push(`${many(total.drifted, 'call')} landed elsewhere than planned, or at another price: see Drift.`)
  if (replaced > 0) notes.push(`${many(replaced, 'record')} had a later one of the same call, which counts instead.`)
  if (warnings.length + notes.length === 0) return null
  return html`<ul class="notes">${warnings.map((text) => html`<li class="warn">${text}</li>`)}${notes.map((text) => html`<li>${text}</li>`)}</ul>
`
}

/** Also for a terminal. */
export function unreadNotes({ broken, foreign, version, cut, first }: Unread): readonly string[] {
  const notes: string[] = []
  const skipped = broken + foreign + version
  if (skipped > 0) {
    const kinds = [
      broken > 0 ? `${countText(broken)} no JSON` : '',
      foreign > 0 ? `${countText(foreign)} no usage record` : '',
      version > 0 ? `${countText(version)} of a later version` : '',
    ].filter((kind) => kind !== '')
    const where = first === null ? '' : `, the first is line ${countText(first)}`
    notes.push(
      `${many(skipped, 'line')} could not be read and ${skipped === 1 ? 'is' : 'are'} in no sum: ${kinds.join(', ')}${where}.`,
    )
  }
  if (cut) notes.push('The last line is half a record: its writer was stopped, or is writing still.')
  return notes
}
