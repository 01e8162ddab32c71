import { createBrand } from '../../src/brand/index.ts'
import type { ViewName, Views } from '../../src/views/pages/index.ts'
import { english } from '../../src/views/texts/index.ts'
import * as accountExamples from './account-page-examples.ts'

/** A brand with everything that a page can show of one, except for a logo. */
export const fullBrand = createBrand({
  ISSUER: 'https://id.example',
  BRAND_NAME: 'Acme',
  BRAND_ACCENT: '#ffff00',
  BRAND_HELP_URL: 'https://acme.example/help?a=1&b="2"',
  BRAND_SUPPORT_EMAIL: 'help@acme.example',
  BRAND_PRIVACY_URL: 'https://acme.example/privacy',
  BRAND_TERMS_URL: 'https://acme.example/terms',
  BRAND_IMPRINT_URL: 'https://acme.example/imprint',
})()

export const interaction = { uid: 'uid-1', csrf: 'token-1' }
export const client = {
  name: 'Ledger',
  host: 'ledger.example.com',
  isReviewed: true,
  logo: undefined,
  document: undefined,
}
/** A client that registered itself. */
export const stranger = { ...client, isReviewed: false }
/** A client described by a metadata document of its own. */
export const published = {
  name: 'Assistant',
  host: 'assistant.example',
  isReviewed: false,
  logo: undefined,
  document: { host: 'assistant.example', address: 'https://assistant.example/apps/client.json' },
}
export const noLinks = { uri: undefined, policyUri: undefined, tosUri: undefined }
export const account = { name: 'Ada Lovelace', email: 'ada@example.com' }
export const email = {
  name: 'email',
  values: [{ claim: 'email', value: 'ada@example.com' }],
  required: false,
  checked: false,
} as const
export const openid = { name: 'openid', values: [], required: true, checked: true } as const

// The only script in a page, the one that submits itself. The content security policy allows it by its hash, so it never
// changes.
export const onlyScript = `<script>document.querySelector('form').submit()</script>`

/** Returns a page without the script that every page loads from a file, and without the one of the page that submits itself. */
export const withoutOwnScripts = (page: string): string =>
  page
    .replace(
      /<script src="\/assets\/(postern|proof|passkeys)\.js[^"]*" type="module" integrity="[^"]*"><\/script>/g,
      '',
    )
    .replace(onlyScript, '')

export const examples: Views = {
  'sign-in': {
    ...interaction,
    client,
    email: '',
    error: undefined,
    retryAfterSeconds: undefined,
    reason: undefined,
    providers: [
      { id: 'google', name: 'Google', preset: 'google' },
      { id: 'work', name: 'Analytical Engines', preset: 'openid' },
    ],
    isPasswordOptional: false,
    offers: { passwords: true, recovery: true, code: true, signUp: true, passkeys: true },
    unknownPasskey: undefined,
    computer: { isAsked: true, isOther: false },
  },
  'sign-up': {
    ...interaction,
    client,
    email: '',
    name: '',
    minLength: 8,
    termsUrl: undefined,
    challenge: undefined,
    patienceSeconds: 60,
    passwords: true,
    offersPasskey: true,
    error: undefined,
  },
  'sign-up-code': { ...interaction, email: 'ada@example.com', error: undefined },
  'sign-up-passkey': { ...interaction, email: 'ada@example.com', passwords: true, error: undefined },
  'continue-as': { ...interaction, client, account, others: [] },
  account: {
    ...accountExamples.frame,
    isVerified: true,
    details: [{ label: 'name', value: 'Ada Lovelace' }],
    canEdit: true,
    sessions: 2,
    apps: 1,
  },
  ...accountExamples.examples,
  'account-email': {
    csrf: 'token-1',
    email: account.email,
    isVerified: true,
    waiting: undefined,
    done: undefined,
    typed: '',
    error: undefined,
  },
  forgot: { ...interaction, email: '', error: undefined },
  'directory-password': {
    email: account.email,
    passwordUrl: 'https://password.example.com',
    back: '/account/security',
  },
  'forgot-sent': { ...interaction, email: account.email },
  code: { ...interaction, email: account.email, error: undefined },
  authenticator: {
    action: '/account/authenticator',
    hidden: { csrf: 'token-1' },
    qr: { size: 2, path: 'M0 0h1v1h-1z' },
    secret: 'MZXW 6YTB OI',
    isWrong: false,
    back: '/account/security',
  },
  'recovery-codes': { codes: ['abcd-efgh-jkmn', 'pqrs-tvwx-yz23'], next: '/account/security' },
  enrol: { ...interaction, until: new Date('2026-12-24T12:00:00Z') },
  'second-factor': {
    ...interaction,
    way: 'totp',
    others: ['recovery-code', 'mail'],
    email: account.email,
    rememberDays: 30,
    error: undefined,
    retryAfterSeconds: undefined,
  },
  'new-password': {
    action: '/link/token-2',
    hidden: {},
    occasion: 'reset',
    email: account.email,
    minLength: 8,
    asksForOld: false,
    offersSignOut: true,
    error: undefined,
    retryAfterSeconds: undefined,
  },
  link: { action: '/link/token-2', hidden: {}, purpose: 'email-change', email: account.email, account },
  'link-end': { reason: 'expired' },
  'link-done': { outcome: 'password-set', email: account.email, next: { href: '/account', kind: 'account' } },
  consent: {
    ...interaction,
    client: { ...client, ...noLinks },
    account,
    isFirst: true,
    scopes: [openid, email],
    claims: [{ name: 'phone_number', values: [], required: false, checked: true }],
    resources: [
      {
        identifier: 'https://api.example.com/',
        name: 'Ledger API',
        scopes: [{ ...email, name: 'read', title: 'Read the ledger' }],
      },
    ],
    error: undefined,
  },
  'device-code': { action: '/device', xsrf: 'token-1', userCode: undefined, error: undefined },
  'device-confirm': {
    action: '/device',
    xsrf: 'token-1',
    userCode: 'WDJB-MJHT',
    client,
    device: { ip: undefined, userAgent: undefined },
  },
  'device-done': { outcome: 'approved', client },
  'sign-out': {
    action: '/oauth/logout/confirm',
    xsrf: 'token-1',
    client: undefined,
    account: undefined,
    cannotReturn: false,
  },
  'signed-out': {
    isSignedIn: false,
    cannotReturn: false,
    back: undefined,
    others: [{ id: 'bob', name: 'Bob', email: 'bob@example.com', isSignedIn: true }],
  },
  submitting: {
    action: '/oauth/logout/confirm',
    fields: [{ name: 'xsrf', value: 'token-1' }],
    host: undefined,
  },
  error: {
    code: 'expired',
    reference: undefined,
    developer: undefined,
    error: undefined,
    errorDescription: undefined,
    back: undefined,
  },
  elsewhere: {
    issuer: 'https://id.example.com',
    mismatch: { kind: 'host', received: '127.0.0.1', isByProxy: false },
  },
  home: { issuer: 'https://id.example.com', version: '1.0.0' },
  mailbox: {
    mails: [{ id: 'm1', subject: 'Confirm your address', to: 'ada@example.com', at: '2026-11-27 12:00 UTC' }],
  },
  'mailbox-mail': {
    subject: 'Confirm your address',
    to: 'ada@example.com',
    at: '2026-11-27 12:00 UTC',
    paragraphs: [
      [
        { text: 'Use this link: ', href: undefined },
        { text: 'https://id.example.com/link/x', href: 'https://id.example.com/link/x' },
      ],
    ],
  },
}

function keys<Texts extends object>(texts: Texts): (keyof Texts)[] {
  return Object.keys(texts) as (keyof Texts)[]
}

// Every alternative that a code or an optional member makes possible.
export const variants: { [Name in ViewName]: readonly Partial<Views[Name]>[] } = {
  authenticator: [{ isWrong: true }],
  'recovery-codes': [],
  enrol: [{ until: undefined }],
  'second-factor': [
    ...keys(english.secondFactor.ways).map((way) => ({ way })),
    ...keys(english.secondFactor.errors).map((error) => ({ error })),
    { error: 'too-many-attempts', retryAfterSeconds: 600 },
    { rememberDays: 0, others: [] },
    { way: 'recovery-code', others: ['totp', 'passkey'] },
  ],
  'sign-in': [
    ...keys(english.signIn.errors).map((error) => ({ email: 'ada@example.com', error })),
    { error: 'too-many-attempts', retryAfterSeconds: undefined },
    { error: 'passkey-unknown', unknownPasskey: { rpId: 'login.example.com', credentialId: 'AAAA' } },
    { error: 'too-many-attempts', retryAfterSeconds: 1 },
    { error: 'too-many-attempts', retryAfterSeconds: 600 },
    ...keys(english.signIn.reasons).map((reason) => ({ reason })),
    { client: published },
    { client: { ...published, host: client.host } },
    { client: { ...published, host: '127.0.0.1:33418' } },
    { client: stranger },
    { client: { ...stranger, host: 'com.example.app:' } },
    {
      offers: { passwords: true, recovery: false, code: false, signUp: false, passkeys: false },
      computer: { isAsked: false, isOther: false },
    },
    { client: { ...client, isOwn: true } },
    { client: { ...client, isOwn: true }, reason: 'reauthenticate' },
  ],
  'account-email': [
    ...keys(english.accountEmail.errors).map((error) => ({ error, typed: 'ada@' })),
    ...keys(english.accountEmail.done).map((done) => ({ done, waiting: 'countess@example.com' })),
    { isVerified: false },
  ],
  forgot: keys(english.forgot.errors).map((error) => ({ error, email: 'ada@' })),
  'directory-password': [{ passwordUrl: undefined }],
  'forgot-sent': [],
  code: keys(english.code.errors).map((error) => ({ error })),
  'new-password': [
    ...keys(english.newPassword.occasions).map((occasion) => ({ occasion })),
    ...keys(english.newPassword.errors).map((error) => ({ error, asksForOld: true })),
    {
      action: '/account/password',
      hidden: { csrf: 'token-1' },
      occasion: 'change',
      asksForOld: true,
      error: 'too-many-attempts',
      retryAfterSeconds: 600,
    },
  ],
  link: [
    ...keys(english.link.purposes).map((purpose) => ({ purpose })),
    { purpose: 'sign-in', action: '/interaction/uid-1/link', hidden: { ...interaction, token: 'token-2' } },
  ],
  'link-end': keys(english.linkEnd.reasons).map((reason) => ({ reason })),
  'link-done': [
    ...keys(english.linkDone.outcomes).map((outcome) => ({ outcome })),
    { next: { href: '/interaction/uid-1', kind: 'sign-in' } },
  ],
  'sign-up': [
    ...keys(english.signUp.errors).map((error) => ({ error, email: 'ada@example.com', name: 'Ada' })),
    { termsUrl: 'https://example.com/terms' },
    { termsUrl: 'https://example.com/terms', error: 'terms' },
    { challenge: '18.1.abc.def' },
    { passwords: false },
    { client: { ...client, isOwn: true } },
  ],
  'sign-up-passkey': [{ error: 'failed' }, { passwords: false }],
  'sign-up-code': keys(english.signUpCode.errors).map((error) => ({ error })),
  'continue-as': [
    { account: { name: '', email: 'ada@example.com' } },
    { client: stranger },
    { client: published },
    { client: { ...client, isOwn: true } },
    { others: [{ ...account, id: 'other-1', isSignedIn: true }] },
    { account: undefined, others: [{ name: '', email: 'bob@example.com', id: 'other-1', isSignedIn: false }] },
  ],
  consent: [
    ...keys(english.consent.errors).map((error) => ({ error })),
    {
      scopes: keys(english.scopes).map((name) => ({ ...openid, name })),
      claims: keys(english.claims).map((claim) => {
        return { name: claim, values: [{ claim, value: 'a value' }], required: false, checked: true }
      }),
    },
    { scopes: [openid], claims: [], resources: [] },
    { scopes: [email], claims: [], resources: [] },
    {
      scopes: [{ ...email, values: keys(english.claims).map((claim) => ({ claim, value: '1815-12-10' })) }, openid],
      claims: [],
      resources: [],
    },
    {
      scopes: [],
      claims: [],
      resources: [
        {
          identifier: 'https://api.example.com/',
          name: 'Ledger API',
          scopes: ['read', 'write', 'c', 'd', 'e', 'f', 'g', 'h'].map((name) => ({ ...email, name, title: name })),
        },
      ],
    },
    { scopes: [], claims: [], resources: [] },
    { client: { ...noLinks, ...published } },
    { client: { ...noLinks, ...published, host: 'notes.example' } },
    { client: { ...noLinks, ...published, host: 'com.example.app:' } },
    { client: { ...noLinks, ...client, host: 'com.example.app:' } },
    { client: { ...noLinks, ...stranger, host: '' } },
    {
      client: {
        ...stranger,
        host: '127.0.0.1:33418',
        uri: 'https://agent.example.com',
        policyUri: 'https://agent.example.com/privacy',
        tosUri: 'https://agent.example.com/terms',
      },
    },
    { client: { ...client, ...noLinks, uri: 'https://ledger.example.com' } },
  ],
  'device-code': keys(english.deviceCode.errors).map((error) => ({ error, userCode: 'WDJB-MJHT' })),
  'device-confirm': [
    { device: { ip: '203.0.113.24', userAgent: 'Television/1.0' } },
    { client: { ...stranger, host: '' } },
    { client: { ...published, host: '' } },
  ],
  'device-done': [{ outcome: 'denied' }, { client: undefined }, { outcome: 'denied', client: undefined }],
  'sign-out': [
    { client, account },
    { client: published, account, cannotReturn: true },
  ],
  submitting: [{ host: 'ledger.example' }],
  'signed-out': [{ isSignedIn: true }, { cannotReturn: true, back: { href: 'https://a.example', name: 'Ledger' } }],
  error: keys(english.error.codes)
    .map((code): Partial<Views['error']> => ({ code }))
    .concat(
      {
        code: 'protocol',
        reference: '7Q2M-X4KD',
        error: 'invalid_request',
        errorDescription: 'missing required parameter',
        back: { href: 'https://ledger.example.com', name: 'Ledger' },
      },
      { code: 'server-error', reference: '7Q2M-X4KD' },
      {
        code: 'protocol',
        developer: {
          reason: 'The redirect URI is not registered.',
          expected: 'https://a.example',
          received: 'https://b.example',
          remedy: 'postern client update',
        },
      },
    ),
  elsewhere: [
    { mismatch: { kind: 'host', received: 'a.example', isByProxy: true } },
    { mismatch: { kind: 'protocol', received: 'http', isByProxy: false } },
  ],
  home: [],
  ...accountExamples.variants,
  mailbox: [{ mails: [] }],
  'mailbox-mail': [],
}

export const names = Object.keys(examples) as ViewName[]

/** Returns the data of a page in every form that it can take. */
export function formsOf<Name extends ViewName>(name: Name): Views[Name][] {
  return [{}, ...variants[name]].map((variant) => ({ ...examples[name], ...variant }))
}
