import { toStandardJsonSchema } from '@valibot/to-json-schema'
import {
  BadOutputError,
  type Completion,
  createRouter,
  type Draft,
  groq,
  type Issue,
  jsonSchema,
  openrouter,
  type Partially,
  type Schema,
  type TaskPolicy,
  tool,
} from 'modelfirst'
import * as v from 'valibot'
import { z } from 'zod'

/** The same type both ways, so that `any` and a wider type fail as well. */
function same<A, B>(_: (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false): void {}

interface Ticket {
  readonly label: 'bug' | 'billing'
  readonly tags: readonly string[]
}
const ofZod = z.object({
  label: z.enum(['bug', 'billing']),
  urgency: z.number().default(1),
  note: z.string().optional(),
})
const ofValibot = toStandardJsonSchema(
  v.object({ label: v.picklist(['bug', 'billing']), note: v.optional(v.string()) }),
)
const ofJson = jsonSchema<Ticket>({ type: 'object' })

const router = createRouter({
  providers: [groq(), openrouter()],
  tasks: {
    zod: { model: 'openai/gpt-oss-20b', schema: ofZod },
    valibot: { model: 'openai/gpt-oss-20b', schema: ofValibot },
    json: { model: ['openai/gpt-oss-20b', 'openai/gpt-oss-120b'], schema: ofJson, accept: () => true },
    list: { model: 'openai/gpt-oss-20b', schema: z.array(z.union([z.string(), z.number()])) },
    inline: { model: 'openai/gpt-oss-20b', schema: z.object({ ok: z.boolean() }) },
    plain: { model: 'openai/gpt-oss-20b' },
  },
})

// The data is what comes out of the schema of the task, whoever wrote the schema.
const { data, text } = await router.complete('zod', 'Hello')
same<typeof data, { label: 'bug' | 'billing'; urgency: number; note?: string | undefined }>(true)
same<typeof text, string>(true)
const fromValibot = await router.complete('valibot', 'Hello')
same<typeof fromValibot.data, { label: 'bug' | 'billing'; note?: string | undefined }>(true)
const fromJson = await router.complete('json', 'Hello')
same<typeof fromJson.data, Ticket>(true)
const list = await router.complete('list', 'Hello')
same<typeof list.data, (string | number)[]>(true)
const inline = await router.session('customer').complete('inline', 'Hello')
same<typeof inline.data, { ok: boolean }>(true)

// What a plain JSON Schema lets pass is what you say it is, and nothing is known of it until you do.
const anything = await router.complete('plain', 'Hello', { schema: jsonSchema({ type: 'object' }) })
same<typeof anything.data, unknown>(true)

// A call's own schema stands above that of its task.
const over = await router.complete('zod', 'Hello', { schema: ofJson })
same<typeof over.data, Ticket>(true)
const own = await router.complete('plain', 'Hello', { schema: ofZod, session: 'customer', limits: { attempts: 1 } })
same<typeof own.data.urgency, number>(true)
const ownValibot = await router.session('customer').complete('plain', 'Hello', { schema: ofValibot })
same<typeof ownValibot.data.note, string | undefined>(true)
// A schema that is left out leaves the task's.
const left = await router.complete('zod', 'Hello', { schema: undefined })
same<typeof left.data, typeof data>(true)

// Without a schema there is none.
const plain = await router.complete('plain', 'Hello')
same<typeof plain.data, null>(true)
// A policy in the place of a task is a task.
const asked = await router.complete({ model: 'openai/gpt-5', schema: ofZod }, 'Hello')
same<typeof asked.data, typeof data>(true)
const bare = await router.complete({ model: 'openai/gpt-5' }, 'Hello')
same<typeof bare.data, null>(true)
// Of a policy that was written elsewhere it is not known whether it has one.
const elsewhere: TaskPolicy = { model: 'openai/gpt-5', schema: ofZod }
same<Awaited<ReturnType<typeof hidden>>['data'], unknown>(true)
const hidden = () => router.complete(elsewhere, 'Hello')

// Any completion is a completion, and the type says what is in it.
const wide: Completion = own
const narrow: Completion<Ticket> = fromJson
console.log(wide.text, narrow.data.tags)
// @ts-expect-error another shape is another type
const crossed: Completion<Ticket> = inline
void crossed

// A key that is not there.
// @ts-expect-error there is no such key
console.log(data.lable)
// @ts-expect-error nor is the data of another task there
console.log(inline.data.label)
// @ts-expect-error a note may be missing
console.log(data.note.length)
// @ts-expect-error without a schema there is nothing to read
console.log(plain.data.label)
// @ts-expect-error what a completion holds is not put in its place
own.data = data

// As it grows, any part of it may be missing yet; what is there has its type.
for await (const part of router.stream('zod', 'Hello').partial) {
  same<typeof part.label, string | undefined>(true)
  // @ts-expect-error it may still come
  console.log(part.urgency.toFixed())
  // @ts-expect-error there is no such key
  console.log(part.lable)
}
for await (const part of router.stream('json', 'Hello').partial)
  same<typeof part.tags, readonly string[] | undefined>(true)
const deep = z.object({ customer: z.object({ name: z.string() }), items: z.array(z.object({ n: z.number() })) })
for await (const part of router.stream('plain', 'Hello', { schema: deep }).partial) {
  same<typeof part.customer, { readonly name?: string } | undefined>(true)
  same<typeof part.items, readonly { readonly n?: number }[] | undefined>(true)
  // @ts-expect-error its parts as well
  console.log(part.items[0].n)
  // @ts-expect-error it is not to be changed
  part.customer = { name: 'Ann' }
}
same<Partially<(string | null)[]>, readonly (string | null)[]>(true)
same<(typeof streamed)['data'], typeof data>(true)
const streamed = await router.stream('zod', 'Hello').completion

// The bar.
const bar = (accept: TaskPolicy['accept']) =>
  createRouter({ providers: [groq()], tasks: { ask: { model: 'openai/gpt-oss-20b', accept } } })
bar(() => true)
bar(({ text }) => text.length > 3 || 'too short')
bar(async ({ data, finish, model, attempt }) => {
  same<typeof data, unknown>(true)
  same<typeof model, string>(true)
  return finish.reason === 'stop' && attempt.n > 0 ? true : 'not finished'
})
const kind: TaskPolicy['accept'] = (draft: Draft) => draft.text !== '' || 'empty'
bar(kind)
// @ts-expect-error a bar gives a reason
bar(() => false)
// @ts-expect-error so does one that takes its time
bar(async ({ text }) => text !== '')
// @ts-expect-error it says something
bar(() => {})
// @ts-expect-error a pattern is no bar
bar(/yes/)
// @ts-expect-error an answer that nobody has taken has no bill yet
bar(({ usage }) => usage !== null || 'no')

// It is shown what the schema of its task makes of an answer, wherever it stands in the policy.
createRouter({
  providers: [groq(), openrouter()],
  tasks: {
    zod: {
      model: 'openai/gpt-oss-20b',
      schema: ofZod,
      accept({ data }) {
        same<typeof data, { label: 'bug' | 'billing'; urgency: number; note?: string | undefined }>(true)
        return data.urgency < 5 || 'too urgent for a small one'
      },
    },
    before: {
      accept: async ({ data, text }) => data.tags.length > 0 || text,
      provider: (offers) => [...offers].reverse(),
      model: ['openai/gpt-oss-20b', 'openai/gpt-oss-120b'],
      schema: ofJson,
    },
    valibot: { model: 'openai/gpt-oss-20b', schema: ofValibot, accept: ({ data }) => data.label === 'bug' || 'no bug' },
    named: {
      model: 'openai/gpt-oss-20b',
      schema: ofJson,
      accept: (draft: Draft<Ticket>) => draft.data.label === 'bug' || 'no',
    },
    plain: {
      model: 'openai/gpt-oss-20b',
      accept({ data, text }) {
        same<typeof data, null>(true)
        return text !== '' || 'empty'
      },
    },
  },
})
createRouter({
  providers: [groq()],
  // @ts-expect-error there is no such key
  tasks: { ask: { model: 'openai/gpt-oss-20b', schema: ofZod, accept: ({ data }) => data.lable === 'bug' || 'no' } },
})
createRouter({
  providers: [groq()],
  tasks: {
    // @ts-expect-error the answers are of another shape
    ask: { model: 'openai/gpt-oss-20b', schema: ofZod, accept: (draft: Draft<number>) => draft.data > 1 || 'no' },
  },
})
const written = {
  model: 'openai/gpt-oss-20b',
  schema: ofJson,
  accept: ({ data }: Draft<Ticket>) => data.tags.length > 0 || 'no tags',
} satisfies TaskPolicy
createRouter({ providers: [groq()], tasks: { written } })
await router.complete(written, 'Hello')

// What is written while it grows is what the model writes, not yet what the schema makes of it.
const dated = z.object({ at: z.string().transform((text) => new Date(text)) })
for await (const { at } of router.stream('plain', 'Hello', { schema: dated }).partial)
  same<typeof at, string | undefined>(true)
same<Awaited<ReturnType<typeof when>>, Date>(true)
const when = async () => (await router.complete('plain', 'Hello', { schema: dated })).data.at

// With tools, they may be called first: then there is no answer yet.
const look = tool({ name: 'look', input: ofJson })
const looked = await router.complete('zod', 'Hello', { tools: [look] })
same<typeof looked.data, typeof data | null>(true)
// @ts-expect-error it may still come
console.log(looked.data.label)

// What is no schema.
// @ts-expect-error a bare JSON Schema is wrapped in jsonSchema()
router.complete('plain', 'Hello', { schema: { type: 'object' } })
// @ts-expect-error nor is the name of a type one
router.complete('plain', 'Hello', { schema: 'object' })
// @ts-expect-error a function that checks is none
router.complete('plain', 'Hello', { schema: (value: unknown) => value === 1 })
// @ts-expect-error nor is an example of the data
createRouter({ providers: [groq()], tasks: { ask: { model: 'openai/gpt-oss-20b', schema: { label: 'bug' } } } })
// @ts-expect-error nor is a type
createRouter({ providers: [groq()], tasks: { ask: { model: 'openai/gpt-oss-20b', schema: String } } })
// @ts-expect-error a JSON Schema is an object
jsonSchema('object')

// The inputs of tools, whoever wrote their schemas.
const tools = [
  tool({ name: 'zod', input: ofZod, run: ({ urgency }) => urgency }),
  tool({ name: 'valibot', input: ofValibot, run: ({ note }) => note ?? 'none' }),
  tool({ name: 'json', input: ofJson }),
] as const
const { toolCalls } = await router.complete('inline', 'Hello', { tools })
for (const call of toolCalls) {
  if (call.name === 'zod') same<typeof call.arguments, typeof data>(true)
  if (call.name === 'valibot') same<typeof call.arguments.note, string | undefined>(true)
  if (call.name === 'json') same<typeof call.arguments, Ticket>(true)
  // @ts-expect-error no tool is called this
  if (call.name === 'yup') console.log(call)
}

// What did not fit.
const error: unknown = null
if (BadOutputError.is(error)) {
  same<typeof error.issues, readonly Issue[]>(true)
  same<Issue['path'], readonly (string | number)[]>(true)
  same<typeof error.text, string>(true)
  // @ts-expect-error what did not fit has no data
  console.log(error.data)
}

// A function over any schema keeps the type.
export async function ask<S extends Schema>(schema: S) {
  return (await router.complete('plain', 'Hello', { schema })).data
}
same<Awaited<ReturnType<typeof ask<typeof ofJson>>>, Ticket>(true)
