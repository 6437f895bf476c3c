import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))

export interface Packed {
  /** The package as it is before it is packed. */
  readonly folder: string
  readonly tarball: string
  readonly bytes: number
  readonly files: readonly string[]
}

/** Builds and packs in a folder of its own: whoever works in `dist` at the same time is not disturbed. */
export function packInto(folder: string): Packed {
  const source = join(folder, 'package')
  mkdirSync(source, { recursive: true })
  execFileSync(
    process.execPath,
    [join(root, 'node_modules/tsup/dist/cli-default.js'), '--silent', '--out-dir', join(source, 'dist')],
    { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] },
  )
  for (const name of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md']) {
    if (existsSync(join(root, name))) copyFileSync(join(root, name), join(source, name))
  }
  const output = execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
    cwd: source,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const [{ filename, files }]: [{ filename: string; files: { path: string }[] }] = listOf(JSON.parse(output))
  const tarball = join(folder, filename)
  return { folder: source, tarball, bytes: statSync(tarball).size, files: files.map(({ path }) => path) }
}

/** npm 11 answers with a list; npm 12 with an object by package name. */
function listOf(json: unknown): [{ filename: string; files: { path: string }[] }] {
  return (Array.isArray(json) ? json : Object.values(json ?? {})) as [{ filename: string; files: { path: string }[] }]
}
