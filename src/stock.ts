import { loadSnapshot } from './catalog/snapshot.ts'
import type { Catalog } from './catalog.ts'
import { ConfigError } from './errors.ts'
import type { ListedModel } from './listing.ts'
import { isAskedFor } from './planner.ts'
import type { PriceList } from './price.ts'
import type { Provider } from './provider.ts'

export interface CatalogOptions {
  /** Models that no list knows, or that are listed wrong, each with the provider that sells it. */
  readonly models?: readonly (ListedModel & { readonly provider: string })[]
  /** By model id: USD per million tokens, at every provider that sells it. */
  readonly prices?: Readonly<Record<string, PriceList>>
}

/** Fills a catalogue: the bundled lists, then what the providers declare, then what was corrected by hand. */
export async function stock(
  catalog: Catalog,
  { providers, given = {}, day }: { providers: readonly Provider[]; given: CatalogOptions | undefined; day: string },
): Promise<void> {
  const snapshot = await loadSnapshot()
  const { models = [], prices = {} } = given
  for (const provider of providers) {
    const { name } = provider
    const listed = snapshot.providers[provider.dialect.name]
    if (listed !== undefined) catalog.put(name, { ...listed, source: 'snapshot' })
    const own = [...provider.models, ...models.filter((model) => model.provider === name)]
    if (own.length > 0) catalog.put(name, { date: day, source: 'user', models: own })
    const priced = Object.entries(prices).flatMap(([id, list]) => {
      const found = catalog.lookup(id)
      if ('several' in found)
        throw new ConfigError('catalog.prices', `"${id}" fits several: ${found.several.join(', ')}`)
      // A price alone declares its model, wherever a model that no list knows would be asked for.
      if (!('model' in found)) return isAskedFor(id, provider) ? [{ id, prices: list }] : []
      const offer = catalog.offer(name, found.model.id)
      return offer === null ? [] : [{ id: offer.wireModel, prices: list }]
    })
    // Last, so that a price stands above whatever else was said of the model.
    if (priced.length > 0) catalog.put(name, { date: day, source: 'user', models: withPrices(own, priced) })
  }
}

function withPrices(own: readonly ListedModel[], priced: readonly ListedModel[]): readonly ListedModel[] {
  const rows = new Map(own.map((model) => [model.id, model]))
  for (const row of priced) rows.set(row.id, { ...rows.get(row.id), ...row })
  return [...rows.values()]
}
