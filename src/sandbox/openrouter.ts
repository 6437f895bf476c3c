import type { Clock } from '../clock.ts'
import type { Till } from './bill.ts'
import type { Book, Sold } from './book.ts'
import { type Caching, createPromptCache } from './cache.ts'
import { charge } from './charge.ts'
import { femto, number, perToken } from './decimal.ts'
import { createGenerations } from './generations.ts'
import { baseOf, type Host, hostNamed } from './hosts.ts'
import { createIdentity } from './identity.ts'
import { type Fields, fieldsOf, isCount, listOf, numberOf, stringsOf, textOf } from './json.ts'
import { errorFrameOf, framesOfOpenRouter, jsonOfOpenRouter } from './openrouter-answer.ts'
import { allDown, failureOfOpenRouter, noHost, refuse, tooLong } from './openrouter-failures.ts'
import { endpointRow, keyOf, modelRow } from './openrouter-listing.ts'
import { thinkingOf } from './openrouter-thinking.ts'
import { type Prompt, readPrompt } from './prompt.ts'
import { makeReply } from './reply.ts'
import { isNamed, route } from './routing.ts'
import { seeded } from './seeded.ts'
import { createStickiness } from './stickiness.ts'
import { type Job, type Plain, type Received, settled, type Vendor } from './vendor.ts'

export interface OpenRouterVendorOptions {
  readonly book: Book
  readonly clock: Clock
  readonly seed: number
  readonly till: Till
  /** USD on the account; left out: enough. */
  readonly credits: number | undefined
  /** How long the generation look-up lags. */
  readonly generationDelayMs: number
  /** Hosts that are paid with the user's own key. */
  readonly byok: readonly string[]
  /** Hosts that are down. */
  readonly down: ReadonlySet<string>
}

const MOST_MODELS = 3
const VARIANTS = new Set(['nitro', 'floor', 'exacto', 'online'])
const ROUTERS = ['openrouter/auto', 'openrouter/auto-beta', 'openrouter/free']
const FALLBACK_OUTPUT = 4096

interface Candidate extends Sold {
  readonly variant: string | null
  readonly router: string | null
}

interface Trial {
  readonly provider: string
  readonly model: string
  readonly status: number
}

export function createOpenRouter(options: OpenRouterVendorOptions): Vendor {
  const { book, clock, seed, till, down } = options
  let identity = createIdentity(seed ^ 0x5eed)
  let random = seeded(seed)
  let spent = 0n
  const cache = createPromptCache(() => clock.now())
  const stickiness = createStickiness(() => clock.now())
  const generations = createGenerations(clock, options.generationDelayMs)

  function find(id: string): Candidate | undefined {
    const name = id.split('@preset/')[0] || 'openrouter/auto'
    const router = ROUTERS.includes(name) ? name : null
    const exact = router === null ? book.openrouter(name) : routed(router)
    if (exact !== undefined) return { ...exact, variant: null, router }
    const at = name.lastIndexOf(':')
    const variant = at < 0 ? '' : name.slice(at + 1)
    const base = VARIANTS.has(variant) ? find(name.slice(0, at)) : undefined
    return base && { ...base, variant }
  }

  /** A router picks the same model each time: the first that can do most things. */
  function routed(router: string): Sold | undefined {
    const free = router === 'openrouter/free'
    const model = book.openrouterModels.find(
      ({ id, prices, abilities }) =>
        id.endsWith(':free') === free &&
        !id.startsWith('openrouter/') &&
        !id.startsWith('~') &&
        prices !== undefined &&
        prices.output > 0 !== free &&
        abilities?.includes('tools') === true,
    )
    return model && book.openrouter(model.id)
  }

  function run(received: Received): { job: Job } | { refusal: Plain } {
    const { body, headers } = received
    const names = [...new Set([...(typeof body.model === 'string' ? [body.model] : []), ...stringsOf(body.models)])]
    const fault = faultOf(body)
    if (fault !== null) return { refusal: fault }
    const prompt = readPrompt(body)
    const trials: Trial[] = []
    let refusal: Plain | undefined
    for (const name of names.length > 0 ? names : ['openrouter/auto']) {
      const candidate = find(name)
      if (candidate === undefined) {
        refusal = refuse(400, `${name} is not a valid model ID`)
        continue
      }
      const result = attempt(received, { candidate, name, prompt, trials, fallbacks: names.length > 1 })
      if ('job' in result) return result
      refusal = result.refusal
    }
    const last = refusal ?? failureOfOpenRouter(500, {}, '')
    if (!wantsMetadata(headers) || last.status >= 500) return { refusal: last }
    const metadata = {
      requested: names[0] ?? '',
      strategy: 'direct',
      attempt: 0,
      endpoints: { total: 0, available: [] },
    }
    return { refusal: { ...last, body: { ...fieldsOf(last.body), openrouter_metadata: metadata } } }
  }

  interface Attempt {
    readonly candidate: Candidate
    readonly name: string
    readonly prompt: Prompt
    readonly trials: Trial[]
    readonly fallbacks: boolean
  }

  function attempt(received: Received, tried: Attempt): { job: Job } | { refusal: Plain } {
    const { body, headers } = received
    const { candidate, prompt, trials } = tried
    const { model } = candidate
    const date = clock.date()
    const conversation = conversationOf(received, prompt)
    const key = `${model.id}|${conversation.key}`
    const routed = route({
      body,
      model,
      hosts: candidate.hosts,
      promptTokens: prompt.tokens,
      variant: candidate.variant,
      date,
      random,
      sticky: stickiness.find(key),
    })
    if ('none' in routed) return { refusal: noHost(routed.none, tried.name) }

    const asked = numberOf(body.max_completion_tokens) ?? numberOf(body.max_tokens)
    const context = model.context ?? Number.POSITIVE_INFINITY
    if (prompt.tokens + (asked ?? 0) > context) return { refusal: tooLong(context, prompt.tokens, asked) }
    const poor = tooPoor(routed.hosts[0], prompt.tokens, asked ?? model.maxOutput ?? FALLBACK_OUTPUT)
    if (poor !== null) return { refusal: poor }

    const forced = received.host === undefined ? undefined : forcedHost(candidate, received.host)
    const running = forced === undefined ? routed.hosts : [forced]
    const host = running.find((one) => {
      const isUp = !down.has(one.host) && !down.has(baseOf(one.host))
      if (!isUp) trials.push({ provider: one.name, model: model.id, status: 503 })
      return isUp
    })
    if (host === undefined) return { refusal: allDown(running) }
    trials.push({ provider: host.name, model: model.id, status: 200 })

    const room = context - prompt.tokens
    const most = Math.min(asked ?? host.maxOutput ?? model.maxOutput ?? room, room)
    const reply = makeReply({
      body,
      prompt,
      seed,
      given: received.given,
      maxTokens: most,
      thinking: model.abilities?.includes('reasoning') ? thinkingOf(body, model.id) : 0,
    })
    const tokens = {
      prompt: prompt.tokens,
      ...cache.use(`${host.host}|${model.id}`, prompt, cachingOf(host, model.id)),
      completion: reply.completionTokens,
      reasoning: reply.reasoningTokens,
    }
    const costs = charge(host.prices, tokens, date)
    const used = tokens.cached + tokens.written + tokens.written1h > 0
    const cheaper = host.prices.cachedInput !== undefined && host.prices.cachedInput < host.prices.input
    // A named conversation stays from its first success, any other once a cache was seen to be used.
    if (cheaper && !isOrdered(body) && (conversation.named || used)) stickiness.keep(key, host.host)

    const id = `gen-${Math.floor(date / 1000)}-${identity.word(20)}`
    const byok = options.byok.includes(host.host)
    const metadata = wantsMetadata(headers)
      ? {
          requested: tried.name,
          strategy: candidate.router === null ? (tried.fallbacks ? 'fallback' : 'direct') : 'auto',
          region: null,
          summary: `available=${running.length}, selected=${host.name}`,
          attempt: trials.length,
          is_byok: byok,
          endpoints: {
            total: candidate.hosts.length,
            available: running.map((one) => ({ provider: one.name, model: model.id, selected: one === host })),
          },
          attempts: [...trials],
        }
      : undefined
    return {
      job: {
        provider: 'openrouter',
        id,
        created: Math.floor(date / 1000),
        body,
        stream: body.stream === true,
        model: model.id,
        host: host.host,
        hostName: host.name,
        prices: host.prices,
        prompt,
        reply,
        tokens,
        charge: costs,
        headers: { 'x-generation-id': id, 'access-control-allow-origin': '*' },
        stopsOnAbort: host.stopsOnAbort,
        extras: {
          byok,
          metadata,
          session: conversation.session,
          router: candidate.router,
          tier: body.service_tier === undefined ? null : 'default',
          trail: { list: trials.map(({ provider, status }) => ({ status, provider_name: provider, is_byok: byok })) },
        },
      },
    }
  }

  function tooPoor(host: Host | undefined, promptTokens: number, output: number): Plain | null {
    if (options.credits === undefined || host === undefined) return null
    const left = femto(options.credits) - spent
    const price = perToken(host.prices.output)
    const forPrompt = BigInt(promptTokens) * perToken(host.prices.input)
    if (forPrompt + BigInt(output) * price <= left || (price === 0n && left >= 0n)) return null
    const affordable = left <= forPrompt || price === 0n ? 0n : (left - forPrompt) / price
    return refuse(
      402,
      `This request requires more credits, or fewer max_tokens. You requested up to ${output} tokens, but can only afford ${affordable}. To increase, visit https://openrouter.ai/settings/credits and upgrade to a paid account`,
      { metadata: { provider_name: null } },
    )
  }

  return {
    name: 'openrouter',
    base: '/api/v1',
    keepAlive: { json: '\n         \n', stream: ': OPENROUTER PROCESSING\n\n' },
    unauthorized: (given) =>
      given
        ? failureOfOpenRouter(401, {}, '')
        : failureOfOpenRouter(401, { message: 'No cookie auth credentials found' }, ''),
    notFound: () => ({ status: 404, body: { error: { message: 'Not Found', code: 404 } } }),
    unreadable: () => refuse(400, 'Invalid JSON in request body'),
    tooLarge: () => refuse(413, 'Request Entity Too Large'),
    failure: (status, details, model) => failureOfOpenRouter(status, details, model),
    errorIn200: (code, job) => {
      const { error } = bodyOf(failureOfOpenRouter(statusOf(code), typeof code === 'string' ? { code } : {}, job.model))
      return {
        id: job.id,
        object: 'chat.completion',
        model: job.model,
        provider: job.hostName,
        error,
        user_id: 'user_sandbox',
      }
    },
    errorFrame(code, job) {
      const error = {
        code: typeof code === 'number' ? code : 502,
        message: 'Provider disconnected unexpectedly',
        metadata: { error_type: typeof code === 'string' ? code : 'provider_unavailable' },
      }
      return errorFrameOf(job, error)
    },
    run,
    look(path, query) {
      if (path === '/models') {
        const data = book.openrouterModels.map(modelRow)
        return { status: 200, body: { data, total_count: data.length, links: { next: null } } }
      }
      if (path === '/key') return { status: 200, body: { data: keyOf(number(spent), options.credits) } }
      if (path === '/credits') {
        const data = { total_credits: options.credits ?? 1000, total_usage: number(spent) }
        return { status: 200, body: { data } }
      }
      if (path === '/generation') {
        const id = query.get('id') ?? ''
        const data = generations.find(id)
        return data === undefined ? refuse(404, `Generation ${id} not found`) : { status: 200, body: { data } }
      }
      const endpoints = /^\/models\/(.+)\/endpoints$/.exec(path)?.[1]
      if (endpoints === undefined) return undefined
      const sold = find(decodeURIComponent(endpoints))
      if (sold === undefined) return refuse(404, `Model ${endpoints} not found`)
      const { id, name, created, description, architecture } = fieldsOf(modelRow(sold.model))
      const rows = sold.hosts.map((host) => endpointRow(sold.model, host))
      return { status: 200, body: { data: { id, name, created, description, architecture, endpoints: rows } } }
    },
    json: jsonOfOpenRouter,
    frames: framesOfOpenRouter,
    settle(job, ending) {
      const { tokens, charge: costs, why } = settled(job, ending, clock.date())
      if (job.extras.byok !== true) spent += costs.total
      const line = { provider: job.provider, model: job.model, host: job.host, generationId: job.id, tokens }
      const reason = job.extras.byok === true ? `${why}, paid to ${job.hostName}` : why
      till.add({ line: { ...line, why: reason }, amount: costs.total, discount: costs.discount })
      if (ending !== 'failed') generations.add(job, ending, tokens, costs)
    },
    reset() {
      cache.clear()
      stickiness.clear()
      generations.clear()
      spent = 0n
      identity = createIdentity(seed ^ 0x5eed)
      random = seeded(seed)
    },
  }

  function forcedHost(candidate: Candidate, name: string): Host {
    return candidate.hosts.find((host) => isNamed(host, name)) ?? hostNamed(name, candidate.model.prices)
  }
}

function faultOf(body: Fields): Plain | null {
  if (!Array.isArray(body.messages) && typeof body.prompt !== 'string') {
    return refuse(400, 'Input required: specify "prompt" or "messages"')
  }
  if (Array.isArray(body.messages) && body.messages.length === 0) {
    return refuse(400, 'Input must have at least 1 token.')
  }
  if (listOf(body.models).length > MOST_MODELS) {
    return refuse(400, `'models' array must have ${MOST_MODELS} items or fewer.`)
  }
  for (const key of ['max_tokens', 'max_completion_tokens']) {
    if (isPresent(body[key]) && !isCount(body[key])) return refuse(400, `${key}: expected an integer of at least 1`)
  }
  const reasoning = fieldsOf(body.reasoning)
  if (isPresent(reasoning.effort) && isPresent(reasoning.max_tokens)) {
    return refuse(400, 'Only one of "reasoning.effort" and "reasoning.max_tokens" can be specified')
  }
  return null
}

/** Which conversation this is, by the first of these that is there. */
function conversationOf({ body, headers }: Received, prompt: Prompt) {
  const header = headers['x-session-id']
  const session = textOf(body.session_id) ?? (typeof header === 'string' ? header : undefined)
  const name = session ?? textOf(body.prompt_cache_key)
  return { session, named: name !== undefined, key: name ?? prompt.opening }
}

/** How a host caches this model's prompts. */
export function cachingOf(host: Host, model: string): Caching {
  const author = model.split('/')[0]
  if (host.implicitCaching === false || host.prices.cachedInput === undefined) return { kind: 'none' }
  if (host.host === 'groq') return { kind: 'implicit', block: 128, least: 128, ttlMs: 7_200_000, billsWrites: false }
  if (author === 'anthropic') {
    return { kind: 'explicit', least: /opus-4[.-][5-9]|haiku-4/.test(model) ? 4096 : 1024 }
  }
  if (author === 'qwen' && host.implicitCaching !== true) return { kind: 'explicit', least: 1024 }
  // OpenAI's newer models charge for writing although nobody asked them to.
  const billsWrites = author === 'openai' && host.prices.cacheWrite !== undefined
  return { kind: 'implicit', block: 128, least: 1024, ttlMs: 300_000, billsWrites }
}

function bodyOf(plain: Plain): Fields {
  return fieldsOf(plain.body)
}

function statusOf(code: string | number): number {
  return typeof code === 'number' ? code : 502
}

function isOrdered(body: Fields): boolean {
  return stringsOf(fieldsOf(body.provider).order).length > 0
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null
}

function wantsMetadata(headers: Received['headers']): boolean {
  return (headers['x-openrouter-metadata'] ?? headers['x-openrouter-experimental-metadata']) === 'enabled'
}
