import { inspect } from 'node:util'
import { type AttemptRecord, RouterError, StreamBroken, type UsageRecord } from 'modelfirst'
import { type Canaries, leaks } from '../support/canaries.ts'
import { sumOf } from '../support/router.ts'
import type { Cell, Expected } from './cell.ts'
import { type Ended, KEY, LONGEST_CALL, type Observed } from './run.ts'
import { TEXT } from './script.ts'

export interface Where {
  readonly kind: 'memory' | 'loopback'
  readonly pace: number
}

/** Milliseconds of the real clock by which a busy machine may be late. */
const LATE = 400
const DEFAULT_ATTEMPTS = 4

/** What is wrong with what came of a cell, in sentences; empty when it is as it has to be. */
export function problemsOf(cell: Cell, observed: Observed, secrets: Canaries, where: Where): string[] {
  const problems = [...observed.problems]
  for (const [index, expected] of cell.expect.entries()) {
    const ended = observed.calls[index]
    if (ended === undefined) problems.push(`call ${index + 1} is missing`)
    else {
      const prefix = cell.expect.length > 1 ? `call ${index + 1}: ` : ''
      const found = [
        ...againstExpected(expected, ended, observed, { secrets, where }),
        ...ofAnyCall(cell, ended, { where, observed }),
      ]
      problems.push(...found.map((problem) => prefix + problem))
    }
  }
  if (observed.calls.length !== cell.expect.length) problems.push('each call needs an expectation')
  problems.push(...atTheWall(cell, observed, secrets))
  return problems
}

function againstExpected(
  expected: Expected,
  ended: Ended,
  observed: Observed,
  { secrets, where }: { secrets: Canaries; where: Where },
): string[] {
  const problems: string[] = []
  const differ = (what: string, wanted: unknown, got: unknown) => {
    if (JSON.stringify(wanted) !== JSON.stringify(got)) {
      problems.push(`${what}: expected ${JSON.stringify(wanted)}, got ${JSON.stringify(got)}`)
    }
  }
  const { usage, error } = ended
  differ('outcome', expected.outcome, ended.outcome)
  differ('attempts', expected.attempts, usage === null ? null : usage.attempts.map(lineOf))
  // An empty name: none is thrown, although it is no success.
  differ('error', (expected.error ?? errorNameOf(expected)) || null, error instanceof Error ? error.name : null)
  const text = expected.text ?? (expected.outcome === 'ok' ? TEXT : null)
  const open = expected.text === undefined && expected.error === 'StreamBroken'
  if (!open) differ('text', (text ?? '').replaceAll('@answer@', secrets.answer), ended.text)
  if (expected.shown !== undefined) differ('shown', expected.shown, ended.shown)
  if (StreamBroken.is(error)) differ('partial text', ended.text, error.partial.text)
  if (expected.retryAfterMs !== undefined) {
    const got = RouterError.is(error) ? error.retryAfterMs : null
    const { retryAfterMs } = expected
    if (typeof retryAfterMs !== 'object' || retryAfterMs === null) differ('retryAfterMs', retryAfterMs, got)
    else if (got === null || got < retryAfterMs[0] || got > retryAfterMs[1]) differ('retryAfterMs', retryAfterMs, got)
  }
  const early = where.kind === 'memory' ? 1e-6 : 2 * where.pace
  const late = where.kind === 'memory' ? 1e-6 : LATE * where.pace
  const within = (what: string, [least, most]: readonly [number, number], got: number) => {
    if (got < least - early || got > most + late) problems.push(`${what}: expected ${least} to ${most}, got ${got}`)
  }
  if (expected.gaps !== undefined && usage !== null) {
    const gaps = gapsOf(usage.attempts)
    if (gaps.length !== expected.gaps.length) differ('gaps', expected.gaps, gaps)
    for (const [index, gap] of expected.gaps.entries()) within(`gap ${index + 1}`, gap, gaps[index] ?? Number.NaN)
  }
  if (expected.totalMs !== undefined) within('total', expected.totalMs, ended.settledAt - ended.startedAt)
  if (ended.abortedAt !== null && expected.outcome === 'canceled')
    within('given up', [0, 0], ended.settledAt - ended.abortedAt)
  const heard = new Set<string>(observed.events.map(({ type }) => type))
  for (const type of expected.heard ?? []) if (!heard.has(type)) problems.push(`no event ${type} was heard`)
  if (expected.also !== undefined && usage !== null) {
    const problem = expected.also({ usage, error, events: observed.events })
    if (problem !== null) problems.push(problem)
  }
  problems.push(...ended.oddities)
  return problems
}

/** `first/large failover ok 200 yes`: the place, the role, how it ended, the status, whether it is billed. */
export function lineOf({ provider, model, role, outcome, status, billed }: AttemptRecord): string {
  const where = model === 'small' || model === 'openai/gpt-oss-20b' ? provider : `${provider}/${model}`
  // Where a redirect is refused by fetch itself, its status is never seen.
  return `${where} ${role} ${outcome} ${outcome === 'redirected' ? '@' : (status ?? '-')} ${billed}`
}

function errorNameOf({ outcome, attempts, text, shown }: Expected): string | null {
  if (outcome === 'ok') return null
  if (outcome === 'canceled') return 'AbortError'
  if (text !== undefined || shown !== undefined) return 'StreamBroken'
  if (attempts.length === 0) return 'NoRouteError'
  if (outcome === 'out-of-budget') return 'BudgetError'
  // An answer came, of the wrong shape, and nobody has seen any of it.
  return outcome === 'bad-output' ? 'BadOutputError' : 'AttemptsFailedError'
}

function gapsOf(attempts: readonly AttemptRecord[]): number[] {
  return attempts.slice(1).map((attempt, index) => {
    const before = attempts[index]
    return before === undefined ? Number.NaN : attempt.startedMs - before.startedMs - before.durationMs
  })
}

/** What holds for each call, whatever was to come of it. */
function ofAnyCall(cell: Cell, ended: Ended, { where, observed }: { where: Where; observed: Observed }): string[] {
  const problems: string[] = []
  const { usage, error } = ended
  if (usage === null) return ['it has no record']
  const { attempts, cost } = usage
  if (attempts.some(({ n }, index) => n !== index + 1)) problems.push(`numbered ${attempts.map(({ n }) => n)}`)
  const { low, high } = sumOf(attempts)
  if (Math.abs(low - cost.low) > 1e-12) problems.push(`at least ${cost.low}, but its attempts ${low}`)
  if ((high === null) !== (cost.high === null) || Math.abs((high ?? 0) - (cost.high ?? 0)) > 1e-12) {
    problems.push(`at most ${cost.high}, but its attempts ${high}`)
  }
  for (const one of [usage, ...attempts]) problems.push(...impossible(one))
  const limits = cell.given.policy?.limits ?? {}
  if (attempts.length > (limits.attempts ?? DEFAULT_ATTEMPTS)) problems.push(`${attempts.length} attempts`)
  const late = where.kind === 'memory' ? 1e-6 : LATE * where.pace
  const deadline = limits.timeoutMs ?? LONGEST_CALL
  const { totalMs } = usage.latency
  if (totalMs > deadline + late) problems.push(`took ${totalMs} of ${deadline}`)
  for (const { n, startedMs } of attempts)
    if (startedMs > deadline) problems.push(`attempt ${n} began after the deadline`)
  const early = where.kind === 'memory' ? -1e-6 : -2 * where.pace
  if (cell.given.policy !== undefined && !('hedge' in cell.given.policy) && gapsOf(attempts).some((gap) => gap < early))
    problems.push('attempts overlap')
  const records = observed.records.filter(({ id }) => id === usage.id)
  if (records.length !== 1) problems.push(`${records.length} records for the sink`)
  if (observed.ledger.filter(({ id }) => id === usage.id).length !== 1) problems.push('not exactly once in the ledger')
  const own = observed.events.filter((event) => 'call' in event && event.call === usage.id)
  const count = (type: string) => own.filter((event) => event.type === type).length
  const counts = [count('plan-made'), count('attempt-start'), count('attempt-end'), count('call-end')]
  if (String(counts) !== String([1, attempts.length, attempts.length, 1]))
    problems.push(`heard ${counts} of ${attempts.length} attempts`)
  if (own.at(-1)?.type !== 'call-end') problems.push(`the last event is ${own.at(-1)?.type}`)
  if (RouterError.is(error)) {
    if (error.kind !== usage.outcome) problems.push(`the error says ${error.kind}, the record ${usage.outcome}`)
    if (/[\r\n]/.test(error.message)) problems.push('the message has several lines')
    if (error.attempts !== usage.attempts) problems.push('the error has attempts of its own')
    if (error.plan === null) problems.push('the error has no plan')
    JSON.parse(JSON.stringify(error))
  }
  if (ended.outcome === 'ok' && attempts.filter(({ outcome }) => outcome === 'ok').length !== 1)
    problems.push('not one attempt went well')
  return problems
}

function impossible({ cost, tokens }: Pick<UsageRecord, 'cost' | 'tokens'>): string[] {
  const problems: string[] = []
  const isWrong = (value: number | null) => value !== null && !(value >= 0 && value < 1e12)
  if (isWrong(cost.low) || isWrong(cost.high) || isWrong(cost.usd)) problems.push(`costs ${JSON.stringify(cost)}`)
  if (cost.high !== null && cost.high < cost.low) problems.push(`costs ${JSON.stringify(cost)}`)
  if ((cost.usd !== null) !== (cost.high === cost.low)) problems.push(`costs ${JSON.stringify(cost)}`)
  if (Object.values(tokens).some(isWrong)) problems.push(`used ${JSON.stringify(tokens)}`)
  return problems
}

/** What left, whatever our own records say of it. */
function atTheWall(cell: Cell, { sent, calls }: Observed, secrets: Canaries): string[] {
  const problems: string[] = []
  const { chain, policy, terms = {} } = cell.given
  const allowed = typeof policy?.provider === 'string' ? [policy.provider] : chain
  const wanted = cell.expect.reduce((sum, { sent: own, attempts }) => sum + (own ?? attempts.length), 0)
  if (sent.length !== wanted) problems.push(`${sent.length} requests were sent, expected ${wanted}`)
  const attempted = calls.flatMap(({ usage }) => usage?.attempts ?? [])
  const sequential = cell.given.calls?.some(({ overlaps }) => overlaps) !== true
  if (sequential && sent.length === attempted.length) {
    for (const [index, { provider }] of sent.entries()) {
      if (attempted[index]?.provider !== provider) problems.push(`request ${index + 1} went to ${provider}`)
    }
  }
  for (const { provider, headers, body } of sent) {
    if (!allowed.includes(provider)) problems.push(`${provider} was asked`)
    if (headers.authorization !== `Bearer ${KEY(secrets, provider)}`) problems.push(`${provider} was sent another key`)
    if (body.includes(secrets.session) || JSON.stringify(headers).includes(secrets.session))
      problems.push(`${provider} was told the session`)
    const data = policy?.data ?? cell.given.calls?.[0]?.options?.data
    const said = preferencesIn(body)
    if (data?.training === 'deny' && terms[provider]?.training !== false && said.data_collection !== 'deny') {
      problems.push(`${provider} may train on it`)
    }
    if (data?.retention === 'zero' && terms[provider]?.retention !== 'zero' && said.zdr !== true) {
      problems.push(`${provider} may keep it`)
    }
  }
  return problems
}

function preferencesIn(body: string): { readonly data_collection?: unknown; readonly zdr?: unknown } {
  const sent: unknown = JSON.parse(body)
  if (typeof sent !== 'object' || sent === null || !('provider' in sent)) return {}
  return typeof sent.provider === 'object' && sent.provider !== null ? sent.provider : {}
}

/** Where a secret came out. */
export function leaksOf({ calls, events, records }: Observed, secrets: Canaries, { kind }: Where): string[] {
  const { answer, ...never } = secrets
  const found = calls.flatMap(({ error }) => {
    if (error === null) return []
    const told = error instanceof Error ? [error.message, error.stack, String(error), inspect(error)] : []
    const outputs = { told, json: JSON.stringify(error), all: inspect(error, ALL) }
    // What was seen of an answer is in `partial`, which nobody prints by accident.
    if (StreamBroken.is(error))
      return [...leaksIn(outputs, never), ...leaksIn({ told, json: outputs.json }, { answer })]
    // Every way in which an error can be looked into, where it comes from a real connection.
    return kind === 'loopback' ? leaks({ error }, secrets) : leaksIn(outputs, secrets)
  })
  // Plain data has no other way to come out; plans have one more.
  const plans = kind === 'memory' ? [] : events.map((event) => ('plan' in event ? String(event.plan) : ''))
  return [...found, ...leaksIn({ record: JSON.stringify(records), event: JSON.stringify(events) + plans }, secrets)]
}

const ALL = { depth: Number.POSITIVE_INFINITY, showHidden: true, customInspect: false }

function leaksIn(outputs: Readonly<Record<string, unknown>>, secrets: Readonly<Record<string, string>>): string[] {
  return Object.entries(outputs).flatMap(([where, output]) =>
    Object.entries(secrets).flatMap(([name, secret]) =>
      String(output).includes(secret) ? [`${name} in ${where}`] : [],
    ),
  )
}

/** What both worlds have to agree on. */
export function digestOf({ calls, sent }: Observed): object {
  return {
    calls: calls.map(({ outcome, error, usage, text, shown }) => ({
      outcome,
      error: error instanceof Error ? error.name : null,
      text,
      shown,
      attempts: usage?.attempts.map((attempt) => [
        lineOf(attempt),
        attempt.outcome === 'redirected' ? '@' : attempt.phase,
        attempt.host,
        attempt.cost,
        attempt.tokens,
        attempt.generationId,
        attempt.because,
      ]),
      cost: usage?.cost,
      tokens: usage?.tokens,
      model: usage?.model,
      pin: usage?.pin,
      drift: usage?.drift,
    })),
    sent: sent.map(({ provider, body }) => [provider, body]),
  }
}
