import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { loadSnapshot } from '../../src/catalog/snapshot.ts'
import { charge } from '../../src/sandbox/charge.ts'
import { decimal } from '../../src/sandbox/decimal.ts'

const file = fileURLToPath(new URL('../../../shared/data/bills.jsonl', import.meta.url))

describe.skipIf(!existsSync(file))('real bills (they are not part of the package)', () => {
  it('are what the sandbox would have charged, to the last digit, wherever the listed price was the one asked', async () => {
    const { providers } = await loadSnapshot()
    const models = new Map(
      (providers.openrouter?.models ?? []).flatMap((model) =>
        [model.id, ...(model.aliases ?? [])].map((id) => [id, model] as const),
      ),
    )
    let compared = 0
    let exact = 0
    for (const line of readFileSync(file, 'utf8').trim().split('\n')) {
      const bill = JSON.parse(line)
      const prices = (models.get(bill.responseModel) ?? models.get(bill.model))?.prices
      if (bill.verdict !== 'within 1%' || prices === undefined || !(bill.cost > 0)) continue
      const tokens = {
        prompt: bill.prompt,
        cached: bill.cached ?? 0,
        written: bill.cacheWrite ?? 0,
        written1h: 0,
        completion: bill.completion,
        reasoning: bill.reasoning ?? 0,
      }
      const charged = Number(decimal(charge(prices, tokens, Date.parse(bill.date)).total))
      compared++
      if (Math.abs(charged - bill.cost) <= bill.cost * 1e-9) exact++
    }
    expect(compared).toBeGreaterThan(700)
    // The others were billed before a price changed, or by a host with a price of its own.
    expect(exact / compared).toBeGreaterThan(0.9)
  })
})
