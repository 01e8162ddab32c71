import { afterAll, beforeAll, expect, test } from 'vitest'
import { addresses } from '../../src/oidc/endpoints.ts'
import { mailTo } from '../support/mailbox.ts'
import { forget } from '../support/people.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { createVisitor, type Fields } from '../support/visitor.ts'

const email = 'ada@example.com'
let postern: TestPostern

beforeAll(async () => {
  postern = await startPostern({ SIGN_IN_BY_CODE: 'true', SIGN_UP: 'open' })
})
afterAll(() => postern?.stop())

const ours = addresses.filter(({ methods, path }) => methods.includes('POST') && /^\/(inter|acc|link|lang)/.test(path))

// Every field of a form of ours that a person fills in, or that a browser sends back.
const texts = ['email', 'name', 'code', 'token', 'challenge', 'answer', 'account', 'scope', 'claim', 'resource_scope']
const choices = { terms: 'accepted\0', decision: 'allow\0', computer: 'other\0', sign_out: 'yes\0', language: 'de\0' }
const claims = [
  'given_name',
  'family_name',
  'nickname',
  'website',
  'birthdate',
  'zoneinfo',
  'locale',
  'session',
  'client',
]
const spoilt: Fields = {
  ...Object.fromEntries([...texts, ...claims].map((name) => [name, 'a\0b'])),
  ...choices,
  email: 'ada\0@example.com',
  password: 'a pass\0phrase that is long',
  old_password: 'old\0',
}

test.each(ours)('$path answers a form with U+0000 in its fields by a page', async ({ path }) => {
  for (const table of ['throttles', 'outbox', 'accounts', 'refused_requests'])
    await postern.database.query(`delete from ${table}`)
  await postern.createAccount(email)
  const visitor = createVisitor(postern.issuer)
  const page = await visitor.get('/account')
  const [, csrf = ''] = /name="csrf" value="([^"]+)"/.exec(page.body) ?? []
  const uid = String(new URL(page.url).pathname.split('/')[2])
  let target = path.replace(':uid', uid)
  const fields: Fields = { ...spoilt, csrf, uid }
  if (path.startsWith('/link')) {
    await forget(postern, email)
    target = new URL((await mailTo(postern, email)).link).pathname
  } else if (path.startsWith('/account')) {
    await visitor.signIn(page, email)
    const own = await visitor.get('/account/email')
    fields['csrf'] = /name="csrf" value="([^"]+)"/.exec(own.body)?.[1] ?? ''
  }

  const answer = await visitor.post(target, fields)

  expect(answer.status).not.toBe(403) // it was read
  expect(answer.body).toMatch(/<h1|^\{/) // the export is a file
  expect(postern.logged.filter((line) => /byte sequence|22021|U\+0000/.test(line))).toEqual([])
  const refused = await postern.database.query(`select * from refused_requests`)
  expect(JSON.stringify(refused)).not.toMatch(/byte sequence/)
})

test('a sign-in ignores U+0000 that was pasted along with the address', async () => {
  const visitor = createVisitor(postern.issuer)
  const page = await visitor.signIn(await visitor.get('/account'), 'ada\0@example.com')
  expect(new URL(page.url).pathname).toBe('/account')
})
