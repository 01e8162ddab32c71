import type { Performer } from '../admin/operation.ts'
import type { Postern } from '../server.ts'

/** What a command stands on. */
export type Session = {
  env: Record<string, string | undefined>
  by: Performer
  /** Postern of these settings, for as long as the work takes. */
  withPostern<T>(work: (postern: Postern) => Promise<T>): Promise<T>
}
