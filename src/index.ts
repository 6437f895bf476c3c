export type { Catalog, Lookup, Model, Offer } from './catalog.ts'
export type {
  AssistantMessage,
  ChatMessage,
  ChatRequest,
  Finish,
  Input,
  Needs,
  OpenRouterPreferences,
  RequestSettings,
  ToolCall,
} from './chat.ts'
export type { Clock, Moment } from './clock.ts'
export type { Completion, Draft } from './completion.ts'
export type { CompletionStream, Partially } from './completion-stream.ts'
export type { Accept } from './demand.ts'
export type { DataRule } from './dialects/dialect.ts'
export type { EmbeddingInput, Embeddings, EmbedOptions } from './embeddings.ts'
export {
  AbortError,
  AttemptsFailedError,
  BadOutputError,
  BudgetError,
  ConfigError,
  NoRouteError,
  RouterError,
  StreamBroken,
} from './errors.ts'
export type { Listener, RouterEvent } from './events.ts'
export { FAILURE_KINDS, type Failure, type FailureKind } from './failure.ts'
export { type FallbackRule, type Move, type Sentence, type Standing, type When, when } from './fallback.ts'
export type { CallOptions } from './gather.ts'
export type { StreamEvent } from './glue.ts'
export type { Headroom } from './headroom.ts'
export type { HealthReport, OfferHealth } from './health.ts'
export type { Ledger, LedgerBy, LedgerOptions, LedgerRow, LedgerSummary, SummaryOptions } from './ledger.ts'
export type { ListedHost, ListedModel, Listing } from './listing.ts'
export {
  cheapest,
  clears,
  type Facts,
  fastest,
  firstOf,
  type ModelChoice,
  type ModelNeeds,
  type ModelRef,
  type ModelRule,
} from './model-rule.ts'
export type { Place, SessionStanding } from './pin.ts'
export type { Plan, Rejection, RejectionCode, Step } from './plan.ts'
export type { DriftPolicy, Hedge, Limits, OnBroken, SessionPolicy, TaskPolicy } from './policy.ts'
export type { PriceList, PriceTier } from './price.ts'
export { compatible, type DataTerms, groq, openrouter, type Provider } from './provider.ts'
export {
  avoid,
  cheapestOffer,
  fastestOffer,
  inOrder,
  only,
  type ProviderRef,
  type ProviderRule,
  type RankedOffer,
} from './provider-rule.ts'
export type { ReconcileOptions } from './reconcile.ts'
export { type BoundSession, createRouter, type Router, type RouterOptions } from './router.ts'
export type { RunUsage } from './run-usage.ts'
export { type DataOf, type GivenOf, type Issue, type JsonSchema, jsonSchema, type Schema } from './schema.ts'
export type { Sink } from './sinks.ts'
export type { SpendingBudget } from './spending.ts'
export { type SessionHistory, type SessionPlace, type SessionRule, whilePaying, whileWarm } from './stay.ts'
export type { CatalogOptions } from './stock.ts'
export { keyvStore } from './stores/keyv.ts'
export { type MemoryStore, memoryStore } from './stores/memory.ts'
export type { Store } from './stores/store.ts'
export type { Percentiles, TallyRow } from './tally.ts'
export { type Run, type RunOptions, runOf, type StoppedRun } from './tool-loop.ts'
export { type CallOf, type Tool, type ToolContext, type TypedCall, tool } from './tools.ts'
export type {
  Alternative,
  AttemptRecord,
  CacheRecord,
  CostRecord,
  Drift,
  Escalation,
  Tokens,
  UsageFlag,
  UsageRecord,
} from './usage.ts'
export { fetchWire } from './wires/fetch.ts'
export { type Dispatcher, undiciWire } from './wires/undici.ts'
export type { ByteBody, ByteReader, Wire, WireReply, WireRequest } from './wires/wire.ts'
