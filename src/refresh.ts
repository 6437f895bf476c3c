import { type Cancellation, createCancellation } from './cancellation.ts'
import type { Catalog } from './catalog.ts'
import { type Clock, isoTime } from './clock.ts'
import { RouterError } from './errors.ts'
import { kindOfStatus } from './failure.ts'
import { type ListedHost, type ListedModel, readHosts, readListing } from './listing.ts'
import type { Provider } from './provider.ts'
import { type Await, discard, readText, TooLarge } from './wires/wire.ts'

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

const MOST_BYTES = 32 * 1024 * 1024
const LONGEST = 30_000

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
        return [provider.name, { error: RouterError.is(error) ? error : unreachable(provider) }] as const
      }
    }),
  )
  return { providers: Object.fromEntries(entries) }
}

async function listOf(provider: Provider, around: Around, signal?: AbortSignal): Promise<readonly ListedModel[]> {
  const models = readListing(await ask(provider, '/models', around, signal))
  if (models.length > 0) return models
  const message = `${provider.name}/models named no model: its list stays as it was`
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
  return { wireModel, list: readHosts(await ask(provider, path, around, signal)) }
}

async function ask(
  provider: Provider,
  path: string,
  { clock, closing }: Around,
  signal?: AbortSignal,
): Promise<unknown> {
  const controller = new AbortController()
  const cancellation = createCancellation(signal, closing)
  const stopTimer = clock.timer(LONGEST, () => cancellation.cancel(undefined))
  cancellation.listen(() => controller.abort())
  const until: Await = (step) =>
    new Promise((resolve, reject) => {
      cancellation.listen(reject)
      step.then(resolve, reject)
    })
  try {
    const reply = await until(provider.send({ method: 'GET', path, signal: controller.signal }))
    if (reply.status !== 200) {
      discard(reply)
      const kind = kindOfStatus(reply.status)
      throw new RouterError(`${provider.name}${path} answered ${reply.status}: its list stays as it was`, { kind })
    }
    return JSON.parse(await readText(reply, { most: MOST_BYTES, until }))
  } catch (error) {
    if (RouterError.is(error)) throw error
    if (error instanceof SyntaxError) {
      const message = `${provider.name}${path} did not answer with JSON: its list stays as it was`
      throw new RouterError(message, { kind: 'bad-response' })
    }
    if (error instanceof TooLarge) {
      const message = `${provider.name}${path} answered with more than ${MOST_BYTES} bytes: its list stays as it was`
      throw new RouterError(message, { kind: 'bad-response' })
    }
    throw unreachable(provider)
  } finally {
    stopTimer()
    cancellation.release()
  }
}

function unreachable({ name }: Provider): RouterError {
  const message = `${name} could not be asked for its models: its list stays as it was; check the network and the base URL`
  return new RouterError(message, { kind: 'unreachable' })
}
