import { spawn } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'

export interface Ran {
  readonly stdout: string
  readonly stderr: string
}

/** What `npm run` sets for its own child would be taken by other npm processes for theirs. */
function environment(path: string): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^npm_(package|lifecycle|command|execpath|node_execpath|config_local_prefix|config_prefix)/.test(name),
  )
  return { ...Object.fromEntries(kept), PATH: `${path}${delimiter}${process.env.PATH}`, NO_COLOR: '1', CI: 'true' }
}

/** Runs a program to its end; throws with all that it said when it fails or takes too long. */
export function run(
  program: string,
  args: readonly string[],
  options: { folder: string; env?: NodeJS.ProcessEnv; longest?: number },
): Promise<Ran> {
  const { folder, env = {}, longest = 120_000 } = options
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: folder,
      // A script's `node` is the Node that is being tested.
      env: { ...environment(dirname(program)), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    const timer = setTimeout(() => child.kill('SIGKILL'), longest)
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      if (code === 0) resolve({ stdout, stderr })
      else reject(new Error(`${program} ${args.join(' ')} ended with ${code ?? signal}\n${stdout}${stderr}`.trimEnd()))
    })
  })
}

/** npm as a script, so that any Node can run it. */
export function npmScript(): string {
  const { npm_execpath: given } = process.env
  if (given?.endsWith('npm-cli.js')) return given
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    try {
      const script = realpathSync(join(folder, 'npm'))
      if (script.endsWith('npm-cli.js')) return script
    } catch {
      // Not in this folder.
    }
  }
  throw new Error('npm was not found: run this through npm, or put npm into PATH')
}
