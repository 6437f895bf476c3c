/**
 * Builds the bundled catalogue from the vendors' own `/models` answers:
 *
 *   npm run snapshot -- <groq-models.json> <openrouter-models.json>     from files, dated by their names
 *   npm run snapshot                                                    from the live endpoints (needs GROQ_API_KEY)
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { type ListedModel, readListing } from '../src/listing.ts'
import { GROQ_CURRENT, GROQ_RETIRED, GROQ_SLUGS, OPENROUTER_HOSTS } from './facts.ts'

interface Dated {
  readonly date: string
  readonly models: readonly ListedModel[]
}

const [groqFile, openrouterFile] = process.argv.slice(2)
const groq = await source(groqFile, 'https://api.groq.com/openai/v1/models', process.env.GROQ_API_KEY)
const openrouter = await source(openrouterFile, 'https://openrouter.ai/api/v1/models')
const snapshot = {
  date: [groq.date, openrouter.date].sort().at(-1),
  providers: { groq: withFacts(groq), openrouter: chatOnly(openrouter) },
}
const json = JSON.stringify(snapshot)
// A module that parses a string: loads faster than an object literal, and everywhere, with or without JSON imports.
const quoted = json.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\u2028', '\\u2028')
write(
  'snapshot-data.ts',
  `/** Made by scripts/snapshot.ts; not to be edited. */\nexport const json: string =\n  '${quoted}'\n`,
)
write('ids.ts', ids())
console.log(
  `${snapshot.providers.groq.models.length} Groq models, ${snapshot.providers.openrouter.models.length} OpenRouter models, ${json.length} characters`,
)

async function source(file: string | undefined, url: string, key?: string): Promise<Dated> {
  if (file !== undefined) {
    const date = /\d{4}-\d{2}-\d{2}/.exec(file)?.[0]
    if (date === undefined) throw new Error(`${file}: expected a date (YYYY-MM-DD) in the name`)
    return { date, models: readListing(JSON.parse(readFileSync(file, 'utf8'))) }
  }
  const response = await fetch(url, key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } })
  if (!response.ok) throw new Error(`${url} answered ${response.status}`)
  return { date: new Date().toISOString().slice(0, 10), models: readListing(await response.json()) }
}

/** The planner reads no names and no parameters from the snapshot; a live refresh has them. */
function lean({ name: _name, parameters: _parameters, output, input, ...model }: ListedModel): ListedModel {
  return {
    ...model,
    ...(input !== undefined && input.join() !== 'text' ? { input } : {}),
    ...(output !== undefined && !output.includes('text') ? { output } : {}),
  }
}

function withFacts({ date, models }: Dated): Dated {
  const rows = new Map<string, ListedModel>()
  for (const model of [...GROQ_RETIRED, ...models.filter(isChat), ...GROQ_CURRENT]) {
    const known = rows.get(model.id)
    const slug = GROQ_SLUGS[model.id]
    rows.set(model.id, lean({ ...known, ...model, ...(slug === undefined ? {} : { model: slug }) }))
  }
  return { date, models: [...rows.values()] }
}

/** `:batch` offers are another API. */
function chatOnly({ date, models }: Dated): Dated {
  return { date, models: models.filter((model) => !model.id.endsWith(':batch') && isChat(model)).map(lean) }
}

function isChat({ output }: ListedModel): boolean {
  return output === undefined || output.includes('text')
}

function ids(): string {
  const canonical = new Set<string>()
  for (const { models } of Object.values(snapshot.providers))
    for (const { id, model } of models) canonical.add(model ?? id)
  const own = snapshot.providers.groq.models.flatMap(({ id, model }) => (model === undefined ? [] : [id]))
  const authors = new Set([...canonical].flatMap((id) => (id.includes('/') ? [id.split('/')[0] ?? ''] : [])))
  return [
    '/** Made by scripts/snapshot.ts; not to be edited. What the editor offers and the compiler checks. */',
    union('KnownModel', [...canonical]),
    union('KnownOwnId', own),
    union('KnownAuthor', [...authors]),
    union('KnownHost', OPENROUTER_HOSTS),
  ].join('\n')
}

function union(name: string, members: readonly string[]): string {
  return `export type ${name} =\n${[...members]
    .sort()
    .map((member) => `  | '${member}'`)
    .join('\n')}\n`
}

function write(name: string, text: string): void {
  writeFileSync(new URL(`../src/catalog/${name}`, import.meta.url), text)
}
