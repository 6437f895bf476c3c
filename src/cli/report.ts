import { open, writeFile } from 'node:fs/promises'
import { basename, extname } from 'node:path'
import { createCollection } from '../report/collection.ts'
import { many, spanText } from '../report/figures.ts'
import { shown } from '../report/names.ts'
import { GENERATOR, pageOf } from '../report/page.ts'
import type { Command } from './command.ts'
import { fileOf, openInput, SINCE, STDIN } from './input.ts'
import { Problem } from './problem.ts'
import { sinceOf } from './since.ts'

/** A file of usage records as a page. */
export const reportCommand: Command = {
  name: 'report',
  usage: '<file.jsonl | ->',
  says: 'make a page of usage records to look at',
  options: [
    {
      name: 'output',
      short: 'o',
      value: '<page.html | ->',
      says: 'where to (beside the name: usage.html here; - prints it)',
    },
    { name: 'title', value: '<text>', says: 'above the page' },
    SINCE,
  ],
  async run({ words, options }, { stdin, stdout, stderr, now }) {
    const file = fileOf(words, 'report')
    const since = options.get('since')
    const named = options.get('output')
    const output = named ?? (file === STDIN ? STDIN : `${basename(file, extname(file))}.html`)
    if (output !== STDIN && output === file) throw new Problem('the page would overwrite what it is made from', 2)
    const input = openInput(file, stdin, since === undefined ? null : sinceOf(since, now()))
    const collection = createCollection()
    for await (const record of input) collection.add(record)
    const sums = collection.read()
    const page = pageOf(
      sums,
      options.get('title') ?? `Model usage: ${file === STDIN ? 'standard input' : basename(file)}`,
      input.unread,
    )
    if (output === STDIN) {
      stdout.write(page)
      return
    }
    // Only a page of its own kind is written over without being asked.
    if (named === undefined && (await isForeign(output))) {
      throw new Problem(`${shown(output)} is there already and is no report: name another with -o`, 1)
    }
    try {
      await writeFile(output, page)
    } catch (error) {
      throw new Problem(`${shown(output)}: could not be written (${reasonOf(error)}): name another with -o`, 1)
    }
    const { total } = sums
    stderr.write(
      `${shown(output)}: ${many(total.calls, 'call')}, ${spanText(total.cost.low, total.cost.high)}; open it in a browser\n`,
    )
  },
}

async function isForeign(path: string): Promise<boolean> {
  let file: Awaited<ReturnType<typeof open>>
  try {
    file = await open(path)
  } catch {
    return false
  }
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(2048), 0, 2048, 0)
    return bytesRead > 0 && !buffer.toString('utf8', 0, bytesRead).includes(GENERATOR)
  } finally {
    await file.close()
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason'
}
