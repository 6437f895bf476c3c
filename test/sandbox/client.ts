import { afterEach } from 'vitest'
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/sandbox.ts'

const open = new Set<Sandbox>()

afterEach(async () => {
  for (const sandbox of open) await sandbox.close()
  open.clear()
})

/** A sandbox that is closed after the test. */
export async function start(options: SandboxOptions = {}): Promise<Sandbox> {
  const sandbox = await startSandbox(options)
  open.add(sandbox)
  return sandbox
}

export interface Sending {
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

type Provider = Sandbox['groq']

export function post(provider: Provider, body: unknown, { headers, signal }: Sending = {}): Promise<Response> {
  return fetch(`${provider.url}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${provider.apiKey}`, 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    redirect: 'manual',
    ...(signal && { signal }),
  })
}

export function get(provider: Provider, path: string): Promise<Response> {
  return fetch(`${provider.url}${path}`, { headers: { authorization: `Bearer ${provider.apiKey}` } })
}

/** What a test reads from: anything, at any depth. */
// biome-ignore lint/suspicious/noExplicitAny: answers are read by many paths, and a wrong one fails the test
export type Loose = any

export async function ask(
  provider: Provider,
  body: unknown,
  sending: Sending = {},
): Promise<{ status: number; body: Loose }> {
  const response = await post(provider, body, sending)
  const text = await response.text()
  return { status: response.status, body: text === '' ? null : JSON.parse(text) }
}

/** The data of a stream's events, in order; `[DONE]` stays a string. */
export async function events(response: Response): Promise<Loose[]> {
  const text = await response.text()
  return text
    .split('\n')
    .filter((line) => line.startsWith('data: '))
    .map((line) => (line === 'data: [DONE]' ? '[DONE]' : JSON.parse(line.slice(6))))
}

export function user(content: unknown): object {
  return { role: 'user', content }
}

/** Text of exactly so many tokens, the same for the same word. */
export function tokens(count: number, word = 'abc'): string {
  return `${word.padEnd(4).slice(0, 4)}`.repeat(count)
}

export const GPT = 'openai/gpt-oss-20b'
export const CLAUDE = 'anthropic/claude-sonnet-4.5'

export const WEATHER = {
  type: 'function',
  function: {
    name: 'get_weather',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' }, unit: { enum: ['c', 'f'] } },
      required: ['city', 'unit'],
      additionalProperties: false,
    },
  },
}
