import type { CachedAt, Caching } from '../caching.ts'

/** Some models, at some hosts, and how their prompts are cached there. */
interface Row {
  readonly model: RegExp
  /** Left out: wherever it runs. `null` stands for a host that is not known beforehand. */
  readonly hosts?: readonly (string | null)[]
  readonly caching: Caching
}

function kept(minutes: number, least: number, marked = false): Caching {
  return Object.freeze({ ttlMs: minutes * 60_000, least, marked })
}

/**
 * Nobody has written it down. Ten minutes is how long OpenRouter itself keeps a conversation at the host whose cache it
 * has used: what is there after that, it does not look for.
 */
const UNDOCUMENTED: Caching = kept(10, 1024)

/** The first row that fits. Times are the shortest that the host's own documentation names. */
const ROWS: readonly Row[] = [
  { model: /./, hosts: ['groq'], caching: kept(120, 128) },
  { model: /^anthropic\/.*(opus-4[.-][5-8]|4\.[5-8]-opus|haiku-4[.-]5|4\.5-haiku)/, caching: kept(5, 4096, true) },
  { model: /^anthropic\/.*(haiku-3|-3(\.5)?-haiku)/, caching: kept(5, 2048, true) },
  // Also what is newer than this table: a mark that comes too early costs nothing, one that is missing costs the cache.
  { model: /^anthropic\//, caching: kept(5, 1024, true) },
  // Open weights are cached as each host likes; OpenAI's own rules hold for what only OpenAI and Azure run.
  { model: /^openai\/gpt-oss/, caching: UNDOCUMENTED },
  { model: /^openai\//, caching: kept(5, 1024) },
  // Gemini also takes marks, but charges for keeping what is marked; without them it costs nothing.
  { model: /^google\/gemini.*flash/, caching: kept(3, 1024) },
  { model: /^google\/gemini/, caching: kept(3, 4096) },
  // Alibaba's own models, and not their dated snapshots, which have no cache. The open ones run elsewhere, unmarked.
  {
    model: /^qwen\/qwen[\d.]*(-coder|-vl)?-(max|plus|flash|turbo)(-preview|-latest|-thinking)?$/,
    hosts: ['alibaba', null],
    caching: kept(5, 1024, true),
  },
  {
    model: /^deepseek\/deepseek-v3\.2$/,
    hosts: ['alibaba'],
    caching: kept(5, 1024, true),
  },
  // Kept on disk "a few hours to a few days": an hour is on the safe side of a few.
  { model: /^deepseek\//, hosts: ['deepseek'], caching: kept(60, 64) },
]

/** How a host behind OpenRouter caches the prompts of a model. */
export function openrouterCaching({ wireModel, host }: CachedAt): Caching {
  const model = plainModel(wireModel)
  // A region or a tier of a host (`google-vertex/us-east5`) caches as the host does.
  const at = host === null ? null : host.slice(0, `${host}/`.indexOf('/'))
  const row = ROWS.find((row) => row.model.test(model) && (row.hosts === undefined || row.hosts.includes(at)))
  return row?.caching ?? UNDOCUMENTED
}

/** Without variant, preset, and the sign of a family's latest. */
export function plainModel(wireModel: string): string {
  return /^~?([^:@]*)/.exec(wireModel)?.[1] ?? wireModel
}
