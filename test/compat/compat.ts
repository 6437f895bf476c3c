/**
 * `npm run test:compat`: the packed package, installed as a user would, on each Node that it promises to run on, on Bun
 * and on Deno. Needs the package registry; everything else stays on loopback.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { startSandbox } from 'modelfirst/sandbox'
import { packInto } from '../support/pack.ts'
import { createReport } from './check.ts'
import { CLIENT, COMMON, program, RECORDED, TYPED, TYPED_SANDBOX } from './consumer.ts'
import { npmScript, run } from './shell.ts'

interface Target {
  readonly name: string
  readonly node: string
  /** The majors that npm has to pick there: the newest that run there. */
  readonly majors: Readonly<Record<string, number>>
}

/** What runs everywhere, and what only Node has. */
const ANYWHERE = [
  'modelfirst',
  'modelfirst/http',
  'modelfirst/openai',
  'modelfirst/otel',
  'modelfirst/redis',
  'modelfirst/report',
]
const SUBPATHS = [...ANYWHERE, 'modelfirst/node', 'modelfirst/sandbox']
const OLD = { openai: 6, 'p-retry': 7, 'eventsource-parser': 3 }
const NEW = { openai: 7, 'p-retry': 9, 'eventsource-parser': 4 }

const report = createReport((line) => console.log(line))
const folder = mkdtempSync(join(tmpdir(), 'modelfirst-compat-'))
const npm = npmScript()
const sandbox = await startSandbox()
const env = {
  SANDBOX_GROQ_URL: sandbox.groq.url,
  SANDBOX_GROQ_KEY: sandbox.groq.apiKey,
  SANDBOX_OPENROUTER_URL: sandbox.openrouter.url,
  SANDBOX_OPENROUTER_KEY: sandbox.openrouter.apiKey,
}

try {
  const { tarball, bytes } = packInto(folder)
  console.log(`packed: ${(bytes / 1000).toFixed(1)} kB\n`)
  const dependencies = Object.keys(manifestOf(join(folder, 'package')).dependencies ?? {})
  const tools = await installTools()
  const targets: readonly Target[] = [
    {
      name: 'Node 20',
      node: process.version.startsWith('v20.') ? process.execPath : tools('node20/bin/node'),
      majors: OLD,
    },
    { name: 'Node 22', node: tools('node22/bin/node'), majors: NEW },
    { name: 'Node 24', node: tools('node24/bin/node'), majors: NEW },
  ]
  for (const target of targets) await proveNode(target, { tarball, dependencies })
  const installed = join(folder, 'Node-24')
  await proveBun(tools('.bin/bun'), installed)
  await proveDeno(tools('.bin/deno'), installed)
} finally {
  await sandbox.close()
  rmSync(folder, { recursive: true, force: true })
}
console.log(`\ncompatibility: ${report.passed} passed, ${report.failed} failed, ${report.skipped} skipped`)
process.exitCode = report.failed === 0 ? 0 : 1

/** Other Nodes, Bun and Deno, from npm: nothing of it lands on the machine. */
async function installTools(): Promise<(path: string) => string> {
  const tools = project('tools', {})
  const wanted = ['node22@npm:node@22', 'node24@npm:node@24', 'bun@1', 'deno@2']
  if (!process.version.startsWith('v20.')) wanted.push('node20@npm:node@20')
  await report.check('Node 22 and 24, Bun and Deno can be had', async () => {
    await run(process.execPath, [npm, 'install', '--prefix', tools, '--no-audit', '--no-fund', ...wanted], {
      folder: tools,
    })
    return undefined
  })
  return (path) => join(tools, 'node_modules', path)
}

async function proveNode(target: Target, packed: { tarball: string; dependencies: readonly string[] }): Promise<void> {
  const { name, node, majors } = target
  const home = project(name.replace(' ', '-'), { type: 'module' })
  const installed = await report.check(`${name}: installs with --engine-strict and without a warning`, async () => {
    const extra = ['typescript@~5.9.0', '@types/node@20', '@opentelemetry/api@^1.9.0']
    const args = [
      npm,
      'install',
      '--prefix',
      home,
      '--engine-strict',
      '--no-audit',
      '--no-fund',
      packed.tarball,
      ...extra,
    ]
    const { stderr } = await run(node, args, { folder: home })
    const warnings = stderr.split('\n').filter((line) => /EBADENGINE|deprecated|peer|ERESOLVE/i.test(line))
    if (warnings.length > 0) throw new Error(warnings.join('\n'))
    return (await run(node, ['--version'], { folder: home })).stdout.trim()
  })
  if (!installed) return
  await report.check(`${name}: npm picks what runs there`, () => {
    const picked = packed.dependencies.map(
      (each) => [each, manifestOf(join(home, 'node_modules', each)).version] as const,
    )
    const wrong = picked.filter(
      ([each, version]) => majors[each] !== undefined && !version?.startsWith(`${majors[each]}.`),
    )
    if (wrong.length > 0) throw new Error(`expected ${JSON.stringify(majors)}, got ${JSON.stringify(picked)}`)
    return picked.map(([each, version]) => `${each} ${version}`).join(', ')
  })
  await report.check(`${name}: every subpath is imported, and two calls answer`, () =>
    runsOn(node, home, 'program.mjs', program(SUBPATHS)),
  )
  await report.check(`${name}: an OpenAI client carries a call`, () => runsOn(node, home, 'client.mjs', CLIENT))
  await report.check(`${name}: npx sums up what was recorded, and makes a page of it`, () => summed(node, home))
  await report.check(`${name}: CommonJS can require it`, () => runsOn(node, home, 'common.cjs', COMMON))
  for (const resolution of ['nodenext', 'bundler']) {
    await report.check(`${name}: TypeScript 5.9 reads its types, moduleResolution ${resolution}`, () =>
      compiles(node, home, resolution),
    )
  }
}

async function summed(node: string, home: string): Promise<string> {
  await runsOn(node, home, 'recorded.mjs', RECORDED)
  const npx = (...args: string[]) =>
    run(node, [join(dirname(npm), 'npx-cli.js'), '--no-install', 'modelfirst', ...args], { folder: home })
  const { stdout } = await npx('usage', 'usage.jsonl')
  if (!/^tag +1 +0 /m.test(stdout)) throw new Error(`one call of tag was expected: ${stdout}`)
  await npx('report', 'usage.jsonl')
  const page = readFileSync(join(home, 'usage.html'), 'utf8')
  if (!page.includes('1 call from')) throw new Error('the page knows of no call')
  return `${(await npx('--version')).stdout.trim()}, ${page.length} characters`
}

/** `lib` as a user has it who has no browser: the declarations must not need one, and everything is checked. */
async function compiles(node: string, home: string, resolution: string): Promise<string> {
  writeFileSync(join(home, 'typed.ts'), TYPED)
  writeFileSync(join(home, 'typed-sandbox.ts'), TYPED_SANDBOX)
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    skipLibCheck: false,
    target: 'es2022',
    lib: ['es2023'],
    types: ['node'],
    module: resolution === 'bundler' ? 'esnext' : 'nodenext',
    moduleResolution: resolution,
  }
  const config = `tsconfig.${resolution}.json`
  writeFileSync(join(home, config), JSON.stringify({ compilerOptions, files: ['typed.ts', 'typed-sandbox.ts'] }))
  await run(node, [join(home, 'node_modules/typescript/bin/tsc'), '-p', config], { folder: home })
  return `openai ${manifestOf(join(home, 'node_modules/openai')).version}, skipLibCheck off, no DOM`
}

async function proveBun(bun: string, home: string): Promise<void> {
  await report.check('Bun: the root and the client are imported, and two calls answer', async () => {
    const answer = await runsOn(bun, home, 'bun.mjs', program(ANYWHERE))
    return `${(await run(bun, ['--version'], { folder: home })).stdout.trim()} ${answer}`
  })
}

async function proveDeno(deno: string, home: string): Promise<void> {
  await report.check('Deno: the root and the client are imported, and two calls answer', async () => {
    writeFileSync(join(home, 'deno.mjs'), program(ANYWHERE))
    const args = [
      'run',
      '--node-modules-dir=manual',
      '--no-lock',
      '--allow-net=127.0.0.1',
      '--allow-env',
      '--allow-read',
      'deno.mjs',
    ]
    const { stdout } = await run(deno, args, { folder: home, env })
    return `${(await run(deno, ['--version'], { folder: home })).stdout.split('\n')[0]} ${stdout.trim()}`
  })
}

async function runsOn(runtime: string, home: string, file: string, text: string): Promise<string | undefined> {
  writeFileSync(join(home, file), text)
  const { stdout, stderr } = await run(runtime, [file], { folder: home, env, longest: 30_000 })
  if (stderr.trim() !== '') throw new Error(`it warned: ${stderr}`)
  return stdout.trim() || undefined
}

function project(name: string, manifest: object): string {
  const home = join(folder, name)
  mkdirSync(home)
  writeFileSync(join(home, 'package.json'), JSON.stringify({ private: true, ...manifest }))
  return home
}

function manifestOf(home: string): { version?: string; dependencies?: Record<string, string> } {
  return JSON.parse(readFileSync(join(home, 'package.json'), 'utf8'))
}
