/** Steps for one text: beyond it, it does not match. */
const MOST_STEPS = 20_000_000
/** Of these, as many are one piece of work. */
const STEPS_OF_WORK = 8
const MOST_STATES = 5000
/** Where only the built-in engine can tell, which may take a time that doubles with each character. */
const LONGEST_UNSAFE = 20
const LONGEST_SAFE = 500

/**
 * Whether a text matches a regular expression; `null` where it is none. The text is a model's answer, which somebody
 * may have talked into writing what makes a pattern try forever: so all ways through the pattern are gone at once, in
 * a time in proportion to the text. Looking around and going back to what was found cannot be done that way: such
 * patterns are only asked of short texts, and longer ones do not match.
 */
export function matcherOf(pattern: string): Matcher | null {
  const flags = ['u', ''].find((each) => expressionOf(pattern, each) !== null)
  if (flags === undefined) return null
  const states = statesOf(pattern, flags)
  if (states !== null) return (text, budget) => run(states, text, budget)
  const expression = new RegExp(pattern, flags)
  const longest = /[+*}]\??\)[+*{]/.test(pattern) ? LONGEST_UNSAFE : LONGEST_SAFE
  return (text, budget) => {
    if (budget !== undefined) budget.work -= text.length
    return text.length <= longest && expression.test(text)
  }
}

/** Whether a text matches; what that took is taken from the budget. */
export type Matcher = (text: string, budget?: { work: number }) => boolean

function expressionOf(pattern: string, flags: string): RegExp | null {
  try {
    return new RegExp(pattern, flags)
  } catch {
    return null
  }
}

type State =
  | { readonly kind: 'one'; readonly holds: (char: string) => boolean; readonly next: number }
  | { readonly kind: 'either'; readonly next: readonly number[] }
  | { readonly kind: 'start' | 'end'; readonly next: number }
  | { readonly kind: 'match' }

class Beyond extends Error {}

/** The last one is where it begins; `null` where the pattern is beyond this engine. */
function statesOf(pattern: string, flags: string): readonly State[] | null {
  const states: State[] = [{ kind: 'match' }]
  const add = (state: State): number => {
    if (states.length >= MOST_STATES) throw new Beyond()
    states.push(state)
    return states.length - 1
  }
  try {
    const reader = parsing(pattern, flags, add)
    const start = reader(0)
    add({ kind: 'either', next: [start] })
    return states
  } catch (error) {
    if (error instanceof Beyond) return null
    throw error
  }
}

/** Makes the states of a part, given the one that comes behind it. */
type Make = (next: number) => number

function parsing(pattern: string, flags: string, add: (state: State) => number): Make {
  let at = 0
  const alternatives = (): Make => {
    const all = [sequence()]
    while (pattern.charAt(at) === '|') {
      at += 1
      all.push(sequence())
    }
    const [only] = all
    if (all.length === 1 && only !== undefined) return only
    return (next) => add({ kind: 'either', next: all.map((make) => make(next)) })
  }
  const sequence = (): Make => {
    const parts: Make[] = []
    while (at < pattern.length && pattern.charAt(at) !== '|' && pattern.charAt(at) !== ')') parts.push(quantified())
    return (next) => parts.reduceRight((behind, make) => make(behind), next)
  }
  const quantified = (): Make => {
    const make = atom()
    const quantifier = /^(?:[*+?]|\{(\d+)(,(\d*))?\})\??/.exec(pattern.slice(at, at + 40))
    if (quantifier === null) return make
    at += quantifier[0].length
    const [sign, least, range, most] = quantifier
    if (sign.startsWith('*')) return repeated(make, 0, Number.POSITIVE_INFINITY)
    if (sign.startsWith('+')) return repeated(make, 1, Number.POSITIVE_INFINITY)
    if (sign.startsWith('?')) return repeated(make, 0, 1)
    const highest = range === undefined ? least : most
    return repeated(make, Number(least), highest === '' ? Number.POSITIVE_INFINITY : Number(highest))
  }
  const repeated = (make: Make, least: number, most: number): Make => {
    // Each time has states of its own.
    if (least > MOST_STATES || (Number.isFinite(most) && most > MOST_STATES)) throw new Beyond()
    return (next) => {
      let behind = next
      if (Number.isFinite(most)) {
        for (let times = least; times < most; times += 1) behind = add({ kind: 'either', next: [make(behind), next] })
      } else {
        const ways: number[] = []
        behind = add({ kind: 'either', next: ways })
        ways.push(make(behind), next)
      }
      for (let times = 0; times < least; times += 1) behind = make(behind)
      return behind
    }
  }
  const atom = (): Make => {
    const char = pattern.charAt(at)
    if (char === '(') {
      const opening = /^\((?:\?:|\?<[A-Za-z_]\w*>|(?!\?))/.exec(pattern.slice(at, at + 100))
      if (opening === null) throw new Beyond()
      at += opening[0].length
      const inner = alternatives()
      at += 1
      return inner
    }
    if (char === '^' || char === '$') {
      at += 1
      return (next) => add({ kind: char === '^' ? 'start' : 'end', next })
    }
    const source = ONE.exec(pattern.slice(at))?.[0]
    if (source === undefined || /^\\[1-9bBk]/.test(source)) throw new Beyond()
    at += source.length
    const holds = testOf(source, flags)
    return (next) => add({ kind: 'one', holds, next })
  }
  const made = alternatives()
  if (at < pattern.length) throw new Beyond()
  return made
}

/** What stands for one character: a class, an escape, or itself. */
const ONE = new RegExp(
  [
    String.raw`^(?:\[(?:\\[\s\S]|[^\]\\])*\]`,
    String.raw`\\(?:u\{[\da-fA-F]+\}|u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|u[\da-fA-F]{4}`,
    String.raw`x[\da-fA-F]{2}|[pP]\{[^}]+\}|c[A-Za-z]|[\s\S])`,
    String.raw`[\s\S])`,
  ].join('|'),
  'u',
)

/** Classes are asked of the built-in engine, one character at a time. */
function testOf(source: string, flags: string): (char: string) => boolean {
  const expression = expressionOf(`^${source}$`, flags)
  if (expression === null) throw new Beyond()
  const ascii: (boolean | undefined)[] = []
  return (char) => {
    const code = char.codePointAt(0) ?? 0
    if (code >= 128) return expression.test(char)
    const known = ascii[code] ?? expression.test(char)
    ascii[code] = known
    return known
  }
}

function run(states: readonly State[], text: string, budget?: { work: number }): boolean {
  const most = Math.min(MOST_STEPS, Math.max(0, budget?.work ?? MOST_STEPS) * STEPS_OF_WORK)
  /** Where each state was entered last: counted from 1, so that nothing has to be cleared in between. */
  const entered = new Uint32Array(states.length)
  let current: number[] = []
  let following: number[] = []
  let turn = 1
  let index = 0
  let steps = 0
  const open: number[] = []
  const enter = (into: number[], first: number): boolean => {
    open.push(first)
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      const state = states[id]
      steps += 1
      if (state === undefined || entered[id] === turn) continue
      entered[id] = turn
      if (state.kind === 'match') return true
      if (state.kind === 'one') into.push(id)
      else if (state.kind === 'either') for (const next of state.next) open.push(next)
      else if (index === (state.kind === 'start' ? 0 : text.length)) open.push(state.next)
    }
    return false
  }
  const matches = (): boolean => {
    for (const char of text) {
      // It may begin anywhere.
      if (enter(current, states.length - 1)) return true
      if (steps > most) return false
      turn += 1
      index += char.length
      for (const id of current) {
        const state = states[id]
        if (state?.kind === 'one' && state.holds(char) && enter(following, state.next)) return true
      }
      ;[current, following] = [following, current]
      following.length = 0
    }
    return enter(current, states.length - 1)
  }
  const matched = matches()
  if (budget !== undefined) budget.work -= Math.ceil(steps / STEPS_OF_WORK)
  return matched
}
