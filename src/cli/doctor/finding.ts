/** What was looked at, how it is, and what to do when it is not well. */
export type Finding = {
  state: 'ok' | 'warning' | 'problem'
  what: string
  /** What to do. */
  remedy?: string
}

export const ok = (what: string): Finding => ({ state: 'ok', what })
export const warning = (what: string, remedy: string): Finding => ({ state: 'warning', what, remedy })
export const problem = (what: string, remedy: string): Finding => ({ state: 'problem', what, remedy })

export const messageOf = (error: unknown): string => {
  const { message, code } = error as { message?: string; code?: string }
  return message || code || String(error) // errors of several addresses have a code alone
}
