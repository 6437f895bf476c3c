import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

/** The smallest use there is. */
const SMALLEST = `
  import { createRouter, groq } from 'modelfirst'
  export const router = createRouter({ providers: [groq()], tasks: { tag: { model: 'openai/gpt-oss-20b' } } })
`

export interface Bundled {
  /** Bytes of what is loaded at once, minified and zipped, dependencies included. */
  readonly first: number
  /** The same for what is loaded when it is needed: the snapshot of models and prices. */
  readonly lazy: number
}

export async function bundle(folder: string): Promise<Bundled> {
  const { outputFiles, metafile } = await build({
    stdin: { contents: SMALLEST, resolveDir: folder, sourcefile: 'smallest.js' },
    alias: { modelfirst: join(folder, 'dist/index.js') },
    bundle: true,
    minify: true,
    splitting: true,
    format: 'esm',
    target: 'es2022',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    outdir: join(folder, 'bundled'),
    write: false,
    metafile: true,
  })
  const zipped = new Map(outputFiles.map(({ path, contents }) => [path, gzipSync(contents, { level: 9 }).length]))
  const chunks = Object.entries(metafile.outputs)
  const entry = chunks.find(([, { entryPoint }]) => entryPoint?.endsWith('smallest.js'))
  const atOnce = new Set<string>()
  const follow = (path: string): void => {
    if (atOnce.has(path)) return
    atOnce.add(path)
    for (const each of metafile.outputs[path]?.imports ?? []) if (each.kind === 'import-statement') follow(each.path)
  }
  if (entry === undefined) throw new Error('esbuild made no entry')
  follow(entry[0])
  const sizes = { first: 0, lazy: 0 }
  for (const [path] of chunks) {
    const bytes = [...zipped].find(([file]) => file.endsWith(path.slice(path.lastIndexOf('/'))))?.[1]
    if (bytes === undefined) throw new Error(`esbuild did not write ${path}`)
    sizes[atOnce.has(path) ? 'first' : 'lazy'] += bytes
  }
  return sizes
}

/** Milliseconds until a module is there, in a process of its own; the quickest of several, for the machine has other work. */
export function importTime(specifier: string, from: string, runs = 5): number {
  const target = specifier.startsWith('/') ? pathToFileURL(specifier).href : specifier
  const script = `const t = performance.now(); await import(${JSON.stringify(target)}); console.log(performance.now() - t)`
  const times = Array.from({ length: runs }, () =>
    Number(
      execFileSync(process.execPath, ['--input-type=module', '-e', script], {
        cwd: from,
        encoding: 'utf8',
        env: { PATH: process.env.PATH },
      }),
    ),
  )
  return Math.min(...times)
}

/** What a row of the README's table says, in bytes or milliseconds; `null` when there is none. */
export function stated(readme: string, what: string): number | null {
  const row = readme.split('\n').find((line) => line.split('|')[1]?.trim() === what)
  const [, figure, unit = ''] = row?.match(/\|\s*([\d.,]+)\s*(kB|ms|B|MB)\s*\|/) ?? []
  if (figure === undefined) return null
  const factor = { B: 1, kB: 1000, MB: 1_000_000, ms: 1 }[unit]
  return factor === undefined ? null : Number(figure.replaceAll(',', '')) * factor
}
