import type { PriceList } from './price.ts'

export type Modality = 'text' | 'image' | 'audio' | 'video' | 'file'
/** What a model can be asked to do beyond answering in text. */
export type Ability = 'tools' | 'json' | 'schema' | 'reasoning' | 'logprobs'

/** One model as one provider lists it. Everything but the id may be unknown. */
export interface ListedModel {
  /** What goes on the wire. */
  readonly id: string
  /** The canonical slug, where it differs from the id: `llama-3.3-70b-versatile` is `meta-llama/llama-3.3-70b-instruct`. */
  readonly model?: string
  /** Other names for it: dated slugs, the target of a `~latest` slug. */
  readonly aliases?: readonly string[]
  readonly name?: string
  /** ISO dates, `YYYY-MM-DD`. */
  readonly released?: string
  readonly retires?: string
  /** The canonical slug of what should be used instead. */
  readonly successor?: string
  readonly context?: number
  readonly maxOutput?: number
  /** Left out: text. */
  readonly input?: readonly Modality[]
  readonly output?: readonly Modality[]
  /** Left out: unknown, which keeps nothing away. */
  readonly abilities?: readonly Ability[]
  /** Request parameters the provider says it takes, by OpenAI's and OpenRouter's names. */
  readonly parameters?: readonly string[]
  readonly prices?: PriceList
  /** Who runs it behind an aggregator, where that is known. */
  readonly hosts?: readonly ListedHost[]
}

/** One host of a model behind an aggregator. */
export interface ListedHost {
  /** The slug that pins it, e.g. `anthropic` or `google-vertex/us-east5`. */
  readonly host: string
  /** The display name that answers carry, e.g. `Google`. */
  readonly name?: string
  readonly context?: number
  readonly maxOutput?: number
  readonly parameters?: readonly string[]
  readonly prices?: PriceList
  /** The host caches prompts without being asked. */
  readonly implicitCaching?: boolean
}

/** What one provider sells, and how fresh that knowledge is. */
export interface Listing {
  readonly date: string
  readonly source: 'live' | 'snapshot' | 'user'
  readonly models: readonly ListedModel[]
}
