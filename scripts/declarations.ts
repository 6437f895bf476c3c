import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import ts from 'typescript'

const SOURCE = 'src'

/**
 * What the compiler says of the types of these files, and of all they import, in a folder for as long as this process
 * lives. It is asked once for all of them, and only to write: a bundler that asks for each entry by itself, and for a
 * check each time, takes four times as long. `npm run typecheck` checks.
 */
export function declarationsOf(entries: Readonly<Record<string, string>>): Record<string, string> {
  // Not below node_modules: what lies there is somebody else's, and is not bundled.
  const folder = mkdtempSync(join(tmpdir(), 'modelfirst-types-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const { config } = ts.readConfigFile('tsconfig.json', ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config, { ...ts.sys, readDirectory: () => [] }, '.')
  const program = ts.createProgram(Object.values(entries), {
    ...options,
    noCheck: true,
    noEmit: false,
    declaration: true,
    emitDeclarationOnly: true,
    rootDir: SOURCE,
    outDir: folder,
  })
  const { diagnostics } = program.emit(undefined, (path, text) => {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text.replace(/((?:\bfrom |\bimport\(|\bimport )')(\.[^']*)\.ts'/g, "$1$2.js'"))
  })
  if (diagnostics.length > 0) throw new Error(ts.formatDiagnostics(diagnostics, HOST))
  return Object.fromEntries(
    Object.entries(entries).map(([name, path]) => [
      name,
      join(folder, relative(SOURCE, path)).replace(/\.ts$/, '.d.ts'),
    ]),
  )
}

const HOST: ts.FormatDiagnosticsHost = {
  getCurrentDirectory: () => process.cwd(),
  getCanonicalFileName: (name) => name,
  getNewLine: () => '\n',
}
