import { expect, test } from 'vitest'
import { crowd } from '../bench/serve-crowd.ts'

const DEEP = process.env.MODELFIRST_DEEP === '1'

test.skipIf(!DEEP)(
  'two thousand slow streams at once: none is lost, and each holds less than 60 kB of heap',
  async () => {
    const { lost, endings, rss, heap, heapAfter } = await crowd(2000)
    expect(lost, endings.join('\n')).toBe(0)
    expect(heap).toBeLessThan(60_000)
    // With what the collector has emptied and not given back, which differs from run to run.
    expect(rss).toBeLessThan(90_000)
    // What is left is what the ledger keeps of every call.
    expect(heapAfter).toBeLessThan(10_000)
  },
  120_000,
)
