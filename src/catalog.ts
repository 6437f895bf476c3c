import { namesOf } from './catalog/names.ts'
import { ConfigError } from './errors.ts'
import type { Ability, ListedHost, ListedModel, Listing, Modality } from './listing.ts'
import { nearest } from './nearest.ts'
import { type PriceList, type Tariff, tariff } from './price.ts'

export type PriceSource = 'live' | 'user' | 'snapshot' | 'unknown'

/** A model, whoever serves it. What is `null` is not known. */
export interface Model {
  /** The canonical id: OpenRouter's slug, or the provider's own id where nobody else has the model. */
  readonly id: string
  readonly name: string | null
  /** Every other name it can be found by. */
  readonly aliases: readonly string[]
  /** The most that any offer takes. */
  readonly context: number | null
  readonly maxOutput: number | null
  /** What at least one offer can do; `null` when one of them does not say. */
  readonly abilities: ReadonlySet<Ability> | null
  readonly input: ReadonlySet<Modality>
  readonly released: string | null
  /** The day on which the last offer goes; `null` while one of them stays. */
  readonly retires: string | null
  /** The canonical id of what its provider says to use instead. */
  readonly successor: string | null
  /** Gives verdicts instead of answers: never chosen by a rule. */
  readonly guard: boolean
  readonly offers: readonly Offer[]
}

/** A model as one provider sells it. What is `null` is not known, and keeps nothing away. */
export interface Offer {
  /** The canonical id. */
  readonly model: string
  readonly provider: string
  /** The host behind an aggregator that this offer is about; `null`: any. */
  readonly host: string | null
  /** What goes on the wire. */
  readonly wireModel: string
  readonly context: number | null
  readonly maxOutput: number | null
  readonly tariff: Tariff | null
  readonly prices: PriceList | null
  readonly priceSource: PriceSource
  /** The day the prices were seen. */
  readonly priceDate: string | null
  readonly abilities: ReadonlySet<Ability> | null
  readonly input: ReadonlySet<Modality> | null
  readonly parameters: ReadonlySet<string> | null
  readonly retires: string | null
  readonly successor: string | null
  /** The display name that answers carry, of a host. */
  readonly hostName: string | null
  /** Each host's own offer, where they are known. */
  readonly hosts: readonly Offer[]
  /** What a host asks where another service tier was served, as far as that is listed. */
  readonly tierTariffs?: Readonly<Record<string, Tariff>>
}

/** The model a reference names; or all that it may name; or the names next to it. */
export type Lookup =
  | { readonly model: Model }
  | { readonly several: readonly string[] }
  | { readonly nearest: readonly string[] }

/** What can be had, from whom, at which price. All reads are look-ups in what `put` has built. */
export interface Catalog {
  /** Throws a `ConfigError` that lists the models a reference fits, or names the nearest. A suffix is left aside. */
  find(reference: string): Model
  /** Finds exactly what is listed: a reference with a suffix such as `:nitro` is taken apart by `parseReference`. */
  lookup(reference: string): Lookup
  /** What each provider asks for a model; none when nobody lists it. */
  offers(reference: string): readonly Offer[]
  offer(provider: string, canonicalId: string): Offer | null
  /** An offer of which nothing is known but its name, for providers that sell more than any list says. */
  unlisted(provider: string, reference: string): Offer
  /** What a rule may choose from: all but guards and `~latest` names, which only a name leads to. */
  models(): readonly Model[]
  /** What to use in place of a model that nobody sells any more on that day; `null` while it is sold, or without one. */
  successorOf(reference: string, day: string): string | null
  /**
   * Takes over what one source says of a provider. Rows of several sources are merged field by field: the user's own
   * first, then the live list, then the snapshot. A whole live list also says what is gone: what it leaves out is not
   * sold any more, except for rows with a date of retirement, which still say what to use instead. A `partial` one
   * only adds, as the user's rows always do. An empty live list is no list.
   */
  put(provider: string, listing: Listing & { readonly partial?: boolean }): void
  /** Adds the hosts behind one model of an aggregator, by its wire id, until the next whole live list. */
  putHosts(
    provider: string,
    wireModel: string,
    hosts: { readonly date: string; readonly list: readonly ListedHost[] },
  ): void
  /** The day of the freshest list of a provider; `null` without one. */
  date(provider: string): string | null
}

/** OpenRouter's suffixes that work on every model; others (`:free`, `:thinking`) are models of their own. */
const DYNAMIC: ReadonlySet<string> = new Set(['nitro', 'floor', 'exacto', 'online', 'extended'])

export interface Reference {
  /** The listed name; empty for a preset alone. */
  readonly base: string
  /** Without the colon; several are joined by one. */
  readonly variant: string | null
  readonly preset: string | null
}

/** Takes `openai/gpt-5:nitro@preset/support` apart. */
export function parseReference(reference: string): Reference {
  const at = reference.indexOf('@preset/')
  const preset = at === -1 ? null : reference.slice(at + '@preset/'.length)
  const [name = '', ...suffixes] = (at === -1 ? reference : reference.slice(0, at)).split(':')
  const isDynamic = (suffix: string) => DYNAMIC.has(suffix.toLowerCase())
  const variants = suffixes.filter(isDynamic)
  const base = [name, ...suffixes.filter((suffix) => !isDynamic(suffix))].join(':')
  return { base, variant: variants.length === 0 ? null : variants.join(':'), preset }
}

/** An empty catalogue: `put` fills it. */
export function createCatalog(): Catalog {
  const shelves = new Map<string, Shelf>()
  let built: Index | null = null
  // Built when it is first asked after a change, as several lists usually come together; then all reads are look-ups.
  const index = (): Index => {
    built ??= indexOf([...shelves].flatMap(([provider, shelf]) => rowsOf(provider, shelf)))
    return built
  }
  const lookup = (reference: string): Lookup => {
    const { meaning, ids } = index()
    return meaning(reference) ?? { nearest: nearest(reference, ids()) }
  }
  const lenient = (reference: string): Lookup => {
    const found = lookup(reference)
    const { base, variant, preset } = parseReference(reference)
    return 'model' in found || base === '' || (variant ?? preset) === null ? found : lookup(base)
  }
  const put: Catalog['put'] = (provider, { date, source, models, partial = source === 'user' }) => {
    if (source === 'live' && models.length === 0) return
    const shelf = shelves.get(provider) ?? new Map<Listing['source'], Layer>()
    shelves.set(provider, shelf)
    const before = partial ? shelf.get(source) : undefined
    const rows = new Map(before?.rows)
    for (const row of models) rows.set(row.id, { row: { ...rows.get(row.id)?.row, ...row }, date })
    shelf.set(source, { rows, date, whole: !partial || before?.whole === true })
    built = null
  }
  return Object.freeze<Catalog>({
    lookup,
    put,
    find(reference) {
      const found = lenient(reference)
      if ('model' in found) return found.model
      const shown = JSON.stringify(reference.length > 80 ? `${reference.slice(0, 79)}…` : reference)
      if ('several' in found) throw new ConfigError('model', `${shown} fits several: ${found.several.join(', ')}`)
      const [closest] = found.nearest
      const hint = closest === undefined ? '' : `; did you mean "${closest}"?`
      throw new ConfigError('model', `no list knows ${shown}${hint}`)
    },
    offers(reference) {
      const found = lenient(reference)
      return 'model' in found ? found.model.offers : []
    },
    offer: (provider, canonicalId) => index().offer(provider, canonicalId),
    unlisted: (provider, reference) => offerOf({ provider, row: { id: reference }, model: reference, priced: null }),
    models: () => index().models(),
    successorOf(reference, day) {
      const seen = new Set<string>()
      let found = lenient(reference)
      while ('model' in found && isGone(found.model, day) && !seen.has(found.model.id)) {
        seen.add(found.model.id)
        if (found.model.successor === null) return null
        found = lenient(found.model.successor)
      }
      return 'model' in found && !seen.has(found.model.id) && seen.size > 0 ? found.model.id : null
    },
    putHosts: (provider, wireModel, { date, list }) =>
      put(provider, { date, source: 'live', models: [{ id: wireModel, hosts: list }], partial: true }),
    date(provider) {
      const shelf = shelves.get(provider) ?? new Map<Listing['source'], Layer>()
      const dates = [...shelf].flatMap(([source, layer]) => (source === 'user' ? [] : layer.date))
      return dates.sort().at(-1) ?? null
    },
  })
}

function isGone({ retires }: Model, day: string): boolean {
  return retires !== null && retires <= day
}

/** What one source says of one provider, by wire id. */
interface Layer {
  readonly rows: ReadonlyMap<string, { readonly row: ListedModel; readonly date: string }>
  readonly date: string
  /** Whether it names everything that is sold. */
  readonly whole: boolean
}

type Shelf = Map<Listing['source'], Layer>

interface Priced {
  readonly source: PriceSource
  readonly date: string
}

interface Row {
  readonly provider: string
  readonly row: ListedModel
  readonly priced: Priced | null
  /** Where the hosts' prices come from. */
  readonly hostsPriced?: Priced | null
}

/** One row per wire id, field by field from the source that is trusted most. */
function rowsOf(provider: string, shelf: Shelf): Row[] {
  const merged = new Map<string, Row>()
  const live = shelf.get('live')
  for (const source of ['snapshot', 'live', 'user'] as const) {
    for (const [id, { row, date }] of shelf.get(source)?.rows ?? []) {
      if (source === 'snapshot' && live?.whole === true && !live.rows.has(id) && !row.retires) continue
      const below = merged.get(id)
      merged.set(id, {
        provider,
        row: below === undefined ? row : { ...below.row, ...row },
        priced: row.prices ? { source, date: row.pricedOn ?? date } : (below?.priced ?? null),
        hostsPriced: row.hosts ? { source, date } : (below?.hostsPriced ?? null),
      })
    }
  }
  return [...merged.values()]
}

/** Names are sorted at once; a model is put together when it is first asked for, as few of hundreds ever are. */
interface Index {
  readonly models: () => readonly Model[]
  /** Every canonical id, for suggestions. */
  readonly ids: () => readonly string[]
  /** The model that a name means, or the models it may mean. */
  readonly meaning: (name: string) => Lookup | undefined
  readonly offer: (provider: string, canonicalId: string) => Offer | null
}

function indexOf(rows: readonly Row[]): Index {
  const groups = groupsOf(rows)
  const all = [...groups.values()]
  const names = namesOf(all)
  let models: readonly Model[] | null = null
  return {
    models: () => {
      const chosen = ({ id, guard }: Model) => !guard && !id.startsWith('~')
      models ??= Object.freeze(all.map((group) => entryOf(group).model).filter(chosen))
      return models
    },
    ids: () => all.map(({ id }) => id),
    meaning: (reference) => {
      const meant = names.get(reference.toLowerCase())?.things ?? []
      const [first, second] = meant
      if (first === undefined) return undefined
      return second === undefined ? entryOf(first).meaning : Object.freeze({ several: meant.map(({ id }) => id) })
    },
    offer: (provider, canonicalId) => {
      const group = groups.get(canonicalId.toLowerCase())
      return group?.id === canonicalId ? (entryOf(group).offers.get(provider) ?? null) : null
    },
  }
}

/** Rows that are the same model, whatever the case its providers write it in; the lower-case spelling is canonical. */
interface Group {
  id: string
  readonly rows: Row[]
  /** `null` until it is asked for. */
  entry: Entry | null
}

interface Entry {
  readonly model: Model
  readonly meaning: Lookup
  /** By provider. */
  readonly offers: ReadonlyMap<string, Offer>
}

/** By lower-case id. */
function groupsOf(rows: readonly Row[]): ReadonlyMap<string, Group> {
  const groups = new Map<string, Group>()
  for (const row of rows) {
    const id = row.row.model ?? row.row.id
    const key = id.toLowerCase()
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { id, rows: [row], entry: null })
    else {
      group.rows.push(row)
      if (id === key) group.id = id
    }
  }
  return groups
}

function entryOf(group: Group): Entry {
  group.entry ??= builtOf(group)
  return group.entry
}

function builtOf({ id, rows }: Group): Entry {
  const own = rows.map((row) => ({ ...row, offer: offerOf({ ...row, model: id }) }))
  const offers = new Map<string, Offer>()
  for (const { provider, offer } of own) {
    const other = offers.get(provider)
    // A provider that lists one model under two ids: the one that stays goes before the one that goes.
    if (other === undefined || (other.retires ?? '9') < (offer.retires ?? '9')) offers.set(provider, offer)
  }
  const model = modelOf(id, own)
  return { model, meaning: Object.freeze({ model }), offers }
}

function modelOf(id: string, sold: readonly (Row & { readonly offer: Offer })[]): Model {
  const rows = sold.map(({ row }) => row)
  const offers = sold.map(({ offer }) => offer)
  const names = rows.flatMap((row) => [row.id, ...(row.aliases ?? [])]).filter((name) => name !== id)
  const days = offers.map(({ retires }) => retires)
  const gone = days.filter((day) => day !== null).sort()
  // What a retired offer could do says nothing about what can be had.
  const staying = offers.filter(({ retires }) => retires === null)
  const had = staying.length === 0 ? offers : staying
  const input = new Set<Modality>(['text', ...had.flatMap((offer) => [...(offer.input ?? [])])])
  const abilities = had.some((offer) => offer.abilities === null)
    ? null
    : new Set(had.flatMap((offer) => [...(offer.abilities ?? [])]))
  return Object.freeze<Model>({
    id,
    name: rows.find(({ name }) => name !== undefined)?.name ?? null,
    aliases: Object.freeze([...new Set(names)]),
    context: most(had.map(({ context }) => context)),
    maxOutput: most(had.map(({ maxOutput }) => maxOutput)),
    abilities,
    input,
    released: rows.flatMap(({ released }) => released ?? []).sort()[0] ?? null,
    retires: gone.length === days.length ? (gone.at(-1) ?? null) : null,
    successor: offers.find(({ successor }) => successor !== null)?.successor ?? null,
    guard: rows.some(({ guard }) => guard === true),
    offers: Object.freeze(offers),
  })
}

/** The largest known; an offer that does not say may take more, but nobody can count on it. */
function most(numbers: readonly (number | null)[]): number | null {
  const known = numbers.filter((number) => number !== null)
  return known.length === 0 ? null : Math.max(...known)
}

function offerOf({ provider, row, model, priced, hostsPriced }: Row & { readonly model: string }): Offer {
  const offer = {
    model,
    provider,
    host: null,
    hostName: null,
    wireModel: row.id,
    context: row.context ?? null,
    maxOutput: row.maxOutput ?? null,
    ...pricesOf(row.prices, priced),
    abilities: setOf(row.abilities),
    input: setOf(row.input),
    parameters: setOf(row.parameters),
    retires: row.retires ?? null,
    successor: row.successor ?? null,
  }
  const own = (row.hosts ?? []).map((host) =>
    Object.freeze<Offer>({
      ...offer,
      host: host.host,
      hostName: host.name ?? null,
      context: host.context ?? offer.context,
      maxOutput: host.maxOutput ?? offer.maxOutput,
      ...pricesOf(host.prices, hostsPriced ?? null),
      parameters: setOf(host.parameters) ?? offer.parameters,
      hosts: [],
      ...(host.tierPrices && { tierTariffs: tariffsOf(host.tierPrices) }),
    }),
  )
  return Object.freeze<Offer>({ ...offer, hosts: Object.freeze(own) })
}

function pricesOf(
  prices: PriceList | undefined,
  priced: Priced | null,
): Pick<Offer, 'prices' | 'tariff' | 'priceSource' | 'priceDate'> {
  if (prices === undefined) return { prices: null, tariff: null, priceSource: 'unknown', priceDate: null }
  const { source = 'unknown', date = null } = priced ?? {}
  return { prices: Object.freeze({ ...prices }), tariff: tariff(prices), priceSource: source, priceDate: date }
}

function tariffsOf(prices: Readonly<Record<string, PriceList>>): Readonly<Record<string, Tariff>> {
  return Object.freeze(Object.fromEntries(Object.entries(prices).map(([tier, list]) => [tier, tariff(list)])))
}

function setOf<T>(values: readonly T[] | undefined): ReadonlySet<T> | null {
  return values === undefined ? null : new Set(values)
}
