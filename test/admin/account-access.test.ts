import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createSignIn } from '../../src/authentication/sign-in.ts'
import * as accounts from '../../src/stores/people/accounts.ts'
import { operate } from '../support/operator.ts'
import { password, serveBeside, startPostern, type TestPostern } from '../support/postern.ts'
import { login } from '../support/relying-party.ts'
import { knock } from '../support/wire.ts'

let postern: TestPostern
beforeAll(async () => {
  postern = await startPostern({ PASSWORD_MIN_LENGTH: '10', BRAND_NAME: 'Acme Portal' })
})
afterAll(() => postern?.stop())

const email = 'ada@example.com'

describe('a password that an administrator sets', () => {
  test('follows the rules for passwords, and a rejected one changes nothing', async () => {
    const create = (given: string, name?: string) =>
      operate(postern, 'account create', { email, password: given, name })
    await expect(create('gvqzhwktm')).rejects.toThrow('must have at least 10 characters')
    await expect(create('horse '.repeat(34))).rejects.toThrow('must have at most 200 characters')
    await expect(create('basketball1')).rejects.toThrow('guessed first')
    await expect(create('Lovelace-1815', 'Ada Lovelace')).rejects.toThrow("person's own name")
    for (const name of ['localhost12', 'postern-2026', 'acmeportal!'])
      await expect(create(name)).rejects.toThrow('this service')
    expect(await postern.database.query('select 1 from accounts')).toEqual([])

    await operate(postern, 'account create', { email, password, claims: { name: 'Ada Lovelace' } })
    const [before] = await postern.database.query('select hash, epoch from password_credentials, accounts')
    const set = (given: string) => operate(postern, 'account set-password', { account: email, password: given })
    await expect(set('Lovelace-1815')).rejects.toThrow("person's own name")
    expect(await postern.database.query('select hash, epoch from password_credentials, accounts')).toEqual([before])
    await expect(set('gvqzhwktmp')).resolves.toMatchObject({ email })
  })
})

describe('a required change of the password', () => {
  const signIn = () =>
    createSignIn({
      db: postern.server.postern.database.db,
      passwords: postern.server.postern.passwords,
      throttleKey: postern.server.postern.keyring.throttleKey,
    })
  const attempt = (email: string, given = password) =>
    signIn()({ email, password: given, address: '192.0.2.1', requestId: 'r', knownBrowser: undefined })

  const mustChange = async (email: string) =>
    (await accounts.findByEmail(postern.server.postern.database.db, email))?.mustChangePassword

  test('holds until a password is set, by an administrator or by the person', async () => {
    const { id, email } = await postern.createAccount('grace@example.com')
    expect(await mustChange(email)).toBe(false)
    await operate(postern, 'account require-password-change', { account: id })
    expect(await mustChange(email)).toBe(true)
    expect(await attempt(email, 'wrong')).toEqual({ error: 'wrong-credentials' })

    const set = { account: id, password: 'gvqzhwktmp' }
    await operate(postern, 'account set-password', { ...set, must_change: true })
    expect(await mustChange(email)).toBe(true)
    await operate(postern, 'account set-password', set)
    expect([await mustChange(email), await attempt(email, 'gvqzhwktmp')]).toMatchObject([false, { accountId: id }])
  })

  test('survives that the hash is renewed at a sign-in', async () => {
    const { id } = await postern.createAccount('hedy@example.com')
    const foreign = '$2b$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a' // of U*U*U
    await postern.database.query('update password_credentials set hash = $1 where account_id = $2', [foreign, id])
    await operate(postern, 'account require-password-change', { account: id })
    for (const _ of ['bcrypt', 'argon2id']) {
      expect(await attempt('hedy@example.com', 'U*U*U')).toMatchObject({ accountId: id })
      expect(await mustChange('hedy@example.com')).toBe(true)
    }
    const [row] = await postern.database.query('select hash from password_credentials where account_id = $1', [id])
    expect(row?.['hash']).toMatch(/^\$argon2id\$/)
  })

  test('is impossible for an account without a password', async () => {
    const { id } = await postern.createAccount('nopassword@example.com')
    await postern.database.query('delete from password_credentials where account_id = $1', [id])
    const required = operate(postern, 'account require-password-change', { account: id })
    await expect(required).rejects.toThrow('has no password')
  })
})

describe('an account that an administrator signs out or disables', () => {
  test.each(['account sign-out', 'account disable'])('%s ends its tokens at once in every process', async (command) => {
    const email = `${command.replace(' ', '-')}@example.com`
    const { id } = await postern.createAccount(email)
    const client = await postern.createClient()
    const { tokens } = await login(postern, client, { email, scope: 'openid offline_access', prompt: 'consent' })
    const other = await serveBeside(postern)
    try {
      const headers = { authorization: `Bearer ${tokens.access_token}`, host: new URL(postern.issuer).host }
      const userinfo = () => knock(other.port, '/oauth/userinfo', { headers })
      expect((await userinfo()).status).toBe(200)
      await operate(postern, command, { account: id })
      expect((await userinfo()).status).toBe(401)
    } finally {
      await other.stop()
    }
    const left = await postern.database.query('select 1 from artifacts where account_id = $1', [id])
    expect(left).toEqual([])
    const events = await postern.database.query('select type from audit_events where account_id = $1 order by id', [id])
    const type = command === 'account sign-out' ? 'account.signed_out' : 'account.disabled'
    expect(events.at(-1)).toEqual({ type })
  })
})

describe('a new account', () => {
  test('has an unverified address, unless the administrator knows better', async () => {
    const create = (email: string, more = {}) => operate(postern, 'account create', { email, password, ...more })
    expect(await create('unproven@example.com')).toMatchObject({ email_verified: false })
    expect(await create('proven@example.com', { email_verified: true })).toMatchObject({ email_verified: true })
  })
})

describe('a group', () => {
  const change = (verb: string, account: string, group: string) =>
    operate(postern, `account ${verb}`, { account, group })
  const groupsOf = async (account: string) =>
    ((await operate(postern, 'account show', { account })) as { claims: { groups?: unknown } }).claims.groups
  const membersOf = async (group: string) =>
    ((await operate(postern, 'account list', { group })) as { items: { email: string }[] }).items.map(
      ({ email }) => email,
    )

  test('is in the claim groups of its members, which may also be set as a claim', async () => {
    await postern.createAccount('one@example.com')
    await postern.createAccount('two@example.com', { groups: ['staff', 'a role'] })
    await change('add-to-group', 'one@example.com', 'staff')
    await change('add-to-group', 'one@example.com', 'staff') // again
    await change('add-to-group', 'one@example.com', 'admins')
    expect(await groupsOf('one@example.com')).toEqual(['staff', 'admins'])
    expect(await membersOf('staff')).toEqual(['one@example.com', 'two@example.com'])
    expect(await operate(postern, 'group list', { limit: 2 })).toEqual({
      items: [
        { name: 'a role', members: 1 },
        { name: 'admins', members: 1 },
      ],
      next_cursor: expect.any(String),
    })
    await change('remove-from-group', 'two@example.com', 'staff')
    expect(await groupsOf('two@example.com')).toEqual(['a role'])
    expect(await membersOf('staff')).toEqual(['one@example.com'])
    await operate(postern, 'account update', { account: 'two@example.com', claims: { groups: ['staff'] } })
    expect(await membersOf('staff')).toEqual(['one@example.com', 'two@example.com'])
  })

  test('gets each of twenty members that are added at the same moment', async () => {
    await postern.createAccount('many@example.com')
    const names = Array.from({ length: 20 }, (_, number) => `group ${number}`)
    await Promise.all(names.map((name) => change('add-to-group', 'many@example.com', name)))
    expect([...((await groupsOf('many@example.com')) as string[])].sort()).toEqual([...names].sort())
  })

  test('is not added to a claim that has another type than a list, and has a readable name', async () => {
    await postern.createAccount('odd@example.com', { groups: 'staff' })
    await expect(change('add-to-group', 'odd@example.com', 'admins')).rejects.toThrow('not a list')
    expect(await groupsOf('odd@example.com')).toBe('staff')
    for (const name of ['', ' staff', 'a\nb', 'x'.repeat(201)])
      await expect(change('add-to-group', 'odd@example.com', name)).rejects.toThrow()
  })
})
