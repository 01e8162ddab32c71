import { isIPv4 } from 'node:net'

/** A database address, read from DATABASE_URL. Nothing reads the URL again, so the driver connects to what was checked. */
export type DatabaseAddress = {
  /** A host name, an IP address, or the folder of a Unix socket. */
  host: string
  port: string
  user: string
  password: string
  database: string | undefined
  /** `unverified` encrypts without checking who is at the other end. */
  tls: 'none' | 'unverified' | 'verified'
  /** Whether it says `verify-full`, the one mode that every driver reads as full verification. */
  isFullyVerified: boolean
  /** PEM files: the trusted authority, and a certificate and key of this client. */
  files: { ca: string | undefined; cert: string | undefined; key: string | undefined }
  /** The other parameters, as far as they are passed on to the driver. */
  parameters: Record<string, string>
}

// As node-postgres reads them: it verifies with every mode but `no-verify` and `disable`.
const tlsBySslmode: Record<string, DatabaseAddress['tls']> = {
  disable: 'none',
  'no-verify': 'unverified',
  allow: 'verified',
  prefer: 'verified',
  require: 'verified',
  'verify-ca': 'verified',
  'verify-full': 'verified',
}
const tlsBySsl: Record<string, DatabaseAddress['tls']> = {
  false: 'none',
  '0': 'none',
  'no-verify': 'unverified',
  true: 'verified',
  '1': 'verified',
}

const ofTheDriver = [
  ...['application_name', 'fallback_application_name', 'client_encoding', 'options', 'sslnegotiation'],
  ...['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'query_timeout'],
]
/** The parameters whose values are not secret. */
const inTheClear = [...ofTheDriver, 'host', 'port', 'user', 'sslmode', 'ssl', 'sslrootcert', 'sslcert', 'sslkey']

const severalHosts =
  'must name one host: a list of hosts, which libpq accepts, is not supported. Name one that always leads to the primary: a DNS name or virtual address that follows it, or a proxy such as HAProxy or PgBouncer'
const noHost = '-' // stands in for the host of a URL that has only a user, which would not parse; no host has this name

/** Reads a DATABASE_URL, or says what is wrong with it. The problem quotes nothing: any part may be the password. */
export function readDatabaseUrl(text: string): DatabaseAddress | { problem: string } {
  const url = parsed(text)
  if (!url && namesSeveralHosts(text)) return { problem: severalHosts }
  if (!url) return { problem: 'must be a URL, with special characters of the user and password percent-encoded' }
  const { host, port, user, password, sslmode, ssl, sslrootcert, sslcert, sslkey, ...others } = Object.fromEntries(
    url.searchParams,
  )
  const server = host || decoded(url.hostname === noHost ? '' : url.hostname).replace(/^\[(.*)\]$/, '$1')
  if (!server) return { problem: 'must name its host: localhost, another host, or ?host=/folder/of/a/socket' }
  if (server.includes(',')) return { problem: severalHosts }
  if ('uselibpqcompat' in others) return { problem: 'must not have uselibpqcompat' }
  const files = { ca: sslrootcert, cert: sslcert, key: sslkey }
  const tls = sslmode
    ? tlsBySslmode[sslmode]
    : Object.values(files).some(Boolean)
      ? 'verified'
      : tlsBySsl[ssl || 'false']
  if (!tls) return { problem: `must have an sslmode that is one of ${Object.keys(tlsBySslmode).join(', ')}` }
  return {
    host: server,
    port: port || url.port,
    user: user || decoded(url.username),
    password: password || decoded(url.password),
    database: decoded(url.pathname.slice(1)) || undefined,
    tls,
    isFullyVerified: sslmode === 'verify-full',
    files,
    parameters: Object.fromEntries(Object.entries(others).filter(([name]) => ofTheDriver.includes(name))),
  }
}

/**
 * Says why a DATABASE_URL must not be used, if it must not. Beyond this machine, only `verify-full` proves that the
 * database is the one that answers (libpq, "Protection Provided in Different Modes").
 */
export function databaseUrlProblem(
  text: string,
  { isInsecureAllowed }: { isInsecureAllowed: boolean },
): string | undefined {
  const address = readDatabaseUrl(text)
  if ('problem' in address) return address.problem
  if (address.isFullyVerified || isInsecureAllowed || isOnThisMachine(address.host)) return undefined
  return (
    'must have sslmode=verify-full, because its host is neither on the loopback interface nor a Unix socket: otherwise, ' +
    'somebody on the way could read and change everything. Add ?sslmode=verify-full, and &sslrootcert=/path/to/ca.pem ' +
    'unless a public authority issued the certificate of the database. Only if nobody else is on the network between ' +
    'the two, set INSECURE_DATABASE_CONNECTION=true instead'
  )
}

/** Masks every part of an address but those that are known not to be secret. */
export function maskDatabaseUrl(text: string): string {
  const url = parsed(text)
  if (!url || /@/.test(url.pathname + url.search + url.hash)) return '[secret]' // the password cut the host short
  if (url.password) url.password = '[secret]'
  for (const name of [...url.searchParams.keys()]) {
    if (!inTheClear.includes(name)) url.searchParams.set(name, '[secret]')
  }
  return decoded(url.href)
}

/** Says whether a host is this machine. Names that may lead elsewhere, such as `db.localhost` or `127.1`, are not. */
function isOnThisMachine(host: string): boolean {
  return (
    host.startsWith('/') || /^localhost$/i.test(host) || host === '::1' || (isIPv4(host) && host.startsWith('127.'))
  )
}

function namesSeveralHosts(text: string): boolean {
  const [, authority = ''] = /^[^:]+:\/\/([^/?#]*)/.exec(text) ?? []
  return authority.slice(authority.lastIndexOf('@') + 1).includes(',') // a password may contain commas
}

function parsed(text: string): URL | undefined {
  return URL.parse(text.replace(/^(postgres(?:ql)?:\/\/[^/?#]*@)(?=[/?#]|$)/, `$1${noHost}`)) ?? undefined
}

/** Decodes the percent-encoded parts of a text. A percent sign that encodes nothing stays, as a password may have one. */
function decoded(text: string): string {
  return text.replace(/(%[0-9a-f]{2})+/gi, (encoded) => {
    try {
      return decodeURIComponent(encoded)
    } catch {
      return encoded
    }
  })
}
