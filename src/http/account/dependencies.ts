import type Provider from 'oidc-provider'
import type { Acting } from '../../accounts/acting.ts'
import type { DirectoryAccounts } from '../../accounts/directory-sign-in.ts'
import type { AcceptPassword } from '../../accounts/new-passwords.ts'
import type { AllowedWays } from '../../accounts/ways-in.ts'
import type { FactorLimits } from '../../authentication/factor-limits.ts'
import type { MailLimits } from '../../authentication/mail-limits.ts'
import type { RelyingParty } from '../../authentication/passkeys/relying-party.ts'
import type { SecondFactorRules } from '../../authentication/second-factor-policy.ts'
import type { CurrentBrand } from '../../brand/index.ts'
import type { EditableClaim } from '../../config/settings/account-pages.ts'
import type { Db } from '../../database/schema.ts'
import type { ResourceServers } from '../../oidc/permissions/resource-servers.ts'
import type { Storage } from '../../oidc/request/storage.ts'
import type { Secret } from '../../secret.ts'
import type { Render } from '../../views/render.ts'
import type { Csrf } from '../csrf.ts'
import type { BrowserAccounts } from '../interactions/browser-accounts.ts'
import type { BrowserSignIn } from '../interactions/browser-sign-in.ts'
import type { SignUp } from '../interactions/sign-up-begin.ts'
import type { Upstreams } from '../upstream/upstreams.ts'

export type AccountDependencies = {
  db: Db
  provider: Provider
  render: Render
  brand: CurrentBrand
  csrf: Csrf
  browserAccounts: BrowserAccounts
  act: Acting
  signIn: BrowserSignIn
  signUp: Pick<SignUp, 'rules'>
  directory: DirectoryAccounts | undefined
  mailLimits: MailLimits
  acceptPassword: AcceptPassword
  passwordMinLength: number
  issuer: string
  storage: Storage
  resourceServers: ResourceServers
  editableClaims: readonly EditableClaim[]
  deletionGraceSeconds: number
  upstreams: Upstreams
  /** This server as authenticators know it; `undefined` if nobody signs in with passkeys. */
  relyingParty: RelyingParty | undefined
  allowedWays: AllowedWays
  rules: SecondFactorRules
  factorLimits: FactorLimits
  /** Hashes recovery codes. */
  recoveryKey: Secret<Buffer>
}
