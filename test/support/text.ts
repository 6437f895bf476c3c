import fc from 'fast-check'

/**
 * Any text: every code point there is, as `fc.string({ unit: 'binary' })` has them. That one first builds a table of
 * all of them, a million entries, which takes seconds in each process.
 */
export function anyText(
  length: { readonly minLength?: number; readonly maxLength?: number } = {},
): fc.Arbitrary<string> {
  return fc.array(point, length).map((points) => String.fromCodePoint(...points))
}

const SURROGATES = { first: 0xd800, count: 0x800 }
/** All but the halves of pairs. Small ones come more often, and what fails ends there. */
const point = fc.oneof(
  { weight: 1, arbitrary: fc.nat(0x7f) },
  {
    weight: 3,
    arbitrary: fc.nat(0x10ffff - SURROGATES.count).map((n) => (n < SURROGATES.first ? n : n + SURROGATES.count)),
  },
)
