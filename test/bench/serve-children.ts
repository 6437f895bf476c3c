import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/** Processes of a measurement, and their end. */
export interface Children {
  /** Starts one of our own, and resolves to its port. */
  start(name: 'serve-upstream' | 'serve-gateway', args?: readonly string[]): Promise<Child>
  adopt(child: ChildProcess): void
  end(): void
}

export interface Child {
  readonly process: ChildProcess
  readonly port: number
}

/** Bundled as users have it: a loader of TypeScript would be measured as well. */
export async function createChildren(): Promise<Children> {
  const folder = fileURLToPath(new URL('../../node_modules/.cache/modelfirst-bench/', import.meta.url))
  await build({
    entryPoints: ['serve-upstream', 'serve-gateway'].map((name) =>
      fileURLToPath(new URL(`./${name}.ts`, import.meta.url)),
    ),
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'error',
  })
  const children: ChildProcess[] = []
  return {
    start(name, args = []) {
      const child = fork(join(folder, `${name}.js`), args, { execArgv: ['--expose-gc'] })
      children.push(child)
      return new Promise((resolve, reject) => {
        child.once('message', ({ port }: { port: number }) => resolve({ process: child, port }))
        child.once('exit', (code) => reject(new Error(`${name} ended with ${code} before it listened`)))
      })
    },
    adopt: (child) => void children.push(child),
    end() {
      for (const child of children) child.kill()
    },
  }
}
