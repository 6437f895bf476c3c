/** As much of a name as a person reads; the rest says nothing and weighs. */
const LONGEST = 80

/** Controls, marks that turn the direction of what follows, and halves of characters. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|\p{Surrogate}/gu

/**
 * A name as it may be shown. It comes from a file: what steers a terminal, turns the reading direction or cannot be seen
 * at all is replaced, and no name is endless.
 */
export function shown(name: string): string {
  const clipped = name.length > LONGEST ? `${name.slice(0, LONGEST - 1)}…` : name
  const clean = clipped.replace(UNSEEN, '\ufffd').trim()
  return clean === '' ? '(no name)' : clean
}

/** Where it ran, as a policy would name it: a provider, or a host behind one. */
export function placeOf(provider: string | null, host: string | null): string {
  if (provider === null) return '(nowhere)'
  return host === null ? shown(provider) : `${shown(provider)}/${shown(host)}`
}

/** A model at a place. */
export function routeOf(model: string, provider: string | null, host: string | null): string {
  return `${shown(model)} at ${placeOf(provider, host)}`
}
