import { existsSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { loadSnapshot, pack, unpack } from '../src/catalog/snapshot.ts'
import { readHosts, readListing } from '../src/listing.ts'
import { runs } from './support/runs.ts'

const SHARED = new URL('../../shared/data/catalog/', import.meta.url)
const GROQ = new URL('groq-models.2026-08-19.json', SHARED)
const OPENROUTER = new URL('openrouter-models.2026-08-22.json', SHARED)
const absent = !existsSync(GROQ) || !existsSync(OPENROUTER)

const read = (file: URL) => readListing(JSON.parse(readFileSync(file, 'utf8')))
const one = (row: object) => readListing({ data: [row] })[0]
const priced = (pricing: object) => one({ id: 'a/b', pricing })?.prices

describe('a list of models', () => {
  test('may be bare ids', () => {
    expect(readListing({ object: 'list', data: [{ id: 'qwen3:8b', object: 'model' }] })).toEqual([{ id: 'qwen3:8b' }])
    expect(readListing([{ id: 'a' }])).toEqual([{ id: 'a' }])
  })

  test('is read as far as it makes sense, whatever comes', () => {
    const rows = [
      null,
      7,
      'a',
      {},
      { id: '' },
      { id: 5 },
      { id: 'ok', pricing: 'free', context_length: '9', created: -1 },
    ]
    expect(readListing({ data: rows })).toEqual([{ id: 'ok' }])
    fc.assert(
      fc.property(fc.anything(), fc.anything(), (anything, other) => {
        readListing(anything)
        readListing({
          data: [{ id: 'x', pricing: other, architecture: other, expiration_date: other, created: other }],
        })
        readHosts({ data: { endpoints: [anything, { tag: 'x', pricing: other }] } })
      }),
      runs(),
    )
  })

  test('turns decimal strings a token into USD a million without losing a digit', () => {
    expect(priced({ prompt: '0.0000000375', completion: '0.00000234' })).toEqual({ input: 0.0375, output: 2.34 })
    expect(priced({ prompt: '1e-7', completion: '1.5E-6' })).toEqual({ input: 0.1, output: 1.5 })
  })

  test('has no price for a router that says it depends, nor for half a price', () => {
    expect(priced({ prompt: '-1', completion: '-1' })).toBeUndefined()
    expect(priced({ prompt: '0.000022' })).toBeUndefined()
    expect(priced({ prompt: '', completion: 'NaN' })).toBeUndefined()
  })

  test('keeps 0 as free, but takes a cache price of 0 on a paid prompt for unknown', () => {
    expect(priced({ prompt: '0', completion: '0', input_cache_read: '0' })).toEqual({
      input: 0,
      output: 0,
      cachedInput: 0,
    })
    expect(priced({ prompt: '0.000001', completion: '0.000002', input_cache_read: '0' })).toEqual({
      input: 1,
      output: 2,
    })
  })

  test('has tiers for overrides, and none for a condition that is not understood', () => {
    const overrides = [
      { min_prompt_tokens: 200_000, prompt: '0.0000025' },
      { utc_start: 1630, utc_end: 30, completion: '0.000001' },
      { utc_days: [1], prompt: '0' },
    ]
    expect(priced({ prompt: '0.00000125', completion: '0.00001', overrides })?.tiers).toEqual([
      { abovePromptTokens: 200_000, input: 2.5 },
      { fromUtc: 1630, untilUtc: 30, output: 1 },
    ])
  })

  test('takes the year 2098 for no retirement', () => {
    expect(one({ id: 'a', expiration_date: '2098-12-31' })).toEqual({ id: 'a' })
    expect(one({ id: 'a', expiration_date: '2026-12-31' })?.retires).toBe('2026-12-31')
  })

  test('knows a dated slug as an alias, a variant’s with its suffix, and the target of a latest name', () => {
    expect(one({ id: 'z/m', canonical_slug: 'z/m-20260616' })?.aliases).toEqual(['z/m-20260616'])
    expect(one({ id: 'z/m:free', canonical_slug: 'z/m-20260616' })?.aliases).toEqual(['z/m-20260616:free'])
    const latest = { id: '~z/m-latest', canonical_slug: '~z/m-latest', alias_target: { slug: 'z/m' } }
    expect(one(latest)?.aliases).toEqual(['z/m'])
  })

  test('leaves out what does not answer in text, and batch offers', () => {
    expect(one({ id: 'whisper', output_modalities: ['transcription'] })).toBeUndefined()
    expect(one({ id: 'embed', architecture: { output_modalities: ['embeddings'] } })).toBeUndefined()
    expect(one({ id: 'painter', architecture: { output_modalities: ['image', 'text'] } })?.id).toBe('painter')
    expect(one({ id: 'a/b:batch' })).toBeUndefined()
  })
})

describe('the hosts of a model', () => {
  test('are read by the slug that pins them, service tiers left out', () => {
    const endpoints = [
      {
        tag: 'anthropic',
        provider_name: 'Anthropic',
        context_length: 1_000_000,
        max_completion_tokens: null,
        supports_implicit_caching: false,
        pricing: { prompt: '0.000003', completion: '0.000015', input_cache_write_1h: '0.000006' },
      },
      { tag: 'openai/priority', pricing: { prompt: '1', completion: '1' } },
      { provider_name: 'Nameless' },
    ]
    expect(readHosts({ data: { id: 'a/b', endpoints } })).toEqual([
      {
        host: 'anthropic',
        name: 'Anthropic',
        context: 1_000_000,
        implicitCaching: false,
        prices: { input: 3, output: 15, cacheWrite1h: 6 },
      },
    ])
  })
})

describe.skipIf(absent)('the real lists of August 2026 (skipped where ../shared/data is not there)', () => {
  test('of Groq: all eleven chat models, with exact prices', () => {
    const rows = read(GROQ)
    expect(rows).toHaveLength(11)
    const row = (id: string) => rows.find((model) => model.id === id)
    expect(row('openai/gpt-oss-20b')).toEqual({
      id: 'openai/gpt-oss-20b',
      name: 'GPT OSS 20B',
      context: 131_072,
      maxOutput: 65_536,
      input: ['text'],
      abilities: ['tools', 'json', 'schema', 'reasoning'],
      prices: { input: 0.075, output: 0.3, cachedInput: 0.0375 },
    })
    expect(row('allam-2-7b')?.prices).toBeUndefined()
    expect(row('meta-llama/llama-prompt-guard-2-22m')?.guard).toBe(true)
  })

  test('of OpenRouter: every row but batch offers, every price finite, exact where looked up', () => {
    const rows = read(OPENROUTER)
    const listed: { id: string }[] = JSON.parse(readFileSync(OPENROUTER, 'utf8'))
    expect(rows.map(({ id }) => id)).toEqual(listed.map(({ id }) => id).filter((id) => !id.endsWith(':batch')))
    expect(rows).toHaveLength(354)
    for (const { id, prices, released } of rows) {
      expect(prices, id).toBeDefined()
      expect(released, id).toMatch(/^20\d\d-\d\d-\d\d$/)
      for (const { tiers: _, ...flat } of [prices ?? {}, ...(prices?.tiers ?? [])].map((list) => ({
        tiers: 0,
        ...list,
      }))) {
        for (const value of Object.values(flat)) expect(Number.isFinite(value) && Number(value) >= 0, id).toBe(true)
      }
    }
    const row = (id: string) => rows.find((model) => model.id === id)
    expect(row('~anthropic/claude-fable-latest')?.prices).toEqual({
      input: 10,
      output: 50,
      cachedInput: 1,
      cacheWrite: 12.5,
      cacheWrite1h: 20,
      webSearch: 0.01,
    })
    expect(row('deepseek/deepseek-v4-flash-vision-exp')?.prices?.tiers?.[0]).toEqual({
      fromUtc: 1000,
      untilUtc: 100,
      input: 0.22,
      output: 0.66,
      cachedInput: 0.007,
    })
    expect(rows.filter(({ id }) => id.startsWith('~'))).toHaveLength(12)
  })

  test('come back from the packed form as they went in, all but their parameters', () => {
    const models = [...read(GROQ), ...read(OPENROUTER)]
    const packed = JSON.stringify({ date: '', providers: { x: { date: '', models: models.map(pack) } } })
    const back = unpack(JSON.parse(packed))
    expect(back.providers.x?.models).toEqual(models.map(({ parameters: _, ...model }) => model))
  })
})

describe('the snapshot that comes with the package', () => {
  test('says what Groq retired and what to use instead', async () => {
    const { providers } = await loadSnapshot()
    const rows = providers.groq?.models ?? []
    expect(rows.find(({ id }) => id === 'llama-3.3-70b-versatile')).toMatchObject({
      model: 'meta-llama/llama-3.3-70b-instruct',
      retires: '2026-08-16',
      successor: 'openai/gpt-oss-120b',
    })
    expect(rows.find(({ id }) => id === 'qwen/qwen3.8-27b')?.prices).toEqual({ input: 0.8, output: 4 })
  })

  test('holds every successor it names', async () => {
    const { providers } = await loadSnapshot()
    const rows = Object.values(providers).flatMap(({ models }) => models)
    const known = new Set(rows.map(({ id, model }) => model ?? id))
    for (const { successor } of rows) if (successor !== undefined) expect(known).toContain(successor)
  })
})
