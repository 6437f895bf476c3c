import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { clamp, goDuration, retryAfter } from '../src/retry-after.ts'
import { runs } from './support/runs.ts'

const NOW = Date.UTC(2026, 10, 21, 12, 0, 0)
const DAY = 86_400_000
const inAMinute = new Date(NOW + 60_000).toUTCString()

function wait(headers: Record<string, string>): number | null {
  return retryAfter(new Headers(headers), NOW)
}

describe('the wait that a provider asks for', () => {
  test.each([
    ['seconds', '2', 2000],
    ['a fraction of a second', '0.25', 250],
    ['nothing to wait', '0', 0],
    ['a date', inAMinute, 60_000],
    ['a date in the long form', 'Saturday, 21-Nov-26 12:01:00 GMT', 60_000],
    ['a date as computers write it', '2026-11-21T12:01:00Z', 60_000],
    ["Go's minutes and seconds", '2m59.56s', 179_560],
    ["Go's hours and minutes", '1h2m', 3_720_000],
    ["Go's milliseconds, which are not minutes", '585ms', 585],
    ["Go's nanoseconds, which are nothing", '900ns', 0],
    ['a list, of which the longest counts', '7, 9', 9000],
    ['a list with a date in it', `${inAMinute}, 5`, 60_000],
    ['blanks around it', ' 3 ', 3000],
  ])('may be %s', (_, value, milliseconds) => {
    expect(wait({ 'retry-after': value })).toBe(milliseconds)
  })

  test.each([
    ['negative', '-5'],
    ['words', 'soon'],
    ['words with a year in them', 'maybe 2099'],
    ['hexadecimal', '0x10'],
    ['scientific', '1e9'],
    ['not a number', 'NaN'],
    ['endless', 'Infinity'],
    ['a date in the past', new Date(NOW - 60_000).toUTCString()],
    ['a date that is none', 'Foo, 99 Bar 2026 99:00:00 GMT'],
    ['empty', ''],
    ['only a comma', ','],
  ])('is unknown when it is %s', (_, value) => {
    expect(wait({ 'retry-after': value })).toBeNull()
  })

  test.each([
    ['too many seconds', '1000000000'],
    ['more than a timer can take', '2592000'],
    ['a number beyond numbers', '9'.repeat(400)],
    ['a date in another age', 'Thu, 01 Jan 2099 00:00:00 GMT'],
    ['many hours', '9999h'],
  ])('is a day when it is %s', (_, value) => {
    expect(wait({ 'retry-after': value })).toBe(DAY)
  })

  test('is taken from the most specific header, and from the next when that makes no sense', () => {
    expect(wait({ 'retry-after-ms': '1500', 'retry-after': '9' })).toBe(1500)
    expect(wait({ 'retry-after-ms': '-1', 'retry-after': '9' })).toBe(9000)
    expect(wait({ 'retry-after-ms': 'x' })).toBeNull()
    expect(wait({})).toBeNull()
  })

  test('goes by the clock of whoever names the date', () => {
    const theirs = new Date(NOW - 3_600_000)
    const headers = { 'retry-after': new Date(theirs.getTime() + 5000).toUTCString(), date: theirs.toUTCString() }
    expect(wait(headers)).toBe(5000)
    expect(wait({ ...headers, date: 'yesterday' })).toBeNull()
  })

  test('is never anything that a timer would take for at once, whatever stands there', () => {
    const header = fc.oneof(
      fc.string({ unit: 'grapheme-ascii' }),
      fc.double().map(String),
      fc.integer().map(String),
      fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
      fc.stringMatching(/^[0-9hms., -]{0,12}$/),
    )
    fc.assert(
      fc.property(header, header, (after, milliseconds) => {
        const found = retryAfter(
          { get: (name) => (name === 'retry-after' ? after : name === 'date' ? null : milliseconds) },
          NOW,
        )
        if (found !== null) expect(found >= 0 && found <= DAY).toBe(true)
      }),
      runs(),
    )
  })
})

describe("a duration in Go's words", () => {
  test('is read as Go writes it', () => {
    const parts = fc.record({ h: fc.nat(99), m: fc.nat(59), s: fc.nat(59), ms: fc.nat(999) })
    fc.assert(
      fc.property(parts, ({ h, m, s, ms }) => {
        const seconds = ms === 0 ? `${s}` : `${s}.${String(ms).padStart(3, '0')}`
        expect(goDuration(`${h}h${m}m${seconds}s`)).toBeCloseTo(h * 3_600_000 + m * 60_000 + s * 1000 + ms, 6)
      }),
      runs(),
    )
  })

  test.each(['', 'm', '5', '5 s', '5x', '-5s', '1m1h'])('is not %j', (text) => {
    expect(goDuration(text)).toBeNull()
  })
})

test('a wait in the past is none, and a long one is a day', () => {
  expect([clamp(-1), clamp(0), clamp(DAY + 1)]).toEqual([null, 0, DAY])
})
