import { createHash } from 'node:crypto'
import { decodeJwt } from 'jose'
import type * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { integrityOf, scripts as ownScripts } from '../../src/views/assets.ts'
import { withoutOwnScripts } from '../support/page-examples.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { beginLogin, discover, login } from '../support/relying-party.ts'
import { formsOf, type Page, type Visitor } from '../support/visitor.ts'
import { answerOf, send } from '../support/wire.ts'

const email = 'ada@example.com'
const redirect_uri = 'https://rp.example/cb'
let postern: TestPostern
let client: ClientMetadata
let config: oidc.Configuration
let visitor: Visitor

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  client = await postern.createClient()
  const first = await login(postern, client, { email })
  config = first.config
  visitor = first.visitor
})
afterAll(() => postern?.stop())

const modes = ['form_post', 'form_post.jwt']
const ask = (parameters: Record<string, unknown>) =>
  beginLogin(config, { issuer: postern.issuer, visitor, ...parameters })

/** Reads the answer that the app is posted: the fields of the form, or of the JWT in it. */
function postedIn(page: Page): Record<string, unknown> {
  const [form] = formsOf(page.body)
  const fields = Object.fromEntries(
    Object.entries(form?.hidden ?? {}).map(([name, value]) => [name, [value].flat()[0]]),
  )
  return fields['response'] === undefined ? fields : decodeJwt(fields['response'])
}

const hostile = [
  `"><script>alert(1)</script>`,
  `'"&amp;&lt;&#39;&quot;`,
  '</form><form action="https://evil.example">',
  'a\nb\r\nc',
  '{{ 7 * 7 }}{% raw %}',
  'ü漢🙂',
]

describe('OAuth 2.0 Form Post Response Mode §2', () => {
  test.each(modes)('%s is on by default: a page posts the answer to the redirect_uri', async (response_mode) => {
    const { page, verifier, state } = await ask({ response_mode })
    const [form] = formsOf(page.body)
    expect([page.status, form?.action]).toEqual([200, redirect_uri])
    expect(postedIn(page)).toMatchObject({ state, iss: postern.issuer, code: expect.any(String) })
    expect(page.headers.get('cache-control')).toBe('no-store, no-transform')
    const code = String(postedIn(page)['code'])
    const tokens = await send(postern, '/oauth/token', {
      client,
      form: { grant_type: 'authorization_code', code, redirect_uri, code_verifier: verifier },
    })
    expect(tokens.status).toBe(200)
  })

  test.each(modes)(
    '%s allows its submitting script by hash, and has a button in case no script runs',
    async (response_mode) => {
      const { page } = await ask({ response_mode })
      const scripts = [...page.body.matchAll(/<script>([\s\S]*?)<\/script>/g)].map(([, script = '']) => script)
      const hash = createHash('sha256').update(String(scripts[0])).digest('base64')
      const policy = String(page.headers.get('content-security-policy'))
      expect(scripts).toHaveLength(1)
      const own = ownScripts.map((name) => `'${integrityOf(name)}'`).join(' ')
      expect(policy).toContain(`script-src 'report-sample' ${own} 'sha256-${hash}';`)
      expect(policy).not.toContain('form-action') // the form goes to another origin, which may redirect to a third
      const [form] = page.body.match(/<form[\s\S]*<\/form>/) ?? []
      expect(form).toMatch(/<button [^>]*type="submit"/)
      expect(page.body).toContain('You are being taken to <bdi dir="ltr">rp.example</bdi>')
    },
  )

  test.each(modes.flatMap((mode) => hostile.map((state) => [mode, state])))(
    '%s carries the state %j unchanged and only as text on the page',
    async (response_mode, state) => {
      const { page } = await ask({ response_mode, state })
      expect(postedIn(page)['state']).toBe(state)
      expect(page.body.match(/<form/g)).toHaveLength(1)
      expect(withoutOwnScripts(page.body)).not.toContain('<script')
    },
  )

  test.each(modes)('%s posts an error too', async (response_mode) => {
    const { page, state } = await ask({ response_mode, prompt: 'none', max_age: 0 })
    expect([page.status, formsOf(page.body)[0]?.action]).toEqual([400, redirect_uri])
    expect(postedIn(page)).toMatchObject({ error: 'login_required', state })
  })

  test.each(modes)('%s posts nothing to an unregistered address', async (response_mode) => {
    const { page } = await ask({ response_mode, redirect_uri: 'https://evil.example/cb' })
    expect([page.status, formsOf(page.body)]).toEqual([400, []])
  })

  test('is advertised', async () => {
    const { json } = await send(postern, '/.well-known/openid-configuration')
    expect(json['response_modes_supported']).toEqual(expect.arrayContaining(modes))
  })
})

test('with ALLOW_FORM_POST=false, form post is neither advertised nor possible', async () => {
  const without = await startPostern({ ALLOW_FORM_POST: 'false' })
  try {
    const { json } = await send(without, '/.well-known/openid-configuration')
    expect((json['response_modes_supported'] as string[]).filter((mode) => mode.startsWith('form_post'))).toEqual([])
    const other = await discover(without, await without.createClient())
    for (const response_mode of modes) {
      const { page } = await beginLogin(other, { issuer: without.issuer, response_mode })
      expect(page.url).toMatch(/^https:\/\/rp\.example\/cb\?/)
      expect(answerOf(page.url)).toMatchObject({ error: 'unsupported_response_mode', iss: without.issuer })
    }
  } finally {
    await without.stop()
  }
})
