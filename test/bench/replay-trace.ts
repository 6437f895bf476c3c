/**
 * Conversations out of a trace of single calls. A call names its prompt by blocks of 512 tokens; the number of a block
 * stands for all of the prompt up to its end, so that prompts which begin alike share numbers.
 */
export const BLOCK = 512

export interface Turn {
  /** Milliseconds since the trace began. */
  readonly at: number
  readonly prompt: number
  readonly completion: number
  readonly blocks: readonly number[]
  readonly conversation: number
  /** Its place in the conversation, from 0. */
  readonly index: number
  readonly before: Turn | null
}

interface Row {
  readonly timestamp: number
  readonly input_length: number
  readonly output_length: number
  readonly hash_ids: readonly number[]
}

/**
 * All calls in their order. Each goes on with the latest earlier one whose whole prompt it begins with, as long as no
 * other has gone on with it; the first block is everybody's, and makes no conversation.
 */
export function turnsOf(lines: string): readonly Turn[] {
  const ends = new Map<number, Turn[]>()
  let conversations = 0
  return lines
    .trim()
    .split('\n')
    .map((line) => {
      const row: Row = JSON.parse(line)
      const before = takeParent(row, ends)
      const turn: Turn = {
        at: row.timestamp,
        prompt: row.input_length,
        completion: row.output_length,
        blocks: row.hash_ids,
        conversation: before?.conversation ?? conversations++,
        index: before === null ? 0 : before.index + 1,
        before,
      }
      const end = row.hash_ids[wholeBlocks(turn.prompt) - 1]
      if (end !== undefined) ends.set(end, [...(ends.get(end) ?? []), turn])
      return turn
    })
}

/** The last token is always computed: without it there is nothing to answer from. */
export function wholeBlocks(prompt: number): number {
  return Math.floor((prompt - 1) / BLOCK)
}

/** How many blocks two prompts begin with alike. */
export function commonBlocks(one: Turn, other: Turn): number {
  const most = Math.min(one.blocks.length, other.blocks.length)
  let common = 0
  while (common < most && one.blocks[common] === other.blocks[common]) common += 1
  return common
}

function takeParent({ hash_ids: blocks, input_length: prompt }: Row, ends: Map<number, Turn[]>): Turn | null {
  for (let index = blocks.length - 1; index > 0; index -= 1) {
    const able = ends.get(blocks[index] ?? -1)
    const found = able?.findLastIndex((turn) => turn.prompt <= prompt) ?? -1
    if (found >= 0) return able?.splice(found, 1)[0] ?? null
  }
  return null
}
