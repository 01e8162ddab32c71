import type { Config } from '../../config/index.ts'
import { pending } from '../../database/migrate.ts'
import { cannotCreate, examine, type Suitability } from '../../database/requirements.ts'
import type { Db } from '../../database/schema.ts'
import { type Finding, ok, problem, warning } from './finding.ts'
import { clockFinding } from './issuer.ts'

const connectionsBesidesThePool = 4 // for notifications, locks and the claim on the issuer

/** Whether the database is one that Postern can rely on. */
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
        'Names of people need UTF8: dump it, and restore it into a database created with encoding UTF8.',
      ),
    )
  }
  if (!DATABASE_URL) return findings
  findings.push(
    isSuperuser
      ? warning(
          `The role ${user} is a superuser`,
          'Give Postern a role that owns its database and nothing else: docs/operations.md, "In production".',
        )
      : ok(`The role ${user} is no superuser`),
  )
  if (isEncrypted) findings.push(ok('The connection is encrypted'))
  else if (INSECURE_DATABASE_CONNECTION) {
    findings.push(
      warning(
        'The connection is not encrypted, which INSECURE_DATABASE_CONNECTION allows',
        'Switch TLS on at the database, and add sslmode=verify-full to DATABASE_URL.',
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
        'Raise it, or lower DATABASE_POOL_SIZE or WORKERS. Count every server, and what else connects.',
      ),
    )
  } else findings.push(ok(`max_connections is ${settings.maxConnections}, and one server opens at most ${wanted}`))
  for (const name of ['fsync', 'full_page_writes', 'synchronous_commit'] as const) {
    if (settings[name] !== 'off') continue
    findings.push(
      problem(
        `${name} is off: what was answered can be lost when the machine stops`,
        `Set ${name} = on at the database. Without it, revoked tokens can come back.`,
      ),
    )
  }
  if (!config.DATABASE_PREPARED_STATEMENTS && settings.statementTimeout === '0') {
    findings.push(
      warning(
        'The role has no statement_timeout, which behind a pooler only it can have',
        'docs/operations.md, "Connection poolers", has what to run.',
      ),
    )
  }
  return findings
}

/** Dumps leave no trace in a database. What it archives by itself does. */
function backupFinding({ archiving }: Suitability): Finding {
  const remedy = 'docs/backup.md says how to make backups, and how to restore one to try it.'
  if (archiving.failedAt && (!archiving.archivedAt || archiving.failedAt > archiving.archivedAt)) {
    return problem(
      `PostgreSQL has failed to archive its log since ${archiving.failedAt.toISOString()}`,
      'Look at archive_command and its log: there is no restoring to a moment after that.',
    )
  }
  if (archiving.archivedAt) return ok(`PostgreSQL archived its log last at ${archiving.archivedAt.toISOString()}`)
  return warning(
    'Whether there are backups cannot be seen from here: PostgreSQL archives nothing by itself, and dumps leave no trace',
    remedy,
  )
}
