import type { Adapter, AdapterPayload } from 'oidc-provider'
import { sha256 } from '../crypto/digests.ts'
import * as registrationTokens from '../stores/registration-tokens.ts'
import { current } from './request-scope.ts'
import type { Storage } from './storage.ts'

/**
 * Initial access tokens (RFC 7591 §3), which operators make and the engine only looks up. That one was found does not
 * use it up: its use is counted together with the registration it is for.
 */
export function initialAccessTokenAdapter({ db }: Storage): Partial<Adapter> {
  return {
    async find(value) {
      const token = await registrationTokens.findUsable(db, sha256(value))
      if (!token) return undefined
      const scope = current()
      if (scope) scope.registration.token = token
      return { kind: 'InitialAccessToken', jti: value, exp: seconds(token.expiresAt) } as AdapterPayload
    },
  }
}

const seconds = (moment: Date) => Math.floor(moment.getTime() / 1000)
