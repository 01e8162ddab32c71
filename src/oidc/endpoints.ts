import type { Configuration } from 'oidc-provider'
import { adminPath, metadataPath } from './admin-resource.ts'

/** The path of each endpoint of the engine. */
export const routes = {
  authorization: '/oauth/authorize',
  token: '/oauth/token',
  registration: '/oauth/register',
  introspection: '/oauth/introspect',
  revocation: '/oauth/revoke',
  pushed_authorization_request: '/oauth/par',
  device_authorization: '/oauth/device_authorization',
  code_verification: '/device',
  userinfo: '/oauth/userinfo',
  jwks: '/oauth/jwks',
  end_session: '/oauth/logout',
} satisfies Configuration['routes']

/** The facts about one kind of request that storage depends on. */
type KindFacts = {
  /** Whether a client gets something here because of a person, so that the writes depend on the session and account. */
  isInteractive: boolean
  /** Whether an interaction continues here, in the browser that began it. */
  isResuming: boolean
  /** Whether the client itself asks for something here, so that its metadata document is read. */
  isOfClient: boolean
  /** Whether a request that fails writes nothing, and leaves unredeemed what it presented. */
  isUndoneOnFailure: boolean
}

// Every row has every fact, so that a new kind cannot leave one out.
// biome-ignore format: it is a table
const kinds = {
  authorization:   { isInteractive: true,  isResuming: false, isOfClient: true,  isUndoneOnFailure: false },
  token:           { isInteractive: false, isResuming: false, isOfClient: true,  isUndoneOnFailure: true },
  resume:          { isInteractive: true,  isResuming: true,  isOfClient: false, isUndoneOnFailure: false },
  device:          { isInteractive: true,  isResuming: false, isOfClient: false, isUndoneOnFailure: false },
  'device-resume': { isInteractive: true,  isResuming: true,  isOfClient: false, isUndoneOnFailure: false },
  logout:          { isInteractive: false, isResuming: false, isOfClient: false, isUndoneOnFailure: false },
  registration:    { isInteractive: false, isResuming: false, isOfClient: false, isUndoneOnFailure: true },
  other:           { isInteractive: false, isResuming: false, isOfClient: false, isUndoneOnFailure: false },
} as const satisfies Record<string, KindFacts>

/** The kind of a request, as storage sees it. */
export type Endpoint = keyof typeof kinds

/** Returns the facts about a kind of request; outside a request, those of `other`. */
export function kindOf(endpoint: Endpoint = 'other'): KindFacts {
  return kinds[endpoint]
}

/** Everything that depends on the address of a request. */
export type Address = {
  /** The path. A segment that begins with a colon stands for any value. */
  path: string
  methods: readonly string[]
  /** The form of its errors: `json` for programs, whatever the request accepts, and `page` for people. */
  errors: 'json' | 'page'
  endpoint: Endpoint
  /** The page with the form, for an address that receives only that form. */
  pageOf: string | undefined
  /** Whether a client identifies itself here, and proves its identity unless it is public. */
  authenticatesClient: boolean
  /** Whether interactions begin or continue here, so that a cookie identifies the browser. */
  isOfInteraction: boolean
  /** Whether `GET` is safe (RFC 9110 §9.2.1), so that it may be answered in advance. */
  isSafe: boolean
  /** Whether a segment is an identifier that only its holder should know, so that it is not logged. */
  hasSecret: boolean
}

const interaction = '/interaction/:uid'
const page = { errors: 'page', endpoint: 'other' } as const
const json = { errors: 'json', endpoint: 'other' } as const
const form = { ...page, methods: 'POST', pageOf: interaction, isOfInteraction: true, hasSecret: true } as const
const formPage = { ...page, methods: 'GET POST', isOfInteraction: true, hasSecret: true } as const
const client = { errors: 'json', methods: 'POST OPTIONS', authenticatesClient: true } as const // of a kind that its row states
const metadata = { ...json, methods: 'GET OPTIONS' } as const
const file = { ...page, methods: 'GET', isSafe: true } as const

type Row = Pick<Address, 'errors' | 'endpoint'> & { methods: string } & Partial<Omit<Address, 'path' | 'methods'>>

// `OPTIONS` is listed where pages of other origins may send requests (Fetch §3.2, CORS). `HEAD` is allowed wherever
// `GET` is.
// biome-ignore format: it is a table
const table: Readonly<Record<string, Row>> = {
  [routes.authorization]:                { ...page, methods: 'GET POST', endpoint: 'authorization', isOfInteraction: true },
  [`${routes.authorization}/:uid`]:      { ...page, methods: 'GET', endpoint: 'resume', isOfInteraction: true, hasSecret: true },
  [routes.code_verification]:            { ...page, methods: 'GET POST', endpoint: 'device', isOfInteraction: true },
  [`${routes.code_verification}/:uid`]:  { ...page, methods: 'GET', endpoint: 'device-resume', isOfInteraction: true, hasSecret: true },
  [routes.end_session]:                  { ...page, methods: 'GET POST' },
  [`${routes.end_session}/confirm`]:     { ...page, methods: 'POST', endpoint: 'logout', pageOf: routes.end_session },
  [`${routes.end_session}/success`]:     { ...page, methods: 'GET' },
  [interaction]:                         { ...page, methods: 'GET', isOfInteraction: true, hasSecret: true },
  [`${interaction}/sign-in`]:            form,
  [`${interaction}/sign-up`]:            { ...page, methods: 'GET POST', isOfInteraction: true, hasSecret: true },
  [`${interaction}/sign-up/link`]:       form,
  [`${interaction}/sign-up/code`]:       { ...page, methods: 'GET POST', isOfInteraction: true, hasSecret: true },
  [`${interaction}/sign-up/passkey`]:    formPage,
  [`${interaction}/sign-up/passkey/options`]: form,
  [`${interaction}/password`]:           form,
  [`${interaction}/recover`]:            form,
  [`${interaction}/forgot`]:             formPage,
  [`${interaction}/forgot-sent`]:        { ...formPage, methods: 'GET' },
  [`${interaction}/send-code`]:          form,
  [`${interaction}/code`]:               formPage,
  [`${interaction}/link`]:               form,
  [`${interaction}/upstream`]:           formPage,
  [`${interaction}/passkey/options`]:    form,
  [`${interaction}/passkey`]:            form,
  [`${interaction}/enrol`]: { ...formPage, methods: 'GET' },
  [`${interaction}/enrol/begin`]: form,
  [`${interaction}/enrol/app`]: formPage,
  [`${interaction}/enrol/later`]: form,
  [`${interaction}/second-factor`]:      { ...formPage, methods: 'GET' },
  [`${interaction}/second-factor/totp`]: formPage,
  [`${interaction}/second-factor/recovery-code`]: formPage,
  [`${interaction}/second-factor/mail`]: formPage,
  [`${interaction}/second-factor/mail/send`]: form,
  [`${interaction}/second-factor/passkey`]: formPage,
  [`${interaction}/second-factor/passkey/options`]: form,
  [`${interaction}/continue`]:           form,
  [`${interaction}/switch`]:             form,
  [`${interaction}/abort`]:              form,
  [`${interaction}/keep`]:               form,
  [`${interaction}/terms`]:              form,
  [`${interaction}/consent`]:            form,
  '/account':                            { ...page, methods: 'GET' },
  '/account/profile':                    { ...page, methods: 'GET POST' },
  '/account/security':                   { ...page, methods: 'GET' },
  '/account/sessions/end':               { ...page, methods: 'POST', pageOf: '/account/security' },
  '/account/sessions/end-others':        { ...page, methods: 'POST', pageOf: '/account/security' },
  '/account/authenticator':             { ...page, methods: 'GET POST' },
  '/account/authenticator/begin':       { ...page, methods: 'POST', pageOf: '/account/security' },
  '/account/authenticator/remove':      { ...page, methods: 'POST', pageOf: '/account/security' },
  '/account/recovery-codes':            { ...page, methods: 'POST', pageOf: '/account/security' },
  '/account/devices/forget':            { ...page, methods: 'POST', pageOf: '/account/security' },
  '/account/passkeys/add':              { ...page, methods: 'GET POST' },
  '/account/passkeys/options':          { ...page, methods: 'POST', pageOf: '/account/passkeys/add' },
  '/account/passkeys/edit':             { ...page, methods: 'GET' },
  '/account/passkeys/rename':           { ...page, methods: 'POST', pageOf: '/account/security' },
  '/account/passkeys/remove':           { ...page, methods: 'POST', pageOf: '/account/security' },
  '/account/apps':                       { ...page, methods: 'GET' },
  '/account/apps/remove':                { ...page, methods: 'GET POST' },
  '/account/activity':                   { ...page, methods: 'GET' },
  '/account/data':                       { ...page, methods: 'GET' },
  '/account/data/export':                { ...page, methods: 'POST', pageOf: '/account/data' },
  '/account/delete':                     { ...page, methods: 'GET POST' },
  '/account/deleted':                    { ...page, methods: 'GET' },
  '/account/password':                   { ...page, methods: 'GET POST' },
  '/account/email':                      { ...page, methods: 'GET POST' },
  '/account/email/resend':               { ...page, methods: 'POST', pageOf: '/account/email' },
  '/account/email/cancel':               { ...page, methods: 'POST', pageOf: '/account/email' },
  '/account/email/verify':               { ...page, methods: 'POST', pageOf: '/account/email' },
  '/account/email/confirm':              { ...page, methods: 'GET' },
  '/link/:token':                        formPage,
  '/account/linked/add':                 { ...page, methods: 'POST', pageOf: '/account/security', isOfInteraction: true },
  '/account/linked/finish':              { ...page, methods: 'GET', isOfInteraction: true },
  '/account/linked/remove':              { ...page, methods: 'POST', pageOf: '/account/security' },
  '/upstream/:provider/backchannel-logout': { ...json, methods: 'POST' },
  '/upstream/:provider/callback':        { ...page, methods: 'GET POST', isOfInteraction: true },
  '/account/choose':                     { ...page, methods: 'POST', pageOf: '/account' },
  '/account/switch':                     { ...page, methods: 'GET' },
  '/account/callback':                   { ...page, methods: 'GET' },
  '/':                                   file,
  '/language':                           { ...page, methods: 'POST', pageOf: '/' },
  '/assets/:name':                       file,
  '/logos/:hash':                        file,
  '/mailbox':                            { ...page, methods: 'GET' },
  '/mailbox/:id':                        { ...page, methods: 'GET', hasSecret: true },
  '/favicon.ico':                         file,
  '/apple-touch-icon.png':                file,
  '/site.webmanifest':                    file,
  '/.well-known/change-password':         file,
  '/.well-known/passkey-endpoints':       { ...json, methods: 'GET', isSafe: true },
  '/.well-known/webauthn':                { ...json, methods: 'GET', isSafe: true },
  [routes.token]:                        { ...client, endpoint: 'token' },
  [routes.pushed_authorization_request]: { ...client, endpoint: 'authorization' },
  [routes.device_authorization]:         { ...client, endpoint: 'authorization' },
  [routes.introspection]:                { ...client, endpoint: 'other' },
  [routes.revocation]:                   { ...client, endpoint: 'other' },
  [routes.userinfo]:                     { ...json, methods: 'GET POST OPTIONS' },
  [routes.registration]:                 { ...json, methods: 'POST OPTIONS', endpoint: 'registration' },
  [`${routes.registration}/:client_id`]: { ...json, methods: 'GET PUT DELETE OPTIONS', endpoint: 'registration', hasSecret: true },
  [routes.jwks]:                         metadata,
  '/.well-known/openid-configuration':   metadata,
  '/.well-known/oauth-authorization-server': metadata,
  [metadataPath]:                        { ...json, methods: 'GET' },
  '/health/live':                        { ...json, methods: 'GET' },
  '/health/ready':                       { ...json, methods: 'GET' },
}

/** Every address except those of the admin API, whose operations have a table of their own. */
export const addresses: readonly Address[] = Object.entries(table).map(([path, { methods, ...row }]) => ({
  pageOf: undefined,
  authenticatesClient: false,
  isOfInteraction: false,
  isSafe: false,
  hasSecret: false,
  ...row,
  path,
  methods: methods.split(' ').flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])),
}))

const fixed = new Map(addresses.filter(({ path }) => !path.includes(':')).map((address) => [address.path, address]))
const patterns = addresses
  .filter(({ path }) => path.includes(':'))
  .map((address) => ({ address, pattern: new RegExp(`^${address.path.replace(/:[a-z_]+/g, '[^/]+')}$`) }))

/** Returns the address that a path belongs to; `undefined` if this server has none. */
export function addressOf(path: string): Address | undefined {
  return fixed.get(path) ?? patterns.find(({ pattern }) => pattern.test(path))?.address
}

/** Returns whether a path may be served: it has a row in the table, or belongs to the admin API. */
export function isServed(path: string): boolean {
  return addressOf(path) !== undefined || path === adminPath || path.startsWith(`${adminPath}/`)
}

// The paths that an identifier follows, in the table and in the admin API. The description of the admin API is no
// identifier.
const beforeIdentifiers = [
  ...new Set(addresses.filter(({ hasSecret }) => hasSecret).map(({ path }) => path.slice(0, path.indexOf('/:')))),
  `${adminPath}/(?!openapi\\.json)[a-z-]+`,
]
const identifier = new RegExp(`(?<=^(?:${beforeIdentifiers.join('|')})/)[^/]+`, 'i')

/** Replaces the identifier in a path. Upper and lower case do not matter. */
export function withIdentifier(path: string, replacement: string): string {
  return path.replace(identifier, replacement)
}

/** Returns the path of a request as it may be logged: without the query and without identifiers. */
export const loggedPath = (path: string): string => withIdentifier(path, ':id')

/** Returns a path with single slashes, and none at its end. */
export function withoutSpareSlashes(path: string): string {
  return path.replace(/\/{2,}/g, '/').replace(/(?<=.)\/$/, '')
}

/** Returns whether this path, or one above it, is for programs. Otherwise the answer is a page for a person. */
export function isForPrograms(path: string): boolean {
  const lower = withoutSpareSlashes(path).toLowerCase()
  const above = lower.slice(0, lower.lastIndexOf('/'))
  return (addressOf(lower)?.errors ?? (above && isForPrograms(above) ? 'json' : 'page')) === 'json'
}
