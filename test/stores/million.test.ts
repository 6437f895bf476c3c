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

/** Of which a quarter fills a table as well as all of them. */
const MANY = process.env.MODELFIRST_DEEP === '1' ? 1_000_000 : 250_000

test(`${MANY} sessions take at most 250 bytes each over their key, and one is read as fast as one of a thousand`, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'million-'))
  const outfile = join(folder, 'million.mjs')
  try {
    const entry = fileURLToPath(new URL('million.ts', import.meta.url))
    await build({ entryPoints: [entry], bundle: true, platform: 'node', format: 'esm', outfile })
    const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', outfile, String(MANY)])
    const { bytes, nsFew, nsMany, longestMs, left }: Measured = JSON.parse(stdout)
    console.log(
      `${MANY} sessions: ${bytes.toFixed(0)} bytes each over their key; a read takes ${nsMany.toFixed(0)} ns, of a thousand ${nsFew.toFixed(0)} ns; the longest write ${longestMs.toFixed(1)} ms`,
    )
    expect(bytes).toBeLessThanOrEqual(MOST_BYTES)
    // Among so many, most of them lie outside the processor's own memory: that is what the factor is for.
    expect(nsMany).toBeLessThan(20 * nsFew)
    // A tenth came, and as many went, of those that were not read.
    expect(left).toBeGreaterThan(0.85 * MANY)
    expect(left).toBeLessThan(0.95 * MANY)
  } finally {
    rmSync(folder, { recursive: true })
  }
}, 60_000)
