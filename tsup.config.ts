import { existsSync } from 'node:fs'
import { defineConfig } from 'tsup'

const entries = {
  index: 'src/index.ts',
  openai: 'src/wires/openai.ts',
  node: 'src/node.ts',
  otel: 'src/otel.ts',
  redis: 'src/stores/redis.ts',
  sandbox: 'src/sandbox/sandbox.ts',
}

export default defineConfig({
  entry: Object.fromEntries(Object.entries(entries).filter(([, path]) => existsSync(path))),
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
  dts: true,
  clean: true,
  // The output is not minified and reads like the source; maps would double what everybody downloads.
  sourcemap: false,
})
