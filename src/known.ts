import type { KnownAuthor, KnownHost, KnownModel, KnownGroqId } from './catalog/ids.ts'
import type { Provider } from './provider.ts'

/** Any other string, without losing what the editor offers. */
type Other = string & {}

type ModelId<P> = KnownModel | KnownGroqId | (P extends Provider<string, infer Own> ? Own : never) | Other

/** What may stand as a model: offered from the catalogue and from what the providers declare. */
export type ModelOf<P> = ModelId<P> | { readonly model: ModelId<P>; readonly request?: object }

/** What may stand as a place: a provider by name, or a host behind OpenRouter. */
export type PlaceOf<P> =
  | (P extends Provider<infer Name> ? Name : never)
  | (P extends Provider<'openrouter'> ? `openrouter/${KnownHost}` | `openrouter/${Other}` : never)

/** Every id that no list knows but whose author is known is most likely mistyped. */
export type CheckedTasks<Tasks, P> = { readonly [Task in keyof Tasks]: CheckedPolicy<Tasks[Task], OwnIds<P>> }

type OwnIds<P> = P extends Provider<string, infer Own> ? (string extends Own ? never : Own) : never

type CheckedPolicy<Policy, Own> = Policy extends { readonly model: infer Model }
  ? { readonly model: CheckedModels<Model, Own> }
  : Policy

type CheckedModels<Model, Own> = Model extends readonly unknown[]
  ? { readonly [Index in keyof Model]: CheckedModel<Model[Index], Own> }
  : CheckedModel<Model, Own>

type CheckedModel<Model, Own> = Model extends string
  ? CheckedId<Model, Own>
  : Model extends { readonly model: infer Id extends string }
    ? { readonly model: CheckedId<Id, Own> }
    : Model

type CheckedId<Id extends string, Own> = string extends Id
  ? Id
  : Id extends KnownModel | KnownGroqId | Own | `${KnownModel}:${string}` | `${KnownModel}@preset/${string}`
    ? Id
    : Id extends `${KnownAuthor}/${string}`
      ? `the catalogue knows no model "${Id}": correct it, or write it "as string" if it is newer`
      : Id
