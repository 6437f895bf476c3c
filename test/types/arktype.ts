import { type } from 'arktype'
import { createRouter, groq, tool } from 'modelfirst'

/** The same type both ways, so that `any` and a wider type fail as well. */
function same<A, B>(_: (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false): void {}

interface Ticket {
  label: 'bug' | 'billing'
  note?: string
}
const schema = type({ label: "'bug' | 'billing'", 'note?': 'string' })
const router = createRouter({
  providers: [groq()],
  tasks: { ark: { model: 'openai/gpt-oss-20b', schema }, plain: { model: 'openai/gpt-oss-20b' } },
})

const { data } = await router.complete('ark', 'Hello')
same<typeof data, Ticket>(true)
const own = await router.complete('plain', 'Hello', { schema })
same<typeof own.data, Ticket>(true)
// @ts-expect-error there is no such key
console.log(own.data.lable)
for await (const part of router.stream('ark', 'Hello').partial) {
  // @ts-expect-error it may still come
  console.log(part.label.length)
}
const tools = [tool({ name: 'file', input: schema, run: ({ label }) => label })] as const
for (const call of (await router.complete('plain', 'Hello', { tools })).toolCalls)
  same<typeof call.arguments, Ticket>(true)
