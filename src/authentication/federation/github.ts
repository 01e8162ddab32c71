import * as oidc from 'openid-client'
import { z } from 'zod'
import { issuerOf, type Upstream } from './settings.ts'
import type { Verified } from './verified.ts'

const user = z.object({
  id: z.int().positive(),
  login: z.string(),
  name: z.string().nullish(),
})
const emails = z.array(z.object({ email: z.string(), primary: z.boolean(), verified: z.boolean() }))

/** Reads who signed in at GitHub, which issues no ID tokens. Only the primary address counts, and only a verified one. */
export async function githubAnswer(
  upstream: Upstream,
  configuration: oidc.Configuration,
  accessToken: string,
): Promise<Verified> {
  const issuer = issuerOf(upstream)
  const api = issuer === 'https://github.com' ? 'https://api.github.com' : `${issuer}/api/v3`
  const read = async (path: string) => {
    const headers = new Headers({ accept: 'application/vnd.github+json', 'user-agent': 'Postern' })
    const url = new URL(`${api}${path}`)
    const answer = await oidc.fetchProtectedResource(configuration, accessToken, url, 'GET', null, headers)
    if (!answer.ok) throw new Error(`GitHub answered ${path} with status ${answer.status}.`)
    return answer.json()
  }
  const { id, login, name } = user.parse(await read('/user'))
  const address = emails.parse(await read('/user/emails')).find(({ primary, verified }) => primary && verified)
  return {
    issuer,
    subject: String(id), // a login can be given up, and taken by somebody else
    claims: {
      sub: String(id),
      preferred_username: login,
      ...(name && { name }),
      ...(address && { email: address.email, email_verified: true }),
    },
    email: address?.email,
    isEmailVerified: address !== undefined,
    amr: [],
    sid: undefined,
    signedInAt: undefined,
  }
}
