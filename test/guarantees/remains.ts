import { authorizationRequest, browserAt, call, snapshot, token, tokensOf } from '../concurrency/journey.ts'
import type { Visitor } from '../support/visitor.ts'
import { deviceGrant, type Issued, type Loot, redeem, redirectUri, type World } from './world.ts'

/** Something that still works, and where it was accepted. */
export type Remain = {
  what: 'session' | 'refresh token' | 'access token'
  /** The endpoint or API that accepted it. */
  at: 'authorize' | 'token' | 'userinfo' | 'the API' | 'introspection'
  /** The scopes that still work. */
  scopes: string[]
}

/** Describes a remain in the output of a failed test. */
export const nameOf = ({ what, at, scopes }: Remain): string => [what, 'at', at, ...scopes].join(' ')

/**
 * Turns the loot into tokens, tries them everywhere they might be accepted, and returns what works together with the
 * new loot. Called at once, it does what someone does who knows that they are about to be locked out.
 */
export async function findRemains(world: World, loot: Loot): Promise<{ remains: Remain[]; loot: Loot }> {
  const sessions = await Promise.all(loot.browsers.map((browser) => findSession(world, browser)))
  const redeemed = await redeemAll(world, loot)
  const refreshed = await refreshAll(world, redeemed)
  const uses = await Promise.all(refreshed.accessTokens.map((value) => findUses(world, value)))
  const isNew = (value: string) => !redeemed.refreshTokens.includes(value)
  return {
    remains: [
      ...sessions.flat(),
      ...refreshed.refreshTokens.filter(isNew).map((): Remain => ({ what: 'refresh token', at: 'token', scopes: [] })),
      ...uses.flat(),
    ],
    loot: { ...redeemed, ...refreshed },
  }
}

/** Redeems every code. A rejected one is tried again next time; a redeemed one is not, as that revokes its tokens. */
async function redeemAll(world: World, loot: Loot): Promise<Loot> {
  const form = (device_code: string) => ({ grant_type: deviceGrant, device_code })
  const codes = await Promise.all(loot.codes.map(async (value) => ({ value, answer: await redeem(world, value) })))
  const deviceCodes = await Promise.all(
    loot.deviceCodes.map(async (value) => ({ value, answer: await token(world.here, world.client, form(value)) })),
  )
  const isUsed = ({ answer }: { answer: { status: number } }) => answer.status === 200
  const got = [...codes, ...deviceCodes].filter(isUsed).map(({ answer }) => tokensOf(answer))
  return {
    browsers: loot.browsers,
    codes: codes.filter((code) => !isUsed(code)).map(({ value }) => value),
    deviceCodes: deviceCodes.filter((code) => !isUsed(code)).map(({ value }) => value),
    accessTokens: [...loot.accessTokens, ...got.map(({ accessToken }) => accessToken)],
    refreshTokens: [...loot.refreshTokens, ...got.flatMap(({ refreshToken }) => refreshToken ?? [])],
  }
}

/** Refreshes every refresh token three times: for userinfo with `email`, for userinfo without it, and for the API. */
async function refreshAll(world: World, { accessTokens, refreshTokens }: Issued): Promise<Issued> {
  const rotated = await Promise.all(
    refreshTokens.map(async (first) => {
      const kept = { accessTokens: [] as string[], refreshToken: first }
      for (const target of [{ scope: 'openid email' }, { scope: 'openid' }, { resource: world.api }]) {
        const form = { grant_type: 'refresh_token', refresh_token: kept.refreshToken, ...target }
        const answer = await token(world.here, world.client, form)
        if (answer.status !== 200) continue
        const { accessToken, refreshToken = kept.refreshToken } = tokensOf(answer)
        kept.accessTokens.push(accessToken)
        kept.refreshToken = refreshToken
      }
      return kept
    }),
  )
  return {
    accessTokens: [...accessTokens, ...rotated.flatMap((kept) => kept.accessTokens)],
    refreshTokens: rotated.map(({ refreshToken }) => refreshToken),
  }
}

/** Tells whether a browser has a session: without one, `prompt=none` fails with `login_required`. */
async function findSession({ here, deployment }: World, browser: Visitor): Promise<Remain[]> {
  const asked = authorizationRequest(deployment.stranger, { prompt: 'none' })
  const { url } = await browserAt(here, snapshot(browser)).get(asked.path)
  const isAnswered = url.startsWith(redirectUri)
  const hasSession = isAnswered && new URL(url).searchParams.get('error') !== 'login_required'
  return hasSession ? [{ what: 'session', at: 'authorize', scopes: [] }] : []
}

async function findUses({ here, client, deployment }: World, value: string): Promise<Remain[]> {
  const form = { token: value }
  const [userinfo, atApi, atClient] = await Promise.all([
    call(here, '/oauth/userinfo', { token: value }),
    call(here, '/oauth/introspect', { client: deployment.apiClient, form }),
    call(here, '/oauth/introspect', { client, form }),
  ])
  const remains: Remain[] = []
  const what = 'access token'
  if (userinfo.status === 200) {
    remains.push({ what, at: 'userinfo', scopes: ['openid', ...('email' in userinfo.json ? ['email'] : [])] })
  }
  if (atApi.json['active'] === true) remains.push({ what, at: 'the API', scopes: scopesOf(atApi.json) })
  if (atClient.json['active'] === true) remains.push({ what, at: 'introspection', scopes: scopesOf(atClient.json) })
  return remains
}

const scopesOf = (json: Record<string, unknown>) => String(json['scope'] ?? '').split(' ')
