import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { root } from '../laws/source.ts'

/** Programs that append to a file, each in a process of its own. */
export interface Writers {
  /** `shell` runs before it, for limits of the operating system. */
  start(program: string, options?: { readonly shell?: string }): ChildProcess
  close(): void
}

/** `program` sees `jsonLines`, `createSinks`, `recordOf` and `recordsOf`. */
export async function createWriters(): Promise<Writers> {
  const cache = join(root, 'node_modules/.cache')
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(cache, 'modelfirst-writers-'))
  const file = join(folder, 'writing.mjs')
  const contents = `
    export { jsonLines } from './src/node.ts'
    export { createSinks } from './src/sinks.ts'
    export { systemClock } from './src/clock.ts'
    export { recordOf, recordsOf } from './test/sinks/records.ts'
  `
  await build({
    stdin: { contents, resolveDir: root, loader: 'ts' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'es2022',
    outfile: file,
    logLevel: 'silent',
  })
  const children = new Set<ChildProcess>()
  return {
    start(program, { shell = ':' } = {}) {
      const text = `import { jsonLines, createSinks, systemClock, recordOf, recordsOf } from ${JSON.stringify(file)}\n${program}`
      const command = `${shell}; exec "$0" --input-type=module -e "$1"`
      const child = spawn('/bin/sh', ['-c', command, process.execPath, text], { stdio: ['ignore', 'pipe', 'pipe'] })
      children.add(child)
      child.on('exit', () => children.delete(child))
      return child
    },
    close() {
      for (const child of children) child.kill('SIGKILL')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** What a process has said when it is over. */
export async function ended(child: ChildProcess): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const output = { stdout: '', stderr: '' }
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text
  })
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  return { code, ...output }
}
