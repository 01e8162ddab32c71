import type { AuthorizationServer } from './authorization-server.ts'
import type { Found, LookUp } from './claims.ts'
import type { Settings } from './options.ts'
import { verify } from './signatures.ts'

const signedForm = 'application/token-introspection+jwt'

/** Creates a look-up that asks the authorization server about each token (RFC 7662 §2). */
export function createIntrospection(
  { issuer, audience, clockToleranceSeconds }: Settings,
  { clientId, clientSecret, signed }: NonNullable<Settings['introspection']>,
  server: AuthorizationServer,
): LookUp {
  /** Opens an answer that is a JWT, signed just now for this API (RFC 9701 §5). */
  async function unseal(jwt: string): Promise<unknown> {
    const payload = await verify(jwt, server, {
      typ: 'token-introspection+jwt',
      issuer,
      audience: [clientId, audience], // §5 says the client; Postern names the API where it can
      maxTokenAge: 60,
      clockTolerance: clockToleranceSeconds,
    })
    return payload?.['token_introspection']
  }

  return async (token) => {
    const response = await server.send(await server.introspectionEndpoint(), {
      method: 'POST',
      headers: { accept: signed ? signedForm : 'application/json', authorization: basic(clientId, clientSecret) },
      body: new URLSearchParams({ token, token_type_hint: 'access_token' }),
    })
    const text = await response.text()
    if (response.status !== 200) {
      const error = errorOf(text)
      if (error === 'unsupported_token_type') return undefined // the server issues no token of this form
      throw new Error(`${issuer} answered ${response.status} ${error} to an introspection`)
    }
    const answer = signed ? await unseal(text) : parsed(text)
    if (typeof answer !== 'object' || answer === null || !('active' in answer) || typeof answer.active !== 'boolean') {
      throw new Error(`${issuer} gave no ${signed ? 'signed ' : ''}answer to an introspection`)
    }
    const { active, ...found } = answer as Found
    return active ? found : undefined
  }
}

/** Writes the credentials of a client. Each part is encoded before the two are joined (RFC 6749 §2.3.1). */
function basic(clientId: string, clientSecret: string): string {
  const [id, secret] = [clientId, clientSecret].map((value) => new URLSearchParams({ v: value }).toString().slice(2))
  return `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // without the error, which would quote the answer
  }
}

/** Returns the error code of an answer in a form that is safe to log. */
function errorOf(text: string): string {
  const { error } = (parsed(text) ?? {}) as { error?: unknown }
  return typeof error === 'string' && /^\w{1,40}$/.test(error) ? error : 'without an error code'
}
