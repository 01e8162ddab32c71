import { createHash } from 'node:crypto'
import type pg from 'pg'
import type { Database } from './connect.ts'

/** What keeps servers of another issuer off a database, until it is stopped. */
export type IssuerLock = { stop(): Promise<void> }

const lockClass = 0x69737375 // of the advisory locks that servers of one database share, one for each issuer
const reconnectDelayMs = 1_000

/**
 * Says, for as long as this process runs, that it serves an issuer from this database. The session ends with the
 * process, however that ends, so there is no claim left of a server that crashed.
 *
 * @throws Error when a server of another issuer runs on the same database: each would refuse what the other issues.
 */
export async function lockIssuer(database: Database, issuer: string): Promise<IssuerLock> {
  const lock = createHash('sha256').update(issuer).digest().readInt32BE(0)
  let client: pg.Client | undefined
  let timer: NodeJS.Timeout | undefined
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
    if (!isStopped) timer = setTimeout(() => void open().catch(reopen), reconnectDelayMs).unref()
  }

  const stop = async () => {
    isStopped = true
    clearTimeout(timer)
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
      `Another server works on this database with another ISSUER: ${other.name}${other.address ? `, from ${other.address}` : ''}. This one has ISSUER=${issuer}. All servers of a database have one ISSUER: correct it, set DATABASE_URL to a database of its own, or stop the others first.`,
    )
  }
  return { stop }
}
