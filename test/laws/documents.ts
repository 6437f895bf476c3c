import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'
import { root } from './source.ts'

/** A program that a document shows. */
export interface Program {
  readonly title: string
  /** The document's own lines, at their own numbers; all others are empty. */
  readonly text: string
  readonly runs: boolean
}

/**
 * The programs of a Markdown document: each ```ts block with imports begins one, and blocks without imports continue it,
 * in a scope of their own. A block fenced as ```ts no-run is compiled and not run, and stands alone.
 */
export function programsIn(markdown: string, name: string): readonly Program[] {
  const lines = markdown.split('\n')
  const programs: { first: number; runs: boolean; lines: string[]; open: number }[] = []
  let fence: { info: string; from: number } | null = null
  for (const [index, line] of lines.entries()) {
    const [, info] = line.match(/^```(.*)$/) ?? []
    if (info === undefined) continue
    if (fence === null) {
      fence = { info: info.trim(), from: index }
      continue
    }
    const { info: opened, from } = fence
    fence = null
    if (!/^(ts|typescript)( no-run)?$/.test(opened)) continue
    const code = lines.slice(from + 1, index)
    const runs = !opened.endsWith('no-run')
    const last = programs.at(-1)
    const continues = runs && last?.runs === true && !code.some((each) => /^import\b/.test(each))
    const program = continues ? last : { first: from + 1, runs, lines: [], open: 0 }
    if (!continues) programs.push(program)
    while (program.lines.length < from) program.lines.push('')
    program.lines.push(continues ? '{' : '', ...code)
    if (continues) program.open += 1
  }
  return programs.map((program) => ({
    title: `${name}:${program.first}`,
    text: [...program.lines, `${'}'.repeat(program.open)}\nexport {}`].join('\n'),
    runs: program.runs,
  }))
}

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program in a process of its own, against a sandbox, with the sandbox's keys in its environment. */
export async function runAgainst(
  sandbox: { groq: { url: string; apiKey: string }; openrouter: { url: string; apiKey: string } },
  text: string,
): Promise<Ran> {
  const cache = join(root, 'node_modules/.cache')
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(cache, 'modelfirst-document-'))
  const outfile = join(folder, 'program.mjs')
  try {
    await build({
      stdin: { contents: text, resolveDir: root, sourcefile: 'document.ts', loader: 'ts' },
      inject: [join(root, 'test/laws/to-sandbox.ts')],
      // The package says that its files have no side effects; this one has nothing else.
      ignoreAnnotations: true,
      alias: {
        'modelfirst/sandbox': join(root, 'src/sandbox/sandbox.ts'),
        'modelfirst/node': join(root, 'src/node.ts'),
        'modelfirst/otel': join(root, 'src/otel.ts'),
        'modelfirst/report': join(root, 'src/report/report.ts'),
        'modelfirst/redis': join(root, 'src/stores/redis.ts'),
        'modelfirst/openai': join(root, 'src/wires/openai.ts'),
        'modelfirst/http': join(root, 'src/http/http.ts'),
        modelfirst: join(root, 'src/index.ts'),
      },
      // Found in node_modules, as a user's program would.
      external: ['openai', 'zod', 'p-retry', 'eventsource-parser', 'ioredis', 'redis', 'keyv', '@opentelemetry/*'],
      bundle: true,
      format: 'esm',
      target: 'es2022',
      platform: 'node',
      outfile,
      logLevel: 'silent',
    })
    return await runProgram(outfile, {
      PATH: process.env.PATH,
      GROQ_API_KEY: sandbox.groq.apiKey,
      OPENROUTER_API_KEY: sandbox.openrouter.apiKey,
      SANDBOX_GROQ: new URL(sandbox.groq.url).origin,
      SANDBOX_OPENROUTER: new URL(sandbox.openrouter.url).origin,
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const LONGEST_RUN = 20_000

/** In a folder of its own: what a program writes goes with it. */
function runProgram(file: string, env: NodeJS.ProcessEnv): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [file], { env, cwd: dirname(file), stdio: ['ignore', 'pipe', 'pipe'] })
    const output = { stdout: '', stderr: '' }
    const timer = setTimeout(() => {
      output.stderr += `still running after ${LONGEST_RUN} ms`
      child.kill('SIGKILL')
    }, LONGEST_RUN)
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output.stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output.stderr += text
    })
    child.on('error', reject)
    child.on('close', (code) => {
      clearTimeout(timer)
      resolve({ code, ...output })
    })
  })
}
