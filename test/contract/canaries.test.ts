import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { secret } from '../../src/secret.ts'
import * as keys from '../../src/stores/keys/keys.ts'
import { type DatabaseProxy, startProxy } from '../faults/proxy.ts'
import { adminToken, createAdministrator } from '../support/admin.ts'
import { createCanaries } from '../support/canaries.ts'
import { circulate, type Scene } from '../support/circulation.ts'
import { handOut } from '../support/handed-out.ts'
import { openMails } from '../support/mails.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { send } from '../support/wire.ts'
import * as administration from './canaries/administration.ts'
import { sendUnreadable } from './canaries/bodies.ts'
import { createChannels, tableOf } from './canaries/channels.ts'
import * as commandLine from './canaries/command-line.ts'
import * as crashes from './canaries/crashes.ts'
import * as failures from './canaries/failures.ts'
import * as objects from './canaries/objects.ts'
import * as processes from './canaries/processes.ts'
import { secretSettings } from './canaries/settings.ts'
import * as starts from './canaries/starts.ts'

const log = 'log, down to trace'
const argon2 = '$argon2id$v=19$m=19456'
const email = 'ada@example.com'

// A machine without /proc does not show its processes: those channels are left out there, with a message.
const ofProcesses = [processes.commandLines, processes.environments, processes.databaseLog]
if (!processes.hasProc) process.stderr.write(`There is no /proc here: ${ofProcesses.join(', ')} are left out.\n`)

const everyChannel = [
  log,
  failures.refusals,
  administration.shown,
  administration.rows,
  objects.printed,
  commandLine.output,
  commandLine.mistakes,
  commandLine.settings,
  starts.starts,
  crashes.crashes,
  crashes.reports,
  ...(processes.hasProc ? ofProcesses : []),
]

// Everything that a deployment knows and others must not: given, generated, handed out or only tried.
// biome-ignore format: it is a table
const everyKind = [
  'setting: DATABASE_URL', 'setting: DATABASE_URL that is wrong', 'setting: ENCRYPTION_KEYS',
  'setting: ENCRYPTION_KEYS that are wrong', 'setting: PKCS11_PIN', 'encryption.key that is damaged',
  'password of the embedded database', 'password of another database',
  'keyring: privateJwk', 'keyring: cookieKeys', 'keyring: dpopNonceSecret', 'keyring: pairwiseSalt',
  'keyring: userCodeKey', 'keyring: throttleKey', 'keyring: csrfKey', 'keyring: confirmationKey',
  'stored key: RS256', 'stored key: PS256', 'stored key: ES256', 'stored key: EdDSA', 'stored key: cookie-key',
  'stored key: dpop-nonce', 'stored key: pairwise-salt', 'stored key: pepper',
  'client_secret', 'previous client_secret', 'replaced client_secret',
  'chosen client_secret', 'declared client_secret', 'client_secret of a declaration',
  'client_secret of an administrator', 'client_secret in a stored answer',
  'client_secret made at the command line', 'wrong client_secret', 'basic credentials', 'client assertion',
  'declared: client_secret',
  'initial_access_token', 'initial_access_token made at the command line', 'registration_access_token',
  'access_token', 'access_token of an administrator', 'refresh_token', 'id_token', 'id_token_hint', 'code',
  'code_verifier', 'DPoP proof', 'request_uri', 'device_code', 'user_code', 'user_code without its dash',
  'wrong user code',
  'cookie postern_session', 'cookie postern_interaction', 'cookie postern_resume', 'cookie postern_browser', 'signature of a cookie',
  'forged cookie', 'interaction', 'csrf of a form', 'xsrf of a form',
  'password', 'password of an account', 'newly set password', 'wrong password',
  'token of a link', 'password chosen by a link', 'wrong code of a mail',
  'password from standard input', 'beginning of the hash of a password',
  'idempotency key', 'cursor', 'wrong cursor',
  'secret given at standard input', 'secret that is out of place', 'secret in a body that cannot be read',
]

const canaries = createCanaries()
const channels = createChannels()
let proxy: DatabaseProxy
let postern: TestPostern

beforeAll(async () => {
  proxy = await startProxy(inject('postgresUrl'))
  // The password for a directory needs none to be one of the settings.
  const directory = { LDAP_BIND_DN: 'cn=postern', LDAP_BIND_PASSWORD: randomBytes(24).toString('hex') }
  postern = await startPostern({ SIGN_IN_BY_CODE: 'true', ...directory }, { databaseUrl: proxy.urlOf })
  proxy.onlyRequestsOf(postern)
  await postern.createAccount(email)
  canaries.collectSecretsOf('keyring', postern.server.postern.keyring)
  canaries.collectSecretsOf('setting', postern.config)
  canaries.collect('beginning of the hash of a password', argon2)
  const scene: Scene = { postern, canaries, client: await postern.createClient(), email, afterStep: async () => {} }

  await circulate(scene)
  await handOut(scene)
  await openMails(scene)
  const bearer = await adminToken(postern, await createAdministrator(postern))
  canaries.collect('access_token of an administrator', bearer)
  await administration.readAll(scene, channels, bearer)
  await failures.provoke(scene, proxy, channels)
  await sendUnreadable(scene, channels, bearer)
  await failures.failJobs(scene)
  await objects.print(scene, channels)
  await commandLine.runCommands(scene, channels)
  await starts.failToStart(scene, channels)
  await crashes.crash(scene, channels)
  if (processes.hasProc) await processes.lookAround(scene, channels)
  await collectStoredKeys()
  await send(postern, `/${channels.marker(log)}`)
  for (const line of postern.logged) channels.write(log, line)
  console.info(tableOf(canaries, channels))
}, 240_000)
afterAll(async () => {
  await postern?.stop()
  await proxy?.close()
})

/** Collects the stored keys too: those made only now, and those that others are derived from. */
async function collectStoredKeys(): Promise<void> {
  const { db, envelope } = postern.server.postern.keys
  for (const { purpose, value } of await keys.open(db, envelope)) {
    const text = value?.reveal()
    if (text === undefined) continue
    canaries.collectSecretsOf('stored key', { [purpose]: secret(text.startsWith('{') ? JSON.parse(text) : text) })
  }
}

describe('a search for secrets in everything that leaves a deployment', () => {
  test('looks for one of every kind', () => {
    const kinds = [...canaries.kinds().keys()]
    expect(kinds).toEqual(expect.arrayContaining(everyKind))
    const unplanted = secretSettings(postern).filter(
      (name) => !kinds.some((kind) => kind.startsWith(`setting: ${name}`)),
    )
    expect(unplanted).toEqual([])
  })

  test.each(everyChannel)('finds the marker in the channel: %s', (channel) => {
    expect(channels.names()).toContain(channel)
    expect(channels.markersIn(channel)).toBeGreaterThan(0)
  })

  test('covers these channels and no others', () => {
    expect(channels.names().sort()).toEqual(everyChannel.toSorted())
  })

  test.each(everyChannel)('finds no secret in the channel: %s', (channel) => {
    expect(channels.leaks(canaries, channel)).toEqual([])
  })
})
