/** Ways of choosing the host of a call: OpenRouter's own, and ours. */

import { tariff } from '../../src/price.ts'
import { pricesAt } from '../../src/sandbox/charge.ts'
import type { Host } from '../../src/sandbox/hosts.ts'
import { route } from '../../src/sandbox/routing.ts'
import { seeded } from '../../src/sandbox/seeded.ts'
import { createStickiness } from '../../src/sandbox/stickiness.ts'
import { chanceRead, lived, placeAt, type SessionHistory, type SessionRule } from '../../src/stay.ts'
import { type Chooser, cachingAt, toldOf } from './replay-run.ts'
import type { Scene } from './replay-scenes.ts'
import type { Turn } from './replay-trace.ts'

/** As OpenRouter ranks the hosts: a draw, the cheaper the likelier, unless the conversation sticks to one. */
function ranking(scene: Scene, seed: number) {
  const random = seeded(seed)
  return (turn: Turn, open: readonly number[], sticky?: string): number => {
    const routed = route({
      body: {},
      model: { id: scene.model },
      hosts: scene.hosts,
      promptTokens: turn.prompt,
      variant: null,
      date: turn.at,
      random,
      sticky,
    })
    const ranked = 'none' in routed ? [] : routed.hosts.map((host) => scene.hosts.indexOf(host))
    return ranked.find((index) => open.includes(index)) ?? -1
  }
}

/** Drawn anew for each call. */
export function anywhere(scene: Scene): Chooser {
  const rank = ranking(scene, 7)
  return { choose: (turn, open) => rank(turn, open), answered: () => {} }
}

/** Where a conversation first landed it stays, whatever comes; elsewhere only while nobody answers there. */
export function always(scene: Scene): Chooser {
  const rank = ranking(scene, 7)
  const homes = new Map<number, number>()
  return {
    choose(turn, open) {
      const home = homes.get(turn.conversation)
      return home !== undefined && open.includes(home) ? home : rank(turn, open)
    },
    answered(turn, host) {
      if (!homes.has(turn.conversation)) homes.set(turn.conversation, host)
    },
  }
}

/** As OpenRouter does for a named session: ten idle minutes from a success, where reading is cheaper. */
export function openrouters(scene: Scene): Chooser {
  const rank = ranking(scene, 7)
  let now = 0
  const stickiness = createStickiness(() => now)
  return {
    choose(turn, open) {
      now = turn.at
      return rank(turn, open, stickiness.find(String(turn.conversation)))
    },
    answered(turn, host) {
      const { prices } = scene.hosts[host] ?? {}
      const cheaper = prices?.cachedInput !== undefined && prices.cachedInput < prices.input
      if (cheaper) stickiness.keep(String(turn.conversation), scene.hosts[host]?.host ?? '')
    },
  }
}

/** The cheapest by its list that answers, each time. */
export function listed(scene: Scene): Chooser {
  const order = byPrice(scene.hosts)
  return { choose: (_, open) => order.find((index) => open.includes(index)) ?? -1, answered: () => {} }
}

function byPrice(hosts: readonly Host[]): readonly number[] {
  const asked = ({ prices }: Host) => {
    const { input, output } = pricesAt(prices, 0, 0)
    return input + output
  }
  return hosts
    .map((host, index) => ({ index, asked: asked(host) }))
    .sort((a, b) => a.asked - b.asked)
    .map(({ index }) => index)
}

interface Warm {
  readonly host: number
  readonly until: number
  readonly tokens: number
}

interface Kept {
  readonly home: Warm
  readonly standIn: Warm | null
  readonly at: number
  readonly prompt: number
  readonly history: SessionHistory
}

interface Freedom {
  /** Who is there to choose from when nothing is warm. */
  readonly first?: 'all' | 'drawn'
  /** Where only what is marked is cached: whether it is marked always, or when that is expected to pay. */
  readonly marking?: 'always' | 'paying'
}

/** A session as a router keeps it: a home, whoever stood in for it of late, and what its calls were like. */
export function ours(scene: Scene, rule: SessionRule, { first = 'all', marking = 'always' }: Freedom = {}): Chooser {
  const rank = ranking(scene, 7)
  const order = byPrice(scene.hosts)
  const sites = scene.hosts.map(({ host, prices }, index) => ({
    model: scene.model,
    provider: 'openrouter',
    host,
    tariff: tariff(prices),
    caching: toldOf(cachingAt(scene, index)),
  }))
  const sessions = new Map<number, Kept>()
  const moved = new Set<number>()

  return {
    choose(turn, open) {
      const kept = sessions.get(turn.conversation) ?? null
      const warm = [kept?.home, kept?.standIn].flatMap((each) =>
        each != null && each.until > turn.at && open.includes(each.host) ? [each] : [],
      )
      const rest = first === 'all' ? [...order].reverse().filter((host) => open.includes(host)) : [rank(turn, open)]
      const hosts = [...new Set([...warm.map(({ host }) => host), ...rest])]
      const history = kept?.history ?? null
      const coming = { promptTokens: turn.prompt, maxTokens: null, utcMinutes: 0 }
      const places = hosts.flatMap((host) => {
        const site = sites[host]
        const warmTokens = warm.find((each) => each.host === host)?.tokens ?? 0
        return site === undefined ? [] : [placeAt({ ...site, warmTokens }, { history, coming })]
      })
      const chosen = hosts[places.indexOf(rule(places, history).place)] ?? -1
      // It leaves its home for good when it could have stayed.
      if (warm[0] !== undefined && warm[0].host === kept?.home.host && chosen !== kept.home.host)
        moved.add(turn.conversation)
      return chosen
    },
    marks(turn, host) {
      const { prices } = scene.hosts[host] ?? {}
      if (prices === undefined || marking === 'always') return true
      const { input, cachedInput = input, cacheWrite = input } = prices
      const chance = chanceRead(sessions.get(turn.conversation)?.history ?? null, sites[host]?.caching.ttlMs ?? 0)
      return chance * (input - cachedInput) > cacheWrite - input
    },
    answered(turn, host, use) {
      const kept = sessions.get(turn.conversation) ?? null
      const caching = sites[host]?.caching ?? { ttlMs: 0, least: 0, marked: false }
      const lies = caching.marked ? use.cached + use.written : turn.prompt >= caching.least ? turn.prompt : 0
      const here: Warm = { host, until: turn.at + caching.ttlMs, tokens: lies }
      const was = [kept?.home, kept?.standIn].find((each) => each?.host === host && each.until > turn.at)
      const leaves = moved.delete(turn.conversation)
      const stays = kept !== null && kept.home.host !== host && !leaves && kept.home.until > turn.at
      sessions.set(turn.conversation, {
        home: stays ? kept.home : here,
        standIn: stays ? here : kept?.standIn != null && kept.standIn.host !== host ? kept.standIn : null,
        at: turn.at,
        prompt: turn.prompt,
        history: lived(kept?.history ?? null, {
          gapMs: kept === null ? null : turn.at - kept.at,
          promptTokens: turn.prompt,
          previousPromptTokens: kept?.prompt ?? null,
          completionTokens: turn.completion,
          readable: was?.tokens ?? null,
          cachedTokens: use.cached,
        }),
      })
    },
  }
}
