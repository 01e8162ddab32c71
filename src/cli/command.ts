import type { Session } from './session.ts'

/** An option of a command, as its help shows it and its arguments are read. */
export type Option = {
  description: string
  /** What its value is, as the help calls it. A switch has none. */
  value?: string
  short?: string
  isRequired?: boolean
  isRepeatable?: boolean
  /** Asked for or read from standard input, because other users of a machine can read the arguments of all programs. */
  isSecret?: boolean
  /** What it belongs to, where there are many. */
  group?: string
}

/** What was given of the options of a command, by their names. */
export type Given = Readonly<Record<string, string | readonly string[] | boolean | undefined>>

/** A command of the command line. */
export type Command = {
  /** The words it is called by: `start`, `account create`. */
  name: string
  /** Begins with a verb and ends without a period. */
  summary: string
  notes?: string
  options: Readonly<Record<string, Option>>
  /** The option that may be given without its name: `client delete abc` reads better than with `--client-id abc`. */
  operand?: string
  run(given: Given, session: Session): Promise<void>
}
