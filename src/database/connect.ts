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

// PostgreSQL keeps the plans of prepared statements. A plan made while a table was small must not read all of it when
// it is large. So an index is used wherever there is one, and plans that look expensive because of that are not
// compiled.
const plannerSettings = '-c enable_seqscan=off -c jit=off'

export type Database = {
  db: Db
  /** Opens a connection outside the pool, for LISTEN or a lock that is held for long. The caller ends it. */
  dedicated(): Promise<pg.Client>
  close(): Promise<void>
}

export type ConnectOptions = {
  url: string
  poolSize: number
  /** Whether to use named prepared statements. A transaction-pooling proxy forbids them, and session settings too. */
  preparedStatements: boolean
  onError: (error: Error) => void
  /** Called once for every statement sent: the tests count the round-trip budgets with it. */
  onStatement?: (sql: string) => void
}

/**
 * Opens a pool of connections to a primary. A connection that dies, idle or busy, is replaced and never crashes the
 * process. A server that accepts only reads (a standby after a failover) is refused like one that is down.
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
  pool.on('connect', (client) => client.on('error', onError)) // while it is checked out, the pool does not listen

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

const unconnected = new WeakSet<object>() // failures before any statement was sent

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

const rememberedNames = 1_000 // far above the number of distinct statements, which nothing else bounds
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
    // Kysely also offers cursors here, but nothing in Postern streams rows.
    query: run as unknown as PostgresPoolClient['query'],
    // Closed instead of kept: a connection to a primary that became a standby, or one that is about to end.
    release: () => client.release(isSpent),
  }
}

const readOnlyTransaction = '25006'
const connectionFailure = /^(08|57P|ECONN|EPIPE|ENOTFOUND|ETIMEDOUT|EHOSTUNREACH)/
const exhausted = /^(53|25006)/
const connectionMessages =
  /Connection terminated|timeout exceeded when trying to connect|not queryable|Client has encountered/

/** Returns the SQLSTATE or system error code of a failure, if it has one. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'string' ? code : undefined
}

/** Returns whether the connection broke, which leaves open if the statement took effect. */
export function isConnectionFailure(error: unknown): boolean {
  return (
    connectionFailure.test(codeOf(error) ?? '') || connectionMessages.test((error as Error | undefined)?.message ?? '')
  )
}

/**
 * Returns whether the database is unreachable, read-only, full or out of connections, rather than the statement wrong.
 * This includes a database that rejects Postern or does not prove its identity, as when a certificate or password
 * expired.
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

/**
 * Returns whether a failure is a serialization failure, a deadlock or a lock timeout: nothing was done, and a retry may
 * help.
 */
export function isContention(error: unknown): boolean {
  return ['40001', '40P01', '55P03'].includes(codeOf(error) ?? '')
}

/** Returns whether the text was refused: PostgreSQL stores neither null characters nor halves of surrogate pairs. */
export function isUnstorable(error: unknown): boolean {
  return ['22021', '22P02', '22P05'].includes(codeOf(error) ?? '')
}

/** Returns whether a referenced row is gone. */
export function isForeignKeyViolation(error: unknown): boolean {
  return codeOf(error) === '23503'
}

/** Returns whether another row already has a value that must be unique. */
export function isUniqueViolation(error: unknown): boolean {
  return codeOf(error) === '23505'
}
