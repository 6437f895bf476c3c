import type { KnownAuthor, KnownGroqId, KnownHost, KnownModel } from './catalog/ids.ts'
import type { Provider } from './provider.ts'

/** Any other string, without losing what the editor offers. */
type Other = string & {}

type ModelId<P> = KnownModel | KnownGroqId | OwnIds<P> | Other

/** What may stand as a model: offered from the catalogue and from what the providers declare. */
export type ModelOf<P> = ModelId<P> | { readonly model: ModelId<P>; readonly request?: object }

/** What may stand as a place: a provider by name, or a host behind OpenRouter. */
export type PlaceOf<P> = NameOf<P> | (P extends Provider<'openrouter'> ? `openrouter/${KnownHost}` : never) | Other

type NameOf<P> = P extends Provider<infer Name> ? Name : never

/**
 * An id that no list knows although its author is known is most likely mistyped, and so is a place at a provider that
 * was not given. Right policies add nothing, and what is only known to be a string is checked when it is there.
 */
export type CheckedTasks<Tasks, P> = {
  readonly [Task in keyof Tasks]: CheckedModels<Tasks[Task], OwnIds<P>> & CheckedPlaces<Tasks[Task], P>
}

/** A provider that declares nothing has `string`, in which everything that the editor could offer would drown. */
type OwnIds<P> = P extends Provider<string, infer Own> ? (string extends Own ? never : Own) : never

type CheckedModels<Policy, Own> = Policy extends { readonly model: infer Model }
  ? [Wrong<Model, Own>] extends [never]
    ? unknown
    : { readonly model: Message<Wrong<Model, Own>> }
  : unknown

type Message<Id extends string> =
  `the catalogue knows no model "${Id}": correct it, or write it "as string" if it is newer`

type CheckedPlaces<Policy, P> = Policy extends { readonly provider: infer Place }
  ? [WrongPlace<Place, P>] extends [never]
    ? unknown
    : { readonly provider: `no provider is called "${WrongPlace<Place, P>}": expected ${NameOf<P>}` }
  : unknown

type WrongPlace<Place, P> = Place extends readonly (infer Each)[] ? WrongName<Each, P> : WrongName<Place, P>

/** Only OpenRouter has hosts. */
type WrongName<Place, P> = Place extends string
  ? string extends Place
    ? never
    : Place extends NameOf<P> | (P extends Provider<'openrouter'> ? `openrouter/${string}` : never)
      ? never
      : Place
  : never

type Wrong<Model, Own> = Model extends readonly (infer Each)[] ? WrongId<IdOf<Each>, Own> : WrongId<IdOf<Model>, Own>

type IdOf<Model> = Model extends string ? Model : Model extends { readonly model: infer Id } ? Id : never

/** Of a union of ids, those that are wrong. */
type WrongId<Id, Own> = Id extends string
  ? string extends Id
    ? never
    : Base<Id> extends KnownModel | KnownGroqId | Own
      ? never
      : Id extends Own
        ? never
        : Id extends `${KnownAuthor}/${string}`
          ? Id
          : never
  : never

type Base<Id extends string> = Id extends KnownModel
  ? Id
  : Id extends `${infer Left}@preset/${string}`
    ? Base<Left>
    : Id extends `${infer Left}:${string}`
      ? Left
      : Id
