import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { drawing, floorsOf, layoutOf, rowOf } from './floors.ts'
import { neighboursOf, root, sourceOf, sourcesIn } from './source.ts'

const sources = sourcesIn('src')
const floors = floorsOf(sources)
const readme = existsSync(`${root}README.md`) ? readFileSync(`${root}README.md`, 'utf8') : ''
const layout = layoutOf(readme)

describe('floors', () => {
  test('no file imports itself through others, types included', () => {
    expect(floors.cycle, `${floors.cycle?.join('\n  imports ')}\n\n${drawing(floors)}`).toBeNull()
  })

  test('every import leads to a file that is there', () => {
    const paths = new Set(sources.map(({ path }) => path))
    const lost = sources.flatMap((source) =>
      neighboursOf(source)
        .filter((path) => !paths.has(path))
        .map((path) => `${source.path} imports ${path}`),
    )
    expect(lost).toEqual([])
  })

  test('every import goes down', () => {
    const upward = sources.flatMap((source) =>
      neighboursOf(source)
        .filter((path) => (floors.floor.get(path) ?? 0) >= (floors.floor.get(source.path) ?? 0))
        .map((path) => `${source.path} imports ${path}`),
    )
    expect(upward, drawing(floors)).toEqual([])
  })

  test.skipIf(layout.length === 0)(
    'the README shows every file on its floor, and no floor reaches above itself',
    () => {
      const lost = sources.filter(({ path }) => rowOf(path, layout) === -1 && !path.startsWith('src/catalog/'))
      expect(lost.map(({ path }) => path)).toEqual([])
      const upward = sources.flatMap((source) =>
        neighboursOf(source)
          .filter((path) => rowOf(path, layout) > rowOf(source.path, layout) && rowOf(source.path, layout) !== -1)
          .map((path) => `${source.path} imports ${path}, a floor above it`),
      )
      expect(upward, drawing(floors)).toEqual([])
      const gone = layout.flat().filter((entry) => !sources.some(({ path }) => rowOf(path, [[entry]]) === 0))
      expect(gone, 'names in the README that no file has').toEqual([])
    },
  )

  test('a cycle through types alone is found', () => {
    const one = sourceOf('src/one.ts', "import type { Two } from './two.ts'\nexport type One = Two")
    const two = sourceOf('src/two.ts', "export type Two = import('./one.ts').One")
    expect(floorsOf([one, two]).cycle).toEqual(['src/one.ts', 'src/two.ts', 'src/one.ts'])
  })
})
