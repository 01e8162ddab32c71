import * as oidc from 'openid-client'

// Signs in where there is no browser, such as on a terminal or a TV (RFC 8628).

const { CLIENT_ID, ISSUER, SCOPE } = process.env
const issuer = ISSUER || 'http://localhost:3000'

try {
  if (!CLIENT_ID) throw new Error('Set CLIENT_ID. README.md says how to register this device and get one.')
  const config = await oidc.discovery(
    new URL(issuer),
    CLIENT_ID,
    undefined,
    oidc.None(), // a program that everybody can read cannot keep a secret
    issuer.startsWith('http:') ? { execute: [oidc.allowInsecureRequests] } : {}, // a provider on this computer
  )
  const request = await oidc.initiateDeviceAuthorization(config, { scope: SCOPE || 'openid profile email' })
  console.log(`Open  ${request.verification_uri}`)
  console.log(`Enter ${request.user_code}`)
  console.log(`Or open ${request.verification_uri_complete} and compare the code.\n`)
  console.log(`Waiting for up to ${Math.round(request.expires_in / 60)} minutes …\n`)

  const tokens = await oidc.pollDeviceAuthorizationGrant(config, request)
  const claims = await oidc.fetchUserInfo(config, tokens.access_token, tokens.claims()?.sub ?? oidc.skipSubjectCheck)
  console.log(`You are signed in.\n${JSON.stringify(claims, null, 2)}`)
} catch (error) {
  console.error(explain(error as Parameters<typeof explain>[0]))
  process.exitCode = 1
}

function explain({
  message,
  cause,
  ...error
}: Error & Record<'code' | 'error' | 'error_description', unknown>): string {
  const { code, message: reason } = (cause ?? {}) as { code?: string; message?: string }
  if (code === 'ECONNREFUSED') return `No provider answers at ${issuer}. Start it with npm start, or set ISSUER.`
  if (error.error === 'access_denied') return 'You did not allow it, so this device is not signed in.'
  if (error.error === 'expired_token' || error.code === 'OAUTH_TIMEOUT')
    return 'Nobody entered the code in time. Start again for a new one.'
  if (error.error === 'invalid_client') return `${issuer} does not know CLIENT_ID, or it is not a public client.`
  if (error.error) return `${issuer} refused: ${error.error}. ${error.error_description ?? ''}`
  return [message, reason].filter(Boolean).join(': ')
}
