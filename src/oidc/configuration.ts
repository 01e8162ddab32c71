import Provider, { type Configuration, type KoaContextWithOIDC } from 'oidc-provider'
import { signInRulesOf } from '../authentication/sign-in-rules.ts'
import type { Config } from '../config/index.ts'
import { sha256 } from '../crypto/digests.ts'
import { type Keyring, offeredAlgorithms, type SigningKey } from '../keys/keyring.ts'
import { allLanguages } from '../languages/index.ts'
import * as accounts from '../stores/people/accounts.ts'
import * as factors from '../stores/people/factors.ts'
import * as replays from '../stores/protocol/replays.ts'
import { adapterWith, assertModelsKnown } from './adapters/index.ts'
import { keepProofs } from './authentication/session-proofs.ts'
import { stepUpCheck } from './authentication/step-up.ts'
import { assertionRules } from './clients/assertions.ts'
import { overrideClientFind } from './clients/find.ts'
import type { Logos } from './clients/logos.ts'
import { loadGrant } from './consent/remembered.ts'
import { routes } from './endpoints.ts'
import { algorithms, features } from './features.ts'
import { lifetimes } from './lifetimes.ts'
import type { Pages } from './pages.ts'
import { pairwiseSubjects } from './pairwise.ts'
import { assertBounded } from './parameters/bounds.ts'
import { advertiseNoFormPost, WithoutFormPost } from './parameters/form-post.ts'
import { assertPkceUnneeded } from './parameters/pkce.ts'
import { narrowWhenUsed } from './permissions/narrowing.ts'
import { narrowClaims } from './permissions/requested-claims.ts'
import { settleScope } from './permissions/requested-scopes.ts'
import type { ResourceServers } from './permissions/resource-servers.ts'
import { respellResources, withSpellings } from './permissions/resource-spellings.ts'
import { rememberTarget } from './permissions/targets.ts'
import { policy } from './prompts.ts'
import { type DynamicRegistration, readAnyForm } from './registration/by-client.ts'
import type { ClientDocuments } from './registration/by-document.ts'
import { extraClientMetadata } from './registration/metadata.ts'
import { sourceOf } from './request/source.ts'
import { type Storage, withEngineErrors } from './request/storage.ts'
import { current } from './request/work.ts'
import { claimsByScope, claimsOf, scopes } from './scopes.ts'
import { externalKey } from './tokens/external-keys.ts'
import { addIdTokenClaims } from './tokens/id-token-claims.ts'
import { introspectJwts } from './tokens/introspected-jwts.ts'
import { refusePublicIntrospection } from './tokens/public-introspection.ts'
import { rotates } from './tokens/rotation.ts'

export type ProviderDependencies = {
  config: Config
  keyring: Keyring
  storage: Storage
  pages: Pages
  registration: DynamicRegistration
  resourceServers: ResourceServers
  /** Clients whose id is the address of their metadata document; `undefined` where those are not accepted. */
  documents: ClientDocuments | undefined
  logos: Logos
  /** Sends the requests that the engine makes to addresses in a client's metadata. */
  fetch: typeof globalThis.fetch
}

// A DPoP proof is valid from 300 s before to 300 s after `iat`, and clocks may differ by the tolerance (RFC 9449
// §11.1).
const proofWindowMs = 2 * 300_000 + 15_000

// The methods of client authentication, strongest first: some clients take the first one that they know.
const confidential = ['private_key_jwt', 'client_secret_jwt', 'client_secret_basic', 'client_secret_post'] as const

/**
 * Creates the engine with its configuration.
 *
 * @throws Error when a key or setting is missing, or too weak to run with.
 */
export function createProvider(dependencies: ProviderDependencies): Provider {
  const { config, keyring, storage, pages, registration, resourceServers, documents, logos, fetch } = dependencies
  assertKeys(keyring)
  const { ttl } = lifetimes(config)
  const enabledJWA = algorithms(offeredAlgorithms(keyring))
  const isSecure = config.ISSUER.startsWith('https:')
  const cookie = { signed: true, httpOnly: true, sameSite: 'lax', secure: isSecure, overwrite: true } as const

  const pairwiseSubject = pairwiseSubjects(keyring.pairwiseSalt)
  const { levels, rules } = signInRulesOf(config)
  const stepUp = stepUpCheck({ levels, rules, findFactors: (accountId) => factors.find(storage.db, accountId) })
  const prompts = policy(pairwiseSubject, {
    canSignUp: config.SIGN_UP === 'open',
    termsVersion: config.TERMS_VERSION,
    stepUp,
  })

  const enabled = features({ config, keyring, pages, registration, resourceServers })
  const Engine = withSpellings(config.ALLOW_FORM_POST ? Provider : WithoutFormPost, resourceServers.find)
  const provider = new Engine(config.ISSUER, {
    adapter: adapterWith(storage),
    jwks: { keys: keyring.signing.map(toEngine) } as Configuration['jwks'],
    features: enabled,
    routes,
    ttl,
    scopes: Object.keys(scopes),
    claims: { ...claimsByScope, amr: null }, // the engine does not offer it otherwise (RFC 8176 §1)
    acrValues: levels.map(({ acr }) => acr),
    subjectTypes: ['public', 'pairwise'],
    pairwiseIdentifier: (_ctx, accountId, client) => pairwiseSubject(accountId, client),
    responseTypes: config.ALLOW_IMPLICIT_AND_HYBRID
      ? ['code', 'id_token', 'id_token token', 'code id_token', 'code token', 'code id_token token', 'none']
      : ['code'],
    enabledJWA,
    clientAuthMethods: [...confidential, 'none'],
    assertJwtClientAuthClaimsAndHeader: assertionRules(config),
    pkce: { required: (_ctx, client) => assertPkceUnneeded(config, client) },
    allowOmittingSingleRegisteredRedirectUri: false,
    rotateRefreshToken: rotates,
    async issueRefreshToken(ctx, client, source) {
      rememberTarget(ctx, source)
      return client.grantTypeAllowed('refresh_token') && source.scopes.has('offline_access')
    },
    formats: {
      customizers: {
        async jwt(_ctx, { aud }, parts) {
          const { tokenTypeHeader: typ = 'at+jwt' } = (await resourceServers.find(String(aud))) ?? {}
          parts.header = { ...parts.header, typ }
        },
      },
    },
    revokeGrantPolicy: () => false, // consent outlives tokens; a person withdraws it on the account page
    // The subject of a machine's token is the machine. Introspection of an opaque one returns it, as a JWT does (RFC
    // 9068 §2.2).
    extraTokenClaims: async (ctx, token) =>
      token.kind === 'AccessToken' ? authenticationOf(ctx) : { sub: token.clientId },
    findAccount: (_ctx, sub) => withEngineErrors(findAccount(storage, sub)),
    loadExistingGrant: (ctx) => withEngineErrors(loadGrant({ config, storage, prompts, resourceServers }, ctx)),
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}`, policy: prompts },
    extraParams: {
      idp_hint: null,
      // The engine calls this when it has read the request, including a request object, and accepted its redirect URI.
      scope(ctx, scope, client) {
        const { request, scope: asked } = ctx.oidc.body ?? ctx.query // as sent; `params` is unpacked by now
        assertBounded({ ...ctx.oidc.params, request, scope: asked ?? scope })
        respellResources(ctx)
        narrowClaims(ctx, client)
        settleScope(ctx, client)
      },
    },
    renderError: pages.renderError,
    extraClientMetadata: extraClientMetadata(levels),
    cookies: {
      keys: keyring.cookieKeys.reveal(),
      names: isSecure
        ? {
            session: '__Host-postern_session',
            interaction: '__Secure-postern_interaction',
            resume: '__Secure-postern_resume',
          }
        : { session: 'postern_session', interaction: 'postern_interaction', resume: 'postern_resume' },
      long: cookie,
      // Each of these cookies has a path of its own, but `overwrite` compares names only: the deletion of one would be
      // lost when the next one is set.
      short: { ...cookie, overwrite: false },
    },
    // To a browser the origin of an app's own scheme is `null`, and so is that of any sandboxed frame.
    clientBasedCORS: (_ctx, origin, client) =>
      origin !== 'null' && (client.redirectUris ?? []).some((uri) => URL.parse(uri)?.origin === origin),
    discovery: {
      prompt_values_supported: ['none', ...prompts.filter(({ requestable }) => requestable).map(({ name }) => name)],
      ui_locales_supported: allLanguages,
      // RFC 8414 §2: without these members, clients assume client_secret_basic alone. A public client may not
      // introspect.
      revocation_endpoint_auth_methods_supported: [...confidential, 'none'],
      revocation_endpoint_auth_signing_alg_values_supported: enabledJWA.clientAuthSigningAlgValues,
      introspection_endpoint_auth_methods_supported: confidential,
      introspection_endpoint_auth_signing_alg_values_supported: enabledJWA.clientAuthSigningAlgValues,
      ...(documents && { client_id_metadata_document_supported: true }),
    },
    fetch,
    clockTolerance: 15,
  } satisfies Configuration as Configuration)

  assertModelsKnown(provider, enabled)

  // One statement must check and store a proof's identifier; otherwise two simultaneous requests both pass.
  provider.ReplayDetection.unique = async (iss, jti, exp) => {
    const expiresAt = new Date(Math.max(Number(exp) * 1000, Date.now()) + proofWindowMs)
    const idHash = sha256(`${iss}\0${jti}`)
    const isFirst = await withEngineErrors(replays.redeem(storage.db, idHash, expiresAt))
    if (isFirst) current()?.writes.redeemedProofs.push(idHash)
    return isFirst
  }
  overrideClientFind(provider, { storage, documents, logos })
  narrowWhenUsed(provider, resourceServers)
  introspectJwts(provider)
  keepProofs(provider, levels)
  addIdTokenClaims(provider)
  refusePublicIntrospection(provider)
  readAnyForm(provider)
  if (!config.ALLOW_FORM_POST) advertiseNoFormPost(provider)

  // Koa keeps the keys that sign cookies on the application. They are not enumerable, so that they are not printed with
  // it.
  Object.defineProperty(provider, 'keys', { enumerable: false })

  // Forwarded headers reach the engine only after http/middleware/origin.ts has pinned them to the issuer.
  provider.proxy = true
  return provider
}

/** Returns when and how the person signed in, so that an API can demand more (RFC 9068 §2.2.1, RFC 9470 §6). */
function authenticationOf(ctx: KoaContextWithOIDC): Record<string, unknown> {
  const { session } = ctx.oidc
  const source = sourceOf(ctx)
  const { authTime = session?.authTime(), acr = source ? undefined : ctx.oidc.acr, amr } = source ?? session ?? {}
  return {
    ...(authTime !== undefined && { auth_time: authTime }),
    ...(acr !== undefined && { acr }),
    ...(amr !== undefined && { amr }),
  }
}

async function findAccount({ db }: Storage, sub: string) {
  const account = current()?.reads.accounts.get(sub) ?? (await accounts.findById(db, sub))
  if (!account || account.isDisabled) return undefined
  return { accountId: account.id, claims: async () => claimsOf(account) }
}

/** Returns a key in the engine's form. Only a key that signs includes its private part, or the function that signs. */
function toEngine({ kid, alg, publicJwk, signer }: SigningKey): unknown {
  if (signer && 'privateJwk' in signer) return signer.privateJwk.reveal()
  return externalKey({ kid, alg, publicJwk, sign: signer?.sign })
}

function assertKeys({ signing, cookieKeys, dpopNonceSecret }: Keyring): void {
  if (!signing.some(({ alg, signer }) => alg === 'RS256' && signer))
    throw new Error('There is no RS256 signing key, which OpenID Connect requires.')
  for (const [index, { kid, alg, publicJwk, signer }] of signing.entries()) {
    if (!kid || publicJwk.kid !== kid || publicJwk.alg !== alg || publicJwk.use !== 'sig') {
      throw new Error('Every signing key needs kid, alg and use.')
    }
    // The engine takes the first key of an algorithm, unless another has members that this one lacks.
    if (signer && signing.findIndex((key) => key.alg === alg) !== index) {
      throw new Error(`The first ${alg} signing key must be the one that signs.`)
    }
  }
  const cookies = cookieKeys.reveal()
  if (cookies.length === 0 || cookies.some((key) => key.length < 32)) {
    throw new Error('Cookies need a signing key of at least 32 bytes.')
  }
  if (dpopNonceSecret.reveal().length !== 32) throw new Error('The DPoP nonce secret must have 32 bytes.')
}
