import { ConfigError } from './errors.ts'
import type { Ability, ListedHost, ListedModel, Listing, Modality } from './listing.ts'
import { nearest } from './nearest.ts'
import { type PriceList, type Tariff, tariff } from './price.ts'

/** A model, whoever serves it. */
export interface Model {
  /** The canonical slug, e.g. `openai/gpt-oss-20b`. */
  readonly id: string
  readonly name: string | null
  /** Providers' own ids and dated slugs. */
  readonly aliases: readonly string[]
  /** The most that any offer takes and gives. */
  readonly context: number | null
  readonly maxOutput: number | null
  readonly input: ReadonlySet<Modality>
  /** What at least one offer can do; `null` is unknown. */
  readonly abilities: ReadonlySet<Ability> | null
  readonly released: string | null
  /** Set when every offer retires: the last of the days. */
  readonly retires: string | null
  readonly successor: string | null
  readonly offers: readonly Offer[]
}

/** A model as one provider (and host) sells it. What the provider does not say is `null`. */
export interface Offer {
  readonly model: string
  readonly provider: string
  readonly host: string | null
  readonly wireModel: string
  readonly context: number | null
  readonly maxOutput: number | null
  /** `prices` made ready for arithmetic. */
  readonly tariff: Tariff | null
  readonly prices: PriceList | null
  readonly priceSource: 'live' | 'snapshot' | 'user' | 'unknown'
  readonly priceDate: string | null
  readonly abilities: ReadonlySet<Ability> | null
  readonly input: ReadonlySet<Modality> | null
  readonly parameters: ReadonlySet<string> | null
  readonly retires: string | null
  readonly successor: string | null
  /** What each host asks, where that is known. */
  readonly hosts: readonly Offer[]
}

/** What a reference leads to: one model, several that it fits, or none and the nearest names. */
export type Lookup = { readonly model: Model } | { readonly several: string[] } | { readonly nearest: string[] }

export interface Catalog {
  /** By slug, by a provider's own id, by a dated slug, or by the bare name when only one model has it. */
  find(reference: string): Model
  lookup(reference: string): Lookup
  offers(reference: string): readonly Offer[]
  offer(provider: string, model: string): Offer | null
  /** An offer of a model that no list knows: everything about it is unknown. */
  unlisted(provider: string, wireModel: string): Offer
  models(): readonly Model[]
  /**
   * Takes over what a provider lists. What the user says stands above a live list, and that above the snapshot, field
   * by field. A whole live list also says what is gone; a `partial` one only adds.
   */
  put(provider: string, listing: Listing & { readonly partial?: boolean }): void
}

const RANK: Readonly<Record<Listing['source'], number>> = { snapshot: 0, live: 1, user: 2 }
const TEXT: ReadonlySet<Modality> = new Set<Modality>(['text'])

/** A reference and what was added to the model's name. */
export interface Reference {
  readonly base: string
  /** `:nitro`, without the colon. */
  readonly variant: string | null
  /** `@preset/name`, the name. */
  readonly preset: string | null
}

export function parseReference(reference: string): Reference {
  const at = reference.indexOf('@preset/')
  const preset = at === -1 ? null : reference.slice(at + '@preset/'.length)
  const rest = at === -1 ? reference : reference.slice(0, at)
  const colon = rest.indexOf(':')
  // `qwen3:8b` has no author: in such ids the colon is part of the name.
  if (colon === -1 || !rest.includes('/')) return { base: rest, variant: null, preset }
  return { base: rest.slice(0, colon), variant: rest.slice(colon + 1), preset }
}

interface Row {
  readonly listed: ListedModel
  readonly source: Listing['source']
  readonly date: string
}

export function createCatalog(): Catalog {
  /** Provider → wire id → what each source says of it, by rank. */
  const listings = new Map<string, Map<string, (Row | undefined)[]>>()
  let built = build(listings)
  // Built when it is first asked after a change: several lists usually come together.
  let stale = false
  const current = () => {
    if (stale) built = build(listings)
    stale = false
    return built
  }
  const lookup = (reference: string): Lookup => {
    const { models, names } = current()
    const exact = models.get(reference)
    if (exact !== undefined) return { model: exact }
    const found = names.get(reference) ?? names.get(reference.toLowerCase())
    if (found === undefined) return { nearest: nearest(reference, [...models.keys()]) }
    if (found.size > 1) return { several: [...found] }
    for (const id of found) {
      const model = models.get(id)
      if (model !== undefined) return { model }
    }
    return { nearest: [] }
  }
  const find = (reference: string): Model => {
    const found = lookup(typeof reference === 'string' ? reference : '')
    if ('model' in found) return found.model
    const shown = JSON.stringify(String(reference).slice(0, 80))
    if ('several' in found) {
      throw new ConfigError('model', `${shown} fits several models: expected one of ${found.several.join(', ')}`)
    }
    const [closest] = found.nearest
    const hint = closest === undefined ? '' : `; did you mean "${closest}"?`
    throw new ConfigError('model', `no list knows ${shown}: expected a model's slug or a provider's own id${hint}`)
  }
  return {
    find,
    lookup,
    offers: (reference) => find(reference).offers,
    offer: (provider, model) => current().offers.get(provider)?.get(model) ?? null,
    unlisted: (provider, wireModel) =>
      offerOf({ id: wireModel }, { provider, model: wireModel, source: 'unknown', date: null }),
    models: () => current().all,
    put(provider, { date, source, models, partial = source === 'user' }) {
      const rows = listings.get(provider) ?? new Map<string, (Row | undefined)[]>()
      listings.set(provider, rows)
      const rank = RANK[source]
      // A whole live list is the truth about what is sold: the snapshot's rows only fill in what it does not say.
      if (!partial && source === 'live') {
        const sold = new Set(models.map(({ id }) => id))
        for (const [id, sources] of rows) if (!sold.has(id) && sources[RANK.user] === undefined) rows.delete(id)
      }
      for (const listed of models) {
        const sources = rows.get(listed.id) ?? []
        const before = partial ? sources[rank]?.listed : undefined
        sources[rank] = { listed: { ...before, ...listed }, source, date }
        rows.set(listed.id, sources)
      }
      stale = true
    },
  }
}

interface Built {
  readonly models: ReadonlyMap<string, Model>
  readonly all: readonly Model[]
  readonly offers: ReadonlyMap<string, ReadonlyMap<string, Offer>>
  readonly names: ReadonlyMap<string, ReadonlySet<string>>
}

function build(listings: ReadonlyMap<string, ReadonlyMap<string, (Row | undefined)[]>>): Built {
  const offers = new Map<string, Map<string, Offer>>()
  const gathered = new Map<string, { listed: ListedModel; offer: Offer }[]>()
  const names = new Map<string, Set<string>>()
  const name = (alias: string, id: string) => {
    if (alias === id) return
    const known = names.get(alias)
    if (known === undefined) names.set(alias, new Set([id]))
    else known.add(id)
  }
  for (const [provider, rows] of listings) {
    const own = new Map<string, Offer>()
    offers.set(provider, own)
    for (const sources of rows.values()) {
      const listed = combined(sources)
      if (listed === null || !answersInText(listed)) continue
      const priced = sources.findLast((row) => row?.listed.prices !== undefined)
      const id = listed.model ?? listed.id
      const offer = offerOf(listed, {
        provider,
        model: id,
        source: priced?.source ?? 'unknown',
        date: priced?.date ?? null,
      })
      own.set(id, offer)
      const entries = gathered.get(id) ?? []
      entries.push({ listed, offer })
      gathered.set(id, entries)
    }
  }
  const models = new Map<string, Model>()
  for (const [id, entries] of gathered) models.set(id, modelOf(id, entries))
  for (const [id, entries] of gathered) {
    for (const { listed } of entries) for (const alias of [listed.id, ...(listed.aliases ?? [])]) name(alias, id)
    name(id.toLowerCase(), id)
    // The bare name, for those without a variant: `gpt-oss-20b`.
    const slash = id.indexOf('/')
    if (slash !== -1 && !id.includes(':') && !id.startsWith('~')) name(id.slice(slash + 1).toLowerCase(), id)
  }
  // An id of its own always wins over another model's bare name or alias.
  for (const id of models.keys()) names.delete(id)
  return { models, all: Object.freeze([...models.values()]), offers, names }
}

/** Speech and transcription are other protocols; a model that says nothing of its output answers in text. */
function answersInText({ output }: ListedModel): boolean {
  return output === undefined || output.includes('text')
}

/** Field by field, the source that knows best. */
function combined(sources: readonly (Row | undefined)[]): ListedModel | null {
  const known = sources.flatMap((row) => (row === undefined ? [] : [row.listed]))
  const [first] = known
  return first === undefined ? null : Object.assign({}, first, ...known.slice(1))
}

function modelOf(id: string, entries: readonly { listed: ListedModel; offer: Offer }[]): Model {
  const offers = entries.map(({ offer }) => offer)
  const listed = entries.map((entry) => entry.listed)
  const abilities = offers.map((offer) => offer.abilities).filter((known) => known !== null)
  const retiring = offers.every((offer) => offer.retires !== null)
  const aliases = new Set(listed.flatMap((row) => [row.id, ...(row.aliases ?? [])]))
  aliases.delete(id)
  return Object.freeze({
    id,
    name: listed.find((row) => row.name !== undefined)?.name ?? null,
    aliases: Object.freeze([...aliases]),
    context: largest(offers.map((offer) => offer.context)),
    maxOutput: largest(offers.map((offer) => offer.maxOutput)),
    input: new Set(offers.flatMap((offer) => [...(offer.input ?? TEXT)])),
    abilities: abilities.length < offers.length ? null : new Set(abilities.flatMap((known) => [...known])),
    released: listed.find((row) => row.released !== undefined)?.released ?? null,
    retires: retiring
      ? (offers
          .map((offer) => offer.retires ?? '')
          .sort()
          .at(-1) ?? null)
      : null,
    successor: offers.find((offer) => offer.successor !== null)?.successor ?? null,
    offers: Object.freeze(offers),
  })
}

interface Origin {
  readonly provider: string
  readonly model: string
  readonly source: Offer['priceSource']
  readonly date: string | null
}

function offerOf(listed: ListedModel, origin: Origin): Offer {
  const prices = listed.prices ?? null
  const offer: Omit<Offer, 'hosts'> = {
    model: origin.model,
    provider: origin.provider,
    host: null,
    wireModel: listed.id,
    context: listed.context ?? null,
    maxOutput: listed.maxOutput ?? null,
    tariff: prices === null ? null : tariff(prices),
    prices,
    priceSource: prices === null ? 'unknown' : origin.source,
    priceDate: prices === null ? null : origin.date,
    abilities: listed.abilities === undefined ? null : new Set(listed.abilities),
    input: listed.input === undefined ? null : new Set(listed.input),
    parameters: listed.parameters === undefined ? null : new Set(listed.parameters),
    retires: listed.retires ?? null,
    successor: listed.successor ?? null,
  }
  return Object.freeze({ ...offer, hosts: Object.freeze((listed.hosts ?? []).map((host) => hostOffer(offer, host))) })
}

function hostOffer(offer: Omit<Offer, 'hosts'>, listed: ListedHost): Offer {
  const prices = listed.prices ?? null
  return Object.freeze({
    ...offer,
    host: listed.host,
    context: listed.context ?? offer.context,
    maxOutput: listed.maxOutput ?? offer.maxOutput,
    tariff: prices === null ? null : tariff(prices),
    prices,
    priceSource: prices === null ? 'unknown' : offer.priceSource,
    parameters: listed.parameters === undefined ? offer.parameters : new Set(listed.parameters),
    hosts: [],
  })
}

function largest(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null)
  return known.length === 0 ? null : Math.max(...known)
}
