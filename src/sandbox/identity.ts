import { seeded } from './seeded.ts'

/** Ids that look like the providers' own, the same for the same seed. */
export interface Identity {
  uuid(): string
  /** Letters and digits. */
  word(length: number): string
  number(below: number): number
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'

export function createIdentity(seed: number): Identity {
  const random = seeded(seed)
  const number = (below: number) => Math.floor(random() * below)
  const hex = (length: number) =>
    number(16 ** length)
      .toString(16)
      .padStart(length, '0')
  return {
    number,
    uuid: () => `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(8)}${hex(4)}`,
    word: (length) => Array.from({ length }, () => LETTERS.charAt(number(LETTERS.length))).join(''),
  }
}
