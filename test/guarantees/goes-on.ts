import { type Answer, authorizationRequest, browserAt, refresh } from '../concurrency/journey.ts'
import { password } from '../support/postern.ts'
import { asksFirst, clickThrough, follow, otherRedirectUri, redeem, request, stolen, type World } from './world.ts'

/** Signs the person in again in another browser, allows everything, and gets tokens. */
export async function signsIn(world: World, secret = password): Promise<void> {
  const visitor = browserAt(world.there)
  const { path, verifier } = request(world, { prompt: asksFirst(world) })
  const signedIn = await visitor.signIn(await visitor.get(path), world.email, secret)
  const page = await clickThrough({ ...world, driver: 'person' }, visitor, signedIn)
  const code = String(new URL(page.url).searchParams.get('code'))
  const answer = await redeem(world, { code, verifier })
  if (answer.status !== 200) throw new Error(`nobody can sign in again: ${page.url} ${answer.text}`)
}

/** Checks that the earlier refresh token still refreshes, with the scopes that are left. */
export async function refreshes({ here, client, first }: World): Promise<void> {
  const answer = await refresh(here, client, String(first.refreshTokens[0]))
  if (answer.status !== 200) throw new Error(`the login is lost: ${answer.text}`)
}

/** Checks the same for a client that has the new secret. */
export async function refreshesWithNewSecret(world: World, outcome: unknown): Promise<void> {
  const { client_secret } = (outcome as Answer).json
  await refreshes({ ...world, client: { ...world.client, client_secret } })
}

/** Checks that the person still has their session, and can use other apps. */
export async function signsInElsewhere(world: World): Promise<void> {
  const elsewhere = { ...world, client: world.deployment.stranger, scope: 'openid', driver: 'person' } as const
  const { codes } = await follow(elsewhere, stolen(world), request(elsewhere))
  if (codes.length === 0) throw new Error('another app gets no code')
}

/** Checks that the other redirect URI still gets codes. */
export async function returnsElsewhere(world: World): Promise<void> {
  const visitor = stolen(world)
  const { path } = authorizationRequest(world.client, { redirect_uri: otherRedirectUri })
  const { url } = await clickThrough(world, visitor, await visitor.get(path))
  if (!url.startsWith(`${otherRedirectUri}?code=`)) throw new Error(`another redirect URI gets no code: ${url}`)
}
