import { AsyncLocalStorage } from 'node:async_hooks'
import fc from 'fast-check'
import type { UsageRecord } from 'modelfirst'
import { virtualClock } from 'modelfirst/sandbox'
import { describe, expect, test } from 'vitest'
import { createSinks, type Sink, type SinkTrouble } from '../../src/sinks.ts'
import { recordOf, recordsOf } from './records.ts'

/** Sinks on a clock that stands still, and what is told of them. */
function feeding(sinks: readonly Sink[], most?: number) {
  const told: string[] = []
  const clock = virtualClock()
  const report = (trouble: SinkTrouble) => {
    const more = trouble.type === 'failed' ? String(trouble.error) : trouble.type === 'dropped' ? trouble.drops : ''
    told.push(`${trouble.index} ${trouble.type} ${more}`.trim())
  }
  return { clock, told, sinks: createSinks(sinks, { clock, report, ...(most !== undefined && { most }) }) }
}

/** A sink whose every record is let go by hand. */
function slow() {
  const got: string[] = []
  const open: (() => void)[] = []
  const sink = (record: UsageRecord) => {
    got.push(record.id)
    return new Promise<void>((resolve) => open.push(resolve))
  }
  return {
    got,
    sink,
    async release(count = 1) {
      for (let left = count; left > 0; left -= 1) {
        open.shift()?.()
        await settled()
      }
    },
  }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))
const idsOf = (records: readonly UsageRecord[]) => records.map(({ id }) => id)

describe('sinks', () => {
  test('a sink that is not busy has the record at once, in the context of whoever feeds it', () => {
    const context = new AsyncLocalStorage<string>()
    const got: (string | undefined)[] = []
    const { sinks } = feeding([() => void got.push(context.getStore())])
    context.run('the caller', () => sinks.feed(recordOf()))
    expect(got).toEqual(['the caller'])
  })

  test('a slow sink gets one record at a time, in order', async () => {
    const { got, sink, release } = slow()
    const { sinks, clock } = feeding([sink])
    for (const record of recordsOf(3)) sinks.feed(record)
    expect(got).toEqual(['call_0'])
    await release()
    expect(got).toEqual(['call_0', 'call_1'])
    const drained = sinks.drained()
    expect(clock.pending).toBe(1)
    await release(2)
    expect(got).toEqual(['call_0', 'call_1', 'call_2'])
    await drained
    expect(clock.pending).toBe(0)
  })

  test('a slow sink that takes batches gets all that waits at once', async () => {
    const { got, sink, release } = slow()
    const batches: string[][] = []
    const batch = (records: readonly UsageRecord[]) => {
      batches.push(idsOf(records))
      return Promise.resolve()
    }
    const { sinks } = feeding([Object.assign(sink, { batch })])
    for (const record of recordsOf(4)) sinks.feed(record)
    await release()
    expect(got).toEqual(['call_0'])
    expect(batches).toEqual([['call_1', 'call_2', 'call_3']])
  })

  test('what does not fit is dropped, the newest first, and told when it begins and with its number when it ends', async () => {
    const { got, sink, release } = slow()
    const { sinks, told } = feeding([sink], 2)
    for (const record of recordsOf(6)) sinks.feed(record)
    expect(told).toEqual(['0 dropping'])
    expect(sinks.drops).toBe(3)
    await release(3)
    expect(got).toEqual(['call_0', 'call_1', 'call_2'])
    expect(told).toEqual(['0 dropping', '0 dropped 3'])
    for (const record of recordsOf(4, 'later')) sinks.feed(record)
    await release(3)
    expect(told.slice(2)).toEqual(['0 dropping', '0 dropped 1'])
    expect(sinks.drops).toBe(4)
  })

  test('a sink that throws, rejects, or returns something strange gets the next record all the same, and nobody else hears of it', async () => {
    const got: string[] = []
    const { sinks, told } = feeding([
      ({ id }) => {
        throw new Error(`no ${id}`)
      },
      ({ id }) => Promise.reject(new Error(`never ${id}`)),
      // What plain JavaScript may return.
      () => JSON.parse('{"then":5}'),
      () =>
        Object.defineProperty(Promise.resolve(), 'then', {
          get() {
            throw new Error('do not look')
          },
        }),
      ({ id }) => void got.push(id),
    ])
    for (const record of recordsOf(2)) sinks.feed(record)
    await sinks.drained()
    expect(got).toEqual(['call_0', 'call_1'])
    expect(told.sort()).toEqual([
      '0 failed Error: no call_0',
      '0 failed Error: no call_1',
      '1 failed Error: never call_0',
      '1 failed Error: never call_1',
      '3 failed Error: do not look',
      '3 failed Error: do not look',
    ])
  })

  test('a sink that hangs keeps no other from its records, and nobody longer than their patience', async () => {
    const hanging = slow()
    const other = slow()
    const { sinks, told, clock } = feeding([hanging.sink, other.sink], 1)
    for (const record of recordsOf(2)) sinks.feed(record)
    await other.release(2)
    expect(other.got).toEqual(['call_0', 'call_1'])
    let over = false
    const drained = sinks.drained(3000).then(() => {
      over = true
    })
    sinks.feed(recordOf({ id: 'late' }))
    await other.release()
    await clock.advance(2999)
    expect(over).toBe(false)
    await clock.advance(1)
    await drained
    expect(told).toEqual(['0 dropping', '0 dropped 1'])
    expect(clock.pending).toBe(0)
  })

  test('nobody waits when there is nothing to wait for', async () => {
    const { sinks, clock } = feeding([() => {}])
    sinks.feed(recordOf())
    await sinks.drained()
    expect(clock.pending).toBe(0)
  })

  test('a sink that feeds its own sinks is not called inside itself', () => {
    const got: string[] = []
    let inside = 0
    const { sinks } = feeding([
      ({ id }) => {
        inside += 1
        got.push(`${id} ${inside}`)
        if (got.length < 3) sinks.feed(recordOf({ id: `call_${got.length + 1}` }))
        inside -= 1
      },
    ])
    sinks.feed(recordOf())
    expect(got).toEqual(['call_1 1', 'call_2 1', 'call_3 1'])
  })

  test('whatever the pace, each sink gets what was not dropped, once and in order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('feed', 'release'), { maxLength: 60 }),
        fc.integer({ min: 0, max: 5 }),
        fc.boolean(),
        async (steps, most, batches) => {
          const got: string[] = []
          const open: (() => void)[] = []
          const take = (records: readonly UsageRecord[]) => {
            got.push(...idsOf(records))
            return new Promise<void>((resolve) => open.push(resolve))
          }
          const sink = (record: UsageRecord) => take([record])
          const { sinks, told } = feeding([batches ? Object.assign(sink, { batch: take }) : sink], most)
          let fed = 0
          const kept: string[] = []
          for (const step of steps) {
            if (step === 'release') {
              open.shift()?.()
              await settled()
              continue
            }
            const before = sinks.drops
            const id = `call_${fed}`
            fed += 1
            sinks.feed(recordOf({ id }))
            if (sinks.drops === before) kept.push(id)
          }
          while (open.length > 0) {
            open.shift()?.()
            await settled()
          }
          expect(got).toEqual(kept)
          expect(kept.length + sinks.drops).toBe(fed)
          const counted = told.map((line) => Number(line.match(/dropped (\d+)/)?.[1] ?? 0))
          expect(counted.reduce((sum, count) => sum + count, 0)).toBe(sinks.drops)
        },
      ),
      { numRuns: 200 },
    )
  })
})
