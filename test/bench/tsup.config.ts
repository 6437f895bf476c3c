import { fileURLToPath } from 'node:url'
import { defineConfig } from 'tsup'

/** As users run it: bundled, without the wrappers that a development loader puts around every function. */
export default defineConfig({
  entry: ['test/bench/bench.ts', 'test/bench/raw-server.ts'],
  format: 'esm',
  target: 'es2022',
  platform: 'node',
  outDir: fileURLToPath(new URL('../../node_modules/.cache/modelfirst-bench', import.meta.url)),
  // The compiler is what the types are measured with.
  external: ['openai', 'typescript'],
  noExternal: [/^modelfirst/],
  silent: true,
})
