import type Provider from 'oidc-provider'
import { acrOf, type Level } from '../../authentication/levels.ts'
import type { Proof } from '../../authentication/proofs.ts'
import { current } from '../request/work.ts'
import { askedOf } from './demands.ts'

type Session = { amr?: string[]; loginTs?: number; proofs?: Proof[] }

type SessionModel = {
  IN_PAYLOAD: string[]
  prototype: Session & { loginAccount(details: unknown): void }
}

/** Returns the proofs that the sign-in of a session rests on. Those of an older session follow from its methods. */
export function proofsOf({ proofs, amr, loginTs = 0 }: Session): Proof[] {
  if (proofs) return proofs
  if (!amr) return []
  return [{ method: amr.includes('pwd') ? 'password' : 'mail', at: loginTs }]
}

/**
 * Makes sessions keep the proofs of their sign-in, and a token state the class that its own request asked for, if that
 * is satisfied when the token is issued (OpenID Connect Core §2).
 */
export function keepProofs(provider: Provider, levels: readonly Level[]): void {
  const { Session } = provider as unknown as { Session: SessionModel }
  const members = [...Session.IN_PAYLOAD, 'proofs']
  Object.defineProperty(Session, 'IN_PAYLOAD', { get: () => members })
  const { loginAccount } = Session.prototype
  Session.prototype.loginAccount = function (details) {
    loginAccount.call(this, details)
    this.proofs = current()?.reads.signIn?.proofs ?? []
  }

  const { prototype } = provider.OIDCContext
  Object.defineProperty(prototype, 'acr', {
    get(this: { session: Session; params?: Record<string, unknown> }) {
      const requested = askedOf(this.params ?? {}).acrs
      return acrOf(proofsOf(this.session), { levels, requested, nowSeconds: Math.floor(Date.now() / 1000) })
    },
  })
}
