import { type Input, requestOf } from './chat.ts'
import { ConfigError } from './errors.ts'
import { unknown } from './policy.ts'
import { kindOf, type Provider, providersFromEnvironment } from './provider.ts'

const OPTIONS = [
  'providers',
  'tasks',
  'data',
  'limits',
  'defaults',
  'catalog',
  'sinks',
  'on',
  'secret',
  'clock',
  'random',
]

export function checkedOptions<T extends object>(options: T): T {
  if (typeof options !== 'object' || options === null) {
    throw new ConfigError('createRouter', `expected { providers, tasks }, got ${kindOf(options)}`)
  }
  for (const key of Object.keys(options)) {
    if (!OPTIONS.includes(key)) throw new ConfigError(`createRouter.${key}`, unknown('option', key, OPTIONS))
  }
  const tasks: unknown = Reflect.get(options, 'tasks')
  if (typeof tasks !== 'object' || tasks === null || Array.isArray(tasks)) {
    throw new ConfigError('tasks', `expected policies by task name, got ${kindOf(tasks)}`)
  }
  return options
}

export function checkedProviders(given: readonly Provider[] | undefined): readonly Provider[] {
  if (given !== undefined && !Array.isArray(given)) {
    throw new ConfigError('providers', `expected a list such as [groq(), openrouter()], got ${kindOf(given)}`)
  }
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

export function checkedInput(input: Input) {
  if (typeof input === 'string' && input !== '') return requestOf(input)
  if (typeof input !== 'object' || input === null) {
    throw new ConfigError('input', `expected a prompt, messages, or a request with messages, got ${kindOf(input)}`)
  }
  const request = requestOf(input)
  if (!Array.isArray(request.messages) || request.messages.length === 0) {
    throw new ConfigError('input.messages', `expected at least one message, got ${kindOf(request.messages)}`)
  }
  for (const [index, message] of request.messages.entries()) {
    const role: unknown = typeof message === 'object' && message !== null ? message.role : undefined
    if (typeof role === 'string' && ROLES.includes(role)) continue
    const expected = `expected a message with a role (${ROLES.join(', ')})`
    throw new ConfigError(`input.messages[${index}]`, `${expected}, got ${kindOf(message)}`)
  }
  return request
}

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool', 'function']

const LONGEST_SESSION = 4096

export function checkedSession(id: unknown): string {
  if (typeof id === 'string' && id !== '' && id.length <= LONGEST_SESSION) return id
  const got = typeof id === 'string' && id !== '' ? `${id.length} characters` : kindOf(id)
  throw new ConfigError('options.session', `expected 1 to ${LONGEST_SESSION} characters, got ${got}`)
}
