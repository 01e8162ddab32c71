import { z } from 'zod'
import { maskDatabaseUrl } from './database-url.ts'
import { isMailbox } from './mailboxes.ts'
import { inPlainWords } from './plain-words.ts'
import { accountPageSettings } from './settings/account-pages.ts'
import { accountMistakes, accountSettings } from './settings/accounts.ts'
import { auditSettings } from './settings/audit.ts'
import { brandMistakes, brandSettings } from './settings/brand.ts'
import { databaseMistakes, databaseSettings } from './settings/database.ts'
import { keyServiceMistakes, keyServiceSettings } from './settings/key-service.ts'
import { keyMistakes, keySettings } from './settings/keys.ts'
import { ldapMistakes, ldapSettings } from './settings/ldap.ts'
import { lifetimeSettings } from './settings/lifetimes.ts'
import { limitSettings } from './settings/limits.ts'
import { logSettings } from './settings/log.ts'
import { mailMistakes, mailSettings } from './settings/mail.ts'
import { passkeyMistakes, passkeySettings } from './settings/passkeys.ts'
import { protocolSettings } from './settings/protocol.ts'
import { registrationSettings } from './settings/registration.ts'
import { secondFactorSettings } from './settings/second-factors.ts'
import { serverMistakes, serverSettings } from './settings/server.ts'
import { closest } from './suggestions.ts'

/** The groups of settings, under the headings they have in docs/configuration.md. */
export const settingGroups = {
  Server: serverSettings,
  Brand: brandSettings,
  Log: logSettings,
  Database: databaseSettings,
  Keys: keySettings,
  'Signing keys in a PKCS #11 token': keyServiceSettings,
  Lifetimes: lifetimeSettings,
  Protocol: protocolSettings,
  Accounts: accountSettings,
  Passkeys: passkeySettings,
  'Second factors': secondFactorSettings,
  'Account pages': accountPageSettings,
  'LDAP and Active Directory': ldapSettings,
  Registration: registrationSettings,
  Mail: mailSettings,
  Limits: limitSettings,
  Audit: auditSettings,
} as const satisfies Record<string, z.ZodRawShape>

/** The one list of settings: name, default and meaning. docs/configuration.md is generated from it. */
export const environment = z
  .object({
    ...serverSettings,
    ...brandSettings,
    ...logSettings,
    ...databaseSettings,
    ...keySettings,
    ...keyServiceSettings,
    ...lifetimeSettings,
    ...protocolSettings,
    ...accountSettings,
    ...passkeySettings,
    ...secondFactorSettings,
    ...accountPageSettings,
    ...ldapSettings,
    ...registrationSettings,
    ...mailSettings,
    ...limitSettings,
    ...auditSettings,
  })
  .superRefine(
    (env, context) => {
      const mistakes = [
        ...serverMistakes(env),
        ...brandMistakes(env),
        ...accountMistakes(env),
        ...passkeyMistakes(env),
        ...databaseMistakes(env),
        ...keyMistakes(env),
        ...keyServiceMistakes(env),
        ...ldapMistakes(env),
        ...mailMistakes(env),
      ]
      for (const { name, message } of mistakes) context.addIssue({ code: 'custom', path: [name], message })
    },
    { when: () => true }, // also when a single setting is wrong, so that all mistakes are reported together
  )
  .transform((env) => ({ ...env, ISSUER: env.ISSUER ?? `http://localhost:${env.PORT}` }))

export type Config = Readonly<z.output<typeof environment>>

export type { TrustedIssuer } from './settings/registration.ts'

/** All mistakes of an environment, one a line, each with what to do about it. */
export class InvalidConfiguration extends Error {
  override name = 'InvalidConfiguration'
}

/**
 * Parses the environment. An empty variable counts as unset.
 *
 * @throws InvalidConfiguration with all mistakes together.
 */
export function parse(env: Record<string, string | undefined>): Config {
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''))
  const result = environment.safeParse(set, { error: inPlainWords })
  if (!result.success) {
    const lines = [
      ...result.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`),
      ...misspelt(set).map(({ name, meant }) => `${name} is not a setting. Did you mean ${meant}?`),
    ]
    throw new InvalidConfiguration(`The configuration has mistakes:\n${lines.map((line) => `  ${line}`).join('\n')}`)
  }
  return Object.freeze(result.data)
}

/**
 * Finds variables that are probably misspelt settings, each with the setting that it resembles. A name counts only if
 * it differs from a setting in one or two letters, since other variables belong to other programs.
 */
export function misspelt(env: Record<string, string | undefined>): { name: string; meant: string }[] {
  const known = Object.keys(environment.in.shape)
  const unknown = Object.keys(env).filter((name) => !known.includes(name))
  return unknown.flatMap((name) => {
    const meant = closest(name, known, name.length > 5 ? 2 : 1)
    return meant === undefined ? [] : [{ name, meant }]
  })
}

/** Lists the effective settings as lines of `NAME=value`, with secrets masked. */
export function describe(config: Config): string {
  return Object.entries(config)
    .map(([name, value]) => {
      const shown =
        name === 'DATABASE_URL' && config.DATABASE_URL ? maskDatabaseUrl(config.DATABASE_URL.reveal()) : value
      return `${name}=${listed(shown)}`
    })
    .join('\n')
}

function listed(value: unknown): string {
  if (isMailbox(value)) return value.name === undefined ? value.address : `${value.name} <${value.address}>`
  if (!Array.isArray(value)) return String(value ?? '')
  const items = value.map(String)
  return items.some((item) => item.startsWith('[object')) ? JSON.stringify(value) : items.join(',')
}
