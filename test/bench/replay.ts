/**
 * `npm run bench:replay`: a real hour of conversations, billed by the sandbox to the last digit, by several ways of
 * choosing where each call goes. The trace is not part of the package.
 */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { whilePaying, whileWarm } from '../../src/stay.ts'
import { columns } from './measure.ts'
import { always, anywhere, listed, openrouters, ours } from './replay-choosers.ts'
import { optimum } from './replay-optimum.ts'
import { type Bill, type Chooser, replay } from './replay-run.ts'
import { type Scene, scenes } from './replay-scenes.ts'
import { type Turn, turnsOf } from './replay-trace.ts'

const file = fileURLToPath(new URL('../../../shared/data/workloads/mooncake.conversation_trace.jsonl', import.meta.url))

const WAYS: Readonly<Record<string, (scene: Scene) => Chooser>> = {
  'while paying': (scene) => ours(scene, whilePaying()),
  'a) no stickiness': anywhere,
  'b) always stay': always,
  "c) OpenRouter's rule": openrouters,
  'while paying, marked where it pays': (scene) => ours(scene, whilePaying(), { marking: 'paying' }),
  'while paying, from a draw': (scene) => ours(scene, whilePaying(), { first: 'drawn' }),
  'while warm': (scene) => ours(scene, whileWarm()),
  'cheapest by its list': listed,
}
const OPTIMUM = 'd) knowing all'
const FREELY = 'knowing all, and what to mark'
/** Which host is out when is chance: no rule should win by it. */
const WEATHERS = [1, 101]

function bills(turns: readonly Turn[], scene: Scene): Readonly<Record<string, Bill>> {
  const known = Object.entries(WAYS).map(([name, way]) => [name, replay(turns, scene, way(scene))] as const)
  return Object.fromEntries([[OPTIMUM, optimum(turns, scene)], ...known, [FREELY, optimum(turns, scene, 'freely')]])
}

/** Sums of dollars; ratios and shares are means, or scenes of dear models would drown the others. */
function tabled(title: string, parts: readonly Readonly<Record<string, Bill>>[]): string {
  const mean = (of: (part: Readonly<Record<string, Bill>>) => number) =>
    parts.reduce((sum, part) => sum + of(part), 0) / parts.length
  const usd = (part: Readonly<Record<string, Bill>>, name: string) => part[name]?.usd ?? Number.NaN
  const rows = [OPTIMUM, ...Object.keys(WAYS), FREELY].map((name) => [
    name,
    (mean((part) => usd(part, name)) * parts.length).toFixed(4),
    mean((part) => usd(part, name) / usd(part, OPTIMUM)).toFixed(3),
    `${(100 * mean((part) => part[name]?.cachedShare ?? Number.NaN)).toFixed(1)} %`,
  ])
  return `${title}\n${columns([['', 'USD', '× d', 'cached'], ...rows])}\n`
}

if (!existsSync(file)) console.log('The trace is not here: nothing to replay.')
else {
  const lines = readFileSync(file, 'utf8').trim()
  const turns = turnsOf(lines)
  const conversations = new Set(turns.map(({ conversation }) => conversation)).size
  console.log(`${turns.length} calls in ${conversations} conversations, in ${WEATHERS.length} weathers each\n`)
  const weathers = WEATHERS.map((weather) => scenes(weather))
  const all = (weathers[0] ?? []).map(({ name }, index) => {
    const parts = weathers.flatMap((each) => {
      const scene = each[index]
      return scene === undefined ? [] : [bills(turns, scene)]
    })
    console.log(tabled(name, parts))
    return parts
  })
  console.log(tabled('Over all scenes', all.flat()))
  const later = turnsOf(lines.slice(lines.indexOf('\n', lines.length / 2) + 1))
  const unseen = (weathers[0] ?? []).map((scene) => bills(later, scene))
  console.log(tabled('The second half alone, which no figure of the rule was chosen by, in one weather', unseen))
}
