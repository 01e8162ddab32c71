import { z } from 'zod'

export const presetNames = [
  'openid',
  'google',
  'microsoft',
  'apple',
  'github',
  'gitlab',
  'keycloak',
  'postern',
] as const
export type PresetName = (typeof presetNames)[number]

const short = z.string().min(1).max(200)
const claimName = z.string().regex(/^[\w:./-]{1,100}$/, 'must be the name of a claim')

const rule = z.union([
  claimName,
  z.strictObject({
    from: claimName,
    values: z.record(z.string().max(200), z.string().max(200)).optional(),
  }),
])

/** Which claims of the provider become which claims of an account. A dot leads into an object. */
export const mapping = z.record(claimName, rule)
export type Mapping = z.output<typeof mapping>

/** The settings of an upstream provider, as stored. */
export const upstreamSettings = z.strictObject({
  display_name: short.optional().describe('The name on the button. Default: the name of the preset.'),
  issuer: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe('The issuer of the provider, which some presets know. For GitHub, the address of the server.'),
  client_id: short.describe('The client ID that the provider gave to Postern.'),
  client_auth: z
    .enum(['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'])
    .optional()
    .describe('How Postern proves to the provider who it is. Default: that of the preset.'),
  key_id: short.optional().describe('The ID of the private key, for Apple and private_key_jwt.'),
  team_id: short.optional().describe('The team ID at Apple.'),
  tenant: short.optional().describe('The tenant at Microsoft: common, organizations, consumers, or its ID.'),
  allowed_tenants: z
    .array(z.guid())
    .default([])
    .describe('IDs of the tenants at Microsoft whose people may sign in. Empty means all that the tenant includes.'),
  scopes: z.array(short).optional().describe('The scopes to ask for. Default: those of the preset.'),
  sign_up: z
    .enum(['follow', 'allow', 'refuse'])
    .default('follow')
    .describe('Whether people without an account get one: follow SIGN_UP, always allow it, or refuse it.'),
  shows_button: z.boolean().default(true).describe('Whether the sign-in page has a button for this provider.'),
  is_alone: z
    .boolean()
    .default(false)
    .describe('Whether people are sent to this provider at once, without a sign-in page.'),
  trusts_methods: z
    .boolean()
    .default(false)
    .describe('Whether to believe the amr of the provider, and pass it on to apps.'),
  ends_sessions: z
    .boolean()
    .default(false)
    .describe('Whether disabling this provider signs out everybody who is linked to it.'),
  mapping: mapping
    .default({})
    .describe('Claims of an account, and the claims of the provider that they are taken from.'),
})
export type UpstreamSettings = z.output<typeof upstreamSettings>

/** What is known about a kind of provider. */
export type Preset = {
  protocol: 'openid' | 'github'
  name: string
  issuer: ((settings: UpstreamSettings) => string) | undefined
  scopes: readonly string[]
  clientAuth: NonNullable<UpstreamSettings['client_auth']> | 'apple'
  responseMode?: 'form_post'
}

const openid = ['openid', 'email', 'profile']
const defaults = { protocol: 'openid', scopes: openid, clientAuth: 'client_secret_basic', issuer: undefined } as const

/** The kinds of providers that Postern knows. */
export const presets: Record<PresetName, Preset> = {
  openid: { ...defaults, name: 'OpenID' },
  google: { ...defaults, name: 'Google', issuer: () => 'https://accounts.google.com' },
  microsoft: {
    ...defaults,
    name: 'Microsoft',
    issuer: ({ tenant = 'common' }) => `https://login.microsoftonline.com/${encodeURIComponent(tenant)}/v2.0`,
    clientAuth: 'client_secret_post',
  },
  apple: {
    ...defaults,
    name: 'Apple',
    issuer: () => 'https://appleid.apple.com',
    scopes: ['openid', 'email', 'name'],
    clientAuth: 'apple',
    responseMode: 'form_post', // Apple sends name and email in no other way
  },
  github: {
    ...defaults,
    protocol: 'github',
    name: 'GitHub',
    issuer: () => 'https://github.com',
    scopes: ['read:user', 'user:email'],
    clientAuth: 'client_secret_post',
  },
  gitlab: { ...defaults, name: 'GitLab', issuer: () => 'https://gitlab.com' },
  keycloak: { ...defaults, name: 'Keycloak' },
  postern: { ...defaults, name: 'Postern' },
}

/** A provider as the rest of this folder uses it. */
export type Upstream = {
  id: string
  preset: PresetName
  settings: UpstreamSettings
  secret: string | undefined
  authorityDomains: readonly string[]
  isDisabled: boolean
  updatedAt: Date
}

/** Returns a stored provider with its settings checked. */
export function upstreamOf(
  stored: Omit<Upstream, 'preset' | 'settings'> & { preset: string; settings: unknown },
): Upstream {
  const { id, secret, authorityDomains, isDisabled, updatedAt } = stored
  return {
    id,
    secret,
    authorityDomains,
    isDisabled,
    updatedAt,
    preset: z.enum(presetNames).parse(stored.preset),
    settings: upstreamSettings.parse(stored.settings),
  }
}

/** Returns the issuer of a provider. */
export function issuerOf({ preset, settings }: Pick<Upstream, 'preset' | 'settings'>): string {
  const issuer = settings.issuer ?? presets[preset].issuer?.(settings)
  if (issuer === undefined) throw new Error(`The provider needs an issuer.`)
  return issuer
}

/** Returns the name of a provider as people see it. */
export const nameOf = ({ preset, settings }: Pick<Upstream, 'preset' | 'settings'>): string =>
  settings.display_name ?? presets[preset].name
