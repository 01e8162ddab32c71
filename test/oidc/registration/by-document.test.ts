import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createWork, run } from '../../../src/oidc/request/work.ts'
import { eventually } from '../../support/eventually.ts'
import { rotateOnce } from '../../support/keys.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { login } from '../../support/relying-party.ts'
import { createVisitor } from '../../support/visitor.ts'

const host = 'https://app.example'
const email = 'ada@example.com'
let postern: TestPostern

beforeAll(async () => {
  postern = await startPostern(
    { CLIENT_ID_METADATA_DOCUMENTS: '*' },
    {
      fetch: async (address) =>
        Response.json({ client_id: address, client_name: 'App', redirect_uris: ['https://rp.example/cb'] }),
    },
  )
  await postern.createAccount(email)
})
afterAll(() => postern?.stop())

const client = (path: string) => ({ client_id: `${host}/${path}`, token_endpoint_auth_method: 'none' })
const count = async (sql: string, parameters: unknown[]) => (await postern.database.query(sql, parameters)).length

describe('a client with a document', () => {
  test('needs no more round trips than any other: three, with a live session and a remembered grant', async () => {
    const { visitor } = await login(postern, client('cost'), { email })
    await login(postern, client('cost'), { email, visitor })
    const query = new URLSearchParams({
      client_id: client('cost').client_id,
      response_type: 'code',
      redirect_uri: 'https://rp.example/cb',
      scope: 'openid',
      code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGjSstw_cM',
      code_challenge_method: 'S256',
    })
    // A client that changed within the last minute is read again every two seconds, which must not happen here.
    await postern.database.query(`update clients set updated_at = updated_at - interval '1 hour'`)
    // The client and the policy may be read first: neither is used for longer than five seconds without a look.
    await eventually(async () => {
      postern.statements.splice(0)
      expect((await visitor.get(`/oauth/authorize?${query}`)).url).toContain('code=')
      expect(postern.statements.length, postern.statements.join('\n\n')).toBeLessThanOrEqual(3)
    })
  })

  test('is built once for all requests that look it up, with its keys', async () => {
    const { Client } = postern.server.postern.provider
    const { client_id } = client('once')
    for (const endpoint of ['authorization', 'other'] as const) {
      const look = () => run(createWork({ endpoint, requestId: 'r', address: '' }), () => Client.find(client_id))
      await look()
      expect(await look(), endpoint).toBe(await look())
    }
  })

  test('keeps working when the keys change, and with them the engine', async () => {
    await login(postern, client('rotation'), { email })
    const before = postern.server.postern.provider
    await rotateOnce(postern, 'RS256')
    expect(postern.server.postern.provider).not.toBe(before)
    await login(postern, client('rotation'), { email })
  })

  test('is recorded once, however many requests name it first at the same moment', async () => {
    const { client_id } = client('together')
    const query = new URLSearchParams({
      client_id,
      response_type: 'code',
      scope: 'openid',
      redirect_uri: 'https://rp.example/cb',
      code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGjSstw_cM',
      code_challenge_method: 'S256',
    })
    const together = 6 // fewer than the pool of the database has connections: none of them waits for one, or gives up
    const pages = await Promise.all(
      Array.from({ length: together }, () => createVisitor(postern.issuer).get(`/oauth/authorize?${query}`)),
    )
    expect(pages.map(({ status }) => status)).toEqual(Array(together).fill(200))
    expect(await count('select 1 from clients where id = $1 and document and dynamic', [client_id])).toBe(1)
    expect(
      await count('select 1 from audit_events where client_id = $1 and type like $2', [client_id, 'client.%']),
    ).toBe(1)
  })
})
