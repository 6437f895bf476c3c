import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { createRouter } from 'modelfirst'
import { jsonLines } from 'modelfirst/node'
import { recordLines, reportOf } from 'modelfirst/report'
import { fail, reset, startSandbox } from 'modelfirst/sandbox'
import { expect, test } from 'vitest'
import { run } from '../../src/cli/run.ts'

test('what a router records is what the table and the page say, and what the sandbox bills', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'modelfirst-recorded-'))
  const path = join(folder, 'usage.jsonl')
  const sandbox = await startSandbox({ seed: 1 })
  try {
    const router = createRouter({
      providers: sandbox.providers(),
      tasks: {
        tag: { model: 'openai/gpt-oss-20b', provider: ['groq', 'openrouter'] },
        reply: { model: 'anthropic/claude-sonnet-4.5', provider: 'openrouter', request: { max_tokens: 100 } },
      },
      sinks: [jsonLines(path)],
    })
    sandbox.groq.script([fail(503), fail(429, { retryAfter: 0.01 }), reset()])
    for (let n = 0; n < 12; n += 1) {
      await router.complete(n % 3 === 0 ? 'reply' : 'tag', `Ticket ${n}`, { session: `customer-${n % 2}` })
    }
    const gone = new AbortController()
    gone.abort()
    await router.complete('tag', 'Too late', { signal: gone.signal }).catch(() => {})
    await router.close()

    const lines = recordLines([readFileSync(path)])
    const page = await reportOf(lines)
    expect(lines.unread).toEqual({ broken: 0, foreign: 0, version: 0, cut: false, first: null })
    const kept = router.ledger.records
    const calls = Number(/id="calls".*?<data value="(\d+)">/s.exec(page)?.[1])
    expect(calls).toBe(kept.length)
    const spend = Number(/id="spend".*?<data value="([\d.e-]+)">/s.exec(page)?.[1])
    expect(spend).toBeCloseTo(router.ledger.summary().total.cost.low, 12)
    expect(spend).toBeCloseTo(Number(sandbox.bill().usd), 6)

    const stdout = new PassThrough()
    const surroundings = { stdin: Readable.from([]), stdout, stderr: new PassThrough(), env: {}, now: () => Date.now() }
    expect(await run(['usage', path, '--by', 'provider'], surroundings)).toBe(0)
    const table = String(stdout.read())
    for (const { key, calls: count } of router.ledger.summary({ by: 'provider' }).rows) {
      expect(table).toMatch(new RegExp(`^${key ?? '\\(none\\)'} +${count} `, 'm'))
    }
  } finally {
    await sandbox.close()
    rmSync(folder, { recursive: true, force: true })
  }
})
