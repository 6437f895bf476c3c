import { readFile, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { type PackedSnapshot, pack } from '../src/catalog/snapshot.ts'
import { type ListedModel, readListing } from '../src/listing.ts'
import { HOSTS, withGroqFacts } from './facts.ts'

/**
 * Writes the list that comes with the package: `npm run snapshot` asks both vendors (with GROQ_API_KEY), and
 * `npm run snapshot -- groq-models.2026-08-19.json openrouter-models.2026-08-22.json` reads saved answers, whose names
 * carry their dates.
 */
const GROQ = 'https://api.groq.com/openai/v1/models'
const OPENROUTER = 'https://openrouter.ai/api/v1/models'

interface Source {
  readonly date: string
  readonly models: ListedModel[]
}

async function read(path: string): Promise<Source> {
  const date = /\d{4}-\d\d-\d\d/.exec(basename(path))?.[0]
  if (date === undefined) throw new Error(`${basename(path)}: its name must hold the date it was taken, YYYY-MM-DD`)
  return { date, models: readListing(JSON.parse(await readFile(path, 'utf8'))) }
}

async function ask(address: string, key?: string): Promise<Source> {
  const reply = await fetch(address, key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } })
  if (!reply.ok) throw new Error(`${address} answered ${reply.status}`)
  return { date: new Date().toISOString().slice(0, 10), models: readListing(await reply.json()) }
}

async function sources(): Promise<{ groq: Source; openrouter: Source }> {
  const [groq, openrouter] = process.argv.slice(2)
  if (groq !== undefined && openrouter !== undefined) {
    return { groq: await read(groq), openrouter: await read(openrouter) }
  }
  const key = process.env.GROQ_API_KEY
  if (key === undefined || key === '') throw new Error('GROQ_API_KEY is not set; or give two saved answers of /models')
  return { groq: await ask(GROQ, key), openrouter: await ask(OPENROUTER) }
}

/** Several members to a line: nobody reads the list, and one a line would be the longest file of all. */
function union(name: string, members: Iterable<string>): string {
  const lines: string[] = []
  let line = ' '
  for (const member of [...new Set(members)].sort()) {
    if (line.length + member.length > 114) {
      lines.push(line)
      line = ' '
    }
    line += ` | '${member}'`
  }
  return `export type ${name} =\n${[...lines, line].join('\n')}\n`
}

const { groq, openrouter } = await sources()
for (const [name, { models }] of Object.entries({ groq, openrouter })) {
  if (models.length === 0) throw new Error(`the list of ${name} holds no model; nothing was written`)
}
const atGroq = withGroqFacts(groq.models)
const date = [groq.date, openrouter.date].sort()[1] ?? ''
const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1)
const packed: PackedSnapshot = {
  date,
  providers: {
    groq: { date: groq.date, models: atGroq.map(pack).sort(byId) },
    openrouter: { date: openrouter.date, models: openrouter.models.map(pack).sort(byId) },
  },
}
const json = JSON.stringify(packed)
const quoted = json.replaceAll('\\', '\\\\').replaceAll("'", "\\'")
await writeFile(
  new URL('../src/catalog/snapshot-data.ts', import.meta.url),
  `/** Written by \`npm run snapshot\`. */\nexport const DATA =\n  '${quoted}'\n`,
)

const canonical = [...atGroq, ...openrouter.models].map((row) => row.model ?? row.id)
const slugs = canonical.filter((id) => id.includes('/') && !id.includes(':'))
await writeFile(
  new URL('../src/catalog/ids.ts', import.meta.url),
  [
    '// Written by `npm run snapshot`.\n',
    `/** Canonical slugs that Groq or OpenRouter sold on ${date}; newer ones work all the same. */`,
    union('KnownModel', slugs),
    "/** Groq's own ids, retired ones too: a policy that names one compiles, and is told what to use instead. */",
    union(
      'KnownGroqId',
      atGroq.map(({ id }) => id),
    ),
    union(
      'KnownAuthor',
      slugs.map((id) => id.replace('~', '').split('/', 1)[0] ?? ''),
    ),
    '/** Hosts behind OpenRouter that are often pinned. */',
    union('KnownHost', HOSTS),
  ].join('\n'),
)
console.log(`${date}: ${atGroq.length} models at Groq, ${openrouter.models.length} at OpenRouter, ${json.length} bytes`)
