import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const source = (path: string) => fileURLToPath(new URL(`./src/${path}`, import.meta.url))

export default defineConfig({
  resolve: {
    alias: [
      { find: /^modelfirst$/, replacement: source('index.ts') },
      { find: /^modelfirst\/openai$/, replacement: source('wires/openai.ts') },
      { find: /^modelfirst\/node$/, replacement: source('node.ts') },
      { find: /^modelfirst\/otel$/, replacement: source('otel.ts') },
      { find: /^modelfirst\/redis$/, replacement: source('stores/redis.ts') },
      { find: /^modelfirst\/report$/, replacement: source('report/report.ts') },
      { find: /^modelfirst\/sandbox$/, replacement: source('sandbox/sandbox.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 20_000,
  },
})
