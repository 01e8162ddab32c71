const classes = 'urn:oasis:names:tc:SAML:2.0:ac:classes'

/**
 * Returns the authentication context class of a sign-in with a password (OpenID Connect Core §2). The names are those
 * of SAML 2.0 (Authentication Context §3.4), the only registry with a class that says no more than that a password was
 * sent over a protected connection, and nothing about who the person is.
 */
export function passwordClass(issuer: string): string {
  return `${classes}:${issuer.startsWith('https:') ? 'PasswordProtectedTransport' : 'Password'}`
}

/**
 * The class of a sign-in by mail, which is below that of a password: anybody who can read the mailbox can sign in. The registry has
 * no class for that, only one for means that are not specified (Authentication Context §3.4.25).
 */
export const mailClass = `${classes}:unspecified`
