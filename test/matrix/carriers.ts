import type { Cell } from './cell.ts'

const DEEP = process.env.MODELFIRST_DEEP === '1' || process.env.MATRIX !== undefined

/** Of so many cells of one kind, one goes over sockets. */
const SHARE = 5

/** A cell without its place: what goes wrong, and in an answer that comes whole or in a stream. */
export const kindOf = ({ title }: Cell) => title.split(' · ').slice(0, 2).join(' · ')

/**
 * Cells that happen on sockets too. What goes wrong is the same on the wire wherever in a chain it does, so each kind
 * goes over sockets at a fifth of its places, at one at the least; and everything of which somebody leaves, or is late,
 * at all of them. `npm run test:deep` takes them all.
 */
export function onSocketsToo(cells: readonly Cell[]): ReadonlySet<Cell> {
  if (DEEP) return new Set(cells)
  const kinds = new Map<string, Cell[]>()
  for (const cell of cells) kinds.set(kindOf(cell), [...(kinds.get(kindOf(cell)) ?? []), cell])
  const drawn = [...kinds.values()].flatMap((kind) =>
    kind.toSorted((one, other) => lot(one) - lot(other)).slice(0, Math.ceil(kind.length / SHARE)),
  )
  return new Set([...drawn, ...cells.filter(isOfTime)])
}

function isOfTime({ given, expect }: Cell): boolean {
  const leaves = given.calls?.some(({ abort, reader, close }) => (abort ?? reader ?? close) !== undefined) === true
  return leaves || expect.some(({ outcome }) => outcome === 'timed-out' || outcome === 'canceled')
}

/** The same in each run, and not by its place in a table (FNV-1a). */
function lot({ title }: Cell): number {
  let hash = 0x811c9dc5
  for (const unit of Buffer.from(title)) hash = Math.imul(hash ^ unit, 0x01000193) >>> 0
  return hash
}
