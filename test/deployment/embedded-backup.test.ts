import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RunningServer } from '../../src/serve.ts'
import { postern } from '../support/command-line.ts'
import { commandsBelow, runCommands } from '../support/documented-commands.ts'
import { freePort, serveWith, type TestPostern } from '../support/postern.ts'
import { serverPrograms } from '../support/postgresql-server.ts'
import { beginLogin, discover, login } from '../support/relying-party.ts'
import { createVisitor } from '../support/visitor.ts'
import { send } from '../support/wire.ts'
import { acquire, type Belongings, email } from './belongings.ts'

let folder: string
let here: TestPostern
let then: Belongings
let running: RunningServer | undefined
let dumping: { stderr: string } | undefined

const settings = (place: string) => ({
  ISSUER: here.issuer,
  PORT: new URL(here.issuer).port,
  DATA_DIR: join(folder, place),
})

async function follow(heading: string, place: string) {
  const commands = (await commandsBelow('docs/backup.md', heading)).join('\n')
  return runCommands(commands, { cwd: folder, env: settings(place), programs: serverPrograms })
}

async function begin(place: string): Promise<RunningServer> {
  running = await serveWith(settings(place))
  return running
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-backup-'))
  await chmod(folder, 0o755) // started by root, PostgreSQL runs as another user
  here = { issuer: `http://localhost:${await freePort()}` } as TestPostern
  const { postern: own, stop } = await begin('data')
  then = await acquire(own)
  if (serverPrograms) dumping = await follow('Dumping without stopping', 'data').catch((error) => error)
  await stop()
  await follow('Copying the data', 'data')
  await follow('Restoring a copy', 'restored')
})

afterAll(async () => {
  await running?.stop()
  await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
})

describe('a copy of the data of the embedded PostgreSQL', () => {
  test('contains everything except the encryption key, which is copied elsewhere', async () => {
    const { stdout } = await runCommands('tar --list --file=postern.tar.gz', { cwd: folder, env: {} })
    expect(stdout).toContain('./postgresql/PG_VERSION')
    expect(stdout).toContain('./postgresql.password')
    expect(stdout).not.toContain('encryption.key')
    const key = await readFile(join(folder, 'data/encryption.key'), 'utf8')
    expect(await readFile(join(folder, 'postern-encryption.key'), 'utf8')).toBe(key)
  })

  test('cannot be served without the key, and no new key is made for it', async () => {
    const DATA_DIR = join(folder, 'restored')
    await rm(join(DATA_DIR, 'encryption.key'))
    const before = await readdir(DATA_DIR)
    const { code, stderr } = await postern(['start'], { env: settings('restored') })
    expect(stderr).toContain(join(DATA_DIR, 'encryption.key'))
    expect(stderr).toMatch(/is missing.*Restore it from a backup/)
    expect(code).toBe(1)
    expect(await readdir(DATA_DIR)).toEqual(before)
  })

  test('restored elsewhere with the key keeps sessions, tokens and subjects valid', async () => {
    await runCommands('cp postern-encryption.key "$DATA_DIR/encryption.key"', {
      cwd: folder,
      env: settings('restored'),
    })
    await begin('restored')
    const { app: client } = then
    const form = { grant_type: 'refresh_token', refresh_token: then.tokens.refresh_token }
    expect((await send(here, '/oauth/token', { client, form })).status).toBe(200)
    const visitor = createVisitor(here.issuer, { cookies: new Map(then.cookies) })
    const config = await discover(here, client)
    const hinted = { issuer: here.issuer, visitor, prompt: 'none', id_token_hint: then.tokens.id_token }
    expect(new URL((await beginLogin(config, hinted)).page.url).searchParams.get('code')).toBeTruthy()
    const { tokens } = await login(here, then.pairwise, { email, visitor })
    expect(tokens.claims()?.sub).toBe(then.pairwiseSub)
  })
})

describe.runIf(serverPrograms)('a dump of the embedded PostgreSQL while it runs', () => {
  test('reaches the server: pg_dump of the same major version succeeds, and an older one reports that it is older', () => {
    expect(dumping?.stderr).toMatch(/^$|aborting because of server version mismatch\n.*server version: \d+/)
  })
})
