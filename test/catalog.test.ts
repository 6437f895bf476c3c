import { beforeAll, describe, expect, test } from 'vitest'
import { loadSnapshot, type Snapshot } from '../src/catalog/snapshot.ts'
import { type Catalog, createCatalog, parseReference } from '../src/catalog.ts'
import { ConfigError } from '../src/errors.ts'
import type { ListedModel } from '../src/listing.ts'

let snapshot: Snapshot
beforeAll(async () => {
  snapshot = await loadSnapshot()
})

function filled(): Catalog {
  const catalog = createCatalog()
  for (const [name, listing] of Object.entries(snapshot.providers))
    catalog.put(name, { ...listing, source: 'snapshot' })
  return catalog
}

function listing(provider: string, models: readonly ListedModel[], source: 'live' | 'user' | 'snapshot' = 'live') {
  const catalog = createCatalog()
  catalog.put(provider, { date: '2026-11-01', source, models })
  return catalog
}

const idOf = (catalog: Catalog, reference: string) => catalog.find(reference).id

describe('a model is found', () => {
  test('by its slug, whatever the case', () => {
    expect(idOf(filled(), 'openai/gpt-oss-20b')).toBe('openai/gpt-oss-20b')
    expect(idOf(filled(), 'OpenAI/GPT-OSS-20B')).toBe('openai/gpt-oss-20b')
  })

  test('by the provider’s own id, as one model with the aggregator’s', () => {
    const model = filled().find('llama-3.3-70b-versatile')
    expect(model.id).toBe('meta-llama/llama-3.3-70b-instruct')
    expect(model.offers.map(({ provider, wireModel }) => `${provider}: ${wireModel}`)).toEqual([
      'groq: llama-3.3-70b-versatile',
      'openrouter: meta-llama/llama-3.3-70b-instruct',
    ])
  })

  test('by its bare name, a dated slug, and a latest name that stays what it says', () => {
    expect(idOf(filled(), 'gpt-oss-20b')).toBe('openai/gpt-oss-20b')
    expect(idOf(filled(), 'anthropic/claude-4.5-haiku-20251001')).toBe('anthropic/claude-haiku-4.5')
    const latest = filled().find('~anthropic/claude-sonnet-latest')
    expect(latest.id).toBe('~anthropic/claude-sonnet-latest')
    expect(latest.offers[0]?.wireModel).toBe('~anthropic/claude-sonnet-latest')
    expect(idOf(filled(), 'anthropic/claude-sonnet-5')).toBe('anthropic/claude-sonnet-5')
  })

  test('with a suffix that works on every model, while listed variants are models of their own', () => {
    expect(idOf(filled(), 'openai/gpt-oss-20b:nitro')).toBe('openai/gpt-oss-20b')
    expect(idOf(filled(), 'openai/gpt-oss-20b@preset/support')).toBe('openai/gpt-oss-20b')
    expect(idOf(filled(), 'z-ai/glm-5.2:free')).toBe('z-ai/glm-5.2:free')
    expect(filled().lookup('openai/gpt-oss-20b:nitro')).toHaveProperty('nearest')
  })

  test('as one, when two providers write it in different cases', () => {
    const catalog = listing('together', [{ id: 'Qwen/Qwen3-32B' }])
    catalog.put('openrouter', { date: '2026-11-01', source: 'live', models: [{ id: 'qwen/qwen3-32b' }] })
    expect(catalog.models().map(({ id }) => id)).toEqual(['qwen/qwen3-32b'])
    expect(catalog.offer('together', 'qwen/qwen3-32b')?.wireModel).toBe('Qwen/Qwen3-32B')
  })
})

test('a model is one object by all of its names until the lists change', () => {
  const catalog = filled()
  const model = catalog.find('openai/gpt-oss-20b')
  expect(catalog.find('gpt-oss-20b')).toBe(model)
  expect(catalog.models()).toContain(model)
  expect(catalog.offer('groq', model.id)).toBe(model.offers[0])
  catalog.put('other', { date: '2026-11-01', source: 'live', models: [{ id: 'other/m' }] })
  expect(catalog.find('gpt-oss-20b')).not.toBe(model)
})

describe('a reference', () => {
  test('that fits several models is an error that lists them', () => {
    const catalog = listing('x', [{ id: 'one/m' }, { id: 'two/m' }])
    expect(catalog.lookup('m')).toEqual({ several: ['one/m', 'two/m'] })
    expect(() => catalog.find('m')).toThrow('model: "m" fits several: one/m, two/m')
  })

  test('that fits none is an error that names the nearest', () => {
    expect(() => filled().find('openai/gpt-os-20b')).toThrow('did you mean "openai/gpt-oss-20b"?')
    expect(() => filled().find('openai/gpt-os-20b')).toThrow(ConfigError)
    expect(filled().offers('no-such-model-anywhere')).toEqual([])
  })

  test('means the stronger of two things: an id is not open to another model’s alias or bare name', () => {
    const catalog = listing('x', [{ id: 'a/m', aliases: ['b/m'] }, { id: 'b/m' }, { id: 'm' }])
    expect(idOf(catalog, 'b/m')).toBe('b/m')
    expect(idOf(catalog, 'm')).toBe('m')
  })

  test('that no list knows still makes an offer of which nothing is known', () => {
    const offer = filled().unlisted('openrouter', 'new/model')
    expect(offer).toMatchObject({ wireModel: 'new/model', prices: null, tariff: null, abilities: null, input: null })
    expect(filled().offer('openrouter', 'new/model')).toBeNull()
  })

  test.each([
    ['openai/gpt-5', 'openai/gpt-5', null, null],
    ['openai/gpt-5:nitro', 'openai/gpt-5', 'nitro', null],
    ['z-ai/glm-5.2:free', 'z-ai/glm-5.2:free', null, null],
    ['z-ai/glm-5.2:free:online', 'z-ai/glm-5.2:free', 'online', null],
    ['x/y:nitro:online', 'x/y', 'nitro:online', null],
    ['qwen3:8b', 'qwen3:8b', null, null],
    ['openai/gpt-5:floor@preset/a', 'openai/gpt-5', 'floor', 'a'],
    ['@preset/support', '', null, 'support'],
  ])('%s is taken apart', (reference, base, variant, preset) => {
    expect(parseReference(reference)).toEqual({ base, variant, preset })
  })
})

describe('what several lists say', () => {
  const row: ListedModel = { id: 'a/m', context: 1000, prices: { input: 1, output: 2 } }

  test('is merged field by field: the user first, then the live list, then the snapshot', () => {
    const catalog = createCatalog()
    catalog.put('x', { date: '2026-11-02', source: 'user', models: [{ id: 'a/m', prices: { input: 9, output: 9 } }] })
    catalog.put('x', { date: '2026-11-01', source: 'live', models: [{ ...row, context: 2000 }] })
    catalog.put('x', { date: '2026-08-01', source: 'snapshot', models: [{ ...row, maxOutput: 50 }] })
    expect(catalog.offer('x', 'a/m')).toMatchObject({
      context: 2000,
      maxOutput: 50,
      prices: { input: 9 },
      priceSource: 'user',
      priceDate: '2026-11-02',
    })
    expect(catalog.date('x')).toBe('2026-11-01')
  })

  test('keeps the snapshot’s price, with its date, where the live list has none', () => {
    const catalog = listing('x', [row], 'snapshot')
    catalog.put('x', { date: '2026-12-01', source: 'live', models: [{ id: 'a/m' }] })
    expect(catalog.offer('x', 'a/m')).toMatchObject({ priceSource: 'snapshot', priceDate: '2026-11-01' })
  })

  test('loses what a whole live list leaves out, but not what has a successor, nor to an empty or partial list', () => {
    const gone = { id: 'a/old', retires: '2026-01-01', successor: 'a/m' }
    const catalog = listing('x', [row, { id: 'a/vanished' }, gone], 'snapshot')
    catalog.put('x', { date: '2026-12-01', source: 'live', models: [] })
    catalog.put('x', { date: '2026-12-01', source: 'live', models: [row], partial: true })
    expect(catalog.offer('x', 'a/vanished')).not.toBeNull()
    catalog.put('x', { date: '2026-12-01', source: 'live', models: [row] })
    expect(catalog.offer('x', 'a/vanished')).toBeNull()
    expect(catalog.offer('x', 'a/old')?.successor).toBe('a/m')
  })

  test('adds up when it is the user who says it', () => {
    const catalog = listing('x', [{ id: 'a/m', context: 5 }], 'user')
    catalog.put('x', { date: '2026-12-01', source: 'user', models: [{ id: 'a/m', prices: { input: 1, output: 1 } }] })
    expect(catalog.offer('x', 'a/m')).toMatchObject({ context: 5, prices: { input: 1 } })
  })

  test('has each host’s own offer', () => {
    const catalog = listing('x', [row])
    catalog.putHosts('x', 'a/m', {
      date: '2026-12-01',
      list: [{ host: 'dear', name: 'Dear Inc', prices: { input: 5, output: 6 } }, { host: 'silent' }],
    })
    const [dear, silent] = catalog.offer('x', 'a/m')?.hosts ?? []
    expect(dear).toMatchObject({ host: 'dear', hostName: 'Dear Inc', prices: { input: 5 }, priceDate: '2026-12-01' })
    expect(dear).toMatchObject({ context: 1000 })
    expect(silent).toMatchObject({ prices: null, priceSource: 'unknown' })
  })

  test('is not changed in the caller’s hands, and cannot be changed in ours', () => {
    const prices = { input: 1, output: 2 }
    const catalog = listing('x', [{ id: 'a/m', prices }], 'user')
    expect(Object.isFrozen(catalog.find('a/m')) && Object.isFrozen(catalog.offer('x', 'a/m')?.prices)).toBe(true)
    expect(Object.isFrozen(prices)).toBe(false)
  })
})

describe('retirement', () => {
  test('of a model is when its last offer goes', () => {
    const catalog = listing('x', [{ id: 'a/m', retires: '2026-09-01', successor: 'a/n' }, { id: 'a/n' }])
    expect(catalog.find('a/m').retires).toBe('2026-09-01')
    catalog.put('y', { date: '2026-11-01', source: 'live', models: [{ id: 'a/m' }] })
    expect(catalog.find('a/m').retires).toBeNull()
  })

  test('leads to a successor that is still sold, from the day on, through others that went too', () => {
    const catalog = listing('x', [
      { id: 'a', retires: '2026-01-01', successor: 'b' },
      { id: 'b', retires: '2026-06-01', successor: 'c' },
      { id: 'c' },
    ])
    expect(catalog.successorOf('a', '2025-12-31')).toBeNull()
    expect(catalog.successorOf('a', '2026-01-01')).toBe('b')
    expect(catalog.successorOf('a', '2026-06-01')).toBe('c')
    expect(catalog.successorOf('nowhere', '2026-06-01')).toBeNull()
  })

  test('in a circle leads nowhere', () => {
    const went = { retires: '2026-01-01' }
    const catalog = listing('x', [
      { id: 'a', ...went, successor: 'b' },
      { id: 'b', ...went, successor: 'a' },
    ])
    expect(catalog.successorOf('a', '2026-02-01')).toBeNull()
  })

  test('is lifted by a user whose account keeps the model', () => {
    const catalog = filled()
    expect(catalog.offer('groq', 'meta-llama/llama-3.3-70b-instruct')?.retires).toBe('2026-08-16')
    const models = [{ id: 'llama-3.3-70b-versatile', retires: null }]
    catalog.put('groq', { date: '2026-11-01', source: 'user', models })
    expect(catalog.offer('groq', 'meta-llama/llama-3.3-70b-instruct')?.retires).toBeNull()
  })
})

describe('what a rule may choose from', () => {
  test('holds no guard and no latest name, both of which can be named', () => {
    const catalog = filled()
    const ids = catalog.models().map(({ id }) => id)
    expect(ids).toContain('openai/gpt-oss-20b')
    expect(ids.filter((id) => id.includes('guard') || id.startsWith('~'))).toEqual([])
    expect(catalog.find('meta-llama/llama-prompt-guard-2-22m').guard).toBe(true)
  })

  test('is the same list until something changes', () => {
    const catalog = filled()
    expect(catalog.models()).toBe(catalog.models())
    expect(catalog.offer('groq', 'openai/gpt-oss-20b')).toBe(catalog.offers('gpt-oss-20b')[0])
  })

  test('keeps an unknown ability unknown: one provider that does not say may have it', () => {
    const catalog = listing('x', [{ id: 'm', abilities: ['tools'], input: ['text', 'image'] }])
    expect(catalog.find('m').abilities).toEqual(new Set(['tools']))
    catalog.put('y', { date: '2026-11-01', source: 'live', models: [{ id: 'm' }] })
    expect(catalog.find('m').abilities).toBeNull()
    expect(catalog.find('m').input).toEqual(new Set(['text', 'image']))
  })
})
