/** A trace run through the sandbox's caches, at prices and in outages of a scene, by one way of choosing the host. */
import type { Caching } from '../../src/caching.ts'
import { type CacheUse, createPromptCache, type Caching as HostCaching } from '../../src/sandbox/cache.ts'
import { charge } from '../../src/sandbox/charge.ts'
import { cachingOf } from '../../src/sandbox/openrouter.ts'
import type { Scene } from './replay-scenes.ts'
import { BLOCK, type Turn, wholeBlocks } from './replay-trace.ts'

/** One way of choosing. It is told nothing of what is to come. */
export interface Chooser {
  /** One of those that answer. */
  choose(turn: Turn, open: readonly number[]): number
  /** Whether the prompt is marked for caching, where it has to be; left out: always. */
  marks?(turn: Turn, host: number): boolean
  /** What the answer said. */
  answered(turn: Turn, host: number, use: CacheUse): void
}

export interface Bill {
  readonly usd: number
  /** Of all prompt tokens. */
  readonly cachedShare: number
}

/** Blocks of the trace in the place of the host's own: nothing is known of smaller ones. */
export function cachingAt(scene: Scene, host: number): HostCaching {
  const sold = scene.hosts[host]
  const caching = sold === undefined ? NONE : cachingOf(sold, scene.model)
  return caching.kind === 'implicit' ? { ...caching, block: BLOCK } : caching
}

const NONE: HostCaching = { kind: 'none' }

/** What a router is told of it. */
export function toldOf(caching: HostCaching): Caching {
  if (caching.kind === 'none') return { ttlMs: 0, least: 0, marked: false }
  const { kind, least } = caching
  return kind === 'explicit' ? { ttlMs: 300_000, least, marked: true } : { ttlMs: caching.ttlMs, least, marked: false }
}

/** Where the messages end that may be marked: this prompt's last whole block, and those of the turns before. */
export function endsOf(turn: Turn): readonly number[] {
  const ends: number[] = []
  for (let each: Turn | null = turn; each !== null; each = each.before) {
    const end = wholeBlocks(each.prompt) * BLOCK
    if (end > 0 && end < (ends[0] ?? Number.POSITIVE_INFINITY)) ends.unshift(end)
  }
  return ends
}

export function replay(turns: readonly Turn[], scene: Scene, chooser: Chooser): Bill {
  let now = 0
  // One for each host, or the largest of them would push out what the others keep.
  const hosts = scene.hosts.map((host, index) => ({
    prices: host.prices,
    caching: cachingAt(scene, index),
    cache: createPromptCache(() => now),
  }))
  let total = 0n
  let prompts = 0
  let reads = 0
  for (const turn of turns) {
    now = turn.at
    const open = hosts.map((_, index) => index).filter((index) => scene.isUp(index, now))
    const chosen = chooser.choose(turn, open)
    const host = hosts[chosen]
    if (host === undefined || !open.includes(chosen)) throw new RangeError('Nobody answers there.')
    const isMarked = chooser.marks?.(turn, chosen) ?? true
    const ends = endsOf(turn).map((at, index, all) =>
      isMarked && index === all.length - 1 ? { at, mark: '5m' as const } : { at },
    )
    const keysAt = (positions: readonly number[]) => positions.map((at) => String(turn.blocks[at / BLOCK - 1]))
    const use = host.cache.use('', { tokens: turn.prompt, ends, keysAt }, host.caching)
    const tokens = { prompt: turn.prompt, ...use, completion: turn.completion, reasoning: 0 }
    total += charge(host.prices, tokens, now).total
    prompts += turn.prompt
    reads += use.cached
    chooser.answered(turn, chosen, use)
  }
  return { usd: Number(total) / 1e15, cachedShare: reads / prompts }
}
