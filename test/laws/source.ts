import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

export const root: string = fileURLToPath(new URL('../../', import.meta.url))

/** A file of the package as its parser sees it. */
export interface Source {
  /** From the root of the repository, with forward slashes. */
  readonly path: string
  readonly text: string
  readonly tree: ts.SourceFile
}

export interface Import {
  readonly specifier: string
  /** Nothing of it is left in the JavaScript. */
  readonly typeOnly: boolean
  readonly line: number
}

export function sourceOf(path: string, text: string): Source {
  return { path, text, tree: ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true) }
}

/** Every TypeScript file below a folder. */
export function sourcesIn(folder: string): readonly Source[] {
  return readdirSync(new URL(`../../${folder}`, import.meta.url), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => posix.join(folder, name.replaceAll('\\', '/')))
    .sort()
    .map((path) => sourceOf(path, readFileSync(`${root}${path}`, 'utf8')))
}

/** Imports, re-exports, dynamic imports and `import('…')` types alike. */
export function importsOf({ tree }: Source): readonly Import[] {
  const imports: Import[] = []
  const note = (specifier: ts.Node | undefined, typeOnly: boolean) => {
    if (specifier === undefined || !ts.isStringLiteralLike(specifier)) return
    imports.push({ specifier: specifier.text, typeOnly, line: lineOf(tree, specifier) })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) note(node.moduleSpecifier, isTypeOnly(node.importClause))
    else if (ts.isExportDeclaration(node)) note(node.moduleSpecifier, node.isTypeOnly || allTypes(node.exportClause))
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) note(node.argument.literal, true)
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      note(node.arguments[0], false)
    }
    ts.forEachChild(node, visit)
  }
  visit(tree)
  return imports
}

function isTypeOnly(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return false
  if (clause.isTypeOnly) return true
  return clause.name === undefined && allTypes(clause.namedBindings)
}

function allTypes(bindings: ts.NamedImportBindings | ts.NamedExportBindings | undefined): boolean {
  if (bindings === undefined || !(ts.isNamedImports(bindings) || ts.isNamedExports(bindings))) return false
  return bindings.elements.length > 0 && bindings.elements.every((element) => element.isTypeOnly)
}

/** The files of our own that a file imports. */
export function neighboursOf(source: Source): readonly string[] {
  const own = importsOf(source).filter(({ specifier }) => specifier.startsWith('.'))
  return [...new Set(own.map(({ specifier }) => posix.join(posix.dirname(source.path), specifier)))]
}

/** Names that stand for a value from outside, with their line; a member's or a property's name is none. */
export function namesUsed({ tree }: Source): readonly { readonly name: string; readonly line: number }[] {
  const used: { name: string; line: number }[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node) && !isLabel(node)) used.push({ name: nameAt(node), line: lineOf(tree, node) })
    if (ts.isTypeNode(node) && !ts.isExpressionWithTypeArguments(node)) return
    ts.forEachChild(node, visit)
  }
  visit(tree)
  return used
}

/** `Date.now` for what follows `Date`, so that a law can tell it from `Date.parse`. */
function nameAt(node: ts.Identifier): string {
  const { parent } = node
  if (!ts.isPropertyAccessExpression(parent) || parent.expression !== node) return node.text
  if (node.text === 'globalThis') return parent.name.text
  return `${node.text}.${parent.name.text}`
}

function isLabel(node: ts.Identifier): boolean {
  const { parent } = node
  if (ts.isPropertyAccessExpression(parent)) return parent.name === node
  if (ts.isPropertyAssignment(parent) || ts.isMethodDeclaration(parent)) return parent.name === node
  if (ts.isPropertySignature(parent) || ts.isMethodSignature(parent)) return true
  return ts.isBindingElement(parent) && parent.propertyName === node
}

export function lineOf(tree: ts.SourceFile, node: ts.Node): number {
  return tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1
}

/** Every node of a file, with a place to point at. */
export function* nodesOf(source: Source): Generator<{ readonly node: ts.Node; readonly at: string }> {
  const stack: ts.Node[] = [source.tree]
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    yield { node, at: `${source.path}:${lineOf(source.tree, node)}` }
    ts.forEachChild(node, (child) => void stack.push(child))
  }
}
