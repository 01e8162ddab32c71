import { secret } from '../src/secret.ts'
// The engine alone, with a Map as its storage, to compare Postern with. run.ts starts it.
import '../src/runtime.ts'
import { createServer } from 'node:http'
import Provider, { type Adapter, type AdapterPayload, type Configuration, errors } from 'oidc-provider'
import { parse } from '../src/config/index.ts'
import { randomId } from '../src/crypto/digests.ts'
import { generate, signingAlgorithms } from '../src/crypto/keys.ts'
import { routes } from '../src/oidc/endpoints.ts'
import { algorithms, features } from '../src/oidc/features.ts'
import { lifetimes } from '../src/oidc/lifetimes.ts'
import { claimsByScope, scopes } from '../src/oidc/scopes.ts'
import { answer } from './ask.ts'
import { client, type Login, mintCodes, people, scope, signIn } from './people.ts'

const remembered = 200_000 // codes and tokens; older ones were used long ago

/** Creates the cheapest storage possible: no copies, no expiry, no durability, no protection from races. */
function memoryAdapter(): (model: string) => Adapter {
  const lasting = new Map<string, AdapterPayload>()
  const passing = new Map<string, AdapterPayload>()
  const uids = new Map<string, string>()

  return (model) => {
    const storage = model === 'Session' || model === 'Grant' || model === 'Client' ? lasting : passing
    const key = (id: string) => `${model}:${id}`
    return {
      async upsert(id, payload) {
        if (storage === passing && passing.size >= remembered) passing.delete(passing.keys().next().value ?? '')
        if (payload.uid) uids.set(payload.uid, id)
        storage.set(key(id), payload)
      },
      find: async (id) => storage.get(key(id)),
      findByUid: async (uid) => storage.get(key(uids.get(uid) ?? '')),
      findByUserCode: async () => undefined,
      async consume(id) {
        const found = storage.get(key(id))
        if (found) found['consumed'] = Math.floor(Date.now() / 1000)
      },
      async destroy(id) {
        storage.delete(key(id))
      },
      revokeByGrantId: async () => {},
    }
  }
}

const { ISSUER: issuer = '', PORT: port, ALG: alg = 'ES256' } = process.env
const config = parse({ ISSUER: issuer, PORT: port })
const cookieKey = randomId()
const page = async () => {
  throw new Error('The benchmark shows no pages.')
}

const provider = new Provider(issuer, {
  adapter: memoryAdapter(),
  clients: [{ ...client, id_token_signed_response_alg: alg as 'ES256' }],
  jwks: { keys: await Promise.all(signingAlgorithms.map(generate)) },
  features: features({
    config,
    keyring: { dpopNonceSecret: secret(Buffer.alloc(32, 1)) } as never,
    pages: {
      logout: { logoutSource: page, postLogoutSuccessSource: page },
      device: { userCodeInputSource: page, userCodeConfirmSource: page, successSource: page },
      renderError: page,
    },
    registration: {
      idFactory: () => randomId(),
      secretFactory: () => randomId(),
      policies: { postern: async () => {} },
    },
    resourceServers: {
      find: async () => undefined,
      registrationsOf: async () => new Map(),
      indicators: {
        getResourceServerInfo: async () => {
          throw new errors.InvalidTarget('unknown resource')
        },
        defaultResource: async (_ctx, _client, oneOf) => oneOf ?? [],
        useGrantedResource: async () => false,
      },
      mayIntrospect: async (_ctx, { clientId }, token) => token.clientId === clientId,
    },
  }),
  routes,
  ttl: lifetimes(config).ttl,
  scopes: Object.keys(scopes),
  claims: claimsByScope,
  responseTypes: ['code'],
  enabledJWA: algorithms(signingAlgorithms),
  pkce: { required: () => true },
  rotateRefreshToken: () => true,
  issueRefreshToken: async (_ctx, requester, source) =>
    requester.grantTypeAllowed('refresh_token') && source.scopes.has('offline_access'),
  revokeGrantPolicy: () => false,
  findAccount: (_ctx, sub) => ({ accountId: sub, claims: async () => ({ sub }) }),
  cookies: { keys: [cookieKey], names: { session: 'session' }, long: { signed: true }, short: { signed: true } },
  clockTolerance: 15,
} satisfies Configuration as Configuration)
provider.proxy = true

let logins: Login[] = []

answer<{ populate?: true; mint?: number }>(async ({ populate, mint }) => {
  if (populate) {
    logins = await Promise.all(
      Array.from({ length: people }, async (_, index) => {
        const accountId = `person-${index}`
        const grant = new provider.Grant({ accountId, clientId: client.client_id })
        grant.addOIDCScope(scope)
        const login = { accountId, grantId: await grant.save() }
        return signIn(provider, login, { cookieName: 'session', cookieKey, ttl: config.SESSION_TTL_SECONDS })
      }),
    )
    return { cookies: logins.map(({ cookie }) => cookie) }
  }
  return mint === undefined ? undefined : { codes: await mintCodes(provider, logins, mint) }
})

createServer({ keepAliveTimeout: 65_000 }, provider.callback()).listen(Number(port), '127.0.0.1')
process.on('SIGTERM', () => process.exit(0))
