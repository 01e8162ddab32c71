import { describe, expect, test } from 'vitest'
import {
  consented,
  decide,
  type GrantPayload,
  isNothing,
  leavesNothing,
  none,
  type Permissions,
  permissionsOf,
  undecided,
} from '../../../src/oidc/consent/decision.ts'

const api = 'https://api.example'
const other = 'https://other.example'
const grantOf = (part: object): GrantPayload => ({ exp: 0, ...part })
const some = (part: Partial<Permissions>): Permissions => ({ ...none, ...part })
const all = some({ scopes: ['openid', 'email'], claims: ['name'], resources: { [api]: ['read', 'write'] } })

/** Each list that a person can tick, as permissions with one entry. */
const parts: [string, Permissions][] = [
  ['a scope', some({ scopes: ['email'] })],
  ['a claim', some({ claims: ['name'] })],
  ['a scope of an API', some({ resources: { [api]: ['read'] } })],
]

describe('decide', () => {
  test('grants what is approved and rejects the rest of what was asked for', () => {
    const approved = some({ scopes: ['openid'], resources: { [api]: ['read'] } })
    const decided = grantOf(decide(undefined, { asked: all, approved }))
    expect(permissionsOf(decided)).toEqual({
      granted: approved,
      rejected: some({ scopes: ['email'], claims: ['name'], resources: { [api]: ['write'] } }),
    })
  })

  test.each(parts)('leaves %s as it was when it is not asked about', (_what, part) => {
    const elsewhere = some({ scopes: ['phone'], resources: { [other]: ['read'] } })
    const granted = grantOf(decide(undefined, { asked: part, approved: part }))
    const rejected = grantOf(decide(undefined, { asked: part, approved: none }))
    const decidedAfter = (before: GrantPayload) =>
      permissionsOf(grantOf(decide(before, { asked: elsewhere, approved: none })))
    expect(undecided(grantOf(decide(granted, { asked: elsewhere, approved: none })), part)).toBeUndefined()
    expect(decidedAfter(granted).granted).toEqual(permissionsOf(granted).granted)
    expect(decidedAfter(rejected).rejected).toMatchObject({ claims: part.claims, resources: part.resources })
  })

  test.each(parts)('undoes a rejection of %s by an approval, and an approval by a rejection', (_what, part) => {
    const rejected = grantOf(decide(undefined, { asked: part, approved: none }))
    const approved = grantOf(decide(rejected, { asked: part, approved: part }))
    expect(permissionsOf(approved)).toMatchObject({ granted: part })
    expect(isNothing(permissionsOf(approved).rejected)).toBe(true)
    const again = grantOf(decide(approved, { asked: part, approved: none }))
    expect(permissionsOf(again)).toMatchObject({ rejected: part })
    expect(isNothing(permissionsOf(again).granted)).toBe(true)
  })

  test('grants nothing twice', () => {
    const granted = grantOf(decide(undefined, { asked: all, approved: all }))
    const twice = grantOf(decide(granted, { asked: all, approved: all }))
    expect(permissionsOf(twice)).toEqual(permissionsOf(granted))
  })
})

describe('permissionsOf', () => {
  test('reads a grant as the engine stores it, and nothing from none', () => {
    const stored = grantOf({ openid: { scope: 'openid email', claims: ['name'] }, resources: { [api]: 'read write' } })
    expect(permissionsOf(stored)).toEqual({ granted: all, rejected: none })
    expect(permissionsOf(undefined)).toEqual({ granted: none, rejected: none })
  })
})

describe('undecided', () => {
  test('is all of a request before the first decision, and nothing after one about all of it', () => {
    expect(undecided(undefined, all)).toEqual(all)
    for (const approved of [all, none]) {
      expect(undecided(grantOf(decide(undefined, { asked: all, approved })), all)).toBeUndefined()
    }
  })

  test.each(parts)('is %s when only that is new', (_what, part) => {
    const others = parts.map(([, one]) => one).filter((one) => one !== part)
    const earlier = others.reduce<GrantPayload | undefined>(
      (grant, one) => grantOf(decide(grant, { asked: one, approved: one })),
      undefined,
    )
    const requested = some({ scopes: ['email'], claims: ['name'], resources: { [api]: ['read'] } })
    expect(undecided(earlier, requested)).toEqual(part)
  })

  test('tells two APIs with a scope of the same name apart', () => {
    const granted = grantOf(decide(undefined, { asked: all, approved: all }))
    const requested = some({ resources: { [other]: ['read'] } })
    expect(undecided(granted, requested)).toEqual(requested)
  })
})

describe('leavesNothing', () => {
  test.each(parts)('says so when %s is all that is requested, and is denied', (_what, part) => {
    expect(leavesNothing(undefined, { asked: part, approved: none }, part)).toBe(true)
    expect(leavesNothing(undefined, { asked: part, approved: part }, part)).toBe(false)
  })

  test('counts what was granted earlier, if it is requested again', () => {
    const earlier = grantOf(
      decide(undefined, { asked: some({ scopes: ['openid'] }), approved: some({ scopes: ['openid'] }) }),
    )
    const asked = some({ scopes: ['email'] })
    const requested = some({ scopes: ['openid', 'email'] })
    expect(leavesNothing(earlier, { asked, approved: none }, requested)).toBe(false)
    expect(leavesNothing(earlier, { asked, approved: none }, asked)).toBe(true)
  })

  test('counts what is asked as requested, as for an API that the request does not name', () => {
    const asked = some({ resources: { [api]: ['read'] } })
    expect(leavesNothing(undefined, { asked, approved: asked }, none)).toBe(false)
    expect(leavesNothing(undefined, { asked, approved: none }, none)).toBe(true)
  })

  test('is never true of a page without anything to tick, which would otherwise never be left', () => {
    expect(leavesNothing(undefined, { asked: none, approved: none }, all)).toBe(false)
  })
})

describe('consented', () => {
  test.each(parts)('leaves out %s that a first-party client was given without a question', (_what, part) => {
    const payload = grantOf(decide(undefined, { asked: all, approved: all }))
    const left = permissionsOf(consented({ payload, shown: { skipped: part } })).granted
    expect(undecided(grantOf(decide(undefined, { asked: left, approved: left })), part)).toEqual(part)
  })

  test('is the whole grant when a person was asked for all of it', () => {
    const payload = grantOf(decide(undefined, { asked: all, approved: all }))
    expect(consented({ payload, shown: {} })).toEqual(payload)
  })
})
