/**
 * What is sold, where, and when it cannot be had. Prices are real ones: from OpenRouter's and Groq's lists of August
 * 2026, and, host by host, from real bills of 2025 and 2026 (what a host charged for known tokens gives its prices).
 */
import { type Host, hostsOf, type SandboxHost } from '../../src/sandbox/hosts.ts'
import { seeded } from '../../src/sandbox/seeded.ts'

export interface Scene {
  readonly name: string
  readonly model: string
  readonly hosts: readonly Host[]
  /** Whether the host (by its place in the list) answers at that time. */
  readonly isUp: (host: number, at: number) => boolean
}

const MINUTE = 60_000

function scene(name: string, model: string, hosts: readonly SandboxHost[], seed: number): Scene {
  const outages = outagesOf(hosts.length, seed)
  return {
    name,
    model,
    hosts: hostsOf({ id: model, hosts }, undefined),
    isUp: (host, at) => !outages.some((outage) => outage.host === host && outage.from <= at && at < outage.until),
  }
}

interface Outage {
  readonly host: number
  readonly from: number
  readonly until: number
}

/** Each host fails about every 25 minutes for 2 to 8 minutes; never all of them together. */
function outagesOf(hosts: number, seed: number): readonly Outage[] {
  const random = seeded(seed)
  const outages: Outage[] = []
  const order = Array.from({ length: hosts }, (_, host) => ({ host, place: random() })).sort(
    (a, b) => a.place - b.place,
  )
  for (const { host } of order) {
    let at = 0
    while (at < 60 * MINUTE) {
      const from = at - Math.log(1 - random()) * 25 * MINUTE
      const until = from + (2 + 6 * random()) * MINUTE
      const others = new Set(outages.filter((each) => each.from < until && from < each.until).map((each) => each.host))
      if (others.size < hosts - 1) outages.push({ host, from, until })
      at = until
    }
  }
  return outages
}

const claude = (input: number) => ({
  input,
  output: input * 5,
  cachedInput: input / 10,
  cacheWrite: input * 1.25,
})

export function scenes(seed = 1): readonly Scene[] {
  return [
    scene(
      'Kimi K2: five hosts, three without a cache price',
      'moonshotai/kimi-k2-0905',
      [
        { host: 'chutes', prices: { input: 0.38, output: 1.52 } },
        { host: 'deepinfra', prices: { input: 0.5, output: 2 } },
        { host: 'novita', prices: { input: 0.6, output: 2.5 } },
        { host: 'moonshotai', prices: { input: 0.6, output: 2.5, cachedInput: 0.15 } },
        { host: 'groq', prices: { input: 1, output: 3, cachedInput: 0.5 } },
      ],
      seed,
    ),
    scene(
      'GLM 4.6: four hosts, two without a cache price',
      'z-ai/glm-4.6',
      [
        { host: 'novita', prices: { input: 0.55, output: 2.2, cachedInput: 0.11 } },
        { host: 'z-ai', prices: { input: 0.6, output: 2.2, cachedInput: 0.11 } },
        { host: 'gmicloud', prices: { input: 0.6, output: 2 } },
        { host: 'baseten', prices: { input: 0.6, output: 2.2 } },
      ],
      seed + 1,
    ),
    scene(
      'DeepSeek V3.2: reads at a tenth, at half, and at full price',
      'deepseek/deepseek-v3.2',
      [
        { host: 'atlas-cloud', prices: { input: 0.26, output: 0.38, cachedInput: 0.13 } },
        { host: 'novita', prices: { input: 0.269, output: 0.4, cachedInput: 0.1345 } },
        { host: 'deepseek', prices: { input: 0.28, output: 0.42, cachedInput: 0.028 } },
        { host: 'friendli', prices: { input: 0.5, output: 1.5 } },
      ],
      seed + 2,
    ),
    scene(
      'gpt-oss-120b: Groq keeps two hours, others are cheaper cold',
      'openai/gpt-oss-120b',
      [
        { host: 'deepinfra', prices: { input: 0.074, output: 0.184 } },
        { host: 'groq', prices: { input: 0.15, output: 0.6, cachedInput: 0.075 } },
        { host: 'wandb', prices: { input: 0.15, output: 0.6, cachedInput: 0.15 } },
        { host: 'google-vertex', prices: { input: 0.15, output: 0.6 } },
      ],
      seed + 3,
    ),
    scene(
      'Claude Haiku 4.5: writing costs a quarter more, the same at three hosts',
      'anthropic/claude-haiku-4.5',
      ['anthropic', 'amazon-bedrock', 'google-vertex'].map((host) => ({ host, prices: claude(1) })),
      seed + 4,
    ),
    scene(
      'Claude Sonnet 4.5: above 200,000 tokens twice as dear',
      'anthropic/claude-sonnet-4.5',
      ['anthropic', 'amazon-bedrock', 'google-vertex'].map((host) => ({
        host,
        prices: { ...claude(3), tiers: [{ ...claude(6), output: 22.5, abovePromptTokens: 200_000 }] },
      })),
      seed + 5,
    ),
    scene(
      'gpt-5-mini: reads at a tenth, the same at two hosts',
      'openai/gpt-5-mini',
      ['openai', 'azure'].map((host) => ({ host, prices: { input: 0.25, output: 2, cachedInput: 0.025 } })),
      seed + 6,
    ),
  ]
}
