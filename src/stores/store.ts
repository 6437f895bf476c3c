/**
 * Where a router keeps what outlives a call: small texts that live for a while, sums with a limit, and gates that stay
 * closed for a while. One that several processes share makes them one router. Keys hold keyed hashes only, values no
 * content. A store may reject, hang and forget: nobody's call fails for it.
 */
export interface Store {
  /** `null`: nothing is there, or not any more. */
  read(key: string): Promise<string | null>
  write(key: string, value: string, ttlMs: number): Promise<void>
  /**
   * Adds to a sum, in one step for all who share it, and gives the new sum; where that would be above `most`, nothing is
   * added and it gives `null`. A sum is forgotten `ttlMs` after it was begun. `amount` is a whole number, and may be
   * negative: what was set aside and not used is given back, never below 0.
   */
  add(
    key: string,
    amount: number,
    limits: { readonly most: number | null; readonly ttlMs: number },
  ): Promise<number | null>
  /** Closes gates for so many milliseconds from now; one that is closed for longer stays so: the later end counts. */
  close(key: string, gates: Readonly<Record<string, number>>): Promise<void>
  /** How many milliseconds each gate is still closed for; open ones are left out. */
  closed(key: string): Promise<Readonly<Record<string, number>>>
}
