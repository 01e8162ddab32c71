import type { Postern } from '../../src/assemble/index.ts'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { privateJwks } from '../support/keys.ts'
import { operateOn } from '../support/operator.ts'
import { createClient, password, type TestPostern } from '../support/postern.ts'
import { type Registered, registered } from '../support/registration.ts'
import { login } from '../support/relying-party.ts'
import { createVisitor, type Visitor } from '../support/visitor.ts'
import { send } from '../support/wire.ts'

export const email = 'ada@example.com'
export const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'

/** The possessions of people, apps and devices at one moment, which must still work after the server was restored. */
export type Belongings = {
  app: ClientMetadata
  /** A client with pairwise subjects. */
  pairwise: ClientMetadata
  pairwiseSub: string
  /** A client that registered itself, with the token that manages it. */
  selfMade: Registered
  machine: ClientMetadata
  tv: ClientMetadata
  /** A device flow that nobody has decided yet. */
  device: { device_code: string; user_code: string }
  tokens: { access_token: string; refresh_token: string; id_token: string }
  /** The cookies of a browser with a signed-in person. */
  cookies: Visitor['cookies']
}

/** Creates all of these. */
export async function acquire(postern: Postern): Promise<Belongings> {
  const issuer = postern.config.ISSUER
  const here = { issuer } as TestPostern
  await operateOn(postern, 'account create', { email, password })
  const flowless = { redirect_uris: [], response_types: [] }
  const app = await createClient(postern, {})
  const pairwise = await createClient(postern, { subject_type: 'pairwise' })
  const machine = await createClient(postern, { ...flowless, grant_types: ['client_credentials'] })
  const forTvs = { grant_types: [deviceGrant], token_endpoint_auth_method: 'none' }
  const tv = await createClient(postern, { ...flowless, ...forTvs })

  const visitor = createVisitor(issuer)
  const { tokens } = await login(here, app, { email, scope: 'openid email offline_access', visitor })
  const known = await login(here, pairwise, { email, visitor })
  const made = (await operateOn(postern, 'registration-token create', {})) as { initial_access_token: string }
  const selfMade = await registered(here, made.initial_access_token)
  const form = { client_id: tv.client_id, scope: 'openid' }
  const { json } = await send(here, '/oauth/device_authorization', { form })
  return {
    app,
    pairwise,
    pairwiseSub: String(known.tokens.claims()?.sub),
    selfMade,
    machine,
    tv,
    device: json as Belongings['device'],
    tokens: tokens as Belongings['tokens'],
    cookies: new Map(visitor.cookies),
  }
}

/** Returns the secrets among these belongings and of the server, which nobody else may read. */
export function secretsOf(belongings: Belongings, { keyring }: Postern): string[] {
  const { app, pairwise, machine, selfMade, device, tokens, cookies } = belongings
  const { cookieKeys, dpopNonceSecret, pairwiseSalt, userCodeKey, throttleKey, csrfKey, confirmationKey } = keyring
  return [
    password,
    ...[app, pairwise, machine, selfMade].map((client) => String(client['client_secret'])),
    selfMade.registration_access_token,
    device.device_code,
    device.user_code.replace('-', ''),
    ...[tokens.access_token, tokens.refresh_token, tokens.id_token],
    ...[...cookies.values()].map(({ value }) => value),
    ...privateJwks(keyring).map(({ d, priv }) => String(d ?? priv)),
    ...cookieKeys.reveal(),
    ...[dpopNonceSecret, pairwiseSalt, userCodeKey, throttleKey, csrfKey, confirmationKey].map((key) =>
      key.reveal().toString('base64url'),
    ),
  ]
}
