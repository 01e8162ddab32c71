/** One thing that was examined: its state, and the remedy if there is a problem. */
export type Finding = {
  state: 'ok' | 'warning' | 'problem'
  what: string
  /** The advice that belongs to a warning or a problem. */
  remedy?: string
}

export const ok = (what: string): Finding => ({ state: 'ok', what })
export const warning = (what: string, remedy: string): Finding => ({ state: 'warning', what, remedy })
export const problem = (what: string, remedy: string): Finding => ({ state: 'problem', what, remedy })

export const messageOf = (error: unknown): string => {
  const { message, code } = error as { message?: string; code?: string }
  return message || code || String(error) // an error that combines several addresses has only a code
}
