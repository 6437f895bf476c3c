/** What was proven, line by line, and how much of it was not. */
export interface Report {
  check(what: string, prove: () => string | undefined | Promise<string | undefined>): Promise<boolean>
  skip(what: string, why: string): void
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

export function createReport(write: (line: string) => void): Report {
  let passed = 0
  let failed = 0
  let skipped = 0
  return {
    async check(what, prove) {
      try {
        const details = await prove()
        passed += 1
        write(`ok      ${what}${details === undefined ? '' : `: ${details}`}`)
        return true
      } catch (error) {
        failed += 1
        write(`FAILED  ${what}`)
        write(String(error instanceof Error ? error.message : error).replace(/^/gm, '          '))
        return false
      }
    },
    skip(what, why) {
      skipped += 1
      write(`skipped ${what}: ${why}`)
    },
    get passed() {
      return passed
    },
    get failed() {
      return failed
    },
    get skipped() {
      return skipped
    },
  }
}
