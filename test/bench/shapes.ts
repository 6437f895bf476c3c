import { jsonSchema } from 'modelfirst'
import { z } from 'zod'
import { readJson } from '../../src/lenient.ts'
import { type Checked, shapeOf } from '../../src/schema.ts'
import { measure, median } from './measure.ts'

const ROW = z.object({
  id: z.number().int(),
  label: z.enum(['billing', 'bug', 'praise']),
  text: z.string().max(500),
  score: z.number().min(0).max(1),
  tags: z.array(z.string()),
  customer: z.object({ name: z.string(), since: z.string().nullable() }),
})
const TICKETS = z.object({ tickets: z.array(ROW) })

const VALUE = {
  tickets: Array.from({ length: 470 }, (_, n) => ({
    id: n,
    label: (['billing', 'bug', 'praise'] as const)[n % 3],
    text: 'I was charged twice this month, "again", and nobody answers my mails.\nPlease help. ',
    score: (n % 97) / 97,
    tags: ['money', 'mail'],
    customer: { name: `Customer ${n}`, since: n % 2 === 0 ? null : '2024-05-01' },
  })),
}
const PLAIN = JSON.stringify(VALUE)
/** As models wrap it: a sentence, a fence, lines, and a comma too many after each last member. */
const WRAPPED = `Here it is:\n\`\`\`json\n${JSON.stringify(VALUE, null, 1).replace(/([}\]"\d])\n( *)([}\]])/g, '$1,\n$2$3')}\n\`\`\`\nAnything else?`

/** What reading an answer in a shape costs, beside the parsing that nobody can leave out. */
export async function measureShapes({ rounds, calls }: { rounds: number; calls: number }): Promise<string> {
  const own = shapeOf(jsonSchema(z.toJSONSchema(TICKETS, { io: 'input' })), 'bench')
  const theirs = shapeOf(TICKETS, 'bench')
  const read = (text: string): unknown => {
    const result = readJson(text)
    if (!('value' in result)) throw new Error(`not read: ${result.problem}`)
    return result.value
  }
  const passing = async (checked: Checked | Promise<Checked>): Promise<void> => {
    if (!(await checked).ok) throw new Error('does not fit')
  }
  const measured = await measure(
    {
      'JSON.parse': async () => void JSON.parse(PLAIN),
      'read and checked, plain JSON Schema': () => passing(own.check(read(PLAIN))),
      'read and checked, zod': () => passing(theirs.check(read(PLAIN))),
      'repaired and checked, plain JSON Schema': () => passing(own.check(read(WRAPPED))),
      'repaired and checked, zod': () => passing(theirs.check(read(WRAPPED))),
    },
    { rounds, calls, warmup: 50 },
  )
  const [parse] = measured
  const kilobytes = (length: number) => `${(length / 1000).toFixed(0)} kB`
  const lines = measured.map(({ name, cpu }) => {
    const ratio = median(cpu.map((value, round) => value / (parse?.cpu[round] ?? Number.NaN))).toFixed(2)
    return `${name}: ${(median(cpu) / 1000).toFixed(2)} ms of CPU, ${ratio} × JSON.parse`
  })
  return [
    `an answer of ${kilobytes(PLAIN.length)}, or of ${kilobytes(WRAPPED.length)} with what is wrong in it (target 1 ms for 100 kB)`,
    ...lines,
  ].join('\n')
}
