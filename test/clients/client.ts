import { z } from 'zod'

export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

/** Where a client meets the router. */
export interface Entrance {
  /** Left out: the client keeps its own address, and whatever it asks there is given to `fetch`. */
  readonly origin?: string
  readonly fetch?: Fetch
  readonly key: string
}

export interface Ask {
  readonly model: string
  readonly prompt: string
  readonly signal?: AbortSignal
}

export interface Answer {
  readonly text: string
  /** Of question and answer together, as the client tells it. */
  readonly tokens: number | undefined
}

/** What an application does with a client: each client is these few verbs in its own words. */
export interface Verbs {
  complete(ask: Ask): Promise<Answer>
  stream(ask: Ask, hear: (text: string) => void): Promise<Answer>
  /** The whole loop, until the model answers in words. */
  forecast(ask: Ask, weather: (input: z.infer<typeof PLACE>) => string): Promise<Answer>
  /** An answer in the shape of `TICKET`. */
  ticket(ask: Ask): Promise<unknown>
}

/** What a client made of an error: the name of its own class, and what an application reads from it. */
export interface Told {
  readonly name: string
  readonly status: number | undefined
  readonly message: string
}

export interface Client {
  readonly name: string
  open(entrance: Entrance): Verbs
  tell(error: unknown): Told
  /** It asks for a `TICKET` as a stream. Left out: as a whole. */
  readonly ticketsInPieces?: true
  /** Its own names of errors. */
  readonly errors: {
    readonly limited: string
    readonly missing: string
    readonly denied: string
    readonly aborted: string
  }
}

export const TICKET = z.object({ title: z.string(), urgent: z.boolean(), tags: z.array(z.string()) })
export const PLACE = z.object({ city: z.string() })

/** The tool that every client is given. */
export const WEATHER = {
  name: 'get_weather',
  description: 'The weather in a city.',
  parameters: z.toJSONSchema(PLACE),
} as const

export const TICKET_FORMAT = {
  type: 'json_schema',
  json_schema: { name: 'ticket', strict: true, schema: z.toJSONSchema(TICKET) },
} as const

export function readPlace(json: string): z.infer<typeof PLACE> {
  return PLACE.parse(JSON.parse(json))
}

/** An error's class, by the name that its own constructor has. */
export function classOf(error: unknown): string {
  return error instanceof Error ? error.constructor.name : typeof error
}

export function numberIn(error: unknown, field: string): number | undefined {
  const value = typeof error === 'object' && error !== null ? Reflect.get(error, field) : undefined
  return typeof value === 'number' ? value : undefined
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
