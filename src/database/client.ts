import { readFileSync } from 'node:fs'
import type { Duplex } from 'node:stream'
import pg from 'pg'
import { type DatabaseAddress, readDatabaseUrl } from '../config/database-url.ts'

/** What the driver does not declare. A test has a server ask for the password, so a release that renames it is noticed. */
type Driver = pg.Client & {
  connection: { stream: Duplex }
  getStartupConf(): Record<string, string>
  _handleAuthCleartextPassword(message: unknown): void
  _handleAuthMD5Password(message: unknown): void
}
const Driver = pg.Client as unknown as new (config: pg.ClientConfig) => Driver

/**
 * The driver's client, for the server of a DATABASE_URL. Where it connects to, and whether that is encrypted, it knows
 * from there alone: the variables PGHOST, PGSSLMODE and PGSSLNEGOTIATION do not count. It gives the password, or a hash
 * that can stand for it, to nobody who has not proved to be that server: others get as much as SCRAM tells.
 *
 * @throws Error when there is something wrong with the address.
 */
export function clientOf(url: string): new (config?: pg.ClientConfig) => pg.Client {
  const reading = readDatabaseUrl(url)
  if ('problem' in reading) throw new Error(`DATABASE_URL ${reading.problem}.`)
  const address: DatabaseAddress = reading
  const isProven = address.tls === 'verified' || address.host.startsWith('/')
  let connection = connectionOf(address)

  return class extends Driver {
    constructor(config: pg.ClientConfig = {}) {
      try {
        connection = connectionOf(address) // certificates can be replaced while the server runs
      } catch {
        // One is being replaced: the ones before it may still do. A pool would not expect an exception here.
      }
      super({ ...config, ...connection })
    }

    /** Dates are read as ISO 8601, whatever the database has for others. Poolers let this one parameter through, too. */
    override getStartupConf(): Record<string, string> {
      return { ...super.getStartupConf(), DateStyle: 'ISO' }
    }

    override _handleAuthCleartextPassword(message: unknown): void {
      if (isProven) super._handleAuthCleartextPassword(message)
      else this.connection.stream.destroy(new Error(asksTooMuch('in clear')))
    }

    override _handleAuthMD5Password(message: unknown): void {
      if (isProven) super._handleAuthMD5Password(message)
      else this.connection.stream.destroy(new Error(asksTooMuch('hashed with MD5')))
    }
  }
}

const asksTooMuch = (how: string) =>
  `The database asks for the password ${how}, and did not get it. Have it ask by SCRAM (scram-sha-256 in pg_hba.conf, and a password set with password_encryption = 'scram-sha-256'), or connect with sslmode=verify-full or by a Unix socket.`

function connectionOf(address: DatabaseAddress): pg.ClientConfig {
  const { host, port, user, password, database, tls, files, parameters } = address
  const { ca, cert, key } = files
  return {
    sslnegotiation: 'postgres', // not as PGSSLNEGOTIATION has it
    ...parameters,
    host,
    ...(port && { port: Number(port) }),
    ...(user && { user }),
    ...(password && { password }),
    ...(database && { database }),
    ssl: tls !== 'none' && {
      rejectUnauthorized: tls === 'verified', // said explicitly, or NODE_TLS_REJECT_UNAUTHORIZED=0 would count
      ...(ca && { ca: contentOf('sslrootcert', ca) }),
      ...(cert && { cert: contentOf('sslcert', cert) }),
      ...(key && { key: contentOf('sslkey', key) }),
    },
  }
}

function contentOf(parameter: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new Error(`The ${parameter} in DATABASE_URL cannot be read (${code}).`, { cause })
  }
}
