import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { changedChannel } from '../../../src/stores/clients/changes.ts'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import { eventually } from '../../support/eventually.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { authorize, login } from '../../support/relying-party.ts'
import { type Answer, redeem, send } from '../../support/wire.ts'

const email = 'ada@example.com'
const [opaque, signed] = ['https://opaque.example/', 'https://signed.example/']
const machine = {
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
  scope: 'read',
  resources: [opaque, signed],
}
let postern: TestPostern
let marker: ClientMetadata

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  await postern.createResource({ identifier: opaque })
  await postern.createResource({ identifier: signed, tokenFormat: 'jwt' })
  marker = await postern.createClient()
})
afterAll(() => postern?.stop())

/** Waits for all notifications of changes that were sent so far. Their order stays the same. */
async function hearAll(): Promise<void> {
  const { clients } = postern.server.postern
  const known = await clients.find(marker.client_id)
  await postern.database.query('select pg_notify($1, $2)', [changedChannel, marker.client_id])
  await eventually(async () => expect(await clients.find(marker.client_id)).not.toBe(known))
}

/** Changes a client as another process does, just before this one learns of it. */
async function unheard(change: string, { client_id }: ClientMetadata): Promise<void> {
  const { clients } = postern.server.postern
  await hearAll() // the notification of its creation may still be on its way
  await clients.find(client_id)
  await postern.database.query(`update clients set ${change} where id = $1`, [client_id])
  expect(await clients.find(client_id)).toBeDefined() // otherwise the test would prove nothing
}

const ask = (client: ClientMetadata, form: Record<string, string>) => send(postern, '/oauth/token', { client, form })
const said = ({ status, json }: Answer) => [status, json['error']]
const rows = async () =>
  (
    await postern.database.query(
      `select (select count(*) from artifacts) + (select count(*) from audit_events where type not like 'key.%') as rows`,
    )
  )[0]
const ends = ['disabled_at = now()', 'deleted_at = now()', 'expires_at = now()']

describe('a client whose end this process does not know of yet', () => {
  test.each(ends.flatMap((end) => [opaque, signed].map((resource) => [end, resource])))(
    '(%s) gets no token for %s with client credentials, and nothing is written',
    async (end, resource) => {
      const client = await postern.createClient(machine)
      const request = { grant_type: 'client_credentials', scope: 'read', resource }
      expect(said(await ask(client, request))).toEqual([200, undefined])
      await unheard(end, client)
      const before = await rows()
      const answer = await ask(client, request)
      expect(said(answer)).toEqual([401, 'invalid_client'])
      expect(answer.text).not.toContain('token"')
      expect(await rows()).toEqual(before)
    },
  )

  test.each(ends)('(%s) gets nothing for a code or refresh token, and does not use it up', async (end) => {
    const client = await postern.createClient()
    const { tokens, visitor } = await login(postern, client, { email, scope: 'openid offline_access' })
    const begun = await authorize(postern, client, { email, visitor })
    const refresh = { grant_type: 'refresh_token', refresh_token: String(tokens.refresh_token) }
    await unheard(end, client)
    const before = await rows()
    expect(said(await redeem(postern, begun, { client }))).toEqual([400, 'invalid_grant'])
    expect(said(await ask(client, refresh))).toEqual([400, 'invalid_grant'])
    expect((await send(postern, '/oauth/userinfo', { bearer: tokens.access_token })).status).toBe(401)
    expect(await rows()).toEqual(before)

    await postern.database.query(
      'update clients set disabled_at = null, deleted_at = null, expires_at = null where id = $1',
      [client.client_id],
    )
    expect(said(await redeem(postern, begun, { client }))).toEqual([200, undefined])
    expect(said(await ask(client, refresh))).toEqual([200, undefined])
  })
})

describe('a client that expires', () => {
  test('is rejected from then on, even by a process that already knew it', async () => {
    const client = await postern.createClient(machine)
    const request = { grant_type: 'client_credentials', scope: 'read', resource: opaque }
    for (let seconds = 1, status = 0; status !== 200; seconds *= 2) {
      await postern.database.query('update clients set expires_at = now() + make_interval(secs => $2) where id = $1', [
        client.client_id,
        seconds,
      ])
      postern.server.postern.clients.forget(client.client_id)
      ;({ status } = await ask(client, request)) // a slow machine needs more than a second until here
    }
    await expect
      .poll(async () => said(await ask(client, request)), {
        interval: 50,
        timeout: 120_000,
      })
      .toEqual([401, 'invalid_client'])
  })
})
