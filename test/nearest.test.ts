import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nearest } from '../src/nearest.ts'
import { runs } from './support/runs.ts'

const OPTIONS = ['model', 'provider', 'session', 'limits', 'fallback', 'schema', 'hedge', 'request']
const MODELS = ['openai/gpt-oss-20b', 'openai/gpt-oss-120b', 'anthropic/claude-sonnet-4.5', 'z-ai/glm-4.6']

describe('the nearest names', () => {
  test('are found through one slip of any sort', () => {
    expect(nearest('provdier', OPTIONS)[0]).toBe('provider')
    expect(nearest('modle', OPTIONS)[0]).toBe('model')
    expect(nearest('limit', OPTIONS)[0]).toBe('limits')
    expect(nearest('sesssion', OPTIONS)[0]).toBe('session')
    expect(nearest('Schema', OPTIONS)[0]).toBe('schema')
    expect(nearest('tpo', ['top', 'tap'])).toEqual(['top'])
  })

  test('are found without the author, and by a part of the name', () => {
    expect(nearest('gpt-oss-20', MODELS)[0]).toBe('openai/gpt-oss-20b')
    expect(nearest('sonnet', MODELS)).toEqual(['anthropic/claude-sonnet-4.5'])
  })

  test('are none when nothing is near', () => {
    expect(nearest('temperature', OPTIONS)).toEqual([])
    expect(nearest('', OPTIONS)).toEqual([])
    expect(nearest('model', [])).toEqual([])
  })

  test('come closest first, no more than asked for', () => {
    expect(nearest('openai/gpt-oss-20c', MODELS, 1)).toEqual(['openai/gpt-oss-20b'])
    expect(nearest('openai/gpt-oss-20c', MODELS)).toEqual(['openai/gpt-oss-20b', 'openai/gpt-oss-120b'])
  })

  test('begin with the name itself when it is there', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ minLength: 1, maxLength: 60 }), { minLength: 1 }), (names) => {
        const [name = ''] = names
        expect(nearest(name, names, 1)[0]?.toLowerCase()).toBe(name.toLowerCase())
      }),
      runs(),
    )
  })

  test('come back even when the name is absurdly long', () => {
    expect(nearest('x'.repeat(1e6), MODELS)).toEqual([])
  })
})
