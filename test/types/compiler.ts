import { readdirSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

/** Also from where this file is bundled to. */
export const root: string = `${posix.dirname(configAbove(fileURLToPath(import.meta.url)))}/`

function configAbove(path: string): string {
  const found = ts.findConfigFile(posix.dirname(path), ts.sys.fileExists)
  if (found === undefined) throw new Error('there is no tsconfig.json above')
  return found
}

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
  /** What somebody has written there; a new virtual file is one more. */
  write(path: string, text: string): void
  /** How many types were made from generic ones so far: the same each time, however busy the machine is. */
  instantiations(): number
  close(): void
}

const CURSOR = '‸'

/**
 * The language service that editors ask. One for all files: what takes long is to read the libraries. Services that share
 * a `registry` read them once.
 */
export function openCompiler(files: readonly string[], given: Virtual, registry?: ts.DocumentRegistry): Compiler {
  const options = compilerOptions()
  const virtual = new Map(given)
  const versions = new Map<string, number>()
  const readFile = (path: string) => virtual.get(path)?.replace(CURSOR, '') ?? ts.sys.readFile(path)
  const host: ts.LanguageServiceHost = {
    getCompilationSettings: () => options,
    getScriptFileNames: () => [...files, ...virtual.keys()],
    getScriptVersion: (path) => String(versions.get(path) ?? 0),
    getScriptSnapshot: (path) => {
      const content = readFile(path)
      return content === undefined ? undefined : ts.ScriptSnapshot.fromString(content)
    },
    getCurrentDirectory: () => root,
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    fileExists: (path) => virtual.has(path) || ts.sys.fileExists(path),
    readFile,
  }
  const service = ts.createLanguageService(host, registry)
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
    write(path, text) {
      virtual.set(path, text)
      versions.set(path, (versions.get(path) ?? 0) + 1)
    },
    instantiations: () => service.getProgram()?.getInstantiationCount() ?? 0,
    close: () => service.dispose(),
  }
}

function messageOf({ messageText }: Pick<ts.Diagnostic, 'messageText'>): string {
  return ts.flattenDiagnosticMessageText(messageText, '\n')
}
