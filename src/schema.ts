import { ConfigError } from './errors.ts'
import { issuesOf, type Reported } from './issues.ts'
import { checkerOf } from './json-schema.ts'
import { type Checked, type JsonSchema, UnusableSchema } from './json-values.ts'
import { normalized } from './normal.ts'
import { kindOf, nameOfThrown } from './options.ts'
import { isThenable } from './patience.ts'

export type { Checked, Issue, JsonSchema } from './json-values.ts'

type Result<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly Reported[]; readonly value?: unknown }

interface ConverterOptions {
  readonly target: 'draft-2020-12'
  readonly libraryOptions?: Record<string, unknown>
}

/** Says a schema as JSON Schema (https://standardschema.dev/json-schema). */
interface Converter {
  readonly input: (options: ConverterOptions) => Record<string, unknown>
  readonly output: (options: ConverterOptions) => Record<string, unknown>
}

/**
 * Any Standard Schema (https://standardschema.dev) that can say itself as JSON Schema: zod (4.2 and later), arktype,
 * valibot through `toStandardJsonSchema` of `@valibot/to-json-schema`, or a plain JSON Schema through `jsonSchema`.
 */
export interface Schema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => Result<Output> | Promise<Result<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
    readonly jsonSchema?: Converter | undefined
  }
}

type TypesOf<S> = S extends { readonly '~standard': { readonly types?: infer Types } } ? NonNullable<Types> : never

/** What comes out of a schema: its transforms and defaults have been applied. */
export type DataOf<S> = TypesOf<S> extends { readonly output: infer Output } ? Output : never

/** What goes into a schema: this is what the model writes. */
export type GivenOf<S> = TypesOf<S> extends { readonly input: infer Input } ? Input : never

/** A schema made ready. */
export interface Shape {
  /** What the model is shown: the schema's input, in one form whoever wrote it. */
  readonly json: JsonSchema
  /** A promise only where the schema itself takes its time. Never throws and never rejects. */
  check(value: unknown): Checked | Promise<Checked>
}

const shapes = new WeakMap<object, Shape>()

/** Whether something claims to be a schema. Says nothing about whether it can be used: see `shapeOf`. */
export function isSchema(value: unknown): value is Schema {
  return standardOf(value) !== null
}

/** Made once for each schema object. */
export function shapeOf(schema: unknown, field: string): Shape {
  const standard = standardOf(schema)
  // Also a type guard: what has no standard is no object either.
  if (standard === null || !isHolder(schema)) {
    throw new ConfigError(field, `expected a schema such as z.object({…}) or jsonSchema({…}), got ${kindOf(schema)}`)
  }
  const known = shapes.get(schema)
  if (known !== undefined) return known
  const json = converted(schema, standard, field)
  const shape = Object.freeze<Shape>({ json, check: (value) => checked(value, standard, json) })
  shapes.set(schema, shape)
  return shape
}

/**
 * A plain JSON Schema as a schema. What it lets pass is of the type that you say it is: `jsonSchema<Ticket>({…})`.
 *
 * @example
 * ```ts
 * const ticket = jsonSchema<{ label: string }>({
 *   type: 'object',
 *   properties: { label: { enum: ['billing', 'bug', 'other'] } },
 *   required: ['label'],
 * })
 * ```
 */
export function jsonSchema<T = unknown>(json: JsonSchema): Schema<T> {
  const field = 'jsonSchema'
  const normal = said(json, field)
  const check = usable(field, () => checkerOf(normal))
  // What has passed is a T because whoever wrote the schema says so.
  const passes = (_: unknown, passed: boolean): _ is T => passed
  const validate = (value: unknown): Result<T> => {
    const result = check(value)
    if (!result.ok) return { issues: result.issues }
    return passes(result.value, result.ok) ? { value: result.value } : { issues: [] }
  }
  const converter: Converter = { input: () => ({ ...normal }), output: () => ({ ...normal }) }
  return Object.freeze({
    '~standard': Object.freeze({ version: 1, vendor: OWN, validate, jsonSchema: Object.freeze(converter) } as const),
  })
}

const OWN = 'modelfirst'

type Standard = Schema['~standard']

/** Some libraries' schemas are functions. */
function isHolder(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}

function standardOf(value: unknown): Standard | null {
  if (!isHolder(value)) return null
  try {
    const standard: unknown = Reflect.get(value, '~standard')
    return isStandard(standard) ? standard : null
  } catch {
    // A proxy that was revoked, a getter that throws.
    return null
  }
}

function isStandard(value: unknown): value is Standard {
  return isHolder(value) && Reflect.get(value, 'version') === 1 && typeof Reflect.get(value, 'validate') === 'function'
}

function converted(schema: object, standard: Standard, field: string): JsonSchema {
  let json: unknown
  try {
    const convert = converterOf(schema, standard)
    if (convert === null) throw new ConfigError(field, adviceFor(standard))
    json = convert()
  } catch (error) {
    if (ConfigError.is(error)) throw error
    const problem = error instanceof Error ? error.message : 'its library threw'
    throw new ConfigError(field, `cannot be said as JSON Schema: ${problem}`, { cause: error })
  }
  return said(json, field)
}

function converterOf(schema: object, { jsonSchema, vendor }: Standard): (() => unknown) | null {
  const convert = jsonSchema?.input
  if (typeof convert === 'function') {
    const strict = vendor === 'arktype' ? { libraryOptions: { fallback: REFUSING } } : {}
    return () => convert({ target: 'draft-2020-12', ...strict })
  }
  const own: unknown = Reflect.get(schema, 'toJsonSchema')
  return typeof own === 'function' ? () => Reflect.apply(own, schema, []) : null
}

/** Left to itself, arktype says of a date that it may be anything. */
const REFUSING = Object.fromEntries(
  ['date', 'domain', 'proto'].map((code) => [
    code,
    () => {
      throw new UnusableSchema(`a ${code === 'date' ? 'Date' : 'value'} in it is none that JSON has`)
    },
  ]),
)

const ADVICE: Readonly<Record<string, string>> = {
  zod: 'update zod to 4.2 or later',
  valibot: 'wrap it in toStandardJsonSchema() of @valibot/to-json-schema',
  arktype: 'update arktype to 2.1.28 or later',
}

function adviceFor({ vendor }: Standard): string {
  const advice = typeof vendor === 'string' && Object.hasOwn(ADVICE, vendor) ? ADVICE[vendor] : undefined
  return `cannot be said as JSON Schema: ${advice ?? 'write it with jsonSchema({…})'}`
}

function said(json: unknown, field: string): JsonSchema {
  return usable(field, () => normalized(json))
}

function usable<T>(field: string, make: () => T): T {
  try {
    return make()
  } catch (error) {
    if (error instanceof UnusableSchema) throw new ConfigError(field, error.message)
    throw error
  }
}

function checked(value: unknown, standard: Standard, json: JsonSchema): Checked | Promise<Checked> {
  const judge = (result: Result<unknown>): Checked => {
    if (result.issues === undefined) {
      // Nothing was said of it: that is no word that it fits.
      if (!isHolder(result) || !('value' in result)) throw new TypeError('no result')
      return { ok: true, value: result.value }
    }
    return { ok: false, issues: issuesOf(result.issues, { value, json, own: standard.vendor === OWN }) }
  }
  const broken = (error: unknown): Checked => {
    // A transform or a refinement that expected something else: for the model it is a value that does not fit.
    return { ok: false, issues: [{ path: [], message: `the schema's own check threw ${nameOfThrown(error)}` }] }
  }
  try {
    const result = standard.validate(value)
    // By shape: a promise may be of another realm, or of a library.
    return isThenable(result) ? Promise.resolve(result).then(judge).catch(broken) : judge(result)
  } catch (error) {
    return broken(error)
  }
}
