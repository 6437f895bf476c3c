import { existsSync } from 'node:fs'
import { defineConfig } from 'tsup'
import { declarationsOf } from './scripts/declarations.ts'

const entries = {
  index: 'src/index.ts',
  http: 'src/http/http.ts',
  openai: 'src/wires/openai.ts',
  node: 'src/node.ts',
  otel: 'src/otel.ts',
  redis: 'src/stores/redis.ts',
  report: 'src/report/report.ts',
  sandbox: 'src/sandbox/sandbox.ts',
}

/** A program, which nobody imports. */
const programs = { cli: 'src/cli/cli.ts' }

const present = (files: Record<string, string>) =>
  Object.fromEntries(Object.entries(files).filter(([, path]) => existsSync(path)))

export default defineConfig({
  entry: present({ ...entries, ...programs }),
  // One format, one copy: Node from 20.19 on lets CommonJS `require` it as well.
  format: 'esm',
  // The root also runs in workers and browsers; only the sandbox needs Node, and says so with `node:`.
  platform: 'neutral',
  external: [/^node:/],
  // Deno knows Node's modules by no other name.
  removeNodeProtocol: false,
  target: 'es2022',
  // Gives the price snapshot a chunk of its own, and the subpaths one copy of what they share.
  splitting: true,
  treeshake: true,
  dts: { entry: declarationsOf(present(entries)) },
  clean: true,
  // The output is not minified and reads like the source; maps would double what everybody downloads.
  sourcemap: false,
})
