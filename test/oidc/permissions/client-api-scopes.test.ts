import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { operate } from '../../support/operator.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { beginLogin, discover, login } from '../../support/relying-party.ts'
import { tickboxes } from '../../support/visitor.ts'

const resource = 'https://api.example/'
let postern: TestPostern
let people = 0

beforeAll(async () => {
  postern = await startPostern()
  await postern.createResource({ identifier: resource, scopes: { read: 'Read', write: 'Write', delete: 'Delete' } })
})
afterAll(() => postern?.stop())

async function person(): Promise<string> {
  const email = `person-${++people}@example.com`
  await postern.createAccount(email)
  return email
}

const asking = async (scope: string) => ({ email: await person(), scope, resource, tokenParameters: { resource } })

describe('RFC 7591 §2: the scope that a client is registered with', () => {
  test.each([
    ['', undefined],
    ['with prompt=consent ', 'consent'],
  ])('limits the API scopes that it can %sask a person for', async (_title, prompt) => {
    const client = await postern.createClient({ scope: 'openid read' })
    const begun = await beginLogin(await discover(postern, client), {
      ...{ issuer: postern.issuer, scope: 'openid read write', resource, prompt },
    })
    const page = await begun.visitor.signIn(begun.page, await person())
    const asked = tickboxes(page.body).filter(({ name }) => name === 'resource_scope')
    expect(asked.map(({ value }) => value)).toEqual([`${resource} read`])
  })

  test('limits the scopes of its tokens', async () => {
    const client = await postern.createClient({ scope: 'openid read' })
    const { tokens } = await login(postern, client, await asking('openid read write'))
    expect(tokens.scope).toBe('read')
  })

  test('limits what was granted before the scope was shortened', async () => {
    const client = await postern.createClient({ scope: 'openid offline_access read write' })
    const { config, tokens } = await login(postern, client, await asking('openid offline_access read write'))
    expect(tokens.scope).toBe('read write')
    const { client_id } = client
    await operate(postern, 'client update', { client_id, scope: 'openid offline_access read' })
    expect(await oidc.refreshTokenGrant(config, String(tokens.refresh_token), { resource })).toMatchObject({
      scope: 'read',
    })
  })

  test('limits nothing if it is absent', async () => {
    const { tokens } = await login(postern, await postern.createClient(), await asking('openid read write delete'))
    expect(tokens.scope).toBe('read write delete')
  })
})
