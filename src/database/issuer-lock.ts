import { createHash } from 'node:crypto'
import type pg from 'pg'
import type { Database } from './connect.ts'

/** A lock that keeps servers of another issuer off a database until it is stopped. */
export type IssuerLock = { stop(): Promise<void> }

const lockClass = 0x69737375 // the class of advisory locks that servers of one database share, one lock for each issuer
const reconnectDelayMs = 1_000

/**
 * Marks, for as long as this process runs, that it serves an issuer from this database. The session ends with the
 * process, however that ends, so a server that crashed leaves no lock behind.
 *
 * @throws Error when a server of another issuer uses the same database: each would reject what the other issues.
 */
export async function lockIssuer(database: Database, issuer: string): Promise<IssuerLock> {
  const lock = createHash('sha256').update(issuer).digest().readInt32BE(0)
  let client: pg.Client | undefined
  let timer: NodeJS.Timeout | undefined
  let reopening: Promise<void> | undefined
  let isStopped = false

  async function open(): Promise<pg.Client> {
    const opened = await database.dedicated()
    try {
      await opened.query(`select set_config('application_name', $1, false)`, [`postern of ${issuer}`])
      await opened.query('select pg_advisory_lock_shared($1, $2)', [lockClass, lock])
    } catch (error) {
      await opened.end().catch(() => {})
      throw error
    }
    client = opened
    opened.on('end', reopen)
    return opened
  }

  function reopen(): void {
    client = undefined
    if (isStopped) return
    timer = setTimeout(() => {
      reopening = open().then(() => {}, reopen)
    }, reconnectDelayMs).unref()
  }

  const stop = async () => {
    isStopped = true
    clearTimeout(timer)
    await reopening // a session that is just beginning would otherwise outlive the lock
    await client?.end().catch(() => {})
  }

  const session = await open()
  const { rows } = await session.query<{ name: string; address: string | null }>(
    `select distinct a.application_name as name, host(a.client_addr) as address
     from pg_locks l join pg_stat_activity a on a.pid = l.pid
     where l.locktype = 'advisory' and l.granted and l.objsubid = 2 and l.classid::bigint = $1 and l.objid::bigint <> $2
       and l.database = (select oid from pg_database where datname = current_database())`,
    [lockClass, lock >>> 0],
  )
  const [other] = rows
  if (other) {
    await stop()
    throw new Error(
      `Another server uses this database with another ISSUER: ${other.name}${other.address ? `, from ${other.address}` : ''}. This one has ISSUER=${issuer}. All servers of a database must have the same ISSUER. Correct it, set DATABASE_URL to a database of its own, or stop the other servers first.`,
    )
  }
  return { stop }
}
