import { describe, expect, test } from 'vitest'
import { acrOf, createLevels } from '../../src/authentication/levels.ts'
import { type Method, madeAt, methodReferences, type Proof, strongest } from '../../src/authentication/proofs.ts'
import { type Decision, decide, type SecondFactorRules } from '../../src/authentication/second-factor-policy.ts'
import type { Factors } from '../../src/stores/people/factors.ts'

const now = 1_800_000_000
const multiFactor = 'http://schemas.openid.net/pape/policies/2007/06/multi-factor'
const password = 'urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport'
const mail = 'urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified'
const levels = createLevels({ issuer: 'https://id.example', own: [], isMailOffered: true })

const proof = (method: Method, { ago = 0, ...more }: Partial<Proof> & { ago?: number } = {}): Proof => ({
  method,
  at: now - ago,
  ...more,
})
const verified = proof('passkey', { isUserVerified: true })

describe('a sign-in', () => {
  // biome-ignore format: it is a table
  test.each<[string, Proof[], string | undefined, string[]]>([
    ['password',                     [proof('password')],                          password,    ['pwd']],
    ['mail',                         [proof('mail')],                              mail,        ['otp']],
    ['upstream, not trusted',        [proof('upstream')],                          password,    []],
    ['upstream, trusted methods',    [proof('upstream', { amr: ['pwd'] })],        password,    ['pwd']],
    ['upstream, two factors',        [proof('upstream', { isTwoFactor: true })],   multiFactor, ['mfa']],
    ['verified passkey',             [verified],                                   'phr',       ['pop', 'user', 'mfa']],
    ['passkey alone, not verified',  [proof('passkey')],                           undefined,   []],
    ['code of an app alone',         [proof('totp')],                              undefined,   []],
    ['recovery code alone',          [proof('recovery-code')],                     undefined,   []],
    ['remembered device alone',      [proof('remembered-device')],                 undefined,   []],
    ['password + passkey',           [proof('password'), proof('passkey')],        'phr',       ['pwd', 'pop', 'user', 'mfa']],
    ['password + app',               [proof('password'), proof('totp')],           multiFactor, ['pwd', 'otp', 'mfa']],
    ['password + recovery code',     [proof('password'), proof('recovery-code')],  multiFactor, ['pwd', 'otp', 'mfa']],
    ['upstream + app',               [proof('upstream'), proof('totp')],           multiFactor, ['otp', 'mfa']],
    ['password + mail',              [proof('password'), proof('mail')],           password,    ['pwd', 'otp']],
    ['mail + app',                   [proof('mail'), proof('totp')],               password,    ['otp']],
    ['password + remembered device', [proof('password'), proof('remembered-device')], password, ['pwd']],
    ['password + grace',             [proof('password'), proof('grace')],          password,    ['pwd']],
  ])('by %s is named for what it was', (_how, proofs, acr, amr) => {
    expect(acrOf(proofs, { levels, requested: [], nowSeconds: now })).toBe(acr)
    const counted = strongest(proofs)
    expect(counted ? methodReferences(counted) : []).toEqual(amr)
  })

  test('is as old as the oldest proof that its name rests on', () => {
    const old = proof('password', { ago: 500 })
    expect(madeAt(strongest([old, proof('totp')])?.proofs ?? [])).toBe(now - 500)
    expect(madeAt(strongest([old, verified])?.proofs ?? [])).toBe(now)
  })

  test('has the name that the app asks for, if that is true', () => {
    const named = (requested: string[]) => acrOf([verified], { levels, requested, nowSeconds: now })
    expect(named([password])).toBe(password)
    expect(named(['urn:other', multiFactor, 'phr'])).toBe(multiFactor)
    expect(named(['urn:other'])).toBe('phr')
  })

  test('loses a level that lasts for a while, and keeps the rest', () => {
    const own = [{ acr: 'fresh', strength: 'two-factor' as const, maxAgeSeconds: 60 }]
    const short = createLevels({ issuer: 'https://id.example', own, isMailOffered: false })
    const named = (ago: number) =>
      acrOf([proof('password', { ago }), proof('totp')], { levels: short, requested: ['fresh'], nowSeconds: now })
    expect([named(60), named(61)]).toEqual(['fresh', multiFactor])
  })

  test('at an http issuer does not claim a protected connection', () => {
    const open = createLevels({ issuer: 'http://localhost:3000', own: [], isMailOffered: false })
    const acr = acrOf([proof('password')], { levels: open, requested: [], nowSeconds: now })
    expect(acr).toBe('urn:oasis:names:tc:SAML:2.0:ac:classes:Password')
  })
})

describe('the next step', () => {
  const none: Factors = {
    hasPassword: true,
    hasTotp: false,
    hasPasskey: false,
    recoveryCodes: 0,
    graceEndsAt: undefined,
  }
  const withApp = { ...none, hasTotp: true, recoveryCodes: 3 }
  const withPasskey = { ...none, hasPasskey: true }
  const optional: SecondFactorRules = { mode: 'optional', groups: ['admins'], countsMail: false, offersPasskeys: true }
  const level = (acr: string) => levels.filter((one) => one.acr === acr)
  const next = (
    proofs: Proof[],
    {
      factors = none,
      groups = [],
      since = 0,
      needs = [],
      prefers = [],
      ...rules
    }: Partial<SecondFactorRules> & {
      factors?: Factors
      since?: number
      needs?: string[]
      prefers?: string[]
    } = {},
    person: string[] = groups as string[],
  ): Decision =>
    decide({
      proofs,
      demand: { needs: needs.map(level), prefers: prefers.flatMap(level), since },
      rules: { ...optional, ...rules },
      factors,
      groups: person,
      nowSeconds: now,
    })
  const pwd = proof('password')
  const done = { step: 'done' }
  const second = (...ways: Method[]) => ({ step: 'second-factor', ways })
  const enrol = (canWait: boolean) => ({ step: 'enrol', ways: ['totp'], canWait })

  test('is to sign in without a first factor, or with an old one', () => {
    for (const proofs of [[], [proof('totp')], [proof('remembered-device')], [proof('passkey')]]) {
      expect(next(proofs)).toEqual({ step: 'sign-in' })
    }
    expect(next([proof('password', { ago: 10 })], { since: now - 5 })).toEqual({ step: 'sign-in' })
  })

  test('is the second factor of an account that has set one up, not of others', () => {
    expect(next([pwd])).toEqual(done)
    expect(next([pwd], { factors: withPasskey })).toEqual(done)
    expect(next([pwd], { factors: withApp })).toEqual(second('totp', 'recovery-code'))
    expect(next([proof('mail')], { factors: withApp })).toEqual(second('totp', 'recovery-code'))
    expect(next([verified], { factors: withApp })).toEqual(done)
    expect(next([pwd, proof('totp')], { factors: withApp })).toEqual(done)
    expect(next([pwd], { factors: withApp, mode: 'off' })).toEqual(done)
  })

  test('is to set one up where the operator requires it, now or later', () => {
    const later = { ...none, graceEndsAt: new Date((now + 1) * 1000) }
    const over = { ...none, graceEndsAt: new Date(now * 1000) }
    expect(next([pwd], { mode: 'required' })).toEqual(enrol(true))
    expect(next([pwd], {}, ['admins'])).toEqual(enrol(true))
    expect(next([pwd], { mode: 'off' }, ['admins'])).toEqual(enrol(true))
    expect(next([pwd], {}, ['others'])).toEqual(done)
    expect(next([pwd], { mode: 'required', factors: later })).toEqual(enrol(true))
    expect(next([pwd], { mode: 'required', factors: over })).toEqual(enrol(false))
    expect(next([pwd, proof('grace', { until: now + 1 })], { mode: 'required' })).toEqual(done)
    expect(next([pwd, proof('grace', { until: now })], { mode: 'required' })).toEqual(enrol(true))
  })

  test('spares a remembered device for the operator, never for an app', () => {
    const remembered = [pwd, proof('remembered-device', { until: now + 1, ago: 10 })]
    expect(next(remembered, { factors: withApp })).toEqual(done)
    expect(next(remembered, { factors: withApp, needs: [multiFactor] })).toEqual(second('totp', 'recovery-code'))
    expect(next([pwd, proof('remembered-device', { until: now })], { factors: withApp })).toEqual(
      second('totp', 'recovery-code'),
    )
  })

  test('counts mail as a second factor only where the operator says so, and never for a high level', () => {
    const both = [pwd, proof('mail')]
    expect(next(both, { mode: 'required' })).toEqual(enrol(true))
    expect(next(both, { mode: 'required', countsMail: true })).toEqual(done)
    expect(next([pwd], { mode: 'required', countsMail: true })).toEqual(second('mail'))
    expect(next(both, { countsMail: true, needs: [multiFactor] })).toEqual({ ...enrol(false) })
  })

  test('is only what is missing for a level that an app needs', () => {
    expect(next([pwd], { factors: withApp, needs: [multiFactor] })).toEqual(second('totp', 'recovery-code'))
    expect(next([pwd], { factors: withPasskey, needs: ['phr'] })).toEqual(second('passkey'))
    expect(next([proof('mail')], { needs: [password] })).toEqual({ step: 'sign-in' })
    expect(next([pwd], { needs: [multiFactor] })).toEqual(enrol(false))
  })

  test('ends the sign-in where an app only prefers a level that the account cannot reach', () => {
    expect(next([pwd], { prefers: [multiFactor] })).toEqual(done)
    expect(next([pwd], { prefers: ['phr', multiFactor], factors: withPasskey })).toEqual(second('passkey'))
  })

  test('is an error where an app needs a level that nobody can reach', () => {
    expect(next([pwd], { needs: ['urn:unknown'] })).toEqual({ step: 'unattainable' })
    expect(next([pwd], { factors: withApp, needs: ['phr'] })).toEqual({ step: 'unattainable' })
  })
})
