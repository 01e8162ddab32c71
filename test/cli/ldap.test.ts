import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { examineAll } from '../../src/cli/doctor/index.ts'
import { postern as commandLine } from '../support/command-line.ts'
import { operate } from '../support/operator.ts'
import { canSignIn } from '../support/people.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { groups, hasSlapd, passwordOf, type Slapd, startSlapd } from '../support/slapd.ts'

let slapd: Slapd
let postern: TestPostern
beforeAll(async () => {
  if (!hasSlapd) return
  slapd = await startSlapd()
  postern = await startPostern({
    ...slapd.settings,
    LDAP_DOMAINS: 'example.com',
    LDAP_GROUPS: 'memberOf',
    LDAP_GROUPS_BASE_DN: groups,
    LDAP_DISABLED: 'employeeType=left',
  })
})
afterAll(async () => {
  await postern?.stop()
  await slapd?.remove()
})

async function tried(address: string) {
  const { code: status, stdout } = await commandLine(['ldap', 'try', address], { env: postern.env })
  return { status, ...JSON.parse(stdout) }
}

describe.skipIf(!hasSlapd)('postern ldap try', () => {
  test('shows the entry of an address, its claims and groups, and what a sign-in would change, and changes nothing', async () => {
    const dn = await slapd.addPerson('ada', { displayName: 'Ada', givenName: 'x\u0001y' })
    await slapd.addGroup('staff', [dn])
    const shown = {
      status: 0,
      sign_in: 'allowed',
      entry: dn,
      email: 'ada@example.com',
      email_verified: true,
      claims: { name: 'Ada', family_name: 'Lovelace', preferred_username: 'ada' },
      ignored_claims: ['given_name'],
      groups: ['staff'],
    }
    expect(await tried('ADA@example.com')).toMatchObject({ ...shown, change: 'An account is created.' })
    expect(await postern.database.query('select * from accounts')).toEqual([])
    const { id } = await postern.createAccount('ada@example.com')
    expect(await tried('ada@example.com')).toMatchObject({ change: 'The local account is linked.', account_id: id })
    expect(await canSignIn(postern, 'ada@example.com', passwordOf('ada'))).toBe(true)
    expect(await tried('ada@example.com')).toMatchObject({ change: 'The account is updated.', account_id: id })
  })

  test('says why nobody could sign in with an address', async () => {
    await slapd.addPerson('left', { employeeType: 'left' })
    const refusals = {
      'left@example.com': 'The entry is disabled',
      'nobody@example.com': 'No entry has this address',
      'ada@elsewhere.example': 'its domain is not in LDAP_DOMAINS',
    }
    for (const [address, reason] of Object.entries(refusals)) {
      const expected = { status: 1, sign_in: 'refused', reason: expect.stringContaining(reason) }
      expect(await tried(address)).toMatchObject(expected)
    }
    const { LDAP_URL: _, ...without } = postern.env
    expect(await commandLine(['ldap', 'try', 'ada@example.com'], { env: without })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('LDAP_URL is not set'),
    })
  })
})

describe.skipIf(!hasSlapd)('the password of an account of the directory', () => {
  test('cannot be set by an administrator', async () => {
    const input = { account: 'ada@example.com', password: 'a password of an administrator' }
    await expect(operate(postern, 'account set-password', input)).rejects.toThrow('kept in the LDAP directory')
  })
})

describe.skipIf(!hasSlapd)('postern doctor', () => {
  test('examines each server of the directory', async () => {
    const about = async (settings: Record<string, string>) =>
      (await examineAll({ ...postern.env, ...settings }))
        .filter(({ what }) => what.includes('LDAP server'))
        .map(({ state, what }) => `${state}: ${what}`)
    const right = `localhost:${slapd.tlsPort}`
    expect(await about({ LDAP_URL: `ldaps://${right},ldaps://127.0.0.1:1` })).toEqual([
      expect.stringContaining(`ok: The LDAP server ${right} answers`),
      expect.stringMatching(/^problem: The LDAP server 127\.0\.0\.1:1 cannot be used: .*ECONNREFUSED/),
    ])
    expect(await about({ LDAP_URL: `ldaps://127.0.0.1:${slapd.tlsPort}` })).toEqual([
      expect.stringContaining('altnames'),
    ])
    const [wrong] = await about({ LDAP_BIND_PASSWORD: 'wrong' })
    expect(wrong).toMatch(/^problem: .*does not accept LDAP_BIND_PASSWORD/)
  })
})
