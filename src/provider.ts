import type { OpenAI } from 'openai'
import type { OpenRouterPlugin, OpenRouterPreferences, RequestSettings } from './chat.ts'
import { type DataRule, type Dialect, openai } from './dialects/dialect.ts'
import { groq as groqDialect } from './dialects/groq.ts'
import { openrouter as openrouterDialect } from './dialects/openrouter.ts'
import { ConfigError } from './errors.ts'
import type { ListedModel } from './listing.ts'
import { A_FUNCTION, A_LIST, A_STRING, AN_OBJECT, checkOptions, type Expectation, expected, kindOf } from './options.ts'
import type { PriceList } from './price.ts'
import { type Redact, redactor, secretsIn } from './redact.ts'
import { type Fetch, fetchWire } from './wires/fetch.ts'
import { openaiWire } from './wires/openai.ts'
import { standardWire } from './wires/standard.ts'
import type { Wire, WireReply } from './wires/wire.ts'

/** What the account at a provider guarantees. What is not declared is not allowed under a strict policy. */
export interface DataTerms {
  /** `false`: nothing that is sent is trained on. */
  readonly training?: boolean
  readonly retention?: 'zero' | 'provider'
}

/** An account at an endpoint: a dialect, a wire, and a key that nobody can read back. */
export interface Provider<Name extends string = string, ModelId extends string = string> {
  readonly name: Name
  readonly dialect: Dialect
  readonly dataTerms: DataTerms
  /** Models declared by hand; they stand above any list. */
  readonly models: readonly ListedModel[]
  /** Whether a model that no list knows may be asked for all the same. */
  readonly open: boolean
  /** Settings for every request. */
  readonly settings: RequestSettings
  readonly redact: Redact
  send(request: ProviderRequest): Promise<WireReply>
  /** Only in the types: what the editor offers as models. */
  readonly modelIds?: ModelId
}

export interface ProviderRequest {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>> | null
  readonly body?: string | null
  readonly signal: AbortSignal
}

interface AccountOptions {
  readonly apiKey?: string | undefined
  readonly baseURL?: string | undefined
  readonly dataTerms?: DataTerms | undefined
  /** How bytes travel; default: Node's own client where there is one, one floor below its `fetch`; else `fetch`. */
  readonly wire?: Wire | undefined
  /** Your own OpenAI client carries the bytes: its key, base URL, proxy and headers are used, its retries are not. */
  readonly client?: OpenAI | undefined
  readonly fetch?: Fetch | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
}

export interface GroqOptions extends AccountOptions {
  readonly serviceTier?: 'auto' | 'on_demand' | 'flex' | 'performance' | undefined
  /** Models that no list knows yet, or that are listed wrong. */
  readonly models?: readonly (string | ListedModel)[] | undefined
}

export interface OpenRouterOptions extends AccountOptions {
  /** The app's name and address, for OpenRouter's rankings. */
  readonly title?: string | undefined
  readonly referer?: string | undefined
  readonly categories?: readonly string[] | undefined
  /** OpenRouter's `provider` object, for every request. */
  readonly preferences?: OpenRouterPreferences | undefined
  readonly plugins?: readonly OpenRouterPlugin[] | undefined
  readonly models?: readonly (string | ListedModel)[] | undefined
}

export interface CompatibleOptions<Name extends string, ModelId extends string> extends AccountOptions {
  readonly name: Name
  readonly baseURL: string
  /** What it serves: ids, or objects with what is known of each. */
  readonly models?: readonly (ModelId | (ListedModel & { readonly id: ModelId }))[] | undefined
  /** By model id, USD per million tokens. */
  readonly prices?: Readonly<Partial<Record<NoInfer<ModelId>, PriceList>>> | undefined
}

const ACCOUNT: Readonly<Record<string, Expectation>> = {
  // What a key and an address have to be is looked at more closely below.
  apiKey: expected('a key', () => true),
  baseURL: expected('an absolute URL, e.g. "https://api.example.com/v1"', (value) => typeof value === 'string'),
  dataTerms: expected("{ training: false, retention: 'zero' | 'provider' }", isDataTerms),
  wire: expected('a wire such as fetchWire()', (value) => hasMethod(value, 'send')),
  client: expected('an OpenAI client', (value) => hasMethod(value, 'withOptions')),
  fetch: A_FUNCTION,
  headers: expected('an object of headers', isRecord),
  models: expected('a list of model ids, or of objects with one', Array.isArray),
}
const A_HEADER_TEXT = expected('a string that fits a header', isHeaderText)
const TIERS = ['auto', 'on_demand', 'flex', 'performance']
const GROQ: Readonly<Record<string, Expectation>> = {
  ...ACCOUNT,
  serviceTier: expected(`one of ${TIERS.join(', ')}`, (value) => typeof value === 'string' && TIERS.includes(value)),
}
const OPENROUTER: Readonly<Record<string, Expectation>> = {
  ...ACCOUNT,
  title: A_HEADER_TEXT,
  referer: A_HEADER_TEXT,
  categories: expected('a list of words', (value) => Array.isArray(value) && value.every(isHeaderText)),
  preferences: AN_OBJECT,
  plugins: A_LIST,
}
const COMPATIBLE: Readonly<Record<string, Expectation>> = {
  ...ACCOUNT,
  name: A_STRING,
  prices: expected('price lists by model id', isRecord),
}

/**
 * Groq. The key is `apiKey`, or `GROQ_API_KEY` from the environment.
 *
 * @example
 * ```ts
 * createRouter({ providers: [groq({ serviceTier: 'flex' })], tasks })
 * ```
 */
export function groq(options: GroqOptions = {}): Provider<'groq'> {
  checkOptions(options, { of: 'groq', says: 'an object such as { apiKey }', known: GROQ })
  const { serviceTier, models = [], ...account } = options
  return createProvider({
    name: 'groq',
    dialect: groqDialect,
    account,
    home: 'https://api.groq.com/openai/v1',
    keyName: 'GROQ_API_KEY',
    models: declared('groq', models),
    open: false,
    settings: serviceTier === undefined ? {} : { service_tier: serviceTier },
  })
}

/**
 * OpenRouter. The key is `apiKey`, or `OPENROUTER_API_KEY` from the environment.
 *
 * @example
 * ```ts
 * openrouter({ title: 'Acme', referer: 'https://acme.dev', preferences: { sort: 'price' } })
 * ```
 */
export function openrouter(options: OpenRouterOptions = {}): Provider<'openrouter'> {
  checkOptions(options, { of: 'openrouter', says: 'an object such as { apiKey, title }', known: OPENROUTER })
  const { title, referer, categories, preferences, plugins, models = [], ...account } = options
  const headers: Record<string, string> = {}
  if (referer !== undefined) headers['http-referer'] = referer
  if (title !== undefined) headers['x-openrouter-title'] = title
  if (categories !== undefined) headers['x-openrouter-categories'] = categories.join(',')
  const settings = { ...(preferences && { preferences }), ...(plugins && { plugins }) }
  return createProvider({
    name: 'openrouter',
    dialect: openrouterDialect,
    account: { ...account, headers: { ...headers, ...account.headers } },
    home: 'https://openrouter.ai/api/v1',
    keyName: 'OPENROUTER_API_KEY',
    models: declared('openrouter', models),
    open: true,
    settings: Object.keys(settings).length === 0 ? {} : { openrouter: settings },
  })
}

/**
 * Any endpoint that speaks OpenAI's protocol: Ollama, vLLM, Together, Mistral, LiteLLM and so on.
 *
 * @example
 * ```ts
 * compatible({ name: 'ollama', baseURL: 'http://localhost:11434/v1', models: ['qwen3:8b'] })
 * ```
 */
export function compatible<const Name extends string, const ModelId extends string = string>(
  options: CompatibleOptions<Name, ModelId>,
): Provider<Name, ModelId> {
  checkOptions(options, { of: 'compatible', says: 'an object such as { name, baseURL }', known: COMPATIBLE })
  const { name, models = [], prices = {}, ...account } = options
  if (typeof name !== 'string' || !/^[a-z0-9][a-z0-9._-]*$/i.test(name)) {
    throw new ConfigError('compatible.name', `expected letters, digits, ".", "_" or "-", got ${kindOf(name)}`)
  }
  if (account.baseURL === undefined && account.client === undefined && account.wire === undefined) {
    throw new ConfigError(`${name}.baseURL`, 'expected the address of the endpoint, e.g. "http://localhost:11434/v1"')
  }
  const priced = new Map<string, PriceList | undefined>(Object.entries(prices))
  const listed = declared(name, models).map((model) => {
    const price = priced.get(model.id)
    priced.delete(model.id)
    return price === undefined ? model : { ...model, prices: price }
  })
  // A price alone declares its model too.
  for (const [id, price] of priced) if (price !== undefined) listed.push({ id, prices: price })
  return createProvider<Name, ModelId>({
    name,
    dialect: openai,
    account,
    home: '',
    keyName: null,
    models: listed,
    open: true,
    settings: {},
  })
}

/** Every built-in provider whose key is in the environment. */
export function providersFromEnvironment(): Provider[] {
  const found: Provider[] = []
  if (environment('GROQ_API_KEY') !== undefined) found.push(groq())
  if (environment('OPENROUTER_API_KEY') !== undefined) found.push(openrouter())
  return found
}

/** Whether an account may be used under a rule: what it has not declared, it does not guarantee. */
export function satisfies(provider: Provider, rule: DataRule): boolean {
  if (provider.dialect.supports.dataRules) return true
  if (rule.training === 'deny' && provider.dataTerms.training !== false) return false
  return rule.retention !== 'zero' || provider.dataTerms.retention === 'zero'
}

interface ProviderParts<Name extends string>
  extends Omit<Provider<Name>, 'send' | 'redact' | 'dataTerms' | 'modelIds'> {
  readonly account: AccountOptions
  readonly home: string
  readonly keyName: string | null
}

function createProvider<Name extends string, ModelId extends string = string>(
  parts: ProviderParts<Name>,
): Provider<Name, ModelId> {
  const { account, home, keyName, ...rest } = parts
  const { name } = parts
  const borrowed = account.wire ?? (account.client === undefined ? undefined : openaiWire(account.client))
  const key = keyOf(parts, borrowed !== undefined)
  const base = baseOf(`${name}.baseURL`, account.baseURL ?? home, borrowed !== undefined)
  const headers: Record<string, string> = { 'content-type': 'application/json', accept: 'application/json' }
  if (key !== undefined) headers.authorization = `Bearer ${key}`
  for (const [header, value] of Object.entries(account.headers ?? {})) {
    headers[header.toLowerCase()] = headerValue(`${name}.headers`, header, value)
  }
  const wire = borrowed ?? (account.fetch === undefined ? standardWire() : fetchWire({ fetch: account.fetch }))
  return Object.freeze({
    ...rest,
    dataTerms: Object.freeze({ ...account.dataTerms }),
    redact: redactor([...(key === undefined ? [] : [key]), ...secretsIn(Object.entries(headers))], wire.secrets),
    // The key lives in this closure and nowhere else.
    send: ({ method, path, headers: extra, body = null, signal }: ProviderRequest) =>
      wire.send({
        method,
        url: `${base}${path}`,
        path,
        // A copy: what a fetch of the user's own puts into it does not stay.
        headers: { ...headers, ...extra },
        body,
        signal,
      }),
  })
}

function keyOf(parts: ProviderParts<string>, borrowed: boolean): string | undefined {
  const { account, home, keyName, name } = parts
  const field = `${name}.apiKey`
  if (account.apiKey !== undefined) return checkedKey(field, account.apiKey, 'pass the key itself')
  if (borrowed || keyName === null) return undefined
  // A key from the environment belongs to the provider's own address: it is never sent anywhere else.
  if (account.baseURL !== undefined && !isAt(account.baseURL, home)) {
    throw new ConfigError(field, `expected an explicit key for a custom baseURL: ${keyName} is only sent to ${home}`)
  }
  const key = environment(keyName)
  if (key === undefined) throw new ConfigError(field, `expected a key, got none: set ${keyName} or pass apiKey`)
  return checkedKey(field, key, `check ${keyName}`)
}

function checkedKey(field: string, key: unknown, advice: string): string {
  const expected = `expected a key of printable characters without spaces`
  if (typeof key !== 'string') throw new ConfigError(field, `${expected}, got ${kindOf(key)}: ${advice}`)
  if (key === '') throw new ConfigError(field, `${expected}, got an empty string: ${advice}`)
  // Checked here because `Headers` would name the whole key in its error.
  if (/[\r\n]/.test(key)) throw new ConfigError(field, `${expected}, got one with a line break: ${advice}`)
  if (!/^[\x21-\x7e]+$/.test(key)) throw new ConfigError(field, `${expected}, got one with other characters: ${advice}`)
  return key
}

function baseOf(field: string, address: string, borrowed: boolean): string {
  if (address === '' && borrowed) return ''
  let url: URL
  try {
    url = new URL(address)
  } catch {
    throw new ConfigError(field, 'expected an absolute URL, e.g. "https://api.example.com/v1"')
  }
  if (url.username !== '' || url.password !== '') {
    throw new ConfigError(field, 'expected a URL without a user and a password: pass the key as apiKey')
  }
  if (/\/(chat\/completions|models)\/*$/.test(url.pathname)) {
    throw new ConfigError(field, 'expected the address below which /chat/completions lies, without that path itself')
  }
  if (url.search !== '' || url.hash !== '') throw new ConfigError(field, 'expected a URL without "?" and "#"')
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url.hostname))) {
    const got = url.protocol === 'http:' ? `http://${url.hostname}` : 'another scheme'
    throw new ConfigError(field, `expected https (http only on this machine), got ${got}`)
  }
  // Readers of URLs disagree on these: the address would not be what it looks like.
  if (/[\\\s]|\/(\.|%2e){1,2}(\/|$)/i.test(address.trim())) {
    throw new ConfigError(field, 'expected a URL without backslashes, blanks and ".."')
  }
  let path = url.pathname
  while (path.endsWith('/')) path = path.slice(0, -1)
  return `${url.origin}${path}`
}

function isAt(address: string, home: string): boolean {
  try {
    return new URL(address).origin === new URL(home).origin
  } catch {
    return false
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)
}

/** A name that is none, or longer than any, may be a key that took its place. */
const LONGEST_NAME = 40
const SHOWN_OF_OTHERS = 16

function headerValue(fields: string, header: string, value: unknown): string {
  const isName = /^[!#$%&'*+.^_`|~0-9a-z-]+$/i.test(header)
  const field = `${fields}.${isName && header.length <= LONGEST_NAME ? header : header.slice(0, SHOWN_OF_OTHERS)}`
  if (!isName) throw new ConfigError(field, 'expected a header name')
  if (header.toLowerCase() === 'authorization') {
    throw new ConfigError(field, 'expected any header but this one: pass the key as apiKey')
  }
  if (!isHeaderText(value)) throw new ConfigError(field, `expected a string that fits a header, got ${kindOf(value)}`)
  return value
}

function isHeaderText(value: unknown): value is string {
  return typeof value === 'string' && /^[\t\x20-\x7e\x80-\xff]*$/.test(value)
}

function isRecord(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function hasMethod(value: unknown, name: string): boolean {
  return typeof value === 'object' && value !== null && typeof Reflect.get(value, name) === 'function'
}

function isDataTerms(value: unknown): boolean {
  if (!isRecord(value)) return false
  return Object.entries(value).every(([name, term]: [string, unknown]) => {
    if (term === undefined) return true
    if (name === 'training') return typeof term === 'boolean'
    return name === 'retention' && (term === 'zero' || term === 'provider')
  })
}

function declared(provider: string, models: readonly (string | ListedModel)[]): ListedModel[] {
  return models.map((model, index) => {
    const id = typeof model === 'string' ? model : model?.id
    if (typeof id !== 'string' || id === '') {
      throw new ConfigError(
        `${provider}.models[${index}]`,
        `expected a model id or an object with one, got ${kindOf(model)}`,
      )
    }
    return typeof model === 'string' ? { id } : model
  })
}

function environment(name: string): string | undefined {
  // Not everywhere is there a `process`, and in some places looking at it is refused.
  try {
    const value = globalThis.process?.env?.[name]
    return value === undefined ? undefined : value.trim() === '' ? undefined : value
  } catch {
    return undefined
  }
}
