import { nearest } from '../nearest.ts'
import { Problem } from './problem.ts'

export interface Option {
  readonly name: string
  readonly short?: string
  /** What follows it; left out: nothing does. */
  readonly value?: string
  readonly says: string
  /** The only words that it takes. */
  readonly among?: readonly string[]
}

export interface Arguments {
  readonly words: readonly string[]
  /** By the long name, without dashes; an option that takes no value has an empty one. */
  readonly options: ReadonlyMap<string, string>
}

/** Words and options in any order; `--` ends the options, and a single dash is a word. */
export function readArguments(given: readonly string[], known: readonly Option[]): Arguments {
  const words: string[] = []
  const options = new Map<string, string>()
  const rest = [...given]
  for (let each = rest.shift(); each !== undefined; each = rest.shift()) {
    if (each === '--') {
      words.push(...rest)
      break
    }
    if (each === '-' || !each.startsWith('-')) {
      words.push(each)
      continue
    }
    const [name = '', ...parts] = each.split('=')
    const option = known.find(
      (one) => name === `--${one.name}` || (one.short !== undefined && name === `-${one.short}`),
    )
    if (option === undefined) throw new Problem(`unknown option ${name}${suggestion(name, known)}`, 2)
    options.set(option.name, valueFor(option, parts.length > 0 ? parts.join('=') : undefined, rest))
  }
  return { words, options }
}

function valueFor(option: Option, attached: string | undefined, rest: string[]): string {
  if (option.value === undefined) {
    if (attached !== undefined) throw new Problem(`--${option.name} takes no value`, 2)
    return ''
  }
  const next = rest[0]
  const follows = next !== undefined && (next === '-' || !next.startsWith('-')) ? rest.shift() : undefined
  const value = attached ?? follows
  if (value === undefined || value === '') {
    throw new Problem(`--${option.name} needs a value: --${option.name} ${option.value}`, 2)
  }
  if (option.among !== undefined && !option.among.includes(value)) {
    throw new Problem(
      `--${option.name} is one of ${option.among.join(', ')}${meant(nearest(value, option.among, 1))}`,
      2,
    )
  }
  return value
}

function suggestion(name: string, known: readonly Option[]): string {
  const names = known.map((option) => `--${option.name}`)
  const close = name.startsWith('--') ? nearest(name, names, 1) : []
  return close.length > 0 ? meant(close) : `: there is ${names.join(', ')}`
}

export function meant(names: readonly string[]): string {
  return names.length === 0 ? '' : `: did you mean ${names.join(' or ')}?`
}
