import type { Draft } from './completion.ts'
import type { Shape } from './schema.ts'
import type { Toolbox } from './tools.ts'

/**
 * The bar: `true`, or why an answer is not taken; then the next model is asked. One that throws has not been cleared.
 * Answers that only call tools are not asked about: they are not the answer yet.
 */
export type Accept<Data = unknown> = { accept(answer: Draft<Data>): true | string | Promise<true | string> }['accept']

/** What an answer has to be, besides being whole. */
export interface Demand {
  readonly shape: Shape | null
  readonly toolbox: Toolbox | null
  readonly accept: Accept | null
}
