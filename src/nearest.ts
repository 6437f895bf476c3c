/** Longer names are not guessed at: nobody mistypes a kilobyte. */
const LONGEST = 80

/** The right names closest to a wrong one, the closest first; none when nothing is close. */
export function nearest(name: string, candidates: readonly string[], most = 3): string[] {
  if (name.length === 0 || name.length > LONGEST) return []
  const wanted = name.toLowerCase()
  const scored: { candidate: string; distance: number }[] = []
  for (const candidate of candidates) {
    const bound = Math.max(2, Math.floor(Math.max(wanted.length, candidate.length) / 3))
    const distance = distanceOf(wanted, candidate.toLowerCase(), bound)
    if (distance <= bound) scored.push({ candidate, distance })
  }
  scored.sort((a, b) => a.distance - b.distance || a.candidate.localeCompare(b.candidate))
  return scored.slice(0, most).map(({ candidate }) => candidate)
}

/** Edits from one to the other, two swapped letters being one; anything above the bound counts as `bound + 1`. */
function distanceOf(from: string, to: string, bound: number): number {
  if (Math.abs(from.length - to.length) > bound) return bound + 1
  let beforeLast: number[] = []
  let last = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row]
    let least = row
    for (let column = 1; column <= to.length; column += 1) {
      const same = from[row - 1] === to[column - 1]
      let edits = Math.min(
        (last[column] ?? bound) + 1,
        (current[column - 1] ?? bound) + 1,
        (last[column - 1] ?? bound) + (same ? 0 : 1),
      )
      if (row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]) {
        edits = Math.min(edits, (beforeLast[column - 2] ?? bound) + 1)
      }
      current.push(edits)
      least = Math.min(least, edits)
    }
    if (least > bound) return bound + 1
    beforeLast = last
    last = current
  }
  return last[to.length] ?? bound + 1
}
