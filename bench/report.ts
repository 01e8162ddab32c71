import { cpus } from 'node:os'
import type { Measured, Remembered, Sample } from './results.ts'

export type Machine = {
  cores: number
  cpu: string
  node: string
  postgres: string
  fsync: string
  synchronousCommit: string
}

export function describeMachine(settings: Record<string, string>): Machine {
  return {
    cores: cpus().length,
    cpu: cpus()[0]?.model ?? 'unknown',
    node: process.version,
    postgres: settings['version'] ?? '',
    fsync: settings['fsync'] ?? '',
    synchronousCommit: settings['synchronous_commit'] ?? '',
  }
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

/** Summarizes the rounds of one operation: one list of samples a target, in the order of the targets. */
export function summarize(operation: string, targets: string[], rounds: Sample[][]): Measured[] {
  const baseline = rounds[0] ?? []
  return targets.map((target, index) => {
    const samples = rounds[index] ?? []
    const of = (name: keyof Sample) => median(samples.map((sample) => sample[name]))
    const ratios = samples.map(({ perSecond }, round) => perSecond / (baseline[round]?.perSecond ?? Number.NaN))
    return {
      operation,
      target,
      requests: samples.reduce((sum, sample) => sum + sample.requests, 0),
      perSecond: of('perSecond'),
      p50Ms: of('p50Ms'),
      p99Ms: of('p99Ms'),
      cpuMsPerRequest: of('cpuMsPerRequest'),
      statementsPerRequest: of('statementsPerRequest'),
      ratio: { median: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) },
    }
  })
}

/** Returns the results as a table for people. */
export function toTable(measured: Measured[], machine: Machine): string {
  const header = ['', '', 'req/s', 'p50 ms', 'p99 ms', 'ratio', 'of rounds', 'round trips', 'server CPU ms', 'requests']
  const lines = measured.map((row, index) => [
    measured[index - 1]?.operation === row.operation ? '' : row.operation,
    row.target,
    row.perSecond.toFixed(0),
    row.p50Ms.toFixed(1),
    row.p99Ms.toFixed(1),
    row.ratio.median.toFixed(2),
    `${row.ratio.least.toFixed(2)}–${row.ratio.most.toFixed(2)}`,
    row.statementsPerRequest.toFixed(2),
    row.cpuMsPerRequest.toFixed(3),
    String(row.requests),
  ])
  return [aligned([header, ...lines], 2), '', describe(machine)].join('\n')
}

/** Returns the memory of servers after each round, in megabytes, as a table for people. */
export function toMemoryTable(remembered: Remembered[]): string {
  const rounds = remembered[0]?.memory.map((_, round) => (round === 0 ? 'first' : String(round))) ?? []
  const megabytes = (bytes: number) => (bytes / 2 ** 20).toFixed(1)
  const lines = remembered.flatMap(({ target, memory }) => [
    [target, 'heap in use', ...memory.map(({ heapUsed }) => megabytes(heapUsed))],
    ['', 'resident', ...memory.map(({ rss }) => megabytes(rss))],
  ])
  return aligned([['MB after round', '', ...rounds], ...lines], 2)
}

function aligned(rows: string[][], leftColumns: number): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  const pad = (cell: string, column: number) =>
    (column < leftColumns ? cell.padEnd : cell.padStart).call(cell, widths[column] ?? 0)
  return rows.map((row) => row.map(pad).join('  ').trimEnd()).join('\n')
}

function describe({ cores, cpu, node, postgres, fsync, synchronousCommit }: Machine): string {
  return [
    `${cores} cores (${cpu}) for the generator, the server and PostgreSQL together; Node.js ${node}`,
    `${postgres}; fsync ${fsync}, synchronous_commit ${synchronousCommit}`,
  ].join('\n')
}
