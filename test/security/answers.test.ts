import { format, inspect } from 'node:util'
import { toStandardJsonSchema } from '@valibot/to-json-schema'
import { type } from 'arktype'
import { BadOutputError, createRouter, groq, jsonSchema, RouterError, type RouterEvent, runOf, tool } from 'modelfirst'
import { openaiFetch } from 'modelfirst/http'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type Canaries, canaries, leaks } from '../support/canaries.ts'
import { ALL, type Answering, type Said, twoModels } from '../support/speaking.ts'

type Secrets = Pick<Canaries, 'prompt' | 'system' | 'answer' | 'argument' | 'key' | 'session'>
type Task = Parameters<typeof twoModels>[1]

/** What a log, a console or an error tracker makes of an error. What is asked for by its name is not among it. */
function shown(error: unknown): readonly unknown[] {
  const fields = typeof error === 'object' && error !== null ? { ...error } : error
  return [
    String(error),
    inspect(error, { depth: 9, showHidden: true, getters: true }),
    inspect({ error }, { depth: 9, showHidden: true }),
    format('%s %o %O %j', error, error, error, error),
    JSON.stringify(error),
    JSON.stringify({ error, fields }),
    inspect(fields, { depth: 9 }),
    inspect(structuredClone(error), { depth: 9, showHidden: true }),
    ...(error instanceof Error ? [error.message, error.stack, error.name] : []),
    ...(BadOutputError.is(error) ? [error.issues] : []),
    ...(RouterError.is(error) ? [error.toJSON(), error.attempts, String(error.plan)] : []),
  ]
}

const asked = ({ system, prompt }: Secrets) => ({
  messages: [
    { role: 'system' as const, content: system },
    { role: 'user' as const, content: prompt },
  ],
})

type Made = ReturnType<typeof twoModels>

/** Asks in every way there is: what failed, and all that can be seen of it but the answer itself, asked for by name. */
async function scanned({ router, events, records }: Made, secrets: Secrets) {
  const { session, argument } = secrets
  const look = tool({
    name: 'look',
    input: z.object({ at: z.string() }),
    run: ({ at }) => {
      throw Object.assign(new Error(`${at} ${argument}`), { name: secrets.answer, cause: secrets.prompt })
    },
  })
  const failed = async (promise: Promise<unknown>) => {
    const error: unknown = await promise.then(
      () => null,
      (error: unknown) => error,
    )
    if (!RouterError.is(error)) throw error ?? new Error('it did not fail')
    return error
  }
  const errors = [
    await failed(router.complete('ask', asked(secrets), { session })),
    await failed(router.stream('ask', asked(secrets), { session }).completion),
    await failed(router.run('ask', asked(secrets), { session, tools: [look] })),
  ]
  const body = JSON.stringify({ model: 'task:ask', ...asked(secrets) })
  const answer = await openaiFetch(router)('https://api.openai.com/v1/chat/completions', { method: 'POST', body })
  const plan = await router.plan('ask', asked(secrets), { session })
  return {
    errors,
    told: {
      ...{ shown: errors.map(shown), door: [answer.status, [...answer.headers], await answer.text()] },
      ...{ events, records, kept: router.ledger.records, summary: router.ledger.summary({ by: 'session' }) },
      ...{ plan: [plan, String(plan)], health: router.health() },
    },
  }
}

const SCHEMAS = {
  zod: (_: Secrets) => z.object({ label: z.enum(['a', 'b']), more: z.record(z.string(), z.number()) }),
  'zod, strict': (_: Secrets) => z.strictObject({ label: z.literal('a'), kind: z.union([z.email(), z.iso.date()]) }),
  'zod, with words that quote': (_: Secrets) =>
    z
      .object({ label: z.string(), more: z.looseObject({}) })
      .refine(() => false, { error: ({ input }) => `got ${JSON.stringify(input)}` }),
  'zod, that throws': (_: Secrets) =>
    z.object({ label: z.string().transform((label) => Reflect.apply(Reflect.get({}, label), null, [label])) }),
  'nobody, that rejects': ({ prompt }: Secrets) => ({
    '~standard': {
      ...jsonSchema({ type: 'object' })['~standard'],
      validate: async (value: unknown) => {
        throw Object.assign(new Error(`${prompt} ${JSON.stringify(value)}`), { value })
      },
    },
  }),
  valibot: (_: Secrets) =>
    toStandardJsonSchema(v.strictObject({ label: v.picklist(['a', 'b']), more: v.record(v.string(), v.number()) })),
  arktype: (_: Secrets) => type({ '+': 'reject', label: "'a' | 'b'", more: { '[string]': 'number' } }),
  'JSON Schema': (_: Secrets) =>
    jsonSchema({
      type: 'object',
      properties: { label: { enum: ['a', 'b'] }, more: { additionalProperties: { type: 'number' } } },
      additionalProperties: false,
      required: ['label'],
    }),
} as const

/** Answers that no schema here takes, each in another way. */
const wrong = ({ answer, argument }: Secrets): readonly string[] => [
  JSON.stringify({ label: answer, more: { [argument]: answer }, [argument]: answer }),
  `\`\`\`json\n{"label": "a", "more": {"${answer}": "${argument}"}, "kind": "${answer}"}\n\`\`\``,
  `${answer} {"label": "${argument}`,
  `["${argument}", "${answer}"]`,
  `${answer}.`,
]

const FORMS = { schema: ALL, tool: ['tools'], text: [] } as const

describe('what does not fit is told without what was asked or answered', () => {
  test.each([
    ...(Object.keys(SCHEMAS) as (keyof typeof SCHEMAS)[]).map((name) => ['schema', name] as const),
    ...(['zod', 'JSON Schema'] as const).flatMap((name) => [['tool', name] as const, ['text', name] as const]),
  ])('in the form %s, by a schema of %s', async (form, name) => {
    const abilities = FORMS[form]
    const secrets = canaries()
    const texts = wrong(secrets)
    const made = twoModels(
      ({ n, body }) => {
        const text = texts[n % texts.length] ?? ''
        // A name that nobody has is the model's own text as well.
        return body.tools === undefined
          ? text
          : { calls: [{ name: n % 3 === 0 ? 'give_answer' : secrets.answer, json: text }] }
      },
      { schema: SCHEMAS[name](secrets) },
      { abilities },
    )
    const { errors, told } = await scanned(made, secrets)
    // Whoever can do nothing with tools is not asked for a run.
    const run = form === 'text' ? 'no-offer' : 'bad-output'
    expect(errors.map(({ kind }) => kind)).toEqual(['bad-output', 'bad-output', run])
    expect(leaks(told, secrets)).toEqual([])
  })
})

describe('neither what was asked nor what was answered is told', () => {
  const given: Readonly<Record<string, (secrets: Secrets) => { answering: Answering; task?: Task }>> = {
    'of an answer that its endpoint kept': ({ answer, prompt }) => ({
      answering: () => kept(`Failed to generate JSON: ${answer}, for ${prompt}`, `{"label": "${answer}"`),
      task: { schema: z.object({ label: z.enum(['a', 'b']) }) },
    }),
    'by a bar that quotes': ({ answer, prompt, system }) => ({
      answering: () => answer,
      task: {
        accept: async ({ text, message }) => `${text} ${JSON.stringify(message)} is no answer to ${system}, ${prompt}`,
      },
    }),
    'by a bar that throws': ({ answer, prompt }) => ({
      answering: () => answer,
      task: {
        accept: ({ text }) => {
          const error = new Error(text, { cause: prompt })
          throw Object.assign(error, { name: `${prompt} ${text}`, input: text })
        },
      },
    }),
    'by a bar that gives what it got': ({ answer }) => ({
      answering: () => JSON.stringify({ label: answer }),
      task: {
        schema: z.object({ label: z.string() }),
        accept: ({ data, text }) => `${text}: ${JSON.stringify(data)}`,
      },
    }),
    'of tools that cannot be called so': ({ answer, argument }) => ({
      answering: () => ({ text: answer, calls: [{ name: argument, json: `{"${argument}": "${answer}"}` }] }),
      task: { schema: z.object({ label: z.string() }) },
    }),
    'of a run whose tool fails before its model does': ({ answer, prompt }) => ({
      answering: ({ body }) =>
        JSON.stringify(body).includes('tool_call_id')
          ? { status: 400, body: { error: { message: `cannot read ${JSON.stringify(body)} ${answer}`, code: prompt } } }
          : body.tools === undefined
            ? { status: 400, body: { error: { message: prompt } } }
            : { text: prompt, calls: [{ name: 'look', json: `{"at": "${prompt}"}` }] },
    }),
  }

  test.each(Object.keys(given))('%s', async (name) => {
    const secrets = canaries()
    const { answering, task } = given[name]?.(secrets) ?? { answering: () => '' }
    const { told, errors } = await scanned(twoModels(answering, task), secrets)
    expect(leaks(told, secrets)).toEqual([])
    // What was said is there for whoever asks for it, and hangs on the error all the same.
    if (name.includes('run')) expect(JSON.stringify(runOf(errors[2])?.messages)).toContain(secrets.prompt)
  })
})

test('what an endpoint quotes of an answer that it kept is not told of a stream either, but to its model', async () => {
  const secrets = canaries()
  const { prompt, answer } = secrets
  const { error } = keptError(`attempted to call tool '${answer}' for ${prompt}`, JSON.stringify({ label: answer }))
  const bodies: string[] = []
  const fetch = async (_: unknown, { body }: { readonly body?: unknown } = {}) => {
    bodies.push(String(body))
    return new Response(`data: ${JSON.stringify({ error })}\n\n`, { headers: { 'content-type': 'text/event-stream' } })
  }
  const heard: RouterEvent[] = []
  const router = createRouter({
    providers: [groq({ apiKey: secrets.key, fetch })],
    tasks: { ask: { model: 'openai/gpt-oss-20b', schema: z.object({ label: z.enum(['a', 'b']) }) } },
    on: (event) => void heard.push(event),
  })
  const failed: unknown = await router.stream('ask', asked(secrets)).completion.catch((thrown: unknown) => thrown)
  expect(BadOutputError.is(failed) && failed.issues[0]?.path).toEqual(['label'])
  expect(bodies[1]).toContain(answer)
  expect(leaks({ shown: shown(failed), heard, records: router.ledger.records }, secrets)).toEqual([])
})

function kept(message: string, failed_generation: string): Said {
  return { status: 400, body: keptError(message, failed_generation) }
}

function keptError(message: string, failed_generation: string) {
  return { error: { message, type: 'invalid_request_error', code: 'json_validate_failed', failed_generation } }
}
