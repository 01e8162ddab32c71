import { accountTabs } from '../../src/views/pages/account.ts'
import type { ProfileField } from '../../src/views/pages/account-profile.ts'
import type { Views } from '../../src/views/pages/index.ts'
import { english } from '../../src/views/texts/index.ts'

const words = english.account
const keys = <Key extends string>(texts: Record<Key, unknown>) => Object.keys(texts) as Key[]

export const client = {
  name: 'Ledger',
  host: 'ledger.example.com',
  isReviewed: true,
  logo: undefined,
  document: undefined,
}

export const frame = {
  csrf: 'token-1',
  account: { name: 'Ada Lovelace', email: 'ada@example.com' },
  tab: '/account',
  tabs: accountTabs,
  notice: undefined,
  zone: 'Europe/London',
} as const

const at = new Date('2026-11-27T14:05:00Z')
const nothing = { scopes: [], claims: [], resources: [] } as const

const app = {
  grantId: 'grant-1',
  client,
  isFirstParty: false,
  since: new Date('2026-03-02T10:00:00Z'),
  lastUsedAt: at,
  granted: {
    scopes: ['profile', 'email'],
    claims: ['phone_number'],
    resources: [{ name: 'Files', scopes: ['Open your files'] }],
  },
  denied: { scopes: ['address'], claims: [], resources: [{ name: 'Files', scopes: ['Change your files'] }] },
} as const

const session = {
  uid: 'session-1',
  browser: 'Firefox',
  system: 'Linux',
  kind: 'computer',
  isThis: false,
  signedInAt: at,
  firstAddress: '203.0.113.24',
  lastSeenAt: at,
  lastAddress: '203.0.113.24',
} as const

const event = {
  type: 'session.began',
  isByAdministrator: false,
  at,
  address: '203.0.113.24',
  app: 'Ledger',
  device: { browser: 'Firefox', system: 'Linux' },
  group: 'Editors',
  changed: [],
} as const

const field = (name: ProfileField['name'], part: Partial<ProfileField> = {}): ProfileField => ({
  name,
  value: '',
  kind: 'text',
  autocomplete: 'off',
  maxLength: 200,
  hint: undefined,
  options: undefined,
  error: undefined,
  ...part,
})

type Names =
  | 'account-profile'
  | 'account-security'
  | 'account-passkey-add'
  | 'account-passkey-edit'
  | 'account-apps'
  | 'account-app-remove'
  | 'account-activity'
  | 'account-data'
  | 'account-delete'
  | 'account-deleted'
  | 'keep-account'
  | 'terms'
  | 'terms-declined'

const passkey = { id: 'passkey-1', name: 'iPhone', createdAt: at, lastUsedAt: at, isSynced: true }
const signals = [{ name: 'signalAllAcceptedCredentials', value: { rpId: 'login.example.com', userId: 'AAAA' } }]

export const examples: Pick<Views, Names> = {
  'account-profile': { ...frame, hasErrors: false, fields: [field('name')], addressFields: [field('street_address')] },
  'account-security': {
    ...frame,
    isVerified: true,
    secondStep: { hasApp: true, recoveryCodes: 9, devices: 2 },
    password: 'set',
    linked: [
      {
        ...{ provider: 'google', issuer: 'https://accounts.google.com', subject: '1', name: 'Google' },
        about: 'ada@example.com',
        lastUsedAt: new Date('2026-11-01T09:00:00Z'),
      },
    ],
    linkable: [{ id: 'work', name: 'Analytical Engines' }],
    passkeys: { list: [passkey, { ...passkey, id: 'passkey-2', isSynced: false, lastUsedAt: undefined }], signals },
    sessions: [{ ...session, isThis: true }, session],
  },
  'account-passkey-add': {
    csrf: 'token-1',
    email: 'ada@example.com',
    device: { browser: 'Firefox', system: 'Linux' },
    error: undefined,
  },
  'account-passkey-edit': { csrf: 'token-1', passkey, isLast: false, zone: 'UTC' },
  'account-apps': { ...frame, apps: [app, { ...app, client: { ...client, isReviewed: false } }] },
  'account-app-remove': { ...frame, app },
  'account-activity': { ...frame, events: [event], older: undefined, isFirst: true },
  'account-data': { ...frame, graceDays: 14, terms: { version: '2026-11', acceptedAt: at } },
  'account-delete': { ...frame, day: at },
  'account-deleted': { day: at, zone: 'UTC' },
  'keep-account': { uid: 'uid-1', csrf: 'token-1', client, account: frame.account, day: at, zone: 'UTC' },
  terms: {
    uid: 'uid-1',
    csrf: 'token-1',
    client,
    account: frame.account,
    version: '2026-11',
    termsUrl: 'https://example.com/terms',
    isFirst: false,
  },
  'terms-declined': { client },
}

export const variants: { [Name in Names | 'account']: readonly Partial<Views[Name]>[] } = {
  account: [
    {
      isVerified: false,
      details: [],
      canEdit: false,
      sessions: 1,
      apps: 0,
      account: { name: '', email: 'a@b.example' },
    },
    ...keys(words.profile.labels).map((label) => ({ details: [{ label, value: '1815-12-10' }] })),
    ...keys(words.notices).map((code) => ({ notice: { code, app: 'Ledger' } })),
  ],
  'account-profile': [
    { fields: [], addressFields: [] },
    { fields: keys(words.profile.labels).map((name) => field(name)), addressFields: [] },
    { fields: keys(words.profile.hints).map((hint) => field(hint, { hint })) },
    { fields: [field('locale', { options: [{ value: 'de', text: 'Deutsch', lang: 'de' }] })] },
    ...keys(words.profile.errors).map((error) => ({ hasErrors: true, fields: [field('name', { error })] })),
  ],
  'account-passkey-add': [
    ...keys(english.passkeyAdd.errors).map((error) => ({ error })),
    { device: { browser: undefined, system: undefined } },
  ],
  'account-passkey-edit': [{ isLast: true }, { passkey: { ...passkey, isSynced: false } }],
  'account-security': [
    {
      password: 'none',
      passkeys: { list: [], signals: [] },
      secondStep: { hasApp: false, recoveryCodes: 0, devices: 0 },
    },
    { secondStep: undefined },
    { password: undefined, passkeys: undefined },
    { password: 'elsewhere' },
    {
      isVerified: false,
      sessions: [
        {
          ...session,
          browser: undefined,
          system: undefined,
          firstAddress: undefined,
          lastAddress: undefined,
          kind: 'phone',
        },
      ],
    },
  ],
  'account-apps': [
    { apps: [] },
    { apps: [{ ...app, isFirstParty: true, granted: nothing, denied: nothing, lastUsedAt: undefined }] },
  ],
  'account-app-remove': [{ app: { ...app, isFirstParty: true } }],
  'account-activity': [
    { events: [], older: '17', isFirst: false },
    {
      events: keys(words.activity.events).map((type) => ({
        ...event,
        type,
        app: undefined,
        device: undefined,
        changed: [...keys(words.activity.fields), 'name', 'address', 'something'],
      })),
    },
    { events: keys(words.activity.byAdministrator).map((type) => ({ ...event, type, isByAdministrator: true })) },
  ],
  'account-data': [{ graceDays: 1, terms: undefined }],
  'account-delete': [],
  'account-deleted': [],
  'keep-account': [],
  terms: [{ isFirst: true }, { termsUrl: undefined }],
  'terms-declined': [],
}
