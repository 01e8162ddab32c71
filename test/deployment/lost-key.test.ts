import { randomBytes } from 'node:crypto'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RunningServer } from '../../src/serve.ts'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { commandsBelow, runCommands } from '../support/documented-commands.ts'
import { serveWith, startPostern, type TestPostern } from '../support/postern.ts'
import { serverPrograms } from '../support/postgresql-server.ts'
import { manage } from '../support/registration.ts'
import { login } from '../support/relying-party.ts'
import { createVisitor } from '../support/visitor.ts'
import { send } from '../support/wire.ts'
import { acquire, type Belongings, email } from './belongings.ts'

// The commands need psql, which comes with a PostgreSQL server.
const canRun = process.env['CI'] !== undefined || serverPrograms !== undefined

let postern: TestPostern
let server: RunningServer
let then: Belongings
let renewed: ClientMetadata
let give: (clientId: string) => Promise<ClientMetadata>

beforeAll(async () => {
  if (!canRun) return
  postern = await startPostern()
  then = await acquire(postern.server.postern)
  await postern.server.stop()

  const [empty = '', rotate = ''] = await commandsBelow('docs/backup.md', 'Without the key')
  const env: Record<string, string> = { ...postern.env, ENCRYPTION_KEYS: randomBytes(32).toString('base64') }
  const shell = { cwd: '/', programs: serverPrograms }
  await runCommands(empty, { ...shell, env })
  server = await serveWith(env)
  give = async (client_id) => {
    const { stdout } = await runCommands(rotate, { ...shell, env: { ...env, CLIENT_ID: client_id } })
    const { client_secret } = JSON.parse(stdout) as { client_secret: string }
    return { client_id, client_secret }
  }
  renewed = await give(then.app.client_id)
})

afterAll(async () => {
  await server?.stop()
  await postern?.database.drop()
})

describe.runIf(canRun)(
  'after the encryption key was lost, and the sealed values were given up as docs/backup.md says',
  () => {
    test('people sign in with their passwords, and keep their public subjects', async () => {
      const { tokens } = await login(postern, renewed, { email })
      expect(tokens.claims()?.sub).toBe(decodeJwt(then.tokens.id_token).sub)
    })

    test('consents are remembered', async () => {
      const visitor = createVisitor(postern.issuer)
      await login(postern, renewed, { email, visitor })
      const { callback } = await login(postern, renewed, { email, visitor, scope: 'openid email', prompt: 'none' })
      expect(callback.searchParams.get('code')).toBeTruthy()
    })

    test('the previous client secret is rejected, and so are its tokens and its sessions', async () => {
      const form = { token: then.tokens.access_token }
      expect((await send(postern, '/oauth/introspect', { client: then.app, form })).status).toBe(401)
      expect((await send(postern, '/oauth/introspect', { client: renewed, form })).json).toEqual({ active: false })
      const visitor = createVisitor(postern.issuer, { cookies: new Map(then.cookies) })
      await expect(login(postern, renewed, { email, visitor, prompt: 'none' })).rejects.toThrow()
    })

    test('a client that registered itself fails until it gets another secret, and then can be managed again', async () => {
      expect((await manage(postern, then.selfMade, 'GET')).status).toBe(500)
      await give(then.selfMade.client_id)
      expect((await manage(postern, then.selfMade, 'GET')).status).toBe(200)
    })

    test('a client with pairwise subjects gets different subjects', async () => {
      const { tokens } = await login(postern, await give(then.pairwise.client_id), { email })
      expect(tokens.claims()?.sub).toMatch(/./)
      expect(tokens.claims()?.sub).not.toBe(then.pairwiseSub)
    })
  },
)
