import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Packed, packInto } from '../support/pack.ts'
import { type Bundled, bundle, importTime, stated } from './size.ts'
import { root } from './source.ts'

/** Below node_modules, so that what was built finds its dependencies. */
const cache = join(root, 'node_modules/.cache')
const readme = readFileSync(join(root, 'README.md'), 'utf8')

let folder = ''
let packed: Packed
let bundled: Bundled

beforeAll(async () => {
  mkdirSync(cache, { recursive: true })
  folder = mkdtempSync(join(cache, 'modelfirst-size-'))
  packed = packInto(folder)
  bundled = await bundle(packed.folder)
}, 120_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** True when the README says so, and not much more than is true: a figure that was forgotten is wrong too. */
function expectAtMost(what: string, measured: number): void {
  const figure = stated(readme, what)
  const kilobytes = (measured / 1000).toFixed(1)
  expect(figure, `the README needs a row "| ${what} | … kB |"; measured: ${kilobytes} kB`).not.toBeNull()
  expect(measured, `the README says less than the ${kilobytes} kB measured for "${what}"`).toBeLessThanOrEqual(
    figure ?? 0,
  )
  expect(measured, `the README says far more than the ${kilobytes} kB measured for "${what}"`).toBeGreaterThan(
    (figure ?? 0) * 0.7,
  )
}

describe('size', () => {
  test('the package is packed as small as the README says', () => {
    expectAtMost('packed', packed.bytes)
  })

  test('the smallest use is bundled as small as the README says, its dependencies included', () => {
    expectAtMost('bundled, gzip', bundled.first)
  })

  test('models and prices come in a chunk of their own, when they are needed', () => {
    expectAtMost('models and prices, gzip, loaded later', bundled.lazy)
  })

  test('the package is imported as fast as the README says', () => {
    const ours = importTime(join(packed.folder, 'dist/index.js'), root)
    const zod = importTime('zod', root)
    const figure = stated(readme, 'import')
    expect(figure, `the README needs a row "| import | … ms |"; measured: ${ours.toFixed(0)} ms`).not.toBeNull()
    // On a slower or busier machine everything is slower: then zod is the measure.
    expect(ours, `zod took ${zod.toFixed(0)} ms`).toBeLessThanOrEqual(Math.max(figure ?? 0, zod))
  }, 60_000)

  test('the package holds what was built, the README and the licence, and nothing else', () => {
    const odd = packed.files.filter(
      (path) => !/^(dist\/[\w.-]+\.(js|d\.ts)|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/.test(path),
    )
    expect(odd).toEqual([])
    expect(packed.files).toEqual(expect.arrayContaining(['dist/index.js', 'dist/index.d.ts', 'README.md', 'LICENSE']))
  })

  test('figures are read from a table', () => {
    expect(stated('| packed | 64.5 kB |', 'packed')).toBe(64_500)
    expect(stated('| a | b |\n| import   | 40 ms   |', 'import')).toBe(40)
    expect(stated('| packed | small |', 'packed')).toBeNull()
    expect(stated('packed: 64 kB', 'packed')).toBeNull()
  })
})
