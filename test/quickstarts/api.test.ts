import { execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type JWK, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { surroundings } from '../deployment/dockerfile.ts'
import { stopAll, watch } from '../examples/example.ts'
import { inherited } from '../support/inherited.ts'
import { operate } from '../support/operator.ts'
import { freePort, startPostern, type TestPostern } from '../support/postern.ts'
import { createKey, send } from '../support/wire.ts'
import { blocksOf } from './blocks.ts'

type Answer = { status: number; challenge: string | null; body: unknown }

const run = promisify(execFile)
// pip does not come with every Python.
const hasPip = await run('python3', ['-m', 'pip', '--version'], { env: surroundings() }).then(
  () => true,
  () => false,
)

describe.runIf(hasPip)('docs/quickstarts/api-python.md', () => {
  let postern: TestPostern
  let folder: string
  let api: string

  beforeAll(async () => {
    postern = await startPostern()
    folder = await mkdtemp(join(tmpdir(), 'postern-api-'))
    const port = String(await freePort())
    api = `http://localhost:${port}/notes`
    const scopes = { 'notes:read': 'Read your notes', 'notes:write': 'Change your notes' }
    const own = (await operate(postern, 'resource create', { identifier: api, scopes })) as Record<string, string>
    const [code = ''] = await blocksOf('docs/quickstarts/api-python.md', 'python')
    await writeFile(join(folder, 'api.py'), code)
    await run('python3', ['-m', 'pip', 'install', '--quiet', '--target', 'packages', 'flask', 'requests'], {
      cwd: folder,
      env: surroundings(),
    })
    const env = {
      ...inherited,
      ISSUER: postern.issuer,
      RESOURCE: api,
      CLIENT_ID: String(own['client_id']),
      CLIENT_SECRET: String(own['client_secret']),
      PYTHONPATH: join(folder, 'packages'),
    }
    const words = ['-m', 'flask', '--app', 'api', 'run', '--host', 'localhost', '--port', port]
    await watch(spawn('python3', words, { cwd: folder, env })).prints(/Running on/)
  }, 120_000)
  afterAll(async () => {
    await stopAll()
    await postern?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  /** Returns the answer of the API to a machine that requests a token with these scopes. */
  async function answerTo(scope: string, headers: Record<string, string> = {}): Promise<Answer> {
    const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
    const client = await postern.createClient({ ...machine, scope, resources: [api] })
    const form = { grant_type: 'client_credentials', scope }
    const { json } = await send(postern, '/oauth/token', { client, form, headers })
    expect(json['token_type']).toBe('dpop' in headers ? 'DPoP' : 'Bearer')
    return ask(String(json['access_token']))
  }

  async function ask(token: string | undefined): Promise<Answer> {
    const response = await fetch(api, { headers: token === undefined ? {} : { authorization: `Bearer ${token}` } })
    return { status: response.status, challenge: response.headers.get('www-authenticate'), body: await response.json() }
  }

  test('accepts a token with its scope', async () => {
    expect(await answerTo('notes:read')).toMatchObject({ status: 200, body: { notes: ['Buy milk'] } })
  })

  test('rejects every other token', async () => {
    expect(await answerTo('notes:write')).toMatchObject({
      status: 403,
      challenge: expect.stringContaining('notes:read'),
    })
    expect(await ask('made-up')).toMatchObject({ status: 401, challenge: 'Bearer error="invalid_token"' })
    expect(await ask(undefined)).toMatchObject({ status: 401, challenge: 'Bearer' })
  })

  // RFC 9449 §7.2: otherwise a stolen token could be used by leaving out the proof.
  test('rejects a token that is bound to a key, because it checks no proof', async () => {
    const { key, jwks } = await createKey()
    const { kty, crv, x, y } = jwks.keys[0] as Record<string, string>
    const claims = { htm: 'POST', htu: `${postern.issuer}/oauth/token`, jti: randomUUID() }
    const proof = await new SignJWT(claims)
      .setIssuedAt()
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: { kty, crv, x, y } as JWK })
      .sign(key)
    expect(await answerTo('notes:read', { dpop: proof })).toMatchObject({
      status: 401,
      challenge: 'Bearer error="invalid_token"',
    })
  })
})
