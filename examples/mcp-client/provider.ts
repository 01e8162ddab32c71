import { randomBytes } from 'node:crypto'
import type { OAuthClientProvider, OAuthDiscoveryState } from '@modelcontextprotocol/sdk/client/auth.js'
import type {
  OAuthClientInformationMixed,
  OAuthClientMetadata,
  OAuthTokens,
} from '@modelcontextprotocol/sdk/shared/auth.js'

export type Options = {
  redirectUrl: string
  /** Leads the person to the provider. */
  open(address: URL): void
  /** What the client says of itself when it registers. */
  metadata?: Partial<OAuthClientMetadata> & { application_type?: 'native' | 'web' }
  /** Where its metadata are published, if they are: then that is its client_id where such are accepted. */
  clientMetadataUrl?: string | undefined
  /** Its client_id, if somebody registered it. */
  clientId?: string | undefined
}

export type Provider = OAuthClientProvider & {
  /** The code in what the browser came back with. Throws if it is no answer to the last question. */
  codeIn(answer: URL): string
  /** Where clients register themselves, once that is known. */
  registrationEndpoint(): string | undefined
}

/** What the SDK asks for while it gets tokens. It is kept in memory: an app keeps it where the person's secrets are. */
export function createProvider({ redirectUrl, open, metadata, clientMetadataUrl, clientId }: Options): Provider {
  let client: OAuthClientInformationMixed | undefined = clientId ? { client_id: clientId } : undefined
  let tokens: OAuthTokens | undefined
  let verifier = ''
  let state = ''
  let discovered: OAuthDiscoveryState | undefined

  return {
    redirectUrl,
    ...(clientMetadataUrl && { clientMetadataUrl }),
    clientMetadata: {
      client_name: 'Notes on the command line',
      redirect_uris: [redirectUrl],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none', // a program that everybody can read keeps no secret
      ...metadata,
    },
    clientInformation: () => client,
    saveClientInformation(information) {
      client = information
    },
    tokens: () => tokens,
    saveTokens(received) {
      tokens = received
    },
    codeVerifier: () => verifier,
    saveCodeVerifier(made) {
      verifier = made
    },
    saveDiscoveryState(found) {
      discovered = found
    },
    state() {
      state = randomBytes(16).toString('base64url')
      return state
    },
    redirectToAuthorization: open,
    registrationEndpoint: () => discovered?.authorizationServerMetadata?.registration_endpoint,

    codeIn({ searchParams: answer }) {
      if (state === '' || answer.get('state') !== state) throw new Error('The browser came back with another answer.')
      state = ''
      // RFC 9207 §2.4. The SDK does not: the answer of another server would be taken for one of this.
      if (answer.get('iss') !== discovered?.authorizationServerMetadata?.issuer) {
        throw new Error('The answer is from another provider than was asked.')
      }
      const code = answer.get('code')
      if (!code) throw new Error(`It was not allowed: ${answer.get('error')}. ${answer.get('error_description') ?? ''}`)
      return code
    },
  }
}
