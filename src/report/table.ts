import { html, type Markup } from './html.ts'

export interface Column {
  readonly title: string
  /** A name to the left, a figure to the right, or a drawing as wide as there is room. */
  readonly kind?: 'name' | 'figure' | 'wide'
  readonly sorted?: 'ascending' | 'descending'
}

export interface Cell {
  /** For a reader. */
  readonly text: string | Markup
  /** For sorting and for programs: a number, `null` when it is not known; left out: the text itself. */
  readonly value?: number | null
  readonly note?: string
  readonly tone?: 'good' | 'bad' | 'warn'
}

export interface Table {
  readonly caption: string
  readonly columns: readonly Column[]
  readonly rows: readonly (readonly Cell[])[]
  /** Below the rows; never sorted. */
  readonly foot?: readonly Cell[]
  /** `false`: the order says something. */
  readonly sortable?: boolean
}

/** A table that is read without a script and sorted with one. Its first column names the row. */
export function tableOf({ caption, columns, rows, foot, sortable = true }: Table): Markup {
  const kinds = columns.map(({ kind }, index) => kind ?? (index === 0 ? 'name' : 'figure'))
  const rowOf = (
    cells: readonly Cell[],
  ) => html`<tr>${cells.map((cell, index) => cellOf(cell, kinds[index], index === 0))}</tr>
`
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table${sortable ? html` class="sortable"` : null}><caption>${caption}</caption>
<thead><tr>${columns.map(({ title, sorted }, index) => {
    const sort = sorted === undefined ? null : html` aria-sort="${sorted}"`
    return html`<th scope="col"${classOf(kinds[index])}${sort}><bdi>${title}</bdi></th>`
  })}</tr></thead>
<tbody>
${rows.map(rowOf)}</tbody>${foot === undefined ? null : html`<tfoot>${rowOf(foot)}</tfoot>`}</table></div>`
}

function cellOf({ text, value, note, tone }: Cell, kind: Column['kind'], heads: boolean): Markup {
  const toned = tone === undefined ? text : html`<span class="${tone}">${text}</span>`
  const figure =
    value === undefined ? toned : html`<data value="${value === null ? '' : String(value)}">${toned}</data>`
  const said = note === undefined ? figure : html`${figure}<small>${note}</small>`
  // A name may be written from right to left: what follows it is not.
  if (heads) return html`<th scope="row"${classOf(kind)}><bdi>${said}</bdi></th>`
  return html`<td${classOf(kind)}>${said}</td>`
}

function classOf(kind: Column['kind']): Markup | null {
  return kind === 'name' || kind === 'wide' ? html` class="${kind}"` : null
}
