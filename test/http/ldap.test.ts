import { Attribute, Change } from 'ldapts'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createActing } from '../../src/accounts/acting.ts'
import { admit } from '../../src/accounts/directory.ts'
import { mailTo } from '../support/mailbox.ts'
import { administer, canSignIn, forget, press } from '../support/people.ts'
import { password, startPostern, type TestPostern } from '../support/postern.ts'
import { shownRefusal } from '../support/refusals.ts'
import { groups, hasSlapd, passwordOf, people, type Slapd, startSlapd } from '../support/slapd.ts'
import { createVisitor, type Page } from '../support/visitor.ts'

let slapd: Slapd
/** The directory is the authority of example.com. */
let postern: TestPostern
/** The directory is the authority of nothing, and every address is looked for in it. */
let searching: TestPostern
beforeAll(async () => {
  if (!hasSlapd) return
  slapd = await startSlapd()
  for (const name of ['ada', 'grace', 'local', 'late']) await slapd.addPerson(name, { displayName: `The ${name}` })
  const settings = { ...slapd.settings, LDAP_GROUPS: 'memberOf', LDAP_GROUPS_BASE_DN: groups }
  const pages = { SIGN_UP: 'open', SIGN_IN_BY_CODE: 'true', LDAP_PASSWORD_URL: 'https://password.example.com/' }
  postern = await startPostern({ ...settings, ...pages, LDAP_DOMAINS: 'example.com', LDAP_RECHECK_SECONDS: '1' })
  searching = await startPostern(settings)
})
afterAll(async () => {
  await postern?.stop()
  await searching?.stop()
  await slapd?.remove()
})
beforeEach(async () => {
  for (const each of [postern, searching]) await each?.database.query('delete from throttles')
})

type Row = { id: string; email: string; email_verified: boolean; profile: Record<string, unknown>; epoch: number }

async function accountOf(email: string, { database } = postern): Promise<Row | undefined> {
  const [row] = await database.query(
    'select id, email, email_verified, profile, epoch from accounts where email = $1',
    [email],
  )
  return row as Row | undefined
}

async function eventsOf(accountId: string | undefined, { database } = postern): Promise<string[]> {
  const rows = await database.query('select type from audit_events where account_id = $1 order by id', [accountId])
  return rows.map((row) => String(row['type']))
}

/** Returns the reason why the directory refused the last sign-in. */
async function lastRefusal({ database } = postern): Promise<unknown> {
  const [row] = await database.query(
    `select details from audit_events where type = 'sign_in.failed' order by id desc limit 1`,
  )
  return Object(row?.['details'])['directory']
}

async function attempt(email: string, secret: string, server = postern): Promise<Page> {
  const visitor = createVisitor(server.issuer)
  return visitor.signIn(await visitor.get('/account'), email, secret)
}

const change = (dn: string, type: string, values: string[]) =>
  slapd.administer((client) =>
    client.modify(dn, new Change({ operation: 'replace', modification: new Attribute({ type, values }) })),
  )

describe.skipIf(!hasSlapd)('somebody with an entry in the directory', () => {
  test('signs in with its password, which creates an account with its claims and groups, and later updates it', async () => {
    const staff = await slapd.addGroup('staff', [`uid=ada,${people}`])
    expect(await canSignIn(postern, 'Ada@example.com', passwordOf('ada'))).toBe(true)
    const created = await accountOf('ada@example.com')
    expect(created).toMatchObject({
      email_verified: true,
      profile: { name: 'The ada', family_name: 'Lovelace', preferred_username: 'ada', groups: ['staff'] },
    })
    expect(await eventsOf(created?.id)).toEqual(
      expect.arrayContaining(['directory.account_created', 'account.updated', 'sign_in.succeeded']),
    )

    await administer(postern, 'add-to-group', { account: 'ada@example.com', group: 'wine' })
    await slapd.administer((client) => client.del(staff))
    await slapd.addGroup('board', [`uid=ada,${people}`])
    await change(`uid=ada,${people}`, 'displayName', ['Countess'])
    await change(`uid=ada,${people}`, 'givenName', ['x\u0001y'])
    expect(await canSignIn(postern, 'ada@example.com', passwordOf('ada'))).toBe(true)
    const updated = await accountOf('ada@example.com')
    expect(updated?.id).toBe(created?.id)
    expect(updated?.profile).toMatchObject({ name: 'Countess', groups: ['wine', 'board'] })
    expect(updated?.profile).not.toHaveProperty('given_name')
  })

  test('is refused like an address without an account: wrong, empty or very long password, disabled here or there', async () => {
    await slapd.addPerson('left', { mail: 'left@example.com' })
    expect(await canSignIn(postern, 'grace@example.com', passwordOf('grace'))).toBe(true)
    const attempts = [
      ['nobody@example.com', 'wrong'],
      ['grace@example.com', 'wrong'],
      ['left@example.com', 'wrong'],
      ['grace@example.com', `${passwordOf('grace')}${'x'.repeat(2_000)}`],
    ] as const
    const answers = await Promise.all(
      attempts.map(async ([email, secret]) => {
        const startedAt = performance.now()
        const shown = shownRefusal(await attempt(email, secret), email)
        expect(performance.now() - startedAt).toBeGreaterThan(990)
        return shown
      }),
    )
    expect(answers[0]).toMatchObject({ status: 401 })
    for (const answer of answers) expect(answer).toEqual(answers[0])
    await administer(postern, 'disable', { account: 'grace@example.com' })
    expect(await canSignIn(postern, 'grace@example.com', passwordOf('grace'))).toBe(false)
    expect(await lastRefusal()).toBe('disabled-here')
    await administer(postern, 'enable', { account: 'grace@example.com' })
    expect(await canSignIn(postern, 'grace@example.com', passwordOf('grace'))).toBe(true)
  })

  test('takes over the local account with their address, and every earlier way into it ends', async () => {
    const before = await postern.createAccount('local@example.com')
    const squatter = createVisitor(postern.issuer)
    // The directory has the entry, so the password of the local account does not count.
    expect((await squatter.signIn(await squatter.get('/account'), 'local@example.com', password)).status).toBe(401)
    const link = (await forgetIn(postern, 'local@example.com')) ?? ''
    expect(await canSignIn(postern, 'local@example.com', passwordOf('local'))).toBe(true)
    const after = await accountOf('local@example.com')
    expect(after).toMatchObject({ id: before.id, epoch: before.epoch + 1 })
    expect(await eventsOf(before.id)).toContain('directory.account_linked')
    expect(
      await postern.database.query('select * from password_credentials where account_id = $1', [before.id]),
    ).toEqual([])
    expect(link).toBe('')
  })

  test('keeps their account when they are renamed, and another person with their former address gets no account', async () => {
    const dn = await slapd.addPerson('maiden')
    expect(await canSignIn(postern, 'maiden@example.com', passwordOf('maiden'))).toBe(true)
    const account = await accountOf('maiden@example.com')
    await slapd.administer((client) => client.modifyDN(dn, 'uid=married'))
    await change(`uid=married,${people}`, 'mail', ['married@example.com'])

    await slapd.addPerson('maiden', { userPassword: 'of another person' })
    expect(await canSignIn(postern, 'maiden@example.com', 'of another person')).toBe(false)
    expect(await lastRefusal()).toBe('recycled-address')

    expect(await canSignIn(postern, 'married@example.com', passwordOf('maiden'))).toBe(true)
    expect(await accountOf('married@example.com')).toMatchObject({ id: account?.id, email_verified: true })
    expect(await canSignIn(postern, 'maiden@example.com', 'of another person')).toBe(true)
    expect((await accountOf('maiden@example.com'))?.id).not.toBe(account?.id)
  })

  test('has one account, also if they sign in for the first time twice at once', async () => {
    await slapd.addPerson('twice')
    const both = await Promise.all([1, 2, 3].map(() => canSignIn(postern, 'twice@example.com', passwordOf('twice'))))
    expect(both).toEqual([true, true, true])
    expect(await postern.database.query(`select id from accounts where email = 'twice@example.com'`)).toHaveLength(1)

    const { database, storage } = postern.server.postern
    const act = createActing({ db: database.db, envelope: storage.envelope })
    const person = { id: 'entryuuid:x', dn: '', email: 'once@example.com', claims: {}, groups: [], isDisabled: false }
    const admitted = await Promise.all(
      Array.from({ length: 8 }, () =>
        act({ actor: 'system' }, (context) => admit(context, person, { domains: ['example.com'] })),
      ),
    )
    expect(new Set(admitted.map((account) => Object(account).id)).size).toBe(1)
  })

  test('reads where to change their password on each page that would change one', async () => {
    const visitor = createVisitor(postern.issuer)
    await visitor.signIn(await visitor.get('/account'), 'ada@example.com', passwordOf('ada'))
    const page = await visitor.get('/account/password')
    expect(page.body).toContain('https://password.example.com/')
    expect(page.body).not.toContain('name="password"')

    const stranger = createVisitor(postern.issuer)
    const signIn = await stranger.get('/account')
    const { page: forgot } = await forget(postern, 'new.person@example.com')
    expect(forgot.body).toContain('https://password.example.com/')
    const signUp = await stranger.get(`${new URL(signIn.url).pathname}/sign-up`)
    const refused = await stranger.submit(signUp, '/sign-up', { email: 'new.person@example.com', password })
    expect(refused.body).toContain('You do not need a new account.')
  })

  test('can no longer sign in, and their sessions and codes end, once their entry is gone', async () => {
    expect(await canSignIn(postern, 'late@example.com', passwordOf('late'))).toBe(true)
    const visitor = createVisitor(postern.issuer)
    await visitor.signIn(await visitor.get('/account'), 'late@example.com', passwordOf('late'))
    expect((await visitor.get('/account')).url).toMatch(/\/account$/)

    const other = createVisitor(postern.issuer)
    const codePage = await press(other, await other.get('/account'), 'send-code', 'late@example.com')
    const { code } = await mailTo(postern, 'late@example.com')
    await slapd.administer((client) => client.del(`uid=late,${people}`))
    const byCode = await other.submit(codePage, '/code', { code })
    expect(byCode.status).toBe(401)
    await expect.poll(async () => (await visitor.get('/account')).url).toMatch(/\/interaction\//)
    const account = await accountOf('late@example.com')
    expect(await eventsOf(account?.id)).toContain('directory.account_ended')
    expect(await canSignIn(postern, 'late@example.com', passwordOf('late'))).toBe(false)
  })
})

describe.skipIf(!hasSlapd)('a directory that is the authority of no domain', () => {
  test('never gets or gives a local account, whatever passwords fit', async () => {
    await searching.createAccount('ada@example.com')
    expect(await canSignIn(searching, 'ada@example.com', passwordOf('ada'))).toBe(false)
    expect(await lastRefusal(searching)).toBe('address-taken')
    expect(await canSignIn(searching, 'ada@example.com', password)).toBe(true)
    expect(await canSignIn(searching, 'grace@example.com', passwordOf('grace'))).toBe(true)
    expect(await accountOf('grace@example.com', searching)).toMatchObject({ email_verified: false })
  })

  test('tells somebody who forgot their password by mail that it is kept elsewhere', async () => {
    await forget(searching, 'grace@example.com')
    const mail = await mailTo(searching, 'grace@example.com')
    expect(mail.subject).toContain('Your password for')
    expect(mail.text).not.toContain('/link/')
  })
})

describe.skipIf(!hasSlapd)('while the directory is down', () => {
  test('everybody with an address that may belong to it reads that they should try again later, and local accounts go on', async () => {
    await slapd.stop()
    const answers = await Promise.all(
      ['ada@example.com', 'grace@example.com', 'nobody@example.com'].map(async (email) =>
        shownRefusal(await attempt(email, 'wrong', searching), email),
      ),
    )
    expect(answers[0]).toMatchObject({ status: 503 })
    expect(JSON.stringify(answers[0])).toContain('try again in a few minutes')
    for (const answer of answers) expect(answer).toEqual(answers[0])
    expect((await attempt('grace@example.com', passwordOf('grace'), searching)).status).toBe(503)
    expect(await canSignIn(searching, 'ada@example.com', password)).toBe(true)
    await postern.createAccount('somebody@elsewhere.example')
    expect(await canSignIn(postern, 'somebody@elsewhere.example')).toBe(true)
    expect((await attempt('nobody@elsewhere.example', 'wrong')).status).toBe(401)
    await slapd.start()
    expect(await canSignIn(searching, 'grace@example.com', passwordOf('grace'))).toBe(true)
  })
})

/** Asks for a link to choose a password, which nobody with an address of the directory gets. */
async function forgetIn(server: TestPostern, email: string): Promise<string | undefined> {
  await forget(server, email)
  const [row] = await server.database.query('select count(*)::int as n from outbox where recipient = $1', [email])
  return row?.['n'] === 0 ? '' : undefined
}
