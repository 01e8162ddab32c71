import { parse } from '../../../src/config/index.ts'
import type { Canaries } from '../../support/canaries.ts'
import type { TestPostern } from '../../support/postern.ts'

/** Returns the settings of a token that does not exist (PKCS #11). */
export function tokenOf(canaries: Canaries): Record<string, string> {
  return { ...token, PKCS11_PIN: canaries.plant('setting: PKCS11_PIN') }
}

const token = { PKCS11_MODULE: '/nowhere/pkcs11.so', PKCS11_TOKEN: 'nobody' }

/** Names the settings that are secret, judged by their parsed values when all are set. */
export function secretSettings({ env }: TestPostern): string[] {
  const isSecret = (value: unknown): boolean =>
    Array.isArray(value) ? value.some(isSecret) : typeof value === 'object' && value !== null && 'reveal' in value
  const config = parse({ ...env, ...token, PKCS11_PIN: '123456' })
  return Object.entries(config).flatMap(([name, value]) => (isSecret(value) ? [name] : []))
}
