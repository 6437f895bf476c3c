import {
  type Checked,
  canonicalOf,
  DEEPEST,
  type Issue,
  isObject,
  type JsonSchema,
  listOf,
  MOST_ISSUES,
  note,
  numberAt,
  numberRules,
  patternOf,
  type Rule,
  stringRules,
  typeOf,
  typeRule,
  UnusableSchema,
  valueRules,
  type Walk,
} from './json-values.ts'

/** Rules within rules, references and variants included. */
const MOST_RULES = 500
/** Variants of variants may ask for the same value again and again: an answer of a megabyte needs a tenth of this. */
const MOST_WORK = 2_000_000
/**
 * Makes a JSON Schema ready for checking: draft 2020-12 as far as models are given it, references and recursion
 * included. Words that only annotate (`title`, `format`, `default`) check nothing; a word that would check something
 * and is not known here is refused rather than passed over.
 *
 * @param root Where references lead to, if `json` is a part of something.
 */
export function checkerOf(json: unknown, root: unknown = json): (value: unknown) => Checked {
  const rule = compiler(root)(json)
  return (value) => {
    const walk: Walk = { path: [], issues: [], work: MOST_WORK, depth: 0, known: new Map() }
    rule(value, walk)
    if (walk.work < 0) return { ok: false, issues: [{ path: [], message: 'takes too long to check' }] }
    return walk.issues.length === 0 ? { ok: true, value } : { ok: false, issues: walk.issues }
  }
}

type Compile = (schema: unknown) => Rule

function compiler(root: unknown): Compile {
  const known = new Map<object, Rule>()
  const compile: Compile = (schema) => {
    if (schema === true) return nothing
    if (schema === false) return never
    if (!isObject(schema)) throw new UnusableSchema('a schema in it is neither an object nor true or false')
    const made = known.get(schema)
    if (made !== undefined) return made
    // A schema that comes by itself again, through a reference, finds this one, which by then knows its rules.
    const rules: Rule[] = []
    const rule: Rule = (value, walk) => {
      walk.work -= 1
      if (walk.work < 0 || walk.issues.length >= MOST_ISSUES) return
      if (walk.path.length > DEEPEST) return note(walk, 'is nested too deep')
      if (walk.depth > MOST_RULES) return note(walk, 'is ruled by a schema that leads to itself')
      walk.depth += 1
      for (const each of rules) each(value, walk)
      walk.depth -= 1
    }
    known.set(schema, rule)
    rules.push(...rulesOf(schema, { root, compile }))
    return rule
  }
  return compile
}

const nothing: Rule = () => {}
const never: Rule = (_, walk) => note(walk, 'should not be there')

interface About {
  readonly root: unknown
  readonly compile: Compile
}

/** What would check something, and is not known here. */
const UNKNOWN = ['$dynamicRef', '$recursiveRef', 'unevaluatedProperties', 'unevaluatedItems', 'dependencies']

function rulesOf(schema: JsonSchema, about: About): readonly Rule[] {
  for (const word of UNKNOWN) {
    // `true` lets everything pass.
    if (Object.hasOwn(schema, word) && schema[word] !== true) throw new UnusableSchema(`"${word}" cannot be checked`)
  }
  const typed = typeRule(schema)
  return [
    ...(typed === null ? [] : [typed]),
    ...valueRules(schema),
    ...numberRules(schema),
    ...stringRules(schema),
    ...arrayRules(schema, about),
    ...objectRules(schema, about),
    ...combinations(schema, about),
  ]
}

function arrayRules(schema: JsonSchema, { compile }: About): readonly Rule[] {
  const rules: Rule[] = []
  const { least, most } = sizes(schema, 'minItems', 'maxItems')
  const first = schema.prefixItems === undefined ? [] : listOf(schema.prefixItems, 'prefixItems').map(compile)
  const rest = schema.items === undefined ? null : compile(schema.items)
  if (least !== null || most !== null) {
    rules.push((value, walk) => {
      if (Array.isArray(value)) sized(value.length, { least, most, of: 'items' }, walk)
    })
  }
  if (first.length > 0 || rest !== null) {
    rules.push((value, walk) => {
      if (!Array.isArray(value)) return
      for (let index = 0; index < value.length && walk.work >= 0; index += 1) {
        const rule = first[index] ?? rest
        if (rule !== null) inside(value[index], index, rule, walk)
      }
    })
  }
  if (schema.uniqueItems === true) {
    rules.push((value, walk) => {
      if (!Array.isArray(value)) return
      const seen = new Set<string>()
      for (const item of value) seen.add(canonicalOf(item, walk))
      if (seen.size < value.length) note(walk, 'expected items that are all different')
    })
  }
  if (schema.contains !== undefined) {
    const rule = compile(schema.contains)
    const fewest = numberAt(schema, 'minContains') ?? 1
    const highest = numberAt(schema, 'maxContains') ?? Number.POSITIVE_INFINITY
    rules.push((value, walk) => {
      if (!Array.isArray(value)) return
      const count = value.filter((item) => walk.work >= 0 && tried(item, rule, walk).length === 0).length
      if (count < fewest || count > highest) note(walk, 'expected another number of items of the kind it has to hold')
    })
  }
  return rules
}

interface Sizes {
  readonly least: number | null
  readonly most: number | null
}

function sizes(schema: JsonSchema, least: string, most: string): Sizes {
  return { least: numberAt(schema, least), most: numberAt(schema, most) }
}

function sized(size: number, { least, most, of }: Sizes & { readonly of: string }, walk: Walk): void {
  if (least !== null && size < least) note(walk, `expected at least ${least} ${of}, got ${size}`)
  if (most !== null && size > most) note(walk, `expected at most ${most} ${of}, got ${size}`)
}

function inside(value: unknown, key: string | number, rule: Rule, walk: Walk): void {
  walk.path.push(key)
  rule(value, walk)
  walk.path.pop()
}

function objectRules(schema: JsonSchema, { compile }: About): readonly Rule[] {
  const rules: Rule[] = []
  const ruled = (word: string) => new Map(entriesAt(schema, word).map(([key, each]) => [key, compile(each)]))
  const properties = ruled('properties')
  const patterns = entriesAt(schema, 'patternProperties').map(
    ([pattern, each]) => [patternOf(pattern), compile(each)] as const,
  )
  const others = schema.additionalProperties === undefined ? nothing : compile(schema.additionalProperties)
  const required = schema.required === undefined ? [] : listOf(schema.required, 'required').map(String)
  const { least, most } = sizes(schema, 'minProperties', 'maxProperties')
  if (required.length > 0) {
    rules.push((value, walk) => {
      if (!isObject(value)) return
      for (const key of required) if (!Object.hasOwn(value, key)) inside(undefined, key, missing, walk)
    })
  }
  if (properties.size > 0 && patterns.length === 0 && others === nothing) {
    const named = [...properties]
    // The usual object: it is asked for what the schema names, and the rest is not looked at.
    rules.push((value, walk) => {
      if (!isObject(value)) return
      for (const [key, rule] of named) if (Object.hasOwn(value, key)) inside(value[key], key, rule, walk)
    })
  } else if (properties.size > 0 || patterns.length > 0 || others !== nothing) {
    rules.push((value, walk) => {
      if (!isObject(value)) return
      let unknown = 0
      for (const key in value) {
        if (!Object.hasOwn(value, key) || walk.work < 0) continue
        const rule = properties.get(key)
        if (rule !== undefined) inside(value[key], key, rule, walk)
        let matched = rule !== undefined
        for (const [matches, each] of patterns) {
          if (!matches(key, walk)) continue
          matched = true
          inside(value[key], rule === undefined ? '*' : key, each, walk)
        }
        if (!matched && others === never) unknown += 1
        else if (!matched) inside(value[key], '*', others, walk)
      }
      if (unknown > 0) note(walk, `has ${unknown === 1 ? 'a key' : `${unknown} keys`} that the schema does not name`)
    })
  }
  if (least !== null || most !== null) {
    rules.push((value, walk) => {
      if (!isObject(value)) return
      const size = Object.keys(value).length
      walk.work -= size
      sized(size, { least, most, of: 'keys' }, walk)
    })
  }
  if (schema.propertyNames !== undefined) {
    const rule = compile(schema.propertyNames)
    rules.push((value, walk) => {
      if (!isObject(value)) return
      if (Object.keys(value).some((key) => walk.work >= 0 && tried(key, rule, walk).length > 0))
        note(walk, 'has a key that is not allowed')
    })
  }
  for (const [key, needed] of entriesAt(schema, 'dependentRequired')) {
    const names = listOf(needed, 'dependentRequired').map(String)
    rules.push((value, walk) => {
      if (!isObject(value) || !Object.hasOwn(value, key)) return
      for (const name of names) if (!Object.hasOwn(value, name)) inside(undefined, name, missing, walk)
    })
  }
  for (const [key, rule] of ruled('dependentSchemas')) {
    rules.push((value, walk) => {
      if (isObject(value) && Object.hasOwn(value, key)) rule(value, walk)
    })
  }
  return rules
}

const missing: Rule = (_, walk) => note(walk, 'is missing')

function combinations(schema: JsonSchema, { root, compile }: About): readonly Rule[] {
  const rules: Rule[] = []
  if (schema.$ref !== undefined) rules.push(compile(resolved(schema.$ref, root)))
  if (schema.allOf !== undefined) rules.push(...listOf(schema.allOf, 'allOf').map(compile))
  if (schema.anyOf !== undefined) rules.push(variants(listOf(schema.anyOf, 'anyOf').map(compile), false))
  if (schema.oneOf !== undefined) rules.push(variants(listOf(schema.oneOf, 'oneOf').map(compile), true))
  if (schema.not !== undefined) {
    const rule = compile(schema.not)
    rules.push((value, walk) => void (tried(value, rule, walk).length === 0 && note(walk, 'is what it should not be')))
  }
  if (schema.if !== undefined) {
    const condition = compile(schema.if)
    const yes = schema.then === undefined ? nothing : compile(schema.then)
    const no = schema.else === undefined ? nothing : compile(schema.else)
    rules.push((value, walk) => (tried(value, condition, walk).length === 0 ? yes : no)(value, walk))
  }
  return rules
}

function variants(all: readonly Rule[], onlyOne: boolean): Rule {
  return (value, walk) => {
    let closest: readonly Issue[] | null = null
    let near = 0
    let fitting = 0
    for (const rule of all) {
      const issues = tried(value, rule, walk)
      if (issues.length === 0) {
        fitting += 1
        if (!onlyOne) return
      } else if (!issues.some(({ path }) => path.length === walk.path.length)) {
        // It was right up to here: most likely this is the variant that was meant.
        near += 1
        closest = issues
      }
    }
    if (fitting === 1) return
    if (fitting > 1) note(walk, `expected one variant to fit, but ${fitting} do`)
    else if (near === 1 && closest !== null) for (const { path, message } of closest) add(walk, path, message)
    else note(walk, `fits none of ${all.length} variants (got ${typeOf(value)})`)
  }
}

function add(walk: Walk, path: Issue['path'], message: string): void {
  if (walk.issues.length < MOST_ISSUES) walk.issues.push({ path, message })
}

/** What a rule has to say, without saying it; of an object or a list, which has one place, it is asked once. */
function tried(value: unknown, rule: Rule, walk: Walk): readonly Issue[] {
  if (typeof value !== 'object' || value === null) return found(value, rule, walk)
  const known = walk.known.get(rule) ?? new Map<object, readonly Issue[]>()
  walk.known.set(rule, known)
  const before = known.get(value)
  if (before !== undefined) return before
  const issues = found(value, rule, walk)
  known.set(value, issues)
  return issues
}

function found(value: unknown, rule: Rule, walk: Walk): readonly Issue[] {
  const outer = walk.issues
  walk.issues = []
  rule(value, walk)
  const issues = walk.issues
  walk.issues = outer
  return issues
}

/** What a reference within the same schema stands for. */
export function resolved(reference: unknown, root: unknown): unknown {
  if (typeof reference !== 'string' || !/^#(\/|$)/.test(reference)) {
    throw new UnusableSchema('"$ref" leads out of the schema')
  }
  let found = root
  for (const step of reference.split('/').slice(1)) {
    const key = unescaped(step)
    found =
      typeof found === 'object' && found !== null && Object.hasOwn(found, key) ? Reflect.get(found, key) : undefined
  }
  if (found === undefined) throw new UnusableSchema('"$ref" names what is not there')
  return found
}

function unescaped(step: string): string {
  try {
    return decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~')
  } catch {
    return step.replaceAll('~1', '/').replaceAll('~0', '~')
  }
}

function entriesAt(schema: JsonSchema, word: string): readonly [string, unknown][] {
  const given = schema[word]
  if (given === undefined) return []
  if (!isObject(given)) throw new UnusableSchema(`"${word}" is no object`)
  return Object.entries(given)
}
