import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { freePort, startPostern, type TestPostern } from '../support/postern.ts'
import { run, stopAll } from './example.ts'

let postern: TestPostern
let machine: ClientMetadata
let resource: string

beforeAll(async () => {
  postern = await startPostern()
  const port = await freePort()
  resource = `http://localhost:${port}/api`
  const metadata = { redirect_uris: [], response_types: [], grant_types: ['client_credentials'] }
  const api = await postern.createClient(metadata)
  const scope = 'notes:read notes:write'
  machine = await postern.createClient({ ...metadata, scope, resources: [resource] })
  await postern.createResource({
    identifier: resource,
    scopes: { 'notes:read': '', 'notes:write': '' },
    clientId: api.client_id,
  })
  const server = run('examples/resource-server/main.ts', { ...settings(api), RESOURCE: resource, PORT: String(port) })
  await server.prints(/accepts tokens/)
})
afterAll(async () => {
  await stopAll()
  await postern?.stop()
})

const settings = ({ client_id, client_secret }: ClientMetadata): Record<string, string> => ({
  ISSUER: postern.issuer,
  CLIENT_ID: client_id,
  CLIENT_SECRET: String(client_secret),
})

async function outcome(environment: Record<string, string>): Promise<{ code: number | null; output: string }> {
  const example = run('examples/machine/main.ts', environment)
  const { code } = await example.ended
  return { code, output: example.output() }
}

describe('RFC 6749 §4.4: a machine', () => {
  test('gets a token for an API, shows it, and gets an answer from the API', async () => {
    const { code, output } = await outcome({ ...settings(machine), RESOURCE: resource, SCOPE: 'notes:read' })
    expect(output).toMatch(/"access_token": "[\w-]{43}"/)
    expect(output).toContain('protected answered 200')
    expect(output).toContain(`"message": "Hello, ${machine.client_id}."`)
    expect(code).toBe(0)
  })

  test('fails without the scope, with the reason from the API', async () => {
    const { code, output } = await outcome({ ...settings(machine), RESOURCE: resource, SCOPE: 'notes:write' })
    expect(output).toContain('protected answered 403')
    expect(output).toContain('insufficient_scope')
    expect(code).toBe(1)
  })

  test('introspects its token when it has no API to call (RFC 7662)', async () => {
    const { code, output } = await outcome(settings(machine))
    expect(output).toContain('"active": true')
    expect(output).toContain(`"client_id": "${machine.client_id}"`)
    expect(code).toBe(0)
  })
})

describe('the example of a machine says what to do', () => {
  test('without a client', async () => {
    const { code, output } = await outcome({ ISSUER: postern.issuer })
    expect(output).toContain('Set CLIENT_ID and CLIENT_SECRET.')
    expect(code).toBe(1)
  })

  test('with a wrong secret', async () => {
    const { code, output } = await outcome({ ...settings(machine), CLIENT_SECRET: 'wrong' })
    expect(output.trim()).toBe(`${postern.issuer} refused CLIENT_ID with CLIENT_SECRET.`)
    expect(code).toBe(1)
  })

  test('with a resource that the provider does not know, or a scope it may not have', async () => {
    const unknown = await outcome({ ...settings(machine), RESOURCE: 'https://unknown.example/api' })
    expect(unknown).toMatchObject({ code: 1, output: expect.stringContaining('refused: invalid_target.') })
    const forbidden = await outcome({ ...settings(machine), SCOPE: 'phone' })
    expect(forbidden).toMatchObject({ code: 1, output: expect.stringContaining('refused: invalid_scope.') })
  })

  test('when nothing answers', async () => {
    const issuer = `http://localhost:${await freePort()}`
    const { code, output } = await outcome({ ...settings(machine), ISSUER: issuer })
    expect(output.trim()).toBe(`Nothing answers at ${issuer}. Is it running?`)
    expect(code).toBe(1)
  })
})
