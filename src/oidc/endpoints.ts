import type { Configuration } from 'oidc-provider'
import { metadataPath } from './admin-resource.ts'

/** Where each endpoint is. */
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

/** Which of the engine's endpoints a request is for, as far as storage treats them differently. */
export type Endpoint =
  | 'authorization'
  | 'token'
  | 'resume'
  | 'device'
  | 'device-resume'
  | 'logout'
  | 'registration'
  | 'other'

/** An address that this server answers at. */
export type Address = {
  /** A segment that begins with a colon stands for any other. */
  path: string
  methods: readonly string[]
  /** How it reports an error: to a program as JSON, whatever that says it accepts, or to a person as a page. */
  errors: 'json' | 'page'
  /** How storage treats a request for it. */
  endpoint: Endpoint
  /** The page of a form, for an address that only the form is sent to. */
  pageOf?: string
}

type Row = readonly [path: string, methods: string, errors: Address['errors'], endpoint?: Endpoint, pageOf?: string]

const interaction = '/interaction/:uid'

// `OPTIONS` stands where browsers may ask from another origin (Fetch §3.2, CORS). `HEAD` is possible wherever `GET` is.
// biome-ignore format: it is a table
const table: readonly Row[] = [
  [routes.authorization,                         'GET POST',            'page', 'authorization'],
  [`${routes.authorization}/:uid`,               'GET',                 'page', 'resume'],
  [routes.code_verification,                     'GET POST',            'page', 'device'],
  [`${routes.code_verification}/:uid`,           'GET',                 'page', 'device-resume'],
  [routes.end_session,                           'GET POST',            'page'],
  [`${routes.end_session}/confirm`,              'POST',                'page', 'logout', routes.end_session],
  [`${routes.end_session}/success`,              'GET',                 'page'],
  [interaction,                                  'GET',                 'page'],
  [`${interaction}/sign-in`,                     'POST',                'page', 'other', interaction],
  [`${interaction}/continue`,                    'POST',                'page', 'other', interaction],
  [`${interaction}/switch`,                      'POST',                'page', 'other', interaction],
  [`${interaction}/abort`,                       'POST',                'page', 'other', interaction],
  [`${interaction}/consent`,                     'POST',                'page', 'other', interaction],
  ['/',                                          'GET',                 'page'],
  ['/assets/:name',                              'GET',                 'page'],
  ['/logos/:hash',                               'GET',                 'page'],
  [routes.token,                                 'POST OPTIONS',        'json', 'token'],
  [routes.pushed_authorization_request,          'POST OPTIONS',        'json', 'authorization'],
  [routes.device_authorization,                  'POST OPTIONS',        'json', 'authorization'],
  [routes.introspection,                         'POST OPTIONS',        'json'],
  [routes.revocation,                            'POST OPTIONS',        'json'],
  [routes.userinfo,                              'GET POST OPTIONS',    'json'],
  [routes.registration,                          'POST OPTIONS',        'json', 'registration'],
  [`${routes.registration}/:client_id`,          'GET PUT DELETE OPTIONS', 'json', 'registration'],
  [routes.jwks,                                  'GET OPTIONS',         'json'],
  ['/.well-known/openid-configuration',          'GET OPTIONS',         'json'],
  ['/.well-known/oauth-authorization-server',    'GET OPTIONS',         'json'],
  [metadataPath,                                 'GET',                 'json'],
  ['/health/live',                               'GET',                 'json'],
  ['/health/ready',                              'GET',                 'json'],
]

/** Every address but those of the admin API, whose operations have a table of their own. */
export const addresses: readonly Address[] = table.map(([path, methods, errors, endpoint = 'other', pageOf]) => ({
  path,
  methods: methods.split(' ').flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])),
  errors,
  endpoint,
  ...(pageOf !== undefined && { pageOf }),
}))

const fixed = new Map(addresses.filter(({ path }) => !path.includes(':')).map((address) => [address.path, address]))
const patterns = addresses
  .filter(({ path }) => path.includes(':'))
  .map((address) => ({ address, pattern: new RegExp(`^${address.path.replace(/:[a-z_]+/g, '[^/]+')}$`) }))

/** The address of a path, if it is one of this server's. */
export function addressOf(path: string): Address | undefined {
  return fixed.get(path) ?? patterns.find(({ pattern }) => pattern.test(path))?.address
}

/** A path with single slashes, and none at its end. */
export function withoutSpareSlashes(path: string): string {
  return path.replace(/\/{2,}/g, '/').replace(/(?<=.)\/$/, '')
}

/** Says whether a program is answered at this path, or looks for something below such a path, and never a person. */
export function isForPrograms(path: string): boolean {
  const lower = withoutSpareSlashes(path).toLowerCase()
  const above = lower.slice(0, lower.lastIndexOf('/'))
  return (addressOf(lower)?.errors ?? (above && isForPrograms(above) ? 'json' : 'page')) === 'json'
}
