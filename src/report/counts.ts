/** Beyond this many words the rest is one. */
const MOST_WORDS = 1000

export interface Counts {
  add(word: string): void
  /** The most frequent first. */
  read(): readonly { readonly word: string; readonly count: number }[]
}

/** How often each word came, in constant memory. */
export function createCounts(others: string): Counts {
  const counts = new Map<string, number>()
  return {
    add(word) {
      const key = counts.has(word) || counts.size < MOST_WORDS ? word : others
      const found = counts.get(key)
      counts.set(key, found === undefined ? 1 : found + 1)
    },
    read: () => [...counts].map(([word, count]) => ({ word, count })).sort((a, b) => b.count - a.count),
  }
}
