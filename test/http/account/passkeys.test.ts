import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import * as passkeys from '../../../src/stores/people/passkeys.ts'
import { createPasskey } from '../../support/authenticator.ts'
import { addPasskey, createHolder, optionsAt, sendPasskey, signInWith } from '../../support/passkey-holder.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { createVisitor, type Page, type Visitor } from '../../support/visitor.ts'

let postern: TestPostern
beforeAll(async () => {
  postern = await startPostern()
})
afterAll(() => postern?.stop())

const origin = () => new URL(postern.issuer).origin
const stored = async (email: string) => {
  const [row] = await postern.database.query('select id from accounts where email = $1', [email])
  return passkeys.listByAccount(postern.server.postern.database.db, String(row?.['id']))
}
const edit = async (visitor: Visitor, email: string, at = 0) =>
  visitor.get(`/account/passkeys/edit?passkey=${(await stored(email))[at]?.id}`)
const signInPage = (visitor: Visitor): Promise<Page> => visitor.get('/account')

describe('the pages of passkeys', () => {
  test('add one, list it, name it and remove it', async () => {
    const { visitor, email } = await createHolder(postern, 'ada@example.com', { isSynced: true })
    const list = await visitor.get('/account/security')
    expect(list.body).toMatch(/My phone[\s\S]*Synced[\s\S]*Not used yet/)
    expect(list.body).toContain('data-signal="signalAllAcceptedCredentials"')

    const named = await visitor.submit(await edit(visitor, email), '/rename', { name: 'Tablet' })
    expect(named.body).toMatch(/role="status"[\s\S]*new name[\s\S]*Tablet/)
    expect((await visitor.submit(await edit(visitor, email), '/rename', { name: ' ' })).body).toContain('was empty')
    const removed = await visitor.submit(await edit(visitor, email), '/remove', {})
    expect(removed.body).toContain('The passkey is removed.')
    expect(await stored(email)).toEqual([])
    expect((await visitor.get('/account/passkeys/edit?passkey=gone')).body).toContain('removed already')
  })

  test('sign out other browsers when a lost device is removed, and keep this one', async () => {
    const { visitor, email, passkey } = await createHolder(postern, 'lost@example.com')
    const thief = createVisitor(postern.issuer)
    expect((await signInWith(thief, await signInPage(thief), passkey)).url).toMatch(/\/account$/)
    await visitor.submit(await edit(visitor, email), '/remove', { sign_out: 'yes' })
    expect((await thief.get('/account/security')).url).toContain('/interaction/')
    expect((await visitor.get('/account/security')).url).toMatch(/\/account\/security$/)
    expect((await signInWith(thief, await signInPage(thief), passkey)).status).toBe(401)
  })

  test('keep the last way in, of an account without a password too', async () => {
    const { visitor, email } = await createHolder(postern, 'only@example.com')
    await postern.database.query(
      'delete from password_credentials where account_id = (select id from accounts where email = $1)',
      [email],
    )
    expect((await visitor.get('/account/security')).body).toContain('You have none.')
    const page = await edit(visitor, email)
    expect(page.body).toContain('Nothing else signs you in')
    const [one] = await stored(email)
    const csrf = String(/name="csrf" value="([^"]+)"/.exec(page.body)?.[1])
    const kept = await visitor.post('/account/passkeys/remove', { csrf, passkey: String(one?.id) })
    expect(kept.body).toContain('The passkey stays')
    await addPasskey(visitor, createPasskey(origin()), { name: 'Key' })
    expect((await visitor.submit(await edit(visitor, email), '/remove')).body).toContain('The passkey is removed.')
    expect(await stored(email)).toHaveLength(1)
  })

  test('refuse an answer from elsewhere, one that was sent before, and one for another session', async () => {
    const { visitor, email } = await createHolder(postern, 'grace@example.com')
    const evil = await addPasskey(visitor, createPasskey(origin()), { said: { origin: 'https://evil.example' } })
    expect([evil.status, evil.url]).toEqual([400, `${postern.issuer}/account/passkeys/add`])
    expect(evil.body).toContain('The passkey was not saved.')

    const page = await visitor.get('/account/passkeys/add')
    const response = createPasskey(origin()).register(await optionsAt(visitor, page))
    const other = createVisitor(postern.issuer)
    await other.signIn(await other.get('/account'), email)
    expect((await sendPasskey(other, await other.get('/account/passkeys/add'), response)).status).toBe(400)
    expect((await sendPasskey(visitor, page, response)).url).toMatch(/\/account\/security$/)
    expect((await sendPasskey(visitor, page, response)).status).toBe(400)
    expect(await stored(email)).toHaveLength(2)
  })

  test('ask for a recent sign-in, and for the token of the session', async () => {
    const { visitor, email } = await createHolder(postern, 'late@example.com')
    const page = await edit(visitor, email)
    const forged = await visitor.post('/account/passkeys/remove', {
      csrf: 'x',
      passkey: String((await stored(email))[0]?.id),
    })
    expect(forged.status).toBe(403)
    vi.useFakeTimers({ now: Date.now() + 660_000, toFake: ['Date'] })
    for (const path of ['/account/passkeys/add', `/account/passkeys/edit?passkey=${(await stored(email))[0]?.id}`]) {
      expect((await visitor.get(path)).url).toContain('/interaction/')
    }
    expect((await visitor.submit(page, '/remove')).url).toContain('/interaction/')
    vi.useRealTimers()
    expect(await stored(email)).toHaveLength(1)
  })

  test('do nothing to a passkey of somebody else', async () => {
    const { email } = await createHolder(postern, 'owner@example.com')
    const { visitor } = await createHolder(postern, 'stranger@example.com')
    const mine = await edit(visitor, 'stranger@example.com')
    const passkey = String((await stored(email))[0]?.id)
    for (const action of ['/rename', '/remove']) {
      expect((await visitor.submit(mine, action, { passkey, name: 'Mine' })).body).toContain('removed already')
    }
    expect(await stored(email)).toMatchObject([{ name: 'My phone' }])
  })
})
