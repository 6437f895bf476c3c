/** Programs of the size that editors meet, which differ in nothing but what is measured. */
export interface Sized {
  readonly tasks: number
  readonly tools: number
}

type Part = (n: number) => string

const times = (count: number, part: Part): string => Array.from({ length: count }, (_, n) => part(n)).join('\n')

/** As schemas in applications are: nested, with choices, lists, and what may be left out. No two have the same keys. */
const schema: Part = (n) => `z.object({
  id${n}: z.string(),
  label: z.enum(['billing${n}', 'bug${n}', 'praise${n}', 'other']),
  urgency: z.number().int().min(0).max(5),
  note: z.string().optional(),
  customer: z.object({ name: z.string(), mail: z.email().nullable(), since${n}: z.string() }),
  items: z.array(z.object({ sku: z.string(), count: z.number(), price${n}: z.number().optional() })),
})`

const shapes = (name: string, count: number) => times(count, (n) => `const ${name}${n} = ${schema(n)}`)

const router = ({ tasks }: Sized, task: Part) => `
const router = createRouter({
  providers: [groq(), openrouter()],
  tasks: {
${times(tasks, (n) => `    task${n}: { model: ['openai/gpt-oss-20b', 'openai/gpt-oss-120b']${task(n)} },`)}
  },
})`

const reading = (of: Part): Part => {
  return (n) => `console.log(${of(n)}.label, ${of(n)}.customer.since${n}, ${of(n)}.items[0]?.price${n})`
}

/** Tasks that have no shape. */
export const plain = (size: Sized): string => `import { createRouter, groq, openrouter } from 'modelfirst'
${router(size, () => '')}
${times(size.tasks, (n) => `const answer${n} = await router.complete('task${n}', 'Hello')\nconsole.log(answer${n}.text)`)}
`

const inferred = ({ tasks, tools }: Sized) => `${shapes('answer', tasks)}
${shapes('input', tools)}
${times(tasks, (n) => `declare const data${n}: z.infer<typeof answer${n}>\n${reading((n) => `data${n}`)(n)}`)}
${times(tools, (n) => `declare const given${n}: z.infer<typeof input${n}>\n${reading((n) => `given${n}`)(n)}`)}
`

/** The schemas alone. */
export const alone = (size: Sized): string => `import { z } from 'zod'\n${inferred(size)}`

/** The schemas, and tasks that know nothing of them. */
export const apart = (size: Sized): string => `import { createRouter, groq, openrouter } from 'modelfirst'
import { z } from 'zod'
${inferred(size)}
${router(size, () => '')}
${times(size.tasks, (n) => `console.log((await router.complete('task${n}', 'Hello')).text)`)}
`

/** Tasks and tools with these schemas. The last line is one that somebody is writing. */
export const shaped = ({
  tasks,
  tools,
}: Sized): string => `import { createRouter, groq, openrouter, tool } from 'modelfirst'
import { z } from 'zod'
${shapes('answer', tasks)}
${shapes('input', tools)}
${router({ tasks, tools }, (n) => `, schema: answer${n}`)}
${times(tasks, (n) => `const { data: data${n} } = await router.complete('task${n}', 'Hello')\n${reading((n) => `data${n}`)(n)}`)}
${times(tools, (n) => `const tool${n} = tool({ name: 'tool${n}', input: input${n}, run: (given) => given.items.length })`)}
const tools = [${Array.from({ length: tools }, (_, n) => `tool${n}`).join(', ')}]
const run = await router.run('task0', 'Hello', { tools })
for (const call of run.calls) {
  switch (call.name) {
${times(tools, (n) => `    case 'tool${n}': ${reading(() => 'call.arguments')(n)}; break`)}
  }
}
`
