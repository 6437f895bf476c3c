/** Data that leaves us: whoever hears of it first cannot change it for the others. Stops at what is frozen already. */
export function frozen<T>(data: T): T {
  if (typeof data !== 'object' || data === null || Object.isFrozen(data)) return data
  for (const key in data) frozen(data[key])
  return Object.freeze(data)
}
