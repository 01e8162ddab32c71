import { createHash } from 'node:crypto'
import { Kysely, PostgresDialect, type PostgresPoolClient } from 'kysely'
import pg from 'pg'
import { createBoundedMap } from '../bounded-map.ts'
import { clientOf } from './client.ts'
import type { Db, Schema } from './schema.ts'

const statementTimeoutMs = 10_000
const lockTimeoutMs = 5_000
const idleInTransactionTimeoutMs = 10_000
const connectionTimeoutMs = 5_000
const connectionLifetimeSeconds = 1_800 // so that connections follow a failover or a changed address

// Plans of prepared statements are kept. One made while a table was small must not go on reading all of it
// when it is large: so an index is used wherever there is one, and what then looks dear is not compiled.
const plannerSettings = '-c enable_seqscan=off -c jit=off'

export type Database = {
  db: Db
  /** A connection of its own outside the pool, for LISTEN or a lock that is held for long. The caller ends it. */
  dedicated(): Promise<pg.Client>
  close(): Promise<void>
}

export type ConnectOptions = {
  url: string
  poolSize: number
  /** Named prepared statements; a transaction-pooling proxy forbids them, and session settings too. */
  preparedStatements: boolean
  onError: (error: Error) => void
  /** Called once for every statement sent: what the round-trip budgets are counted with. */
  onStatement?: (sql: string) => void
}

/**
 * A pool of connections to a primary. Connections that die, idle or busy, are replaced, never crash the
 * process; a server that only accepts reads (a standby after a failover) is refused like one that is down.
 */
export function connect({ url, poolSize, preparedStatements, onError, onStatement }: ConnectOptions): Database {
  const Client = clientOf(url)
  const options: pg.ClientConfig = {
    application_name: 'postern',
    connectionTimeoutMillis: connectionTimeoutMs,
    keepAlive: true,
    ...(preparedStatements && {
      statement_timeout: statementTimeoutMs,
      lock_timeout: lockTimeoutMs,
      idle_in_transaction_session_timeout: idleInTransactionTimeoutMs,
      options: plannerSettings,
    }),
  }
  const pool = new pg.Pool({
    ...options,
    Client,
    max: poolSize,
    idleTimeoutMillis: 60_000,
    maxLifetimeSeconds: connectionLifetimeSeconds,
    onConnect: refuseReadOnly,
  })
  pool.on('error', onError)
  pool.on('connect', (client) => client.on('error', onError)) // while checked out, nobody else listens

  const db = new Kysely<Schema>({
    dialect: new PostgresDialect({
      pool: {
        options: pool.options,
        connect: async () => instrument(await checkOut(pool), { preparedStatements, onStatement }),
        end: () => pool.end(),
      },
    }),
  })

  return {
    db,
    async dedicated() {
      const client = new Client(options)
      client.on('error', onError)
      await client.connect()
      return client
    },
    close: () => db.destroy(),
  }
}

const unconnected = new WeakSet<object>() // failures before anything was asked

async function checkOut(pool: pg.Pool): Promise<pg.PoolClient> {
  try {
    return await pool.connect()
  } catch (error) {
    unconnected.add(error as object)
    throw error
  }
}

async function refuseReadOnly(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query('show transaction_read_only')
  if (rows[0]?.transaction_read_only !== 'off') {
    throw Object.assign(new Error('The database accepts only reads.'), { code: readOnlyTransaction })
  }
}

const rememberedNames = 1_000 // far above the number of distinct statements; a bound all the same
const names = createBoundedMap<string, string>(rememberedNames)

function nameOf(sql: string): string {
  let name = names.get(sql)
  if (!name) {
    name = createHash('sha256').update(sql).digest('base64url').slice(0, 32)
    names.set(sql, name)
  }
  return name
}

const transactionControl = /^(begin|commit|rollback|start transaction|savepoint|release)\b/i

function instrument(
  client: pg.PoolClient,
  { preparedStatements, onStatement }: { preparedStatements: boolean; onStatement: ConnectOptions['onStatement'] },
): PostgresPoolClient {
  let isSpent = false
  const run = async (text: string, values: readonly unknown[] = []) => {
    onStatement?.(text)
    const isNamed = preparedStatements && !transactionControl.test(text)
    try {
      return await client.query({ text, values: [...values], ...(isNamed && { name: nameOf(text) }) })
    } catch (error) {
      if (codeOf(error) === readOnlyTransaction || isConnectionFailure(error)) isSpent = true
      throw error
    }
  }
  return {
    // Kysely also offers cursors here; nothing of ours streams rows.
    query: run as unknown as PostgresPoolClient['query'],
    // Not kept: a primary that became a standby, or a connection whose end was announced but has not come yet.
    release: () => client.release(isSpent),
  }
}

const readOnlyTransaction = '25006'
const connectionFailure = /^(08|57P|ECONN|EPIPE|ENOTFOUND|ETIMEDOUT|EHOSTUNREACH)/
const exhausted = /^(53|25006)/
const connectionMessages =
  /Connection terminated|timeout exceeded when trying to connect|not queryable|Client has encountered/

/** The SQLSTATE or system error code of a failure, if it has one. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'string' ? code : undefined
}

/** Whether the connection broke, so that nobody knows if the statement took effect. */
export function isConnectionFailure(error: unknown): boolean {
  return (
    connectionFailure.test(codeOf(error) ?? '') || connectionMessages.test((error as Error | undefined)?.message ?? '')
  )
}

/**
 * Whether the database is away, read-only, full or out of connections, rather than the statement wrong. It also is
 * when it refuses us or does not prove who it is, as with a certificate or a password that has expired.
 */
export function isUnavailable(error: unknown): boolean {
  const code = codeOf(error) ?? ''
  return (
    unconnected.has(Object(error)) ||
    isConnectionFailure(error) ||
    exhausted.test(code) ||
    code === '57014' ||
    isContention(error)
  )
}

/** A serialization failure, a deadlock or a lock timeout: nothing was done, and trying once more may help. */
export function isContention(error: unknown): boolean {
  return ['40001', '40P01', '55P03'].includes(codeOf(error) ?? '')
}

/** Whether the text was refused: PostgreSQL stores neither null characters nor halves of surrogate pairs. */
export function isUnstorable(error: unknown): boolean {
  return ['22021', '22P02', '22P05'].includes(codeOf(error) ?? '')
}

/** Whether a row that was referred to is gone. */
export function isForeignKeyViolation(error: unknown): boolean {
  return codeOf(error) === '23503'
}

/** Whether another row already has what has to be unique. */
export function isUniqueViolation(error: unknown): boolean {
  return codeOf(error) === '23505'
}
