import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { filesByNeighbours, LongestFirst } from './test/support/order.ts'

const source = (path: string) => fileURLToPath(new URL(`./src/${path}`, import.meta.url))

const { alone, together } = filesByNeighbours()

export default defineConfig({
  resolve: {
    alias: [
      { find: /^modelfirst$/, replacement: source('index.ts') },
      { find: /^modelfirst\/openai$/, replacement: source('wires/openai.ts') },
      { find: /^modelfirst\/http$/, replacement: source('http/http.ts') },
      { find: /^modelfirst\/node$/, replacement: source('node.ts') },
      { find: /^modelfirst\/otel$/, replacement: source('otel.ts') },
      { find: /^modelfirst\/redis$/, replacement: source('stores/redis.ts') },
      { find: /^modelfirst\/report$/, replacement: source('report/report.ts') },
      { find: /^modelfirst\/sandbox$/, replacement: source('sandbox/sandbox.ts') },
    ],
  },
  test: {
    pool: 'forks',
    // One more than the cores that everybody has: much of the time is spent waiting for timers, sockets and children.
    maxWorkers: 3,
    // Only a test that hangs is stopped: neither a busy machine nor a hundred thousand tries are a failure.
    testTimeout: process.env.MODELFIRST_DEEP === '1' ? 3_600_000 : 60_000,
    sequence: { sequencer: LongestFirst },
    projects: [
      { extends: true, test: { name: 'alone', include: alone, isolate: true } },
      { extends: true, test: { name: 'together', include: together, isolate: false } },
    ],
  },
})
