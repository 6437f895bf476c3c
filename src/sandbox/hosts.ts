import type { ListedHost, ListedModel } from '../listing.ts'
import type { PriceList } from '../price.ts'

/** One host of a model in the sandbox's OpenRouter. */
export interface SandboxHost extends ListedHost {
  /** Trains on what it is sent: left out under `data_collection: 'deny'`. */
  readonly trains?: boolean
  /** Keeps nothing: what `zdr: true` asks for. */
  readonly zeroRetention?: boolean
  readonly quantization?: string
}

/** A host with everything the sandbox needs to know of it. */
export interface Host extends SandboxHost {
  readonly name: string
  readonly prices: PriceList
  /** Whether an aborted stream stops being billed there. */
  readonly stopsOnAbort: boolean
}

const NAMES: Readonly<Record<string, string>> = {
  alibaba: 'Alibaba',
  'amazon-bedrock': 'Amazon Bedrock',
  anthropic: 'Anthropic',
  azure: 'Azure',
  baseten: 'BaseTen',
  cerebras: 'Cerebras',
  chutes: 'Chutes',
  cohere: 'Cohere',
  deepinfra: 'DeepInfra',
  deepseek: 'DeepSeek',
  fireworks: 'Fireworks',
  'google-ai-studio': 'Google AI Studio',
  'google-vertex': 'Google',
  groq: 'Groq',
  minimax: 'Minimax',
  mistral: 'Mistral',
  moonshotai: 'Moonshot AI',
  nebius: 'Nebius',
  novita: 'Novita',
  openai: 'OpenAI',
  parasail: 'Parasail',
  perplexity: 'Perplexity',
  sambanova: 'SambaNova',
  together: 'Together',
  xai: 'xAI',
  'z-ai': 'Z.AI',
}

/** OpenRouter's own list of hosts where an abort stops the generation and the bill. All others charge in full. */
const STOPS_ON_ABORT = new Set(
  (
    'openai azure anthropic fireworks mancer recursal anyscale lepton octoai novita deepinfra together cohere ' +
    'hyperbolic infermatic avian xai cloudflare sfcompute nineteen liquid friendli chutes deepseek'
  ).split(' '),
)
const TRAINS = new Set(['deepseek', 'chutes', 'moonshotai', 'alibaba', 'z-ai'])
const KEEPS_NOTHING = new Set([
  'amazon-bedrock',
  'azure',
  'deepinfra',
  'fireworks',
  'google-vertex',
  'groq',
  'together',
])
const QUANTIZATIONS: Readonly<Record<string, string>> = { deepinfra: 'fp8', together: 'bf16', novita: 'fp8' }

/** Who plausibly runs a closed model: the author first, the resellers after. */
const CLOSED: Readonly<Record<string, readonly string[]>> = {
  anthropic: ['anthropic', 'amazon-bedrock', 'google-vertex'],
  openai: ['openai', 'azure'],
  google: ['google-vertex', 'google-ai-studio'],
  'x-ai': ['xai', 'azure'],
  mistralai: ['mistral', 'azure'],
  cohere: ['cohere', 'azure'],
  perplexity: ['perplexity', 'azure'],
  amazon: ['amazon-bedrock', 'azure'],
}
const AUTHORS_WITH_OPEN_MODELS = new Set(['openai', 'google', 'mistralai'])
/** The author's own host, for open models whose author runs one. */
const HOME: Readonly<Record<string, string>> = {
  deepseek: 'deepseek',
  moonshotai: 'moonshotai',
  qwen: 'alibaba',
  minimax: 'minimax',
  'z-ai': 'z-ai',
}
/** What each further host asks, as a multiple of the list price. */
const MARKUPS = [1, 1.25, 1.6, 2]

/** The hosts of a model: those that are listed, or at least two plausible ones at different prices. */
export function hostsOf(model: ListedModel, groqPrices: PriceList | undefined): readonly Host[] {
  const list = model.prices ?? { input: 0, output: 0 }
  const listed: readonly SandboxHost[] = model.hosts ?? []
  if (listed.length > 0) return listed.map((host) => complete(host, host.prices ?? list))
  const slugs = plausible(model, groqPrices !== undefined)
  return slugs.map((host, index) =>
    complete(
      { host },
      host === 'groq' && groqPrices !== undefined ? groqPrices : times(list, MARKUPS[index] ?? 2 + index),
    ),
  )
}

/** A host that nobody lists, at these prices. */
export function hostNamed(name: string, prices: PriceList | undefined): Host {
  return complete({ host: name.toLowerCase().replaceAll(' ', '-'), name }, prices ?? { input: 0, output: 0 })
}

function plausible(model: ListedModel, onGroq: boolean): readonly string[] {
  const author = (model.id.split('/')[0] ?? '').replace(/^~/, '')
  const closed = CLOSED[author]
  const open = /gpt-oss|gemma|mixtral|mistral-(7b|nemo|small)|devstral/.test(model.id)
  if (closed !== undefined && !(open && AUTHORS_WITH_OPEN_MODELS.has(author))) return closed
  const home = HOME[author]
  return [...(home === undefined ? [] : [home]), 'deepinfra', 'together', ...(onGroq ? ['groq'] : [])]
}

function complete(host: SandboxHost, prices: PriceList): Host {
  const base = baseOf(host.host)
  return {
    quantization: QUANTIZATIONS[base] ?? 'unknown',
    trains: TRAINS.has(base),
    zeroRetention: KEEPS_NOTHING.has(base),
    ...host,
    name: host.name ?? NAMES[base] ?? base.charAt(0).toUpperCase() + base.slice(1),
    prices,
    stopsOnAbort: STOPS_ON_ABORT.has(base),
  }
}

/** `google-vertex/us-east5` is one of `google-vertex`. */
export function baseOf(slug: string): string {
  return slug.split('/')[0] ?? slug
}

const NOT_PER_TOKEN = new Set(['request', 'image', 'webSearch', 'abovePromptTokens', 'fromUtc', 'untilUtc'])

function times(prices: PriceList, factor: number): PriceList {
  if (factor === 1) return prices
  const { tiers, ...base } = prices
  const list = { ...base, ...scale(base, factor) }
  return tiers === undefined ? list : { ...list, tiers: tiers.map((tier) => ({ ...tier, ...scale(tier, factor) })) }
}

function scale(prices: object, factor: number): Record<string, number> {
  const scaled: Record<string, number> = {}
  for (const [key, value] of Object.entries(prices)) {
    if (typeof value === 'number' && !NOT_PER_TOKEN.has(key)) scaled[key] = Math.round(value * factor * 1e9) / 1e9
  }
  return scaled
}
