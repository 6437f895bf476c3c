import { type Fields, fieldsOf, isFields, numberOf, textOf } from './json.ts'

const EFFORTS: Readonly<Record<string, number>> = {
  max: 120,
  xhigh: 108,
  high: 72,
  medium: 40,
  low: 16,
  minimal: 8,
  none: 0,
}
/** They think whether they are asked to or not. */
const ALWAYS_THINKS = /gpt-oss|gpt-5|\/o[134]|-r1|thinking|grok-4|gemini-(2\.5-pro|3)|qwq|minimax-m/

/** How many tokens a model thinks before it answers. */
export function thinkingOf(body: Fields, model: string): number {
  const reasoning = fieldsOf(body.reasoning)
  const effort = textOf(reasoning.effort) ?? textOf(body.reasoning_effort)
  if (effort !== undefined) return EFFORTS[effort] ?? 0
  const budget = numberOf(reasoning.max_tokens)
  if (budget !== undefined) return Math.min(budget, 120)
  if (reasoning.enabled === false) return 0
  const asked = isFields(body.reasoning) || body.include_reasoning === true
  return asked || ALWAYS_THINKS.test(model) ? 40 : 0
}
