// The crowd of storm.ts: people who sign in with a wrong password, each from an address of their own.
import { challenge, client, redirectUri } from './people.ts'

const port = process.argv[2]
const issuer = `http://localhost:${port}`
const people = 48 // at once; more than the server checks and keeps waiting would only be refused
let attempts = 0

/** Opens the sign-in page, and sends its form again and again. */
async function signInAgainAndAgain(person: number): Promise<void> {
  for (let visit = 0; ; visit++) {
    const headers = { 'x-forwarded-for': `10.${visit % 256}.${person}.7`, 'x-forwarded-proto': 'http' }
    const query = new URLSearchParams({
      client_id: client.client_id,
      response_type: 'code',
      redirect_uri: redirectUri,
      scope: 'openid',
      code_challenge: challenge,
      code_challenge_method: 'S256',
    })
    const begun = await fetch(`${issuer}/oauth/authorize?${query}`, { headers, redirect: 'manual' })
    const cookie = begun.headers
      .getSetCookie()
      .map((line) => line.split(';')[0])
      .join('; ')
    const address = new URL(String(begun.headers.get('location')), issuer).href
    const page = await (await fetch(address, { headers: { ...headers, cookie } })).text()
    const [, uid = ''] = /name="uid" value="([^"]+)"/.exec(page) ?? []
    const [, csrf = ''] = /name="csrf" value="([^"]+)"/.exec(page) ?? []
    for (let again = 0; again < 5; again++) {
      const email = `nobody-${person}-${visit}-${again}@example.com`
      const answer = await fetch(`${address}/sign-in`, {
        method: 'POST',
        redirect: 'manual',
        headers: { ...headers, cookie, origin: issuer },
        body: new URLSearchParams({ uid, csrf, email, password: 'a wrong password' }),
      })
      if (answer.status !== 303) throw new Error(`The sign-in was not answered: ${answer.status}`)
      await answer.body?.cancel()
      attempts += 1
    }
  }
}

setInterval(() => process.send?.(attempts), 200)
await Promise.all(Array.from({ length: people }, (_, person) => signInAgainAndAgain(person)))
