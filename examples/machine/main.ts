import * as oidc from 'openid-client'

// A program without a person: it gets a token of its own (RFC 6749 §4.4) and uses it.

const { CLIENT_ID, CLIENT_SECRET, ISSUER, RESOURCE, SCOPE } = process.env
const issuer = ISSUER || 'http://localhost:3000'

try {
  if (!CLIENT_ID || !CLIENT_SECRET) {
    throw new Error('Set CLIENT_ID and CLIENT_SECRET. README.md says how to register this machine and get them.')
  }
  const config = await oidc.discovery(
    new URL(issuer),
    CLIENT_ID,
    undefined,
    oidc.ClientSecretBasic(CLIENT_SECRET),
    issuer.startsWith('http:') ? { execute: [oidc.allowInsecureRequests] } : {}, // a provider on this computer
  )
  const tokens = await oidc.clientCredentialsGrant(config, {
    ...(SCOPE && { scope: SCOPE }),
    ...(RESOURCE && { resource: RESOURCE }), // the API the token is for (RFC 8707 §2.2)
  })
  show('The provider issued', tokens)

  if (RESOURCE) {
    const response = await fetch(`${RESOURCE}/protected`, {
      headers: { authorization: `Bearer ${tokens.access_token}` },
    })
    show(`${RESOURCE}/protected answered ${response.status}`, await response.json())
    if (!response.ok) process.exitCode = 1
  } else {
    show('The token is', await oidc.tokenIntrospection(config, tokens.access_token))
  }
} catch (error) {
  console.error(explain(error as Error))
  process.exitCode = 1
}

function show(title: string, value: unknown): void {
  console.log(`${title}\n${JSON.stringify(value, null, 2)}\n`)
}

function explain({
  message,
  cause,
  ...error
}: Error & { error?: string; error_description?: string; status?: number }): string {
  const { code, message: reason } = (cause ?? {}) as { code?: string; message?: string }
  if (code === 'ECONNREFUSED') return `Nothing answers at ${issuer}${RESOURCE ? ` or ${RESOURCE}` : ''}. Is it running?`
  if (error.status === 401) return `${issuer} refused CLIENT_ID with CLIENT_SECRET.`
  if (error.error) return `${issuer} refused: ${error.error}. ${error.error_description ?? ''}`
  return [message, reason].filter(Boolean).join(': ')
}
