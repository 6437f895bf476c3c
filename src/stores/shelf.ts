/** Values that end at a time, by key: a bounded number of them, of which the least recently used goes first. */
export interface Shelf<Value> {
  /** Where the value of a key is, which counts as a use; -1: it is not there, or not any more. */
  find(key: string, now: number): number
  valueAt(slot: number): Value | undefined
  endAt(slot: number): number
  put(key: string, value: Value, end: number, now: number): void
  drop(key: string): void
  readonly size: number
}

const NONE = -1
const FIRST_CAPACITY = 16
/** So many of the longest unused are looked at when something new comes: more go than come. */
const SWEPT = 2

/** A power of two. */
const MAPS = 64

/**
 * In columns and not in objects: a million entries are a handful of arrays to the garbage collector, and a time that is
 * not whole takes eight bytes in place of a box. The order of use is a list through two of the columns, so that a read
 * moves an entry without touching the map of keys. That is many maps: one that grows is built anew, and with a million
 * keys in it everybody would wait for that.
 */
export function createShelf<Value>(most: number): Shelf<Value> {
  const maps = Array.from({ length: MAPS }, () => new Map<string, number>())
  const spare = new Map<string, number>()
  let size = 0
  const keys: string[] = []
  const values: (Value | undefined)[] = []
  let ends = new Float64Array(FIRST_CAPACITY)
  let newer = new Int32Array(FIRST_CAPACITY)
  let older = new Int32Array(FIRST_CAPACITY)
  let newest = NONE
  let oldest = NONE
  /** The first of the slots that are free again; each points to the next in `older`. */
  let free = NONE

  /** By its last two characters, which differ in hashes as much as any. */
  function slotsOf(key: string): Map<string, number> {
    const { length } = key
    return maps[(key.charCodeAt(length - 1) * 4 + key.charCodeAt(length - 2)) & (MAPS - 1)] ?? spare
  }
  function unlink(slot: number): void {
    const before = newer[slot] ?? NONE
    const after = older[slot] ?? NONE
    if (before === NONE) newest = after
    else older[before] = after
    if (after === NONE) oldest = before
    else newer[after] = before
  }
  function link(slot: number): void {
    newer[slot] = NONE
    older[slot] = newest
    if (newest === NONE) oldest = slot
    else newer[newest] = slot
    newest = slot
  }
  function release(slot: number): void {
    unlink(slot)
    const key = keys[slot] ?? ''
    slotsOf(key).delete(key)
    size -= 1
    keys[slot] = ''
    values[slot] = undefined
    older[slot] = free
    free = slot
  }
  function vacant(): number {
    if (free !== NONE) {
      const slot = free
      free = older[slot] ?? NONE
      return slot
    }
    if (keys.length === ends.length) {
      const capacity = ends.length * 2
      ends = grown(ends, new Float64Array(capacity))
      newer = grown(newer, new Int32Array(capacity))
      older = grown(older, new Int32Array(capacity))
    }
    return keys.length
  }
  return {
    find(key, now) {
      const slot = slotsOf(key).get(key)
      if (slot === undefined) return NONE
      if ((ends[slot] ?? 0) <= now) {
        release(slot)
        return NONE
      }
      if (slot !== newest) {
        unlink(slot)
        link(slot)
      }
      return slot
    },
    valueAt: (slot) => values[slot],
    endAt: (slot) => ends[slot] ?? 0,
    put(key, value, end, now) {
      const slots = slotsOf(key)
      let slot = slots.get(key)
      if (slot === undefined) {
        for (let swept = 0; swept < SWEPT && oldest !== NONE && (ends[oldest] ?? 0) <= now; swept += 1) release(oldest)
        if (size >= most) release(oldest)
        slot = vacant()
        slots.set(key, slot)
        size += 1
        keys[slot] = key
        link(slot)
      } else if (slot !== newest) {
        unlink(slot)
        link(slot)
      }
      values[slot] = value
      ends[slot] = end
    },
    drop(key) {
      const slot = slotsOf(key).get(key)
      if (slot !== undefined) release(slot)
    },
    get size() {
      return size
    },
  }
}

function grown<Column extends Float64Array | Int32Array>(from: Column, to: Column): Column {
  to.set(from)
  return to
}
