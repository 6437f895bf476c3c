import { readdirSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

export const root: string = fileURLToPath(new URL('../../', import.meta.url))

/** The options that the repository compiles with: users' editors are no milder. */
export function compilerOptions(): ts.CompilerOptions {
  const { config, error } = ts.readConfigFile(`${root}tsconfig.json`, ts.sys.readFile)
  if (error !== undefined) throw new Error(messageOf(error))
  return ts.parseJsonConfigFileContent(config, ts.sys, root).options
}

/** The files of a folder that are to be compiled and never run. */
export function samplesIn(folder: string, but: readonly string[]): readonly string[] {
  return readdirSync(`${root}${folder}`)
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !but.includes(name))
    .map((name) => posix.join(root, folder, name))
}

export interface Problem {
  readonly file: string
  readonly line: number
  readonly message: string
}

/** Files of our own that exist nowhere but here, by their absolute path, on top of those on disk. */
export type Virtual = ReadonlyMap<string, string>

export interface Compiler {
  /** What the compiler says of these files; of what they import, it says nothing. */
  problemsOf(files: readonly string[]): readonly Problem[]
  /** What an editor offers at the `‸` in a virtual file. */
  offersAt(path: string): readonly string[]
  close(): void
}

const CURSOR = '‸'

/** The language service that editors ask. One for all files: what takes long is to read the libraries. */
export function openCompiler(files: readonly string[], virtual: Virtual): Compiler {
  const options = compilerOptions()
  const names = [...files, ...virtual.keys()]
  const readFile = (path: string) => virtual.get(path)?.replace(CURSOR, '') ?? ts.sys.readFile(path)
  const service = ts.createLanguageService({
    getCompilationSettings: () => options,
    getScriptFileNames: () => names,
    getScriptVersion: () => '0',
    getScriptSnapshot: (path) => {
      const content = readFile(path)
      return content === undefined ? undefined : ts.ScriptSnapshot.fromString(content)
    },
    getCurrentDirectory: () => root,
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    fileExists: (path) => virtual.has(path) || ts.sys.fileExists(path),
    readFile,
  })
  return {
    problemsOf: (paths) =>
      paths.flatMap((path) => {
        const file = service.getProgram()?.getSourceFile(path)
        if (file === undefined) throw new Error(`${path} was not compiled`)
        return [...service.getSyntacticDiagnostics(path), ...service.getSemanticDiagnostics(path)].map(
          (diagnostic) => ({
            file: posix.relative(root, path),
            line: file.getLineAndCharacterOfPosition(diagnostic.start ?? 0).line + 1,
            message: messageOf(diagnostic),
          }),
        )
      }),
    offersAt(path) {
      const at = virtual.get(path)?.indexOf(CURSOR) ?? -1
      if (at < 0) throw new Error(`${path} has no place to ask at`)
      return service.getCompletionsAtPosition(path, at, {})?.entries.map(({ name }) => name) ?? []
    },
    close: () => service.dispose(),
  }
}

function messageOf({ messageText }: Pick<ts.Diagnostic, 'messageText'>): string {
  return ts.flattenDiagnosticMessageText(messageText, '\n')
}
