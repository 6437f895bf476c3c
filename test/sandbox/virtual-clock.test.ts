import { describe, expect, it } from 'vitest'
import { seeded, virtualClock } from '../../src/sandbox/sandbox.ts'

describe('the virtual clock', () => {
  it('runs what falls due in order, and lets promises settle in between', async () => {
    const clock = virtualClock()
    const heard: string[] = []
    const wait = (milliseconds: number) => new Promise<void>((resolve) => void clock.timer(milliseconds, resolve))
    const chain = async () => {
      await wait(10)
      heard.push(`chain ${clock.now()}`)
      await wait(10)
      heard.push(`chain ${clock.now()}`)
    }
    const done = chain()
    clock.timer(15, () => heard.push(`timer ${clock.now()}`))
    await clock.advance(19)
    expect(heard).toEqual(['chain 10', 'timer 15'])
    await clock.advance(1)
    await done
    expect(heard).toEqual(['chain 10', 'timer 15', 'chain 20'])
  })

  it('moves the date with the time', async () => {
    const clock = virtualClock(Date.UTC(2026, 5, 1))
    await clock.advance(86_400_000)
    expect(new Date(clock.date()).toISOString()).toBe('2026-06-02T00:00:00.000Z')
    expect(clock.now()).toBe(86_400_000)
  })

  it('forgets what was canceled', async () => {
    const clock = virtualClock()
    const cancel = clock.timer(5, () => expect.unreachable())
    cancel()
    expect(clock.pending).toBe(0)
    await clock.advance(10)
  })

  it('runs to the end, also over timers that set timers', async () => {
    const clock = virtualClock()
    let left = 50
    const again = () => {
      if (left-- > 0) clock.timer(1000, again)
    }
    again()
    await clock.runAll()
    expect([clock.now(), clock.pending]).toEqual([50_000, 0])
  })
})

describe('seeded randomness', () => {
  it('is the same for the same seed, another for another, and even', () => {
    const draw = (seed: number) => Array.from({ length: 1000 }, seeded(seed))
    expect(draw(7)).toEqual(draw(7))
    expect(draw(7)).not.toEqual(draw(8))
    const mean = draw(7).reduce((sum, value) => sum + value, 0) / 1000
    expect(mean).toBeGreaterThan(0.45)
    expect(mean).toBeLessThan(0.55)
    expect(draw(9).every((value) => value >= 0 && value < 1)).toBe(true)
  })
})
