import type { AuthorizationServer } from './authorization-server.ts'
import type { Found, LookUp } from './claims.ts'
import type { Settings } from './options.ts'
import { verify } from './signatures.ts'

const signedForm = 'application/token-introspection+jwt'

/** Looks up tokens by asking the authorization server about each (RFC 7662 §2). */
export function createIntrospection(
  { issuer, audience, clockToleranceSeconds }: Settings,
  { clientId, clientSecret, signed }: NonNullable<Settings['introspection']>,
  server: AuthorizationServer,
): LookUp {
  /** What is in a JWT that was signed for us, just now (RFC 9701 §5). */
  async function unseal(jwt: string): Promise<unknown> {
    const payload = await verify(jwt, server, {
      typ: 'token-introspection+jwt',
      issuer,
      audience: [clientId, audience], // the first of them by §5; Postern names the other where it can
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
      if (error === 'unsupported_token_type') return undefined // it never issues tokens that look like this one
      throw new Error(`${issuer} answered ${response.status} ${error} when asked about a token`)
    }
    const answer = signed ? await unseal(text) : parsed(text)
    if (typeof answer !== 'object' || answer === null || !('active' in answer) || typeof answer.active !== 'boolean') {
      throw new Error(`${issuer} gave no ${signed ? 'signed ' : ''}answer when asked about a token`)
    }
    const { active, ...found } = answer as Found
    return active ? found : undefined
  }
}

/** Both are encoded before they are joined (RFC 6749 §2.3.1). */
function basic(clientId: string, clientSecret: string): string {
  const [id, secret] = [clientId, clientSecret].map((value) => new URLSearchParams({ v: value }).toString().slice(2))
  return `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // not the error: it would quote what was answered
  }
}

/** The error code in an answer, fit to be logged. */
function errorOf(text: string): string {
  const { error } = (parsed(text) ?? {}) as { error?: unknown }
  return typeof error === 'string' && /^\w{1,40}$/.test(error) ? error : 'without an error code'
}
