import { createLedger, type LedgerRow } from '../ledger.ts'
import { countText, durationText, many, shareText, spanText, UNKNOWN, usdText } from '../report/figures.ts'
import { createLatest } from '../report/latest.ts'
import { shown } from '../report/names.ts'
import { unreadNotes } from '../report/page.ts'
import type { TallyRow } from '../tally.ts'
import type { Command } from './command.ts'
import { gridOf } from './grid.ts'
import { fileOf, openInput, SINCE } from './input.ts'
import { Problem } from './problem.ts'
import { sinceOf } from './since.ts'

const BY = ['task', 'model', 'provider', 'host', 'session'] as const
type By = (typeof BY)[number]
const TOP = 25

/** A file of usage records, summed for a terminal. */
export const usageCommand: Command = {
  name: 'usage',
  usage: '<file.jsonl | ->',
  says: 'sum usage records up in a table',
  options: [
    { name: 'by', value: '<what>', says: `${BY.join(', ')} (task)`, among: BY },
    SINCE,
    { name: 'top', value: '<rows>', says: `the dearest only (${TOP})` },
  ],
  async run({ words, options }, { stdin, stdout, env, now }) {
    const since = options.get('since')
    const top = topOf(options.get('top'))
    const by = BY.find((each) => each === options.get('by')) ?? 'task'
    const input = openInput(fileOf(words, 'usage'), stdin, since === undefined ? null : sinceOf(since, now()))
    const ledger = createLedger()
    let open = 0
    let [first, last] = ['', '']
    const latest = createLatest((record) => {
      ledger.note(record)
      if (record.cost.high === null) open += 1
      if (first === '' || record.at < first) first = record.at
      if (record.at > last) last = record.at
    })
    for await (const record of input) latest.add(record)
    latest.flush()
    const { rows, total } = ledger.summary({ by })
    const colours = stdout.isTTY === true && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb'
    const styled = (code: number, text: string) => (colours ? `\u001b[${code}m${text}\u001b[0m` : text)
    const lines: string[] = []
    if (total.calls === 0) lines.push(since === undefined ? 'no calls yet' : 'no calls since then')
    else {
      const [head = '', ...body] = tableOf({ by, rows, total, top })
      const sum = body.pop() ?? ''
      lines.push(
        styled(2, `${input.name}: ${many(total.calls, 'call')}, ${minuteOf(first)} to ${minuteOf(last)} UTC`),
        '',
      )
      lines.push(styled(1, head), ...body, styled(1, sum), '')
    }
    const notes = [...unreadNotes(input.unread)]
    if (open > 0) notes.push(`${many(open, 'call')} of unknown cost: the sum is at least what is shown.`)
    if (latest.replaced > 0)
      notes.push(`${many(latest.replaced, 'record')} had a later one of the same call, which counts.`)
    if (rows.length > top) notes.push(`${countText(rows.length - top)} more rows: --top ${rows.length}`)
    lines.push(...notes.map((note) => styled(2, note)))
    stdout.write(`${lines.join('\n').trimEnd()}\n`)
  },
}

function topOf(text: string | undefined): number {
  if (text === undefined) return TOP
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new Problem('--top is a number of rows, from 1 on', 2)
  return Number(text)
}

function tableOf(about: { by: By; rows: readonly LedgerRow[]; total: TallyRow; top: number }): readonly string[] {
  const { by, rows, total, top } = about
  const head = [
    by,
    'calls',
    'failed',
    'failovers',
    'cost',
    'share',
    'cache saved',
    'cached',
    'above cheapest',
    'first p50',
    'p95',
    'answer p50',
    'p95',
  ]
  const cells = (name: string, row: TallyRow) => {
    const { cost, cache, premium, latency } = row
    return [
      name,
      countText(row.calls),
      countText(row.calls - row.ok),
      countText(row.failovers),
      spanText(cost.low, cost.high),
      shareText(total.cost.low > 0 ? cost.low / total.cost.low : null),
      cache.known === 0 ? UNKNOWN : usdText(cache.discountUsd),
      shareText(cache.share),
      premium.calls === 0 ? UNKNOWN : spanText(premium.low, premium.high),
      durationText(latency.firstTokenMs.p50),
      durationText(latency.firstTokenMs.p95),
      durationText(latency.totalMs.p50),
      durationText(latency.totalMs.p95),
    ]
  }
  const body = rows
    .slice(0, top)
    .map((row) => cells(row.others ? '(others)' : row.key === null ? '(none)' : shown(row.key), row))
  return gridOf([head, ...body, cells('all', total)])
}

/** `2026-11-08 13:05`. */
function minuteOf(iso: string): string {
  return iso.slice(0, 16).replace('T', ' ')
}
