import { type ChatRequest, type Input, type Needs, needsOf, requestOf } from './chat.ts'
import { ConfigError } from './errors.ts'
import { fields } from './fields.ts'
import { A_FUNCTION, A_LIST, A_STRING, AN_OBJECT, checkOptions, type Expectation, expected, kindOf } from './options.ts'
import type { Policy } from './policy.ts'
import { type Provider, providersFromEnvironment, satisfies } from './provider.ts'

const ROUTER: Readonly<Record<string, Expectation>> = {
  providers: expected('a list such as [groq(), openrouter()]', Array.isArray),
  tasks: expected('policies by task name', (value) => fields(value) !== undefined),
  data: AN_OBJECT,
  limits: AN_OBJECT,
  defaults: expected('an object of request settings', (value) => fields(value) !== undefined),
  catalog: expected('{ models, prices }', (value) => fields(value) !== undefined),
  sinks: expected('a list of functions', (value) => Array.isArray(value) && value.every(A_FUNCTION.holds)),
  reconcile: expected('"unknown" or "off"', (value) => value === 'unknown' || value === 'off'),
  on: A_FUNCTION,
  ledger: AN_OBJECT,
  budgets: expected("a list such as [{ usd: 5, per: 'day' }]", Array.isArray),
  store: expected('a store such as memoryStore()', isStore),
  secret: expected('a string that is not empty', (value) => typeof value === 'string' && value !== ''),
  clock: expected('a clock with now(), date() and timer()', isClock),
  random: A_FUNCTION,
}

const CATALOG: Readonly<Record<string, Expectation>> = { models: A_LIST, prices: AN_OBJECT }

const CALL: Readonly<Record<string, Expectation>> = {
  // What a session id has to be is looked at where it is used.
  session: expected('a string', () => true),
  signal: expected('an AbortSignal', isSignal),
  request: expected('an object of request settings', (value) => fields(value) !== undefined),
  limits: AN_OBJECT,
  data: AN_OBJECT,
  metadata: expected('an object of strings', isMetadata),
  // What these have to be is looked at where they are made ready.
  schema: expected('a schema such as z.object({…})', () => true),
  tools: expected('a list such as [tool({…})]', () => true),
}

export function checkedOptions<T extends object>(options: T): T {
  const field = (name: string) => name
  checkOptions(options, { of: 'createRouter', says: '{ providers, tasks }', known: ROUTER, field })
  const { tasks, catalog } = fields(options) ?? {}
  if (tasks === undefined) throw new ConfigError('tasks', 'expected policies by task name, got nothing')
  if (catalog !== undefined) checkOptions(catalog, { of: 'catalog', says: '{ models, prices }', known: CATALOG })
  return options
}

/** The options of one call. */
export function checkedCall<T extends object>(given: T): T {
  checkOptions(given, { of: 'options', says: 'an object such as { session, signal }', known: CALL })
  return given
}

export function checkedProviders(given: readonly Provider[] | undefined): readonly Provider[] {
  const providers = given ?? providersFromEnvironment()
  if (providers.length === 0) {
    const problem =
      given === undefined ? 'no key was found: set GROQ_API_KEY or OPENROUTER_API_KEY' : 'got an empty list'
    throw new ConfigError('providers', `expected at least one provider; ${problem}`)
  }
  for (const [index, provider] of providers.entries()) {
    if (typeof provider?.send !== 'function' || typeof provider.name !== 'string') {
      throw new ConfigError(
        `providers[${index}]`,
        `expected groq(), openrouter() or compatible(…), got ${kindOf(provider)}`,
      )
    }
    if (providers.findIndex(({ name }) => name === provider.name) !== index) {
      throw new ConfigError(`providers[${index}]`, `expected a name of its own, got a second "${provider.name}"`)
    }
  }
  return providers
}

/**
 * What no request can ever satisfy is told when the router is made: a host of a provider that has none, and a data rule
 * that no account named by the policy can keep. `field` is where the policy stands.
 */
export function checkedReach(policy: Policy, about: { providers: readonly Provider[]; field: string }): Policy {
  const { providers, field } = about
  const { places } = policy.named
  const named = providers.filter(
    ({ name }) => places.length === 0 || places.some((place) => place.split('/', 1)[0] === name),
  )
  for (const place of places) {
    const provider = named.find(({ name }) => place.startsWith(`${name}/`))
    if (provider === undefined || provider.dialect.supports.hosts) continue
    throw new ConfigError(
      `${field}.provider`,
      `${provider.name} has no hosts: expected "${provider.name}", got "${place}"`,
    )
  }
  if (!named.some((provider) => satisfies(provider, policy.data))) {
    const accounts = named.map(({ name }) => name).join(' and ')
    const advice = 'declare dataTerms if the account does, or name a provider that can'
    throw new ConfigError(`${field}.data`, `${accounts} cannot guarantee it: ${advice}`)
  }
  return policy
}

export function checkedInput(input: Input): ChatRequest {
  const request = requestFrom(input)
  if (!Array.isArray(request.messages) || request.messages.length === 0) {
    throw new ConfigError('input.messages', `expected at least one message, got ${kindOf(request.messages)}`)
  }
  for (const [index, message] of request.messages.entries()) {
    const { role, content } = fields(message) ?? {}
    if (typeof role !== 'string' || !ROLES.includes(role)) {
      const expected = `expected a message with a role (${ROLES.join(', ')})`
      throw new ConfigError(`input.messages[${index}]`, `${expected}, got ${kindOf(message)}`)
    }
    if (!isContent(content)) {
      const expected = 'expected a string or a list of parts, each with a type'
      throw new ConfigError(`input.messages[${index}].content`, `${expected}, got ${kindOf(content)}`)
    }
  }
  return request
}

function requestFrom(input: Input): ChatRequest {
  if ((typeof input === 'string' && input !== '') || (typeof input === 'object' && input !== null)) {
    return readable(() => requestOf(input))
  }
  throw new ConfigError('input', `expected a prompt, messages, or a request with messages, got ${kindOf(input)}`)
}

/** What the request needs; tools and tool calls that are none are found here. */
export function checkedNeeds(request: ChatRequest): Needs {
  return readable(() => needsOf(request))
}

function readable<T>(read: () => T): T {
  try {
    return read()
  } catch {
    // Without its cause, which may quote the prompt.
    throw new ConfigError('input', 'expected plain data in the shape of an OpenAI request: some of it cannot be read')
  }
}

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool', 'function']

/** An answer that only calls tools has none. */
function isContent(content: unknown): boolean {
  if (content === undefined || content === null || typeof content === 'string') return true
  return Array.isArray(content) && content.every((part) => typeof fields(part)?.type === 'string')
}

const LONGEST_SESSION = 4096

export function checkedSession(id: unknown): string {
  if (typeof id === 'string' && id !== '' && id.length <= LONGEST_SESSION) return id
  const got = typeof id === 'string' && id !== '' ? `${id.length} characters` : kindOf(id)
  throw new ConfigError('options.session', `expected 1 to ${LONGEST_SESSION} characters, got ${got}`)
}

const STORE = ['read', 'write', 'add', 'close', 'closed']

function isStore(value: unknown): boolean {
  return (
    typeof value === 'object' && value !== null && STORE.every((name) => typeof Reflect.get(value, name) === 'function')
  )
}

function isSignal(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof Reflect.get(value, 'aborted') === 'boolean' &&
    typeof Reflect.get(value, 'addEventListener') === 'function'
  )
}

function isMetadata(value: unknown): boolean {
  const metadata = fields(value)
  return metadata !== undefined && Object.values(metadata).every(A_STRING.holds)
}

/** One that cannot tell the time would be found out in the middle of a call. */
function isClock(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const tells = (name: string) => {
    const ask: unknown = Reflect.get(value, name)
    return typeof ask === 'function' && Number.isFinite(Reflect.apply(ask, value, []))
  }
  try {
    return tells('now') && tells('date') && typeof Reflect.get(value, 'timer') === 'function'
  } catch {
    return false
  }
}
