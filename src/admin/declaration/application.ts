import type { Registering } from '../../oidc/registration/by-administrator.ts'
import type { NewSecret } from './plan.ts'

/** The means to apply a declaration. */
export type Application = {
  registering: Registering
  /** Performs an operation by the name of its command, such as `client create`. */
  perform(command: string, input: object): Promise<Record<string, unknown>>
  /** Notes a generated secret, which is shown at the end. */
  reveal(secret: NewSecret): void
}
