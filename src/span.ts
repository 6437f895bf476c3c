import type { Interval } from './money.ts'
import { type PricedTokens, price, ratesFor, type Tariff } from './price.ts'

/** What is known of tokens: a number, or `null` where it may be anything that the others leave room for. */
export interface PartlyKnown {
  readonly prompt: number
  readonly cachedPrompt: number | null
  readonly cacheWrite: number | null
  /** `null`: as many as `maxCompletionTokens` at the most. */
  readonly completion: number | null
  readonly reasoning: number | null
  /** Whether some of what was written may be kept for an hour. */
  readonly mayKeepAnHour: boolean
  readonly audioPrompt: number | null
  readonly audioCompletion: number | null
  readonly imageCompletion: number | null
}

/**
 * The least and the most that tokens can cost of which only some are known. The price is linear in each count, so it
 * is least and most where each unknown one is nothing, or all that the others leave room for. Tokens that are counted
 * both as read and as written may have been either, or both.
 */
export function span(
  asked: Tariff,
  known: PartlyKnown,
  about: { readonly maxCompletionTokens: number | null; readonly utcMinutes: number },
): Interval {
  const completion = known.completion ?? about.maxCompletionTokens
  let low = Number.POSITIVE_INFINITY
  let high = 0
  const prompts = promptsOf(asked, known)
  for (const prompt of prompts) {
    for (const answer of answersOf(asked, known, completion ?? 0)) {
      const { cost } = price(asked, { ...prompt, ...answer }, about.utcMinutes)
      low = Math.min(low, cost)
      high = Math.max(high, cost)
    }
  }
  if (completion !== null) return { low, high }
  const { output, audioOutput = 0, imageOutput = 0, reasoning = 0 } = ratesFor(asked, known.prompt, about.utcMinutes)
  // Any number of free tokens is free.
  return { low, high: Math.max(output, reasoning, audioOutput, imageOutput) === 0 ? high : null }
}

type PromptTokens = Omit<PricedTokens, 'completion' | 'reasoning' | 'audioCompletion' | 'imageCompletion'>
type AnswerTokens = Pick<PricedTokens, 'completion' | 'reasoning' | 'audioCompletion' | 'imageCompletion'>

/** The corners of what the prompt may have been. */
function promptsOf(asked: Tariff, known: PartlyKnown): readonly PromptTokens[] {
  const { prompt, mayKeepAnHour } = known
  const corners: PromptTokens[] = []
  const isHourly = mayKeepAnHour && asked.hourly
  // Sound that was read may have a price where text that was read has none; so may what is kept for an hour.
  const read = openOr(asked.cached || asked.heard, known.cachedPrompt)
  const written = openOr(asked.written || isHourly, known.cacheWrite)
  const sound = asked.heard ? known.audioPrompt : 0
  for (const split of splits({ prompt, read, written, sound: Math.min(sound ?? 0, prompt) })) {
    const hours = isHourly && split.cacheWrite > 0 ? [0, split.cacheWrite] : NONE
    for (const heard of soundsOf(split, { prompt, sound })) {
      for (const cacheWrite1h of hours) corners.push({ prompt, ...split, cacheWrite1h, ...heard })
    }
  }
  return corners
}

type Split = Pick<PricedTokens, 'cachedPrompt' | 'cacheWrite'>
type Sound = Pick<PricedTokens, 'audioPrompt' | 'audioCached'>

/** How much of the sound may have been read, and how much sound there may have been. */
function soundsOf(
  { cachedPrompt, cacheWrite }: Split,
  { prompt, sound }: { readonly prompt: number; readonly sound: number | null },
): readonly Sound[] {
  if (sound === 0) return SILENCE
  const fresh = Math.max(0, prompt - cachedPrompt - cacheWrite)
  if (sound === null) {
    return [
      { audioPrompt: 0, audioCached: 0 },
      { audioPrompt: fresh, audioCached: 0 },
      { audioPrompt: cachedPrompt, audioCached: cachedPrompt },
      { audioPrompt: fresh + cachedPrompt, audioCached: cachedPrompt },
    ]
  }
  return [Math.max(0, sound - fresh), Math.min(sound, cachedPrompt)].map((audioCached) => ({
    audioPrompt: sound,
    audioCached,
  }))
}

const SILENCE: readonly Sound[] = Object.freeze([Object.freeze({ audioPrompt: 0, audioCached: 0 })])

/** The corners of what the answer may have been: one of its unknown parts takes all the room there is, or none does. */
function answersOf(asked: Tariff, known: PartlyKnown, most: number): readonly AnswerTokens[] {
  const reasoning = openOr(asked.reasoned, known.reasoning)
  const audioCompletion = openOr(asked.shown, known.audioCompletion)
  const imageCompletion = openOr(asked.shown, known.imageCompletion)
  const certain = {
    reasoning: reasoning ?? 0,
    audioCompletion: audioCompletion ?? 0,
    imageCompletion: imageCompletion ?? 0,
  }
  const corners: AnswerTokens[] = []
  for (const completion of known.completion === null ? [0, most] : [most]) {
    const { reasoning: thought, audioCompletion: spoken, imageCompletion: drawn } = certain
    const room = Math.max(0, completion - thought - spoken - drawn)
    corners.push({ completion, ...certain })
    if (reasoning === null) corners.push({ completion, ...certain, reasoning: room })
    if (audioCompletion === null) corners.push({ completion, ...certain, audioCompletion: room })
    if (imageCompletion === null) corners.push({ completion, ...certain, imageCompletion: room })
  }
  return corners
}

const NONE: readonly number[] = [0]

/** `null` stays open only where it makes a difference. */
function openOr(matters: boolean, count: number | null): number | null {
  return matters ? count : (count ?? 0)
}

/** How much of a prompt may have been read and how much written: the corners. Sound is read or fresh, never written. */
function splits(about: {
  readonly prompt: number
  readonly read: number | null
  readonly written: number | null
  readonly sound: number
}): readonly Split[] {
  const { prompt, read, written, sound } = about
  const at = (cachedPrompt: number, cacheWrite: number) => ({ cachedPrompt, cacheWrite })
  if (read !== null && written !== null) {
    if (read + written <= prompt) return [at(read, written)]
    // Counted twice: all of both, or each as far as the other leaves room.
    const [kept, made] = [Math.min(read, prompt), Math.min(written, prompt)]
    return [at(kept, made), at(kept, prompt - kept), at(prompt - made, made)]
  }
  const silent = prompt - sound
  if (read !== null) {
    const kept = Math.min(read, prompt)
    return [at(kept, 0), at(kept, Math.min(prompt - kept, silent)), at(kept, Math.max(0, silent - kept))]
  }
  if (written !== null) {
    const made = Math.min(written, prompt)
    const most = prompt - made
    return [at(0, made), at(most, made), at(Math.min(sound, most), made), at(Math.max(0, silent - made), made)]
  }
  return [at(0, 0), at(prompt, 0), at(0, silent), at(sound, 0), at(silent, 0), at(sound, silent)]
}
