/** What ends a command: one line that says what is wrong and what to do. */
export class Problem extends Error {
  /** 1: it could not be done; 2: it was asked for wrongly. */
  readonly code: 1 | 2

  constructor(message: string, code: 1 | 2) {
    super(message)
    this.name = 'Problem'
    this.code = code
  }
}
