import { readFileSync } from 'node:fs'
import type { Duplex } from 'node:stream'
import pg from 'pg'
import { type DatabaseAddress, readDatabaseUrl } from '../config/database-url.ts'

/**
 * The parts of the driver that it does not declare. A test makes a server ask for the password, and fails if they are
 * renamed.
 */
type Driver = pg.Client & {
  connection: { stream: Duplex }
  getStartupConf(): Record<string, string>
  _handleAuthCleartextPassword(message: unknown): void
  _handleAuthMD5Password(message: unknown): void
}
const Driver = pg.Client as unknown as new (config: pg.ClientConfig) => Driver

/**
 * Makes the driver's client for the server of a DATABASE_URL. The URL alone says where to connect and whether to
 * encrypt: the variables PGHOST, PGSSLMODE and PGSSLNEGOTIATION have no effect. The client sends the password, or a
 * hash that can stand for it, only to a server that proved its identity; any other server receives only what SCRAM
 * reveals.
 *
 * @throws Error when the address is invalid.
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
        // A certificate is being replaced: the previous ones may still work. A pool expects no exception here.
      }
      super({ ...config, ...connection })
    }

    /** Asks for dates in ISO 8601, whatever the default of the database. Poolers let this parameter through, too. */
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
  `The database asked for the password ${how}, and Postern did not send it. Make it ask by SCRAM (scram-sha-256 in pg_hba.conf, and a password set with password_encryption = 'scram-sha-256'), or connect with sslmode=verify-full or by a Unix socket.`

function connectionOf(address: DatabaseAddress): pg.ClientConfig {
  const { host, port, user, password, database, tls, files, parameters } = address
  const { ca, cert, key } = files
  return {
    sslnegotiation: 'postgres', // otherwise PGSSLNEGOTIATION would count
    ...parameters,
    host,
    ...(port && { port: Number(port) }),
    ...(user && { user }),
    ...(password && { password }),
    ...(database && { database }),
    ssl: tls !== 'none' && {
      rejectUnauthorized: tls === 'verified', // explicit: otherwise NODE_TLS_REJECT_UNAUTHORIZED=0 would count
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
