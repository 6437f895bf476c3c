import ts from 'typescript'
import { expect, test } from 'vitest'
import { nodesOf, type Source, sourceOf, sourcesIn } from './source.ts'

/** Where a provider is at home. Everybody else asks what it can do (`supports.hosts`), never what it is called. */
const AT_HOME =
  /^src\/(dialects\/groq\.ts|dialects\/openrouter\.ts|provider\.ts|sandbox\/.*|catalog\/.*|http\/chat-request\.ts)$/

const NAME = /\b(groq|openrouter)\b/i

function namings(source: Source): string[] {
  return [...nodesOf(source)].filter(({ node }) => asksName(node)).map(({ node, at }) => `${at} ${node.getText()}`)
}

function asksName(node: ts.Node): boolean {
  if (ts.isBinaryExpression(node)) return isEquality(node) && [node.left, node.right].some(isName)
  if (ts.isCaseClause(node)) return isName(node.expression)
  if (ts.isCallExpression(node)) {
    if (!ts.isPropertyAccessExpression(node.expression)) return false
    return ASKING.has(node.expression.name.text) && [...node.arguments, node.expression.expression].some(holdsName)
  }
  if (ts.isElementAccessExpression(node)) return isName(node.argumentExpression)
  // A table by provider is a comparison in other clothes.
  if (ts.isPropertyAssignment(node)) return NAME.test(node.name.getText())
  return ts.isRegularExpressionLiteral(node) && NAME.test(node.text)
}

const ASKING = new Set([
  'includes',
  'startsWith',
  'endsWith',
  'indexOf',
  'has',
  'get',
  'test',
  'match',
  'localeCompare',
])

function isEquality({ operatorToken: { kind } }: ts.BinaryExpression): boolean {
  return (
    kind === ts.SyntaxKind.EqualsEqualsEqualsToken ||
    kind === ts.SyntaxKind.ExclamationEqualsEqualsToken ||
    kind === ts.SyntaxKind.EqualsEqualsToken ||
    kind === ts.SyntaxKind.ExclamationEqualsToken
  )
}

function isName(node: ts.Node): boolean {
  if (ts.isStringLiteralLike(node)) return NAME.test(node.text)
  return ts.isTemplateExpression(node) && NAME.test(node.getText())
}

function holdsName(node: ts.Node): boolean {
  return isName(node) || (ts.isArrayLiteralExpression(node) && node.elements.some(isName))
}

test('shared code never asks what a provider is called', () => {
  const shared = sourcesIn('src').filter(({ path }) => !AT_HOME.test(path))
  expect(shared.flatMap(namings)).toEqual([])
})

test.each([
  "if (name === 'groq') run()",
  "if ('openrouter' !== name) run()",
  'if (name == "groq") run()',
  "switch (name) { case 'groq': run() }",
  "if (['groq', 'openrouter'].includes(name)) run()",
  "if (place.startsWith('openrouter/')) run()",
  'if (/^openrouter/.test(name)) run()',
  'const run = { groq: one, openrouter: two }[name]',
  "const run = runs['groq']",
])('asking for a name is found: %s', (text) => {
  expect(namings(sourceOf('src/runner.ts', text))).not.toEqual([])
})

test('a setting called openrouter and a word in a message are no question', () => {
  const text = "export const problem = () => 'expected groq() or openrouter()'\nexport const given = request.openrouter"
  expect(namings(sourceOf('src/runner.ts', text))).toEqual([])
})
