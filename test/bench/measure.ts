/** Interleaved measuring: machines drift, ratios within a round do not. */
export interface Measured {
  readonly name: string
  /** Per round, µs of CPU and of waiting per call. */
  readonly cpu: readonly number[]
  readonly latency: readonly number[]
}

export async function measure(
  clients: Readonly<Record<string, () => Promise<void>>>,
  { rounds, calls, warmup = 300 }: { rounds: number; calls: number; warmup?: number },
): Promise<readonly Measured[]> {
  const results = Object.keys(clients).map((name) => ({ name, cpu: [] as number[], latency: [] as number[] }))
  for (const run of Object.values(clients)) for (let n = 0; n < warmup; n += 1) await run()
  for (let round = 0; round < rounds; round += 1) {
    for (const result of shuffled(results, round)) {
      const run = clients[result.name]
      if (run === undefined) continue
      globalThis.gc?.()
      // A collection also throws away the compiled code of functions that ended with the last call: that is made again
      // before the clock starts, or every round would measure the compiler.
      for (let n = 0; n < calls / 8; n += 1) await run()
      const latencies: number[] = []
      const before = process.cpuUsage()
      for (let n = 0; n < calls; n += 1) {
        const started = performance.now()
        await run()
        latencies.push((performance.now() - started) * 1000)
      }
      const used = process.cpuUsage(before)
      result.cpu.push((used.user + used.system) / calls)
      result.latency.push(median(latencies))
    }
  }
  return results
}

export function table(results: readonly Measured[], floor: string): string {
  const base = results.find(({ name }) => name === floor)
  const ratio = (values: readonly number[], floors: readonly number[] | undefined) =>
    median(values.map((value, index) => value / (floors?.[index] ?? value))).toFixed(3)
  const rows = results.map(({ name, cpu, latency }) => [
    name,
    median(cpu).toFixed(0),
    ratio(cpu, base?.cpu),
    median(latency).toFixed(0),
    ratio(latency, base?.latency),
  ])
  return columns([['', 'CPU µs', `× ${floor}`, 'p50 µs', `× ${floor}`], ...rows])
}

export function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  '),
    )
    .join('\n')
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

function shuffled<T>(items: readonly T[], round: number): readonly T[] {
  const offset = round % items.length
  const rotated = [...items.slice(offset), ...items.slice(0, offset)]
  return round % 2 === 0 ? rotated : rotated.reverse()
}
