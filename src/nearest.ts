/** Beyond this a name is no slip of the pen, and comparing it would take long. */
const LONGEST = 80

/**
 * The names that someone may have meant, the closest first: letters left out, added, exchanged or swapped, upper and
 * lower case, the part before a slash left out.
 */
export function nearest(name: string, candidates: readonly string[], most = 3): string[] {
  const asked = name.slice(0, LONGEST).toLowerCase()
  if (asked === '') return []
  const askedTail = tailOf(asked)
  const found: { candidate: string; distance: number }[] = []
  for (const candidate of candidates) {
    const known = candidate.slice(0, LONGEST).toLowerCase()
    const distance = Math.min(
      distanceOf(asked, known),
      asked === askedTail ? distanceOf(asked, tailOf(known)) + 0.5 : 99,
    )
    if (distance <= allowance(asked.length)) found.push({ candidate, distance })
    else if (asked.length >= 4 && known.includes(askedTail)) {
      // `sonnet` is far from `anthropic/claude-sonnet-4.5` by letters, and yet meant; the shorter, the closer.
      found.push({ candidate, distance: allowance(asked.length) + 1 + known.length / LONGEST })
    }
  }
  found.sort((a, b) => a.distance - b.distance)
  return found.slice(0, most).map(({ candidate }) => candidate)
}

/** One slip in short names, about one in four letters in longer ones. */
function allowance(length: number): number {
  return Math.min(6, Math.max(1, Math.ceil(length / 4)))
}

function tailOf(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1)
}

/** Edit distance with swapped neighbours as one slip; stops counting once the names are too different. */
function distanceOf(a: string, b: string): number {
  const limit = allowance(a.length)
  if (Math.abs(a.length - b.length) > limit) return 99
  let before: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i]
    let least = i
    for (let j = 1; j <= b.length; j += 1) {
      const same = a.charCodeAt(i - 1) === b.charCodeAt(j - 1)
      let cost = Math.min(at(previous, j) + 1, at(row, j - 1) + 1, at(previous, j - 1) + (same ? 0 : 1))
      const swapped =
        i > 1 && j > 1 && a.charCodeAt(i - 1) === b.charCodeAt(j - 2) && a.charCodeAt(i - 2) === b.charCodeAt(j - 1)
      if (swapped) cost = Math.min(cost, at(before, j - 2) + 1)
      row.push(cost)
      if (cost < least) least = cost
    }
    if (least > limit) return 99
    before = previous
    previous = row
  }
  return at(previous, b.length)
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? 99
}
