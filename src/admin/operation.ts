import type Provider from 'oidc-provider'
import type { z } from 'zod'
import type { Config } from '../config.ts'
import type { Passwords } from '../crypto/passwords.ts'
import type { Database } from '../database/connect.ts'
import type { Storage } from '../oidc/storage.ts'

/** What an operation needs besides its input. */
export type OperationContext = {
  config: Config
  database: Database
  storage: Storage
  provider: Provider
  passwords: Passwords
}

/** One thing an operator can do. The command line is generated from it. */
export type Operation<Input extends z.ZodObject = z.ZodObject> = {
  noun: string
  verb: string
  summary: string
  /** Its options; `.describe()` is their documentation. */
  input: Input
  /** Throws an Error with a sentence for the operator when it cannot be done. */
  run(context: OperationContext, input: z.output<Input>): Promise<unknown>
}

/** An operation with its types checked. */
export function operation<Input extends z.ZodObject>(definition: Operation<Input>): Operation {
  return definition as unknown as Operation
}
