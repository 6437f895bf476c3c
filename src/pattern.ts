/** Longer texts are not tried: some patterns need a time that grows with the square of the length, or worse. */
const LONGEST = 1000

/** Whether a text matches a regular expression; `null` where it is none. */
export function matcherOf(pattern: string): ((text: string) => boolean) | null {
  const expression = expressionOf(pattern)
  if (expression === null) return null
  return (text) => text.length <= LONGEST && expression.test(text)
}

function expressionOf(pattern: string): RegExp | null {
  for (const flags of ['u', '']) {
    try {
      return new RegExp(pattern, flags)
    } catch {
      // Some patterns are only right without Unicode's stricter rules.
    }
  }
  return null
}
