import { randomBytes } from 'node:crypto'
import type { OAuthClientProvider, OAuthDiscoveryState } from '@modelcontextprotocol/sdk/client/auth.js'
import type {
  OAuthClientInformationMixed,
  OAuthClientMetadata,
  OAuthTokens,
} from '@modelcontextprotocol/sdk/shared/auth.js'

export type Options = {
  redirectUrl: string
  /** Sends the person to the provider. */
  open(address: URL): void
  /** The metadata that the client registers. */
  metadata?: Partial<OAuthClientMetadata> & { application_type?: 'native' | 'web' }
  /** The address of its published metadata, if there are any. It is the client_id where such addresses are accepted. */
  clientMetadataUrl?: string | undefined
  /** Its client_id, if an administrator registered it. */
  clientId?: string | undefined
}

export type Provider = OAuthClientProvider & {
  /** Returns the code that the browser came back with. Throws if it is not the answer to the last request. */
  codeIn(answer: URL): string
  /** Returns the registration endpoint, once it is known. */
  registrationEndpoint(): string | undefined
}

/** Creates the storage that the SDK needs to get tokens. It is in memory; an app uses the person's secret store. */
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
      token_endpoint_auth_method: 'none', // a program that everybody can read cannot keep a secret
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
      if (state === '' || answer.get('state') !== state)
        throw new Error('The browser came back with the answer to another request.')
      state = ''
      // RFC 9207 §2.4. The SDK does not check it, and would accept the answer of another server as one of this.
      if (answer.get('iss') !== discovered?.authorizationServerMetadata?.issuer) {
        throw new Error('The answer is from another provider.')
      }
      const code = answer.get('code')
      if (!code) throw new Error(`It was not allowed: ${answer.get('error')}. ${answer.get('error_description') ?? ''}`)
      return code
    },
  }
}
