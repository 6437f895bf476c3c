/** Puts a value into a map that forgets, above so many, what was put in longest ago. */
export function keep<Key, Value>(map: Map<Key, Value>, most: number, key: Key, value: Value): Value {
  // A Map keeps the order of insertion: what is put in again is the newest.
  map.delete(key)
  map.set(key, value)
  if (map.size > most) {
    for (const oldest of map.keys()) {
      map.delete(oldest)
      break
    }
  }
  return value
}
