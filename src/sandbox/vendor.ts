import type { PriceList } from '../price.ts'
import type { BillLine } from './bill.ts'
import { type Charge, charge, type Tokens } from './charge.ts'
import type { Fields } from './json.ts'
import type { Prompt } from './prompt.ts'
import type { GivenAnswer, Reply } from './reply.ts'
import type { FailureDetails } from './script.ts'

/** An answer that needs no model. */
export interface Plain {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: unknown
}

/** One chunk of a stream, and how many tokens of the answer are out with it. */
export interface Frame {
  readonly data: string
  readonly tokens: number
}

/** A request that a model has answered: everything but the sending. */
export interface Job {
  readonly provider: BillLine['provider']
  readonly id: string
  readonly created: number
  readonly body: Fields
  readonly stream: boolean
  readonly model: string
  readonly host: string
  readonly hostName: string
  readonly prices: PriceList
  readonly prompt: Prompt
  readonly reply: Reply
  readonly tokens: Tokens
  readonly charge: Charge
  readonly headers: Readonly<Record<string, string>>
  /** Whether leaving a stream early stops the bill. */
  readonly stopsOnAbort: boolean
  /** What the vendor alone needs to shape the answer. */
  readonly extras: Fields
}

/** How a job ended, as the bill sees it. */
export type Ending = 'whole' | 'failed' | { readonly aborted: number }

export interface Received {
  readonly body: Fields
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly given: GivenAnswer | undefined
  readonly host: string | undefined
}

/** One provider's protocol: what it accepts, what it says, what it charges. */
export interface Vendor {
  readonly name: BillLine['provider']
  readonly base: string
  unauthorized(given: boolean): Plain
  notFound(method: string, path: string): Plain
  unreadable(): Plain
  tooLarge(): Plain
  failure(status: number, details: FailureDetails, model: string): Plain
  errorIn200(code: string | number, job: Job): unknown
  /** Takes a request, or refuses it. */
  run(received: Received): { readonly job: Job } | { readonly refusal: Plain }
  look(path: string, query: URLSearchParams): Plain | undefined
  json(job: Job): string
  frames(job: Job, options: { readonly finish: boolean; readonly done: boolean }): readonly Frame[]
  errorFrame(code: string | number, job: Job): string
  settle(job: Job, ending: Ending): void
  reset(): void
  /** What keeps a slow answer's connection busy; null where the provider sends nothing. */
  readonly keepAlive: { readonly json: string; readonly stream: string } | null
}

/** What an answer costs that was cut short, or not. */
export function settled(job: Job, ending: Ending, date: number): { tokens: Tokens; charge: Charge; why: string } {
  const nothing = { ...job.tokens, cached: 0, written: 0, written1h: 0, prompt: 0, completion: 0, reasoning: 0 }
  const free = charge({ input: 0, output: 0 }, nothing, date)
  if (ending === 'failed') return { tokens: nothing, charge: free, why: 'failed: not billed' }
  if (ending === 'whole') return { tokens: job.tokens, charge: job.charge, why: 'answered in full' }
  if (!job.stopsOnAbort) return { tokens: job.tokens, charge: job.charge, why: 'given up, billed in full' }
  if (ending.aborted === 0) return { tokens: nothing, charge: free, why: 'given up before the first token: not billed' }
  const completion = Math.min(ending.aborted, job.tokens.completion)
  const tokens = { ...job.tokens, completion, reasoning: Math.min(job.tokens.reasoning, completion) }
  return {
    tokens,
    charge: charge(job.prices, tokens, date),
    why: `given up after ${completion} tokens, billed until there`,
  }
}

/** Words with the space before them, as models send them. */
export function piecesOf(text: string): readonly string[] {
  return text.match(/\s*\S+|\s+$/g) ?? []
}
