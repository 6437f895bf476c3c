import type { Cell } from '../cell.ts'
import { AGAIN } from './again.ts'
import { AROUND } from './around.ts'
import { ANSWERS, BEFORE } from './before.ts'
import { DURING } from './during.ts'
import { ENDINGS } from './endings.ts'
import { HEDGES } from './hedges.ts'
import { RULES } from './rules.ts'
import { SHARED } from './shared.ts'
import { SAID } from './vendors.ts'

const ALL: readonly Cell[] = [
  ...BEFORE,
  ...ANSWERS,
  ...DURING,
  ...ENDINGS,
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
