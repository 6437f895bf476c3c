import {
  compatible,
  createRouter,
  type RouterEvent,
  type RouterOptions,
  type TaskPolicy,
  type UsageRecord,
} from 'modelfirst'
import { type Fields, isFields } from '../../src/fields.ts'
import type { Wire } from '../../src/wires/wire.ts'
import { hasty } from './router.ts'

/** What a model says. */
export interface Said {
  readonly text?: string
  /** The text that stands before the calls, and the arguments as the model writes them. */
  readonly calls?: readonly { readonly name: string; readonly json: string; readonly id?: string }[]
  readonly finish?: string
  /** An error in the place of an answer. */
  readonly status?: number
  readonly body?: unknown
  /** USD, as OpenRouter says it. */
  readonly cost?: number
  readonly model?: string
}

export interface Asked {
  readonly body: Fields
  /** Which request of all, from 1. */
  readonly n: number
  readonly url: string
  readonly signal: AbortSignal
}

export type Answering = (asked: Asked) => string | Said | Promise<string | Said>

const PIECE = 7

/** An endpoint in memory whose every answer is a function of the test: whole, or in pieces where it is asked for them. */
export function speaking(answering: Answering): { readonly wire: Wire; readonly bodies: Fields[] } {
  const bodies: Fields[] = []
  const wire: Wire = {
    async send({ body, url, signal }) {
      const read: unknown = JSON.parse(body ?? '{}')
      if (!isFields(read)) throw new TypeError('no request')
      bodies.push(read)
      const given = await answering({ body: read, n: bodies.length, url, signal })
      const said = typeof given === 'string' ? { text: given } : given
      const { status = 200 } = said
      const text = status !== 200 ? JSON.stringify(said.body) : read.stream === true ? streamed(said) : whole(said)
      const encoder = new TextEncoder()
      // Event by event, as they come from a network that is slower than its reader.
      const events = text.match(/[\s\S]+?(?:\n\n|$)/g) ?? []
      const stream = new ReadableStream<Uint8Array>({
        pull(controller) {
          const next = events.shift()
          if (next === undefined) controller.close()
          else controller.enqueue(encoder.encode(next))
        },
      })
      const type = status === 200 && read.stream === true ? 'text/event-stream' : 'application/json'
      return { status, headers: { get: (name: string) => (name === 'content-type' ? type : null) }, body: stream }
    },
  }
  return { wire, bodies }
}

const USAGE = { prompt_tokens: 100, completion_tokens: 50, total_tokens: 150 }

function usageOf({ cost }: Said): object {
  return cost === undefined ? USAGE : { ...USAGE, cost }
}

function finishOf({ finish, calls = [] }: Said): string {
  return finish ?? (calls.length > 0 ? 'tool_calls' : 'stop')
}

function callsOf({ calls = [] }: Said): object[] {
  return calls.map(({ name, json, id }, index) => ({
    index,
    id: id ?? `call_${index}`,
    type: 'function',
    function: { name, arguments: json },
  }))
}

function whole(said: Said): string {
  const calls = callsOf(said)
  const message = { role: 'assistant', content: said.text ?? null, ...(calls.length > 0 && { tool_calls: calls }) }
  const choices = [{ index: 0, message, finish_reason: finishOf(said) }]
  return JSON.stringify({ id: 'c1', model: said.model, choices, usage: usageOf(said) })
}

/** Text first, then the calls, each in small pieces. */
function streamed(said: Said): string {
  const { model } = said
  const line = (delta: object, finish: string | null = null, more: object = {}) =>
    `data: ${JSON.stringify({ id: 'c1', model, choices: [{ index: 0, delta, finish_reason: finish }], ...more })}\n\n`
  const pieces = (text: string) => text.match(new RegExp(`.{1,${PIECE}}`, 'gsu')) ?? []
  const lines = [line({ role: 'assistant', content: '' })]
  for (const content of pieces(said.text ?? '')) lines.push(line({ content }))
  for (const [index, { name, json, id }] of (said.calls ?? []).entries()) {
    lines.push(line({ tool_calls: [{ index, id: id ?? `call_${index}`, function: { name, arguments: '' } }] }))
    for (const piece of pieces(json)) lines.push(line({ tool_calls: [{ index, function: { arguments: piece } }] }))
  }
  lines.push(line({}, finishOf(said), { usage: usageOf(said) }))
  return `${lines.join('')}data: [DONE]\n\n`
}

/** All that a model can do. */
export const ALL = ['tools', 'json', 'schema'] as const

type Ability = (typeof ALL)[number]

/** A small and a large model at one endpoint, and what was heard of them. */
export function twoModels(
  answering: Answering,
  task: Omit<TaskPolicy, 'model'> = {},
  more: {
    readonly abilities?: readonly Ability[]
    readonly options?: Pick<RouterOptions<readonly [], object>, 'clock' | 'budgets' | 'limits'>
  } = {},
) {
  const { abilities = ALL, options = {} } = more
  const { wire, bodies } = speaking(answering)
  const events: RouterEvent[] = []
  const records: UsageRecord[] = []
  const policy: TaskPolicy = { model: ['small', 'large'], ...task }
  const router = createRouter({
    providers: [
      compatible({
        name: 'house',
        baseURL: 'http://localhost:1/v1',
        apiKey: 'sk-test-0123456789',
        wire,
        models: [
          { id: 'small', abilities, context: 100_000, maxOutput: 4000, prices: { input: 0.1, output: 0.4 } },
          { id: 'large', abilities, context: 100_000, maxOutput: 4000, prices: { input: 1, output: 4 } },
        ],
      }),
    ],
    tasks: { ask: policy },
    random: hasty(),
    on: (event) => void events.push(event),
    sinks: [(record) => void records.push(record)],
    ...options,
  })
  return { router, bodies, events, records }
}
