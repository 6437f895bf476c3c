import type { Cancellation } from './cancellation.ts'
import type { Catalog } from './catalog.ts'
import { type Clock, isoTime } from './clock.ts'
import { RouterError } from './errors.ts'
import { inquire } from './inquiry.ts'
import { type ListedHost, type ListedModel, readHosts, readListing } from './listing.ts'
import type { Provider } from './provider.ts'

export interface RefreshOptions {
  /** Models whose per-host prices are wanted too, by any of their names. */
  readonly hosts?: readonly string[]
  readonly signal?: AbortSignal
}

/** What came of it, provider by provider; one that failed keeps the list it had. */
export interface Refreshed {
  readonly providers: Readonly<Record<string, { readonly models: number } | { readonly error: RouterError }>>
}

interface Around {
  readonly providers: readonly Provider[]
  readonly catalog: Catalog
  readonly clock: Clock
  readonly closing: Cancellation
}

const UNCHANGED = 'its list stays as it was'

/** Asks each provider for its own list. */
export async function refresh(around: Around, options: RefreshOptions): Promise<Refreshed> {
  const { catalog, clock } = around
  const date = isoTime(clock.date()).slice(0, 10)
  const entries = await Promise.all(
    around.providers.map(async (provider) => {
      try {
        const asked = provider.dialect.supports.hosts ? (options.hosts ?? []) : []
        const [models, ...hosts] = await Promise.all([
          listOf(provider, around, options.signal),
          ...asked.map((model) => hostsOf(model, provider, around, options.signal)),
        ])
        // Nothing is taken over before everything is there: half a refresh would be neither the old list nor the new.
        catalog.put(provider.name, { date, source: 'live', models })
        for (const { wireModel, list } of hosts) catalog.putHosts(provider.name, wireModel, { date, list })
        return [provider.name, { models: models.length }] as const
      } catch (error) {
        return [provider.name, { error: asRouterError(error, provider) }] as const
      }
    }),
  )
  return { providers: Object.fromEntries(entries) }
}

async function listOf(provider: Provider, around: Around, signal?: AbortSignal): Promise<readonly ListedModel[]> {
  const models = readListing(await inquire(provider, '/models', { ...around, signal, otherwise: UNCHANGED }))
  if (models.length > 0) return models
  const message = `${provider.name}/models named no model: ${UNCHANGED}`
  throw new RouterError(message, { kind: 'bad-response' })
}

/** The model may go by any of its names. */
async function hostsOf(
  model: string,
  provider: Provider,
  around: Around,
  signal?: AbortSignal,
): Promise<{ wireModel: string; list: readonly ListedHost[] }> {
  const found = around.catalog.lookup(model)
  const offer = 'model' in found ? around.catalog.offer(provider.name, found.model.id) : null
  const wireModel = offer?.wireModel ?? model
  const path = `/models/${wireModel.split('/').map(encodeURIComponent).join('/')}/endpoints`
  return { wireModel, list: readHosts(await inquire(provider, path, { ...around, signal, otherwise: UNCHANGED })) }
}

/** A catalogue that cannot take a list over throws what it throws: nobody's list is lost for it. */
function asRouterError(error: unknown, { name }: Provider): RouterError {
  if (RouterError.is(error)) return error
  return new RouterError(`${name}'s list could not be taken over: ${UNCHANGED}`, { kind: 'bad-response' })
}
