/** A thing that rows speak of, as far as its names go. */
interface Named {
  /** The canonical id. */
  readonly id: string
  readonly rows: readonly { readonly row: { readonly id: string; readonly aliases?: readonly string[] } }[]
}

/** What a name means at the strongest level that knows it. */
interface Meaning<Thing> {
  readonly level: number
  readonly things: Thing[]
}

/**
 * What a name means, by the name in lower case: one thing, or several. Canonical ids mean what they say; then come the
 * providers' own ids, then aliases, then names without their author. A name that means something at a stronger level
 * is not open to another at a weaker one.
 */
export function namesOf<Thing extends Named>(things: readonly Thing[]): ReadonlyMap<string, Meaning<Thing>> {
  const names = new Map<string, Meaning<Thing>>()
  for (const [level, named] of LEVELS.entries()) {
    for (const thing of things) {
      for (const name of named(thing)) {
        const key = name.toLowerCase()
        const known = names.get(key)
        if (known === undefined) names.set(key, { level, things: [thing] })
        else if (known.level === level && !known.things.includes(thing)) known.things.push(thing)
      }
    }
  }
  return names
}

const LEVELS: readonly ((thing: Named) => readonly string[])[] = [
  ({ id }) => [id],
  ({ rows }) => rows.map(({ row }) => row.id),
  ({ rows }) => rows.flatMap(({ row }) => row.aliases ?? []),
  ({ id }) => [bare(id)],
  ({ rows }) => rows.map(({ row }) => bare(row.id)),
]

function bare(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1)
}
