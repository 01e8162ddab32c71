import type { Registering } from '../../oidc/registration/by-administrator.ts'
import type { NewSecret } from './plan.ts'

/** What bringing a declaration about has at hand. */
export type Application = {
  registering: Registering
  /** Does what an operator could do at the command line, such as `client create`. */
  perform(command: string, input: object): Promise<Record<string, unknown>>
  /** Takes note of a secret that was made. */
  reveal(secret: NewSecret): void
}
