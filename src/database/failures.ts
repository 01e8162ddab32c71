/**
 * Explains why a database cannot be used, and what to do, where its own message does not. `undefined` for any other
 * failure.
 */
export function databaseFailure(error: unknown): string | undefined {
  const { code = '', message = '' } = error as { code?: string; message?: string }
  if (code === '28P01' || code === '28000') return 'The database rejected the user or password in DATABASE_URL.'
  if (code === '3D000') return `${message}. Create it, or correct DATABASE_URL.`
  if (/^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH)$/.test(code)) {
    return `The database in DATABASE_URL cannot be reached (${code}). Check its host and port, and that it runs.`
  }
  if (code === '08P01' && message.includes('unsupported startup parameter')) {
    return `A pooler before the database does not accept session settings (${message}). Set DATABASE_PREPARED_STATEMENTS=false, and give the role the settings that docs/operations.md lists for poolers.`
  }
  if (/^(ERR_TLS_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/.test(code)) {
    return `The database in DATABASE_URL did not prove its identity (${code}). Its certificate must be for the host in DATABASE_URL, and issued by the authority in sslrootcert or, without that, by a public one.`
  }
  return undefined
}
