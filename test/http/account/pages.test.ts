import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RunningServer } from '../../../src/serve.ts'
import { createApp, type TestApp } from '../../support/account-app.ts'
import { serveBeside, startPostern, type TestPostern } from '../../support/postern.ts'
import { createVisitor, type Page, type Visitor } from '../../support/visitor.ts'

const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
const phone =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1'

let postern: TestPostern
let beside: RunningServer
let app: TestApp
beforeAll(async () => {
  postern = await startPostern()
  beside = await serveBeside(postern)
  app = await createApp(postern)
})
afterAll(async () => {
  await app?.stop()
  await beside?.stop()
  await postern?.stop()
})

let people = 0
/** Creates an account, and signs a browser in to it at /account. */
async function person({
  profile = { name: 'Ada Lovelace' },
  email = `ada${++people}@example.com`,
  userAgent = firefox,
}: {
  profile?: Record<string, unknown>
  email?: string
  userAgent?: string
} = {}) {
  const known = await postern.database.query(`select id from accounts where email = '${email}'`)
  if (known.length === 0) await postern.createAccount(email, profile)
  const visitor = createVisitor(postern.issuer, {
    fetch: (address, init) => fetch(address, { ...init, headers: { ...init?.headers, 'user-agent': userAgent } }),
  })
  const page = await visitor.signIn(await visitor.get('/account'), email)
  return { email, visitor, page }
}

const textOf = ({ body }: Page) =>
  body
    .replace(/<(script|style)[\s\S]*?<\/\1>/g, '')
    .replace(/<[^>]+>/g, ' ')
    .replace(/&#39;/g, '’')
    .replace(/\s+/g, ' ')

/** Makes the sign-in of a browser an hour old. */
const age = (email: string) =>
  postern.database.query(
    `update sessions set payload = (payload - 'proofs') || jsonb_build_object('loginTs', ${Math.floor(Date.now() / 1000) - 3600})
     where account_id = (select id from accounts where email = '${email}')`,
  )

const events = async (email: string) =>
  (
    await postern.database.query(
      `select type from audit_events where account_id = (select id from accounts where email = '${email}') order by id`,
    )
  ).map(({ type }) => type)

describe('the overview', () => {
  test('greets a person and leads to every other page', async () => {
    const { visitor, page, email } = await person()
    expect(textOf(page)).toContain('Hello, Ada Lovelace')
    expect(textOf(page)).toContain(email)
    for (const path of ['security', 'apps', 'activity', 'data']) {
      expect(page.body).toContain(`href="/account/${path}"`)
      const other = await visitor.get(`/account/${path}`)
      expect([path, other.status]).toEqual([path, 200])
      expect(other.body).toContain(`href="/account/${path}" aria-current="page"`)
    }
  })

  test('leads nobody in who is not signed in', async () => {
    for (const path of ['', '/profile', '/security', '/apps', '/activity', '/data', '/delete']) {
      const page = await createVisitor(postern.issuer).get(`/account${path}`)
      expect([path, new URL(page.url).pathname.split('/')[1]]).toEqual([path, 'interaction'])
    }
  })
})

describe('a profile', () => {
  test('is saved as the person types it, and the audit says which details changed', async () => {
    const { visitor, email } = await person()
    const form = await visitor.get('/account/profile')
    expect(form.body).toContain('autocomplete="bday"')
    const saved = await visitor.submit(form, '/profile', {
      name: '  Ada <b>King</b> ',
      birthdate: '0000-12-10',
      phone_number: '+44 (20) 7946-0018',
      website: 'https://ada.example/',
      zoneinfo: 'Europe/London',
      locale: 'en',
      street_address: '12 St James’s Square',
      locality: 'London',
      nickname: '',
    })
    expect(new URL(saved.url).pathname).toBe('/account')
    expect(textOf(saved)).toContain('Your profile is saved.')
    expect(saved.body).toContain('Ada &lt;b&gt;King&lt;/b&gt;')
    const [row] = await postern.database.query(`select profile from accounts where email = '${email}'`)
    expect(row?.['profile']).toEqual({
      name: 'Ada <b>King</b>',
      birthdate: '0000-12-10',
      phone_number: '+442079460018',
      website: 'https://ada.example/',
      zoneinfo: 'Europe/London',
      locale: 'en',
      address: {
        street_address: '12 St James’s Square',
        locality: 'London',
        formatted: '12 St James’s Square\nLondon',
      },
    })
    const activity = textOf(await visitor.get('/account/activity'))
    expect(activity).toContain('You changed your profile: Full name, Date of birth, Phone number')
  })

  test('keeps everything as it was if one detail is rejected, and shows what was typed', async () => {
    const { visitor, email } = await person()
    const wrong: Record<string, string> = {
      birthdate: '1990-02-30',
      website: 'javascript:alert(1)',
      phone_number: '020 7946 0018',
      zoneinfo: 'Moon/Sea',
      locale: 'tlh',
      name: 'x'.repeat(201),
      nickname: 'left \u202eright',
    }
    for (const [name, value] of Object.entries(wrong)) {
      const again = await visitor.submit(await visitor.get('/account/profile'), '/profile', {
        given_name: 'Augusta',
        [name]: value,
      })
      expect([name, again.status]).toEqual([name, 400])
      expect(again.body).toContain('value="Augusta"')
      expect(again.body).toMatch(new RegExp(`id="${name}"[^>]*aria-invalid="true"`))
    }
    const [row] = await postern.database.query(`select profile from accounts where email = '${email}'`)
    expect(row?.['profile']).toEqual({ name: 'Ada Lovelace' })
  })

  test('changes only the claims that the settings name, and leaves an administrator’s values alone', async () => {
    const profile = {
      name: 'Ada',
      locale: 'en-GB',
      groups: ['editors'],
      phone_number: '+15550100',
      phone_number_verified: true,
    }
    const { visitor, email } = await person({ profile })
    const form = await visitor.get('/account/profile')
    await visitor.submit(form, '/profile', {
      name: 'Ada',
      locale: 'en-GB',
      groups: 'admins',
      preferred_username: 'root',
    })
    const read = async () => (await postern.database.query(`select profile from accounts where email = '${email}'`))[0]
    expect((await read())?.['profile']).toEqual(profile)
    expect(await events(email)).not.toContain('account.updated')
    await visitor.submit(form, '/profile', { phone_number: '+15550101' })
    const { phone_number_verified: _, ...rest } = profile
    expect((await read())?.['profile']).toEqual({ ...rest, phone_number: '+15550101' })
  })
})

describe('the sessions of a person', () => {
  test('name the browser and the address, and each can be ended with its tokens but for offline access', async () => {
    const { visitor, email } = await person()
    const other = await person({ email, userAgent: phone })
    const tokens = await app.signIn(other.visitor)
    expect(await tokens.isLive()).toBe(true)
    const page = await visitor.get('/account/security')
    expect(textOf(page)).toMatch(/Firefox on Linux This browser Last used .* from 127\.0\.0\.1|::1/)
    expect(textOf(page)).toContain('Safari on iPhone')
    const ended = await visitor.submit(page, '/sessions/end')
    expect(textOf(ended)).toContain('That browser is signed out.')
    expect(textOf(ended)).not.toContain('Safari on iPhone')
    expect(await tokens.isLive()).toBe(false)
    expect(new URL((await other.visitor.get('/account')).url).pathname).toMatch(/^\/interaction/)
    expect((await events(email)).at(-1)).toBe('session.ended')
    expect(app.loggedOut.length).toBe(1)
  })

  test('end all at once, except for this one', async () => {
    const { visitor, email } = await person()
    const others = [await person({ email }), await person({ email })]
    const ended = await visitor.submit(await visitor.get('/account/security'), '/end-others')
    expect(textOf(ended)).toContain('You are signed out everywhere else.')
    for (const { visitor: other } of others) {
      expect(new URL((await other.get('/account')).url).pathname).toMatch(/^\/interaction/)
    }
    expect((await visitor.get('/account')).status).toBe(200)
  })

  test('are ended only by their owner, and only by a form of this session', async () => {
    const { visitor, email } = await person()
    const stranger = await person()
    const [{ uid }] = (await postern.database.query(
      `select uid from sessions where account_id = (select id from accounts where email = '${stranger.email}')`,
    )) as [{ uid: string }]
    await person({ email })
    const page = await visitor.get('/account/security')
    const refused = await visitor.submit(page, '/sessions/end', { session: uid })
    expect(textOf(refused)).toContain('was signed out already')
    expect((await stranger.visitor.get('/account')).status).toBe(200)
    const csrf = /name="csrf" value="([^"]+)"/.exec((await stranger.visitor.get('/account/data')).body)?.[1] ?? ''
    for (const path of ['/sessions/end-others', '/profile', '/data/export', '/delete', '/apps/remove']) {
      const fields = { csrf, session: uid, app: 'x' }
      expect([path, (await visitor.post(`/account${path}`, fields)).status]).toEqual([path, 403])
      const foreign = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }
      expect([path, (await visitor.post(`/account${path}`, fields, foreign)).status]).toEqual([path, 403])
    }
  })
})

describe('the apps of a person', () => {
  test('lose their access at once, on every server', async () => {
    const { visitor, email } = await person()
    const tokens = await app.signIn(visitor, 'openid profile email offline_access')
    expect(await tokens.isLive()).toBe(true)
    const page = await visitor.get('/account/apps')
    expect(textOf(page)).toMatch(/Test app .*Since .*See your profile See your email address/)
    const question = await visitor.get(/href="(\/account\/apps\/remove\?app=[^"]+)"/.exec(page.body)?.[1] ?? '')
    expect(textOf(question)).toContain('Remove the access of Test app?')
    const removed = await visitor.submit(question, '/apps/remove')
    expect(textOf(removed)).toContain('Test app no longer has access to your account.')
    expect(textOf(removed)).toContain('No apps yet')
    expect(await tokens.isLive(beside.port)).toBe(false)
    expect(await tokens.refresh(beside.port)).toBe('invalid_grant')
    expect((await events(email)).at(-1)).toBe('grant.revoked')
    expect(textOf(await visitor.get('/account/activity'))).toContain('You removed the access of Test app .')
    const again = await visitor.submit(question, '/apps/remove')
    expect(textOf(again)).toContain('That app had already lost its access.')
  })

  test('are removed only by the person who gave them access', async () => {
    const owner = await person()
    const tokens = await app.signIn(owner.visitor)
    const { visitor } = await person()
    const theirs = /app=([^"]+)"/.exec((await owner.visitor.get('/account/apps')).body)?.[1] ?? ''
    expect(theirs).not.toBe('')
    const page = await visitor.get(`/account/apps/remove?app=${theirs}`)
    expect(textOf(page)).toContain('had already lost its access')
    const csrf = /name="csrf" value="([^"]+)"/.exec((await visitor.get('/account/data')).body)?.[1] ?? ''
    await visitor.post('/account/apps/remove', { csrf, app: theirs })
    expect(await tokens.isLive()).toBe(true)
  })
})

describe('the data of a person', () => {
  test('is a file without secrets, for a recent sign-in', async () => {
    const { visitor, email } = await person()
    await app.signIn(visitor)
    const page = await visitor.get('/account/data')
    const file = await visitor.submit(page, '/export')
    expect(file.headers.get('content-disposition')).toMatch(/^attachment; filename="account-[\d-]+\.json"$/)
    const data = JSON.parse(file.body)
    expect(data.account.email).toBe(email)
    expect(data.claims).toEqual({ name: 'Ada Lovelace' })
    expect(data.sessions[0].user_agent).toBe(firefox)
    expect(data.apps.map(({ client_id }: { client_id: string }) => client_id)).toContain(app.clientId)
    expect(data.activity.map(({ type }: { type: string }) => type)).toContain('consent.given')
    expect(file.body).not.toMatch(/argon2|hash/)
    for (const { value } of visitor.cookies.values()) expect(file.body).not.toContain(value)
    await age(email)
    const asked = await visitor.submit(page, '/export')
    expect(textOf(asked)).toContain('Confirm')
    expect(asked.headers.get('content-disposition')).toBeNull()
  })
})

describe('an account that its owner deletes', () => {
  async function deleted({ visitor }: { visitor: Visitor }): Promise<Page> {
    return visitor.submit(await visitor.get('/account/delete'), '/delete')
  }

  test('is out of use at once, and comes back when its owner signs in and keeps it', async () => {
    const owner = await person()
    const tokens = await app.signIn(owner.visitor, 'openid offline_access')
    const page = await deleted(owner)
    expect(textOf(page)).toContain('Your account will be deleted That is on')
    expect(await tokens.isLive()).toBe(false)
    expect(await tokens.refresh()).toBe('invalid_grant')
    const question = await owner.visitor.signIn(await owner.visitor.get('/account'), owner.email)
    expect(textOf(question)).toContain('Do you want to keep your account?')
    expect(new URL((await owner.visitor.get('/account')).url).pathname).toMatch(/^\/interaction/)
    expect(await app.silently(owner.visitor)).toMatch(/error=(interaction|login)_required/)
    const kept = await owner.visitor.submit(await owner.visitor.get('/account'), '/keep')
    expect(new URL(kept.url).pathname).toBe('/account')
    expect(await events(owner.email)).toEqual(
      expect.arrayContaining(['account.deletion_scheduled', 'account.deletion_cancelled']),
    )
  })

  test('needs a recent sign-in', async () => {
    const { visitor, email } = await person()
    const page = await visitor.get('/account/delete')
    await age(email)
    expect(textOf(await visitor.submit(page, '/delete'))).toContain('Confirm')
    expect(await events(email)).not.toContain('account.deletion_scheduled')
  })
})

test('a script in a name, a browser or an app’s name is shown as text', async () => {
  const hostile = '<script>alert(1)</script>'
  const strange = await createApp(postern, { client_name: hostile })
  const { visitor } = await person({ profile: { name: hostile }, userAgent: `Firefox/1 ${hostile}` })
  await strange.signIn(visitor)
  for (const path of ['', '/profile', '/security', '/apps', '/activity']) {
    const page = await visitor.get(`/account${path}`)
    expect(page.body).not.toContain(hostile)
  }
  await strange.stop()
})
