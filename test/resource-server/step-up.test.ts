import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Demands, type Guard, requireToken } from '../../src/resource-server/index.ts'
import { audience, bring, type ForeignServer, refusalOf, startForeignServer } from './foreign-server.ts'

let server: ForeignServer
let guard: Guard

beforeAll(async () => {
  server = await startForeignServer()
  guard = requireToken({ issuer: server.issuer, audience, scopes: ['read'] })
})
afterAll(() => server?.stop())

const now = () => Math.floor(Date.now() / 1000)
const ask = async (claims: Record<string, unknown>, demands: Demands) =>
  guard.request(bring(await server.sign(claims)), demands)

describe('RFC 9470 §3: a route that needs a recent sign-in', () => {
  const demands = { maxAgeSeconds: 300 }

  test('accepts a person who signed in recently (§6)', async () => {
    expect(await ask({ auth_time: now() - 290 }, demands)).toMatchObject({ sub: 'ada' })
  })

  test.each<[string, Record<string, unknown>]>([
    ['too long ago', { auth_time: now() - 310 }],
    ['at an unknown time', {}],
  ])('rejects a person who signed in %s, and says how recent it must be', async (_when, claims) => {
    const { status, error, challenge } = await refusalOf(ask(claims, demands))
    expect(status).toBe(401)
    expect(error).toBe('insufficient_user_authentication')
    expect(challenge).toMatch(
      /^Bearer realm="[^"]*", resource_metadata="[^"]*", error="insufficient_user_authentication", error_description="This needs a more recent sign-in", scope="read", max_age="300", DPoP /,
    )
  })
})

describe('RFC 9470 §3: a route that needs a certain way of signing in', () => {
  const demands = { acrValues: ['phr', 'urn:example:mfa'] }

  test('accepts a person who signed in in one of them', async () => {
    for (const acr of demands.acrValues) expect(await ask({ acr }, demands)).toMatchObject({ acr })
  })

  test.each(['pwd', 'phr urn:example:mfa', '', undefined])('rejects %s, and names the accepted ones', async (acr) => {
    expect(await refusalOf(ask({ acr }, demands))).toMatchObject({
      status: 401,
      error: 'insufficient_user_authentication',
      challenge: expect.stringContaining('scope="read", acr_values="phr urn:example:mfa", DPoP'),
    })
  })

  test('needs both conditions where both are set, and names both', async () => {
    const both = { ...demands, maxAgeSeconds: 60 }
    expect(await ask({ acr: 'phr', auth_time: now() }, both)).toMatchObject({ sub: 'ada' })
    for (const claims of [{ acr: 'phr' }, { auth_time: now() }, { acr: 'phr', auth_time: now() - 70 }]) {
      const { challenge } = await refusalOf(ask(claims, both))
      expect(challenge).toContain('acr_values="phr urn:example:mfa", max_age="60"')
    }
  })
})
