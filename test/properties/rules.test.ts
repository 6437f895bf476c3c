import fc from 'fast-check'
import { type FailureKind, type FallbackRule, when } from 'modelfirst'
import { describe, expect, test } from 'vitest'
import { createCancellation } from '../../src/cancellation.ts'
import { createEvents, type RouterEvent } from '../../src/events.ts'
import { FAILURE_KINDS, failure } from '../../src/failure.ts'
import type { Standing } from '../../src/fallback.ts'
import { movesOf } from '../../src/rules.ts'
import { runs } from '../support/runs.ts'
import { quickClock } from './clock.ts'
import { sentence, spoken, type Verb, verbs } from './scenes.ts'

const kinds = fc.subarray([...FAILURE_KINDS], { minLength: 1 })
const said = fc.array(verbs, { maxLength: 8 })
const retried = fc.nat(6)

const standing = (retried: number): Standing => ({ attempts: [], left: [], retried, remainingMs: 60_000 })

/** What a sentence has to say, word by word: a wait belongs to the verb that follows it. */
function movesIn(words: readonly Verb[], stops: boolean, times: number) {
  const moves: { move: string; afterMs: number | undefined }[] = []
  let afterMs: number | undefined
  for (const each of words) {
    if (each.verb === 'wait') {
      afterMs = each.ms
      continue
    }
    if (each.verb === 'retry' && times < each.times) moves.push({ move: 'retry', afterMs })
    if (each.verb === 'nextProvider') moves.push({ move: 'next-provider', afterMs })
    if (each.verb === 'nextModel') moves.push({ move: 'next-model', afterMs })
    afterMs = undefined
  }
  if (stops) moves.push({ move: 'stop', afterMs: undefined })
  return moves
}

async function heard(rule: FallbackRule | null, kind: FailureKind, times: number) {
  const clock = quickClock()
  const asking = { clock, cancellation: createCancellation(), events: createEvents() }
  const moves = rule === null ? [] : await movesOf(rule, { failure: failure(kind), standing: standing(times) }, asking)
  return moves.map(({ move, afterMs }) => ({ move, afterMs }))
}

describe('a sentence', () => {
  test('gives its moves in the order they were said, each after the wait that was said before it', async () => {
    await fc.assert(
      fc.asyncProperty(kinds, said, fc.boolean(), retried, async (about, words, stops, times) => {
        const rule = sentence(about, words, stops)
        for (const kind of about)
          expect(await heard(rule, kind, times)).toEqual(rule === null ? [] : movesIn(words, stops, times))
      }),
      runs(2), // For up to twenty-five kinds each.
    )
  })

  test('says nothing about failures it is not about', async () => {
    await fc.assert(
      fc.asyncProperty(kinds, said, fc.boolean(), retried, async (about, words, stops, times) => {
        const rule = sentence(about, words, stops)
        const others = FAILURE_KINDS.filter((kind) => !about.includes(kind))
        for (const kind of others.slice(0, 3)) expect(await heard(rule, kind, times)).toEqual([])
      }),
      runs(),
    )
  })

  test('asks the same offer again no more often than its largest number', () => {
    fc.assert(
      fc.property(said, (words) => {
        const rule = sentence(['cut-off'], words, false)
        const most = Math.max(0, ...words.map((each) => (each.verb === 'retry' ? each.times : 0)))
        let again = 0
        for (let times = 0; times <= 10; times += 1) {
          const moves = rule?.(failure('cut-off'), standing(times))
          if (Array.isArray(moves) && moves.some(({ move }) => move === 'retry')) again += 1
        }
        expect(again).toBe(most)
      }),
      runs(),
    )
  })

  test('is not changed by what is built on its beginning', async () => {
    await fc.assert(
      fc.asyncProperty(said, said, said, retried, async (beginning, one, other, times) => {
        const begun = spoken(when('empty'), beginning).begun.nextModel()
        const before = await heard(begun, 'empty', times)
        const first = spoken(begun, one).rule
        const firstSaid = await heard(first, 'empty', times)
        spoken(begun, other).begun.stop()
        expect(await heard(begun, 'empty', times)).toEqual(before)
        expect(await heard(first, 'empty', times)).toEqual(firstSaid)
        expect(Object.isFrozen(begun)).toBe(true)
      }),
      runs(),
    )
  })

  test('about a condition is asked for each failure, and believed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.constantFrom(...FAILURE_KINDS), async (holds, kind) => {
        const rule = when(() => holds).nextProvider()
        // Without an attempt there is nothing to ask about.
        expect(rule(failure(kind), standing(0))).toBeNull()
      }),
      runs(),
    )
  })
})

describe('whatever a rule says', () => {
  const how = fc.constantFrom('returns', 'throws', 'resolves', 'rejects')
  const move = fc.record({ move: fc.string() }, { requiredKeys: [] })

  test('it becomes moves or nothing, is told of once when it makes no sense, and leaves no timer', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.anything(), move, fc.array(move)), how, async (given, how) => {
        const clock = quickClock()
        const told: RouterEvent[] = []
        const events = createEvents()
        events.on((event) => void told.push(event))
        const rule = () => {
          if (how === 'throws') throw given
          // As a rule without types may do.
          return (
            how === 'returns' ? given : how === 'resolves' ? Promise.resolve(given) : Promise.reject(given)
          ) as null
        }
        const about = { failure: failure('empty'), standing: standing(0) }
        const asking = { clock, cancellation: createCancellation(), events }
        const moves = await movesOf(rule, about, asking)
        await movesOf(rule, about, asking)
        for (const each of moves) {
          expect(['retry', 'next', 'next-provider', 'next-model', 'stop', 'use']).toContain(each.move)
        }
        const fails = how === 'throws' || how === 'rejects'
        if (fails) expect(moves).toEqual([])
        expect(told.length).toBeLessThanOrEqual(1)
        if (fails) expect(told).toMatchObject([{ type: 'listener-failed', what: 'rule' }])
        expect(clock.pending).toBe(0)
      }),
      runs(),
    )
  })

  test('nobody waits for it longer than a second, nor after the call is over', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(3000), fc.option(fc.nat(2000)), async (thinksMs, abortMs) => {
        const clock = quickClock()
        const cancellation = createCancellation()
        const rule: FallbackRule = () =>
          new Promise((resolve) => clock.timer(thinksMs, () => resolve({ move: 'next' })))
        const about = { failure: failure('empty'), standing: standing(0) }
        let moves: readonly unknown[] | null = null
        let at = -1
        void movesOf(rule, about, { clock, cancellation, events: createEvents() }).then((said) => {
          moves = said
          at = clock.now()
        })
        if (abortMs !== null) clock.timer(abortMs, () => cancellation.cancel(null))
        await clock.runUntil(() => false)
        expect(at).toBe(Math.min(thinksMs, 1000, abortMs ?? 1000))
        const inTime = thinksMs < Math.min(1000, abortMs ?? 1000)
        if (inTime) expect(moves).toEqual([{ move: 'next' }])
        if (thinksMs > Math.min(1000, abortMs ?? 1000)) expect(moves).toEqual([])
      }),
      runs(),
    )
  })
})
