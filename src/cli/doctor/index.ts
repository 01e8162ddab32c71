import { type Config, InvalidConfiguration, misspelt, parse } from '../../config/index.ts'
import { createEnvelope, type Envelope } from '../../crypto/envelope.ts'
import { databaseFailure } from '../../database/failures.ts'
import { assertCreated, assertMigrated, open } from '../../database/open.ts'
import { load as loadEncryptionKeys } from '../../keys/encryption-keys.ts'
import { printable, type Style, styleFor } from '../../log/style.ts'
import * as keys from '../../stores/keys/keys.ts'
import * as audit from '../../stores/operations/audit.ts'
import type { Command } from '../command.ts'
import type { Session } from '../session.ts'
import { databaseFindings } from './database.ts'
import { type Finding, messageOf, ok, problem, warning } from './finding.ts'
import { issuerFindings } from './issuer.ts'
import { keyFindings } from './keys.ts'
import { ldapFindings } from './ldap.ts'
import { mailFindings } from './mail.ts'
import { proxyFindings } from './proxy.ts'

const eventsLookedAt = 200

/** `postern doctor`, which examines everything that a deployment depends on, and changes nothing. */
export const doctor: Command = {
  name: 'doctor',
  summary: 'Check settings, issuer, clocks, database, keys, mail and LDAP, and say what to do',
  notes: `It changes nothing. Run it with the settings of the server, on the machine of the server. It exits with status 1 if
there is a problem.`,
  options: { json: { description: 'Show JSON.' } },
  async run({ json }, { env }) {
    const findings = await examineAll(env)
    if (json) process.stdout.write(`${JSON.stringify({ findings }, null, 2)}\n`)
    else process.stdout.write(textOf(findings, styleFor(process.stdout, env)))
    if (findings.some(({ state }) => state === 'problem')) process.exitCode = 1
  },
}

/** Examines the deployment that these settings describe. */
export async function examineAll(env: Session['env']): Promise<Finding[]> {
  const strange = misspelt(env).map(({ name, meant }) => warning(`${name} is not a setting`, `Did you mean ${meant}?`))
  let config: Config
  try {
    config = parse(env)
  } catch (error) {
    if (!(error instanceof InvalidConfiguration)) throw error
    return [problem(error.message, 'Correct the settings: docs/configuration.md lists them all.'), ...strange]
  }
  const { findings, kids, addresses } = await insideFindings(config)
  return [
    ok('The settings are valid'),
    ...strange,
    ...(await issuerFindings(config, kids)),
    ...proxyFindings(config, addresses),
    ...(await mailFindings(config)),
    ...(await ldapFindings(config)),
    ...findings,
  ]
}

type Inside = { findings: Finding[]; kids?: string[]; addresses?: string[] }

/** Examines the database. Returns also the IDs of its published keys, and the addresses in its last audit events. */
async function insideFindings(config: Config): Promise<Inside> {
  const findings: Finding[] = []
  const known: Omit<Inside, 'findings'> = {}
  let envelope: Envelope | undefined
  try {
    await assertCreated(config)
    envelope = createEnvelope(await loadEncryptionKeys(config))
  } catch (error) {
    findings.push(problem(messageOf(error), 'Correct this first: without it, the database cannot be examined.'))
    return { findings, ...known }
  }
  try {
    const database = await open(config, { onError: () => {} }, () => {})
    try {
      findings.push(...(await databaseFindings(database.db, config)))
      await assertMigrated(config, database)
      findings.push(...(await keyFindings(database.db, config, envelope)))
      known.kids = (await keys.list(database.db)).flatMap(({ id, publicJwk }) => (publicJwk ? [id] : []))
      known.addresses = await audit.lastAddresses(database.db, eventsLookedAt)
    } finally {
      await database.close()
    }
  } catch (error) {
    findings.push(
      problem(
        `The database cannot be examined: ${databaseFailure(error) ?? messageOf(error)}`,
        'Check DATABASE_URL or DATA_DIR, and that the database is running and accepts connections from this machine.',
      ),
    )
  }
  return { findings, ...known }
}

const signs = { ok: '✓', warning: '!', problem: '✗' } as const
const emphases = { ok: 'green', warning: 'yellow', problem: 'red' } as const

/** Formats findings for a person, one line each, with the remedy on a line below. */
export function textOf(findings: readonly Finding[], style: Style): string {
  const lines = findings.flatMap(({ state, what, remedy }) => [
    `${style[emphases[state]](signs[state])} ${linesOf(what)}`,
    ...(remedy === undefined ? [] : [`  ${style.dim('→')} ${linesOf(remedy)}`]),
  ])
  const count = (state: Finding['state']) => findings.filter((finding) => finding.state === state).length
  return `${lines.join('\n')}\n\n${summary(count('problem'), count('warning'))}\n`
}

const linesOf = (text: string) => text.split('\n').map(printable).join('\n  ')

function summary(problems: number, warnings: number): string {
  if (problems + warnings === 0) return 'Everything is in order.'
  const number = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`
  return `${number(problems, 'problem')}, ${number(warnings, 'warning')}.`
}
