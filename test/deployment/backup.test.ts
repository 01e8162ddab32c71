import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RunningServer } from '../../src/serve.ts'
import { postern } from '../support/command-line.ts'
import { commandsBelow, runCommands } from '../support/documented-commands.ts'
import { operateOn } from '../support/operator.ts'
import { environmentFor, serveWith, type TestPostern } from '../support/postern.ts'
import { type PostgresqlServer, serverPrograms, startPostgresql } from '../support/postgresql-server.ts'
import { manage } from '../support/registration.ts'
import { beginLogin, discover, login, refusal } from '../support/relying-party.ts'
import { createVisitor } from '../support/visitor.ts'
import { publishedKeys, send } from '../support/wire.ts'
import { acquire, type Belongings, deviceGrant, email, secretsOf } from './belongings.ts'

// `npm test` needs only Node.js. In CI, where a run must be complete, a missing program is a failure.
const isComplete = serverPrograms !== undefined && spawnSync('curl', ['--version']).status === 0
const canRun = process.env['CI'] !== undefined || isComplete
if (!canRun) process.stderr.write('There is no PostgreSQL server, or no curl: the tests of backups are skipped.\n')

type Settings = Record<string, string>

const passwordSince = 'what she changed it to after the backup'
const clientCredentials = { grant_type: 'client_credentials' }
let folder: string
let servers: [PostgresqlServer, PostgresqlServer]
let running: RunningServer | undefined
/** The settings of the lost server and of the one that replaces it. They differ only in the database. */
let lost: Settings
let restored: Settings
/** The output of the commands in the document that look into the restored database. */
let look: string
let here: TestPostern
let then: Belongings
let secrets: string[]
/** The refresh token that replaced the one in the backup. */
let successor: string

async function begin(settings: Settings): Promise<RunningServer> {
  running = await serveWith(settings)
  return running
}

const operate = (command: string, input: Record<string, unknown>) =>
  operateOn((running as RunningServer).postern, command, input)

async function inShell(commands: string, env: Settings): Promise<string> {
  return (await runCommands(commands, { cwd: folder, env, programs: serverPrograms })).stdout
}

/** Runs the commands that the document shows below a heading: all of them, or one block. */
async function follow(heading: string, env: Settings, block?: number): Promise<string> {
  const blocks = await commandsBelow('docs/backup.md', heading)
  return inShell(String(block === undefined ? blocks.join('\n') : blocks[block]), env)
}

/** Returns a database as SQL, without the random word that pg_dump puts around it. */
async function dumpOf(settings: Settings): Promise<string> {
  const dump = await inShell('pg_dump --dbname="$DATABASE_URL"', settings)
  return dump.replaceAll(/^\\(un)?restrict .*$/gm, '')
}

/** Returns the id of the key that signed before the backup and was revoked after it. */
const kidOfThen = () => String(decodeProtectedHeader(then.tokens.id_token).kid)

/** Returns a browser as it was at the time of the backup. */
const browserOfThen = () => createVisitor(here.issuer, { cookies: new Map(then.cookies) })

async function signInSilently(parameters: Record<string, string> = {}) {
  const config = await discover(here, then.app)
  const visitor = browserOfThen()
  return beginLogin(config, { issuer: here.issuer, visitor, prompt: 'none', ...parameters })
}

beforeAll(async () => {
  if (!canRun) return
  folder = await mkdtemp(join(tmpdir(), 'postern-backup-'))
  servers = await Promise.all([startPostgresql(), startPostgresql()])
  const settings = await environmentFor(await servers[0].createDatabase('postern'))
  lost = { ...settings, MIGRATE_ON_START: 'true' }
  here = { issuer: lost['ISSUER'] } as TestPostern
  const server = await begin(lost)
  then = await acquire(server.postern)
  secrets = [...secretsOf(then, server.postern), String(lost['ENCRYPTION_KEYS'])]
  await follow('Taking a dump', lost) // while it runs

  const refreshed = await oidc.refreshTokenGrant(await discover(here, then.app), then.tokens.refresh_token)
  successor = String(refreshed.refresh_token)
  await operate('account set-password', { account: email, password: passwordSince })
  await operate('client delete', { client_id: then.machine.client_id })
  await operate('keys revoke', { kid: kidOfThen() })
  await server.stop()

  restored = { ...lost, DATABASE_URL: await servers[1].createDatabase('elsewhere') }
  look = await follow('Restoring a dump', restored)
}, 120_000)

afterAll(async () => {
  await running?.stop()
  await Promise.all((servers ?? []).map((server) => server.stop()))
  if (folder) await rm(folder, { recursive: true, force: true })
})

describe.runIf(canRun)('a backup without the encryption key', () => {
  test('contains no readable secret, in any encoding', async () => {
    const dump = await inShell('pg_restore --file=- postern.dump', restored)
    const spellings = (value: string) => {
      const bytes = Buffer.from(value)
      return [value, bytes.toString('hex'), bytes.toString('base64').replace(/=*$/, ''), bytes.toString('base64url')]
    }
    const isIn = (value: string) => spellings(value).some((spelling) => dump.includes(spelling))
    expect([email, then.app.client_id].map(isIn)).toEqual([true, true])
    expect(secrets.length).toBeGreaterThan(20)
    expect(secrets.filter(isIn)).toEqual([])
    expect(dump).not.toMatch(/"(d|p|q|priv|k)"\s*:/) // members of a private JWK (RFC 7518 §6)
  })

  const another = randomBytes(32).toString('base64')
  test.each([
    [
      'another key',
      () => another,
      1,
      /sealed with key [0-9a-f]{8}, which is not in .* Nothing was changed\. Add it to/,
    ],
    ['no key', () => '', 2, /ENCRYPTION_KEYS is required when DATABASE_URL is set\. If .* restore it from where/],
    [
      'part of the key',
      () => String(lost['ENCRYPTION_KEYS']).slice(0, 40),
      2,
      /ENCRYPTION_KEYS key 1 must be 32 bytes/,
    ],
  ])(
    'cannot be served with %s: the start fails with the reason, and changes nothing',
    async (_, key, status, sentence) => {
      const before = await dumpOf(restored)
      const { code, stderr, stdout } = await postern(['start'], {
        env: { ...restored, ENCRYPTION_KEYS: key(), MIGRATE_ON_START: 'true' },
      })
      expect(stderr).toMatch(sentence)
      expect(code).toBe(status)
      for (const secret of [another, ...secrets]) expect(stdout + stderr).not.toContain(secret)
      expect(await dumpOf(restored)).toBe(before)
    },
  )
})

describe.runIf(canRun)('a backup with the encryption key, restored elsewhere', () => {
  test('shows its keys with the commands of the document', () => {
    const { items } = JSON.parse(look) as { items: { kid: string; state: string }[] }
    expect(items.find(({ kid }) => kid === kidOfThen())?.state).toBe('active')
  })

  test('is distinguished from an empty database, which those commands leave empty', async () => {
    const empty = { ...restored, DATABASE_URL: await servers[1].createDatabase('empty') }
    await expect(follow('Restoring a dump', empty, 1)).rejects.toThrow('has no tables of Postern')
    expect(await dumpOf(empty)).not.toContain('CREATE TABLE public.keys')
  })
})

describe.runIf(canRun)('a server on the restored database', () => {
  beforeAll(async () => {
    await begin(restored)
  })

  test('keeps people signed in: the browser from before needs no password', async () => {
    const { page } = await signInSilently()
    expect(new URL(page.url).searchParams.get('code')).toBeTruthy()
  })

  test('verifies an ID token from before, and accepts it as id_token_hint', async () => {
    const { payload } = await jwtVerify(then.tokens.id_token, await publishedKeys(here), { issuer: here.issuer })
    expect(payload.aud).toBe(then.app.client_id)
    const { page } = await signInSilently({ id_token_hint: then.tokens.id_token })
    expect(new URL(page.url).searchParams.get('code')).toBeTruthy()
    const forged = then.tokens.id_token.replace(/\.[^.]+$/, `.${randomBytes(256).toString('base64url')}`)
    const refused = await signInSilently({ id_token_hint: forged })
    expect(new URL(refused.page.url).searchParams.get('error')).toBe('invalid_request')
  })

  test('keeps the subjects of a client with pairwise subjects', async () => {
    const { tokens } = await login(here, then.pairwise, { email, visitor: browserOfThen() })
    expect(tokens.claims()?.sub).toBe(then.pairwiseSub)
    expect(then.pairwiseSub).not.toBe(decodeJwt(then.tokens.id_token).sub)
  })

  test('introspects an access token from before', async () => {
    const { app: client } = then
    const { json } = await send(here, '/oauth/introspect', { client, form: { token: then.tokens.access_token } })
    expect(json).toMatchObject({ active: true, client_id: client.client_id })
  })

  test('refreshes the token of the backup, and rejects the one that replaced it later', async () => {
    const config = await discover(here, then.app)
    expect(await refusal(oidc.refreshTokenGrant(config, successor))).toMatchObject({ error: 'invalid_grant' })
    const { refresh_token } = await oidc.refreshTokenGrant(config, then.tokens.refresh_token)
    expect(refresh_token).toBeTruthy()
    const again = refusal(oidc.refreshTokenGrant(config, then.tokens.refresh_token))
    expect(await again).toMatchObject({ error: 'invalid_grant' })
  })

  test('lets a client that registered itself manage its registration', async () => {
    const { status, json } = await manage(here, then.selfMade, 'GET')
    expect([status, json['client_id']]).toEqual([200, then.selfMade.client_id])
  })

  test('continues a device flow that was under way', async () => {
    const { device_code, user_code } = then.device
    const form = { grant_type: deviceGrant, device_code, client_id: then.tv.client_id }
    expect((await send(here, '/oauth/token', { form })).json['error']).toBe('authorization_pending')
    const visitor = browserOfThen()
    const shown = await visitor.submit(await visitor.get('/device'), '/device', { user_code })
    await visitor.allow(await visitor.submit(shown, '/device', { confirm: 'yes' }))
    expect((await send(here, '/oauth/token', { form })).json).toMatchObject({ token_type: 'Bearer' })
  })

  test('publishes its keys at its own issuer, as the commands of the document show', async () => {
    expect(await follow('Trying it', restored)).toContain(kidOfThen())
  })

  test('has the audit from before', async () => {
    const { items } = (await operate('audit list', {})) as { items: { type: string }[] }
    const types = items.map(({ type }) => type)
    expect(types).toEqual(expect.arrayContaining(['account.created', 'sign_in.succeeded', 'consent.given']))
  })
})

describe.runIf(canRun)('an old backup', () => {
  test('brings back a client that was deleted later, and the previous password', async () => {
    const { status } = await send(here, '/oauth/token', { client: then.machine, form: clientCredentials })
    expect(status).toBe(200)
    const { tokens } = await login(here, then.app, { email })
    expect(tokens.id_token).toBeTruthy()
  })

  test('undoes changes, all of which the audit of the lost database lists', async () => {
    const LOST_DATABASE_URL = String(lost['DATABASE_URL'])
    const undone = await follow('What an old backup brings back', { ...restored, LOST_DATABASE_URL }, 1)
    const types = undone
      .trim()
      .split('\n')
      .map((line) => line.split('|')[1])
    expect(types).toEqual(expect.arrayContaining(['account.password_set', 'client.deleted', 'key.revoked']))
    expect(types).not.toContain('account.created')
  })

  test('brings back a key that was revoked later, until it is revoked again', async () => {
    const published = async () => (await send(here, '/oauth/jwks')).text.includes(kidOfThen())
    expect(await published()).toBe(true)
    await inShell(`./postern keys revoke ${kidOfThen()}`, restored)
    await expect.poll(published).toBe(false)
    const { page } = await signInSilently({ id_token_hint: then.tokens.id_token })
    expect(new URL(page.url).searchParams.get('error')).toBe('invalid_request')
  })

  test('brings back sessions and tokens, which the commands of the document end without ending anything else', async () => {
    await follow('What an old backup brings back', restored, 0)
    const { page } = await signInSilently()
    expect(new URL(page.url).searchParams.get('error')).toBe('login_required')
    const { app: client } = then
    const { json } = await send(here, '/oauth/introspect', { client, form: { token: then.tokens.access_token } })
    expect(json).toEqual({ active: false })
    expect((await manage(here, then.selfMade, 'GET')).status).toBe(200)
    expect((await login(here, client, { email })).tokens.id_token).toBeTruthy()
  })
})
