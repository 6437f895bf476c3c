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

/** What the compiler says of these files; of what they import, it says nothing. */
export function problemsOf(files: readonly string[], virtual: Virtual = new Map()): readonly Problem[] {
  const options = compilerOptions()
  const host = ts.createCompilerHost(options)
  const { fileExists, readFile, getSourceFile } = host
  host.fileExists = (path) => virtual.has(path) || fileExists(path)
  host.readFile = (path) => virtual.get(path) ?? readFile(path)
  host.getSourceFile = (path, language, ...rest) => {
    const text = virtual.get(path)
    return text === undefined ? getSourceFile(path, language, ...rest) : ts.createSourceFile(path, text, language, true)
  }
  const program = ts.createProgram([...files], options, host)
  return files.flatMap((path) => {
    const file = program.getSourceFile(path)
    if (file === undefined) throw new Error(`${path} was not compiled`)
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map((diagnostic) => ({
      file: posix.relative(root, path),
      line: file.getLineAndCharacterOfPosition(diagnostic.start ?? 0).line + 1,
      message: messageOf(diagnostic),
    }))
  })
}

function messageOf({ messageText }: ts.Diagnostic): string {
  return ts.flattenDiagnosticMessageText(messageText, '\n')
}

export interface Editor {
  /** What it offers at the `‸` in a text. */
  offers(text: string): readonly string[]
  close(): void
}

/** The language service that editors ask; one for many texts, because it reads everything once. */
export function openEditor(): Editor {
  const path = posix.join(root, 'test/types/completions.virtual.ts')
  let virtual = ''
  let version = 0
  const service = ts.createLanguageService({
    getCompilationSettings: compilerOptions,
    getScriptFileNames: () => [path],
    getScriptVersion: (name) => (name === path ? String(version) : '0'),
    getScriptSnapshot: (name) => {
      const content = name === path ? virtual : ts.sys.readFile(name)
      return content === undefined ? undefined : ts.ScriptSnapshot.fromString(content)
    },
    getCurrentDirectory: () => root,
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    fileExists: (name) => name === path || ts.sys.fileExists(name),
    readFile: (name) => (name === path ? virtual : ts.sys.readFile(name)),
  })
  return {
    offers(text) {
      const at = text.indexOf('‸')
      virtual = text.slice(0, at) + text.slice(at + 1)
      version += 1
      return service.getCompletionsAtPosition(path, at, {})?.entries.map(({ name }) => name) ?? []
    },
    close: () => service.dispose(),
  }
}
