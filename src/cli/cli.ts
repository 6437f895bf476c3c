#!/usr/bin/env node
import { run } from './run.ts'

const { stdin, stdout, stderr, env, argv } = process
// Whoever reads along may have seen enough: `modelfirst usage … | head`.
stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})
process.exitCode = await run(argv.slice(2), { stdin, stdout, stderr, env, now: () => Date.now() })
