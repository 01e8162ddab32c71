import { algorithmOf } from './credentials.ts'
import { presets, type Upstream } from './settings.ts'

/** The reason why a provider cannot work as it is set up. */
export type Mistake = { field: string; message: string }

/** Returns why Postern could not speak with a provider; `undefined` if it could. */
export function mistakeIn(
  { preset, settings, secret }: Upstream,
  { allowsLoopback }: { allowsLoopback: boolean },
): Mistake | undefined {
  const issuer = settings.issuer ?? presets[preset].issuer?.(settings)
  if (issuer === undefined) return { field: 'issuer', message: `is required by the preset ${preset}` }
  const { protocol, hostname, search, hash } = new URL(issuer)
  const isLoopback = allowsLoopback && ['localhost', '127.0.0.1', '[::1]'].includes(hostname)
  if (protocol !== 'https:' && !isLoopback) return { field: 'issuer', message: 'must be https' }
  if (search || hash) return { field: 'issuer', message: 'must have no query and no fragment' }
  const method = settings.client_auth ?? presets[preset].clientAuth
  if (method === 'apple' && (!settings.team_id || !settings.key_id)) {
    return { field: 'team_id', message: 'is required for Apple, with key_id' }
  }
  if (secret !== undefined && (method === 'apple' || method === 'private_key_jwt')) {
    try {
      const algorithm = algorithmOf(secret)
      if (method === 'apple' && algorithm !== 'ES256') return { field: 'secret', message: 'must be an EC P-256 key' }
    } catch {
      return { field: 'secret', message: 'must be a private key in PEM: RSA, EC P-256 or Ed25519' }
    }
  }
  return undefined
}
