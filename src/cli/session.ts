import type { Performer } from '../admin/operation.ts'
import type { Postern } from '../assemble/index.ts'
import type { Config } from '../config/index.ts'

/** What a command stands on. */
export type Session = {
  env: Record<string, string | undefined>
  by: Performer
  /** The settings of the environment. Those that are probably misspelt are told on standard error. */
  settings(): Config
  /** Postern of these settings, for as long as the work takes. */
  withPostern<T>(work: (postern: Postern) => Promise<T>): Promise<T>
}
