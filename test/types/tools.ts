import {
  type CallOf,
  createRouter,
  groq,
  jsonSchema,
  type Run,
  runOf,
  type StoppedRun,
  type Tool,
  type TypedCall,
  tool,
} from 'modelfirst'
import { z } from 'zod'

const router = createRouter({
  providers: [groq()],
  tasks: {
    reply: { model: 'openai/gpt-oss-120b' },
    sort: { model: 'openai/gpt-oss-20b', schema: z.object({ label: z.string() }) },
  },
})

/** The same type both ways, so that `any` and a wider type fail as well. */
function same<A, B>(_: (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false): void {}

// The arguments of a tool are its schema's output.
const weather = tool({
  name: 'weather',
  description: 'The weather in a city, now.',
  input: z.object({ city: z.string(), days: z.number().default(1) }),
  run: async (args, context) => {
    same<typeof args, { city: string; days: number }>(true)
    same<typeof context.callId, string>(true)
    same<typeof context.signal, AbortSignal>(true)
    same<typeof context.step, number>(true)
    return { celsius: 21 }
  },
})
same<typeof weather, Tool<'weather', { city: string; days: number }, { celsius: number }>>(true)
const parcel = tool({ name: 'find_parcel', input: jsonSchema<{ id: string }>({ type: 'object' }), run: ({ id }) => id })
same<typeof parcel, Tool<'find_parcel', { id: string }, string>>(true)
// Without a run it is handed over.
const pay = tool({ name: 'pay', input: z.object({ usd: z.coerce.number() }), timeoutMs: 5000 })
same<typeof pay, Tool<'pay', { usd: number }, never>>(true)

// @ts-expect-error a tool has a name
tool({ input: z.object({}) })
// @ts-expect-error and a schema
tool({ name: 'x' })
// @ts-expect-error which is no bare JSON Schema
tool({ name: 'x', input: { type: 'object' } })
// @ts-expect-error it gets what its schema gives, and nothing else
tool({ name: 'x', input: z.object({ city: z.string() }), run: ({ town }) => town })
// @ts-expect-error a number has no letters
tool({ name: 'x', input: z.object({ n: z.number() }), run: ({ n }) => n.toUpperCase() })
// @ts-expect-error it is called run
tool({ name: 'x', input: z.object({}), execute: () => 1 })
// @ts-expect-error a tool cannot be changed
weather.name = 'climate'

// What is called tells which arguments it has.
type Call = CallOf<readonly [typeof weather, typeof parcel, typeof pay]>
same<Call['name'], 'weather' | 'find_parcel' | 'pay'>(true)
export function read(call: Call): string {
  switch (call.name) {
    case 'weather':
      same<typeof call.arguments, { city: string; days: number }>(true)
      return call.arguments.city
    case 'find_parcel':
      return call.arguments.id
    case 'pay':
      // @ts-expect-error it is a number of dollars
      return call.arguments.usd
  }
}
// Of tools that nobody knows, nobody knows the arguments.
same<CallOf<readonly Tool[]>['arguments'], unknown>(true)

const tools = [weather, parcel, pay] as const
const completion = await router.complete('reply', 'Hello', { tools })
same<(typeof completion.toolCalls)[number]['name'], 'weather' | 'find_parcel' | 'pay'>(true)

const run = await router.run('reply', 'Hello', { tools, maxSteps: 3, session: 'customer' })
same<(typeof run.calls)[number]['name'], 'weather' | 'find_parcel' | 'pay'>(true)
same<typeof run.ended, 'answer' | 'steps' | 'handed-over'>(true)
same<typeof run.usage.cost.usd, number | null>(true)
same<typeof run.usage.calls, number>(true)
const wide: Run = run
const call: TypedCall | undefined = run.calls[0]
console.log(wide.text, call?.json)
// Without `as const` it is the same.
const direct = await router.session('customer').run('reply', 'Hello', { tools: [weather, pay] })
same<(typeof direct.calls)[number]['name'], 'weather' | 'pay'>(true)

// Only an answer has the shape of its task.
const sorted = await router.run('sort', 'Hello', { tools })
if (sorted.ended === 'answer') same<typeof sorted.data, { label: string }>(true)
else same<typeof sorted.data, null>(true)
// @ts-expect-error there may be none
sorted.data.label
const other = await router.run('reply', 'Hello', { tools, schema: z.object({ ok: z.boolean() }) })
if (other.ended === 'answer') same<typeof other.data, { ok: boolean }>(true)

// The history goes on.
router.complete('reply', [...run.messages, { role: 'user', content: 'And now?' }])
// @ts-expect-error what was said is not to be changed
run.messages.push({ role: 'user', content: 'Hello' })
// @ts-expect-error a run has tools
router.run('reply', 'Hello')
// @ts-expect-error in a list
router.run('reply', 'Hello', { tools: weather })
// @ts-expect-error steps are a number
router.run('reply', 'Hello', { tools, maxSteps: 'three' })
// @ts-expect-error there is no task of this name
router.run('replay', 'Hello', { tools })
// @ts-expect-error only a run has steps
router.complete('reply', 'Hello', { tools, maxSteps: 3 })

same<ReturnType<typeof runOf>, StoppedRun | null>(true)
// @ts-expect-error there may have been none
runOf(new Error('no')).steps
