import type Provider from 'oidc-provider'
import type { Acting } from '../../accounts/acting.ts'
import type { AcceptPassword } from '../../accounts/new-passwords.ts'
import type { AllowedWays } from '../../accounts/ways-in.ts'
import type { Envelope } from '../../crypto/envelope.ts'
import type { Db } from '../../database/schema.ts'
import type { Render } from '../../views/render.ts'
import type { Csrf } from '../csrf.ts'

export type LinkDependencies = {
  db: Db
  provider: Provider
  envelope: Envelope
  render: Render
  csrf: Csrf
  act: Acting
  acceptPassword: AcceptPassword
  allowedWays: AllowedWays
  passwordMinLength: number
  issuer: string
}
