/**
 * How often a property is tried: three hundred times in `npm test`, a hundred thousand times in `npm run test:deep`.
 *
 * @param divisor For a property of which a single run is expensive (a whole router, sockets, long texts): that many
 * times less often, in both. Say beside it what makes it so.
 */
export function runs(divisor = 1): { readonly numRuns: number } {
  return { numRuns: Math.ceil(RUNS / divisor) }
}

const RUNS = process.env.MODELFIRST_DEEP === '1' ? 100_000 : 300
