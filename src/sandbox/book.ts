import type { ListedModel } from '../listing.ts'
import { type Host, hostsOf, type SandboxHost } from './hosts.ts'

/** A model as the sandbox sells it; what a listing leaves open is filled in. */
export interface SandboxModel extends Omit<ListedModel, 'hosts'> {
  readonly hosts?: readonly SandboxHost[]
}

/** Models to add to, or to put in the place of, what the bundled catalogue lists. */
export interface SandboxModels {
  readonly groq?: readonly SandboxModel[]
  readonly openrouter?: readonly SandboxModel[]
}

export interface Sold {
  readonly model: ListedModel
  readonly hosts: readonly Host[]
}

/** What both providers sell. */
export interface Book {
  groq(id: string): ListedModel | undefined
  openrouter(id: string): Sold | undefined
  readonly groqModels: readonly ListedModel[]
  readonly openrouterModels: readonly ListedModel[]
}

export interface Listings {
  readonly groq: readonly ListedModel[]
  readonly openrouter: readonly ListedModel[]
}

export function createBook(
  listings: Listings,
  added: SandboxModels = {},
  hosts: Readonly<Record<string, readonly SandboxHost[]>> = {},
): Book {
  const groqModels = merge(listings.groq, added.groq)
  const openrouterModels = merge(listings.openrouter, added.openrouter)
  for (const [id, own] of Object.entries(hosts)) {
    const model = openrouterModels.get(id)
    if (model === undefined)
      throw new Error(
        `startSandbox: hosts names the unknown model ${JSON.stringify(id)}; add it to models.openrouter first`,
      )
    openrouterModels.set(id, { ...model, hosts: own })
  }
  const sold = new Map<string, Sold>()
  const byName = new Map<string, ListedModel>()
  for (const model of openrouterModels.values()) {
    for (const alias of model.aliases ?? []) byName.set(alias, model)
  }
  for (const model of openrouterModels.values()) byName.set(model.id, model)
  const onGroq = new Map([...groqModels.values()].map((model) => [model.model ?? model.id, model.prices]))

  return {
    groqModels: [...groqModels.values()],
    openrouterModels: [...openrouterModels.values()],
    groq: (id) => groqModels.get(id),
    openrouter(id) {
      const known = sold.get(id)
      if (known !== undefined) return known
      const model = byName.get(id)
      if (model === undefined) return undefined
      const entry = { model, hosts: hostsOf(model, onGroq.get(model.id)) }
      sold.set(id, entry)
      return entry
    },
  }
}

function merge(listed: readonly ListedModel[], added: readonly SandboxModel[] = []): Map<string, ListedModel> {
  const models = new Map(listed.map((model) => [model.id, model]))
  for (const model of added) models.set(model.id, { ...models.get(model.id), ...model })
  return models
}
