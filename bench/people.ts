import { createHash, createHmac } from 'node:crypto'
import type Provider from 'oidc-provider'
import { errors } from 'oidc-provider'

/** A signed-in person, and the cookies of their browser. */
export type Login = { accountId: string; grantId: string; sessionUid: string; cookie: string }

export const people = 512 // far more than connections, so that no person has two requests at once
export const scope = 'openid offline_access'
export const redirectUri = 'https://rp.example/cb'
export const verifier = 'a-verifier-of-the-benchmark-that-is-long-enough' // RFC 7636 §4.1: 43 characters or more
export const challenge = createHash('sha256').update(verifier).digest('base64url')

export const client = {
  client_id: 'bench',
  client_secret: 'a-secret-of-the-benchmark-that-is-long-enough',
  client_name: 'Bench',
  redirect_uris: [redirectUri],
  grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
  response_types: ['code' as const],
  token_endpoint_auth_method: 'client_secret_basic' as const,
}

export type Credentials = { client_id: string; client_secret: string }

/** Returns the credentials of so many other clients, which only use their credentials. */
export function machines(count: number): Credentials[] {
  return Array.from({ length: count }, (_, index) => ({
    client_id: `machine-${index}`,
    client_secret: `a-secret-of-the-benchmark-that-is-long-enough-${index}`,
  }))
}

/** Creates a browser session as a sign-in does. */
export async function signIn(
  provider: Provider,
  { accountId, grantId }: { accountId: string; grantId: string },
  { cookieName, cookieKey, ttl }: { cookieName: string; cookieKey: string; ttl: number },
): Promise<Login> {
  const session: InstanceType<typeof provider.Session> = Reflect.construct(provider.Session, [
    {
      accountId,
      loginTs: Math.floor(Date.now() / 1000),
      authorizations: { [client.client_id]: { sid: `sid-${accountId}`, grantId } },
    },
  ])
  const id = await session.save(ttl)
  const pair = `${cookieName}=${id}`
  const signature = createHmac('sha1', cookieKey).update(pair).digest('base64url') // as Koa signs cookies
  return { accountId, grantId, sessionUid: session.uid, cookie: `${pair}; ${cookieName}.sig=${signature}` }
}

/** Creates authorization codes as the authorization endpoint does, after the person consented. */
export async function mintCodes(provider: Provider, logins: Login[], count: number): Promise<string[]> {
  const found = await provider.Client.find(client.client_id)
  if (!found) throw new errors.InvalidClient('the client of the benchmark is missing')
  const authTime = Math.floor(Date.now() / 1000)
  const codes: string[] = []
  while (codes.length < count) {
    const batch = logins.slice(0, count - codes.length).map(({ accountId, grantId, sessionUid }) =>
      new provider.AuthorizationCode({
        accountId,
        authTime,
        client: found,
        codeChallenge: challenge,
        codeChallengeMethod: 'S256',
        grantId,
        nonce: 'a-nonce',
        redirectUri,
        scope,
        sessionUid,
        sid: `sid-${accountId}`,
      } as never).save(),
    )
    codes.push(...(await Promise.all(batch)))
  }
  return codes
}
