import { keep } from '../bounded.ts'
import type { ChatRequest, OpenRouterSettings } from '../chat.ts'
import { when } from '../fallback.ts'
import { type Fields, fields, isPresent, list } from '../fields.ts'
import type { CallOptions } from '../gather.ts'
import { unknown } from '../options.ts'
import type { TaskPolicy } from '../policy.ts'
import type { ProviderRef, ProviderRule } from '../provider-rule.ts'
import { jsonSchema, type Schema } from '../schema.ts'
import { BadRequest } from './bad-request.ts'
import type { Incoming } from './incoming.ts'
import { type KnownProvider, type Preferences, preferencesOf } from './preferences.ts'
import { checkFields, isModel, unsupported } from './request-fields.ts'

/** A chat request in the router's own words. */
export interface AskedChat {
  readonly task: string | TaskPolicy
  readonly input: ChatRequest
  readonly options: CallOptions
  readonly stream: boolean
  /** The field that only an aggregator follows: anybody else would leave it out. */
  readonly aggregators: string | null
}

export interface ChatReaderOptions {
  readonly tasks: readonly string[]
  readonly providers: readonly KnownProvider[]
  /** The task of requests that name no model. */
  readonly task?: string | undefined
  /** The rules under which bare model ids run. */
  readonly policy?: Omit<TaskPolicy, 'model'> | undefined
}

const TASK = 'task:'
/** Policies that were asked for; the router checks each of them once. */
const MOST_POLICIES = 1000
/** Schemas too: each is read once. */
const MOST_SCHEMAS = 100
/** What is longer is read each time: whoever asks must not fill our memory. */
const LONGEST_KEPT = 64 * 1024

/** Reads requests as OpenAI's and OpenRouter's clients write them. */
export function createChatReader({ tasks, providers, task: usual, policy }: ChatReaderOptions) {
  const policies = new Map<string, TaskPolicy>()
  const schemas = new Map<string, Schema | null>()

  function taskOf(model: string): string | null {
    if (model.startsWith(TASK)) return checkedTask(model.slice(TASK.length))
    return tasks.includes(model) ? model : null
  }

  function checkedTask(name: string): string {
    if (tasks.includes(name)) return name
    throw new BadRequest(unknown('task', name, tasks), { status: 404, param: 'model', code: 'model_not_found' })
  }

  const hosts = new Set(providers.filter((provider) => provider.hosts).map(({ name }) => name))

  function policyOf(models: readonly string[], elsewhere: boolean, { places, key }: Preferences): TaskPolicy {
    // No text of a client's can be made to look like another one's key.
    const name = JSON.stringify([elsewhere, models, key])
    const known = policies.get(name)
    if (known !== undefined) return known
    const rules: (ProviderRef | ProviderRule)[] = [...ownPlaces(policy), ...places]
    if (elsewhere) rules.push((offers) => offers.filter(({ offer }) => hosts.has(offer.provider)))
    const made: TaskPolicy = {
      ...policy,
      model: models,
      ...(rules.length > 0 && { provider: rules }),
      // As OpenRouter does it: any trouble with one model, a refusal as well, leads to the next.
      ...(models.length > 1 && { fallback: [...(policy?.fallback ?? []), when('refused').nextModel()] }),
    }
    return name.length > LONGEST_KEPT ? made : keep(policies, MOST_POLICIES, name, made)
  }

  /** `null`: it has none, or one that is not for us to check, which is then the provider's to judge. */
  function schemaOf({ response_format: format, stream }: Fields): Schema | null {
    const json = fields(fields(fields(format)?.json_schema)?.schema)
    // In pieces an answer is handed on as the provider writes it: it could not be mended any more.
    if (stream === true || fields(format)?.type !== 'json_schema' || json === undefined) return null
    const text = JSON.stringify(json)
    const known = schemas.get(text)
    if (known !== undefined) return known
    const schema = readSchema(json)
    return text.length > LONGEST_KEPT ? schema : keep(schemas, MOST_SCHEMAS, text, schema)
  }

  return (body: Fields, incoming: Pick<Incoming, 'header' | 'signal'>): AskedChat => {
    checkFields(body)
    const {
      model,
      models,
      provider,
      session_id,
      plugins,
      preset,
      transforms,
      trace,
      openrouter: _,
      groq: __,
      ...rest
    } = body
    const preferences = preferencesOf(provider, { providers, parameters: () => parametersOf(body) })
    const named = namesOf(model, models)
    const [first] = named
    const task = first === undefined ? (usual ?? null) : taskOf(first)
    if (task === null && first === undefined) {
      throw new BadRequest('model: expected a task or a model id, got nothing', {
        param: 'model',
        code: 'missing_model',
      })
    }
    if (task !== null) checkWithTask(named, preferences)
    const extras = extrasOf({ plugins, preset, transforms, trace }, preferences, incoming)
    const schema = schemaOf(body)
    const plain = schema === null ? rest : formless(rest)
    const input: Fields = extras === null ? plain : { ...plain, openrouter: extras }
    if (!isChat(input))
      throw new BadRequest('messages: expected a list of messages, got nothing', {
        param: 'messages',
        code: 'missing_messages',
      })
    const aggregators = aggregatorsOnly(body)
    const session = sessionOf(session_id, incoming)
    const metadata = metadataOf(body.metadata)
    return {
      task: task ?? policyOf(named, aggregators !== null, preferences),
      input,
      options: {
        ...(incoming.signal !== null && { signal: incoming.signal }),
        ...(session !== null && { session }),
        ...(preferences.data !== undefined && { data: preferences.data }),
        ...(metadata !== null && { metadata }),
        ...(schema !== null && { schema }),
      },
      stream: body.stream === true,
      aggregators,
    }
  }
}

function formless({ response_format: _, ...rest }: Fields): Fields {
  return rest
}

function readSchema(json: Fields): Schema | null {
  try {
    return jsonSchema(json)
  } catch {
    return null
  }
}

function namesOf(model: unknown, models: unknown): readonly string[] {
  if (isPresent(model) && !isModel(model)) {
    throw new BadRequest('model: expected a task or a model id of up to 256 characters', { param: 'model' })
  }
  const others = Array.isArray(models) ? models.filter(isModel) : []
  if (!isModel(model)) return others
  return others.length === 0 ? [model] : [...new Set([model, ...others])]
}

/** A task says itself which models may answer, and where: what would have to change that cannot be followed. */
function checkWithTask(named: readonly string[], { binding }: Preferences): void {
  if (named.length > 1)
    throw unsupported('models', 'the policy of a task names its models: leave them out, or name no task')
  if (binding !== null) {
    throw unsupported(`provider.${binding}`, 'the policy of a task says where it runs: leave it out, or name no task')
  }
}

function ownPlaces(policy: ChatReaderOptions['policy']): readonly (ProviderRef | ProviderRule)[] {
  const { provider } = policy ?? {}
  if (provider === undefined) return []
  return typeof provider === 'string' || typeof provider === 'function' ? [provider] : provider
}

/** What a provider may leave out without changing the answer. */
const HARMLESS = ['response-healing', 'context-compression']

/** Plugins, presets and tools of the aggregator's own (`openrouter:web_search`): who has none would silently not run them. */
function aggregatorsOnly({ plugins, preset, tools }: Fields): string | null {
  if (isPresent(preset)) return 'preset'
  if (list(plugins).some(({ id, enabled }) => enabled !== false && !HARMLESS.includes(String(id)))) return 'plugins'
  return list(tools).some(({ type }) => typeof type === 'string' && type.includes(':')) ? 'tools' : null
}

function extrasOf(
  given: Fields,
  { kept }: Preferences,
  { header }: Pick<Incoming, 'header'>,
): OpenRouterSettings | null {
  const extras: Record<string, unknown> = {}
  for (const name in given) if (isPresent(given[name])) extras[name] = given[name]
  for (const _ in kept) {
    extras.preferences = kept
    break
  }
  if (header('x-openrouter-metadata') === 'enabled') extras.metadata = true
  const cache = header('x-openrouter-cache')
  if (cache === 'false') extras.cache = false
  else if (cache === 'true') {
    const ttl = Number(header('x-openrouter-cache-ttl'))
    extras.cache = { ...(ttl > 0 && { ttl }), ...(header('x-openrouter-cache-clear') === 'true' && { clear: true }) }
  }
  for (const _ in extras) return extras
  return null
}

function sessionOf(given: unknown, { header }: Pick<Incoming, 'header'>): string | null {
  const id = typeof given === 'string' ? given : header('x-session-id')
  return id === '' ? null : id
}

function metadataOf(given: unknown): Readonly<Record<string, string>> | null {
  const metadata = fields(given)
  if (metadata === undefined) return null
  const entries = Object.entries(metadata).flatMap(([key, value]) => (typeof value === 'string' ? [[key, value]] : []))
  return Object.fromEntries(entries)
}

/** What is not a parameter of the model. */
const NO_PARAMETERS = new Set([
  'messages',
  'model',
  'models',
  'provider',
  'stream',
  'stream_options',
  'usage',
  'user',
  'metadata',
  'session_id',
  'plugins',
  'preset',
  'transforms',
  'trace',
  'route',
])

function parametersOf(body: Fields): readonly string[] {
  return Object.keys(body)
    .filter((name) => isPresent(body[name]) && !NO_PARAMETERS.has(name))
    .sort()
}

/** What the messages have to be is looked at by the router. */
function isChat(request: Fields): request is Fields & ChatRequest {
  return Array.isArray(request.messages)
}
