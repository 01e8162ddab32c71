import type Provider from 'oidc-provider'
import type { Acting } from '../../accounts/acting.ts'
import type { DirectoryAccounts } from '../../accounts/directory-sign-in.ts'
import type { AcceptAnother, AcceptPassword } from '../../accounts/new-passwords.ts'
import type { FactorLimits } from '../../authentication/factor-limits.ts'
import type { Level } from '../../authentication/levels.ts'
import type { MailLimits } from '../../authentication/mail-limits.ts'
import type { RelyingParty } from '../../authentication/passkeys/relying-party.ts'
import type { SecondFactorRules } from '../../authentication/second-factor-policy.ts'
import type { CurrentBrand } from '../../brand/index.ts'
import type { Db } from '../../database/schema.ts'
import type { FindFactors } from '../../oidc/authentication/step-up.ts'
import type { PairwiseSubject } from '../../oidc/pairwise.ts'
import type { ResourceServers } from '../../oidc/permissions/resource-servers.ts'
import type { FindStoppedSignIn } from '../../oidc/request/stopped-sign-ins.ts'
import type { Storage } from '../../oidc/request/storage.ts'
import type { Secret } from '../../secret.ts'
import type { SignInOffers } from '../../views/pages/sign-in.ts'
import type { Render } from '../../views/render.ts'
import type { Csrf } from '../csrf.ts'
import type { Upstreams } from '../upstream/upstreams.ts'
import type { BrowserAccounts } from './browser-accounts.ts'
import type { BrowserSignIn } from './browser-sign-in.ts'
import type { SignUp } from './sign-up-begin.ts'
import type { StayMode } from './stays.ts'

export type InteractionDependencies = {
  db: Db
  storage: Storage
  provider: Provider
  render: Render
  brand: CurrentBrand
  csrf: Csrf
  browserAccounts: BrowserAccounts
  subjectOf: PairwiseSubject
  signIn: BrowserSignIn
  signUp: SignUp
  acceptAnother: AcceptAnother
  resourceServers: ResourceServers
  findStoppedSignIn: FindStoppedSignIn
  grantLifetimeSeconds: number
  interactionLifetimeSeconds: number
  act: Acting
  mailLimits: MailLimits
  acceptPassword: AcceptPassword
  passwordMinLength: number
  confirmationKey: Secret<Buffer>
  /** The ways on from the sign-in page for a person without their password. */
  offers: SignInOffers
  /** This server as authenticators know it; `undefined` if nobody signs in with passkeys. */
  relyingParty: RelyingParty | undefined
  /** The directory that people sign in with, if there is one. */
  directory: DirectoryAccounts | undefined
  stayMode: StayMode
  /** The names of sign-ins, and the operator's rules about second factors. */
  levels: readonly Level[]
  rules: SecondFactorRules
  findFactors: FindFactors
  factorLimits: FactorLimits
  /** How long a required second factor can be put off, in seconds. */
  graceSeconds: number
  /** Hashes recovery codes. */
  recoveryKey: Secret<Buffer>
  /** How many days a browser is remembered after a second factor; 0 where none is. */
  rememberDays: number
  upstreams: Upstreams
  issuer: string
}
