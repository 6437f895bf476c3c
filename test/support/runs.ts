import { vi } from 'vitest'

/**
 * How often a property is tried: a thousand times in `npm test`, a hundred thousand times in `npm run test:deep`.
 *
 * @param divisor For a property of which a single run is expensive (a whole router, sockets, long texts): that many
 * times less often, in both. Say beside it what makes it so.
 */
export function runs(divisor = 1): { readonly numRuns: number } {
  return { numRuns: Math.ceil(RUNS / divisor) }
}

const DEEP = process.env.MODELFIRST_DEEP === '1'
const RUNS = DEEP ? 100_000 : 1000

// Every file with properties comes by here: none of its tests is stopped halfway through a hundred thousand.
if (DEEP) vi.setConfig({ testTimeout: 3_600_000 })
