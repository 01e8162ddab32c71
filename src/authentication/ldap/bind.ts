import { type Client, ResultCodeError } from 'ldapts'
import type { DirectoryRules } from './rules.ts'

// The results that say no to this name with this password. Every other one means that the server could not tell.
// RFC 4511 §A.1: constraintViolation is an account that is locked, inappropriateAuthentication and noSuchObject are
// entries that cannot sign in, invalidCredentials is the usual answer, insufficientAccessRights and unwillingToPerform are
// entries that must not. A referral (10) names another server, which Postern does not ask.
const refusals = [10, 19, 32, 48, 49, 50, 53]

/**
 * Checks the password of an entry by a bind as it. An empty password never reaches the server, which would not check it
 * and answer with success (RFC 4513 §5.1.2); neither does one with U+0000, where some servers end it.
 */
export async function hasPassword(client: Client, dn: string, password: string): Promise<boolean> {
  if (dn === '' || password === '' || password.includes('\0')) return false
  try {
    await client.bind(dn, password)
    return true
  } catch (error) {
    if (error instanceof ResultCodeError && refusals.includes(error.code)) return false
    throw error
  }
}

/** Signs in as the entry that Postern searches as, if there is one. */
export async function bindAsService(client: Client, { service }: DirectoryRules): Promise<void> {
  try {
    if (service) await client.bind(service.dn, service.password.reveal())
  } catch (cause) {
    // A server may say no more than the number of the result.
    const isRefused = cause instanceof ResultCodeError && refusals.includes(cause.code)
    throw isRefused ? new Error('the server does not accept LDAP_BIND_PASSWORD for LDAP_BIND_DN', { cause }) : cause
  }
}
