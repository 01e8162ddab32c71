import type { Performer } from '../admin/operation.ts'
import type { Postern } from '../assemble/index.ts'
import type { Config } from '../config/index.ts'

/** The environment, the performer and the server that a command works with. */
export type Session = {
  env: Record<string, string | undefined>
  by: Performer
  /** Reads the settings from the environment. It reports probable misspellings on standard error. */
  settings(): Config
  /** Assembles Postern with these settings, and closes it when the work is done. */
  withPostern<T>(work: (postern: Postern) => Promise<T>): Promise<T>
}
