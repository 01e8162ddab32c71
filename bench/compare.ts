import type { ChildProcess } from 'node:child_process'
import { ask } from './ask.ts'
import type { Bounds, Job, Slice } from './load.ts'
import type { Memory } from './meter.ts'
import { operations } from './operations.ts'
import { summarize } from './report.ts'
import type { Measured, Remembered, Sample } from './results.ts'
import type { Target } from './targets.ts'

export type Effort = Bounds & { rounds: number; connections: number }

async function slice(generator: ChildProcess, target: Target, operation: string, effort: Effort): Promise<Sample> {
  const { connections, requests, seconds } = effort
  const codes = await target.mint(operations[operation]?.codes({ connections, requests }) ?? 0)
  const { port, cookies, machines } = target
  const job: Job = { operation, server: { port, cookies, machines }, codes, connections }
  await ask(generator, { prepare: job })
  const before = await target.usage()
  const measured = await ask<Slice>(generator, { measure: { requests, seconds } satisfies Bounds })
  const after = await target.usage()
  return {
    ...measured,
    cpuMsPerRequest: (after.cpuMs - before.cpuMs) / measured.requests,
    statementsPerRequest: (after.statements - before.statements) / measured.requests,
  }
}

/**
 * Measures one operation at all targets in turn, so that anything that slows the machine slows them alike. After each
 * slice `observe` looks at the target, also after the slices of the first round, which do not count.
 */
export async function compare(
  generator: ChildProcess,
  targets: Target[],
  operation: string,
  effort: Effort,
  observe: (target: Target) => Promise<void> = async () => {},
): Promise<Measured[]> {
  const rounds: Sample[][] = targets.map(() => [])
  for (let round = 0; round <= effort.rounds; round++) {
    for (const [index, target] of targets.entries()) {
      const sample = await slice(generator, target, operation, effort)
      if (round > 0) rounds[index]?.push(sample)
      await observe(target)
    }
  }
  const names = targets.map(({ name }) => name)
  return summarize(operation, names, rounds)
}

/** Measures client_credentials and the memory that it takes. */
export async function compareClients(
  generator: ChildProcess,
  targets: Target[],
  effort: Effort,
): Promise<{ measured: Measured[]; remembered: Remembered[] }> {
  const remembered = new Map(targets.map(({ name }) => [name, { target: name, memory: [] as Memory[] }]))
  const measured = await compare(generator, targets, 'client_credentials', effort, async (target) => {
    remembered.get(target.name)?.memory.push(await target.memory())
  })
  return { measured, remembered: [...remembered.values()] }
}
