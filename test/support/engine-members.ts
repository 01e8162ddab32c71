import type Provider from 'oidc-provider'
import { ExternalSigningKey, errors, interactionPolicy } from 'oidc-provider'
import type { BareEngine, Call } from './bare-engine.ts'

type Members = Record<string, unknown>
type Holds = (engine: BareEngine) => unknown

/** Checks that the engine calls the member as a property of the object where Postern replaces it. */
const isCalled =
  (name: string, isAsTaken: (call: Call) => unknown = () => true): Holds =>
  ({ calls }) =>
    calls.get(name)?.some(isAsTaken)

/** Checks for a function with so many parameters. */
const isFunction =
  (pick: (provider: Provider) => unknown, length: number): Holds =>
  ({ provider }) => {
    const member = pick(provider)
    return typeof member === 'function' && member.length === length
  }

const isStored =
  (model: keyof Provider, ...names: string[]): Holds =>
  ({ provider }) => {
    const { IN_PAYLOAD } = provider[model] as unknown as { IN_PAYLOAD: string[] }
    return names.every((name) => IN_PAYLOAD.includes(name))
  }

const isReason =
  (prompt: string, reason: string): Holds =>
  () => {
    const check = interactionPolicy.base().get(prompt)?.checks.get(reason)
    return typeof check?.check === 'function' && check.reason === reason && check.error !== undefined
  }

const clientOf = ({ provider }: BareEngine) =>
  Reflect.construct(provider.Client, [
    { client_id: 'one', client_secret: 'x', redirect_uris: ['https://one.example/'] },
  ])

const keysOf = async ({ provider }: BareEngine) => {
  const client = (await provider.Client.find('signer')) as unknown as { symmetricKeyStore: Iterable<Members> }
  return client.symmetricKeyStore
}

const grantOf = ({ provider }: BareEngine) => {
  const grant = new provider.Grant({ accountId: 'ada', clientId: 'app' })
  grant.addOIDCScope('openid email')
  grant.addOIDCClaims(['name'])
  grant.addResourceScope('https://api.example', 'read write')
  return grant
}

const sessionsOf = ({ calls }: BareEngine) =>
  (calls.get('OIDCContext.prototype.entity') ?? [])
    .filter(({ args }) => args[0] === 'Session')
    .map(({ args }) => args[1])

/**
 * Each member of the engine that Postern depends on, by its name in `docs/engine.md`, with a check of what it must be.
 */
export const members: Readonly<Record<string, Holds>> = {
  // Clients
  'Client.find': isCalled(
    'Client.find',
    ({ args, route, params, hasClient }) =>
      args[0] === 'app' && route === 'authorization' && params?.['client_id'] === 'app' && !hasClient,
  ),
  'Client.validate': isFunction(({ Client }) => (Client as unknown as Members)['validate'], 1),
  'Client.needsSecret': isCalled('Client.needsSecret', ({ args }) => typeof args[0] === 'object'),
  'new Client': (engine) => clientOf(engine).redirectUris[0] === 'https://one.example/',
  'Client.prototype.metadata': (engine) => clientOf(engine).metadata().redirect_uris[0] === 'https://one.example/',
  'Client.prototype.compareClientSecret': async (engine) => {
    const { compareClientSecret: compare } = engine.provider.Client.prototype
    const of = (clientSecret: string) => compare.call({ clientSecret } as never, 'right')
    const name = 'Client.prototype.compareClientSecret'
    return (await of('right')) && !(await of('wrong')) && isCalled(name, ({ args }) => args.length === 1)(engine)
  },
  'Client.prototype.checkClientSecretExpiration': isCalled(
    'Client.prototype.checkClientSecretExpiration',
    ({ args }) => typeof args[0] === 'string',
  ),
  'client.symmetricKeyStore': async (engine) => {
    const keys = await keysOf(engine)
    const copies = [...keys].filter(({ use, k }) => use === 'sig' && typeof k === 'string')
    const again = Reflect.construct(keys.constructor, [copies]) as Iterable<Members>
    return copies.length > 0 && [...again].length === copies.length
  },
  'client.symmetricKeyStore.selectForVerify': isCalled('client.symmetricKeyStore.selectForVerify'),
  'client.symmetricKeyStore.getKeyObject': isCalled('client.symmetricKeyStore.getKeyObject'),

  // The constructor
  'Provider.prototype.registerResponseMode': isCalled(
    'Provider.prototype.registerResponseMode',
    ({ args }) => args[0] === 'form_post',
  ),
  'Provider.prototype.registerGrantType': isCalled(
    'Provider.prototype.registerGrantType',
    ({ args }) => args[0] === 'authorization_code' && typeof args[1] === 'function',
  ),
  'ctx.oidc.resourceServers': ({ asked }) => {
    const [server] = Object.values(asked.oidc.resourceServers ?? {})
    const again = server && Reflect.construct(server.constructor, ['https://other.example', server])
    return again?.identifier() === 'https://other.example' && again.scopes.has('read')
  },

  // Proofs
  'ReplayDetection.unique': isCalled(
    'ReplayDetection.unique',
    ({ args }) => args[0] === 'signer' && args[1] === 'one' && Number(args[2]) > Date.now() / 1000,
  ),

  // Consents and tokens in use
  'Grant.find': isCalled('Grant.find', ({ args }) => (args[1] as Members)['ignoreExpiration'] === true),
  'AccessToken.find': isCalled('AccessToken.find', ({ route }) => route === 'userinfo'),
  'ClientCredentials.find': isCalled('ClientCredentials.find', ({ route }) => route === 'introspection'),
  'RefreshToken.find': isCalled('RefreshToken.find', ({ route }) => route === 'introspection'),
  'grant.openid': (engine) => {
    const { openid } = grantOf(engine) as unknown as { openid: { scope: string; claims: string[] } }
    return openid.scope === 'openid email' && openid.claims[0] === 'name'
  },
  'grant.resources': (engine) => {
    const { resources } = grantOf(engine) as unknown as { resources: Record<string, string> }
    return resources['https://api.example'] === 'read write'
  },
  'Grant.prototype.getOIDCScopeFiltered': (engine) =>
    grantOf(engine).getOIDCScopeFiltered(new Set(['email', 'phone'])) === 'email',
  'Grant.prototype.getResourceScopeFiltered': (engine) =>
    grantOf(engine).getResourceScopeFiltered('https://api.example', new Set(['read', 'admin'])) === 'read',

  // JWT access tokens
  'AccessToken.prototype.save': isCalled('AccessToken.prototype.save'),
  'ClientCredentials.prototype.save': isCalled('ClientCredentials.prototype.save'),
  'AccessToken.IN_PAYLOAD': isStored('AccessToken', 'kind', 'jti', 'clientId', 'grantId', 'scope', 'aud', 'jkt'),
  'ClientCredentials.IN_PAYLOAD': isStored('ClientCredentials', 'kind', 'jti', 'clientId', 'scope', 'aud', 'jkt'),
  'token.remainingTTL': ({ provider }) => new provider.AccessToken({ expiresIn: 60 } as never).remainingTTL === 60,
  'token.adapter': ({ provider }) =>
    typeof (new provider.AccessToken({} as never) as unknown as { adapter: Members }).adapter['upsert'] === 'function',
  'OIDCContext.prototype.entity': isCalled(
    'OIDCContext.prototype.entity',
    ({ args, route, params }) => args[0] === 'Client' && route === 'introspection' && params?.['token'] !== undefined,
  ),

  // ID tokens
  'IdToken.prototype.issue': isCalled(
    'IdToken.prototype.issue',
    ({ args }) => (args[0] as Members)['use'] === 'idtoken',
  ),
  'idToken.mask': async (engine) => {
    const idToken = new engine.provider.IdToken({ sub: 'ada', email: 'ada@one.example' }, { client: clientOf(engine) })
    const before = await idToken.payload()
    Object.assign(idToken, { mask: { email: null } })
    return before['email'] === undefined && (await idToken.payload())['email'] === 'ada@one.example'
  },
  'IdToken.validate': isFunction(({ IdToken }) => IdToken.validate, 2),

  // Open registration
  'InitialAccessToken.find': isCalled('InitialAccessToken.find', ({ args }) => args[0] === 'forged'),
  'InitialAccessToken.IN_PAYLOAD': isStored('InitialAccessToken', 'policies'),

  // Device codes
  'DeviceCode.findByUserCode': isCalled('DeviceCode.findByUserCode', ({ args }) => args[0] === 'ABCDEFGH'),

  // The context of a request
  'Provider.ctx': isCalled('AccessToken.find', ({ route }) => route === 'userinfo'),
  'ctx.oidc.route': ({ asked }) => asked.oidc.route === 'authorization',
  'ctx.oidc.params': ({ asked: { oidc } }) => {
    const { params = {} } = oidc
    const given = params['scope']
    params['scope'] = 'openid other'
    const isRead = oidc.requestParamScopes.has('other')
    params['scope'] = given
    return isRead && given === 'openid read'
  },
  'ctx.oidc.body': ({ asked }) => asked.oidc.body === undefined && asked.query['scope'] === 'openid read',
  'ctx.oidc.entities': ({ asked }) => asked.oidc.entities.Client?.clientId === 'app',
  'extraParams.scope': ({ asked: { oidc } }) =>
    oidc.client !== undefined && Object.keys(oidc.resourceServers ?? {}).length === 1,
  'PushedAuthorizationRequest.IN_PAYLOAD': isStored('PushedAuthorizationRequest', 'request'),

  // Prompts
  id_token_hint: isReason('login', 'id_token_hint'),
  claims_id_token_sub_value: isReason('login', 'claims_id_token_sub_value'),
  essential_acr: isReason('login', 'essential_acr'),
  essential_acrs: isReason('login', 'essential_acrs'),
  op_scopes_missing: isReason('consent', 'op_scopes_missing'),
  op_claims_missing: isReason('consent', 'op_claims_missing'),
  rs_scopes_missing: isReason('consent', 'rs_scopes_missing'),

  // Storage
  'provider.BaseToken': ({ provider }) => {
    const base: unknown = Object.getPrototypeOf(provider.BaseToken)
    const models = [provider.Session, provider.Interaction, provider.RefreshToken, provider.ReplayDetection]
    return typeof base === 'function' && models.every(({ prototype }) => prototype instanceof base)
  },
  'Session.IN_PAYLOAD': isStored('Session', 'uid', 'accountId', 'loginTs', 'state', 'authorizations'),
  'Interaction.IN_PAYLOAD': isStored('Interaction', 'session', 'params', 'result', 'returnTo', 'deviceCode', 'parJti'),

  // The proofs of a sign-in
  'Session.prototype.loginAccount': isFunction(
    ({ Session }) => (Session.prototype as unknown as Members)['loginAccount'],
    1,
  ),
  'OIDCContext.prototype.acr': ({ provider }) =>
    typeof Object.getOwnPropertyDescriptor(provider.OIDCContext.prototype, 'acr')?.get === 'function',

  // Signing out
  'Session.get': isFunction(({ Session }) => Session.get, 1),
  'Session.prototype.destroy': isFunction(({ Session }) => Session.prototype.destroy, 0),
  'session.state.secret': (engine) =>
    sessionsOf(engine).some((session) => typeof (session as { state?: Members }).state?.['secret'] === 'string'),
  'Client.prototype.backchannelLogout': isFunction(
    ({ Client }) => (Client.prototype as unknown as Members)['backchannelLogout'],
    2,
  ),
  'AccessToken.revokeByGrantId': isFunction(({ AccessToken }) => AccessToken.revokeByGrantId, 1),
  'Provider.prototype.cookieName': ({ provider }) => typeof provider.cookieName('session') === 'string',

  // Pages that submit a form by themselves
  '<title>Submitting Callback</title>': ({ submittingPage: { text } }) =>
    text.includes('<title>Submitting Callback</title>'),
  '<form method="post" action="…">': ({ submittingPage: { text } }) =>
    /<form method="post" action="http[^"]*">/.test(text),
  '<input type="hidden" name="…" value="…"/>': ({ submittingPage: { text } }) =>
    /<input type="hidden" name="user_code" value="ABCD-EFGH"\/>/.test(text),
  "script-src 'report-sample'": ({ submittingPage: { policy } }) =>
    /^script-src 'report-sample' 'sha256-[\w+/=]+'$/.test(policy),

  // Refusals
  error_detail: () => new errors.InvalidGrant('why').error_detail === 'why',

  // The application
  'provider.use': ({ order }) => order[0] === 'ours' && order[1] === 'the engine',
  'provider.keys': ({ provider }) => Array.isArray(provider.keys) && provider.proxy === false,
  'provider.proxy': ({ provider }) => provider.proxy === false,
  'ctx.body of the keys': ({ bodies }) => {
    const [one, other] = (bodies.get('/jwks') ?? []) as { keys: { kid: string }[] }[]
    return typeof one?.keys[0]?.kid === 'string' && one.keys === other?.keys
  },
  'ctx.body of the metadata': ({ bodies }) => {
    const [metadata] = (bodies.get('/.well-known/openid-configuration') ?? []) as Members[]
    return metadata?.['issuer'] !== undefined && Array.isArray(metadata['response_modes_supported'])
  },

  // Signing keys
  ExternalSigningKey: () => {
    const { prototype } = ExternalSigningKey
    const accessors = (['kid', 'alg'] as const).map((name) => Object.getOwnPropertyDescriptor(prototype, name)?.get)
    return accessors.every(Boolean) && typeof prototype.keyObject === 'function' && typeof prototype.sign === 'function'
  },
}
