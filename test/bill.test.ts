import { type CostRecord, createRouter, RouterError, type UsageRecord } from 'modelfirst'
import {
  cutAfter,
  emptyBody,
  errorIn200,
  fail,
  htmlPage,
  malformed,
  reset,
  type Sandbox,
  type SandboxRequest,
  type Step,
  seeded,
} from 'modelfirst/sandbox'
import { expect, test } from 'vitest'
import { fields } from '../src/fields.ts'
import { start, tokens, WEATHER } from './sandbox/client.ts'
import { hasty } from './support/router.ts'

const CALLS = process.env.MODELFIRST_DEEP === '1' ? 100_000 : 1_000
const AT_ONCE = 16

const SMALL = 'openai/gpt-oss-20b'
const LARGE = 'openai/gpt-oss-120b'
const CLAUDE = 'anthropic/claude-sonnet-4.5'
const MINI = 'openai/gpt-5-mini'
const ASKED_FOR = { max_tokens: 60 }
const CACHED = { ...ASKED_FOR, openrouter: { extra: { cache_control: { type: 'ephemeral' } } } }

/** A fault in about every sixth request; the same seed, the same faults. */
function faults(random: () => number): () => Step | undefined {
  const steps: readonly (() => Step)[] = [
    // So short that nobody waits for it long.
    () => fail(429, { retryAfter: 0.01 }),
    () => fail(500),
    () => fail(502),
    () => fail(503),
    () => fail(400),
    () => errorIn200(502),
    () => emptyBody(),
    () => htmlPage(),
    () => malformed(),
    () => reset(),
    () => cutAfter(Math.floor(random() * 600)),
  ]
  return () => (random() < 0.16 ? steps[Math.floor(random() * steps.length)]?.() : undefined)
}

interface Tally {
  readonly records: readonly UsageRecord[]
  readonly sandbox: Sandbox
}

async function calls(count: number, seed: number): Promise<Tally> {
  const sandbox = await start({ seed, keep: 10 * count })
  const random = seeded(seed)
  sandbox.groq.script(faults(seeded(seed + 1)))
  sandbox.openrouter.script(faults(seeded(seed + 2)))
  const records: UsageRecord[] = []
  const router = createRouter({
    random: hasty(),
    providers: sandbox.providers(),
    tasks: {
      fast: { model: [SMALL, LARGE], provider: ['groq', 'openrouter'], request: ASKED_FOR },
      switched: { model: [LARGE, SMALL], provider: ['openrouter', 'groq'], request: ASKED_FOR },
      cheap: { model: SMALL, provider: ['openrouter/deepinfra', 'groq', 'openrouter/together'], request: ASKED_FOR },
      careful: { model: [CLAUDE, MINI], provider: ['openrouter/anthropic', 'openrouter'], request: CACHED },
      bedrock: { model: CLAUDE, provider: ['openrouter/amazon-bedrock', 'openrouter/google-vertex'], request: CACHED },
      mini: { model: MINI, provider: 'openrouter', request: ASKED_FOR },
      capped: { model: [MINI, SMALL], request: ASKED_FOR, limits: { maxCostUsd: 0.05 } },
    },
    sinks: [(usage) => void records.push(usage)],
  })
  const names = ['fast', 'switched', 'cheap', 'careful', 'bedrock', 'mini', 'capped'] as const
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)]
  const systems = ['abc', 'def', 'ghi', 'jkl'].map((word) => tokens(1200, word))
  let left = count
  const work = async () => {
    while (left > 0) {
      const call = String(left)
      left -= 1
      const task = pick(names) ?? 'fast'
      const long = random() < 0.25
      const content = `${tokens(Math.floor(random() * (long ? 400 : 40)) + 1, 'xyz')} ${Math.floor(random() * 5)}`
      const messages = [
        ...(random() < 0.5 ? [{ role: 'system' as const, content: pick(systems) ?? '' }] : []),
        { role: 'user' as const, content },
      ]
      const tools = random() < 0.1 ? { tools: [WEATHER as never] } : {}
      const options = random() < 0.5 ? { session: `session-${Math.floor(random() * 50)}` } : {}
      // The sandbox sees who asked, so that every request can be told to its call.
      const asked = { messages, user: call, ...tools }
      await router.complete(task, asked, { ...options, metadata: { call } }).catch((error: unknown) => {
        if (!RouterError.is(error) || error.usage === null) throw error
      })
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  await router.close()
  return { records, sandbox }
}

test(
  `the cost of ${CALLS} random calls is the sandbox's own bill`,
  async () => {
    const { records, sandbox } = await calls(CALLS, 20)
    const lines = new Map(sandbox.bill().lines.map((line) => [line.generationId, line]))
    const asked = new Map<unknown, SandboxRequest[]>()
    for (const request of sandbox.requests) {
      const call = fields(request.body)?.user
      asked.set(call, [...(asked.get(call) ?? []), request])
    }
    expect(records).toHaveLength(CALLS)
    const attempts = records.flatMap((record) => record.attempts)
    expect(attempts).toHaveLength(sandbox.requests.length)

    let told = 0n
    let [low, high, unlimited] = [0n, 0n, 0n]
    const billed = new Set<string>()
    for (const { cost, attempts: parts, metadata, task } of records) {
      let bill = 0n
      const requests = asked.get(metadata.call) ?? []
      expect(requests).toHaveLength(parts.length)
      parts.forEach((part, index) => {
        const id = requests[index]?.generationId ?? ''
        const line = lines.get(id)
        if (line !== undefined) billed.add(id)
        if (part.generationId !== null) expect(part.generationId).toBe(id)
        const amount = exactly(line?.usd ?? 0)
        bill += amount
        expectWithin(amount, part.cost)
        // Who runs it behind OpenRouter may be dearer than its list, unless it was told the most.
        if (part.cost.high === null) expect([part.provider, task === 'capped']).toEqual(['openrouter', false])
      })
      expectWithin(bill, cost)
      low += exactly(cost.low)
      if (cost.high === null) unlimited += bill
      else high += exactly(cost.high)
      if (cost.usd !== null) told += exactly(cost.usd) - bill
    }
    // All of the bill is told, and what is told exactly adds up to the last digit but one.
    expect(billed.size).toBe(lines.size)
    expect(told < NANO && told > -NANO).toBe(true)
    const total = exactly(sandbox.bill().usd)
    expect(low <= total && total <= high + unlimited).toBe(true)

    const counts = {
      calls: records.length,
      attempts: attempts.length,
      failedAttempts: attempts.filter(({ outcome }) => outcome !== 'ok').length,
      failedCalls: records.filter(({ outcome }) => outcome !== 'ok').length,
      hosts: new Set(attempts.map(({ host }) => host)).size,
      cachedTokens: attempts.reduce((sum, { tokens: { cachedPrompt } }) => sum + (cachedPrompt ?? 0), 0),
      writtenTokens: attempts.reduce((sum, { tokens: { cacheWrite } }) => sum + (cacheWrite ?? 0), 0),
      exact: records.filter(({ cost }) => cost.usd !== null).length,
      bounded: records.filter(({ cost }) => cost.usd === null && cost.high !== null).length,
      unlimited: records.filter(({ cost }) => cost.high === null).length,
      billUsd: sandbox.bill().usd,
    }
    console.info(counts)
    expect(counts.failedAttempts).toBeGreaterThan(CALLS / 10)
    expect(counts.cachedTokens).toBeGreaterThan(CALLS * 20)
    expect(counts.writtenTokens).toBeGreaterThan(CALLS)
    expect(counts.hosts).toBeGreaterThan(6)
    expect(counts.bounded).toBeGreaterThan(CALLS / 100)
    expect(counts.bounded + counts.unlimited).toBeLessThan(CALLS / 10)
  },
  CALLS * 20,
)

const NANO = 1_000_000n

/** Femto-dollars: the decimal digits as they stand, without a detour through binary fractions. */
function exactly(usd: number | string): bigint {
  const [digits = '0', exponent = '0'] = String(usd).split('e')
  const [whole = '0', fraction = ''] = digits.split('.')
  const places = 15 + Number(exponent)
  const moved = `${fraction}${'0'.repeat(40)}`
  return BigInt(`${whole}${moved.slice(0, Math.max(places, 0))}`)
}

/** The same to a nano-dollar where it is told exactly; inside its bounds where it is not. */
function expectWithin(billed: bigint, { usd, low, high }: CostRecord): void {
  const isLess = billed < exactly(usd ?? low) - NANO
  const most = usd ?? high
  if (isLess || (most !== null && billed > exactly(most) + NANO)) expect({ billed, usd, low, high }).toBe('the same')
}
