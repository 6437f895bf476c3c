import type { Taste } from './strict.ts'

const STRUCTURE = ['type', 'properties', 'required', 'additionalProperties', 'items', 'anyOf', 'enum', 'description']
const REFERENCES = ['$ref', '$defs']
const NUMBERS = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf']

/**
 * OpenAI's strict schemas, which others have taken over (https://platform.openai.com/docs/guides/structured-outputs):
 * every property is required, every object closed.
 */
export const OPENAI: Taste = Object.freeze({
  words: new Set([...STRUCTURE, ...REFERENCES, ...NUMBERS, 'const', 'pattern', 'format', 'minItems', 'maxItems']),
  formats: new Set(['date-time', 'time', 'date', 'duration', 'email', 'hostname', 'ipv4', 'ipv6', 'uuid']),
  allRequired: true,
  closed: true,
  recursive: true,
  most: Object.freeze({ depth: 10, properties: 5000, enumValues: 1000, characters: 120_000 }),
})

/**
 * Anthropic's (https://platform.claude.com/docs/en/build-with-claude/structured-outputs): optional properties may stay
 * optional, but not many of them; no limits on numbers and lengths, and no recursion.
 */
export const ANTHROPIC: Taste = Object.freeze({
  words: new Set([...STRUCTURE, ...REFERENCES, 'const', 'default', 'title', 'format', 'pattern']),
  formats: new Set(['date-time', 'time', 'date', 'duration', 'email', 'hostname', 'uri', 'ipv4', 'ipv6', 'uuid']),
  allRequired: false,
  closed: true,
  recursive: false,
  most: Object.freeze({ optional: 24, unions: 16 }),
})

/** Gemini's (https://ai.google.dev/gemini-api/docs/structured-output): short of words, and optional stays optional. */
export const GOOGLE: Taste = Object.freeze({
  words: new Set([
    ...STRUCTURE.filter((word) => word !== 'additionalProperties'),
    ...['title', 'format', 'minimum', 'maximum', 'minItems', 'maxItems'],
  ]),
  formats: new Set(['date-time', 'date', 'time']),
  allRequired: false,
  closed: false,
  recursive: false,
})
