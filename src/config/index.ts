import { z } from 'zod'
import { secret } from '../secret.ts'
import { databaseMistakes, databaseSettings } from './database.ts'
import { maskDatabaseUrl } from './database-url.ts'
import { pauseSeconds, seconds, secondsOrNone } from './durations.ts'
import { issuer } from './issuer.ts'
import { findKeyMistake, keyRemedy } from './key-encryption-keys.ts'
import { keyServiceMistakes, keyServiceSettings } from './key-service.ts'
import { limits } from './limits.ts'
import { inPlainWords } from './plain-words.ts'
import { rangeProblem } from './proxies.ts'
import { closest } from './suggestions.ts'

const list = z
  .string()
  .default('')
  .transform((value) =>
    value
      .split(',')
      .map((item) => item.trim())
      .filter(Boolean),
  )

const isHost = (host: string) => !/[*/\\?#@\s]/.test(host) && URL.canParse(`https://${host}`)
const asUrlsSpellIt = (host: string) => new URL(`https://${host}`).host

const keys = z
  .string()
  .transform((value) => value.split(',').map((key) => key.trim()))
  .superRefine((list, context) => {
    const mistake = findKeyMistake(list)
    if (mistake) context.addIssue(`key ${mistake.position} ${mistake.problem}. ${keyRemedy}`)
  })
  .transform((list) => list.map((key) => secret(key)))

/** Whose software statements are believed (RFC 7591 §2.3): the exact `iss`, and where its keys are. */
const trustedIssuer = z
  .strictObject({
    issuer: z.string().min(1),
    jwks: z.strictObject({ keys: z.array(z.looseObject({ kty: z.string() })).min(1) }).optional(),
    jwks_uri: z.url({ protocol: /^https$/, error: 'must be an https URL' }).optional(),
  })
  .refine(({ jwks, jwks_uri }) => (jwks === undefined) !== (jwks_uri === undefined), {
    error: 'must have either jwks or jwks_uri',
  })

export type TrustedIssuer = z.output<typeof trustedIssuer>

const json = z.string().transform((text, context) => {
  try {
    return JSON.parse(text) as unknown
  } catch {
    context.addIssue({ code: 'custom', message: 'must be JSON' })
    return z.NEVER
  }
})

// Rules about several settings are checked even if others are wrong, so that all mistakes are told at once.
const together = { when: () => true }

/** The only list of settings: environment variable, default, meaning. docs/configuration.md is checked against it. */
export const environment = z
  .object({
    ISSUER: issuer,
    PORT: z.coerce.number().int().min(0).max(65535).default(3000).describe('Port to listen on; 0 picks a free one.'),
    HOST: z.string().default('127.0.0.1').describe('Address to listen on. Use 0.0.0.0 in a container.'),
    ...databaseSettings,
    MIGRATE_ON_START: z.stringbool().default(true).describe('Apply missing migrations when the server starts.'),
    DATA_DIR: z.string().default('.data').describe('Where the embedded PostgreSQL and its generated keys live.'),
    ENCRYPTION_KEYS: keys
      .optional()
      .describe(
        'Key-encryption keys, 32 bytes in base64, comma separated; the first encrypts, all decrypt. Required with DATABASE_URL, unless they are in a file; generated into DATA_DIR otherwise.',
      ),
    ENCRYPTION_KEYS_FILE: z
      .string()
      .optional()
      .describe('A file with the key-encryption keys instead, one a line; blank lines and lines with # are skipped.'),
    ...keyServiceSettings,
    TRUSTED_PROXIES: list
      .superRefine((ranges, context) => {
        const [problem] = ranges.flatMap((range) => rangeProblem(range) ?? [])
        if (problem) context.addIssue({ code: 'custom', message: problem })
      })
      .describe('Addresses or CIDR ranges whose X-Forwarded-For is believed, comma separated.'),
    EGRESS_PRIVATE_HOSTS: list
      .refine((hosts) => hosts.every(isHost), {
        error: 'must be whole host names, comma separated, each with its port unless that is 443: apps.internal:8443',
      })
      .transform((hosts) => hosts.map(asUrlsSpellIt))
      .describe(
        'Hosts that the server may fetch from for clients although they are at private addresses, comma separated, each with its port unless that is 443. Whoever can register a client can then have requests sent to them from inside your network: list none that trusts its network.',
      ),
    WORKERS: z.coerce.number().int().min(1).max(64).default(1).describe('Server processes sharing the port.'),
    LOG_LEVEL: z
      .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
      .default('info')
      .describe('Log level.'),
    LOG_FORMAT: z
      .enum(['auto', 'json', 'text'])
      .default('auto')
      .describe(
        'How the log is written: JSON for programs, text for people. `auto` is text on a terminal, JSON elsewhere.',
      ),
    ACCESS_TOKEN_TTL_SECONDS: seconds.default(600).describe('Lifetime of an access token.'),
    ID_TOKEN_TTL_SECONDS: seconds.default(3600).describe('Lifetime of an ID token.'),
    REFRESH_TOKEN_TTL_SECONDS: seconds.default(1_209_600).describe('Lifetime of an unused refresh token.'),
    REFRESH_TOKEN_FAMILY_TTL_SECONDS: seconds
      .default(31_536_000)
      .describe('Lifetime of a login kept alive by refresh tokens, however often they are rotated.'),
    REFRESH_TOKEN_REUSE_WINDOW_SECONDS: secondsOrNone
      .default(10)
      .describe('A duplicate of a refresh token within this time fails without revoking the family; 0 is strict.'),
    SESSION_TTL_SECONDS: seconds.default(1_209_600).describe('Lifetime of an unused sign-in session.'),
    INTERACTION_TTL_SECONDS: seconds.default(3600).describe('Time a person has to sign in and consent.'),
    REQUIRE_PKCE: z
      .enum(['always', 'public-clients'])
      .default('always')
      .describe('Who must use PKCE. `public-clients` relaxes it for confidential clients only.'),
    CLIENT_ASSERTION_AUDIENCE: z
      .enum(['issuer', 'any'])
      .default('any')
      .describe(
        'Whom the assertion of a client has to name as its audience: the issuer alone (RFC 7523bis), or any of issuer, token endpoint and endpoint asked.',
      ),
    ALLOW_IMPLICIT_AND_HYBRID: z
      .stringbool()
      .default(false)
      .describe('Allow implicit and hybrid response types for clients registered with them (weaker than code).'),
    ALLOW_FORM_POST: z
      .stringbool()
      .default(true)
      .describe(
        'Allow the form_post response mode, which several client libraries use by default. Its page submits itself by script, or by a button.',
      ),
    ALLOW_REQUEST_URI: z
      .stringbool()
      .default(false)
      .describe(
        'Fetch request objects from the `request_uris` that a client is registered with (OpenID Connect Core §6.2). Pushed requests need no setting.',
      ),
    ALLOW_ENCRYPTION: z.stringbool().default(false).describe('Allow JWE for clients registered with it.'),
    AUDIT_RETENTION_SECONDS: secondsOrNone
      .refine((seconds) => seconds === 0 || seconds >= 86_400, { error: 'must be at least 1d, or 0 to keep all of it' })
      .default(0)
      .describe('How long events of the audit are kept, such as 365d; 0 keeps all of them.'),
    KEY_ROTATION_SECONDS: seconds.default(2_592_000).describe('How long a key signs before the next one takes over.'),
    JWKS_CACHE_SECONDS: seconds
      .default(3600)
      .describe('How long relying parties may remember the published keys. A new key signs only after that time.'),
    ALLOW_ML_DSA: z
      .stringbool()
      .default(false)
      .describe('Sign with ML-DSA-65, against which quantum computers are no help, for clients registered with it.'),
    OPEN_REGISTRATION: z
      .stringbool()
      .default(false)
      .describe('Let anybody register an app without a token, under the registration policy `open`.'),
    ...limits,
    CLIENT_ID_METADATA_DOCUMENTS: list
      .refine((hosts) => hosts.every((host) => host === '*' || isHost(host.replace(/^\*\./, ''))), {
        error: 'must be * or hosts, comma separated, such as claude.ai or *.example.com',
      })
      .transform((hosts) => hosts.map((host) => host.replace(/[^*.].*$/, asUrlsSpellIt)))
      .describe(
        'Hosts whose client id metadata documents are accepted, comma separated, each with its port unless that is 443: an app then uses the address of its document as its client_id, under the registration policy `document`. `*.example.com` is every host below example.com, and `*` is any host.',
      ),
    SOFTWARE_STATEMENT_ISSUERS: json
      .pipe(
        z.array(trustedIssuer).refine((list) => new Set(list.map(({ issuer }) => issuer)).size === list.length, {
          error: 'must name each issuer once',
        }),
      )
      .default([])
      .describe(
        'Whose software statements are believed, as a JSON list: of each its `issuer`, and its keys as `jwks_uri` or as `jwks`.',
      ),
    SHUTDOWN_TIMEOUT_SECONDS: seconds.default(15).describe('Time for requests in flight before a stop is forced.'),
    SHUTDOWN_DELAY_SECONDS: pauseSeconds
      .default(0)
      .describe('Time between not being ready any more and refusing connections, for a load balancer to notice.'),
  })
  .refine((env) => !env.DATABASE_URL || env.ENCRYPTION_KEYS || env.ENCRYPTION_KEYS_FILE, {
    path: ['ENCRYPTION_KEYS'],
    error: `is required when DATABASE_URL is set. ${keyRemedy}`,
    ...together,
  })
  .refine((env) => !env.ENCRYPTION_KEYS || !env.ENCRYPTION_KEYS_FILE, {
    path: ['ENCRYPTION_KEYS_FILE'],
    error: 'cannot be set together with ENCRYPTION_KEYS: leave out the one that is not meant',
    ...together,
  })
  .refine((env) => env.PORT !== 0 || env.ISSUER, {
    path: ['ISSUER'],
    error: 'is required when PORT is 0',
    ...together,
  })
  .superRefine((env, context) => {
    for (const { name, message } of [...databaseMistakes(env), ...keyServiceMistakes(env)]) {
      context.addIssue({ code: 'custom', path: [name], message })
    }
  }, together)
  .transform((env) => ({ ...env, ISSUER: env.ISSUER ?? `http://localhost:${env.PORT}` }))

export type Config = Readonly<z.output<typeof environment>>

/** All mistakes of an environment, one per line, each saying what to do. */
export class InvalidConfiguration extends Error {
  override name = 'InvalidConfiguration'
}

/**
 * Parses the environment once. An empty variable counts as unset.
 *
 * @throws InvalidConfiguration naming every mistake together.
 */
export function parse(env: Record<string, string | undefined>): Config {
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''))
  const result = environment.safeParse(set, { error: inPlainWords })
  if (!result.success) {
    const lines = [
      ...result.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`),
      ...misspelt(set).map(({ name, meant }) => `${name} is no setting. Did you mean ${meant}?`),
    ]
    throw new InvalidConfiguration(`The configuration has mistakes:\n${lines.map((line) => `  ${line}`).join('\n')}`)
  }
  return Object.freeze(result.data)
}

/**
 * Names of variables that are no settings and were probably meant to be, each with the setting. Others are of other
 * programs: only a name that differs in a letter or two is told.
 */
export function misspelt(env: Record<string, string | undefined>): { name: string; meant: string }[] {
  const known = Object.keys(environment.in.shape)
  const unknown = Object.keys(env).filter((name) => !known.includes(name))
  return unknown.flatMap((name) => {
    const meant = closest(name, known, name.length > 5 ? 2 : 1)
    return meant === undefined ? [] : [{ name, meant }]
  })
}

/** The effective settings as `NAME=value` lines with secrets masked. */
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
  if (!Array.isArray(value)) return String(value ?? '')
  const items = value.map(String)
  return items.some((item) => item.startsWith('[object')) ? JSON.stringify(value) : items.join(',')
}
