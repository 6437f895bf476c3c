import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { expect, test } from 'vitest'
import type { Measured } from './million.ts'

const MOST_BYTES = 250

test('a million sessions take at most 250 bytes each over their key, and one is read as fast as one of a thousand', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'million-'))
  const outfile = join(folder, 'million.mjs')
  try {
    const entry = fileURLToPath(new URL('million.ts', import.meta.url))
    await build({ entryPoints: [entry], bundle: true, platform: 'node', format: 'esm', outfile })
    const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', outfile])
    const { bytes, nsFew, nsMany, longestMs, left }: Measured = JSON.parse(stdout)
    console.log(
      `a million sessions: ${bytes.toFixed(0)} bytes each over their key; a read takes ${nsMany.toFixed(0)} ns, of a thousand ${nsFew.toFixed(0)} ns; the longest write ${longestMs.toFixed(1)} ms`,
    )
    expect(bytes).toBeLessThanOrEqual(MOST_BYTES)
    // Among a million, most of them lie outside the processor's own memory: that is what the factor is for.
    expect(nsMany).toBeLessThan(20 * nsFew)
    // A hundred thousand came, and as many went, of those that were not read.
    expect(left).toBeGreaterThan(850_000)
    expect(left).toBeLessThan(950_000)
  } finally {
    rmSync(folder, { recursive: true })
  }
}, 60_000)
