import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { freePort, startPostern, type TestPostern } from '../support/postern.ts'
import { createVisitor } from '../support/visitor.ts'
import { type Example, run, stopAll } from './example.ts'

let postern: TestPostern
let client: ClientMetadata
let late: ClientMetadata

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount('ada@example.com', { name: 'Ada Lovelace' })
  const metadata = {
    client_name: 'Terminal',
    redirect_uris: [],
    response_types: [],
    grant_types: ['urn:ietf:params:oauth:grant-type:device_code'],
    token_endpoint_auth_method: 'none',
  }
  client = await postern.createClient(metadata)
  late = await postern.createClient(metadata)
})
afterAll(async () => {
  await stopAll()
  await postern?.stop()
})

async function begin({
  client_id,
} = client): Promise<Record<'uri' | 'code' | 'complete', string> & { example: Example }> {
  const example = run('examples/device/main.ts', { ISSUER: postern.issuer, CLIENT_ID: client_id })
  const [, uri = '', code = ''] = await example.prints(/Open {2}(\S+)\nEnter (\S+)/)
  const [, complete = ''] = await example.prints(/Or open (\S+) and/)
  return { example, uri, code, complete }
}

// These run at the same time, because each waits for the polling interval.
describe.concurrent('RFC 8628: a device', () => {
  test('prints the address and the code, waits, and prints who signed in', async ({ expect }) => {
    const { example, uri, code } = await begin()
    expect(uri).toBe(`${postern.issuer}/device`)
    const visitor = createVisitor(postern.issuer)
    const confirm = await visitor.submit(await visitor.get(uri), '/device', { user_code: code })
    expect(confirm.body).toContain(code)
    expect(example.child.exitCode).toBeNull()
    const signIn = await visitor.submit(confirm, '/device', { confirm: 'yes' })
    const done = await visitor.allow(await visitor.signIn(signIn, 'ada@example.com'))
    expect(done.body).toContain('Your device is connected')

    expect(await example.ended).toMatchObject({ code: 0 })
    expect(example.output()).toContain('You are signed in.')
    expect(example.output()).toContain('"name": "Ada Lovelace"')
    expect(example.output()).toContain('"email": "ada@example.com"')
  })

  test('prints an address that contains the code (§3.3.1), and only the claims that were shared', async ({
    expect,
  }) => {
    const { example, complete, code } = await begin()
    expect(complete).toBe(`${postern.issuer}/device?user_code=${code}`)
    const visitor = createVisitor(postern.issuer)
    const email = 'grace@example.com'
    await postern.createAccount(email, { name: 'Grace Hopper' })
    // The page submits its form by a script. A visitor without scripts presses the button.
    const confirm = await visitor.submit(await visitor.get(complete), '/device', { user_code: code })
    const signIn = await visitor.submit(confirm, '/device', { confirm: 'yes' })
    const done = await visitor.allow(await visitor.signIn(signIn, email), ['profile'])
    expect(done.body).toContain('Your device is connected')
    expect(await example.ended).toMatchObject({ code: 0 })
    expect(example.output()).toContain('Grace Hopper')
    expect(example.output()).not.toContain('@example.com')
  })

  test('reports that the person denied it', async ({ expect }) => {
    const { example, uri, code } = await begin()
    const visitor = createVisitor(postern.issuer)
    const confirm = await visitor.submit(await visitor.get(uri), '/device', { user_code: code })
    await visitor.submit(confirm, '/device', { abort: 'yes' })
    expect(await example.ended).toMatchObject({ code: 1 })
    expect(example.output()).toContain('You did not allow it')
  })

  test('reports that nobody entered the code in time', async ({ expect }) => {
    const { example, code } = await begin(late)
    await postern.database.query(
      `update artifacts set expires_at = now() - interval '1 second',
        payload = jsonb_set(payload, '{exp}', to_jsonb(extract(epoch from now())::int - 1))
        where model = 'DeviceCode' and client_id = $1`,
      [late.client_id],
    )
    expect(code).toMatch(/^\w{4}-\w{4}$/)
    expect(await example.ended).toMatchObject({ code: 1 })
    expect(example.output()).toContain('Nobody entered the code in time.')
  })
})

describe('the example of a device says what to do', () => {
  test.each([
    ['without a client', { CLIENT_ID: '' }, /^Set CLIENT_ID\./],
    ['with an unknown client', { CLIENT_ID: 'unknown' }, /does not know CLIENT_ID/],
  ])('%s', async (_title, settings, says) => {
    const example = run('examples/device/main.ts', { ISSUER: postern.issuer, ...settings })
    expect(await example.ended).toMatchObject({ code: 1 })
    expect(example.output()).toMatch(says)
  })

  test('when no provider answers', async () => {
    const issuer = `http://localhost:${await freePort()}`
    const example = run('examples/device/main.ts', { ISSUER: issuer, CLIENT_ID: client.client_id })
    expect(await example.ended).toMatchObject({ code: 1 })
    expect(example.output()).toContain(`No provider answers at ${issuer}.`)
  })
})
