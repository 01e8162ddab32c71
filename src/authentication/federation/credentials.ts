import { createPrivateKey } from 'node:crypto'
import { importPKCS8, SignJWT } from 'jose'
import * as oidc from 'openid-client'
import { presets, type Upstream } from './settings.ts'

const appleSecretSeconds = 300 // Apple allows six months; it is used at once

/** Returns how Postern proves to a provider who it is. */
export async function credentialsFor(upstream: Upstream): Promise<oidc.ClientAuth> {
  const { settings, secret = '' } = upstream
  const method = settings.client_auth ?? presets[upstream.preset].clientAuth
  switch (method) {
    case 'none':
      return oidc.None()
    case 'client_secret_basic':
      return oidc.ClientSecretBasic(secret)
    case 'client_secret_post':
      return oidc.ClientSecretPost(secret)
    case 'private_key_jwt': {
      const key = await importPKCS8(secret, algorithmOf(secret))
      return oidc.PrivateKeyJwt(settings.key_id === undefined ? key : { key, kid: settings.key_id })
    }
    case 'apple':
      return async (server, client, body, headers) =>
        oidc.ClientSecretPost(await appleSecret(upstream))(server, client, body, headers)
  }
}

/** Makes the client secret that Apple expects: a JWT signed with the key of the team. */
async function appleSecret({ settings, secret = '' }: Upstream): Promise<string> {
  const key = await importPKCS8(secret, 'ES256')
  return new SignJWT()
    .setProtectedHeader({ alg: 'ES256', ...(settings.key_id !== undefined && { kid: settings.key_id }) })
    .setIssuer(settings.team_id ?? '')
    .setSubject(settings.client_id)
    .setAudience('https://appleid.apple.com')
    .setIssuedAt()
    .setExpirationTime(`${appleSecretSeconds}s`)
    .sign(key)
}

/** Returns the algorithm that a private key in PEM signs with. Throws if it is no such key. */
export function algorithmOf(pem: string): string {
  const { asymmetricKeyType, asymmetricKeyDetails } = createPrivateKey(pem)
  if (asymmetricKeyType === 'ec' && asymmetricKeyDetails?.namedCurve === 'prime256v1') return 'ES256'
  if (asymmetricKeyType === 'ed25519') return 'EdDSA'
  if (asymmetricKeyType === 'rsa') return 'PS256'
  throw new Error('The private key must be RSA, EC P-256 or Ed25519.')
}
