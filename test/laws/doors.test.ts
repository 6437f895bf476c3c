import { readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { expect, test } from 'vitest'
import { importsOf, namesUsed, root, type Source, sourceOf, sourcesIn } from './source.ts'

/** Swapping a package is editing its file. What may be imported for its types alone may be so anywhere. */
const DOORS: Readonly<Record<string, { readonly files: readonly string[]; readonly types: boolean }>> = {
  'eventsource-parser': { files: ['src/sse.ts'], types: false },
  'p-retry': { files: ['src/retry.ts'], types: false },
  openai: { files: ['src/wires/openai.ts'], types: true },
  '@opentelemetry/api': { files: ['src/otel.ts'], types: true },
  zod: { files: ['src/structured.ts'], types: false },
}

/** Whoever wants what is behind these installs them; nobody else needs them. */
const OPTIONAL = ['@opentelemetry/api']

/** Doors that only Node has: everything else runs in workers, Deno and Bun too. */
const NODE_ONLY = /^src\/(sandbox\/|cli\/|(node|appender)\.ts$)/

/** The door that a server of Node's stands in asks for Node when it is opened, and not before: its types cost nothing. */
const NODE_LATER = { types: /^src\/http\//, file: 'src/http/node-server.ts', written: 'import(/*' }

const TIME =
  /^(setTimeout|setInterval|setImmediate|clearTimeout|clearInterval|performance|Date|AbortSignal\.timeout|Math\.random)(\.|$)/
/** Reads dates that providers send; asks no clock. */
const READS_DATES = { file: 'src/retry-after.ts', name: 'Date.parse' }

/** What some places do not have. `process` is looked at in one place, behind a guard, for keys. */
const NODE_NAMES = /^(Buffer|process|require|__dirname|__filename|global)(\.|$)/
const READS_KEYS = { file: 'src/provider.ts', guarded: 'globalThis.process?.env?.[' }

const sources = sourcesIn('src')
const isBuiltin = (specifier: string) => specifier.startsWith('node:') || builtinModules.includes(specifier)
const packageOf = (specifier: string) =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')

function wrongPackages(source: Source): string[] {
  return importsOf(source)
    .filter(({ specifier }) => !specifier.startsWith('.') && !isBuiltin(specifier))
    .filter(({ specifier, typeOnly }) => {
      const door = DOORS[packageOf(specifier)]
      return door === undefined || !(door.files.includes(source.path) || (door.types && typeOnly))
    })
    .map(({ specifier, line }) => `${source.path}:${line} imports ${specifier}`)
}

function wrongBuiltins(source: Source): string[] {
  if (NODE_ONLY.test(source.path)) {
    // Deno knows Node's modules by no other name.
    return importsOf(source)
      .filter(({ specifier }) => isBuiltin(specifier) && !specifier.startsWith('node:'))
      .map(({ specifier, line }) => `${source.path}:${line} imports ${specifier} without node:`)
  }
  return importsOf(source)
    .filter(({ specifier }) => isBuiltin(specifier))
    .filter(({ typeOnly, line }) => {
      if (typeOnly) return !NODE_LATER.types.test(source.path)
      return source.path !== NODE_LATER.file || !lineAt(source, line).includes(NODE_LATER.written)
    })
    .map(({ specifier, line }) => `${source.path}:${line} imports ${specifier}`)
}

function wrongNames(source: Source): string[] {
  if (NODE_ONLY.test(source.path)) return []
  return namesUsed(source)
    .filter(({ name }) => NODE_NAMES.test(name))
    .filter(({ line }) => {
      const guarded = source.path === READS_KEYS.file && lineAt(source, line).includes(READS_KEYS.guarded)
      return !guarded
    })
    .map(({ name, line }) => `${source.path}:${line} uses ${name}`)
}

function wrongTimes(source: Source): string[] {
  if (NODE_ONLY.test(source.path) || source.path === 'src/clock.ts') return []
  return namesUsed(source)
    .filter(({ name }) => TIME.test(name))
    .filter(({ name }) => !(source.path === READS_DATES.file && name === READS_DATES.name))
    .map(({ name, line }) => `${source.path}:${line} uses ${name}`)
}

const lineAt = ({ text }: Source, line: number) => text.split('\n')[line - 1] ?? ''

test('each package comes in through one door', () => {
  expect(sources.flatMap(wrongPackages)).toEqual([])
})

test('the packages behind the doors are the dependencies', () => {
  const manifest: { dependencies: object; peerDependencies: object; peerDependenciesMeta: object } = JSON.parse(
    readFileSync(`${root}package.json`, 'utf8'),
  )
  const needed = Object.keys(DOORS).filter((name) => !OPTIONAL.includes(name))
  expect(Object.keys(manifest.dependencies).sort()).toEqual(needed.sort())
  expect(Object.keys(manifest.peerDependencies)).toEqual(OPTIONAL)
  expect(manifest.peerDependenciesMeta).toEqual(Object.fromEntries(OPTIONAL.map((name) => [name, { optional: true }])))
})

test('Node comes in through its own doors alone', () => {
  expect(sources.flatMap(wrongBuiltins)).toEqual([])
  expect(sources.flatMap(wrongNames)).toEqual([])
})

test('time and chance come in through the clock alone', () => {
  expect(sources.flatMap(wrongTimes)).toEqual([])
})

test.each([
  [wrongPackages, "import { OpenAI } from 'openai'"],
  [wrongPackages, "import { type OpenAI, OpenAIError } from 'openai'"],
  [wrongPackages, "export * from 'eventsource-parser/stream'"],
  [wrongPackages, "export const z = await import('zod/mini')"],
  [wrongPackages, "import 'left-pad'"],
  [wrongBuiltins, "import { createHash } from 'node:crypto'"],
  [wrongBuiltins, "import type { Server } from 'http'"],
  [wrongNames, 'export const text = Buffer.from("")'],
  [wrongNames, 'export const key = process.env.KEY'],
  [wrongTimes, 'export const now = performance.now()'],
  [wrongTimes, 'export const then = new Date(0)'],
  [wrongTimes, 'export const then = Date.parse("")'],
  [wrongTimes, 'setTimeout(() => {}, 1)'],
] as const)('%o finds: %s', (law, text) => {
  expect(law(sourceOf('src/ledger.ts', text))).toHaveLength(1)
})

test('the types of a client may be named anywhere', () => {
  const text = "import type { OpenAI } from 'openai'\nimport { type ChatCompletion } from 'openai/resources'"
  expect(wrongPackages(sourceOf('src/ledger.ts', text))).toEqual([])
})
