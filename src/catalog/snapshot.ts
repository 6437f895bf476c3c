import type { ListedModel } from '../listing.ts'

/** What the providers listed on a day: the catalogue's ground before any live list is asked for. */
export interface Snapshot {
  readonly date: string
  /** By dialect. */
  readonly providers: Readonly<Record<string, { readonly date: string; readonly models: readonly ListedModel[] }>>
}

/** Loaded when it is first needed, as a chunk of its own. */
export async function loadSnapshot(): Promise<Snapshot> {
  const { json } = await import('./snapshot-data.ts')
  // Our own file, made by our own script.
  return JSON.parse(json) as Snapshot
}
