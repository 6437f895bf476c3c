/**
 * Text that is markup already. Everything else that comes into `html` is escaped: what a record says can be read on the
 * page, and can do nothing there.
 */
export interface Markup {
  readonly markup: string
}

type Part = string | number | Markup | readonly Part[] | null | false

export function html(texts: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  let markup = texts[0] ?? ''
  for (const [index, part] of parts.entries()) markup += `${rendered(part)}${texts[index + 1] ?? ''}`
  return { markup }
}

/** Ours, to the letter: never anything that a record says. */
export function raw(markup: string): Markup {
  return { markup }
}

function rendered(part: Part): string {
  if (part === null || part === false) return ''
  if (typeof part === 'string') return escaped(part)
  if (typeof part === 'number') return String(part)
  return 'markup' in part ? part.markup : part.map(rendered).join('')
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
}

function escaped(text: string): string {
  return text.replace(/[&<>"'`]/g, (character) => ESCAPES[character] ?? '')
}
