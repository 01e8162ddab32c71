import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SignJWT } from 'jose'
import Provider, { type Adapter, type KoaContextWithOIDC, type TokenEndpointGrantContext } from 'oidc-provider'
import { generate } from '../../src/crypto/keys.ts'

type Members = Record<string, unknown>
type Names = string | readonly string[] | ReadonlySet<string> | undefined
/** A call by the engine of a member that was replaced, as Postern replaces it. */
export type Call = { args: unknown[]; route: string | undefined; params: Members | undefined; hasClient: boolean }

export type BareEngine = {
  provider: Provider
  /** The calls of each member that Postern replaces, by its name in `docs/engine.md`. */
  calls: Map<string, Call[]>
  /** The context of an authorization request where `extraParams` checks `scope`. */
  asked: KoaContextWithOIDC
  /** The page with which the engine turns a GET into a POST. */
  submittingPage: { text: string; policy: string }
  /** The handlers of the requests, in the order in which they ran. */
  order: string[]
  /** The bodies of the metadata and of the keys, as middleware sees them after the engine has answered. */
  bodies: Map<string, unknown[]>
}

const secret = 'a secret of thirty-two characters'
const redirectUri = 'https://app.example/callback'
const common = { client_secret: secret, redirect_uris: [redirectUri], response_types: ['code'] } as const

/** Runs the engine alone, with a map as its storage and nothing of Postern, through one request of each kind. */
export async function runBareEngine(): Promise<BareEngine> {
  const calls: BareEngine['calls'] = new Map()
  const order: string[] = []
  const bodies: BareEngine['bodies'] = new Map()
  let asked: KoaContextWithOIDC | undefined

  class Watched extends Provider {
    override registerResponseMode(...args: Parameters<Provider['registerResponseMode']>): void {
      note('Provider.prototype.registerResponseMode', args)
      super.registerResponseMode(...args)
    }

    override registerGrantType<Params extends object>(
      name: string,
      handler: (ctx: TokenEndpointGrantContext<Params>) => unknown,
      ...others: [params?: Names, duplicates?: Names]
    ): void {
      note('Provider.prototype.registerGrantType', [name, handler])
      super.registerGrantType(
        name,
        async (ctx: TokenEndpointGrantContext<Params>) => void (await handler(ctx)),
        ...others,
      )
    }
  }
  const provider: Provider = new Watched('http://localhost', {
    adapter: mapAdapter(),
    jwks: { keys: [await generate('RS256')] } as never,
    cookies: { keys: ['a key of at least thirty-two bytes'] },
    pkce: { required: () => false },
    clients: [
      {
        ...common,
        client_id: 'app',
        grant_types: ['authorization_code', 'client_credentials', 'urn:ietf:params:oauth:grant-type:device_code'],
      },
      { ...common, client_id: 'signer', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] },
    ].map((client, n) => ({
      ...client,
      grant_types: [...client.grant_types],
      redirect_uris: [...client.redirect_uris],
      response_types: [...client.response_types] as 'code'[],
      token_endpoint_auth_method: n === 0 ? 'client_secret_post' : 'client_secret_jwt',
    })),
    claims: { openid: ['sub'], email: ['email'] },
    ttl: { AccessToken: 60, ClientCredentials: 60, Grant: 60, IdToken: 60, Session: 60 },
    findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    extraParams: {
      scope(ctx) {
        asked = ctx
      },
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      deviceFlow: {
        enabled: true,
        async userCodeInputSource(ctx) {
          ctx.body = ''
        },
      },
      introspection: { enabled: true },
      registration: { enabled: true, initialAccessToken: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({ scope: 'read', audience: 'https://api.example', accessTokenFormat: 'opaque' }),
      },
    },
  })

  function note(name: string, args: unknown[]): void {
    const oidc = Provider.ctx?.oidc as (KoaContextWithOIDC['oidc'] & { params?: Members }) | undefined
    const call = { args, route: oidc?.route, params: oidc?.params && { ...oidc.params }, hasClient: !!oidc?.client }
    calls.set(name, [...(calls.get(name) ?? []), call])
  }
  /** Replaces a member with one that records the call and then does the same. */
  function watch(owner: object, prefix: string, name: string): void {
    const before = (owner as Record<string, (...args: unknown[]) => unknown>)[name]
    Object.assign(owner, {
      [name](this: unknown, ...args: unknown[]) {
        note(`${prefix}.${name}`, args)
        return before?.apply(this, args)
      },
    })
  }
  for (const model of ['Client', 'Grant', 'AccessToken', 'ClientCredentials', 'RefreshToken', 'InitialAccessToken']) {
    watch((provider as unknown as Record<string, object>)[model] ?? {}, model, 'find')
  }
  watch(provider.ReplayDetection, 'ReplayDetection', 'unique')
  watch(provider.DeviceCode, 'DeviceCode', 'findByUserCode')
  watch(provider.Client.prototype, 'Client.prototype', 'compareClientSecret')
  watch(provider.Client.prototype, 'Client.prototype', 'checkClientSecretExpiration')
  watch(provider.Client, 'Client', 'needsSecret')
  watch(provider.IdToken.prototype, 'IdToken.prototype', 'issue')
  watch(provider.AccessToken.prototype, 'AccessToken.prototype', 'save')
  watch(provider.ClientCredentials.prototype, 'ClientCredentials.prototype', 'save')
  watch(provider.OIDCContext.prototype, 'OIDCContext.prototype', 'entity')
  const { symmetricKeyStore: keys } = (await provider.Client.find('signer')) as unknown as Record<string, object>
  for (const name of ['selectForVerify', 'getKeyObject']) watch(keys ?? {}, 'client.symmetricKeyStore', name)

  provider.use(async (ctx, next) => {
    order.push('ours')
    ctx.set('Content-Security-Policy', "script-src 'report-sample'")
    if (ctx.path === '/reg') ctx.req.headers.authorization = 'Bearer forged'
    await next()
    if ((ctx as Partial<KoaContextWithOIDC>).oidc) order.push('the engine')
    bodies.set(ctx.path, [...(bodies.get(ctx.path) ?? []), ctx.body])
  })
  const server = createServer(provider.callback()).listen(0, '127.0.0.1')
  try {
    const port = await new Promise<number>((resolve) => {
      server.once('listening', () => resolve((server.address() as AddressInfo).port))
    })
    const origin = `http://localhost:${port}`
    const post = (path: string, form: Record<string, string>) =>
      fetch(origin + path, { method: 'POST', body: new URLSearchParams(form) })
    const app = { client_id: 'app', client_secret: secret }

    await fetch(
      `${origin}/auth?${new URLSearchParams({ client_id: 'app', redirect_uri: redirectUri, response_type: 'code', scope: 'openid read', resource: 'https://api.example', prompt: 'none' })}`,
      { redirect: 'manual' },
    )
    await post('/token', { ...app, grant_type: 'client_credentials' })
    const assertion = await new SignJWT({})
      .setProtectedHeader({ alg: 'HS256' })
      .setIssuer('signer')
      .setSubject('signer')
      .setAudience('http://localhost')
      .setJti('one')
      .setIssuedAt()
      .setExpirationTime('1 minute')
      .sign(new TextEncoder().encode(secret))
    await post('/token', {
      grant_type: 'client_credentials',
      client_assertion: assertion,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    })
    const answer = await post('/token', { ...app, grant_type: 'authorization_code', ...(await codeFor(provider)) })
    const { access_token: token } = (await answer.json()) as { access_token?: string }
    await fetch(`${origin}/me`, { headers: { authorization: `Bearer ${token}` } })
    await post('/token/introspection', { ...app, token: 'an.unknown.token' })
    await fetch(`${origin}/reg`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    })
    for (const path of ['/jwks', '/jwks', '/.well-known/openid-configuration']) await fetch(origin + path)
    const page = await fetch(`${origin}/device?user_code=ABCD-EFGH`)
    const text = await page.text()
    const xsrf = /name="xsrf" value="([^"]+)"/.exec(text)?.[1] ?? ''
    const cookie = page.headers.getSetCookie().map((one) => one.split(';', 1)[0])
    await fetch(`${origin}/device`, {
      method: 'POST',
      headers: { cookie: cookie.join('; ') },
      body: new URLSearchParams({ xsrf, user_code: 'ABCD-EFGH' }),
    })
    if (!asked) throw new Error('The engine did not check the scope of an authorization request.')
    const submittingPage = { text, policy: page.headers.get('content-security-policy') ?? '' }
    return { provider, calls, asked, submittingPage, order, bodies }
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

/** Issues a code as the engine does, and returns the fields that redeem it. */
async function codeFor(provider: Provider): Promise<{ code: string; redirect_uri: string }> {
  const client = await provider.Client.find('app')
  const grant = new provider.Grant({ accountId: 'ada', clientId: 'app' })
  grant.addOIDCScope('openid')
  const grantId = await grant.save()
  const code = new provider.AuthorizationCode({
    client,
    accountId: 'ada',
    grantId,
    redirectUri,
    scope: 'openid',
    gty: 'authorization_code',
  } as never)
  return { code: await code.save(), redirect_uri: redirectUri }
}

/** Creates a storage for the engine from a map. Only the engine itself matters here. */
function mapAdapter(): (model: string) => Adapter {
  const rows = new Map<string, Members>()
  return (model) => {
    const find = async (id: string) => rows.get(`${model} ${id}`) as never
    return {
      find,
      findByUid: find,
      findByUserCode: find,
      async upsert(id, payload) {
        rows.set(`${model} ${id}`, payload)
      },
      async consume(id) {
        Object.assign((await find(id)) ?? {}, { consumed: 1 })
      },
      async destroy(id) {
        rows.delete(`${model} ${id}`)
      },
      async revokeByGrantId() {},
    }
  }
}
