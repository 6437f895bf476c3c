import { readFileSync } from 'node:fs'
import { nearest } from '../nearest.ts'
import { shown } from '../report/names.ts'
import { meant, type Option, readArguments } from './arguments.ts'
import type { Command, Surroundings } from './command.ts'
import { gridOf } from './grid.ts'
import { Problem } from './problem.ts'
import { reportCommand } from './report.ts'
import { serveCommand } from './serve.ts'
import { usageCommand } from './usage.ts'

const COMMANDS: readonly Command[] = [serveCommand, reportCommand, usageCommand]
const HELP: Option = { name: 'help', short: 'h', says: 'this text' }
const VERSION: Option = { name: 'version', says: 'the version' }

/** Runs a command; resolves to the exit code: 0, 1 when it could not be done, 2 when it was asked for wrongly. */
export async function run(given: readonly string[], surroundings: Surroundings): Promise<0 | 1 | 2> {
  const { stdout, stderr } = surroundings
  try {
    const [name, ...rest] = given
    const command = COMMANDS.find((each) => each.name === name)
    if (command === undefined) {
      const { words, options } = readArguments(given, [HELP, VERSION])
      if (options.has('version')) stdout.write(`${version()}\n`)
      else if (options.has('help') || words[0] === 'help') stdout.write(overview())
      else if (words[0] === undefined) throw new Problem('name a command: modelfirst --help', 2)
      else throw new Problem(`unknown command ${shown(words[0])}${suggested(words[0])}`, 2)
      return 0
    }
    const read = readArguments(rest, [...command.options, HELP])
    if (read.options.has('help')) stdout.write(helpOf(command))
    else await command.run(read, surroundings)
    return 0
  } catch (error) {
    const problem =
      error instanceof Problem ? error : new Problem(error instanceof Error ? error.message : String(error), 1)
    // What a file of the user's throws may have several lines.
    stderr.write(`modelfirst: ${problem.message.replace(/\s*[\r\n]+\s*/g, ' ')}\n`)
    return problem.code
  }
}

function suggested(word: string): string {
  const names = COMMANDS.map(({ name }) => name)
  const close = nearest(word, names, 1)
  return close.length > 0 ? meant(close) : `: there is ${names.join(', ')}`
}

function overview(): string {
  const commands = COMMANDS.map(({ name, usage, says }) => [`  modelfirst ${name} ${usage}`, says])
  const lines = ['modelfirst: models behind one door, and what they cost', '', ...columns(commands)]
  return `${lines.join('\n')}\n\nmodelfirst <command> --help tells the options; modelfirst --version the version.\n`
}

function helpOf({ name, usage, says, options }: Command): string {
  const rows = [...options, HELP].map((option) => {
    const short = option.short === undefined ? '' : `-${option.short}, `
    return [`  ${short}--${option.name}${option.value === undefined ? '' : ` ${option.value}`}`, option.says]
  })
  return `modelfirst ${name} ${usage}: ${says}\n\n${columns(rows).join('\n')}\n`
}

/** As a grid, but for words: to the left. */
function columns(rows: readonly (readonly string[])[]): readonly string[] {
  const heads = gridOf(rows.map(([head = '']) => [head, '|']))
  return rows.map(([, says = ''], index) => `${(heads[index] ?? '').slice(0, -1)}${says}`)
}

/** From the package: one folder up from what was built, two from the sources. */
function version(): string {
  for (const path of ['../package.json', '../../package.json']) {
    try {
      const manifest: unknown = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'))
      if (typeof manifest !== 'object' || manifest === null || !('name' in manifest) || !('version' in manifest))
        continue
      if (manifest.name === 'modelfirst' && typeof manifest.version === 'string') return manifest.version
    } catch {
      // Not there.
    }
  }
  return 'unknown'
}
