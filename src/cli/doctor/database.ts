import type { Config } from '../../config/index.ts'
import { pending } from '../../database/migrate.ts'
import { cannotCreate, examine, type Suitability } from '../../database/requirements.ts'
import type { Db } from '../../database/schema.ts'
import { type Finding, ok, problem, warning } from './finding.ts'
import { clockFinding } from './issuer.ts'

const connectionsBesidesThePool = 5 // for notifications, locks and the lock on the issuer

/** Examines whether Postern can rely on the database. */
export async function databaseFindings(db: Db, config: Config): Promise<Finding[]> {
  const fromMs = Date.now()
  const found = await examine(db)
  const toMs = Date.now()
  const missing = await pending(db)
  return [
    ...(found.problems.length === 0 ? [ok(`PostgreSQL ${found.version}, database ${found.database}`)] : []),
    ...found.problems.map((text) => problem('The database cannot be used', text)),
    ...schemaFindings(found, missing, config),
    ...roleFindings(found, config),
    ...settingFindings(found, config),
    clockFinding('the database', found.clockMs, { fromMs, toMs }),
    backupFinding(found),
  ]
}

function schemaFindings(found: Suitability, missing: readonly string[], config: Config): Finding[] {
  if (missing.length === 0) return [ok('The schema is up to date')]
  if (!found.mayCreate) return [problem(`Migrations are missing: ${missing.join(', ')}`, cannotCreate(found))]
  const remedy = config.MIGRATE_ON_START
    ? 'The next start of the server applies them; so does postern migrate.'
    : 'Run: postern migrate'
  return [warning(`Migrations are missing: ${missing.join(', ')}`, remedy)]
}

function roleFindings(
  { user, isSuperuser, isEncrypted, encoding }: Suitability,
  { DATABASE_URL, INSECURE_DATABASE_CONNECTION }: Config,
): Finding[] {
  const findings: Finding[] = []
  if (encoding !== 'UTF8') {
    findings.push(
      problem(
        `The database is encoded as ${encoding}`,
        'Names of people need UTF8. Dump the database, and restore it into one that was created with the encoding UTF8.',
      ),
    )
  }
  if (!DATABASE_URL) return findings
  findings.push(
    isSuperuser
      ? warning(
          `The role ${user} is a superuser`,
          'Give Postern a role that owns its database and nothing else. See docs/operations.md, "In production".',
        )
      : ok(`The role ${user} is not a superuser`),
  )
  if (isEncrypted) findings.push(ok('The connection is encrypted'))
  else if (INSECURE_DATABASE_CONNECTION) {
    findings.push(
      warning(
        'The connection is not encrypted, which INSECURE_DATABASE_CONNECTION allows',
        'Enable TLS at the database, and add sslmode=verify-full to DATABASE_URL.',
      ),
    )
  } else findings.push(ok('The connection is not encrypted, and does not leave this machine'))
  return findings
}

function settingFindings({ settings }: Suitability, config: Config): Finding[] {
  const findings: Finding[] = []
  const perProcess = config.DATABASE_POOL_SIZE + connectionsBesidesThePool
  const wanted = perProcess * config.WORKERS
  if (wanted > settings.maxConnections) {
    findings.push(
      warning(
        `max_connections is ${settings.maxConnections}, and one server may open ${wanted}`,
        'Raise it, or lower DATABASE_POOL_SIZE or WORKERS. Include every server and every other program that connects.',
      ),
    )
  } else findings.push(ok(`max_connections is ${settings.maxConnections}, and one server opens at most ${wanted}`))
  for (const name of ['fsync', 'full_page_writes', 'synchronous_commit'] as const) {
    if (settings[name] !== 'off') continue
    findings.push(
      problem(
        `${name} is off, so a crash of the machine can undo what the server has confirmed`,
        `Set ${name} = on at the database. Otherwise revoked tokens can become valid again.`,
      ),
    )
  }
  if (!config.DATABASE_PREPARED_STATEMENTS && settings.statementTimeout === '0') {
    findings.push(
      warning(
        'The role has no statement_timeout, and behind a pooler nothing else can set one',
        'See docs/operations.md, "Connection poolers", for the statement to run.',
      ),
    )
  }
  return findings
}

/** Examines the archiving of the write-ahead log, the only kind of backup that leaves a trace in the database. */
function backupFinding({ archiving }: Suitability): Finding {
  const remedy = 'docs/backup.md explains how to make backups, and how to test that one can be restored.'
  if (archiving.failedAt && (!archiving.archivedAt || archiving.failedAt > archiving.archivedAt)) {
    return problem(
      `PostgreSQL has failed to archive its log since ${archiving.failedAt.toISOString()}`,
      'Check archive_command and its log. You cannot restore to any moment after that.',
    )
  }
  if (archiving.archivedAt) return ok(`PostgreSQL last archived its log at ${archiving.archivedAt.toISOString()}`)
  return warning(
    'Backups cannot be detected from here: PostgreSQL does not archive its log, and dumps leave no trace',
    remedy,
  )
}
