import { createParser } from 'eventsource-parser'

/** No provider's event comes near this; a line that never ends is cut off here. */
const MOST_CHARACTERS = 8 * 1024 * 1024

/** A line that is longer than any event may be. */
export class EventTooLarge extends Error {}

export interface SentEvent {
  readonly data: string
  readonly event?: string | undefined
}

export interface EventReader {
  /** Bytes as they come, cut anywhere: inside a character, a line or an event. */
  feed(bytes: Uint8Array): void
}

/**
 * Bytes become events. An event that is not ended by an empty line is none: a stream that breaks off inside one has
 * not said it.
 */
export function createEventReader(onEvent: (event: SentEvent) => void): EventReader {
  const decoder = new TextDecoder()
  let tooLarge = false
  const parser = createParser({
    onEvent,
    onError: (error) => {
      // Unknown fields and odd `retry` lines are to be ignored, says the standard.
      if (error.type === 'max-buffer-size-exceeded') tooLarge = true
    },
    maxBufferSize: MOST_CHARACTERS,
  })
  let returned = false
  /** The parser looks for the next line end of each kind from every line: of one kind only, that takes linear time. */
  function lines(text: string): string {
    const rest = returned && text.startsWith('\n') ? text.slice(1) : text
    if (text !== '') returned = text.endsWith('\r')
    return rest.includes('\r') ? rest.replace(/\r\n?/g, '\n') : rest
  }
  return {
    feed(bytes) {
      parser.feed(lines(decoder.decode(bytes, { stream: true })))
      if (tooLarge) throw new EventTooLarge(`an event of more than ${MOST_CHARACTERS} characters`)
    },
  }
}
