import ts from 'typescript'
import { expect, test } from 'vitest'
import { namesUsed, nodesOf, type Source, sourceOf, sourcesIn } from './source.ts'

/** What a plan and a record follow from: the same facts give the same answer, today and in a replay. */
const PURE =
  /^src\/(plan|planner|policy|way|stickiness|stay|pin|pin-text|caching|marks|tool-ids|chain|fallback|model-rule|provider-rule|catalog|money|price|span|cost|tariffs|charged|drift|billing|usage|quantiles|measures|tally|timeline|ledger|failure|answer|history|settings|structured|schema|json-schema|json-values|normal|issues|issue-words|pattern|lenient|strict|strict-words|tastes|partial|dialects\/[\w-]+)\.ts$/

const IMPURE =
  /^(Date|Math\.random|fetch|process|performance|crypto|setTimeout|setInterval|setImmediate|queueMicrotask)(\.|$)|^AbortSignal\.timeout$/

const sources = sourcesIn('src').filter(({ path }) => PURE.test(path))

function impurities(source: Source): string[] {
  const named = namesUsed(source)
    .filter(({ name }) => IMPURE.test(name))
    .map(({ name, line }) => `${source.path}:${line} uses ${name}`)
  const waits = [...nodesOf(source)].filter(({ node }) => isWaiting(node)).map(({ at }) => `${at} waits for something`)
  return [...named, ...waits]
}

function isWaiting(node: ts.Node): boolean {
  if (ts.isAwaitExpression(node)) return true
  if (ts.isForOfStatement(node)) return node.awaitModifier !== undefined
  return node.kind === ts.SyntaxKind.AsyncKeyword
}

test('planning waits for nothing and knows no clock, no chance, no network, no process', () => {
  expect(sources.map(({ path }) => path)).toEqual(
    expect.arrayContaining(['src/planner.ts', 'src/usage.ts', 'src/dialects/groq.ts']),
  )
  expect(sources.flatMap(impurities)).toEqual([])
})

test.each([
  'export const now = Date.now()',
  'export const day = new Date()',
  'export const chance = Math.random()',
  'export const answer = fetch("/")',
  'export const key = process.env.KEY',
  'export const key = globalThis.process?.env.KEY',
  'export const stop = AbortSignal.timeout(1)',
  'setTimeout(() => {}, 1)',
  'export async function plan() {}',
  'for await (const each of []) each',
])('an impurity is found: %s', (text) => {
  expect(impurities(sourceOf('src/plan.ts', text))).not.toEqual([])
})

test('a member, a property and a word in a comment are no impurity', () => {
  const text = '/** process, Date.now */ export const date = (of: { Date: number; fetch: string }) => of.Date'
  expect(impurities(sourceOf('src/plan.ts', text))).toEqual([])
})
