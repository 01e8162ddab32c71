import type { Memory } from './meter.ts'

/** The measurements of one slice. */
export type Sample = {
  perSecond: number
  p50Ms: number
  p99Ms: number
  requests: number
  cpuMsPerRequest: number
  statementsPerRequest: number
}

/** The medians of all rounds of one operation at one target. */
export type Measured = Omit<Sample, 'requests'> & {
  operation: string
  target: string
  requests: number
  /** Requests per second of this target divided by those of the first: median, least and most of the rounds. */
  ratio: { median: number; least: number; most: number }
}

/** The memory that a server uses after each round. */
export type Remembered = { target: string; memory: Memory[] }
