import type { Cell } from '../cell.ts'
import { GIVEN_UP } from './aborts.ts'
import { AGAIN } from './again.ts'
import { AROUND } from './around.ts'
import { ANSWERS, BEFORE } from './before.ts'
import { DURING } from './during.ts'
import { HEDGES } from './hedges.ts'
import { READ } from './reads.ts'
import { RULES } from './rules.ts'
import { SHARED } from './shared.ts'
import { TIMES_UP } from './times.ts'
import { SAID } from './vendors.ts'

const ALL: readonly Cell[] = [
  ...BEFORE,
  ...ANSWERS,
  ...DURING,
  ...GIVEN_UP,
  ...TIMES_UP,
  ...READ,
  ...SAID,
  ...AGAIN,
  ...RULES,
  ...SHARED,
  ...HEDGES,
  ...AROUND,
]

/** `MATRIX="stream · a 429"` runs only the cells whose titles hold it. */
const only = process.env.MATRIX

export const CELLS: readonly Cell[] = only === undefined ? ALL : ALL.filter(({ title }) => title.includes(only))
