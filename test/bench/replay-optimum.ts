/**
 * What a trace would have cost whoever knew all of it, outages too: a bound that no way of choosing gets below. Each
 * conversation is solved exactly, over all ways from host to host and what each would still hold of it. What other
 * conversations begin alike counts as warm at every host, whichever of them they went to: more than anybody can have.
 * `freely`: it also marks for caching only what is worth it; else all is marked that has to be.
 */
import { price, tariff } from '../../src/price.ts'
import { type Bill, cachingAt, endsOf } from './replay-run.ts'
import type { Scene } from './replay-scenes.ts'
import { BLOCK, commonBlocks, type Turn, wholeBlocks } from './replay-trace.ts'

interface Path {
  readonly money: number
  readonly read: number
  /** Of each host, the latest turn it answered, or -1: it holds nothing. */
  readonly last: readonly number[]
}

export function optimum(turns: readonly Turn[], scene: Scene, marked: 'all' | 'freely' = 'all'): Bill {
  const hosts = scene.hosts.map(({ prices }, index) => {
    const caching = cachingAt(scene, index)
    const keptMs = caching.kind === 'none' ? 0 : caching.kind === 'implicit' ? caching.ttlMs : 300_000
    const writes = caching.kind === 'explicit' || (caching.kind === 'implicit' && caching.billsWrites)
    return { tariff: tariff(prices), caching, keptMs, writes, shared: sharedBy(caching) }
  })
  const conversations = new Map<number, { turn: Turn; shared: readonly number[] }[]>()
  for (const turn of turns) {
    const step = { turn, shared: hosts.map(({ shared }) => shared(turn)) }
    const steps = conversations.get(turn.conversation)
    if (steps === undefined) conversations.set(turn.conversation, [step])
    else steps.push(step)
  }

  let money = 0
  let read = 0
  for (const steps of conversations.values()) {
    let paths: readonly Path[] = [{ money: 0, read: 0, last: hosts.map(() => -1) }]
    for (const [index, { turn, shared }] of steps.entries()) {
      const open = hosts.map((_, host) => host).filter((host) => scene.isUp(host, turn.at))
      const own = hosts.map(({ caching }) => ownOf(turn, steps, index, caching))
      const next = new Map<string, Path>()
      for (const path of paths) {
        const last = path.last.map((before, host) =>
          before >= 0 && turn.at - (steps[before]?.turn.at ?? 0) < (hosts[host]?.keptMs ?? 0) ? before : -1,
        )
        for (const host of open) {
          const seller = hosts[host]
          if (seller === undefined) continue
          const cached = Math.max(shared[host] ?? 0, own[host]?.[last[host] ?? -1] ?? 0)
          const whole = wholeBlocks(turn.prompt) * BLOCK
          const keep = (money: number, cached: number, after: readonly number[]) => {
            const key = after.join()
            const known = next.get(key)
            if (known === undefined || path.money + money < known.money) {
              next.set(key, { money: path.money + money, read: path.read + cached, last: after })
            }
          }
          const tokens = {
            prompt: turn.prompt,
            cachedPrompt: cached,
            cacheWrite: seller.writes && whole >= leastOf(seller.caching) ? whole - cached : 0,
            completion: turn.completion,
          }
          const held = last.map((before, each) => (each === host && seller.keptMs > 0 ? index : before))
          keep(price(seller.tariff, tokens).cost, cached, held)
          // What is not marked is neither read nor written.
          const unmarked = { ...tokens, cachedPrompt: 0, cacheWrite: 0 }
          if (marked === 'freely' && seller.caching.kind === 'explicit')
            keep(price(seller.tariff, unmarked).cost, 0, last)
        }
      }
      paths = [...next.values()]
    }
    const best = paths.reduce((one, other) => (other.money < one.money ? other : one))
    money += best.money
    read += best.read
  }
  return { usd: money / 1e12, cachedShare: read / turns.reduce((sum, { prompt }) => sum + prompt, 0) }
}

type HostCaching = ReturnType<typeof cachingAt>

function leastOf(caching: HostCaching): number {
  return caching.kind === 'none' ? Number.POSITIVE_INFINITY : caching.least
}

/** What is read of this prompt where an earlier turn was answered, by that turn; a later one never leaves less. */
function ownOf(
  turn: Turn,
  steps: readonly { readonly turn: Turn }[],
  index: number,
  caching: HostCaching,
): readonly number[] {
  const own: number[] = []
  let most = 0
  for (let before = 0; before < index; before += 1) {
    const earlier = steps[before]?.turn
    if (earlier !== undefined) {
      const common =
        Math.min(commonBlocks(earlier, turn), wholeBlocks(turn.prompt), wholeBlocks(earlier.prompt)) * BLOCK
      most = Math.max(most, common >= leastOf(caching) ? common : 0)
    }
    own.push(most)
  }
  return own
}

/** Tokens of a prompt that others have used of late, whoever they are and wherever they went. */
function sharedBy(caching: HostCaching): (turn: Turn) => number {
  const keptMs = caching.kind === 'none' ? 0 : caching.kind === 'implicit' ? caching.ttlMs : 300_000
  /** By block: who used it last, and when, and the last before who was somebody else. */
  const uses = new Map<number, { by: number; at: number; otherAt: number }>()
  return (turn) => {
    const ends = caching.kind === 'explicit' ? new Set(endsOf(turn).map((end) => end / BLOCK)) : null
    const whole = wholeBlocks(turn.prompt)
    let shared = 0
    for (let count = 1; count <= whole; count += 1) {
      if (ends !== null && !ends.has(count)) continue
      const block = turn.blocks[count - 1] ?? -1
      const use = uses.get(block)
      if (use !== undefined && turn.at - (use.by === turn.conversation ? use.otherAt : use.at) < keptMs) shared = count
      if (use === undefined) uses.set(block, { by: turn.conversation, at: turn.at, otherAt: Number.NEGATIVE_INFINITY })
      else if (use.by === turn.conversation) use.at = turn.at
      else {
        use.otherAt = use.at
        use.by = turn.conversation
        use.at = turn.at
      }
    }
    return shared * BLOCK >= leastOf(caching) ? shared * BLOCK : 0
  }
}
