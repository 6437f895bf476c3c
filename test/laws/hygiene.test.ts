import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { nodesOf, root, type Source, sourceOf, sourcesIn } from './source.ts'

const sources = sourcesIn('src')
/** Written by a script, and as long as the world has models. */
const generated = ({ text }: Source) => text.startsWith('/** Made by ')

const LONGEST_FILE = 400

function anys(source: Source): string[] {
  return [...nodesOf(source)].filter(({ node }) => node.kind === ts.SyntaxKind.AnyKeyword).map(({ at }) => at)
}

function certainties(source: Source): string[] {
  return [...nodesOf(source)].filter(({ node }) => ts.isNonNullExpression(node)).map(({ at }) => at)
}

/** What the provider did not say is unknown. To say 0 for it is to invent a bill. */
function inventedZeros(source: Source): string[] {
  return [...nodesOf(source)]
    .filter(
      ({ node }) =>
        ts.isBinaryExpression(node) &&
        [ts.SyntaxKind.QuestionQuestionToken, ts.SyntaxKind.BarBarToken].includes(node.operatorToken.kind) &&
        node.right.getText() === '0',
    )
    .map(({ node, at }) => `${at} ${node.getText()}`)
}

const MEASURED = /^src\/(usage|cost|answer|settle|ledger|tally|reconcile|billing)\.ts$/

describe('the sources', () => {
  test(`no file is longer than ${LONGEST_FILE} lines`, () => {
    const long = sources
      .filter((source) => !generated(source))
      .map(({ path, text }) => ({ path, lines: text.trimEnd().split('\n').length }))
      .filter(({ lines }) => lines > LONGEST_FILE)
    expect(long).toEqual([])
  })

  test('nothing is of any type, and nothing is declared to be there', () => {
    expect(sources.flatMap(anys)).toEqual([])
    expect(sources.flatMap(certainties)).toEqual([])
  })

  test('nothing is left for later', () => {
    const left = sources.flatMap(({ path, text }) =>
      text
        .split('\n')
        .flatMap((line, index) => (/\b(TODO|FIXME|XXX|HACK)\b/.test(line) ? [`${path}:${index + 1}`] : [])),
    )
    expect(left).toEqual([])
  })

  test('no measured figure becomes 0 for want of one', () => {
    expect(sources.filter(({ path }) => MEASURED.test(path)).flatMap(inventedZeros)).toEqual([])
  })

  test('there is no barrel but the contents page', () => {
    const barrels = sources.filter(({ path, tree }) => {
      const forwards = tree.statements.filter(ts.isExportDeclaration).length
      return path !== 'src/index.ts' && forwards > 0 && forwards === tree.statements.length
    })
    expect(barrels.map(({ path }) => path)).toEqual([])
  })

  test.each([
    [anys, 'export const value: any = 1'],
    [anys, 'export const value = 1 as any'],
    [certainties, 'export const first = list[0]!'],
    [inventedZeros, 'export const cost = usage.cost ?? 0'],
    [inventedZeros, 'export const cost = usage.cost || 0'],
  ] as const)('%o finds: %s', (law, text) => {
    expect(law(sourceOf('src/usage.ts', text))).toHaveLength(1)
  })
})

/** In pieces, for this file is tracked as well. */
const FOREIGN = [
  new RegExp(`(?<![\\w.~-])/(${['work', 'root', 'home', 'Users'].join('|')})/[a-z]`),
  new RegExp(['registry', '(npmjs|yarnpkg|npmmirror)', '(org|com)'].join('\\.')),
]

function foreignIn(text: string): string[] {
  return text.split('\n').filter((line) => FOREIGN.some((pattern) => pattern.test(line)))
}

const isCheckout = existsSync(`${root}.git`)

function trackedFiles(): readonly string[] {
  return execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' })
    .split('\0')
    .filter((path) => path !== '' && existsSync(`${root}${path}`))
}

describe.skipIf(!isCheckout)('the tracked files (needs a git checkout)', () => {
  // What is skipped is described all the same.
  const tracked = isCheckout ? trackedFiles() : []

  test('none knows the machine it was written on, or where packages came from', () => {
    expect(tracked).toContain('package.json')
    const found = tracked.flatMap((path) =>
      foreignIn(readFileSync(`${root}${path}`, 'utf8')).map((line) => `${path}: ${line.slice(0, 200)}`),
    )
    expect(found).toEqual([])
  })

  test('the lock file leaves the registry to whoever installs', () => {
    expect(readFileSync(`${root}package-lock.json`, 'utf8')).not.toContain('"resolved"')
  })

  test('the lock file knows every package that it names, for every platform, or npm ci refuses it', () => {
    const { packages }: { packages: Record<string, { dependencies?: object; optionalDependencies?: object }> } =
      JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8'))
    const missing = Object.entries(packages).flatMap(([path, { dependencies, optionalDependencies }]) =>
      Object.keys({ ...dependencies, ...optionalDependencies })
        .filter((name) => !Object.keys(packages).some((other) => other.endsWith(`node_modules/${name}`)))
        .map((name) => `${path} needs ${name}`),
    )
    expect(missing).toEqual([])
  })

  test('a path and a host are found', () => {
    expect(foreignIn(`see /${'work'}/notes`)).toHaveLength(1)
    expect(foreignIn(`https://${'registry'}.npmjs.org/zod`)).toHaveLength(1)
    expect(foreignIn('a network/work/load, https://example.com/home/page, /v1/models')).toEqual([])
  })
})
