import type { Cell } from '../cell.ts'
import { ANSWERS, BEFORE } from './before.ts'

const ALL: readonly Cell[] = [...BEFORE, ...ANSWERS]

/** `MATRIX="stream · a 429"` runs only the cells whose titles hold it. */
const only = process.env.MATRIX

export const CELLS: readonly Cell[] = only === undefined ? ALL : ALL.filter(({ title }) => title.includes(only))
