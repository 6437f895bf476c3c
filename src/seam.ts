import type { Assembly } from './assembly.ts'
import type { ChatRequest } from './chat.ts'

/**
 * Where a broken text is taken up by another model. The last characters are left out of what it is given: only if it
 * writes exactly those again is it really going on, and not beginning anew or somewhere else.
 */
export interface Seam {
  /** What the new model is given to go on from. */
  readonly kept: string
  /** What it has to write again, unseen. */
  readonly dropped: string
}

const DROPPED = 24

/** `null` where a text cannot be taken up: nothing said yet, inside a tool call, JSON or a code fence. */
export function seamOf(text: string, about: { assembly: Assembly; request: ChatRequest }): Seam | null {
  const { assembly, request } = about
  if (text.trim() === '' || assembly.callsTools) return null
  const format = request.response_format?.type
  if ((format !== undefined && format !== 'text') || /^\s*[{[]/.test(text)) return null
  if (isInFence(text)) return null
  let cut = Math.max(0, text.length - DROPPED)
  // Some providers refuse, others trim, a message that ends in white space; and no character is cut in two.
  while (cut > 0 && (/\s/.test(text[cut - 1] ?? '') || isLowSurrogate(text, cut))) cut -= 1
  return { kept: text.slice(0, cut), dropped: text.slice(cut) }
}

/** The request that asks to go on: the conversation, and the answer as far as it is kept. */
export function continued(request: ChatRequest, { kept }: Seam): ChatRequest {
  if (kept === '') return request
  return { ...request, messages: [...request.messages, { role: 'assistant', content: kept }] }
}

export type Verdict = 'waiting' | 'broken' | 'verified'

/** Compares what comes with what has to come again. */
export function verify({ dropped }: Seam, again: string): Verdict {
  if (again.length < dropped.length) return dropped.startsWith(again) ? 'waiting' : 'broken'
  return again.startsWith(dropped) ? 'verified' : 'broken'
}

/** Quotes and list items may stand in front of a fence; only one of its own kind, no shorter and alone, closes it. */
const FENCE = /^[\s>]*(?:(?:[-*+]|\d+[.)])\s+)*(`{3,}|~{3,})(.*)$/

/** Nobody stands a fence behind more quotes and list items than this. */
const LONGEST_FENCE = 1000

function isInFence(text: string): boolean {
  let open: string | null = null
  for (const line of text.split(/\r\n?|\n/)) {
    const [, fence = '', rest = ''] = FENCE.exec(line.slice(0, LONGEST_FENCE)) ?? []
    if (fence === '') continue
    if (open === null) open = fence
    else if (fence.startsWith(open) && rest.trim() === '') open = null
  }
  return open !== null
}

function isLowSurrogate(text: string, index: number): boolean {
  const code = text.charCodeAt(index)
  return code >= 0xdc00 && code <= 0xdfff
}
