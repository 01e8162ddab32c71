import type { Session } from './session.ts'

/** An option of a command, for its help and for the parser of its arguments. */
export type Option = {
  description: string
  /** The placeholder for its value in the help. A switch has none. */
  value?: string
  short?: string
  isRequired?: boolean
  isRepeatable?: boolean
  /** Whether the command asks for it or reads it from standard input: any user of a machine can read program arguments. */
  isSecret?: boolean
  /** The heading that the help shows it under, if there are many options. */
  group?: string
}

/** The options that were given to a command, by their names. */
export type Given = Readonly<Record<string, string | readonly string[] | boolean | undefined>>

/** A command of the command line. */
export type Command = {
  /** The words that call it: `start`, `account create`. */
  name: string
  /** A phrase that begins with a verb and ends without a period. */
  summary: string
  notes?: string
  options: Readonly<Record<string, Option>>
  /** The option that may be given without its name: `client delete abc` reads better than with `--client-id abc`. */
  operand?: string
  run(given: Given, session: Session): Promise<void>
}
