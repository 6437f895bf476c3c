import { neighboursOf, type Source } from './source.ts'

export interface Floors {
  /** A ring of files, each importing the next; `null` when there is none. */
  readonly cycle: readonly string[] | null
  /** A file that imports nothing of ours is on floor 0, any other one above the highest that it imports. */
  readonly floor: ReadonlyMap<string, number>
}

export function floorsOf(sources: readonly Source[]): Floors {
  const graph = new Map(sources.map((source) => [source.path, neighboursOf(source)]))
  const floor = new Map<string, number>()
  const trail: string[] = []
  let cycle: readonly string[] | null = null
  const climb = (path: string): number => {
    const known = floor.get(path)
    if (known !== undefined) return known
    if (trail.includes(path)) {
      cycle ??= [...trail.slice(trail.indexOf(path)), path]
      return 0
    }
    trail.push(path)
    const below = (graph.get(path) ?? []).map(climb)
    trail.pop()
    const own = below.length === 0 ? 0 : Math.max(...below) + 1
    floor.set(path, own)
    return own
  }
  for (const path of graph.keys()) climb(path)
  return { cycle, floor }
}

/** The house as it stands, for a person. */
export function drawing({ floor }: Floors): string {
  const highest = Math.max(-1, ...floor.values())
  return Array.from({ length: highest + 1 }, (_, level) => {
    const files = [...floor].filter(([, own]) => own === level).map(([path]) => path.replace(/^src\//, ''))
    return `${String(level).padStart(3)}  ${files.join(' · ')}`
  })
    .reverse()
    .join('\n')
}

/** The rows of the README's layout, lowest first: names in backquotes, a folder with a slash at its end. */
export function layoutOf(readme: string): readonly (readonly string[])[] {
  const section = readme.split(/^## Layout$/m)[1]?.split(/^## /m)[0]
  if (section === undefined) return []
  return section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) => [...(line.split('|')[2] ?? '').matchAll(/`([^`]+)`/g)].map(([, name = '']) => name))
}

/** The row that a file lives on; -1 when no row names it. */
export function rowOf(path: string, layout: readonly (readonly string[])[]): number {
  const name = path.replace(/^src\//, '').replace(/\.ts$/, '')
  return layout.findIndex((row) =>
    row.some((entry) => entry === name || (entry.endsWith('/') && name.startsWith(entry))),
  )
}
